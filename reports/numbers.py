"""Numbers and names as pages write them: a true minus, a dash for nothing, units that fit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

MISSING = "–"


def number(value: object) -> float | None:
    """A finite number, or None for what is missing, not finite or no number."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def percent(value: object) -> str:
    """A percentage to two places, without its sign: `93.41`."""
    found = number(value)
    return MISSING if found is None else _minus(f"{found:.2f}")


def points(value: object) -> str:
    """A difference of percentages, always with its sign: `+0.40`, `−0.20`, `0.00`."""
    found = number(value)
    if found is None:
        return MISSING
    return "0.00" if round(found, 2) == 0 else _minus(f"{found:+.2f}")


def significant(value: object, digits: int = 3) -> str:
    """A number to so many significant digits, whole digits kept: `4.09`, `0.0561`, `1,234`."""
    found = number(value)
    if found is None:
        return MISSING
    if found == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(float(f"{found:.{digits - 1}e}"))))
    return _minus(f"{found:,.{min(9, max(0, places))}f}")


def unit(values: Iterable[object]) -> tuple[float, str]:
    """Divisor and prefix that suit a column of counts: (1e9, "G"), (1e6, "M") or (1e3, "k")."""
    largest = max(
        (abs(found) for value in values if (found := number(value)) is not None), default=0
    )
    return next(((size, sign) for size, sign in _PREFIXES if largest >= size / 10), (1.0, ""))


def counted(value: object, word: str = "", largest: float = 1e9) -> str:
    """A count with its prefix and word: `4.09 GFLOPs`, `25.6 M`; no prefix above `largest`."""
    found = number(value)
    if found is None:
        return MISSING
    size, sign = next(
        ((size, sign) for size, sign in _PREFIXES if size <= largest and abs(found) >= size / 10),
        (1.0, ""),
    )
    return f"{significant(found / size)} {sign}{word}".rstrip()


def data_name(data: object) -> str:
    """What a data set is called: its name, or the last part of an absolute path."""
    path = Path(str(data or ""))
    return path.name if path.is_absolute() else str(data or "")


def lasting(seconds: object) -> str:
    """A time as people say it: `42 s`, `37 min`, `3.4 hours`."""
    found = number(seconds)
    if found is None:
        return MISSING
    if found < 120:
        return f"{significant(found, 2)} s"
    return f"{found / 60:.0f} min" if found < 7200 else f"{significant(found / 3600, 2)} hours"


_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def _minus(text: str) -> str:
    return text.replace("-", "−")
