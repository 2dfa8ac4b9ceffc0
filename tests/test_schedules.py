"""lr step by step against numbers worked out by hand and the closed formula written out here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import nn

from archspec.errors import LawError
from archspec.train.recipe import Recipe
from archspec.train.schedules import make_schedule


def recipe(epochs: int, **schedule: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "x",
            "epochs": epochs,
            "batch": 8,
            "optimizer": {"name": "sgd", "lr": 0.8},
            "schedule": schedule,
        }
    )


def sgd(rates: Sequence[float]) -> torch.optim.SGD:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    return torch.optim.SGD(groups, lr=0.8)


def lrs(recipe: Recipe, steps: int, rates: Sequence[float] = (0.8,)) -> list[list[float]]:
    """lr of each group at every step of a training, as the optimizer uses it."""
    optimizer = sgd(rates)
    schedule = make_schedule(optimizer, recipe, steps)
    seen = []
    for _ in range(recipe.all_epochs * steps):
        seen.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return seen


def only(rows: list[list[float]]) -> list[float]:
    return [row[0] for row in rows]


def test_warm_up_cosine_and_cool_down() -> None:
    wanted = recipe(6, warmup=2, warmup_lr=0.2, end_lr=0.1, cooldown=1)
    found = only(lrs(wanted, 2))
    # 12 steps, 4 of them a line of 0.15 a step from 0.2; then 8 of cosine from 0.8 to 0.1: a
    # quarter of the way is (1 + cos 45) / 2 = 0.85355, half is 1/2; then 2 steps at the end
    assert len(found) == 14
    assert found[:5] == pytest.approx([0.2, 0.35, 0.5, 0.65, 0.8])
    assert found[6] == pytest.approx(0.1 + 0.7 * 0.853553390)
    assert found[8] == pytest.approx(0.45)
    assert found[10] == pytest.approx(0.1 + 0.7 * 0.146446609)
    assert found[12:] == pytest.approx([0.1, 0.1])


def test_every_step_obeys_the_formula() -> None:
    found = only(lrs(recipe(5, warmup=1.5, warmup_lr=0.01, end_lr=0.02), 10))
    for step, lr in enumerate(found):
        if step < 15:
            assert lr == pytest.approx(0.01 + 0.79 * step / 15)
        else:
            angle = math.pi * (step - 15) / 35
            assert lr == pytest.approx(0.02 + 0.39 * (1 + math.cos(angle)))


def test_without_warm_up_the_first_step_is_at_the_peak() -> None:
    found = only(lrs(recipe(2), 2))
    # no end_lr is 0: cosine of 0, 45, 90 and 135 degrees
    assert found == pytest.approx(
        [0.8, 0.4 * (1 + math.sqrt(0.5)), 0.4, 0.4 * (1 - math.sqrt(0.5))]
    )


def test_a_warm_up_from_nothing() -> None:
    assert only(lrs(recipe(4, kind="constant", warmup=1), 4))[:6] == pytest.approx(
        [0, 0.2, 0.4, 0.6, 0.8, 0.8]
    )


def test_steps_fall_at_their_epochs() -> None:
    # He et al.: a tenth at epochs 30, 60 and 80 of 90
    wanted = recipe(90, kind="step", at=[1 / 3, 2 / 3, 8 / 9], factor=0.1)
    found = only(lrs(wanted, 7))
    assert found == pytest.approx(
        [0.8] * 30 * 7 + [0.08] * 30 * 7 + [0.008] * 20 * 7 + [0.0008] * 10 * 7
    )


def test_steps_are_tenths_where_nothing_is_said() -> None:
    found = only(lrs(recipe(4, kind="step", at=[0.5], warmup=1, warmup_lr=0.4), 2))
    assert found == pytest.approx([0.4, 0.6, 0.8, 0.8, 0.08, 0.08, 0.08, 0.08])


def test_a_constant_schedule_holds_the_peak_through_the_cool_down() -> None:
    assert only(lrs(recipe(2, kind="constant", cooldown=1), 3)) == pytest.approx([0.8] * 9)


def test_groups_keep_their_share_throughout() -> None:
    wanted = recipe(4, warmup=1, warmup_lr=0.1, end_lr=0.2, cooldown=1)
    # the second group, below the end of the first, must not rise to it
    for first, second in lrs(wanted, 5, (0.8, 0.05)):
        assert second == pytest.approx(first / 16)


def test_a_warm_up_of_less_than_a_step_is_none() -> None:
    assert only(lrs(recipe(3, kind="constant", warmup=0.2), 2)) == pytest.approx([0.8] * 6)


def test_a_warm_up_that_fills_all_steps_leaves_one_at_the_peak() -> None:
    # 1.9 of 2 epochs, of 3 steps each, round to all 6
    found = only(lrs(recipe(2, warmup=1.9), 3))
    assert found == pytest.approx([0, 0.16, 0.32, 0.48, 0.64, 0.8])


def test_a_resumed_training_has_the_very_same_lr() -> None:
    wanted = recipe(5, warmup=1, end_lr=0.01)
    whole = only(lrs(wanted, 7))
    optimizer = sgd([0.8])
    schedule = make_schedule(optimizer, wanted, 7)
    for _ in range(17):
        optimizer.step()
        schedule.step()
    states = optimizer.state_dict(), schedule.state_dict()
    again = sgd([0.8])
    resumed = make_schedule(again, wanted, 7)
    again.load_state_dict(states[0])
    resumed.load_state_dict(states[1])
    for lr in whole[17:]:
        assert again.param_groups[0]["lr"] == lr
        again.step()
        resumed.step()


def test_an_epoch_has_a_step() -> None:
    with pytest.raises(LawError, match="steps >= 1 must hold, but got 0"):
        make_schedule(sgd([0.8]), recipe(2), 0)
