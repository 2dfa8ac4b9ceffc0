from __future__ import annotations

from math import nan

import pandas as pd
import pytest

from archspec.errors import RunError
from reports.metrics import costs, flops
from search.budgets import Budget
from search.metrics import MEASURED, OBJECTIVES, SCORE, direction, objectives_of

FLOPS, TIME = Budget("flops", 4.5e9), Budget("latency", 5e-3)


def test_what_may_be_an_objective_and_which_way_it_goes() -> None:
    ways = {
        "score": "maximize",
        "flops": "minimize",
        "params": "minimize",
        "activations": "minimize",
        "traffic": "minimize",
        "latency": "minimize",
        "throughput": "maximize",
    }
    assert {key: direction(key) for key in OBJECTIVES} == ways


def test_measured_columns_are_shown_in_the_units_that_people_say() -> None:
    latency, throughput = MEASURED
    assert 0.0125 / latency.divisor == pytest.approx(12.5)
    assert 200.0 / throughput.divisor == 200
    assert (latency.short, throughput.short) == ("ms", "images/s")
    assert latency.title == "Latency, ms a forward pass"
    assert all(metric.key == key for key, metric in OBJECTIVES.items())
    assert SCORE.better == "higher"


@pytest.mark.parametrize(
    ("texts", "budgets", "iso", "keys"),
    [
        ([], [FLOPS], False, ("score", "flops")),
        ([], [FLOPS], True, ("score",)),
        ([], [TIME, FLOPS], False, ("score", "latency")),
        (["score", "latency"], [FLOPS], False, ("score", "latency")),
        (["score,latency"], [FLOPS], False, ("score", "latency")),
        (["Score, Traffic", "throughput"], [FLOPS], False, ("score", "traffic", "throughput")),
        (["latency"], [FLOPS], False, ("latency",)),
        (["params", "activations"], [FLOPS], False, ("params", "activations")),
        (["score,activations"], [FLOPS], True, ("score", "activations")),
    ],
)
def test_objectives_as_people_write_them(
    texts: list[str], budgets: list[Budget], iso: bool, keys: tuple[str, ...]
) -> None:
    assert objectives_of(texts, budgets, iso) == keys


@pytest.mark.parametrize(
    ("texts", "iso", "words"),
    [
        (["speed"], False, ["'speed'", "latency", "throughput"]),
        (["latencey"], False, ["did you mean 'latency'?"]),
        (["depth"], False, ["'depth'", "legal: score, flops"]),
        ([""], False, ["''", "legal"]),
        (["score", "score"], False, ["once", "score"]),
        (["score,flops,params,latency"], False, ["objectives <= 3", "got 4", "--budget"]),
        (["score,flops"], True, ["--iso", "flops", "leave one"]),
    ],
)
def test_objectives_that_are_refused(texts: list[str], iso: bool, words: list[str]) -> None:
    with pytest.raises(RunError) as caught:
        objectives_of(texts, [FLOPS], iso)
    for word in words:
        assert word in str(caught.value)


def test_a_page_has_an_axis_for_what_was_measured() -> None:
    always = ["flops", "activations", "params", "depth", "traffic"]
    frame = pd.DataFrame({"state": "scored", "score": [1.0, 2.0], "flops": [1e9, 2e9]})
    assert [metric.key for metric in costs(frame)] == always
    measured = frame.assign(latency=[nan, 0.01], throughput=[nan, nan])
    assert [metric.key for metric in costs(measured)] == [*always, "latency"]
    both = measured.assign(throughput=[nan, 90.0])
    assert [metric.key for metric in costs(both)] == [*always, "latency", "throughput"]


@pytest.mark.parametrize(
    ("counts", "unit"),
    [
        ([20e6, nan, 97e6], "MFLOPs"),
        ([20e6, 999_999_999], "MFLOPs"),
        ([20e6, 1e9], "GFLOPs"),
        ([4.1e9], "GFLOPs"),
        ([nan], "GFLOPs"),
        ([], "GFLOPs"),
    ],
)
def test_flops_are_told_in_the_unit_of_the_largest_network(counts: list[float], unit: str) -> None:
    frame = pd.DataFrame({"state": "scored", "flops": counts})
    found = flops(frame)
    assert (found.key, found.short, found.unit) == ("flops", unit, f"{unit} (multiply-adds)")
    assert found.divisor == {"MFLOPs": 1e6, "GFLOPs": 1e9}[unit]
    # several runs on one page have one unit; what was too large to be scored does not count
    assert flops(frame, pd.DataFrame({"state": ["scored"], "flops": [2e9]})).short == "GFLOPs"
    assert flops(frame, pd.DataFrame({"state": ["infeasible"], "flops": [2e9]})).short == unit
