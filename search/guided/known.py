"""Shipped networks in a space's terms: where a search may begin.

A network is like a point of the space if it has as many stages and an option of each stage is made
of the same units; widths, depths and knobs are then the domains' nearest to the network's own. The
fit moves the point to the budget. Of networks of the same units the one of the best published
accuracy stands for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from archspec.domains import Choice, Domain
from archspec.shipped import shipped_networks
from archspec.spec import Stage, read_spec
from archspec.units import shipped_units

#: (unit, knob) -> value
Knobs = dict[tuple[str, str], Any]


class _Known(NamedTuple):
    """A stage of a shipped network; units: names in order, each once."""

    width: int | None
    depth: int
    units: tuple[str, ...]
    knobs: Knobs


def known_points(parameters: Mapping[str, Domain], stages: int) -> list[dict[str, Any]]:
    """Points like shipped networks, in order of the networks' accuracies; parameters that a network
    says nothing of are missing. stages: how many the space has."""
    found: list[dict[str, Any]] = []
    for network in _shipped():
        if len(network) != stages:
            continue
        points = [_stage_point(parameters, index, stage) for index, stage in enumerate(network)]
        if all(point is not None for point in points):
            found.append({name: value for point in points for name, value in (point or {}).items()})
    return found


def _stage_point(
    parameters: Mapping[str, Domain], index: int, stage: _Known
) -> dict[str, Any] | None:
    """A stage's parameters; None where no option is made of its units."""
    prefix = f"stages.{index}."
    own = {name: domain for name, domain in parameters.items() if name.startswith(prefix)}
    point: dict[str, Any] = {}
    matched = False
    for name, domain in own.items():
        word = name.removeprefix(prefix)
        if word in ("width", "depth"):
            point[name] = _nearest(domain, stage.width if word == "width" else stage.depth)
        elif isinstance(domain, Choice) and "=" not in word and word.startswith("block"):
            tag = _made_of(domain, stage.units)
            if tag is None:
                return None
            matched = True
            point[name] = tag
            point |= _inside(own, f"{name}={tag}", stage.knobs)
    said = {name: value for name, value in point.items() if value is not None}
    return said if matched else None


def _made_of(domain: Choice, units: tuple[str, ...]) -> Any:
    return next(
        (
            tag
            for tag, value in zip(domain.tags, domain.values, strict=True)
            if tuple(dict.fromkeys(_units(value))) == units
        ),
        None,
    )


def _inside(own: Mapping[str, Domain], stem: str, knobs: Knobs) -> dict[str, Any]:
    """Knobs below an option, where the network has them too."""
    point = {}
    for name, domain in own.items():
        if name.startswith(stem):
            words = name.removeprefix(stem).strip(".").split(".")
            # an option that is named after its unit leaves the unit out
            unit = words[-2] if len(words) > 1 and not words[-2].isdigit() else stem.split("=")[-1]
            value = knobs.get((unit, words[-1]))
            point[name] = None if value is None else _nearest(domain, value)
    return point


def _nearest(domain: Domain, value: Any) -> Any:
    """The tag or number of the domain nearest to a value; None where they cannot be compared."""
    number = type(value) in (int, float)
    if not isinstance(domain, Choice):
        return domain.nearest(value) if number else None
    if value in domain.values:
        return domain.tags[domain.values.index(value)]
    tags = zip(domain.tags, domain.values, strict=True)
    numbers = [(tag, told) for tag, told in tags if type(told) in (int, float)]
    if not number or not numbers:
        return None
    return min(numbers, key=lambda item: abs(item[1] - value))[0]


def _units(tree: Any) -> Iterator[str]:
    """Names of units in a block as it is written, in order."""
    if isinstance(tree, str):
        if tree in shipped_units():
            yield tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            if key in shipped_units():
                yield key
            else:
                yield from _units(value)
    elif isinstance(tree, list | tuple):
        for item in tree:
            yield from _units(item)


def _knobs(tree: Any) -> Knobs:
    """Knobs of a block's units: their defaults, where the block does not say otherwise."""
    found: Knobs = {}
    for name in _units(tree):
        for knob, declared in shipped_units()[name].knobs.items():
            found[name, knob] = declared.default
    for name, knobs in _written(tree):
        found |= {(name, knob): value for knob, value in knobs.items()}
    return found


def _written(tree: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            if key in shipped_units() and isinstance(value, Mapping):
                yield key, value
            else:
                yield from _written(value)
    elif isinstance(tree, list | tuple):
        for item in tree:
            yield from _written(item)


@cache
def _shipped() -> list[list[_Known]]:
    """Stages of shipped networks, the most accurate of those of the same units."""
    best: dict[tuple[tuple[str, ...], ...], tuple[float, list[_Known]]] = {}
    for path in shipped_networks().values():
        spec = read_spec(path)
        if spec.reference is None or spec.reference.top1 is None:
            continue
        stages = [_known(stage) for stage in spec.stages]
        kind = tuple(stage.units for stage in stages)
        if kind not in best or spec.reference.top1 > best[kind][0]:
            best[kind] = (spec.reference.top1, stages)
    return [stages for _, stages in sorted(best.values(), key=lambda item: -item[0])]


def _known(stage: Stage) -> _Known:
    tree = stage.model_dump(include={"block", "blocks"}, exclude_defaults=True)
    return _Known(stage.width, stage.count, tuple(dict.fromkeys(_units(tree))), _knobs(tree))
