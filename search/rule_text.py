"""A scaling rule with domains: the pure function from picks to a rule, and rules in constants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field, ValidationError

from archspec.domains import Domain
from archspec.errors import FitError, LawError, SpecError, did_you_mean
from archspec.marks import MarkedDict, copy_tree
from archspec.resolve import YAML, locate, placed, resolve
from archspec.scaling.rule import DOUBLING, KNOBS, RULE_SPACE, Law, Rule, Stages, make_rule
from archspec.shipped import shipped_rule_spaces, shipped_rules
from archspec.strict import Number, Strict, law_of, shown
from archspec.template import Pick, Template

#: the rules that are searched where none are named
DEFAULT_RULES = "compound"
#: significant digits of a found constant
DIGITS = 6


class Near(Strict):
    """FLOPs grow by about `growth` a phi by the law, or the rule does not count.

    within: how far the product of the constants may be from that, as a share of it.
    """

    growth: Annotated[float, Field(gt=1, allow_inf_nan=False), Number] = DOUBLING
    within: Annotated[float, Field(gt=0, lt=1), Number] = 0.06


class Rules:
    """A rule's text with at least one domain, for networks of so many stages.

    each_stage: domains of the multiples of the rule's exponents, one parameter a stage.
    """

    def __init__(self, tree: MarkedDict, stages: int = 1) -> None:
        self.tree, self.stages = tree, stages
        self.name = str(tree.get("name", "rules"))
        opened = copy_tree(tree)
        self.near = self._near(opened)
        self._deal(opened)
        try:
            self._template = Template(opened)
        except LawError as error:
            raise placed(error, tree) from None
        if not self._template.has_domains:
            raise SpecError(
                f"{self.name} has nothing to search: put a domain such as {{range: [0, 8]}} where "
                "a number of the rule stands; a rule without domains is applied by archspec scale"
            )

    @classmethod
    def read(
        cls, source: str | Path, stages: int = 1, edits: Sequence[tuple[str, str]] = ()
    ) -> Rules:
        """Rules from a file or a shipped name; raises SpecError with the place."""
        path = source if isinstance(source, Path) else _located(source)
        return cls(resolve(path, edits, RULE_SPACE), stages)

    @property
    def parameters(self) -> dict[str, Domain]:
        """Every parameter by name."""
        return self._template.parameters()

    def fill(self, pick: Pick) -> Any:
        """The rule's tree with a pick in the place of every domain."""
        tree = self._template.fill(pick)
        if "stages" in tree:
            tree = copy_tree(tree)
            tree["stages"] = {
                key: list(value.values()) if isinstance(value, dict) else value
                for key, value in tree["stages"].items()
            }
        return tree

    def rule(self, pick: Pick) -> Rule:
        """The rule that these picks name, in constants whose FLOPs double a phi.

        Raises SpecError where the picks break a law, FitError where they do not count.
        """
        rule = make_rule(self.fill(pick))
        self._check_near(rule)
        try:
            return in_constants(rule, self.stages)
        except LawError as error:
            raise FitError(f"rule {self.name}: {error.problem}") from None

    def _check_near(self, rule: Rule) -> None:
        if self.near is None:
            return
        growth = geometric(rule, self.stages).growth
        if abs(growth / self.near.growth - 1) > self.near.within:
            raise FitError(
                f"FLOPs grow {growth:.3g} times a phi by the law, not {self.near.growth:g} times "
                f"to within {self.near.within:.0%}"
            )

    def _near(self, tree: MarkedDict) -> Near | None:
        raw = tree.pop("near", None)
        if raw is None:
            return None
        try:
            return Near.model_validate(raw)
        except ValidationError as error:
            raise placed(law_of(error).under("near"), self.tree) from None

    def _deal(self, tree: MarkedDict) -> None:
        """each_stage's domains given to every stage, where `stages` does not state its own."""
        each = tree.pop("each_stage", {})
        try:
            if not isinstance(each, Mapping):
                raise LawError(f"each_stage is a mapping, but got {shown(each)}", ("each_stage",))
            for key in each:
                if key not in Stages.model_fields:
                    law = f"unknown key {shown(key)}: {did_you_mean(key, Stages.model_fields)}"
                    raise LawError(law, ("each_stage", key), True)
            own = tree.get("stages", {})
            if not isinstance(own, Mapping):
                raise LawError(f"a mapping is needed, but got {shown(own)}", ("stages",))
        except LawError as error:
            raise placed(error, self.tree) from None
        lists = {key: [value] * self.stages for key, value in each.items()} | dict(own)
        if lists:
            # by number, so that a parameter is called stages.depth.0
            tree["stages"] = {
                key: {str(n): item for n, item in enumerate(value)}
                if isinstance(value, list)
                else value
                for key, value in lists.items()
            }


class Geometric(NamedTuple):
    """What a rule multiplies at phi = 1, by knob, the geometric mean over stages; growth: of FLOPs
    by its law."""

    factors: dict[str, float]
    growth: float


def geometric(rule: Rule, stages: int) -> Geometric:
    """The constants of a rule, its multiples by stage included; raises LawError for a rule of
    points, which has none."""
    if rule.points is not None:
        raise LawError("points have no constants")
    asked = rule.factors(1.0, stages)._asdict()
    means: dict[str, float] = {}
    for knob in KNOBS:
        each = asked[knob] if isinstance(asked[knob], tuple) else (asked[knob],)
        means[knob] = math.exp(math.fsum(map(math.log, each)) / len(each))
    growth = rule.law.product(means["depth"], means["width"], means["resolution"])
    return Geometric(means, growth)


def in_constants(rule: Rule, stages: int) -> Rule:
    """The same rule as factors at phi = 1, where phi is such that FLOPs double by the law.

    A list of one factor a stage where stages differ; constants have six digits. Raises LawError
    where FLOPs do not grow, and for a rule of points.
    """
    growth = geometric(rule, stages).growth
    if not growth > 1 + 1e-6:
        raise LawError(f"nothing grows: FLOPs grow {growth:.3g} times a phi by the law")
    asked = rule.factors(math.log(DOUBLING) / math.log(growth), stages)._asdict()
    tree: dict[str, Any] = {"name": rule.name}
    for knob in KNOBS:
        value = asked[knob]
        values = [_short(one) for one in (value if isinstance(value, tuple) else (value,))]
        same = len(set(values)) == 1
        if not same or values[0] != 1:
            tree[knob] = values[0] if same else values
    plain = not any(isinstance(value, list) for value in tree.values())
    law = {key: getattr(rule.law, key) for key in ("depth", "width", "resolution")}
    kept = {"stem", "head", "heads", "line", "rounding"}
    # a stated growth is checked, and none can be stated of lists
    tree["law"] = {key: value for key, value in law.items() if value != getattr(Law(), key)}
    tree["law"] |= {"growth": DOUBLING} if plain else {}
    tree |= rule.model_dump(mode="json", include=kept, exclude_defaults=True)
    return make_rule(tree)


def constants(rule: Rule, stages: int) -> dict[str, float] | None:
    """Depth's, width's and resolution's constant (alpha, beta, gamma), and others that are not 1,
    where FLOPs double a phi by the law; None for a rule that has none."""
    try:
        found = geometric(rule, stages)
    except LawError:
        return None
    if not found.growth > 1 + 1e-6:
        return None
    power = math.log(DOUBLING) / math.log(found.growth)
    scaled = {knob: _short(factor**power) for knob, factor in found.factors.items()}
    main = ("depth", "width", "resolution")
    return {knob: value for knob, value in scaled.items() if knob in main or value != 1}


def shares(factors: Mapping[str, float], law: Law) -> dict[str, float]:
    """Which share of log FLOPs depth, width and resolution have, by the law; their sum is 1."""
    parts = {
        knob: getattr(law, knob) * math.log(factors[knob])
        for knob in ("depth", "width", "resolution")
    }
    whole = math.fsum(parts.values())
    return {knob: part / whole for knob, part in parts.items()}


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _located(source: str) -> Path:
    if source in shipped_rules() and source not in shipped_rule_spaces():
        known = ", ".join(shipped_rule_spaces())
        raise SpecError(
            f"{source} is one rule, and a search needs a space of rules: {known}, or a file with "
            f"domains that extends it; one rule is applied by archspec scale --rule {source}"
        )
    if not source.endswith(YAML) and "/" not in source and source not in shipped_rule_spaces():
        near = did_you_mean(source, shipped_rule_spaces())
        raise SpecError(f"no space of rules is called {shown(source)}: {near}")
    return locate(source, RULE_SPACE)


__all__ = [
    "DEFAULT_RULES",
    "RULE_SPACE",
    "Near",
    "Rules",
    "constants",
    "geometric",
    "in_constants",
    "shares",
]
