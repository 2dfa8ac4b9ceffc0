"""A checkpoint's tensors beside a network's: which layout it has, and what becomes of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from torch import Tensor

from archspec.build import Network
from archspec.errors import WeightsError, did_you_mean
from archspec.modules.attention import Attention
from archspec.modules.tokens import Position
from archspec.spec import NetworkSpec
from archspec.weights.checkpoints import State
from archspec.weights.forms import to_ours
from archspec.weights.layouts import Layout, layouts_of
from archspec.weights.naming import Pair, pair_names
from archspec.weights.resizing import Size, bound_tensors, resize

#: the layout of state dicts that archspec writes: its own names
OWN = "archspec"
#: under which networks stand inside of training modules
_AROUND = ("model", "backbone", "encoder", "net", "network")

Verdict = Literal["fits", "is resized", "missing", "another shape"]


class Match(NamedTuple):
    """One of our tensors: what it is called there, its shapes there, and what becomes of it.

    value: in our shape, where it fits or is resized; told: what resizing did.
    """

    pair: Pair
    verdict: Verdict
    value: Tensor | None = None
    there: str = ""
    told: str = ""


class Matching(NamedTuple):
    """Every tensor of the network, and the names of a checkpoint that have no place.

    around: the first word of all names, where it was left out to find the others.
    """

    layout: str
    matches: list[Match]
    unused: tuple[str, ...]
    skipped: tuple[str, ...]
    around: str = ""


def match_state(
    model: Network,
    spec: NetworkSpec,
    state: Mapping[str, Tensor],
    layout: str | None = None,
    aspect: Size | None = None,
) -> Matching:
    """A checkpoint beside a network, under one layout or the one that knows most of the names.

    aspect: height and width of the images that it was trained on, up to a factor; None is square
    for a published layout, as here for our own. Raises WeightsError where no name is known.
    """
    state, around, chosen, pairs = _choose(model, spec, dict(state), layout)
    if chosen is not None and aspect is None:
        aspect = (1, 1)  # published networks were trained on square images
    here = spec.input.shape
    if aspect is not None and aspect[0] * here.width == aspect[1] * here.height:
        aspect = None  # as here: the map may be of another aspect than the image
    own, bound = model.state_dict(), bound_tensors(model)
    matches = [_match(pair, own[pair.ours], bound.get(pair.ours), state, aspect) for pair in pairs]
    used = {name for pair in pairs for name in pair.names}
    left = [name for name in state if name not in used]
    skipped = tuple(name for name in left if chosen is not None and chosen.skips(name))
    unused = tuple(name for name in left if name not in skipped)
    return Matching(full_name(chosen), matches, unused, skipped, around)


def _match(
    pair: Pair,
    own: Tensor,
    owner: Position | Attention | None,
    state: State,
    aspect: Size | None,
) -> Match:
    found = [state[name] for name in pair.names if name in state]
    if not found or len(found) < len(pair.names):
        return Match(pair, "missing")
    there = " + ".join(map(size_text, found))
    value = to_ours(pair, found, own)
    other = None if owner is None else resize(owner, value, aspect)
    if other is not None:
        return Match(pair, "is resized", other.value, there, other.told)
    if value.shape != own.shape:
        return Match(pair, "another shape", None, there)
    return Match(pair, "fits", value, there)


def _choose(
    model: Network, spec: NetworkSpec, state: State, name: str | None
) -> tuple[State, str, Layout | None, list[Pair]]:
    """The layout that knows most of the names, and these without what stands around them all."""
    tables = [
        (layout, pairs_of(model, layout))
        for layout in (*spec_layouts(spec), None)
        if name in (None, short_name(layout))
    ]
    if not tables:
        raise no_layout(spec, name)
    for around in ("", *_around(state)):
        inside = {key.removeprefix(around): value for key, value in state.items()}
        known = [len({n for p in pairs for n in p.names} & inside.keys()) for _, pairs in tables]
        if max(known):
            return inside, around.rstrip("."), *tables[known.index(max(known))]
    raise WeightsError(
        f"no tensor of the checkpoint, such as {next(iter(state), 'none')!r}, is one of "
        f"{spec.name}'s; its layouts: {', '.join(layout_names(spec))}"
    )


def _around(state: State) -> list[str]:
    """The first word of all names, where it is one under which networks stand."""
    words = {name.partition(".")[0] for name in state}
    return [f"{word}." for word in words if len(words) == 1 and word in _AROUND]


def layout_names(spec: NetworkSpec) -> list[str]:
    """The layouts in which a spec's weights can be read and written."""
    return [*(layout.name for layout in spec_layouts(spec)), OWN]


def spec_layouts(spec: NetworkSpec) -> tuple[Layout, ...]:
    """The layouts of a spec's family; none where it names no family."""
    return () if spec.weights is None else layouts_of(spec.weights, spec.folder("weights"))


def pairs_of(model: Network, layout: Layout | None) -> list[Pair]:
    """The network's tensors beside a layout's; None is our own."""
    if layout is None:
        return [Pair(name, (name,)) for name in model.state_dict()]
    return pair_names(model, layout)


def short_name(layout: Layout | None) -> str:
    """The name by which `--layout` asks for it."""
    return OWN if layout is None else layout.name


def full_name(layout: Layout | None) -> str:
    """Family and name."""
    return OWN if layout is None else f"{layout.family}/{layout.name}"


def no_layout(spec: NetworkSpec, name: str | None) -> WeightsError:
    """What is said of a layout that the spec does not have."""
    return WeightsError(f"no layout {name!r}: {did_you_mean(name, layout_names(spec))}")


def size_text(tensor: Tensor) -> str:
    """`64x3x7x7`."""
    return "x".join(map(str, tensor.shape)) or "one number"
