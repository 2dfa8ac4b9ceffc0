"""Searches laid beside each other: groups, curves, fronts and chance, against figures by hand."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from typing import Any

import numpy as np
import pytest
from synthetic_searches import Trial, made_search

from archspec.errors import RunError
from reports.metrics import ACTIVATIONS, FLOPS, THROUGHPUT, Metric, costs
from reports.overlay_curves import Box, attained, reached, volumes
from reports.overlay_figures import fronts_figure, volume_figure
from reports.overlay_progress import Comparison, compare, document
from reports.overlay_table import ended, evaluations, groups_table, runs_table, to_random

RISING: list[Trial] = [(1.0, 4e9), (3.0, 3e9), (2.0, 1e9)]


def cells(points: list[tuple[int, int]], wide: int, high: int) -> int:
    """Unit cells of a box that points dominate, counted one by one; both ways are minimised."""
    box = itertools.product(range(wide), range(high))
    return sum(any(x >= px and y >= py for px, py in points) for x, y in box)


def named(comparison: Comparison, name: str) -> Any:
    return next(row for row in comparison.rows if row.name == name)


def test_searches_that_differ_in_their_seeds_are_one_group() -> None:
    runs = [
        made_search(RISING, seed=seed, sampler=sampler, created=f"day {seed}", command=str(seed))
        for seed, sampler in ((0, "tpe"), (0, "nsga2"), (1, "tpe"), (2, "tpe"))
    ]
    comparison = compare(runs)
    assert [(group.name, group.seeds) for group in comparison.groups] == [
        ("tpe", (0, 1, 2)),
        ("nsga2", (0,)),
    ]
    assert comparison.notices == ()


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"budgets": {"flops": 2e9}}, ["tpe, 4 GFLOPs", "tpe, 2 GFLOPs"]),
        ({"trials": 7}, ["tpe, 3 trials", "tpe, 7 trials"]),
        ({"space": "other"}, ["tpe, tiny", "tpe, other"]),
        ({"random_trials": 99}, ["tpe (runs/one)", "tpe (runs/other)"]),
    ],
)
def test_groups_are_told_apart_by_what_differs(changes: dict[str, Any], names: list[str]) -> None:
    base: dict[str, Any] = {"budgets": {"flops": 4e9}, "trials": 3}
    runs = [
        made_search(RISING, folder="runs/one", **base),
        made_search(RISING, folder="runs/other", **(base | changes)),
    ]
    assert [group.name for group in compare(runs).groups] == names


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"score_label": "Zen"}, ["score", "'NASWOT plus log depth'", "'Zen'", "name those"]),
        ({"iso": True}, ["objectives", "has score and FLOPs", "has score;"]),
        ({"budgets": {"params": 4e6}}, ["objectives", "score and params"]),
    ],
)
def test_searches_of_another_score_or_aim_are_refused(
    changes: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(RunError) as told:
        compare([made_search(RISING, folder="a"), made_search(RISING, folder="b", **changes)])
    for word in ["a has", "b has", *words]:
        assert word in str(told.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"budgets": {"flops": 2e6}}, "differ in budget: 12 MFLOPs; 2 MFLOPs"),
        ({"space": "other"}, "differ in space: tiny; other"),
        ({"batch": 64}, "differ in what the score saw: 4 of digits; 64 of digits"),
        ({"trials": 9}, "b has 3 of 9 trials"),
        ({}, "seed 0 more than once"),
    ],
)
def test_what_a_reader_must_know_is_told(changes: dict[str, Any], words: str) -> None:
    runs = [made_search(RISING, folder="a"), made_search(RISING, folder="b", **changes)]
    assert words in " ".join(compare(runs).notices)


def test_hypervolume_is_the_share_of_cells_that_are_dominated() -> None:
    draw = np.random.default_rng(0)
    points = draw.integers(0, 13, size=(40, 2))
    found = volumes(points.astype(float), Box(np.zeros(2), np.array([12.0, 12.0])))
    met = [(int(x), int(y)) for x, y in points]
    wanted = [cells(met[: count + 1], 12, 12) / 144 for count in range(len(met))]
    assert found == pytest.approx(wanted)


def test_hypervolume_of_three_objectives() -> None:
    points = np.array([[0.0, 1, 1], [1, 0, 1], [2, 2, 2], [1, 1, 0]])
    found = volumes(points, Box(np.zeros(3), np.full(3, 2.0)))
    # of 8 unit cells a point holds those behind it: 2, and each further one adds one
    assert found == pytest.approx([2 / 8, 3 / 8, 3 / 8, 4 / 8])


def test_hypervolume_counts_from_the_worst_that_any_search_met() -> None:
    # scores from 0 to 4, 1 to 5 GFLOPs: a box of 4 by 4
    one = made_search([(0.0, 5e9), (2.0, 3e9), (4.0, 4e9)], [(1.0, 2e9)])
    other = made_search([(1.0, 1e9), (1.0, 5e9)], sampler="nsga2")
    comparison = compare([one, other])
    by_tpe = named(comparison, "tpe").volume.mean
    assert by_tpe == pytest.approx([0, 2 * 2 / 16, (2 * 2 + 1 * 2) / 16])
    assert named(comparison, "nsga2").volume.mean == pytest.approx([1 * 4 / 16] * 2)
    told = document(comparison)[0]
    assert told["reference"] == {"score": 0.0, "flops": 5e9}
    assert told["ideal"] == {"score": 4.0, "flops": 1e9}


def test_an_objective_in_which_nothing_differs_is_left_out() -> None:
    comparison = compare([made_search([(1.0, 3e9), (3.0, 3e9)]), made_search([(2.0, 3e9)], seed=1)])
    assert comparison.rows[0].volume is not None
    assert comparison.rows[0].volume.runs[0] == pytest.approx([0.0, 1.0])
    assert comparison.rows[0].volume.runs[1] == pytest.approx([0.5])


def test_means_and_bands_are_over_seeds_and_end_with_the_shortest() -> None:
    scores = ([1.0, 5.0, 2.0], [2.0, 2.0, 4.0, 9.0], [3.0, 1.0, 3.0])
    runs = [
        made_search([(score, 1e9) for score in mine], seed=seed, iso=True, trials=3)
        for seed, mine in enumerate(scores)
    ]
    best = compare(runs).rows[0].best
    assert best.length == 3
    assert best.mean == pytest.approx([2.0, 10 / 3, 4.0])
    by_hand = [statistics.stdev(found) for found in ((1, 2, 3), (5, 2, 3), (5, 4, 3))]
    assert best.deviation == pytest.approx(by_hand)
    assert ended(best) == "4.000 ± 1.0"
    assert evaluations(compare(runs).rows[0]) == "3 to 4"


def test_evaluations_are_trials_that_count_as_they_ended() -> None:
    trials: list[Trial] = [(1.0, 1e9), "repeat", (9.0, 1e9), "infeasible", "pruned", "failed"]
    run = made_search(trials, order=[4, 2, 1, 3, 5, 0], iso=True, trials=3)
    best = compare([run, made_search(RISING, iso=True, sampler="gp")]).rows[0].best
    assert math.isnan(best.runs[0][0])  # it was pruned
    assert best.runs[0][1:].tolist() == [9.0, 9.0]


def test_one_objective_has_no_hypervolume() -> None:
    runs = [made_search(RISING, [(2.5, 1e9)], seed=seed, iso=True) for seed in (0, 1)]
    comparison = compare(runs)
    assert comparison.box is None
    assert document(comparison)[0]["hypervolume"] is None
    assert "Hypervolume" not in [head.words for head in groups_table(comparison).heads]
    assert "Hypervolume" not in [head.words for head in runs_table(comparison).heads]
    # the mean of random search, 2.5, is passed by the second trial's 3
    assert to_random(comparison.rows[0]) == ("2", "random took 1")


def test_random_search_is_pooled_over_searches_with_each_seed_once() -> None:
    chance: list[list[Trial]] = [[(1.0, 2e9), (2.0, 2e9)], [(3.0, 2e9), (3.0, 1e9)]]
    runs = [
        made_search(RISING, chance[seed], sampler=sampler, seed=seed)
        for sampler in ("tpe", "nsga2")
        for seed in (0, 1)
    ]
    random = named(compare(runs), "random baseline")
    assert [run.info.seed for run in random.runs] == [0, 1]
    assert random.best.mean == pytest.approx([2.0, 2.5])
    assert random.sampler is None


def test_random_search_of_another_budget_is_another() -> None:
    runs = [
        made_search(RISING, [(1.0, 2e9)], budgets={"flops": limit}, sampler=sampler)
        for limit, sampler in ((4e9, "tpe"), (2e9, "tpe"), (4e9, "gp"))
    ]
    names = [row.name for row in compare(runs).rows if row.kind == "random"]
    assert names == ["random baseline of tpe, 4 GFLOPs", "random baseline of tpe, 2 GFLOPs"]


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([[1.0, 4.0], [1.0, 1.0, 5.0]], ("2.5", "random took 2")),
        ([[1.0, 4.0], [4.0], [1.0, 1.0]], ("2", "random took 2, 1 of 3 never did")),
        ([[1.0, 1.0], [4.0]], ("not reached", "1 of 2 runs did")),
    ],
)
def test_when_a_search_is_where_random_search_ends(
    others: list[list[float]], told: tuple[str, str]
) -> None:
    runs = [
        made_search([(score, 1e9) for score in mine], [(1.0, 1e9), (3.0, 1e9)], seed=seed, iso=True)
        for seed, mine in enumerate(others)
    ]
    assert to_random(compare(runs).rows[0]) == told


def test_bands_of_hypervolume_end_where_a_hypervolume_can() -> None:
    # after the first evaluation 0, 0 and 1 of the box: mean 1/3, deviation 0.577
    runs = [
        made_search([first, (0.0, 5e9)], seed=seed)
        for seed, first in enumerate([(0.0, 5e9), (0.0, 5e9), (4.0, 1e9)])
    ]
    low, high = (trace for trace in volume_figure(compare(runs)).data if trace.meta == "band")
    assert low.y.tolist() == [0.0, 0.0]
    assert high.y == pytest.approx([1 / 3 + 3**-0.5] * 2)
    # 1, 1 and 0: the mean is 2/3, and 2/3 + 0.577 is over 1
    runs = [
        made_search([first, (0.0, 5e9)], seed=seed)
        for seed, first in enumerate([(4.0, 1e9), (4.0, 1e9), (0.0, 5e9)])
    ]
    low, high = (trace for trace in volume_figure(compare(runs)).data if trace.meta == "band")
    assert high.y.tolist() == [1.0, 1.0]
    assert low.y == pytest.approx([2 / 3 - 3**-0.5] * 2)


def test_searches_of_small_networks_are_in_mflops_together() -> None:
    small = [made_search([(1.0, 30e6), (2.0, 50e6)], seed=seed) for seed in (0, 1)]
    comparison = compare(small)
    assert [metric.short for metric in comparison.objectives] == ["", "MFLOPs"]
    flops = costs(*(run.frame for run in comparison.runs))[0]
    assert front_lines(comparison, flops) == [[30.0, 50.0]]
    # one larger network among them, and all are in GFLOPs
    both = compare([*small, made_search([(1.0, 3e9)], sampler="gp")])
    assert [metric.short for metric in both.objectives] == ["", "GFLOPs"]
    assert front_lines(both, costs(*(run.frame for run in both.runs))[0])[0] == [0.03, 0.05]


def front_lines(comparison: Comparison, metric: Metric) -> list[list[float]]:
    figure = fronts_figure(comparison, metric)
    return [trace.x.tolist() for trace in figure.data if trace.meta == "search"]


def test_reached_is_a_count_from_one() -> None:
    assert reached(np.array([0.1, 0.3, 0.3]), 0.3) == 2
    assert reached(np.array([0.1]), 0.3) is None
    assert reached(np.array([math.nan, 0.3]), 0.3) == 2


def test_fronts_are_what_half_of_the_runs_attain() -> None:
    draw = np.random.default_rng(1)
    runs = [
        made_search([(float(draw.integers(1, 9)), float(draw.integers(1, 9))) for _ in range(6)])
        for _ in range(5)
    ]
    found = attained([run.frame for run in runs], FLOPS, "search")
    assert found is not None
    for place, cost in enumerate(found.cost):
        best = sorted(
            (
                max(
                    (s for s, c in zip(f["score"], f["flops"], strict=True) if c <= cost),
                    default=-math.inf,
                )
                for f in (run.frame for run in runs)
            ),
            reverse=True,
        )
        assert (found.best[place], found.half[place], found.worst[place]) == (
            best[0],
            best[2],
            best[4],
        )


def test_fronts_of_a_measure_that_is_better_when_higher() -> None:
    frame = made_search([(1.0, 1.0), (2.0, 1.0), (3.0, 1.0)]).frame
    frame["throughput"] = [300.0, 200.0, 250.0]
    found = attained([frame], THROUGHPUT, "search")
    assert found is not None
    # from the fastest on; 200 images a second with a score of 2 is beaten by the third
    assert found.cost.tolist() == [300.0, 250.0]
    assert found.half.tolist() == [1.0, 3.0]


def test_searches_without_any_score_compare() -> None:
    runs = [made_search(["failed", "failed"], seed=seed, trials=2) for seed in (0, 1)]
    comparison = compare(runs)
    assert comparison.box is None
    assert attained([run.frame for run in runs], ACTIVATIONS, "search") is None
    assert ended(comparison.rows[0].best) == "–"
    assert (
        json.loads(json.dumps(document(comparison), allow_nan=False))[0]["best_score"]["mean"]
        is None
    )
