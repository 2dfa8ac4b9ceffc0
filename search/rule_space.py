"""A space of scaling rules for one network: from picks to the network grown to a budget."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from archspec.domains import Domain
from archspec.dump import dump_yaml
from archspec.errors import FitError, SpecError
from archspec.fit import ENOUGH
from archspec.load import parse_yaml
from archspec.scaling.rule import Rule
from archspec.scaling.scaled import Scaler
from archspec.scaling.solve import land
from archspec.spec import make_spec, read_spec
from archspec.template import Pick
from search.grid import all_points
from search.rule_text import DEFAULT_RULES, Rules
from search.space import TRIED, Candidate, Landing, drawn

_PARTS = {"base", "rule"}


class RuleSpace:
    """A network and a rule's text with at least one domain."""

    #: phi is solved for whatever limits are given
    fits = True

    def __init__(self, tree: dict[str, Any], name: str) -> None:
        """tree: the network under `base`, the rule's text under `rule`."""
        if set(tree) != _PARTS or not all(isinstance(part, dict) for part in tree.values()):
            raise SpecError(f"{name} is no space of rules: it has a base and a rule")
        self.name, self.tree = name, tree
        self.base = make_spec(tree["base"])
        self.rules = Rules(tree["rule"], max(1, len(self.base.stages)))
        shape = self.base.input.shape
        #: longer side of the base's input
        self.side = max(shape.height, shape.width)

    @classmethod
    def read(
        cls,
        base: str | Path,
        rules: str | Path = DEFAULT_RULES,
        edits: Sequence[tuple[str, str]] = (),
    ) -> RuleSpace:
        """From files or shipped names; edits: (path, YAML value) pairs, of the rule's text.

        Raises SpecError with the place.
        """
        spec = read_spec(base)
        read = Rules.read(rules, max(1, len(spec.stages)), edits)
        # figures are the base's own; its rule stays, for it tells of stem and head
        bare = spec.without_files().model_copy(update={"reference": None})
        tree = parse_yaml(bare.dump(), spec.name)
        return cls({"base": tree, "rule": read.tree}, f"{spec.name}_{read.name}")

    @classmethod
    def parse(cls, text: str, name: str) -> RuleSpace:
        """A space from the text that `dump` gave."""
        return cls(parse_yaml(text, name), name)

    def dump(self) -> str:
        """Base and rule as YAML; nothing is inherited."""
        return dump_yaml(self.tree)

    @property
    def parameters(self) -> dict[str, Domain]:
        """Every parameter by name."""
        return self.rules.parameters

    def check(self) -> None:
        """Raise SpecError where no rule of the space can be applied to the base."""
        broken: SpecError | FitError | None = None
        for pick in self._tries():
            try:
                Scaler(self.base, self.rules.rule(pick))
            except (FitError, SpecError) as error:
                broken = broken or error
            else:
                return
        if broken is not None:
            raise broken

    def _tries(self) -> Iterator[Pick]:
        for number in range(TRIED):
            rng = random.Random(number)
            yield lambda _, domain, rng=rng: drawn(domain, rng)  # type: ignore[misc]
        if (near := self.rules.near) is None:
            return
        # chance may have met none of the few that count
        if not self.points:
            raise SpecError(
                f"no point of {self.rules.name} has FLOPs grow {near.growth:g} times a phi to "
                f"within {near.within:.0%}; widen its domains, or near.within"
            )
        yield lambda name, _: self.points[0][name]

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        """Every point of a grid whose rule counts: near the law, where that is asked."""
        return [
            point
            for point in all_points(self.rules.fill, self.parameters, self.rules.name)
            if self._counts(point)
        ]

    def _counts(self, point: Mapping[str, Any]) -> bool:
        try:
            self.rules.rule(lambda name, _: point[name])
        except (FitError, SpecError):
            return False
        return True

    def propose(self, pick: Pick) -> Landing:
        """The rule that these picks name, to be landed under limits.

        Raises SpecError where it breaks a law, FitError where it does not count.
        """
        rule = self.rules.rule(pick)
        return lambda limits: self.land(rule, limits)

    def land(self, rule: Rule, limits: Mapping[str, float], enough: float = ENOUGH) -> Candidate:
        """The base grown by a rule until it uses a share of `enough` or more of one limit.

        Raises FitError where the rule has no such network, SpecError where it cannot be applied.
        """
        scaled, used, _ = land(Scaler(self.base, rule), limits)
        if used < enough:
            raise FitError(
                f"{self.base.name} by rule {rule.name}: no step lands within {1 - enough:.0%} "
                f"under the budget; the nearest below uses {used:.2%} of it"
            )
        return Candidate(scaled.spec, scaled.plan, used, rule, scaled.phi)


__all__ = ["RuleSpace"]
