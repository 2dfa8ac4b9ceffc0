"""Domains: values that a search chooses, standing where a plain value would stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from archspec.errors import LawError, did_you_mean
from archspec.strict import shown

Number = int | float
MOST_OPTIONS = 1_000
#: decimals of the values of a range in steps of less than 1
DIGITS = 9


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values, each under a tag; the tag is what a trial records."""

    tags: tuple[str | int | float | bool, ...]
    values: tuple[Any, ...]
    tie: str | None = None

    def value(self, tag: object) -> Any:
        """The value under a tag."""
        return self.values[self.tags.index(tag)]

    def at_share(self, share: float) -> str | int | float | bool:
        """The tag at a share in [0, 1) of the way through them."""
        return self.tags[int(share * len(self.tags))]


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from low to high, both included, `step` apart; log: even in the logarithm."""

    low: Number
    high: Number
    step: Number | None = None
    log: bool = False
    tie: str | None = None

    @property
    def whole(self) -> bool:
        """Whether all values are integers."""
        return (
            isinstance(self.low, int)
            and isinstance(self.high, int)
            and not (isinstance(self.step, float))
        )

    def nearest(self, value: float) -> Number:
        """The domain's value nearest to a number."""
        bounded = min(max(value, self.low), self.high)
        step = self.step or (1 if self.whole else None)
        if step is None:
            return float(bounded)
        steps = int((bounded - self.low) / step + 0.5)
        if self.low + steps * step > self.high:
            steps -= 1
        found = self.low + steps * step
        # tenths are not exact in binary
        return found if self.whole else round(found, DIGITS)

    def at_share(self, share: float) -> Number:
        """The value at a share in [0, 1) of the way from low to high, each step with a share of
        its own, the first and the last whole ones, too."""
        step = float(self.step or (1 if self.whole else 0))
        low = max(self.low - step / 2, self.low / 2) if self.log else self.low - step / 2
        high = self.high + step / 2
        if self.log:
            return self.nearest(low * (high / low) ** share)
        return self.nearest(low + share * (high - low))


Domain = Choice | Range


def parse_domain(raw: Mapping[str, Any]) -> Domain:
    """A domain as written; raises LawError with a path below it."""
    kind = next(key for key in ("choice", "range", "log_range") if key in raw)
    legal = ("choice", "tie") if kind == "choice" else (kind, "step", "tie")
    for key in raw:
        if key not in legal:
            law = f"unknown key {key!r}: {did_you_mean(key, legal)}"
            raise LawError(law, (str(key),), at_key=True)
    tie = raw.get("tie")
    if tie is not None and not (isinstance(tie, str) and tie.isidentifier()):
        raise LawError(f"tie is a name, but got {shown(tie)}", ("tie",))
    if kind == "choice":
        return _choice(raw["choice"], tie)
    return _range(kind, raw[kind], raw.get("step"), tie)


def _choice(raw: object, tie: str | None) -> Choice:
    if isinstance(raw, Mapping) and raw and len(raw) <= MOST_OPTIONS:
        return Choice(tuple(raw), tuple(raw.values()), tie)
    if isinstance(raw, list) and raw and len(raw) <= MOST_OPTIONS:
        tags = tuple(
            item if isinstance(item, (str, int, float)) else str(number)
            for number, item in enumerate(raw)
        )
        # 1, 1.0 and true are equal, and so are the words that trials record for 8 and '8'
        if len(set(tags)) < len(tags) or len(set(map(str, tags))) < len(tags):
            raise LawError(
                f"options must differ, but got {shown(raw)}; remove one of those that are equal",
                ("choice",),
            )
        return Choice(tags, tuple(raw), tie)
    raise LawError(
        f"choice holds 1 to {MOST_OPTIONS} options, as a list or as tags with values, but got "
        f"{shown(raw)}",
        ("choice",),
    )


def _range(kind: str, raw: object, step: object, tie: str | None) -> Range:
    numbers = raw if isinstance(raw, list) else []
    if len(numbers) != 2 or not all(_is_number(item) for item in numbers):
        raise LawError(f"{kind} is [low, high], but got {shown(raw)}", (kind,))
    low, high = numbers
    if low > high:
        raise LawError(f"low <= high must hold, but got (low={low}, high={high})", (kind,))
    if step is not None and not (_is_number(step) and step > 0):  # type: ignore[operator]
        raise LawError(f"step > 0 must hold, but got {shown(step)}", ("step",))
    if kind == "log_range" and (step is not None or low <= 0):
        raise LawError(f"log_range needs low > 0 and no step, but got {shown(raw)}", (kind,))
    if step is not None:
        _check_step(low, high, step)  # type: ignore[arg-type]
    return Range(low, high, step, kind == "log_range", tie)  # type: ignore[arg-type]


def _check_step(low: Number, high: Number, step: Number) -> None:
    given = f"(low={low}, high={high}, step={step})"
    whole = isinstance(low, int) and isinstance(high, int)
    if whole and isinstance(step, float):
        raise LawError(
            f"a range of whole numbers has a whole step, but got {given}; write "
            f"[{float(low)}, {float(high)}] for fractions",
            ("step",),
        )
    steps, rest = divmod(high - low, step)
    # tenths are not exact in binary
    if min(rest, step - rest) > (0 if whole else 1e-6 * step):
        high = low + (steps + (2 * rest >= step)) * step
        raise LawError(
            f"step must divide high - low, but got {given}; the nearest high is "
            f"{high if whole else round(high, 9)}",
            ("step",),
        )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
