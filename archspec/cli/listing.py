"""What is shipped: networks by family with published figures, and spaces."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from archspec.cost import Totals, totals
from archspec.errors import SpecError, did_you_mean
from archspec.planning import plan_network
from archspec.quantities import format_count
from archspec.resolve import resolve
from archspec.shipped import shipped_networks, shipped_spaces
from archspec.spec import Reference, read_spec
from archspec.template import Template
from archspec.weights.layouts import layouts_of

#: what stands before a published figure that is not the published network's
MISPRINT = "!"
#: the folder of the shipped spaces
SPACES = "spaces"


class Network(NamedTuple):
    """A shipped network beside what was published of it."""

    family: str
    name: str
    input: str
    totals: Totals
    reference: Reference
    #: the figures as their source prints them, by their key
    printed: Mapping[str, Any]
    weights: tuple[str, ...]

    def texts(self) -> tuple[str, ...]:
        """Cells of the table: what is ours beside what is published, and the source."""
        return (
            self.name,
            self.input,
            format_count(self.totals.params),
            self._figure("params"),
            format_count(self.totals.flops),
            self._figure("flops"),
            self._figure("top1"),
            self.reference.source,
        )

    def _figure(self, key: str) -> str:
        """A published figure; one that is known to be wrong has a mark."""
        mark = MISPRINT if key in self.reference.misprints else ""
        return f"{mark}{self.printed.get(key, '')}"

    @property
    def note(self) -> str:
        """What is to be known about the published figures, with a mark where one is wrong."""
        mark = f"{MISPRINT} " if self.reference.misprints else ""
        return mark + self.reference.note if self.reference.note else ""

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
                "misprints": list(published.misprints),
            },
            "weights": list(self.weights),
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
        rows.append((family, *[""] * (len(texts[0]) - 1)))
        rows += [(f"  {name}", *others) for name, *others in texts]
    return rows


def markdown(networks: list[Network]) -> str:
    """The page of all networks: a table a family, and the notes below it."""
    parts = [
        "# The zoo",
        "",
        "Every shipped network, ours beside what is published. Made by `archspec zoo --markdown`.",
        "",
        "Params are trainable parameters, FLOPs multiply-adds of convolutions and matrix products "
        "for one image, both exact; published figures stand as their source prints them, top-1 on "
        f"ImageNet-1k. `{MISPRINT}` marks a figure that is not the published network's. Weights "
        "are the layouts that `archspec weights` reads and writes ([weights.md](weights.md)).",
    ]
    titles = ["name", "input", "params", "published", "FLOPs", "published", "top-1", "source"]
    for family, group in groupby(networks, key=lambda item: item.family):
        members = list(group)
        parts += ["", f"## {family}", "", _line([*titles, "weights"])]
        parts.append(_line([*["---"] * 2, *["--:"] * 5, *["---"] * 2]))
        parts += [_line([*item.texts(), ", ".join(item.weights)]) for item in members]
        notes = [f"- {item.name}: {item.note}" for item in members if item.note]
        parts += ["", *notes] if notes else []
    return "\n".join(parts) + "\n"


def _line(cells: list[str]) -> str:
    escaped = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


def list_shipped(family: str | None) -> tuple[list[Network], list[Space]]:
    """Networks in order of family and cost, and spaces; of one family where it is named."""
    paths = shipped_networks()
    families = sorted({path.parent.name for path in paths.values()})
    known = [*families, SPACES]
    if family is not None and family in paths:
        raise SpecError(f"{family} is a network of the family {paths[family].parent.name}")
    if family is not None and family not in known:
        raise SpecError(f"no family is called {family!r}: {did_you_mean(family, known)}")
    networks = []
    for path in paths.values():
        if family in (None, path.parent.name):
            networks.append(_network(path))
    networks.sort(key=lambda item: (item.family, item.totals.flops))
    return networks, _spaces() if family in (None, SPACES) else []


def _network(path: Path) -> Network:
    spec = read_spec(path)
    plan = plan_network(spec)
    layouts = () if spec.weights is None else layouts_of(spec.weights, spec.folder("weights"))
    return Network(
        path.parent.name,
        spec.name,
        str(plan.shape),
        totals(plan),
        spec.reference or Reference(),
        spec.tree.get("reference") or {},
        tuple(layout.name for layout in layouts),
    )


def _spaces() -> list[Space]:
    found = []
    for name, path in shipped_spaces().items():
        tree = resolve(path)
        doc = " ".join(str(tree.get("doc", "")).split())
        found.append(Space(name, len(Template(tree).parameters()), doc))
    return found
