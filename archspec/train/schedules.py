"""How lr moves, step by step: warm-up, then cosine, steps or none, then the cool-down.

One of torch's schedulers, LambdaLR, with one closed formula. A chain of LinearLR, CosineAnnealingLR
and ConstantLR cannot say it: LinearLR does not start at 0, and the others end every group at one
lr, though with layer-wise decay each has its own. A formula of the step has no memory either, so a
resumed training has the very same lr.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from archspec.errors import LawError
from archspec.train.recipe import Recipe

#: what a step schedule multiplies by where the recipe does not say (He et al., arXiv 1512.03385)
FACTOR = 0.1


def make_schedule(optimizer: Optimizer, recipe: Recipe, steps: int) -> LambdaLR:
    """The recipe's schedule on an optimizer; call its `.step()` after each optimizer step.

    steps: optimizer steps an epoch. Every group keeps its share of lr throughout. Raises LawError
    unless steps >= 1.
    """
    return LambdaLR(optimizer, lr_share(recipe, steps))


def lr_share(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """The share of the peak lr at step t, counted from 0, with `steps` an epoch.

    With W steps of warm-up and T of all epochs: from warmup_lr in a line to the peak at t = W;
    cosine: end + (peak - end) (1 + cos(pi (t - W) / (T - W))) / 2, and end from T on (arXiv
    1608.03983, eq. 5, without restarts); step: times factor from each share of T on.
    """
    if steps < 1:
        raise LawError(f"steps >= 1 must hold, but got {steps}")
    schedule, peak = recipe.schedule, recipe.optimizer.lr
    # at least one step at the peak is left, however short the training
    all_steps = recipe.epochs * steps
    warmup = min(round(schedule.warmup * steps), all_steps - 1)
    start, end = schedule.warmup_lr / peak, (schedule.end_lr or 0.0) / peak
    factor = FACTOR if schedule.factor is None else schedule.factor
    drops = [round(share * all_steps) for share in schedule.at or ()]

    def share_at(step: int) -> float:
        if step < warmup:
            return start + (1 - start) * step / warmup
        if schedule.kind == "cosine":
            done = min(1.0, (step - warmup) / (all_steps - warmup))
            return end + (1 - end) * (1 + math.cos(math.pi * done)) / 2
        if schedule.kind == "step":
            return float(factor ** bisect_right(drops, step))
        return 1.0

    return share_at
