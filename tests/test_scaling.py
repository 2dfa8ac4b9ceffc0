"""Recipes taken to other data; every expected number is worked out by hand in its comment."""

from __future__ import annotations

import math
from typing import Any

import pytest

from archspec.errors import LawError
from archspec.shipped import shipped_recipes
from archspec.train.recipe import Recipe, read_recipe
from archspec.train.scaling import changes, scaled


def recipe(**changed: Any) -> Recipe:
    """1,024,000 images, 100 epochs of 1,000 steps."""
    tree: dict[str, Any] = {
        "name": "x",
        "images": 1_024_000,
        "epochs": 100,
        "batch": 1024,
        "optimizer": {"name": "sgd", "lr": 0.8},
        "schedule": {"warmup": 5, "warmup_lr": 0.08, "end_lr": 0.008, "cooldown": 10},
        "drop_path": 0.4,
        "ema": 0.9999,
    }
    return Recipe.model_validate(tree | changed)


def test_the_same_epochs_on_a_smaller_set() -> None:
    # r = 1/16, so batch = 1024 / 4; lr / 4; epochs, warm-up and drop path as they were
    after = scaled(recipe(), 64_000)
    assert (after.images, after.epochs, after.batch) == (64_000, 100, 256)
    assert after.optimizer.lr == pytest.approx(0.2)
    schedule = after.schedule
    assert (schedule.warmup, schedule.cooldown) == (5, 10)
    assert (schedule.warmup_lr, schedule.end_lr) == pytest.approx((0.02, 0.002))
    assert after.drop_path == 0.4
    # 100,000 steps became 100 * 64,000 / 256 = 25,000: 1 - d = 1e-4 * 4
    assert after.ema == pytest.approx(0.9996)


def test_fewer_epochs_of_a_smaller_set() -> None:
    # e = 1/4 and r = 1/64, so batch = 1024 / 8
    after = scaled(recipe(), 64_000, 25)
    assert (after.epochs, after.batch) == (25, 128)
    assert after.optimizer.lr == pytest.approx(0.1)
    assert (after.schedule.warmup, after.schedule.cooldown) == (1.25, 2.5)
    assert after.drop_path == pytest.approx(0.1)
    # 25 * 64,000 / 128 = 12,500 steps: 1 - d = 1e-4 * 8
    assert after.ema == pytest.approx(0.9992)


def test_more_epochs_keep_the_batch_and_the_drop_path() -> None:
    after = scaled(recipe(), 1_024_000, 200)
    assert (after.epochs, after.batch, after.drop_path) == (200, 1024, 0.4)
    assert after.optimizer.lr == 0.8
    assert after.schedule.warmup == 10
    assert after.ema == pytest.approx(0.99995)


def test_the_square_root_rule() -> None:
    optimizer = {"name": "adamw", "lr": 0.004}
    after = scaled(recipe(optimizer=optimizer), 64_000)
    # batch / 4, so lr / 2
    assert after.optimizer.lr == pytest.approx(0.002)
    assert after.schedule.end_lr == pytest.approx(0.004)


@pytest.mark.parametrize(
    ("batch", "images", "wanted"),
    [
        (1024, 1_024_000, 1024),
        (1024, 10_240_000, 1024),  # never above the recipe's
        (1024, 2_000, 64),  # 1024 sqrt(0.00195) = 45.3, just nearer to 64 by ratio
        (1024, 1_900, 32),  # 44.1
        (1024, 100, 32),  # 10.1: 32 at least
        (1024, 20, 20),  # never above the images
        (16, 64_000, 16),  # a recipe's smaller batch stays
        (100, 512_000, 64),  # 70.7
        (100, 1_000_000, 100),
    ],
)
def test_batches(batch: int, images: int, wanted: int) -> None:
    assert scaled(recipe(batch=batch), images).batch == wanted


def test_nearly_as_many_images_change_nothing() -> None:
    before = recipe(batch=100)
    for images in (930_000, 1_120_000):
        assert scaled(before, images) == before.model_copy(update={"images": images})
    assert changes(before, scaled(before, 930_000)) == ["images 1024000 -> 930000"]
    # the epochs are another training whatever the images
    assert scaled(before, 512_000, 200).schedule.warmup == 10


def test_averages_forget_half_at_most() -> None:
    # 100 images are 3.125 steps of 32 an epoch, 1 epoch: 1 - d would be 3.2
    assert scaled(recipe(), 100, 1).ema == 0.5
    assert scaled(recipe(ema=None), 100, 1).ema is None


def test_a_schedule_without_end_keeps_none() -> None:
    before = recipe(schedule={"kind": "step", "at": [0.5]})
    assert scaled(before, 64_000).schedule == before.schedule


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_goes_to_any_data(name: str) -> None:
    before = read_recipe(name)
    for images in (1, 1_437, 50_000, 1_281_167, 14_000_000):
        for epochs in (None, 1, 15, 1_000):
            after = scaled(before, images, epochs)
            assert after.images == images
            assert after.epochs == (epochs or before.epochs)
            assert after.schedule.warmup < after.epochs
            assert 1 <= after.batch <= min(before.batch, images)
            ratio = after.optimizer.lr / before.optimizer.lr
            share = after.batch / before.batch
            # no shipped recipe names a rule: SGD follows in proportion, the others by the root
            linear = before.optimizer.name == "sgd"
            assert ratio == pytest.approx(share if linear else math.sqrt(share))


def test_changes_are_phrases_of_one_line() -> None:
    before = read_recipe("convnext")
    told = changes(before, scaled(before, 50_000, 60))
    # 4096 sqrt(0.0390 * 0.2) = 361.8; 384,375,000 / 4096 against 3,000,000 / 256 steps
    assert told == [
        "images 1281167 -> 50000",
        "epochs 300 -> 60",
        "batch 4096 -> 256",
        "lr 0.004 -> 0.001",
        "warmup 20 -> 4",
        "end_lr 1e-06 -> 2.5e-07",
        "drop_path 0.1 -> 0.02",
        "ema 0.9999 -> 0.9992",
    ]
    assert changes(before, before) == []


@pytest.mark.parametrize(
    ("images", "epochs", "words"),
    [(0, None, "images >= 1 must hold, but got 0"), (10, 0, "epochs >= 1 must hold, but got 0")],
)
def test_laws(images: int, epochs: int | None, words: str) -> None:
    with pytest.raises(LawError, match=words):
        scaled(recipe(), images, epochs)
