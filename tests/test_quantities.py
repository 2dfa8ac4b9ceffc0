from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archspec.errors import QuantityError
from archspec.quantities import (
    Quantity,
    format_count,
    format_quantity,
    parse_count,
    parse_quantity,
)

VALUES = st.floats(1e-3, 1e18)
UNITS = st.sampled_from(["flops", "params", "activations", "traffic", "seconds", "throughput"])


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("4.5GFLOPs", 4.5e9, "flops"),
        ("4.5 gflops", 4.5e9, "flops"),
        ("600MFLOP", 600e6, "flops"),
        ("4.1GMACs", 4.1e9, "flops"),
        ("5macs", 5, "flops"),
        ("1.2TFLOPs", 1.2e12, "flops"),
        ("4.5e9 flops", 4.5e9, "flops"),
        ("30Mparams", 30e6, "params"),
        ("28.6M params", 28.6e6, "params"),
        ("28.6 Mparameters", 28.6e6, "params"),
        ("500kparams", 500e3, "params"),
        ("500Kparams", 500e3, "params"),
        ("1_000 params", 1000, "params"),
        ("12Mactivations", 12e6, "activations"),
        ("1 activation", 1, "activations"),
        ("200MB", 200e6, "traffic"),
        ("1.5 GB", 1.5e9, "traffic"),
        ("64 bytes", 64, "traffic"),
        ("5ms", 5e-3, "seconds"),
        ("1.5 s", 1.5, "seconds"),
        ("2 seconds", 2, "seconds"),
        ("250us", 250e-6, "seconds"),
        ("250\u00b5s", 250e-6, "seconds"),
        ("250\u03bcs", 250e-6, "seconds"),
        (".5s", 0.5, "seconds"),
        ("5 m\u017f", 5e-3, "seconds"),
        ("5 \u212aflops", 5e3, "flops"),
        ("200images/s", 200, "throughput"),
        ("200 images/s", 200, "throughput"),
        ("1.5kimages/s", 1500, "throughput"),
        ("1.5 K images/s", 1500, "throughput"),
        ("2Mimages/s", 2e6, "throughput"),
        ("1 image/s", 1, "throughput"),
        ("0.5 img/sec", 0.5, "throughput"),
        ("30 Imgs/Second", 30, "throughput"),
    ],
)
def test_quantities_as_people_say_them(text: str, value: float, unit: str) -> None:
    assert parse_quantity(text) == Quantity(value, unit)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("28.6M", 28.6e6),
        ("4.5G", 4.5e9),
        (1234, 1234),
        (0.5, 0.5),
        ("1_000", 1000),
        ("1e3", 1000),
        ("28.6 m", 28.6e6),
        ("3k", 3000),
        ("2T", 2e12),
    ],
)
def test_counts(text: str | float, value: float) -> None:
    count = parse_count(text)
    assert count == value
    assert type(count) is float


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no quantity", "4.5GFLOPs"]),
        ("GFLOPs", ["'GFLOPs'", "no quantity"]),
        ("4.5", ["needs a unit", "4.5GFLOPs"]),
        ("4.5G", ["needs a unit"]),
        ("4,5GFLOPs", ["no quantity"]),
        ("4.5PFLOPs", ["no quantity"]),
        ("4.5GFLOPs/s", ["no quantity"]),
        ("4.5 5GFLOPs", ["no quantity"]),
        ("5 MiB", ["no quantity"]),
        ("5 Gs", ["no quantity"]),
        ("1__0params", ["no quantity"]),
        ("0GFLOPs", ["above 0"]),
        ("-3Mparams", ["above 0"]),
        ("1e999 flops", ["finite"]),
        ("1e99999999 flops", ["no quantity"]),
        ("1e-9999 s", ["above 0"]),
        ("nan flops", ["no quantity"]),
        ("inf s", ["no quantity"]),
        ("x" * 10_000, ["no quantity", "..."]),
        ("1" * 10_000 + "params", ["finite"]),
        ("\u0665 params", ["no quantity"]),
        ("5\nms\nms", ["no quantity"]),
        ("200 images", ["no quantity", "200images/s"]),
        ("200/s", ["no quantity"]),
        ("200images/ms", ["no quantity"]),
        ("200images / s", ["no quantity"]),
        ("0images/s", ["above 0"]),
        ("12 activat\u0131ons", ["no quantity"]),
        ("12 activat\u0130ons", ["no quantity"]),
    ],
)
def test_bad_quantities(text: str, words: list[str]) -> None:
    with pytest.raises(QuantityError) as caught:
        parse_quantity(text)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 250
    assert "5ms" in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "M",
        "4.5GFLOPs",
        "1,000",
        "0",
        0,
        -1,
        "-2M",
        math.nan,
        math.inf,
        "nan",
        True,
        1 << 20_000,
    ],
    ids=lambda text: type(text).__name__,
)
def test_bad_counts(text: str | float) -> None:
    with pytest.raises(QuantityError, match=r"28\.6M") as caught:
        parse_count(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (Quantity(4.456e9, "flops"), "4.456 GFLOPs"),
        (Quantity(4_455_999_999, "flops"), "4.46 GFLOPs"),
        (Quantity(4.5e9, "flops"), "4.5 GFLOPs"),
        (Quantity(28_589_128, "params"), "28.6 Mparams"),
        (Quantity(12e6, "activations"), "12 Mactivations"),
        (Quantity(200e6, "traffic"), "200 MB"),
        (Quantity(5e-3, "seconds"), "5 ms"),
        (Quantity(1.5, "seconds"), "1.5 s"),
        (Quantity(2.5e-4, "seconds"), "250 \u00b5s"),
        (Quantity(86400, "seconds"), "86400 s"),
        (Quantity(200, "throughput"), "200 images/s"),
        (Quantity(1534.6, "throughput"), "1.53 kimages/s"),
    ],
)
def test_formatted_quantities(quantity: Quantity, text: str) -> None:
    assert format_quantity(quantity) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (28_589_128, "28.6M"),
        (999_999, "1M"),
        (999_499, "999k"),
        (1234, "1.234k"),
        (1000, "1k"),
        (999, "999"),
        (0, "0"),
        (-28_589_128, "-28.6M"),
        (4.4e9, "4.4G"),
        (math.nan, "nan"),
    ],
)
def test_formatted_counts(count: float, text: str) -> None:
    assert format_count(count).rstrip("T") == text


@given(VALUES, UNITS)
def test_quantities_survive_the_round_trip(value: float, unit: str) -> None:
    text = format_quantity(Quantity(value, unit))
    again = parse_quantity(text)
    assert again.unit == unit
    assert again.value == pytest.approx(value, rel=0.00501)
    assert format_quantity(again) == text


@given(VALUES)
def test_counts_survive_the_round_trip(value: float) -> None:
    text = format_count(value)
    assert parse_count(text) == pytest.approx(value, rel=0.00501)
    assert format_count(parse_count(text)) == text


@given(st.integers(1, 9999), st.sampled_from(["k", "M", "G", "T"]), UNITS)
def test_what_people_write_comes_back_unrounded(digits: int, prefix: str, unit: str) -> None:
    if unit == "seconds":
        quantity = Quantity(float(f"{digits}e-6"), unit)
    else:
        quantity = Quantity(parse_count(f"{digits}{prefix}"), unit)
    assert parse_quantity(format_quantity(quantity)) == quantity


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (parse_quantity, parse_count):
        try:
            read(text)
        except QuantityError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017 (no error is fine too)
