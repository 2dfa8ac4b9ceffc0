"""The fit against brute force: every common factor, every single step, on a space small enough."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import pytest
from random_picks import RandomPicks

from archspec.cost import Totals, totals
from archspec.errors import ArchspecError, FitError
from archspec.fit import BOUNDED, Fitted, Lever, Room, fit
from archspec.planning import plan_network
from archspec.spec import NetworkSpec, parse_spec
from search.space import Space

Widths = tuple[int, ...]
DEPTHS = (1, 2, 2)
COUNTS: dict[str, Callable[[Totals], int]] = {
    "flops": lambda total: total.flops,
    "params": lambda total: total.params,
    "activations": lambda total: total.activations,
    "traffic": lambda total: total.traffic,
}


def network(widths: Sequence[int], depths: Sequence[int] = DEPTHS, side: int = 64) -> NetworkSpec:
    stages = "\n".join(
        f"- {{width: {width}, depth: {depth}, stride: 2, "
        "down: [{conv: {width: w_out, kernel: 2, stride: 2}}], "
        "block: [{bottleneck: {mid: w_out//2}}]}"
        for width, depth in zip(widths, depths, strict=True)
    )
    return parse_spec(
        f"name: net\ninput: {{resolution: {side}}}\nclasses: 10\n"
        f"stem: [{{cna: {{width: 16, kernel: 3, stride: 2}}}}]\nstages:\n{stages}\n"
        "head: [norm, {pool: global}, {linear: classes}]\n"
    )


@cache
def cost(widths: Widths, depths: tuple[int, ...] = DEPTHS, side: int = 64) -> Totals:
    return totals(plan_network(network(widths, depths, side)))


def share(total: Totals, limits: Mapping[str, float]) -> float:
    return max(COUNTS[name](total) / limit for name, limit in limits.items())


def grids(step: int) -> list[list[int]]:
    return [list(range(low, 4 * low + 1, step)) for low in (32, 64, 128)]


def room(grid: Sequence[Sequence[int]]) -> Room:
    return Room(tuple(Lever((index,), values) for index, values in enumerate(grid)))


def common_factors(grid: Sequence[Sequence[int]], start: Sequence[int]) -> set[Widths]:
    """The widths at every common factor: one factor between each two at which some width jumps."""
    jumps = sorted(
        math.sqrt(low * high) / width
        for values, width in zip(grid, start, strict=True)
        for low, high in zip(values, values[1:], strict=False)
    )
    factors = [jumps[0] / 2, *map(lambda a, b: (a + b) / 2, jumps, jumps[1:]), 2 * jumps[-1]]
    return {
        tuple(
            min(values, key=lambda value: abs(math.log(value / (width * factor))))
            for values, width in zip(grid, start, strict=True)
        )
        for factor in factors
    }


def brute_force(
    grid: Sequence[Sequence[int]], start: Sequence[int], limits: Mapping[str, float]
) -> float:
    """The largest share not above 1 by a common factor and one step up of one stage at most."""
    found = set(common_factors(grid, start))
    for widths in list(found):
        for index, values in enumerate(grid):
            place = values.index(widths[index]) + 1
            if place < len(values):
                found.add((*widths[:index], values[place], *widths[index + 1 :]))
    shares = [share(cost(widths), limits) for widths in found]
    return max([used for used in shares if used <= 1], default=0.0)


def drawn_limits(draw: random.Random, names: Sequence[str]) -> dict[str, float]:
    low, high = cost((32, 64, 128)), cost((128, 256, 512))
    return {name: draw.uniform(1.1 * COUNTS[name](low), 1.0 * COUNTS[name](high)) for name in names}


def widths_of(fitted: Fitted) -> Widths:
    return tuple(stage.width or 0 for stage in fitted.spec.stages)


@pytest.mark.parametrize(
    "names", [("flops",), ("params",), ("activations",), ("traffic",), ("flops", "params")]
)
@pytest.mark.parametrize("step", [8, 16, 32])
def test_it_lands_wherever_brute_force_does_and_never_above(
    step: int, names: tuple[str, ...]
) -> None:
    draw, grid, landed = random.Random(step), grids(step), 0
    missed: list[str] = []
    for _ in range(50):
        start = [draw.choice(values) for values in grid]
        limits = drawn_limits(draw, names)
        try:
            fitted = fit(network(start), room(grid), limits)
        except FitError as error:
            if brute_force(grid, start, limits) >= 0.98:
                missed.append(f"{start} {limits}: {error}")
            continue
        landed += 1
        widths = widths_of(fitted)
        assert all(width in values for width, values in zip(widths, grid, strict=True))
        total = cost(widths)
        assert all(COUNTS[name](total) <= limit for name, limit in limits.items())
        assert share(total, limits) >= 0.98
        assert fitted.used == share(total, limits)
        assert totals(fitted.plan) == total
    assert not missed
    assert landed > {8: 45, 16: 40, 32: 25}[step]


def test_a_start_on_the_budget_stays_as_it_is() -> None:
    start = (64, 128, 256)
    fitted = fit(network(start), room(grids(8)), {"flops": cost(start).flops / 0.99})
    assert abs(widths_of(fitted)[2] / 256 - 1) < 0.04
    fitted = fit(network(start), Room(()), {"flops": cost(start).flops})
    assert widths_of(fitted) == start
    assert fitted.used == 1


def test_the_shape_of_the_network_is_kept_by_the_common_factor() -> None:
    start = (40, 128, 160)
    fitted = fit(network(start), room(grids(8)), {"flops": 2.0 * cost(start).flops})
    factors = [width / before for width, before in zip(widths_of(fitted), start, strict=True)]
    # a step of 8 is 20% of the first width; nobody strays by more than two steps
    for factor, before in zip(factors, start, strict=True):
        assert abs(factor / sorted(factors)[1] - 1) < 16 / before + 0.02


def test_two_budgets_bind_in_turn() -> None:
    start, grid = (64, 128, 256), room(grids(8))
    total = cost(start)
    tight_flops = {"flops": float(total.flops), "params": 50.0 * total.params}
    tight_params = {"flops": 50.0 * total.flops, "params": float(total.params)}
    by_flops, by_params = (
        fit(network(start), grid, tight_flops),
        fit(network(start), grid, tight_params),
    )
    assert totals(by_flops.plan).flops >= 0.98 * total.flops
    assert totals(by_params.plan).params >= 0.98 * total.params
    assert by_flops.used <= 1
    assert by_params.used <= 1


# Depth and resolution -----------------------------------------------------------------------------


def narrow(widths: Sequence[int]) -> tuple[Lever, ...]:
    """Room of one step around these widths."""
    return tuple(Lever((index,), [width, width + 8]) for index, width in enumerate(widths))


def all_depths(most: int) -> tuple[Lever, ...]:
    return tuple(Lever((index,), range(1, most + 1)) for index in range(3))


@pytest.mark.parametrize("depths", [(1, 1, 1), (2, 3, 2), (8, 8, 8)])
def test_depth_follows_where_the_widths_have_too_little_room(depths: tuple[int, int, int]) -> None:
    widths = (64, 128, 256)
    limits = {"flops": 1.02 * cost(widths, (4, 4, 4)).flops}
    start = network(widths, depths)
    with pytest.raises(FitError):
        fit(start, Room(narrow(widths)), limits)
    fitted = fit(start, Room(narrow(widths), all_depths(8)), limits)
    assert 0.98 <= totals(fitted.plan).flops / limits["flops"] <= 1
    after = [stage.count for stage in fitted.spec.stages]
    assert all(1 <= depth <= 8 for depth in after)
    assert after != list(depths)


def test_depth_alone_is_stepped_stage_by_stage() -> None:
    widths, target = (32, 64, 128), (7, 3, 5)
    limits = {"flops": float(cost(widths, target).flops)}
    fitted = fit(network(widths, (1, 1, 1)), Room((), all_depths(8)), limits)
    assert 0.98 <= fitted.used <= 1


@pytest.mark.parametrize(("side", "wanted"), [(32, 128), (128, 32)])
def test_resolution_follows_where_widths_and_depths_have_too_little_room(
    side: int, wanted: int
) -> None:
    widths = (64, 128, 256)
    limits = {"flops": 1.005 * cost(widths, DEPTHS, wanted).flops}
    start = network(widths, DEPTHS, side)
    with pytest.raises(FitError):
        fit(start, Room(narrow(widths)), limits)
    fitted = fit(start, Room(narrow(widths), (), (32, 64, 128)), limits)
    assert fitted.spec.input.resolution == wanted
    assert 0.98 <= totals(fitted.plan).flops / limits["flops"] <= 1


def test_tied_stages_move_together() -> None:
    tied = Room((Lever((0, 2), range(32, 513, 8)), Lever((1,), range(64, 257, 8))))
    fitted = fit(network((64, 128, 64)), tied, {"flops": 3.0 * cost((64, 128, 64)).flops})
    first, _, third = widths_of(fitted)
    assert first == third
    assert first > 64


# No fit -------------------------------------------------------------------------------------------


def reason(start: NetworkSpec, where: Room, limits: Mapping[str, float]) -> str:
    with pytest.raises(FitError) as caught:
        fit(start, where, limits)
    return str(caught.value)


def test_too_small_a_budget_names_the_smallest_network() -> None:
    text = reason(network((64, 128, 256)), room(grids(8)), {"flops": 1e6, "params": 1e9})
    smallest = cost((32, 64, 128))
    assert text.startswith("too costly")
    assert f"{smallest.flops / 1e6:.3g} MFLOPs against 1 MFLOPs" in text
    assert f"{smallest.params / 1e3:.3g} kparams against 1 Gparams" in text


def test_too_large_a_budget_names_the_largest_network() -> None:
    where = Room(room(grids(8)).widths, all_depths(3), (32, 64))
    text = reason(network((64, 128, 256), side=32), where, {"flops": 1e12})
    assert text.startswith("too small")
    assert f"{cost((128, 256, 512), (3, 3, 3), 64).flops / 1e6:.3g} MFLOPs against 1 TFLOPs" in text


def test_a_coarse_step_says_that_no_step_lands() -> None:
    coarse = Room((Lever((0, 1, 2), [64, 96, 128]),))
    low, high = cost((96, 96, 96)).flops, cost((128, 128, 128)).flops
    assert low < 0.9 * high
    text = reason(network((96, 96, 96)), coarse, {"flops": 0.95 * high})
    assert text.startswith("no step lands within 2%")
    assert f"{low / 1e6:.3g} MFLOPs against {0.95 * high / 1e6:.3g} MFLOPs" in text


def test_depths_that_step_over_the_budget_are_not_called_too_small() -> None:
    lever = Room((), (Lever((2,), range(1, 5)),))
    below = cost((32, 64, 512), (1, 2, 2)).flops
    above = cost((32, 64, 512), (1, 2, 3)).flops
    text = reason(network((32, 64, 512)), lever, {"flops": (below + above) / 2})
    assert text.startswith("no step lands within 2%")


@pytest.mark.parametrize("limits", [{}, {"seconds": 1.0}])
def test_limits_that_no_law_bounds_are_refused(limits: dict[str, float]) -> None:
    assert "flops, params, activations, traffic" in reason(
        network((64, 128, 256)), room(grids(8)), limits
    )
    assert set(BOUNDED) == set(COUNTS)


# The hybrid space ---------------------------------------------------------------------------------


def test_random_hybrid_candidates_land_inside_their_domains() -> None:
    space = Space.read("hybrid")
    landed = []
    for seed in range(200):
        picked = space.spec(RandomPicks(seed))
        try:
            fitted = space.onto_budget(picked, {"flops": 4.5e9})
        except ArchspecError:
            continue
        landed.append(totals(plan_network(fitted.spec)).flops / 4.5e9)
        for stage, lever in zip(fitted.spec.stages, space.room.widths, strict=True):
            assert stage.width in lever.values
    assert len(landed) >= 195
    assert min(landed) >= 0.98
    assert max(landed) <= 1
