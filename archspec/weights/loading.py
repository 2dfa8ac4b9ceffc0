"""A checkpoint into a network, and a network's tensors back into a published layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from archspec.build import Network, build
from archspec.errors import WeightsError
from archspec.spec import NetworkSpec
from archspec.weights.checkpoints import Checkpoint, State, read_checkpoint
from archspec.weights.forms import to_theirs
from archspec.weights.layouts import Layout
from archspec.weights.matching import (
    OWN,
    Match,
    full_name,
    layout_names,
    match_state,
    no_layout,
    pairs_of,
    short_name,
    size_text,
    spec_layouts,
)
from archspec.weights.naming import Pair
from archspec.weights.resizing import Size

#: of the random start that --partial leaves to what a file does not have
SEED = 0


class Report(NamedTuple):
    """What became of each tensor.

    resized: what was taken to another resolution; missing: ours that the checkpoint lacks;
    misfits: ours whose shape is another there; unused: theirs that ours has no place for;
    skipped: theirs that are left out on purpose; inside: where in the file they stood.
    """

    layout: str
    loaded: int
    resized: tuple[str, ...]
    missing: tuple[str, ...]
    misfits: tuple[str, ...]
    unused: tuple[str, ...]
    skipped: tuple[str, ...]
    inside: str = ""

    @property
    def fits(self) -> bool:
        """Whether every tensor found its place."""
        return not (self.missing or self.misfits or self.unused)

    def problems(self) -> list[str]:
        """Exactly what does not fit, a phrase a kind."""
        groups = {
            "missing": self.missing,
            "of another shape": self.misfits,
            "without a place": self.unused,
        }
        return [f"{len(names)} {what} ({_some(names)})" for what, names in groups.items() if names]


def _some(names: tuple[str, ...], most: int = 4) -> str:
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def load_weights(
    model: Network,
    spec: NetworkSpec,
    source: str | Path,
    layout: str | None = None,
    partial: bool = False,
) -> Report:
    """Load a checkpoint file, or `timm:NAME`, into the network of a spec.

    layout: a layout of the spec's family, `archspec` for our own names; None finds it by the
    names. partial: load what fits. Raises WeightsError, the network untouched, where the file
    cannot be read, or holds something that does not fit and partial is not given.
    """
    return _loaded(model, spec, source, read_checkpoint(source), layout, partial)


def with_weights(
    spec: NetworkSpec, source: str | Path, layout: str | None = None, partial: bool = False
) -> tuple[Network, Report]:
    """The network of a spec with a checkpoint's weights, in eval mode.

    With partial, what the file does not have keeps a random start of one seed.
    """
    if layout not in (None, *layout_names(spec)):
        raise no_layout(spec, layout)
    checkpoint = read_checkpoint(source)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = build(spec).eval()
    return model, _loaded(model, spec, source, checkpoint, layout, partial)


def _loaded(
    model: Network,
    spec: NetworkSpec,
    source: str | Path,
    checkpoint: Checkpoint,
    layout: str | None,
    partial: bool,
) -> Report:
    report = load_state(model, spec, checkpoint.state, layout, partial, checkpoint.aspect)
    inside = ".".join(filter(None, (checkpoint.inside, report.inside)))
    if not report.fits and not partial:
        fits = "; ".join(report.problems())
        raise WeightsError(
            f"{source} does not fit {spec.name} (layout {report.layout}): {fits}; "
            "`archspec weights show` lists all, --partial loads what fits"
        )
    return report._replace(inside=inside)


def load_state(
    model: Network,
    spec: NetworkSpec,
    state: Mapping[str, Tensor],
    layout: str | None = None,
    partial: bool = False,
    aspect: Size | None = None,
) -> Report:
    """`load_weights` of tensors by name; nothing is loaded unless all fits or partial is given.

    aspect: as for `match_state`.
    """
    found = match_state(model, spec, state, layout, aspect)
    own = model.state_dict()
    loaded = [match for match in found.matches if match.value is not None]
    report = Report(
        found.layout,
        len(loaded),
        tuple(f"{match.pair.ours}: {match.told}" for match in loaded if match.told),
        tuple(_both(match.pair) for match in found.matches if _lacks(match)),
        tuple(
            f"{_both(match.pair)}: {match.there} there, {size_text(own[match.pair.ours])} here"
            for match in found.matches
            if match.verdict == "another shape"
        ),
        found.unused,
        found.skipped,
        found.around,
    )
    if report.fits or partial:
        with torch.no_grad():
            for match in loaded:
                own[match.pair.ours].copy_(match.value)
    return report


def _lacks(match: Match) -> bool:
    # torch itself does without the count of batches, as files older than it do
    return match.verdict == "missing" and not match.pair.ours.endswith("num_batches_tracked")


def _both(pair: Pair) -> str:
    there = " + ".join(pair.names)
    return pair.ours if there in ("", pair.ours) else f"{pair.ours} ({there})"


class Row(NamedTuple):
    """One tensor of ours, its name in a layout, and, of a file, its shape there and its state."""

    ours: str
    shape: str
    theirs: str
    there: str | None = None
    state: str | None = None


def rows_of(
    model: Network,
    spec: NetworkSpec,
    checkpoint: Checkpoint | None = None,
    layout: str | None = None,
) -> tuple[str, list[Row]]:
    """The layout that is used, and every tensor of the network, then those of a file that have no
    place; without a file the layout is the family's first that knows all."""
    own = model.state_dict()
    if checkpoint is None:
        chosen, pairs = _complete(model, spec, layout)
        return full_name(chosen), [
            Row(pair.ours, size_text(own[pair.ours]), " + ".join(pair.names)) for pair in pairs
        ]
    found = match_state(model, spec, checkpoint.state, layout, checkpoint.aspect)
    rows = [
        Row(
            match.pair.ours,
            size_text(own[match.pair.ours]),
            " + ".join(match.pair.names) or "-",
            match.there,
            match.verdict,
        )
        for match in found.matches
    ]
    for names, verdict in ((found.skipped, "left out"), (found.unused, "no place")):
        rows += [Row("", "", name, "", verdict) for name in names]
    return found.layout, rows


def export_state(model: Network, spec: NetworkSpec, layout: str | None = None) -> tuple[str, State]:
    """The network's tensors under a layout's names and shapes, and the layout's full name.

    layout: default the first of the family that knows all tensors. Raises WeightsError.
    """
    chosen, pairs = _complete(model, spec, layout)
    own = model.state_dict()
    state: State = {}
    for pair in pairs:
        state.update(to_theirs(pair, own[pair.ours]))
    return full_name(chosen), state


def _complete(
    model: Network, spec: NetworkSpec, name: str | None
) -> tuple[Layout | None, list[Pair]]:
    """The layout of that name, or the family's first that knows all tensors; None is our own."""
    layouts = spec_layouts(spec)
    if name == OWN or (name is None and not layouts):
        return None, pairs_of(model, None)
    lacking = ""
    for layout in layouts:
        if name in (None, short_name(layout)):
            pairs = pairs_of(model, layout)
            nameless = tuple(pair.ours for pair in pairs if not pair.names)
            if not nameless:
                return layout, pairs
            lacking = lacking or f"layout {layout.name} has no name for {_some(nameless)}"
    if lacking:
        raise WeightsError(f"{spec.name}: {lacking}; --layout {OWN} keeps our own names")
    raise no_layout(spec, name)
