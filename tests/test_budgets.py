from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from archspec.errors import QuantityError
from archspec.train.devices import DEVICES as TRAINED_ON
from search.budgets import DEVICES, Budget, budgets_of, law_limits, measured_limits

READ = TypeAdapter(Budget)


@pytest.mark.parametrize(
    ("text", "budget", "shown", "stem"),
    [
        ("4.5GFLOPs", Budget("flops", 4.5e9), "4.5 GFLOPs", "4.5GFLOPs"),
        ("30Mparams", Budget("params", 30e6), "30 Mparams", "30Mparams"),
        ("12Mactivations", Budget("activations", 12e6), "12 Mactivations", "12Mactivations"),
        ("400MB", Budget("traffic", 400e6), "400 MB", "400MB"),
        ("5ms", Budget("latency", 5e-3), "5 ms", "5ms"),
        ("5ms@cuda", Budget("latency", 5e-3, "cuda"), "5 ms on cuda", "5ms-cuda"),
        ("5 ms @ CUDA", Budget("latency", 5e-3, "cuda"), "5 ms on cuda", "5ms-cuda"),
        ("5ms@cuda:1", Budget("latency", 5e-3, "cuda:1"), "5 ms on cuda:1", "5ms-cuda-1"),
        ("0.2s@mps", Budget("latency", 0.2, "mps"), "200 ms on mps", "200ms-mps"),
        (
            "200images/s@cpu",
            Budget("throughput", 200, "cpu"),
            "200 images/s or more on cpu",
            "200images-s-cpu",
        ),
        ("1.5kimages/s", Budget("throughput", 1500), "1.5 kimages/s or more", "1.5kimages-s"),
    ],
)
def test_budgets_as_people_write_them(text: str, budget: Budget, shown: str, stem: str) -> None:
    assert budgets_of([text]) == (budget,)
    assert (str(budget), budget.stem) == (shown, stem)
    assert budget.measured == (budget.quantity in ("latency", "throughput"))


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], ["needs a budget", "4.5GFLOPs", "5ms"]),
        (["4.5"], ["needs a unit"]),
        (["5ms@"], ["no device is called ''", "legal: cuda, mps, cpu"]),
        (["5ms@gpu"], ["no device is called 'gpu'", "cpu"]),
        (["5ms@cuda0"], ["did you mean 'cuda'?"]),
        (["5ms@cuda:x"], ["no device"]),
        (["5ms@cuda:01"], ["no device"]),
        (["5ms@cuda@cpu"], ["no device"]),
        (["@cuda"], ["no quantity"]),
        (["4.5GFLOPs@cuda"], ["4.5GFLOPs@cuda", "text alone tells flops", "write '4.5GFLOPs'"]),
        (["400MB@cpu"], ["text alone tells traffic", "write '400MB'"]),
        (["5ms", "6ms"], ["two budgets bound latency", "5ms", "6ms"]),
        (["5ms@cuda", "0.01s@cpu"], ["two budgets bound latency", "5ms@cuda", "10ms@cpu"]),
        (["4GFLOPs", "5GFLOPs"], ["two budgets bound flops"]),
        (["5ms@cuda", "200images/s@cpu"], ["one device", "5ms@cuda", "200images/s@cpu"]),
        (["5ms@" + "x" * 10_000], ["no device", "..."]),
    ],
)
def test_budgets_that_are_refused(texts: list[str], words: list[str]) -> None:
    with pytest.raises(QuantityError) as caught:
        budgets_of(texts)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    for word in words:
        assert word.replace("'", "") in message.replace("'", "")


def test_the_device_of_one_measured_budget_is_that_of_the_other() -> None:
    budgets = budgets_of(["5ms", "4.5GFLOPs", "200images/s@cuda"])
    assert [budget.device for budget in budgets] == ["cuda", None, "cuda"]
    assert law_limits(budgets) == {"flops": 4.5e9}
    assert measured_limits(budgets) == {"latency": 5e-3, "throughput": 200}


def test_throughput_is_bounded_from_below_and_all_else_from_above() -> None:
    time, rate = budgets_of(["5ms", "200images/s"])
    assert [time.kept(value) for value in (4e-3, 5e-3, 6e-3)] == [True, True, False]
    assert [rate.kept(value) for value in (199.0, 200.0, 201.0)] == [False, True, True]
    assert (time.words, rate.words) == ("at most 5 ms", "at least 200 images/s")


@given(
    st.sampled_from(["flops", "params", "activations", "traffic", "latency", "throughput"]),
    st.floats(1e-9, 1e18),
    st.sampled_from([None, "cpu", "cuda", "cuda:3"]),
)
def test_what_an_option_takes_reads_back_with_every_digit(
    quantity: str, limit: float, device: str | None
) -> None:
    where = device if quantity in ("latency", "throughput") else None
    budget = Budget(quantity, limit, where)
    assert budgets_of([budget.exact]) == (budget,)


def test_a_record_is_read_back_and_an_older_one_has_no_device() -> None:
    budget = Budget("latency", 5e-3, "cuda:0")
    assert READ.validate_json(READ.dump_json(budget)) == budget
    assert READ.validate_python({"quantity": "flops", "limit": 1.0}) == Budget("flops", 1.0)
    for wrong in (
        {"quantity": "depth", "limit": 1.0},
        {"quantity": "flops", "limit": 0.0},
        {"quantity": "latency", "limit": 1.0, "device": "tpu"},
    ):
        with pytest.raises(ValidationError):
            READ.validate_python(wrong)


def test_devices_go_by_the_names_that_training_knows() -> None:
    # written twice, for budgets are read without torch
    assert DEVICES == TRAINED_ON
