"""One network grown by a rule: factors become whole numbers that keep the laws of the language.

What is changed is kept as values by place, so that the result is a short text: `extends` and `set`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from archspec.errors import LawError, SpecError
from archspec.marks import copy_tree
from archspec.paths import KeyPath, assign
from archspec.plan import NetworkPlan
from archspec.planning import plan_network
from archspec.quantities import several
from archspec.scaling.line import Line, LineFit, fit_line, scaled_line
from archspec.scaling.places import Places, StagePlaces, find_places
from archspec.scaling.rounding import (
    rounded_depth,
    rounded_group,
    rounded_side,
    rounded_width,
)
from archspec.scaling.rule import Factors, Nearest, Rule, rule_of
from archspec.scaling.values import Numbers, Outside, values_of
from archspec.spec import NetworkSpec, Stage, make_spec

#: widths of one stage that are tried, nearest first, to keep the laws
MOST_WIDTHS = 24

Side = int | tuple[int, int]


class Scaled(NamedTuple):
    """A network grown by a rule: what was asked, what was changed, and what came of it."""

    phi: float
    factors: Factors
    numbers: Numbers
    values: dict[KeyPath, object]
    spec: NetworkSpec
    plan: NetworkPlan


@dataclass
class Scaler:
    """Applies a rule to one network; raises SpecError where the rule cannot be applied to it."""

    spec: NetworkSpec
    rule: Rule
    places: Places = field(init=False)
    #: the network's own text; not to be changed
    text: Any = field(init=False)
    _sides: dict[int, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.text = self.spec.text()
        self.places = find_places(self.spec, self.text)
        plan_network(self.spec)  # a network that breaks a law is told so before it grows
        self._check()

    @cached_property
    def _patch(self) -> int:
        """By what the stem divides the side, where it does so without a rest."""
        plan = plan_network(self.spec)
        side, left = plan.shape.height, plan.stem.out.height
        return side // left if left and side % left == 0 else 1

    @cached_property
    def outside(self) -> Outside:
        """What the rule says of stem and head, or where it says nothing, the network's own."""
        rule, spec = self.rule, self.spec
        own = None
        if None in (rule.stem, rule.head) and spec.scaling is not None:
            own = rule_of(spec.scaling, spec.folder("scaling"))
        stem, head = (
            getattr(own, key, None) if getattr(rule, key) is None else getattr(rule, key)
            for key in Outside._fields
        )
        return Outside(bool(stem), bool(head))

    # What a rule needs of a network ---------------------------------------------------------------

    def _check(self) -> None:
        spec, rule = self.spec, self.rule
        if not spec.stages:
            raise SpecError(f"{spec.name} has no stages that rule {rule.name} could scale")
        needed = rule.stage_count
        if needed not in (None, len(spec.stages)):
            raise SpecError(
                f"rule {rule.name} is for {needed} stages, but {spec.name} has {len(spec.stages)}"
            )
        if rule.moves("width") or rule.line:
            self._check_widths()
        if rule.moves("resolution") and not isinstance(spec.input.resolution, int):
            sides = list(spec.input.resolution)
            raise SpecError(
                f"rule {rule.name} grows a square input, but {spec.name} has {sides}; set "
                "input.resolution to one side"
            )

    def _check_widths(self) -> None:
        spec, rule = self.spec, self.rule
        for index, (stage, places) in enumerate(zip(spec.stages, self.places.stages, strict=True)):
            if stage.width is None:
                raise SpecError(
                    f"rule {rule.name} grows widths, but stages.{index} of {spec.name} has none: "
                    "its blocks decide it; use a rule of depth or resolution"
                )
            if places.branches:
                what, value = places.branches[0]
                raise SpecError(
                    f"rule {rule.name} grows widths, but stages.{index} of {spec.name} fixes some, "
                    f"such as {what}: {value}; write it by w or w_out, or use a rule of depth or "
                    "resolution"
                )

    # From phi to a network ------------------------------------------------------------------------

    def at(self, phi: float) -> Scaled:
        """The network at phi, all laws kept; raises SpecError with what broke where none is."""
        try:
            factors = self.rule.factors(phi, len(self.spec.stages))
            wanted = self._wanted(factors)
        except LawError as error:
            raise SpecError(f"{self.spec.name} by rule {self.rule.name}: {error.problem}") from None
        return self._lawful(phi, factors, wanted)

    def _wanted(self, factors: Factors) -> Numbers:
        depths, widths, groups = self._stages(factors)
        side = self.spec.input.resolution
        if factors.resolution != 1 and isinstance(side, int):
            how = self.rule.rounding.resolution
            # patches that the side was cut into stay whole
            step = math.lcm(how.step, self._patch)
            side = rounded_side(side, factors.resolution, how.model_copy(update={"step": step}))
        return Numbers(depths, widths, groups, side)

    def _stages(self, factors: Factors) -> _Stages:
        """Depths, widths (None where there is none) and all group widths, stage by stage."""
        stages, places = self.spec.stages, self.places.stages
        if self.rule.line:
            given = (factors.depth[0], factors.width[0], factors.group)
            return self._by_line(scaled_line(self.line.line, *given))
        depths = [
            _grown_depth(stage, own, factor, self.rule.rounding.depth)
            for stage, own, factor in zip(stages, places, factors.depth, strict=True)
        ]
        widths: list[int | None] = []
        groups = []
        for stage, own, factor in zip(stages, places, factors.width, strict=True):
            width = stage.width
            if width is not None and factor != 1:
                width = rounded_width(width * factor, self.rule.rounding.width)
            grown = tuple(place.value for place in own.groups)
            if factors.group != 1:
                grown = tuple(rounded_group(group * factors.group) for group in grown)
                grown = tuple(min(group, width or group) for group in grown)
            if width is not None and width != stage.width:
                width = _in_groups(width, grown)
            widths.append(width)
            groups.append(grown)
        return depths, widths, groups

    @cached_property
    def line(self) -> LineFit:
        """RegNet's quantised line nearest to the network's stages, as many as it has."""
        groups = [place.value for own in self.places.stages for place in own.groups]
        stages = self.spec.stages
        fitted = fit_line(
            [stage.width or 0 for stage in stages],
            [stage.count for stage in stages],
            max(groups, default=1),
        )
        found = len(fitted.line.stages().widths)
        if found != len(stages):
            raise SpecError(
                f"no line has the {len(stages)} stages of {self.spec.name}, the nearest has "
                f"{found}; use a rule that grows stage by stage"
            )
        return fitted

    def on_line(self, line: Line) -> Scaled:
        """The network with the stages of a given line; phi is nan, for no rule asked for it."""
        found, stages = line.stages(), self.spec.stages
        if len(found.widths) != len(stages):
            raise SpecError(
                f"the line has {several(len(found.widths), 'stage')}, but {self.spec.name} has "
                f"{len(stages)}; choose another line"
            )
        for index, places in enumerate(self.places.stages):
            self._check_depth(index, found.depths[index], places)
        ours = [place.value for own in self.places.stages for place in own.groups]
        if not ours and line.group_width > 1:
            raise SpecError(
                f"{self.spec.name} states no group_width that the line's g={line.group_width} "
                "could be; write g=1"
            )
        factors = Factors(
            tuple(new / stage.count for new, stage in zip(found.depths, stages, strict=True)),
            tuple(
                new / (stage.width or 1) for new, stage in zip(found.widths, stages, strict=True)
            ),
            (1.0,) * len(stages),
            line.group_width / max(ours, default=line.group_width),
            1.0,
        )
        # the knob itself is at most the width
        groups = [(line.group_width,) * len(own.groups) for own in self.places.stages]
        side = self.spec.input.resolution
        return self._lawful(math.nan, factors, Numbers(found.depths, found.widths, groups, side))

    def _check_depth(self, index: int, depth: int, places: StagePlaces) -> None:
        """Raise where a line's blocks are no whole turns, or fewer than are spelled out."""
        turns = _turn(self.spec.stages[index], places)
        if depth < _least_depth(places) or depth % turns:
            kinds = f"take turns of {turns}" if turns > 1 else "are spelled out"
            raise SpecError(
                f"the line has {several(depth, 'block')} in stages.{index}, but there "
                f"{self.spec.name}'s blocks {kinds}; choose another line"
            )

    def _by_line(self, line: Line) -> _Stages:
        """Stages that grow as those of the network's line do, so that what is off it stays so."""
        before, after = self.line.line.stages(), line.stages()
        stages, places = self.spec.stages, self.places.stages
        if len(after.widths) != len(stages):
            raise LawError(
                f"RegNet's line gives {several(len(after.widths), 'stage')}, but the network has "
                f"{len(stages)}; choose another phi, or a rule that grows stage by stage"
            )
        depths, widths, groups = [], [], []
        for index, (stage, own) in enumerate(zip(stages, places, strict=True)):
            grown = after.depths[index] / before.depths[index]
            depths.append(_grown_depth(stage, own, grown, "nearest"))
            alike = (line.group_width,) * len(own.groups)
            groups.append(alike)
            width = stage.width
            if width is not None and after.widths[index] != before.widths[index]:
                grown = width * after.widths[index] / before.widths[index]
                width = rounded_width(grown, self.rule.rounding.width)
                width = _in_groups(width, tuple(min(group, width) for group in alike))
            widths.append(width)
        return depths, widths, groups

    # The laws -------------------------------------------------------------------------------------

    def _lawful(self, phi: float, factors: Factors, wanted: Numbers) -> Scaled:
        """The network of these numbers, or of the nearest that keep all laws."""
        first: SpecError | None = None
        for side in self._lawful_sides(wanted.side):
            widths = list(wanted.widths)
            tried = [0] * len(widths)
            while True:
                try:
                    return self._made(phi, factors, wanted._replace(side=side, widths=widths))
                except SpecError as error:
                    first = first or error
                    stage = _stage_of(error)
                if stage is None or not self._moved(stage, wanted, widths, tried):
                    break
        assert first is not None
        raise SpecError(
            f"by rule {self.rule.name} at phi {phi:g}: {first.problem}", first.mark, first.path
        )

    def _moved(
        self, stage: int, wanted: Numbers, widths: list[int | None], tried: list[int]
    ) -> bool:
        """Give a stage that breaks a law the next width, nearest to the wanted one first."""
        width = wanted.widths[stage]
        if width is None or width == self.spec.stages[stage].width or tried[stage] >= MOST_WIDTHS:
            return False
        step = self.rule.rounding.width.step
        tried[stage] += 1
        away = (tried[stage] + 1) // 2 * step
        widths[stage] = max(step, width - away if tried[stage] % 2 else width + away)
        return True

    def _lawful_sides(self, wanted: Side) -> Iterator[Side]:
        """The wanted side, then the nearest at which the network itself keeps its laws: where
        windows must divide maps, that may be the side that it has."""
        yield wanted
        now = self.spec.input.resolution
        if not isinstance(wanted, int) or not isinstance(now, int):
            return
        step = self.rule.rounding.resolution.step
        for away in range(step, abs(wanted - now), step):
            for side in (wanted - away, wanted + away):
                if side >= step and self._works_at(side):
                    yield side
                    return
        if wanted != now:
            yield now

    def _works_at(self, side: int) -> bool:
        if side not in self._sides:
            try:
                plan_network(self.spec.at((side, side)))
                self._sides[side] = True
            except SpecError:
                self._sides[side] = False
        return self._sides[side]

    def steps(self, scaled: Scaled) -> Iterator[Scaled]:
        """Networks one step of one stage away, all laws kept: of its width where the rule moves
        widths, else of its depth."""
        if self.rule.line:
            return
        wide = self.rule.moves("width")
        if not wide and not self.rule.moves("depth"):
            return
        for index in range(len(self.spec.stages)):
            for sign in (-1, 1):
                stepped = (self._wider if wide else self._deeper)(scaled, index, sign)
                if stepped is not None:
                    yield stepped

    def _wider(self, scaled: Scaled, index: int, sign: int) -> Scaled | None:
        numbers = scaled.numbers
        width = numbers.widths[index]
        assert width is not None  # a law of rules that move widths
        step = math.lcm(*numbers.groups[index]) if numbers.groups[index] else 1
        step = max(step, self.rule.rounding.width.step)
        for away in range(1, MOST_WIDTHS + 1):
            moved = list(numbers.widths)
            moved[index] = asked = width + sign * away * step
            if asked < step:
                return None
            with suppress(SpecError):
                return self._made(scaled.phi, scaled.factors, numbers._replace(widths=moved))
        return None

    def _deeper(self, scaled: Scaled, index: int, sign: int) -> Scaled | None:
        depths = list(scaled.numbers.depths)
        depths[index] += sign * self.places.stages[index].turns
        if depths[index] < _least_depth(self.places.stages[index]):
            return None
        with suppress(SpecError):
            return self._made(scaled.phi, scaled.factors, scaled.numbers._replace(depths=depths))
        return None

    def _made(self, phi: float, factors: Factors, numbers: Numbers) -> Scaled:
        values = values_of(self.spec, self.places, self.rule, self.outside, factors, numbers)
        tree = copy_tree(self.text)
        for path, value in values.items():
            assign(tree, path, value, None)
        spec = make_spec(tree)
        return Scaled(phi, factors, numbers, values, spec, plan_network(spec))


_Stages = tuple[list[int], list[int | None], list[tuple[int, ...]]]


def _stage_of(error: SpecError) -> int | None:
    """The stage in which a law broke."""
    parts = error.path.split(".")
    return int(parts[1]) if parts[0] == "stages" and len(parts) > 1 and parts[1].isdigit() else None


def _in_groups(width: int, groups: tuple[int, ...]) -> int:
    """The nearest width that groups of these widths divide, as pycls rounds it."""
    whole = math.lcm(*groups) if groups else 1
    return max(whole, round(width / whole) * whole)


def _least_depth(places: StagePlaces) -> int:
    """So many blocks a stage has at least: one of each kind that is spelled out."""
    return sum(place.value > 0 for place in places.times) or 1


def _turn(stage: Stage, places: StagePlaces) -> int:
    """So many blocks are a whole turn; 1 where the stage's own depth is no number of turns."""
    return places.turns if stage.count % places.turns == 0 else 1


def _grown_depth(stage: Stage, places: StagePlaces, factor: float, how: Nearest) -> int:
    """Blocks of a stage; where blocks take turns, whole turns stay whole turns."""
    unit = _turn(stage, places)
    return max(_least_depth(places), unit * rounded_depth(stage.count / unit * factor, how))


__all__ = ["Scaled", "Scaler"]
