"""A recipe taken to another training set and number of epochs: one setting instead of ten.

`r` is the share of samples that the new training sees, `e` the share of epochs; docs/recipes.md
gives the reason of each rule.
"""

from __future__ import annotations

import math
from typing import Any

from pydantic import ValidationError

from archspec.errors import LawError
from archspec.strict import law_of, shown
from archspec.train.recipe import Recipe

#: a scaled batch is no smaller: batch norms see too few images below
SMALLEST_BATCH = 32
#: averaged weights forget at most this share at a step
FASTEST_EMA = 0.5
#: a training that sees this much more or less is the same training
SAME = 0.1
#: what `changes` tells, each by its path in the recipe
_TOLD = (
    ("images",),
    ("epochs",),
    ("batch",),
    ("optimizer", "lr"),
    ("schedule", "warmup"),
    ("schedule", "warmup_lr"),
    ("schedule", "end_lr"),
    ("schedule", "cooldown"),
    ("drop_path",),
    ("ema",),
)


def scaled(recipe: Recipe, images: int, epochs: int | None = None) -> Recipe:
    """The recipe for a training set of `images`, and for `epochs` (None: as many as it has).

    With r = (images' epochs') / (images epochs) and e = epochs' / epochs, primes being new:

    - batch' = batch sqrt(r) to the nearest power of two, at least 32, at most batch and images';
    - lr, warmup_lr and end_lr times batch' / batch (rule `linear`) or its root (`sqrt`);
    - warmup and cooldown times e, in epochs;
    - drop_path times min(1, e);
    - 1 - ema' = (1 - ema) steps / steps', at most 0.5: the same share of all steps is averaged.

    Where e is 1 and r within 10% of 1 only `images` changes. Raises LawError unless images >= 1 and
    epochs >= 1.
    """
    wanted = recipe.epochs if epochs is None else epochs
    for word, value in (("images", images), ("epochs", wanted)):
        if value < 1:
            raise LawError(f"{word} >= 1 must hold, but got {shown(value)}", (word,))
    share = wanted / recipe.epochs
    seen = images / recipe.images * share
    tree: dict[str, Any] = recipe.model_dump()
    tree.update(images=images, epochs=wanted)
    if wanted != recipe.epochs or abs(seen - 1) > SAME:
        _adapt(tree, recipe, seen, share)
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise law_of(error) from None


def _adapt(tree: dict[str, Any], recipe: Recipe, seen: float, share: float) -> None:
    batch = min(_batch(recipe.batch, seen), recipe.batch, tree["images"])
    ratio = batch / recipe.batch
    factor = ratio if recipe.optimizer.follows == "linear" else math.sqrt(ratio)
    tree["batch"] = batch
    tree["optimizer"]["lr"] *= factor
    schedule = tree["schedule"]
    for word, times in (
        ("warmup_lr", factor),
        ("end_lr", factor),
        ("warmup", share),
        ("cooldown", share),
    ):
        if schedule[word] is not None:
            schedule[word] *= times
    tree["drop_path"] *= min(1.0, share)
    if recipe.ema is not None:
        # steps / steps'; both with their cool-down, which cancels
        steps = ratio / seen
        tree["ema"] = 1 - min(FASTEST_EMA, (1 - recipe.ema) * steps)


def _batch(batch: int, seen: float) -> int:
    """batch sqrt(seen) to the nearest power of two by ratio, 32 at least."""
    power = max(0, round(math.log2(batch * math.sqrt(seen))))
    return max(SMALLEST_BATCH, 1 << power)


def changes(before: Recipe, after: Recipe) -> list[str]:
    """What scaling changed, as phrases for one line: `batch 4096 -> 256`, `lr 0.004 -> 0.00025`."""
    old, new = before.model_dump(), after.model_dump()
    pairs = ((path[-1], _at(old, path), _at(new, path)) for path in _TOLD)
    return [f"{word} {_short(was)} -> {_short(is_)}" for word, was, is_ in pairs if was != is_]


def _at(tree: dict[str, Any], path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _short(value: object) -> str:
    # a decay of 0.99996 must not be told as 1
    return f"{value:.5g}" if isinstance(value, float) else shown(value)
