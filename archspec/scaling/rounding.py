"""How factors become whole numbers; halves go to the even neighbour, as Python rounds."""

from __future__ import annotations

import math

from archspec.errors import LawError
from archspec.layers.shape import MOST_SIDE
from archspec.nodes import MOST_TIMES
from archspec.scaling.rule import Nearest, SideRounding, WidthRounding

#: channels that a stage may have, see `archspec.spec.Stage`
MOST_WIDTH = 100_000


def rounded_depth(value: float, how: Nearest) -> int:
    """Blocks, at least one: the nearest whole number, or the next one up."""
    _within(value, MOST_TIMES, "a depth of {} blocks")
    # 1.2 * 5 must not round up for its last bit
    return max(1, math.ceil(value - 1e-9) if how == "up" else round(value))


def rounded_width(value: float, how: WidthRounding) -> int:
    """Channels: the nearest multiple of the step, at least one, one more where too little is kept.

    With step 8 and keep 0.9 this is `round_filters` (tensorflow/tpu, efficientnet_model.py), whose
    halves go up; with keep 0 it is what pycls' scaler.py does.
    """
    _within(value, MOST_WIDTH, "a width of {} channels")
    step = how.step
    if how.keep:
        rounded = max(step, int(value + step / 2) // step * step)
        return rounded + step if rounded < how.keep * value else rounded
    return max(1, round(value / step)) * step


def rounded_group(value: float) -> int:
    """Channels of a group, as pycls' scaler.py: up to 2 as they are, up to 5 is 4, else by 8."""
    _within(value, MOST_WIDTH, "a group width of {}")
    whole = max(1, round(value))
    return whole if whole <= 2 else 4 if whole <= 5 else round(whole / 8) * 8


def rounded_kernel(value: float) -> int:
    """The side of a kernel: the nearest odd number from 3 up."""
    _within(value, MOST_SIDE, "a kernel of {}")
    return max(3, 2 * round((value - 1) / 2) + 1)


def rounded_side(side: int, factor: float, how: SideRounding) -> int:
    """The side of the input in pixels; none grows beyond `most`, or shrinks for it."""
    _within(side * factor, MOST_SIDE, "a side of {} pixels")
    rounded = max(1, round(side * factor / how.step)) * how.step
    return rounded if how.most is None else max(min(side, rounded), min(rounded, how.most))


def _within(value: float, most: int, what: str) -> None:
    if not value <= most:
        raise LawError(f"{what.format(f'{value:.3g}')} is more than {most:,}; choose a smaller phi")


__all__ = [
    "MOST_WIDTH",
    "rounded_depth",
    "rounded_group",
    "rounded_kernel",
    "rounded_side",
    "rounded_width",
]
