from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import tiny_space

from archspec.cost import totals
from archspec.errors import FitError, OutOfMemory
from archspec.planning import plan_network
from archspec.spec import NetworkSpec, read_spec
from search.descent import (
    Descent,
    Seen,
    below,
    calibrated,
    fewer_flops,
    first_flops,
    load_of,
    refusal,
    samples,
    seen_of,
)
from search.space import Space, drawn

LIMITS = {"latency": 5e-3, "throughput": 200.0}


def test_the_load_is_the_tightest_share_of_a_limit() -> None:
    assert load_of({"latency": 4e-3}, {"latency": 5e-3}) == pytest.approx(0.8)
    assert load_of({"throughput": 160.0}, {"throughput": 200.0}) == pytest.approx(1.25)
    assert load_of({"latency": 4e-3, "throughput": 160.0}, LIMITS) == pytest.approx(1.25)
    assert load_of({"latency": 4e-3, "throughput": None}, LIMITS) is None
    assert load_of({}, LIMITS) is None


def test_finished_trials_tell_what_was_seen() -> None:
    finished: list[dict[str, Any]] = [
        {"state": "scored", "flops": 1e9, "latency": 2.5e-3, "throughput": 400.0},
        {"state": "infeasible", "reason": "too costly"},
        {"state": "failed", "flops": 2e9},
        {"state": "infeasible", "flops": 3e9, "latency": 10e-3},
    ]
    assert seen_of(finished, LIMITS) == [Seen(1e9, 0.5)]
    assert seen_of(finished, {"latency": 5e-3}) == [Seen(1e9, 0.5), Seen(3e9, 2.0)]


def test_a_candidate_begins_where_the_fastest_network_near_the_limit_would_be() -> None:
    # at the limit these do 2, 1.5 and 4 GFLOPs; the last is too far from it to count
    seen = [Seen(1e9, 0.5), Seen(3e9, 2.0), Seen(40e9, 10.0)]
    assert first_flops(seen) == pytest.approx(1.1 * 2e9)
    # far below the ceiling the nearest tell
    assert first_flops([Seen(1e9, 0.5), Seen(1e8, 0.2)], share=0.1) == pytest.approx(1.1 * 0.05e9)
    assert first_flops([Seen(40e9, 10.0)]) == pytest.approx(1.1 * 4e9)
    assert first_flops([]) == math.inf


def test_fewer_flops_follow_the_last_two_tries() -> None:
    # twice too slow: half the FLOPs and 3% more
    assert fewer_flops([Seen(4e9, 2.0)]) == pytest.approx(4e9 * 0.97 / 2)
    # a quarter of the FLOPs took half the time, so the time goes with their root
    assert fewer_flops([Seen(16e9, 4.0), Seen(4e9, 2.0)]) == pytest.approx(4e9 * (0.97 / 2) ** 2)
    # a tenth of the FLOPs took 5% less time
    assert fewer_flops([Seen(10e9, 2.0), Seen(1e9, 1.9)]) is None
    # nearly as many took even longer: that may be noise, so a larger step is made
    assert fewer_flops([Seen(10e9, 1.3), Seen(8e9, 1.4)]) == pytest.approx(4e9)
    assert fewer_flops([Seen(10e9, 1.3), Seen(8e9, 1.4), Seen(4e9, 1.3)]) is None
    assert fewer_flops([Seen(8e9, 8.0), Seen(4e9, 4.0), Seen(2e9, 2.0), Seen(1e9, 1.1)]) is None


#: a device: the load of a network of so many GFLOPs
Device = Callable[[float], float]


def descended(descent: Descent, device: Device, step: float = 0.99) -> list[float]:
    """Loads of the networks measured; a fit lands a little under its FLOPs."""
    loads = []
    while (limits := descent.limits()) is not None:
        flops = step * limits["flops"]
        loads.append(device(flops / 1e9))
        descent.met(flops, loads[-1], f"load {loads[-1]:.3g}")
    return loads


@pytest.mark.parametrize(
    "device",
    [
        lambda gflops: gflops / 4,
        lambda gflops: 0.4 + gflops / 10,
        lambda gflops: (gflops / 3) ** 0.6,
        lambda gflops: gflops / 40,
    ],
    ids=["in proportion", "with an overhead", "by a power", "fast"],
)
@pytest.mark.parametrize("pace", [4.0, 10.0, 25.0])
def test_a_candidate_comes_to_the_limit_in_a_few_tries(device: Device, pace: float) -> None:
    """pace: GFLOPs that the fastest network so far did in the time."""
    loads = descended(Descent({}, [Seen(pace * 1e9, 1.0)]), device)
    assert len(loads) <= 4
    assert loads[-1] <= 1
    assert all(load > 1 for load in loads[:-1])
    # unless the first try was within it, the last uses most of what there is
    assert len(loads) == 1 or loads[-1] > 0.75


def test_a_device_that_waits_for_its_host_is_no_faster_with_fewer_flops() -> None:
    descent = Descent({}, [Seen(20e9, 1.0)])
    loads = descended(descent, lambda gflops: 1.8 + gflops / 1000)
    assert len(loads) == 2
    assert descent.limits() is None
    assert descent.reason == f"load {loads[-1]:.3g}"


def test_laws_hold_beside_what_is_measured() -> None:
    laws = {"flops": 4.5e9, "params": 30e6}
    assert Descent(laws).limits() == laws
    assert Descent(laws, [Seen(9e9, 1.0)]).limits() == laws
    slow = Descent(laws, [Seen(1e9, 1.0)])
    assert slow.limits() == {"flops": pytest.approx(1.1e9), "params": 30e6}
    assert not slow.met(1e9, 2.0)
    assert slow.limits() == {"flops": pytest.approx(0.485e9), "params": 30e6}
    assert slow.met(0.48e9, 0.9)
    assert slow.limits() is None
    assert Descent({"params": 30e6}).limits() == {"params": 30e6}


def test_where_the_law_alone_cannot_be_met_the_reason_is_the_fits_own() -> None:
    descent = Descent({"flops": 4.5e9}, [Seen(9e9, 1.0)])
    descent.missed("too small: the largest takes 3 GFLOPs")
    assert descent.limits() is None
    assert descent.reason == "too small: the largest takes 3 GFLOPs"


def test_a_guess_beyond_the_blocks_reach_is_lowered_a_few_times() -> None:
    descent = Descent({}, [Seen(10e9, 1.0)])
    asked = []
    while (limits := descent.limits()) is not None:
        asked.append(limits["flops"] / 1.1e9)
        descent.missed("too small")
    assert asked == pytest.approx([10, 9.5, 8.5, 7, 5, 3])
    assert descent.reason == "too small"


def test_between_two_steps_a_little_less_is_tried_and_both_reasons_are_told() -> None:
    descent = Descent({}, [Seen(10e9, 1.0)])
    assert not descent.met(10e9, 2.0, "latency: 10 ms on cpu, above 5 ms (3 passes)")
    first = descent.limits()
    descent.missed("no step lands")
    second = descent.limits()
    assert first is not None
    assert second is not None
    assert second["flops"] == pytest.approx(0.95 * first["flops"])
    for _ in range(5):
        descent.missed("no step lands")
    assert descent.limits() is None
    assert descent.reason == "latency: 10 ms on cpu, above 5 ms (3 passes); no step lands"


def test_a_space_with_nothing_to_move_is_measured_once() -> None:
    descent = Descent({}, [Seen(1e9, 1.0)], fits=False)
    assert descent.limits() == {"flops": math.inf}
    assert not descent.met(1e9, 1.2, "slow")
    assert descent.limits() is None
    assert descent.reason == "slow"
    assert Descent({"params": 1e6}, fits=False).limits() == {"params": 1e6}


def flops_of(spec: NetworkSpec) -> float:
    return float(totals(plan_network(spec)).flops)


def test_networks_of_a_space_are_measured_from_small_to_large_until_far_beyond(
    tmp_path: Path,
) -> None:
    space = Space.read(tiny_space(tmp_path))
    networks = samples(space)
    sizes = [flops_of(spec) for spec in networks]
    assert sizes == sorted(set(sizes))
    assert len(sizes) >= 4
    measured: list[float] = []

    def load(spec: NetworkSpec) -> float:
        measured.append(flops_of(spec))
        return measured[-1] / sizes[1]

    seen = calibrated(networks, load)
    # those up to four times the limit, where the second is at it
    assert measured == [size for size in sizes if size <= 4 * sizes[1]]
    assert [one.flops for one in seen] == measured


def test_a_refused_network_is_left_out_but_not_all_of_them(tmp_path: Path) -> None:
    networks = samples(Space.read(tiny_space(tmp_path)))

    def small_memory(spec: NetworkSpec) -> float:
        if spec is networks[-1]:
            raise OutOfMemory("64 x 32 x 32 pixels do not fit the memory of cpu")
        return 0.5

    assert len(calibrated(networks, small_memory)) == len(networks) - 1

    def refuses(spec: NetworkSpec) -> float:
        raise OutOfMemory(f"no room for {flops_of(spec):.0f}")

    with pytest.raises(OutOfMemory, match=f"{flops_of(networks[0]):.0f}"):
        calibrated(networks, refuses)


def test_a_real_space_is_fitted_to_a_time(tmp_path: Path) -> None:
    """A device of 2 MFLOPs a millisecond: the networks found use most of 5 ms and no more."""
    space = Space.read(tiny_space(tmp_path))
    networks = samples(space)
    seen = calibrated(networks, lambda spec: flops_of(spec) / 10e6)
    for spec in networks:
        descent, found = Descent({}, seen), None
        while (limits := descent.limits()) is not None:
            try:
                found = space.onto_budget(spec, limits)
            except FitError as error:
                descent.missed(str(error))
                continue
            flops = flops_of(found.spec)
            descent.met(flops, flops / 10e6)
        assert found is not None
        assert 0.85 * 10e6 < flops_of(found.spec) <= 10e6


COARSE = """\
name: coarse
input: {resolution: 32}
classes: 10
stem: [{cna: {width: 16, kernel: 3}}]
stages:
- {width: {range: [16, 96], step: 16}, depth: {range: [1, 4]}, block: [basic]}
head: [{pool: global}, {linear: classes}]
"""


def stem_and_blocks(width: int, depth: int) -> int:
    """FLOPs of a coarse network by hand: 3x3 convolutions at 32x32, a projection where the first
    block is wider than the stem, and a classifier."""
    convolutions = 9 * (3 * 16 + 16 * width + (2 * depth - 1) * width**2)
    projection = 16 * width if width != 16 else 0
    return (convolutions + projection) * 32**2 + 10 * width


def test_below_a_guess_a_coarse_space_gives_the_nearest_network(tmp_path: Path) -> None:
    path = tmp_path / "coarse.yaml"
    path.write_text(COARSE, encoding="utf-8")
    space = Space.read(path)
    all_flops = sorted(
        stem_and_blocks(width, depth) for width in range(16, 97, 16) for depth in range(1, 5)
    )
    for low, high in pairwise(all_flops):
        if high < 1.1 * low:
            continue
        between = (low * high) ** 0.5
        land = below(space, lambda name, domain: domain.low)  # type: ignore[union-attr]
        assert flops_of(land({"flops": between}).spec) == low
        with pytest.raises(FitError, match="no step lands within 2%"):
            space.propose(lambda name, domain: domain.low)({"flops": between})  # type: ignore[union-attr]


def test_a_coarse_space_is_fitted_to_a_time(tmp_path: Path) -> None:
    path = tmp_path / "coarse.yaml"
    path.write_text(COARSE, encoding="utf-8")
    space = Space.read(path)
    networks = samples(space)
    limit = 1.5 * stem_and_blocks(48, 2)
    seen = calibrated(networks, lambda spec: flops_of(spec) / limit)
    for number in range(20):
        rng, found = random.Random(number), None
        land = below(space, lambda _, domain, rng=rng: drawn(domain, rng))  # type: ignore[misc]
        descent = Descent({}, seen)
        while (limits := descent.limits()) is not None:
            assert descent.guesses
            found = land(limits)
            flops = flops_of(found.spec)
            descent.met(flops, flops / limit, "slow")
        assert found is not None
        assert 0.5 * limit < flops_of(found.spec) <= limit


def test_a_limit_of_a_law_is_no_guess() -> None:
    laws = {"flops": 4.5e9}
    assert not Descent(laws, [Seen(9e9, 1.0)]).guesses
    assert Descent(laws, [Seen(2e9, 1.0)]).guesses
    assert not Descent({"params": 3e7}).guesses


def test_what_does_not_fit_the_memory_is_halved_and_tells_no_pace() -> None:
    assert fewer_flops([Seen(8e9, math.inf)]) == pytest.approx(4e9)
    # the time of the second alone tells
    assert fewer_flops([Seen(8e9, math.inf), Seen(4e9, 2.0)]) == pytest.approx(4e9 * 0.97 / 2)
    assert fewer_flops([Seen(2.0**power, math.inf) for power in (9, 8, 7, 6)]) is None


def test_what_was_measured_before_is_refused_with_its_value() -> None:
    assert refusal({"latency": 4e-3, "throughput": 250.0}, LIMITS, "cpu") is None
    assert refusal({}, LIMITS, "cpu") is None
    assert (
        refusal({"latency": 5.93e-3}, LIMITS, "cuda")
        == "latency: 5.93 ms on cuda, above 5 ms (measured before)"
    )
    assert (
        refusal({"latency": 4e-3, "throughput": 160.0}, LIMITS, "cpu")
        == "throughput: 160 images/s on cpu, below 200 images/s (measured before)"
    )


def test_a_search_of_rules_starts_from_the_network_that_they_scale() -> None:
    from search.rule_space import RuleSpace

    space = RuleSpace.read("resnet18")
    (only,) = samples(space)
    assert flops_of(only) == flops_of(read_spec("resnet18"))
