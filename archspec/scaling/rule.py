"""The scaling rule: how depth, width and resolution grow together, as written, checked.

A Rule is frozen. `read_rule` makes one from a file, a shipped name, or a name of the dWr family
such as `d1_w8_g8_r1`; `Rule.factors` tells what it asks of a network at phi.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from archspec.dump import dump_yaml
from archspec.errors import LawError, SpecError
from archspec.load import parse_yaml
from archspec.marks import find_mark, key_mark
from archspec.resolve import FORMAT, YAML, Kind, edit, locate, resolve
from archspec.rules import check_name, dwr_shares
from archspec.shipped import shipped_rule_spaces, shipped_rules
from archspec.strict import Number, Strict, law_of, shown

#: what a rule may grow
KNOBS = ("depth", "width", "resolution", "group", "kernel")
#: the rule of a network that names none: "likely the best default option" (pycls, scaler.py)
DEFAULT_RULE = "dwr"
#: growth a phi of rules that share out a doubling of the FLOPs
DOUBLING = 2.0
MOST_STAGES = 100

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), Number]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), Number]
Each = Annotated[tuple[Positive, ...], Field(min_length=1, max_length=MOST_STAGES)]
Factor = Positive | Each
Multipliers = Annotated[tuple[NotNegative, ...], Field(min_length=1, max_length=MOST_STAGES)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Nearest = Literal["nearest", "up"]


class Law(Strict):
    """FLOPs grow by depth^a * width^b * resolution^c; the defaults hold for convolutions.

    growth: that product at phi = 1 as the rule states it, which is checked; printed: as its paper
    prints it, which is only shown.
    """

    depth: NotNegative = 1.0
    width: NotNegative = 2.0
    resolution: NotNegative = 2.0
    growth: Positive | None = None
    printed: Positive | None = None

    def product(self, depth: float, width: float, resolution: float) -> float:
        """By how much FLOPs grow under these factors; infinite where that is no number."""
        try:
            return float(depth**self.depth * width**self.width * resolution**self.resolution)
        except OverflowError:
            return math.inf


class Shares(Strict):
    """How a doubling of the FLOPs is shared out; the sum of depth, width and resolution is all.

    With e the share and S their sum: depth grows by s^(e/S), width, resolution, group width and
    kernel by s^(e/S/2), s = 2^phi (Dollar et al., arXiv 2103.06877, section 3;
    facebookresearch/pycls, scaler.py). Group width and kernel come on top of the law.
    """

    depth: NotNegative = 0.0
    width: NotNegative = 0.0
    resolution: NotNegative = 0.0
    group: NotNegative = 0.0
    kernel: NotNegative = 0.0

    @model_validator(mode="after")
    def _some(self) -> Shares:
        if not self.depth + self.width + self.resolution > 0:
            raise LawError("one share of depth, width and resolution is above 0")
        return self

    def exponent(self, knob: str) -> float:
        """The knob's part of log s."""
        whole = self.depth + self.width + self.resolution
        return float(getattr(self, knob)) / whole / (1 if knob == "depth" else 2)


class Stages(Strict):
    """What a stage's own exponent is, as a multiple of the rule's: one number a stage."""

    depth: Multipliers | None = None
    width: Multipliers | None = None
    kernel: Multipliers | None = None


class Point(Strict):
    """One network of a released family, by its factors from the family's first one.

    depth, width: factors, or lists of one a stage; side: in pixels, of which the ratio to the first
    point's counts; dropout: of the head, where the base has the first point's.
    """

    name: Name
    depth: Factor = 1.0
    width: Factor = 1.0
    side: Positive | None = None
    dropout: Annotated[float, Field(ge=0, lt=1), Number] | None = None


class WidthRounding(Strict):
    """To multiples of `step`; the result is at least `keep` of the value, or one step more."""

    step: Annotated[int, Field(strict=True, ge=1, le=1024)] = 8
    keep: Annotated[float, Field(ge=0, le=1), Number] = 0.0


class SideRounding(Strict):
    """To multiples of `step`; grown to `most` at most, where that is stated."""

    step: Annotated[int, Field(strict=True, ge=1, le=1024)] = 4
    most: Annotated[int, Field(strict=True, ge=1, le=16_384)] | None = None


class Rounding(Strict):
    """How factors become whole numbers; no depth falls below 1, no width below its step."""

    width: WidthRounding = WidthRounding()
    depth: Nearest = "nearest"
    resolution: SideRounding = SideRounding()


class Factors(NamedTuple):
    """What a rule asks for: depth, width and kernel one number a stage, and for all the rest."""

    depth: tuple[float, ...]
    width: tuple[float, ...]
    kernel: tuple[float, ...]
    group: float
    resolution: float
    dropout: float | None = None


class Rule(Strict):
    """How a network grows: by factors at phi = 1, by shares of a doubling, or from point to point.

    depth, width, resolution, group, kernel: factors at phi = 1, of which phi is the power; lists
    hold one factor a stage. shares: in their place, see Shares. points: in their place, networks
    numbered by phi from 0; between two of them factors are interpolated in the logarithm, beyond
    the last there is nothing. stages: multiples of exponents, one a stage. stem, head: whether
    their stated widths grow with the first, or the last, stage; null is what the network's own
    rule says, else not. heads: whether numbers of
    attention heads are kept, or follow the width so that a head's own stays near what it was.
    line: widths, depths and group widths are those of RegNet's quantised line, which grows.
    """

    format: Literal[1] = FORMAT
    name: Name
    doc: str = ""
    source: str = ""
    depth: Factor | None = None
    width: Factor | None = None
    resolution: Positive | None = None
    group: Positive | None = None
    kernel: Factor | None = None
    shares: Shares | None = None
    points: Annotated[tuple[Point, ...], Field(min_length=2, max_length=200)] | None = None
    stages: Stages = Stages()
    law: Law = Law()
    stem: bool | None = None
    head: bool | None = None
    heads: Literal["follow", "keep"] = "follow"
    line: bool = False
    rounding: Rounding = Rounding()

    _tree: Any = PrivateAttr(default=None)

    def __eq__(self, other: object) -> bool:
        # where a rule was read from is no part of it
        return isinstance(other, Rule) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]

    @model_validator(mode="after")
    def _laws(self) -> Rule:
        given = [key for key in KNOBS if getattr(self, key) is not None]
        forms = [key for key in ("shares", "points") if getattr(self, key) is not None]
        ways = [*forms, *(["factors"] if given else [])]
        if len(ways) != 1:
            law = "a rule has either factors (depth, width, ...), or shares, or points"
            got = " and ".join(ways) or "none of them"
            hint = "; what a rule extends is taken back by null" if len(ways) > 1 else ""
            raise LawError(f"{law}, but got {got}{hint}")
        if not any(self.moves(knob) for knob in KNOBS):
            raise LawError("a rule moves one at least of depth, width, resolution, group, kernel")
        if self.points is not None:
            names = [point.name for point in self.points]
            if len(set(names)) < len(names):
                raise LawError("each point has a name of its own", ("points",))
            if self.law.growth is not None:
                law = "growth a phi is stated of factors; points have each their own"
                raise LawError(law, ("law", "growth"), True)
            if any(getattr(self.stages, key) is not None for key in Stages.model_fields):
                law = "points state a stage's own factor as a list; they have no stages"
                raise LawError(law, ("stages",), True)
            sides = [point.side is None for point in self.points]
            if any(sides) and not all(sides):
                raise LawError("points have all a side or none", ("points",))
        if self.line and (self.points or self.stage_count or self.moves("kernel")):
            law = "a line has one factor each of depth, width and group, no kernel and no points"
            raise LawError(law, ("line",), True)
        for place, lists in self._lists():
            lengths = sorted({len(numbers) for numbers in lists})
            if len(lengths) > 1:
                law = f"one number a stage: lists are of one length, but got {lengths}"
                raise LawError(law, (place,))
        self._check_growth()
        return self

    def _check_growth(self) -> None:
        """The growth that a rule states is that of its own constants."""
        stated, real = self.law.growth, self.growth
        if stated is None:
            return
        if real is None:
            law = "growth is of rules with one factor for all stages"
            raise LawError(law, ("law", "growth"), True)
        if abs(stated / real - 1) > 0.005:
            law = f"growth is depth^{self.law.depth:g} * width^{self.law.width:g} * "
            law += f"resolution^{self.law.resolution:g} = {real:.4g}, but got {stated:g}"
            raise LawError(law, ("law", "growth"))

    def _lists(self) -> Iterator[tuple[str, list[tuple[float, ...]]]]:
        """Numbers by stage, by the key under which they stand."""
        own = [getattr(self, key) for key in ("depth", "width", "kernel")]
        own += [getattr(self.stages, key) for key in Stages.model_fields]
        yield "stages", [item for item in own if isinstance(item, tuple)]
        points = [getattr(point, key) for point in self.points or () for key in ("depth", "width")]
        yield "points", [item for item in points if isinstance(item, tuple)]

    @property
    def stage_count(self) -> int | None:
        """Of networks that the rule is for; None where it says nothing a stage."""
        return next((len(lists[0]) for _, lists in self._lists() if lists), None)

    @property
    def growth(self) -> float | None:
        """FLOPs grow by this a phi, by the law; None where that differs by stage or by point."""
        if self.points is not None or self.stage_count is not None:
            return None
        try:
            one = self.factors(1.0, 1)
        except LawError:
            return math.inf
        return self.law.product(one.depth[0], one.width[0], one.resolution)

    def moves(self, knob: str) -> bool:
        """Whether networks of this rule differ in a knob: depth, width, resolution, ..."""
        if self.points is not None:
            key = "side" if knob == "resolution" else knob
            return len({getattr(point, key, None) for point in self.points}) > 1
        if self.shares is not None:
            return self.shares.exponent(knob) > 0
        factor = getattr(self, knob)
        factors = factor if isinstance(factor, tuple) else (factor or 1.0,)
        return any(one != 1 for one in factors)

    @property
    def last(self) -> float:
        """The largest phi."""
        return math.inf if self.points is None else float(len(self.points) - 1)

    @property
    def first(self) -> float:
        """The smallest phi."""
        return -math.inf if self.points is None else 0.0

    def factors(self, phi: float, stages: int) -> Factors:
        """What the rule asks of a network of so many stages; raises LawError where phi is none
        of its own or the factors are no numbers any more."""
        if not math.isfinite(phi):
            raise LawError(f"phi is a finite number, but got {phi}")
        needed = self.stage_count
        if needed is not None and needed != stages:
            raise LawError(f"rule {self.name} is for {needed} stages, but got {stages}")
        try:
            found = self._point(phi, stages) if self.points else self._power(phi, stages)
        except OverflowError:
            found = None
        every = () if found is None else (*found.depth, *found.width, *found.kernel, *found[3:5])
        if not every or not all(0 < factor < math.inf for factor in every):
            law = "phi overflows: factors are no numbers any more; choose a phi nearer to 0"
            raise LawError(f"{law}, not {phi:g}, or smaller factors")
        assert found is not None
        return found

    def _power(self, phi: float, stages: int) -> Factors:
        def grown(knob: str) -> tuple[float, ...]:
            if self.shares is not None:
                one: Any = DOUBLING ** self.shares.exponent(knob)
            else:
                one = getattr(self, knob) or 1.0
            bases = one if isinstance(one, tuple) else (one,) * stages
            own = getattr(self.stages, knob, None) or (1.0,) * stages
            return tuple(base ** (phi * part) for base, part in zip(bases, own, strict=True))

        return Factors(
            grown("depth"),
            grown("width"),
            grown("kernel"),
            grown("group")[0],
            grown("resolution")[0],
        )

    def _point(self, phi: float, stages: int) -> Factors:
        points = self.points or ()
        if not 0 <= phi <= self.last:
            raise LawError(
                f"rule {self.name} has points for phi from 0 ({points[0].name}) to {self.last:g} "
                f"({points[-1].name}), but got {phi:g}"
            )
        low, part = int(phi), phi - int(phi)
        near = points[low]
        beyond = points[min(low + 1, len(points) - 1)]

        def between(a: float, b: float) -> float:
            return a if part == 0 else math.exp((1 - part) * math.log(a) + part * math.log(b))

        def grown(knob: str) -> tuple[float, ...]:
            sides: list[Sequence[float]] = []
            for point in (near, beyond):
                value = getattr(point, knob)
                sides.append(value if isinstance(value, tuple) else (value,) * stages)
            return tuple(between(a, b) for a, b in zip(*sides, strict=True))

        start = points[0].side or 1.0
        side = between(near.side or 1.0, beyond.side or 1.0) / start
        dropout = near.dropout if part < 0.5 else beyond.dropout
        return Factors(grown("depth"), grown("width"), (1.0,) * stages, 1.0, side, dropout)

    @property
    def tree(self) -> Any:
        """The tree that this rule was made from, with places; None for one made in Python."""
        return self._tree

    def dump(self) -> str:
        """The whole rule as YAML that reads back to an equal one."""
        return dump_yaml({"format": FORMAT, **self.model_dump(mode="json", exclude_defaults=True)})


_FIELDS = tuple(Rule.model_fields)
RULE = Kind(
    "scaling rule",
    ("format", "name", "doc", "source", "extends", "set", *_FIELDS[4:]),
    merged=("stages", "law", "rounding"),
    own=("format", "name", "doc", "source"),
    known=shipped_rules,
    find=lambda name: shipped_rules().get(name),
)


#: a rule's text with domains, which is searched: see search.rule_text
RULE_SPACE = Kind(
    "space of rules",
    (*RULE.keys, "each_stage", "near"),
    merged=RULE.merged,
    own=RULE.own,
    # a rule may be the start, too: extends: cmt
    known=lambda: shipped_rule_spaces() | shipped_rules(),
    find=lambda name: (shipped_rules() | shipped_rule_spaces()).get(name),
)


def dwr_rule(name: str) -> Rule | None:
    """A rule of the dWr family by its name in pycls, such as `dw` or `d1_w8_g8_r1`; or None.

    Only `dwr` itself is the shipped rule of the paper's default; with small letters alone pycls
    means the uniform rule, `d1_w1_r1`.
    """
    shares = dwr_shares(name)
    if shares is None:
        return None
    try:
        return Rule(
            name=name,
            doc="A rule of the dWr family.",
            source="Dollar et al., arXiv 2103.06877; facebookresearch/pycls, scaler.py",
            shares=Shares.model_validate(shares),
        )
    except ValidationError as error:
        raise SpecError(f"rule {shown(name)}: {law_of(error).problem}") from None


def read_rule(source: str | Path, edits: Sequence[tuple[str, str]] = ()) -> Rule:
    """A rule from a file, a shipped name or a name of the dWr family.

    edits: (path, YAML value) pairs, applied last. Raises SpecError with file, line, column, path
    and law where the text is wrong.
    """
    if isinstance(source, str) and not source.endswith(YAML) and "/" not in source:
        try:
            source = check_name(source)
            rule = dwr_rule(source)
        except LawError as error:
            raise SpecError(error.problem) from None
        if rule is not None:
            tree = parse_yaml(rule.dump(), source)
            edit(tree, edits, RULE)
            return make_rule(tree)
    path = source if isinstance(source, Path) else locate(source, RULE)
    return make_rule(resolve(path, edits, RULE))


def make_rule(tree: Mapping[str, Any]) -> Rule:
    """A checked rule from a resolved tree; raises SpecError with the place."""
    try:
        rule = Rule.model_validate(tree)
    except ValidationError as error:
        law = law_of(error)
        mark = (key_mark(tree, law.path) if law.at_key else None) or find_mark(tree, law.path)
        # points are numbered, for they are no nodes
        raise SpecError(law.problem, mark, ".".join(map(str, law.path))) from None
    rule._tree = tree
    return rule


def parse_rule(text: str, name: str = "rule") -> Rule:
    """A rule from YAML text that extends nothing, as `dump` writes it."""
    tree = parse_yaml(text, name)
    tree.setdefault("name", name)
    return make_rule(tree)


def rule_of(spec_scaling: str | None, folder: Path) -> Rule:
    """The rule that a network names, or the default; a path is one inside the text's folder."""
    if spec_scaling is None:
        return read_rule(DEFAULT_RULE)
    if spec_scaling.endswith(YAML):
        return read_rule(folder / spec_scaling)
    return read_rule(spec_scaling)


__all__ = [
    "DEFAULT_RULE",
    "RULE",
    "RULE_SPACE",
    "Factors",
    "Law",
    "Point",
    "Rule",
    "Shares",
    "make_rule",
    "parse_rule",
    "read_rule",
    "rule_of",
]
