"""Searches under measured budgets, on a device whose times follow from FLOPs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny_runs import made_run, tiny_space

from archspec.cost import totals
from archspec.errors import OutOfMemory, TrainError
from archspec.planning import plan_network
from archspec.spec import NetworkSpec, read_spec
from search import evaluate
from search.coordinator import At
from search.drive import Job
from search.evaluate import MeasureJob, measure
from search.folder import RunFolder
from search.measuring import Measuring, hardware_of
from search.record import Record, architecture_key
from search.run import Search
from search.shipped import shipped_within, shown_limits
from search.space import Space

#: seconds of a pass of one image, from its FLOPs
Device = Callable[[float], float]
#: FLOPs that the device does in a second, and a limit that 40 MFLOPs meet
PACE, LIMIT = 1e9, 40e-3


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Device], list[int]]]:
    """Puts a device in place; returns the FLOPs of what it is given, in order."""
    evaluate._foreign.cache_clear()

    def put(takes: Device) -> list[int]:
        asked: list[int] = []

        def pass_times(spec: NetworkSpec, batch: int, *setting: Any) -> Generator[float]:
            asked.append(totals(plan_network(spec)).flops)
            yield from repeat(takes(batch * asked[-1]))

        monkeypatch.setattr("archspec.study.latency.pass_times", pass_times)
        return asked

    yield put
    evaluate._foreign.cache_clear()


def timed(path: Path, text: str | None = None, **changes: Any) -> RunFolder:
    measuring = Measuring(("latency",), "cpu", hardware_of("cpu"), threads=1)
    values: dict[str, Any] = {
        "budgets": {"latency": LIMIT},
        "measuring": measuring,
        "objectives": ("score", "latency"),
        "score": "depth",
        "trials": 6,
        "random_trials": 3,
        "iso": True,
    }
    return made_run(path, text, **values | changes)


def searched(path: Path, text: str | None = None, **changes: Any) -> pd.DataFrame:
    folder = timed(path, text, **changes)
    Search(folder).go()
    return folder.frame()


def test_what_does_not_fit_the_memory_is_made_smaller(
    tmp_path: Path, device: Callable[[Device], list[int]]
) -> None:
    """The time would allow 40 MFLOPs, the memory 30."""

    def takes(flops: float) -> float:
        if flops > 30e6:
            raise OutOfMemory("1 x 32 x 32 pixels do not fit the memory of cpu")
        return flops / PACE

    asked = device(takes)
    frame = searched(tmp_path / "run")
    assert max(asked) > 30e6
    scored = frame[frame["state"] == "scored"]
    assert len(scored) == 9
    assert scored["flops"].max() <= 30e6
    assert scored["reason"].isna().all()


def test_what_torch_refuses_has_failed_with_its_reason_and_its_text(
    tmp_path: Path, device: Callable[[Device], list[int]]
) -> None:
    calls = [0]

    def takes(flops: float) -> float:
        calls[0] += 1
        if calls[0] > 12 and calls[0] % 3 == 0:
            raise TrainError("torch refused: not here")
        return flops / PACE

    device(takes)
    frame = searched(tmp_path / "run")
    failed = frame[frame["state"] == "failed"]
    assert len(failed) > 0
    assert set(failed["reason"]) == {"torch refused: not here"}
    assert failed["spec"].notna().all()
    assert "infeasible" not in set(frame["state"])


def test_a_coarse_space_is_searched_under_a_time(
    tmp_path: Path, device: Callable[[Device], list[int]]
) -> None:
    device(lambda flops: flops / PACE)
    coarse = tiny_space(tmp_path).read_text(encoding="utf-8")
    for low, high, step in ((16, 96, 16), (32, 192, 32)):
        coarse = coarse.replace(f"[{low}, {high}], step: 8", f"[{low}, {high}], step: {step}")
    path = tmp_path / "coarse.yaml"
    path.write_text(coarse, encoding="utf-8")
    frame = searched(tmp_path / "run", Space.read(path).dump(), sampler="guided")
    assert set(frame["state"]) <= {"scored", "repeat"}
    assert (frame["latency"] <= LIMIT).all()
    assert frame["latency"].tolist() == pytest.approx((frame["flops"] / PACE).tolist())


def test_shipped_networks_are_bounded_where_only_time_is(tmp_path: Path) -> None:
    info = timed(tmp_path / "run").info
    shown = list(shipped_within(info, 224, 4e9))
    assert len(shown) > 5
    assert max(totals(one.plan).flops for one in shown) <= 1.25 * 4e9
    # claims go by numbers, so each is of one network, however large one may be
    fewer = {one.number: one.spec.name for one in shipped_within(info, 224, 2e9)}
    more = {one.number: one.spec.name for one in shown}
    assert set(fewer.items()) != set(more.items())
    assert all(fewer[number] == more[number] for number in fewer.keys() & more.keys())
    # at least so many images a second, less the same share
    limits = shown_limits({"latency": 8e-3, "throughput": 100.0})
    assert limits == {"latency": pytest.approx(10e-3), "throughput": pytest.approx(80.0)}


def test_a_shipped_network_far_above_the_time_is_infeasible(
    tmp_path: Path, device: Callable[[Device], list[int]]
) -> None:
    """A device of 1 GFLOPs a second, on which networks of over 205 MFLOPs take 20 times as long."""
    asked = device(lambda flops: flops / PACE * (20 if flops > 205e6 else 1))
    frame = searched(tmp_path / "run", budgets={"latency": 0.2}, trials=2, shipped=True)
    shipped = frame[frame["kind"] == "shipped"].set_index("name")
    slow, kept = shipped.loc["mobilenetv2_075"], shipped.loc["regnety_002"]
    assert (slow["state"], kept["state"]) == ("infeasible", "scored")
    # 209 MFLOPs, and a quarter more than the limit
    assert slow["reason"] == "latency: 4.18 s on cpu, above 250 ms (3 passes)"
    assert kept["latency"] == pytest.approx(kept["flops"] / PACE)
    # what is far too large is not even built
    assert max(asked) < 300e6


@pytest.mark.parametrize(
    ("limit", "load", "reason"),
    [
        (40e-3, 1.25, "latency: 50 ms on cpu, above 40 ms (measured before)"),
        (100e-3, 0.5, None),
    ],
)
def test_a_network_that_was_measured_before_has_a_reason_of_its_own(
    tmp_path: Path, limit: float, load: float, reason: str | None
) -> None:
    """Such as a shipped one, met again by a search that was asked for more trials."""
    trials = Search(timed(tmp_path / "run", budgets={"latency": limit})).trials
    spec = read_spec("mobilenetv2_050")
    known = {"key": architecture_key(spec), "state": "scored", "score": 1.0, "latency": 50e-3}
    trials.scoring.remember("shipped", known)
    record = Record({"reason": "latency: 90 ms on cpu, above 40 ms (3 passes)", "latency": 90e-3})
    with pytest.raises(StopIteration) as ended:
        next(trials.measured(spec, record, {"latency": limit}, At("search", 0, 6)))
    assert ended.value.value == pytest.approx(load)
    assert (record.attrs["reason"], record.attrs["latency"]) == (reason, 50e-3)


def test_what_is_known_in_part_is_measured_again(tmp_path: Path) -> None:
    """One that was given up for its latency has no throughput."""
    both = Measuring(("latency", "throughput"), "cpu", hardware_of("cpu"), threads=1)
    trials = Search(timed(tmp_path / "run", measuring=both)).trials
    spec = read_spec("mobilenetv2_050")
    known = {"key": architecture_key(spec), "state": "infeasible", "latency": 50e-3}
    trials.scoring.remember("shipped", known)
    at = At("search", 0, 6)
    job = next(trials.measured(spec, Record({"reason": None}), {"latency": 60e-3}, at))
    assert isinstance(job, Job)
    refused = Record({"reason": None})
    with pytest.raises(StopIteration) as ended:
        next(trials.measured(spec, refused, {"latency": 40e-3}, at))
    assert ended.value.value == pytest.approx(1.25)


def test_a_worker_with_other_hardware_measures_nothing(
    device: Callable[[Device], list[int]],
) -> None:
    asked = device(lambda flops: flops / PACE)
    spec = read_spec("mobilenetv2_050")
    other = Measuring(("latency",), "cpu", "another processor", threads=1)
    told = measure(MeasureJob(other, spec, {}))
    assert told["state"] == "failed"
    assert "the run measures on another processor" in told["reason"]
    missing = Measuring(("latency",), "cuda:99", "a GPU")
    assert measure(MeasureJob(missing, spec, {}))["state"] == "failed"
    assert asked == []
