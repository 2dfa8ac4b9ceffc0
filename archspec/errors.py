"""Every error that archspec raises on purpose.

ArchspecError            one clear line; the command line prints it and exits with 2
├── SpecError            a text breaks a law: file:line:column: path: law, value, way out
├── LawError             the short cause, raised where a law stands; callers add the place
├── QuantityError        a quantity such as 4.5GFLOPs could not be read
├── FitError             no candidate meets the budget, and why
├── ResolutionError      a built network was fed a size that it was not built for
├── UncountedError       the referee met an operator that nobody counts
├── DataError            a data set could not be read
├── ScoreError           a score is undefined for a network
├── WeightsError         a checkpoint could not be read, or does not fit a network
├── TrainError           a training that cannot begin or go on, and why
│   ├── Diverged         its loss is no number any more
│   ├── OutOfMemory      even one image at a time is too much
│   └── TooSlow          it would take longer than it may
├── RunError             a run folder is missing, foreign or damaged
└── WorkerDied           what evaluated a network ended, again and again, before it was done
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple


class Mark(NamedTuple):
    """A place in a text; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class ArchspecError(Exception):
    """Base of all errors; its text is one line that a user can act on."""


class SpecError(ArchspecError):
    """A text that breaks a law of the language, with its place."""

    def __init__(self, problem: str, mark: Mark | None = None, path: str = "") -> None:
        self.problem, self.mark, self.path = problem, mark, path
        text = ": ".join(str(part) for part in (mark, _cut(path, 200), problem) if part)
        super().__init__(_one_line(text))


class LawError(ArchspecError, ValueError):
    """A broken law without its place; callers prepend path parts while it travels up.

    It is a ValueError so that pydantic keeps the place of a validator that raises it.
    `own` is the place inside the text's own units, where the law broke there; `inside` names the
    units on the way, outermost first. `at_key`: the key is wrong, not its value.
    """

    def __init__(
        self, problem: str, path: tuple[str | int, ...] = (), at_key: bool = False
    ) -> None:
        super().__init__(problem)
        self.problem, self.path, self.at_key = problem, path, at_key
        self.own: tuple[str | int, ...] | None = None
        self.inside: tuple[str, ...] = ()

    def under(self, *parts: str | int) -> LawError:
        """Prepend path parts; returns itself so that `raise error.under(...)` reads well."""
        self.path = (*parts, *self.path)
        return self


class QuantityError(ArchspecError):
    """A quantity that could not be read."""


class FitError(ArchspecError):
    """No candidate meets the budget; the text says why."""


class ResolutionError(ArchspecError):
    """A built network was fed a size that it was not built for."""


class UncountedError(ArchspecError):
    """The referee met an operator that nobody counts."""


class DataError(ArchspecError):
    """A data set that could not be read."""


class ScoreError(ArchspecError):
    """A score that is undefined for a network (overflow, no activation, ...)."""


class WeightsError(ArchspecError):
    """A checkpoint that cannot be read, or does not fit a network."""


class TrainError(ArchspecError):
    """A training that cannot begin or go on, and why."""


class Diverged(TrainError):
    """A training whose loss is no number any more."""


class OutOfMemory(TrainError):
    """A training whose smallest piece does not fit the memory of the device."""


class TooSlow(TrainError):
    """A training that would take longer than it may."""


class RunError(ArchspecError):
    """A run folder that is missing, foreign or damaged."""


class WorkerDied(ArchspecError):
    """Whatever evaluated a network ended before it was done, and so did those that tried again."""


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _one_line(text: str) -> str:
    """What a text says, without its line breaks and control characters, and never a page."""
    return printable(_cut(text, 1_500))


def printable(text: str) -> str:
    """A text with its control characters written out, which a terminal would obey."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def did_you_mean(word: object, legal: Iterable[object]) -> str:
    """The legal choices as one phrase, the nearest one first: `did you mean 'a'? legal: a, b`."""
    choices = ["null" if choice is None else str(choice) for choice in legal]
    near = difflib.get_close_matches(_cut(str(word), 100), choices, n=1, cutoff=0.6)
    most = 16 if near else 40  # who is told the nearest one rarely needs all the others
    listed = ", ".join(choices[:most]) + (", ..." if len(choices) > most else "")
    return (f"did you mean {near[0]!r}? " if near else "") + f"legal: {listed}"
