from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from itertools import chain, cycle, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.timing import timed


class Clock:
    """Times of passes, and how many of them were asked for."""

    def __init__(self, times: Iterable[float]) -> None:
        self.times, self.asked = iter(times), 0

    def __iter__(self) -> Iterator[float]:
        return self

    def __next__(self) -> float:
        self.asked += 1
        return next(self.times)


def test_without_a_limit_all_passes_are_timed_after_a_warm_up_of_a_fifth() -> None:
    clock = Clock(chain([0.9, 0.3, 0.3, 0.3], [0.01 * number for number in range(1, 21)]))
    timing = timed(clock, repeats=20)
    assert clock.asked == 4 + 20
    # of 0.01 to 0.20: the median between the tenth and the eleventh, tenths at 1.9 steps
    assert timing.median == pytest.approx(0.105)
    assert timing.low == pytest.approx(0.029)
    assert timing.high == pytest.approx(0.181)
    assert (timing.passes, timing.stopped) == (20, False)


@pytest.mark.parametrize(
    ("seconds", "warm", "passes"),
    [
        # hopeless: the second pass of the warm-up tells, and three timed ones make sure
        (50e-3, 2, 3),
        (7.6e-3, 4, 3),
        # 1.5 times the limit takes 3 passes, 1.3 times takes 5, 1.1 times takes all it needs
        (6.6e-3, 4, 5),
        (5.6e-3, 4, 11),
        (5.05e-3, 4, 11),
    ],
)
def test_the_further_above_the_limit_the_sooner_it_ends(
    seconds: float, warm: int, passes: int
) -> None:
    clock = Clock(repeat(seconds))
    timing = timed(clock, repeats=20, ceiling=5e-3)
    assert timing.stopped
    assert (timing.passes, clock.asked) == (passes, warm + passes)
    assert timing.median == seconds


def test_a_slow_start_and_a_few_disturbed_passes_stop_nothing() -> None:
    clock = Clock(chain([3.0, 4e-3, 4e-3, 4e-3], cycle([90e-3, 4e-3, 4e-3, 4e-3])))
    timing = timed(clock, repeats=20, ceiling=5e-3)
    assert (timing.median, timing.passes, timing.stopped) == (4e-3, 20, False)


def test_the_second_half_decides_where_half_of_the_passes_are_above() -> None:
    half = [6e-3, 4e-3] * 10
    timing = timed(Clock(chain([4e-3] * 4, half)), repeats=20, ceiling=5e-3)
    assert (timing.median, timing.stopped) == (statistics.median(half), False)
    # the eleventh above it is the nineteenth pass; no other could change the median's side
    more = [6e-3, 4e-3] * 8 + [6e-3] * 4
    timing = timed(Clock(chain([4e-3] * 4, more)), repeats=20, ceiling=5e-3)
    assert (timing.passes, timing.stopped, timing.median) == (19, True, 6e-3)


def test_long_passes_are_fewer() -> None:
    clock = Clock(repeat(4.0))
    timing = timed(clock, repeats=20, longest=10)
    assert (timing.passes, clock.asked, timing.stopped) == (3, 1 + 3, False)
    assert timed(Clock(repeat(30.0)), longest=10).passes == 3
    assert timed(Clock(repeat(1.5)), longest=10).passes == 7


@given(st.lists(st.floats(0.5, 1.5), min_size=24, max_size=24), st.integers(3, 20))
def test_what_is_stopped_is_above_the_limit_and_what_is_below_is_not_stopped(
    times: list[float], repeats: int
) -> None:
    timing = timed(iter(times), repeats=repeats, ceiling=1.0, longest=1e9)
    if timing.stopped:
        assert timing.median > 1
        assert timing.passes < repeats
    else:
        warm = -(-repeats // 5)
        assert timing.median == pytest.approx(statistics.median(times[warm : warm + repeats]))


@given(st.lists(st.floats(0.5, 1.5), min_size=24, max_size=24))
def test_a_network_whose_passes_often_keep_the_limit_is_measured_to_the_end(
    times: list[float],
) -> None:
    # one pass in two below it, from the first on: neither rule can be certain
    mixed = [min(time, 1.0) if place % 2 else time for place, time in enumerate(times, 1)]
    assert not timed(iter(mixed), repeats=20, ceiling=1.0, longest=1e9).stopped
