"""Successive halving: rungs, who competes, and decisions against the rule written out by hand."""

from __future__ import annotations

import random

import pytest

from search.pruning import Curve, Judge, curve_of, goes_on, rung_epochs


def by_hand(accuracy: float, rivals: list[float]) -> bool:
    """Li et al., arXiv 1810.05934, algorithm 2, line 16: in the top floor(n/3) of the n at a rung.

    Trials are not suspended here, so of fewer than 3 the best goes on (Optuna's documentation of
    SuccessiveHalvingPruner). Who is level with the last that goes on goes on, too.
    """
    better = sum(rival > accuracy for rival in rivals)
    return better < max(1, (len(rivals) + 1) // 3)


@pytest.mark.parametrize(
    ("epochs", "rungs"),
    [
        (1, ()),
        (2, (1,)),
        (3, (1,)),
        (4, (1, 3)),
        (9, (1, 3)),
        (10, (1, 3, 9)),
        (17, (1, 3, 9)),
        (27, (3, 9)),
        (30, (3, 9, 27)),
        (100, (11, 33, 99)),
    ],
)
def test_rungs_are_at_1_3_9_times_a_ninth_of_the_epochs(
    epochs: int, rungs: tuple[int, ...]
) -> None:
    assert rung_epochs(epochs) == rungs


@pytest.mark.parametrize(
    ("epochs", "rungs"), [(1, ()), (2, (1, 1)), (5, (1, 2)), (9, (1, 3)), (100, (12, 34))]
)
def test_at_equal_time_rungs_are_at_a_ninth_and_a_third_of_it(
    epochs: int, rungs: tuple[int, ...]
) -> None:
    assert rung_epochs(epochs, by_time=True) == rungs


def test_the_first_goes_on_and_then_the_best_of_two() -> None:
    assert goes_on(10.0, [])
    assert goes_on(10.0, [9.0])
    assert goes_on(10.0, [10.0])
    assert not goes_on(10.0, [11.0])


@pytest.mark.parametrize("seed", range(20))
def test_decisions_are_those_of_the_rule(seed: int) -> None:
    draw = random.Random(seed)
    # few images to judge by: many trials are level
    rivals = [draw.randint(0, 12) * 100 / 12 for _ in range(draw.randint(0, 20))]
    for accuracy in range(13):
        assert goes_on(accuracy * 100 / 12, rivals) == by_hand(accuracy * 100 / 12, rivals)


def test_who_is_not_among_the_best_third_is_told_why() -> None:
    earlier = [Curve(10.0, (accuracy, accuracy + 20)) for accuracy in (10, 20, 30, 40, 50, 60)]
    judge = Judge(10.0, earlier, False, False)
    assert judge(1, 9, 55.0)
    assert judge(2, 9, 0.0), "there is no rung after 2 epochs"
    assert not judge(3, 9, 23.1)
    assert judge.reason == (
        "23.1% after 3 epochs, below the best 2 of 7 trials that cost at most 5% more"
    )


def test_a_trial_competes_with_those_that_cost_at_most_5_percent_more() -> None:
    earlier = [Curve(104.9, (50.0,)), Curve(105.1, (90.0,))]
    assert Judge(100.0, earlier, False, False)(1, 2, 60.0)
    assert not Judge(100.0, earlier, False, False)(1, 2, 40.0)
    assert not Judge(100.0, earlier, True, False)(1, 2, 60.0)


def test_with_all_competing_the_words_say_so() -> None:
    judge = Judge(1.0, [Curve(99.0, (90.0,))], True, False)
    assert not judge(1, 2, 60.0)
    assert judge.reason == "60.0% after 1 epoch, below the best of 2 trials"


def test_trials_that_did_not_reach_a_rung_do_not_compete_there() -> None:
    pruned = [Curve(1.0, (90.0,))] * 5
    judge = Judge(1.0, [*pruned, Curve(1.0, (90.0, 30.0))], False, False)
    assert judge(3, 9, 40.0)
    assert not judge(3, 9, 20.0)


def test_without_competition_all_go_on() -> None:
    judge = Judge(1.0, None, False, False)
    assert judge(1, 9, 0.0)
    assert judge.reason is None


def test_a_curve_holds_the_accuracy_at_each_rung_that_was_reached() -> None:
    accuracies = [1.0, 2.0, 3.0, 4.0, 5.0]
    assert curve_of(7.0, accuracies, 12, False) == Curve(7.0, (1.0, 3.0))
    assert curve_of(7.0, accuracies, 5, False) == Curve(7.0, (1.0, 3.0))
    assert curve_of(7.0, [5.0], 2, by_time=True) == Curve(7.0, (5.0, 5.0))
    assert curve_of(7.0, [], 12, False) == Curve(7.0, ())
