"""NSGA-II over many trials: it proposes what Optuna's does, and a long search can be resumed."""

from __future__ import annotations

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import NSGAIISampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.folder import NUMBER
from search.proposals import Proposals

#: the attribute in which Optuna keeps a trial's generation
GENERATION = "OrderedNSGAII:generation"


class Plain(NSGAIISampler):
    """Optuna's own, but for the order of a generation's parents."""

    def select_parent(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return sorted(super().select_parent(study, generation), key=lambda trial: trial.number)


def values(x: float, y: float) -> tuple[float, float]:
    return x * (1 - y), x + y


def picks(proposals: Proposals, count: int, wide: int = 1) -> list[dict[str, float]]:
    """What is proposed, `wide` trials at once; every seventh has no score."""
    found = []
    for first in range(0, count, wide):
        asked = [proposals.ask() for _ in range(wide)]
        told = [(one.suggest_float("x", 0, 1), one.suggest_float("y", 0, 1)) for one in asked]
        # the later ones end first
        for place in reversed(range(wide)):
            lost = (first + place) % 7 == 3
            proposals.tell(asked[place], None if lost else values(*told[place]))
        found += [{"x": x, "y": y} for x, y in told]
    return found


@pytest.mark.parametrize("wide", [1, 3])
def test_it_proposes_what_optunas_own_does(monkeypatch: pytest.MonkeyPatch, wide: int) -> None:
    ours = picks(Proposals("nsga2", (3, 0), ("score", "flops")), 150, wide)
    monkeypatch.setattr("search.proposals.OrderedNSGAII", Plain)
    theirs = picks(Proposals("nsga2", (3, 0), ("score", "flops")), 150, wide)
    assert ours == theirs
    assert len({one["x"] for one in ours}) > 60


def test_a_resumed_search_of_many_trials_goes_on() -> None:
    """400 generations: Optuna's own goes as deep into itself, and Python allows 1,000 calls."""
    domains = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    finished = [
        create_trial(
            state=TrialState.COMPLETE,
            values=values(number % 97 / 97, number % 89 / 89),
            params={"x": number % 97 / 97, "y": number % 89 / 89},
            distributions=dict(domains),
            user_attrs={NUMBER: number},
            system_attrs={GENERATION: number // 20},
        )
        for number in range(8000)
    ]
    proposals = Proposals("nsga2", (0, 0), ("score", "flops"), finished)
    trial = proposals.ask()
    assert 0 <= trial.suggest_float("x", 0, 1) <= 1
    assert proposals.tell(trial, (1.0, 1.0)).system_attrs[GENERATION] == 400
