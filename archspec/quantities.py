"""Quantities as people say them: `4.5GFLOPs`, `28.6M params`, `5ms`, `200MB`, `1.5kimages/s`.

Prefixes are decimal (k, M, G, T). A flop is one multiply-add, so MACs and FLOPs are one unit;
bytes are memory traffic; images a second are throughput.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from archspec.errors import QuantityError


class Quantity(NamedTuple):
    """A positive number of `unit`: flops, params, activations, traffic (bytes), seconds or
    throughput (images a second)."""

    value: float
    unit: str


_POWERS = {"": 0, "k": 3, "m": 6, "g": 9, "t": 12}
_SECONDS = ("s", "sec", "secs", "second", "seconds")
# The Greek letter: the sign on keyboards, U+00B5, folds to it.
_TIMES = {"ns": -9, "us": -6, "\u03bcs": -6, "ms": -3} | dict.fromkeys(_SECONDS, 0)
_UNITS = {
    **dict.fromkeys(("flop", "flops", "mac", "macs"), "flops"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "params"),
    **dict.fromkeys(("activation", "activations"), "activations"),
    **dict.fromkeys(("b", "byte", "bytes"), "traffic"),
    **{
        f"{one}/{second}": "throughput"
        for one in ("image", "images", "img", "imgs")
        for second in ("s", "sec", "second")
    },
}
_SHOWN = {"flops": "FLOPs", "params": "params", "activations": "activations", "traffic": "B"}
_SHOWN |= {"throughput": "images/s"}
_SCALES = ((12, "T"), (9, "G"), (6, "M"), (3, "k"), (0, ""))
_SECOND_SCALES = ((0, "s"), (-3, "ms"), (-6, "\u00b5s"), (-9, "ns"))

_NUMBER = r"([-+]?(?:[0-9]+(?:_[0-9]+)*(?:\.[0-9]*)?|\.[0-9]+))(?:e([-+]?[0-9]{1,4}))?"
# Of folded text: re.IGNORECASE would take a dotless i for an i, which no unit's name has.
_COUNT = re.compile(rf"\s*{_NUMBER}\s*([kmgt]?)\s*")
_TIME = re.compile(rf"\s*{_NUMBER}\s*({'|'.join(_TIMES)})\s*")
_QUANTITY = re.compile(rf"\s*{_NUMBER}\s*([kmgt]?)\s*({'|'.join(_UNITS)})\s*")
_COUNT_FORM = "write it like 28.6M, 4.5G or 1_000"
_QUANTITY_FORM = "write it like 4.5GFLOPs, 30Mparams, 12Mactivations, 200MB, 5ms or 200images/s"


def parse_quantity(text: str) -> Quantity:
    """`4.5GFLOPs` and its kin; letters may be of either case. Raises QuantityError."""
    folded = text.casefold()
    if found := _TIME.fullmatch(folded):
        number, exponent, unit = found.groups()
        value = _scaled(number, exponent, _TIMES[unit])
        return Quantity(_positive(value, text, _QUANTITY_FORM), "seconds")
    if found := _QUANTITY.fullmatch(folded):
        number, exponent, prefix, unit = found.groups()
        value = _scaled(number, exponent, _POWERS[prefix])
        return Quantity(_positive(value, text, _QUANTITY_FORM), _UNITS[unit])
    if _COUNT.fullmatch(folded):
        raise QuantityError(f"a quantity needs a unit, but got {_short(text)}; {_QUANTITY_FORM}")
    raise QuantityError(f"{_short(text)} is no quantity; {_QUANTITY_FORM}")


def parse_count(text: str | int | float) -> float:
    """`28.6M`, `1_000` or a plain number, as a positive float. Raises QuantityError."""
    if isinstance(text, str):
        found = _COUNT.fullmatch(text.casefold())
        if not found:
            raise QuantityError(f"{_short(text)} is no count; {_COUNT_FORM}")
        number, exponent, prefix = found.groups()
        value = _scaled(number, exponent, _POWERS[prefix])
    elif isinstance(text, bool) or not isinstance(text, int | float):
        raise QuantityError(f"{_short(text)} is no count; {_COUNT_FORM}")
    else:
        try:
            value = float(text)
        except OverflowError:
            value = math.inf
    return _positive(value, text, _COUNT_FORM)


def format_quantity(quantity: Quantity) -> str:
    """`4.46 GFLOPs`: three significant digits, or four where these are exact."""
    if quantity.unit == "seconds":
        number, prefix = _split(quantity.value, _SECOND_SCALES)
        return f"{number} {prefix}"
    number, prefix = _split(quantity.value, _SCALES)
    return f"{number} {prefix}{_SHOWN[quantity.unit]}"


def several(count: object, word: str) -> str:
    """A count and its word: `1 epoch`, `15 epochs`."""
    return f"{count} {word}" + ("" if count == 1 else "s")


def format_count(count: float) -> str:
    """`28.6M`: three significant digits, or four where these are exact."""
    return "".join(_split(count, _SCALES))


def _scaled(number: str, exponent: str | None, power: int) -> float:
    # One reading of the whole decimal: 28.6 * 1e6 could be off in the last bit.
    return float(f"{number}e{power + int(exponent or 0)}")


def _positive(value: float, text: object, form: str) -> float:
    if not 0 < value < math.inf:
        raise QuantityError(f"a number above 0 and finite is needed, not {_short(text)}; {form}")
    return value


def _split(value: float, scales: tuple[tuple[int, str], ...]) -> tuple[str, str]:
    """The digits and the prefix; rounding comes first, so that 999,999 is 1M, not 1000k."""
    if not math.isfinite(value):
        return str(value), scales[0][1]
    four = float(f"{value:.3e}")
    rounded = four if four == value else float(f"{value:.2e}")
    fitting = (scale for scale in scales if abs(rounded) >= float(f"1e{scale[0]}"))
    power, prefix = next(fitting, scales[-1])
    # Through the decimal text again, so that no digit is invented by the division.
    mantissa, _, exponent = f"{rounded:.3e}".partition("e")
    scaled = float(f"{mantissa}e{int(exponent) - power}")
    if 0 < abs(scaled) < 1e-3 or abs(scaled) >= 1e6:
        return f"{scaled:.4g}", prefix
    digits = f"{scaled:.6f}".rstrip("0").rstrip(".")
    return digits, prefix


def _short(text: object) -> str:
    shown = repr(text) if not isinstance(text, int) or abs(text) < 10**40 else "a huge number"
    return shown if len(shown) <= 60 else shown[:57] + "..."
