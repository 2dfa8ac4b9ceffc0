from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import repeat
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from archspec.errors import OutOfMemory, RunError, TrainError
from archspec.spec import NetworkSpec, read_spec
from search.budgets import Budget, budgets_of
from search.measuring import Measured, Measuring, hardware_of, make_measuring, measured

BOTH = Measuring(("latency", "throughput"), "cpu", "a processor", threads=1)


@pytest.fixture(scope="module")
def small() -> NetworkSpec:
    return read_spec("mobilenetv2_050", [("input.resolution", "32")])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A device that takes 4 ms and 1 ms an image; what it was asked."""
    known: list[tuple[Any, ...]] = []

    def pass_times(spec: NetworkSpec, batch: int, *setting: Any) -> Generator[float]:
        known.append((batch, *setting))
        yield from repeat(4e-3 + 1e-3 * batch)

    monkeypatch.setattr("archspec.study.latency.pass_times", pass_times)
    return known


def test_each_quantity_is_measured_at_its_own_batch(
    small: NetworkSpec, asked: list[tuple[Any, ...]]
) -> None:
    found = measured(small, BOTH)
    assert asked == [(1, "fp32", False, "cpu"), (64, "fp32", False, "cpu")]
    # one pass of one image, and 64 images over one pass of theirs
    assert found.values == {"latency": 5e-3, "throughput": pytest.approx(64 / 68e-3)}
    assert found.spreads["latency"] == (5e-3, 5e-3)
    assert (found.load, found.reason, found.stopped) == (0, None, False)


def test_what_nobody_asks_for_is_not_measured(
    small: NetworkSpec, asked: list[tuple[Any, ...]]
) -> None:
    only = Measuring(("throughput",), "cpu", "a processor", throughput_batch=8, precision="bf16")
    assert measured(small, only).values == {"throughput": pytest.approx(8 / 12e-3)}
    assert asked == [(8, "bf16", False, "cpu")]


@pytest.mark.parametrize(
    ("limits", "load", "reason", "batches"),
    [
        ({"latency": 10e-3}, 0.5, None, [1, 64]),
        ({"latency": 10e-3, "throughput": 800.0}, 800 * 68e-3 / 64, None, [1, 64]),
        ({"latency": 2e-3}, 2.5, "latency: 5 ms on cpu, above 2 ms (3 passes)", [1]),
        (
            {"latency": 10e-3, "throughput": 2000.0},
            2000 * 68e-3 / 64,
            "throughput: 941 images/s on cpu, below 2 kimages/s (3 passes)",
            [1, 64],
        ),
    ],
)
def test_a_broken_limit_ends_the_measuring_with_its_reason(
    small: NetworkSpec,
    asked: list[tuple[Any, ...]],
    limits: dict[str, float],
    load: float,
    reason: str | None,
    batches: list[int],
) -> None:
    found = measured(small, BOTH, limits)
    assert found.load == pytest.approx(load)
    assert (found.reason, found.broken, found.stopped) == (reason, load > 1, load > 1)
    assert [batch for batch, *_ in asked] == batches
    # what broke the limit is kept, too
    assert len(found.values) == len(batches)


def test_the_worse_tenth_is_slow_for_both_quantities(
    small: NetworkSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pass_times(*_: Any) -> Iterator[float]:
        while True:
            yield from (1e-3, 2e-3, 3e-3, 4e-3, 5e-3)

    monkeypatch.setattr(
        "archspec.study.latency.pass_times", lambda *args: (x for x in pass_times())
    )
    found = measured(small, BOTH)
    worse, better = found.spreads["latency"]
    assert better < found.values["latency"] == 3e-3 < worse
    worse, better = found.spreads["throughput"]
    assert worse < found.values["throughput"] == 64 / 3e-3 < better


# on this machine's CPU


def here(*quantities: Any, **changes: Any) -> Measuring:
    return Measuring(quantities, "cpu", hardware_of("cpu"), repeats=5, **changes)


def test_a_larger_network_takes_longer_and_does_fewer_images(small: NetworkSpec) -> None:
    # 49 times the positions
    large = read_spec("mobilenetv2_050", [("input.resolution", "224")])
    how = here("latency", "throughput", throughput_batch=2)
    little, much = measured(small, how), measured(large, how)
    assert 0 < little.values["latency"] < much.values["latency"]
    assert little.values["throughput"] > much.values["throughput"] > 0
    assert not little.broken
    assert little.seconds > 0


def test_a_limit_that_no_network_keeps_ends_after_three_passes(small: NetworkSpec) -> None:
    found = measured(small, here("latency", "throughput"), {"latency": 1e-9})
    assert (found.broken, found.stopped, list(found.values)) == (True, True, ["latency"])
    assert found.reason is not None
    assert found.reason.endswith("on cpu, above 1 ns (3 passes)")


def test_threads_are_those_of_the_run_while_it_measures(
    small: NetworkSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, during = torch.get_num_threads(), []

    def pass_times(*_: Any) -> Generator[float]:
        while True:
            during.append(torch.get_num_threads())
            yield 1e-3

    monkeypatch.setattr("archspec.study.latency.pass_times", pass_times)
    measured(small, here("latency", threads=before + 1))
    assert set(during) == {before + 1}
    assert torch.get_num_threads() == before


def test_random_numbers_of_the_search_are_not_disturbed(small: NetworkSpec) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    measured(small, here("latency"))
    assert torch.equal(torch.rand(3), expected)


def test_what_torch_refuses_and_what_does_not_fit_is_told(
    small: NetworkSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def out_of_memory(spec: NetworkSpec) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 10 bytes")

    monkeypatch.setattr("archspec.study.latency.build", out_of_memory)
    with pytest.raises(OutOfMemory, match="64 x 32 x 32 pixels do not fit the memory of cpu"):
        measured(small, here("throughput"))

    def refuses(spec: NetworkSpec) -> Any:
        raise RuntimeError("\"op\" not implemented for 'Half'\nmore")

    monkeypatch.setattr("archspec.study.latency.build", refuses)
    with pytest.raises(TrainError, match=r"torch refused: \"op\" not implemented for 'Half'$"):
        measured(small, here("latency"))


# what is asked


def test_what_budgets_and_objectives_ask_for_is_measured() -> None:
    flops = budgets_of(["4.5GFLOPs"])
    assert make_measuring(flops, ("score", "flops")) is None
    by_budget = make_measuring(budgets_of(["5ms@cpu"]), ("score",))
    assert by_budget is not None
    assert (by_budget.quantities, by_budget.device) == (("latency",), "cpu")
    assert by_budget.hardware == hardware_of("cpu") != ""
    assert by_budget.threads == torch.get_num_threads()
    both = make_measuring(budgets_of(["200images/s"]), ("score", "latency"), "cpu", 2, 16, "bf16")
    assert both is not None
    assert both.quantities == ("latency", "throughput")
    assert (both.batch("latency"), both.batch("throughput")) == (2, 16)
    assert both.words().startswith(
        "latency at 2 images a pass and throughput at 16 images a pass, bf16, median of 20 passes "
        "on cpu ("
    )


@pytest.mark.parametrize(
    ("budgets", "changes", "words"),
    [
        (["4.5GFLOPs"], {"latency_batch": 4}, ["--latency-batch", "latency"]),
        (["5ms@cpu"], {"throughput_batch": 4}, ["--throughput-batch", "throughput"]),
        (["4.5GFLOPs"], {"precision": "fp16"}, ["--precision", "no objective"]),
        (["5ms@cpu"], {"precision": "half"}, ["'half'", "fp16"]),
        (["5ms@cpu"], {"repeats": 2}, ["repeats >= 3", "got 2"]),
    ],
)
def test_options_with_nothing_to_tell_are_refused(
    budgets: list[str], changes: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(RunError) as caught:
        make_measuring(budgets_of(budgets), ("score",), **changes)
    for word in words:
        assert word in str(caught.value)


def test_a_device_that_is_not_there_is_an_error_before_the_run() -> None:
    absent = "cuda:99"
    with pytest.raises(TrainError, match=f"no device '{absent}' here"):
        make_measuring((Budget("latency", 5e-3, absent),))


def test_a_run_does_not_go_on_on_other_hardware() -> None:
    here("latency").check()
    with pytest.raises(RunError, match="measures on a processor, and cpu is .* begin another run"):
        BOTH.check()


def test_a_record_of_it_reads_back() -> None:
    kept = TypeAdapter(Measuring)
    assert kept.validate_json(kept.dump_json(BOTH)) == BOTH
    assert hash(BOTH) == hash(kept.validate_json(kept.dump_json(BOTH)))
    assert not Measured({}, {}, 1.0, None, False, 0.0).broken
