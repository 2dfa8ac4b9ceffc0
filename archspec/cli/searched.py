"""What a `search` is for, and what it searches: checked before data or device are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import typer

from archspec.cli.search_options import DEFAULT_SPACE

if TYPE_CHECKING:
    from search.budgets import Budget
    from search.folder import RunInfo, Scaling
    from search.ladder import Ladder
    from search.rule_space import RuleSpace
    from search.space import Space

#: a base that is more of the budget leaves scaling rules little to differ by
ROOM = 2 / 3


class Aim(NamedTuple):
    """What a search is for. iso: candidates land at the ceiling of the first budget, not below."""

    budgets: tuple[Budget, ...]
    objectives: tuple[str, ...]
    iso: bool
    sampler: str


class Searched(NamedTuple):
    """What is searched: networks, or rules for one network, and in that case what is asked of them.

    points: how many a grid has; None of another sampler.
    """

    space: Space | RuleSpace
    scaling: Scaling | None
    points: int | None


def aim_of(
    budget: Sequence[str],
    objective: Sequence[str],
    iso: bool,
    sampler: str | None,
    rules: bool,
    ladder: Ladder | None,
) -> Aim:
    """What a search is for. rules: whether scaling rules are searched.

    Raises ArchspecError where what was asked for is at odds.
    """
    from search.budgets import budgets_of
    from search.metrics import objectives_of
    from search.proposals import GUIDED, check_sampler
    from search.rungs import MANY, MANY_SAMPLER

    budgets = budgets_of(budget)
    # where nothing is fitted, or rules are, no target is below the ceiling
    objectives = objectives_of(objective, budgets, iso or rules)
    iso = iso or rules or budgets[0].quantity not in objectives
    many = ladder is not None and ladder.rungs[0].count > MANY
    sampler = sampler or (MANY_SAMPLER if many else GUIDED)
    check_sampler(sampler, objectives)
    return Aim(budgets, objectives, iso, sampler)


def searched_of(
    space: str | None,
    scaling: str | None,
    rule: str | None,
    larger: int | None,
    edit: Sequence[str],
    aim: Aim,
) -> Searched:
    """The space of networks, or of rules; raises ArchspecError where a candidate cannot be planned,
    or the aim's sampler cannot go through it."""
    from search.grid import GRID

    read, asked = _read(space, scaling, rule, larger, edit)
    read.check()
    if aim.sampler != GRID:
        return Searched(read, asked, None)
    from search.run import grid_of

    return Searched(read, asked, len(grid_of(read, aim.sampler, aim.iso)))


def _read(
    space: str | None,
    scaling: str | None,
    rule: str | None,
    larger: int | None,
    edit: Sequence[str],
) -> tuple[Space | RuleSpace, Scaling | None]:
    from archspec.cli.specs import edit_of
    from archspec.errors import RunError
    from search.folder import Scaling
    from search.larger import LARGER
    from search.rule_space import RuleSpace
    from search.rule_text import DEFAULT_RULES
    from search.space import Space

    edits = tuple(edit_of(text) for text in edit)
    if scaling is None:
        for option, given in (("--rule", rule), ("--larger", larger)):
            if given is not None:
                raise RunError(
                    f"{option} is of a search of rules; name the network that they scale, too: "
                    "--scaling SPEC"
                )
        return Space.read(space or DEFAULT_SPACE, edits), None
    if space is not None:
        raise RunError(
            f"a search is of a space, {space}, or of rules that scale a network, --scaling "
            f"{scaling}; leave one out"
        )
    read = RuleSpace.read(scaling, rule or DEFAULT_RULES, edits)
    larger = LARGER if larger is None else larger
    return read, Scaling(read.base.name, read.rules.name, scaling, larger)


def tell_room(space: RuleSpace, info: RunInfo) -> None:
    """Say so where a budget leaves rules next to nothing to differ by, or is below the base.

    Raises RunError where there is none that a rule can be solved for.
    """
    from archspec.cost import totals
    from archspec.errors import RunError
    from archspec.fit import used_share
    from archspec.planning import plan_network
    from archspec.quantities import Quantity, format_quantity

    total = totals(plan_network(space.base))
    if not info.limits:
        measured = " and ".join(budget.exact for budget in info.budgets)
        twice = format_quantity(Quantity(2.0 * total.flops, "flops")).replace(" ", "")
        raise RunError(
            f"a rule grows {space.base.name} to what the text tells, but {measured} is measured; "
            f"give a ceiling beside it, such as --budget {twice}"
        )
    share = used_share(total, info.limits)
    if share > ROOM:
        typer.echo(
            f"note: {space.base.name} itself is {share:.0%} of the budget; rules differ where a "
            "network grows by half or more",
            err=True,
        )


__all__ = ["Aim", "Searched", "aim_of", "searched_of", "tell_room"]
