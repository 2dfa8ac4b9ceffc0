"""What is shipped: networks by family with published figures, and spaces."""

from __future__ import annotations

from itertools import groupby
from typing import Any, NamedTuple

from archspec.cost import Totals, totals
from archspec.errors import SpecError, did_you_mean
from archspec.planning import plan_network
from archspec.quantities import format_count
from archspec.resolve import resolve
from archspec.shipped import shipped_networks, shipped_spaces
from archspec.spec import Reference, read_spec
from archspec.template import Template

#: the folder of the shipped spaces
SPACES = "spaces"


class Network(NamedTuple):
    """A shipped network beside what was published of it."""

    family: str
    name: str
    input: str
    totals: Totals
    reference: Reference

    def texts(self) -> tuple[str, ...]:
        """Cells of the table."""
        published = [
            "-" if count is None else format_count(count)
            for count in (self.reference.params, self.reference.flops)
        ]
        return (
            f"  {self.name}",
            self.input,
            format_count(self.totals.params),
            format_count(self.totals.flops),
            " / ".join(published) if published != ["-", "-"] else "",
            "" if self.reference.top1 is None else f"{self.reference.top1:g}",
        )

    @property
    def source(self) -> str:
        """Where the published figures stand, and what is to be known about them."""
        return "; ".join(filter(None, (self.reference.source, self.reference.note)))

    def row(self) -> dict[str, Any]:
        """The object of the JSON document."""
        published = self.reference
        return {
            "family": self.family,
            "name": self.name,
            "input": self.input,
            "params": self.totals.params,
            "flops": self.totals.flops,
            "activations": self.totals.activations,
            "published": {
                "params": None if published.params is None else round(published.params),
                "flops": None if published.flops is None else round(published.flops),
                "top1": published.top1,
                "source": published.source,
                "note": published.note,
            },
        }


class Space(NamedTuple):
    """A shipped space of networks."""

    name: str
    parameters: int
    doc: str

    def row(self) -> dict[str, Any]:
        """The object of the JSON document."""
        return {"family": SPACES, **self._asdict()}


def grouped(networks: list[Network]) -> list[tuple[str, ...]]:
    """Rows of the table: a family's name, then its networks."""
    rows: list[tuple[str, ...]] = []
    for family, members in groupby(networks, key=lambda item: item.family):
        texts = [item.texts() for item in members]
        rows += [(family, *[""] * (len(texts[0]) - 1)), *texts]
    return rows


def list_shipped(family: str | None) -> tuple[list[Network], list[Space]]:
    """Networks in order of family and cost, and spaces; of one family where it is named."""
    paths = shipped_networks()
    families = sorted({path.parent.name for path in paths.values()})
    known = [*families, SPACES]
    if family is not None and family not in known:
        raise SpecError(f"no family is called {family!r}: {did_you_mean(family, known)}")
    networks = []
    for path in paths.values():
        if family in (None, path.parent.name):
            spec = read_spec(path)
            plan = plan_network(spec)
            reference = spec.reference or Reference()
            name = path.parent.name
            networks.append(Network(name, spec.name, str(plan.shape), totals(plan), reference))
    networks.sort(key=lambda item: (item.family, item.totals.flops))
    return networks, _spaces() if family in (None, SPACES) else []


def _spaces() -> list[Space]:
    found = []
    for name, path in shipped_spaces().items():
        tree = resolve(path)
        doc = " ".join(str(tree.get("doc", "")).split())
        found.append(Space(name, len(Template(tree).parameters()), doc))
    return found
