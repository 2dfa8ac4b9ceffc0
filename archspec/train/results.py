"""What a training tells: after a step, after an epoch, at its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Epoch(NamedTuple):
    """What one epoch came to.

    loss: mean over its training steps. lr: of its last step, the head's where blocks differ.
    top1, test_loss: on the test split, in percent; ema_...: of the averaged weights. seconds and
    images a second: of its training, tests apart.
    """

    epoch: int
    step: int
    loss: float
    lr: float
    top1: float
    test_loss: float
    ema_top1: float | None
    ema_test_loss: float | None
    seconds: float
    images_per_second: float

    @property
    def chosen(self) -> float:
        """Top-1 of the averaged weights where there are any."""
        return self.top1 if self.ema_top1 is None else self.ema_top1


class Result(NamedTuple):
    """What a training came to; top1 is that of the last epoch, averaged weights first.

    best_top1 was chosen on the test split, and flatters. micro_batch: images at once.
    """

    top1: float
    last_top1: float
    ema_top1: float | None
    best_top1: float
    best_epoch: int
    test_loss: float
    epochs: int
    steps: int
    seconds: float
    images_per_second: float
    micro_batch: int
    stopped: bool


class Tick(NamedTuple):
    """Where a training stands: steps done of all, the epoch, and the last loss that was seen."""

    step: int
    steps: int
    epoch: int
    loss: float | None


Watch = Callable[[Epoch], bool]
Look = Callable[[Tick], None]
