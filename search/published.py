"""Published scaling rules beside a search of rules: the same network, the same budget."""

from __future__ import annotations

from collections.abc import Mapping

from archspec.errors import FitError, SpecError
from archspec.scaling.rule import read_rule
from archspec.shipped import shipped_rules
from search.rule_space import RuleSpace
from search.space import Candidate

#: a published rule that uses less of the budget is not compared with others
LEAST_USED = 0.9


def published_names(space: RuleSpace) -> dict[str, str]:
    """What each shipped rule is called beside a search, by the rule's own name."""
    return {rule: f"{space.base.name} by {rule}" for rule in shipped_rules()}


def published(space: RuleSpace, rule: str, limits: Mapping[str, float]) -> Candidate | str:
    """A shipped rule on the budget, or why it has no network there.

    Of one whose steps are coarse, `used` tells how far below the budget it lies.
    """
    try:
        return space.land(read_rule(rule), limits, LEAST_USED)
    except (FitError, SpecError) as error:
        return str(error)


__all__ = ["LEAST_USED", "published", "published_names"]
