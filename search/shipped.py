"""Which shipped networks stand beside a search, and in which form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from archspec.cost import totals
from archspec.errors import SpecError
from archspec.fit import BOUNDED
from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.shipped import shipped_networks
from archspec.small import small_images
from archspec.spec import NetworkSpec, read_spec
from search.folder import RunInfo

#: shipped networks are shown beside a search up to this multiple of its ceiling, measured or not
SHOWN_UP_TO = 1.25
#: where a space's images are no larger, they are trained in small-image form
SMALL = 64


def shown_limits(measured: Mapping[str, float]) -> dict[str, float]:
    """The measured limits up to which a shipped network is shown: throughput is one from below."""
    return {
        quantity: limit / SHOWN_UP_TO if quantity == "throughput" else limit * SHOWN_UP_TO
        for quantity, limit in measured.items()
    }


class Shown(NamedTuple):
    """A shipped network that stands beside a search. number: its place among all, so that it is the
    same however large a network may be."""

    number: int
    spec: NetworkSpec
    plan: NetworkPlan


def shipped_within(info: RunInfo, side: int, flops: float | None = None) -> Iterator[Shown]:
    """Of each family the largest network with a published accuracy that is not too large.

    side: of the space's images. Where networks are trained and it is 64 pixels or less, networks
    and their costs are those of the small-image form; one that has none at this side is left out.
    flops: how many may do where all limits are measured.
    """
    limits = dict(info.limits) or ({} if flops is None else {"flops": flops})
    numbered = enumerate(shipped_networks().values())
    for _, family in groupby(numbered, key=lambda item: item[1].parent):
        fitting: list[tuple[int, Shown]] = []
        for number, path in family:
            spec = read_spec(path)
            if spec.reference is None or spec.reference.top1 is None:
                continue
            if info.training is not None and side <= SMALL:
                try:
                    spec = small_images(spec, side)
                except SpecError:
                    continue
            plan = plan_network(spec)
            total = totals(plan)
            sizes = ((BOUNDED[key](total), limit) for key, limit in limits.items())
            if all(size <= SHOWN_UP_TO * limit for size, limit in sizes):
                fitting.append((total.flops, Shown(number, spec, plan)))
        if fitting:
            yield max(fitting, key=lambda item: item[0])[1]
