"""Networks drawn at random from a space, every one moved onto the same budget.

Among networks of one cost a score has to tell more than that larger is better.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from archspec.errors import FitError, SpecError
from archspec.quantities import several
from search.budgets import Budget
from search.calibration.candidates import Candidate
from search.folder import KINDS
from search.proposals import Proposals, suggest
from search.record import architecture_key
from search.space import Space

#: fewer networks have no rank correlation
LEAST = 3
#: so many proposals for each network wanted: where the fit has nothing to move, one in a hundred
#: may be on the budget
MOST_PROPOSALS = 100
#: after so many proposals without a new network, and five more for each that was found, the space
#: is called exhausted
DRY = 1000
#: a sample draws numbers of its own, so that it is no copy of a search's random baseline
_STREAM = len(KINDS)


class Sample(NamedTuple):
    """The networks that were found, and why there are fewer than wanted, else nothing."""

    candidates: tuple[Candidate, ...]
    note: str


def sample(space: Space, budgets: tuple[Budget, ...], count: int, seed: int) -> Sample:
    """So many random networks of a space, each using 98% to 100% of a budget and none twice.

    Proposal number n depends on (seed, n) alone: a larger sample begins with the smaller one.
    Raises FitError where the space holds fewer than 3 on the budget.
    """
    limits: Mapping[str, float] = {budget.quantity: budget.limit for budget in budgets}
    group = " and ".join(map(str, budgets))
    found: dict[str, Candidate] = {}
    proposals = Proposals("random", (seed, _STREAM), ["score"])
    misfits, reason, newest = 0, "", 0
    while len(found) < count and proposals.next_number() < MOST_PROPOSALS * count:
        if proposals.next_number() - newest > DRY + 5 * len(found):
            break
        trial = proposals.ask()
        try:
            fitted = space.onto_budget(space.spec(suggest(trial)), limits)
        except (FitError, SpecError) as error:
            misfits, reason = misfits + 1, str(error)
        else:
            name = f"{space.name}_{len(found)}"
            spec = fitted.spec.model_copy(update={"name": name, "doc": ""})
            key = architecture_key(spec)
            if key not in found:
                found[key] = Candidate(name, group, spec, fitted.plan, ())
                newest = proposals.next_number()
        proposals.tell(trial, None)
    note = ""
    if len(found) < count:
        repeats = proposals.next_number() - misfits - len(found)
        note = (
            f"{space.name} gave {several(len(found), 'network')} at {group}, not {count}: of "
            f"{proposals.next_number()} proposals {repeats} repeat others and {misfits} do not fit"
        )
        note += f", such as: {reason}" if misfits else ""
    if len(found) < LEAST:
        raise FitError(f"{note}; a rank correlation needs {LEAST} and more")
    return Sample(tuple(found.values()), note)


__all__ = ["LEAST", "Sample", "sample"]
