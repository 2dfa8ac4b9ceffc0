"""A checkpoint into a network, and a network's tensors back into a published layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from archspec.build import Network, build
from archspec.errors import WeightsError, did_you_mean
from archspec.spec import NetworkSpec
from archspec.weights.checkpoints import State, read_checkpoint
from archspec.weights.layouts import Layout, layouts_of
from archspec.weights.naming import Pair, pair_names
from archspec.weights.resizing import resize

#: the layout of state dicts that archspec writes: its own names
OWN = "archspec"


class Report(NamedTuple):
    """What became of each tensor.

    resized: what was taken to another resolution; missing: ours that the checkpoint lacks;
    misfits: ours whose shape is another there; unused: theirs that ours has no place for;
    skipped: theirs that are left out on purpose.
    """

    layout: str
    loaded: int
    resized: tuple[str, ...]
    missing: tuple[str, ...]
    misfits: tuple[str, ...]
    unused: tuple[str, ...]
    skipped: tuple[str, ...]

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
    report = load_state(model, spec, read_checkpoint(source), layout, partial)
    if not report.fits and not partial:
        fits = "; ".join(report.problems())
        raise WeightsError(
            f"{source} does not fit {spec.name} (layout {report.layout}): {fits}; "
            "`archspec weights show` lists all, --partial loads what fits"
        )
    return report


def load_state(
    model: Network,
    spec: NetworkSpec,
    state: Mapping[str, Tensor],
    layout: str | None = None,
    partial: bool = False,
) -> Report:
    """`load_weights` of tensors by name; nothing is loaded unless all fits or partial is given."""
    chosen, pairs = _choose(model, spec, state, layout)
    own = model.state_dict()
    values: State = {}
    resized, missing, misfits = [], [], []
    used: set[str] = set()
    for pair in pairs:
        used.update(pair.names)
        if not pair.names or any(name not in state for name in pair.names):
            # torch itself does without the count of batches, as files older than it do
            if not pair.ours.endswith("num_batches_tracked"):
                missing.append(_both(pair))
            continue
        value = _ours(pair, [state[name] for name in pair.names], own[pair.ours])
        if value.shape != own[pair.ours].shape:
            other = resize(model, pair.ours, value)
            if other is None:
                shapes = f"{_size(value)} there, {_size(own[pair.ours])} here"
                misfits.append(f"{_both(pair)}: {shapes}")
                continue
            value = other.value
            resized.append(f"{pair.ours}: {other.told}")
        values[pair.ours] = value
    left = [name for name in state if name not in used]
    skips = [name for name in left if chosen is not None and chosen.skips(name)]
    report = Report(
        OWN if chosen is None else f"{chosen.family}/{chosen.name}",
        len(values),
        tuple(resized),
        tuple(missing),
        tuple(misfits),
        tuple(name for name in left if name not in skips),
        tuple(skips),
    )
    if report.fits or partial:
        with torch.no_grad():
            for name, value in values.items():
                own[name].copy_(value)
    return report


class Row(NamedTuple):
    """One tensor of ours, its name and shape there, and what a file has of it."""

    ours: str
    shape: str
    theirs: str
    there: str
    state: str


def rows_of(
    model: Network,
    spec: NetworkSpec,
    state: Mapping[str, Tensor] | None = None,
    layout: str | None = None,
) -> tuple[str, list[Row]]:
    """The layout that is used, and every tensor of the network, then those of a file that have no
    place; without a file the layout is the family's first that knows all."""
    if state is None:
        chosen, pairs = _complete(model, spec, layout)
    else:
        chosen, pairs = _choose(model, spec, state, layout)
    own = model.state_dict()
    rows = [_row(pair, own[pair.ours], state) for pair in pairs]
    used = {name for pair in pairs for name in pair.theirs}
    for name in state or ():
        if name not in used:
            assert state is not None
            skipped = chosen is not None and chosen.skips(name)
            rows.append(
                Row("", "", name, _size(state[name]), "left out" if skipped else "no place")
            )
    return OWN if chosen is None else f"{chosen.family}/{chosen.name}", rows


def _row(pair: Pair, own: Tensor, state: Mapping[str, Tensor] | None) -> Row:
    found = [] if state is None else [state[name] for name in pair.names if name in state]
    there, verdict = "", "missing"
    if found and len(found) == len(pair.names):
        value = _ours(pair, found, own)
        there = " + ".join(map(_size, found))
        verdict = "fits" if value.shape == own.shape else "another shape"
    theirs = " + ".join(pair.names) or "-"
    return Row(pair.ours, _size(own), theirs, there, verdict)


def layout_names(spec: NetworkSpec) -> list[str]:
    """The layouts in which a spec's weights can be read and written."""
    return [*(layout.name for layout in _layouts(spec)), OWN]


def _layouts(spec: NetworkSpec) -> tuple[Layout, ...]:
    return () if spec.weights is None else layouts_of(spec.weights)


def _choose(
    model: Network, spec: NetworkSpec, state: Iterable[str], name: str | None
) -> tuple[Layout | None, list[Pair]]:
    """The layout that knows most of the names, unless one is named; None is our own."""
    known = set(state)
    best: tuple[int, Layout | None, list[Pair]] | None = None
    for layout in (*_layouts(spec), None):
        if name not in (None, OWN if layout is None else layout.name):
            continue
        pairs = _pairs(model, layout)
        found = len(known.intersection(theirs for pair in pairs for theirs in pair.theirs))
        if best is None or found > best[0]:
            best = (found, layout, pairs)
    if best is None:
        raise WeightsError(f"no layout {name!r}: {did_you_mean(name, layout_names(spec))}")
    if best[0] == 0:
        raise WeightsError(
            f"no tensor of the checkpoint, such as {next(iter(state), 'none')!r}, is one of "
            f"{spec.name}'s; its layouts: {', '.join(layout_names(spec))}"
        )
    return best[1], best[2]


def _pairs(model: Network, layout: Layout | None) -> list[Pair]:
    if layout is None:
        return [Pair(name, (name,)) for name in model.state_dict()]
    return pair_names(model, layout)


def _ours(pair: Pair, parts: list[Tensor], own: Tensor) -> Tensor:
    """Their tensors as one of ours: joined, its rows in our order, with our axes where the numbers
    are the same."""
    value = torch.cat(parts) if len(parts) > 1 else parts[0]
    _, rows, order, transpose, flip = pair.form
    if flip:
        value = value.flip(*range(1, value.dim()))
    if transpose:
        value = value.movedim(0, -1)
        value = value.reshape(own.shape) if value.numel() == own.numel() else value
    if rows is not None and order is not None and value.numel() == own.numel():
        value = torch.unflatten(value, 0, rows)
        rest = range(len(rows), value.dim())
        value = value.permute(*order, *rest).flatten(0, len(rows) - 1)
    same = [size for size in value.shape if size > 1] == [size for size in own.shape if size > 1]
    # a linear layer over a whole map is a convolution of the map's size
    flat = value.numel() == own.numel() and value.shape[:1] == own.shape[:1]
    fits = same or (flat and min(value.dim(), own.dim()) == 2)
    return value.reshape(own.shape) if fits else value


def _theirs(pair: Pair, own: Tensor) -> dict[str, Tensor]:
    """One of our tensors as theirs, by name: what `_ours` does, undone."""
    view, rows, order, transpose, flip = pair.form
    if rows is not None and order is not None:
        sizes = [rows[axis] for axis in order]
        value = torch.unflatten(own, 0, sizes)
        back = [order.index(axis) for axis in range(len(order))]
        own = value.permute(*back, *range(len(rows), value.dim())).flatten(0, len(rows) - 1)
    parts = own.chunk(len(pair.theirs)) if own.dim() else (own,)
    whole: dict[str, Tensor] = {}
    for name, part in zip(pair.theirs, parts, strict=True):
        whole[name] = torch.cat([whole[name], part]) if name in whole else part
    if transpose:
        whole = {name: part.movedim(-1, 0) for name, part in whole.items()}
    if view is not None:
        whole = {name: _viewed(part, view) for name, part in whole.items()}
    if flip:
        whole = {name: part.flip(*range(1, part.dim())) for name, part in whole.items()}
    return whole


def _viewed(part: Tensor, view: tuple[int, ...]) -> Tensor:
    return part.reshape([part.shape[axis] if size == 0 else size for axis, size in enumerate(view)])


def _both(pair: Pair) -> str:
    there = " + ".join(pair.names)
    return pair.ours if there in ("", pair.ours) else f"{pair.ours} ({there})"


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"


def export_state(model: Network, spec: NetworkSpec, layout: str | None = None) -> tuple[str, State]:
    """The network's tensors under a layout's names and shapes, and the layout's full name.

    layout: default the first of the family that knows all tensors. Raises WeightsError.
    """
    chosen, pairs = _complete(model, spec, layout)
    own = model.state_dict()
    state: State = {}
    for pair in pairs:
        state.update(_theirs(pair, own[pair.ours]))
    return (OWN if chosen is None else f"{chosen.family}/{chosen.name}"), state


def _complete(
    model: Network, spec: NetworkSpec, name: str | None
) -> tuple[Layout | None, list[Pair]]:
    lacking = ""
    for layout in (*_layouts(spec), None):
        if name not in (None, OWN if layout is None else layout.name):
            continue
        pairs = _pairs(model, layout)
        nameless = tuple(pair.ours for pair in pairs if not pair.theirs)
        if not nameless:
            return layout, pairs
        lacking = lacking or _some(nameless)
        if name is not None:
            raise WeightsError(f"layout {name} has no name for {_some(nameless)}")
    raise WeightsError(f"no layout {name!r}: {did_you_mean(name, layout_names(spec))}")


def with_weights(
    spec: NetworkSpec, source: str | Path, layout: str | None = None, partial: bool = False
) -> tuple[Network, Report]:
    """The network of a spec with a checkpoint's weights, in eval mode."""
    model = build(spec).eval()
    return model, load_weights(model, spec, source, layout, partial)
