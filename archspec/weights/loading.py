"""A checkpoint into a network, and a network's tensors back into a published layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from archspec.build import Network, build
from archspec.errors import WeightsError, did_you_mean
from archspec.modules.attention import Attention
from archspec.modules.tokens import Position
from archspec.spec import NetworkSpec
from archspec.weights.checkpoints import Checkpoint, State, read_checkpoint
from archspec.weights.forms import to_ours, to_theirs
from archspec.weights.layouts import Layout, layouts_of
from archspec.weights.naming import Pair, pair_names
from archspec.weights.resizing import bound_tensors, resize

#: the layout of state dicts that archspec writes: its own names
OWN = "archspec"
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


def _loaded(
    model: Network,
    spec: NetworkSpec,
    source: str | Path,
    checkpoint: Checkpoint,
    layout: str | None,
    partial: bool,
) -> Report:
    report = load_state(model, spec, checkpoint.state, layout, partial, checkpoint.aspect)
    report = report._replace(inside=checkpoint.inside)
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
    aspect: tuple[int, int] | None = None,
) -> Report:
    """`load_weights` of tensors by name; nothing is loaded unless all fits or partial is given.

    aspect: height and width of the images that they were trained on, up to a factor; None is square
    for a published layout, as here for our own.
    """
    chosen, pairs = _choose(model, spec, state, layout)
    if chosen is not None and aspect is None:
        aspect = (1, 1)  # published networks were trained on square images
    own, bound = model.state_dict(), bound_tensors(model)
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
        value = to_ours(pair, [state[name] for name in pair.names], own[pair.ours])
        other = resize(bound[pair.ours], value, aspect) if pair.ours in bound else None
        if other is not None:
            value = other.value
            resized.append(f"{pair.ours}: {other.told}")
        elif value.shape != own[pair.ours].shape:
            shapes = f"{_size(value)} there, {_size(own[pair.ours])} here"
            misfits.append(f"{_both(pair)}: {shapes}")
            continue
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
    """One tensor of ours, its name in a layout, and, of a file, its shape there and its state."""

    ours: str
    shape: str
    theirs: str
    there: str | None = None
    state: str | None = None


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
    own, bound = model.state_dict(), bound_tensors(model)
    rows = [_row(pair, own[pair.ours], bound.get(pair.ours), state) for pair in pairs]
    used = {name for pair in pairs for name in pair.theirs}
    for name in state or ():
        if name not in used:
            assert state is not None
            skipped = chosen is not None and chosen.skips(name)
            rows.append(
                Row("", "", name, _size(state[name]), "left out" if skipped else "no place")
            )
    return OWN if chosen is None else f"{chosen.family}/{chosen.name}", rows


def _row(
    pair: Pair,
    own: Tensor,
    owner: Position | Attention | None,
    state: Mapping[str, Tensor] | None,
) -> Row:
    theirs = " + ".join(pair.names) or "-"
    if state is None:
        return Row(pair.ours, _size(own), theirs)
    found = [state[name] for name in pair.names if name in state]
    if not found or len(found) < len(pair.names):
        return Row(pair.ours, _size(own), theirs, "", "missing")
    value = to_ours(pair, found, own)
    verdict = "fits" if value.shape == own.shape else "another shape"
    if verdict != "fits" and owner is not None and resize(owner, value, (1, 1)) is not None:
        verdict = "is resized"
    return Row(pair.ours, _size(own), theirs, " + ".join(map(_size, found)), verdict)


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
        raise _no_layout(spec, name)
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
        state.update(to_theirs(pair, own[pair.ours]))
    return (OWN if chosen is None else f"{chosen.family}/{chosen.name}"), state


def _complete(
    model: Network, spec: NetworkSpec, name: str | None
) -> tuple[Layout | None, list[Pair]]:
    """The layout of that name, or the family's first that knows all tensors; None is our own."""
    lacking = ""
    layouts = _layouts(spec)
    for layout in (*layouts, None):
        if name not in (None, OWN if layout is None else layout.name):
            continue
        if layout is None and name is None and layouts:
            break
        pairs = _pairs(model, layout)
        nameless = tuple(pair.ours for pair in pairs if not pair.theirs)
        if not nameless:
            return layout, pairs
        assert layout is not None
        lacking = lacking or f"layout {layout.name} has no name for {_some(nameless)}"
    if lacking:
        raise WeightsError(f"{spec.name}: {lacking}; --layout {OWN} keeps our own names")
    raise _no_layout(spec, name)


def _no_layout(spec: NetworkSpec, name: str | None) -> WeightsError:
    return WeightsError(f"no layout {name!r}: {did_you_mean(name, layout_names(spec))}")


def with_weights(
    spec: NetworkSpec, source: str | Path, layout: str | None = None, partial: bool = False
) -> tuple[Network, Report]:
    """The network of a spec with a checkpoint's weights, in eval mode.

    With partial, what the file does not have keeps a random start of one seed.
    """
    if layout not in (None, *layout_names(spec)):
        raise _no_layout(spec, layout)
    checkpoint = read_checkpoint(source)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = build(spec).eval()
    return model, _loaded(model, spec, source, checkpoint, layout, partial)
