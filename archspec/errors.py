"""Every error that archspec raises on purpose.

    ArchspecError            one clear line; the command line prints it and exits with 2
    ├── SpecError            a text breaks a law: file:line:column: path: law, value, way out
    ├── LawError             the short cause, raised where a law stands; `spec` and `plan` add the place
    ├── QuantityError        a quantity such as 4.5GFLOPs could not be read
    ├── FitError             no candidate meets the budget, and why
    ├── ResolutionError      a built network was fed a size that it was not built for
    ├── UncountedError       the referee met an operator that nobody counts
    ├── DataError            a data set could not be read
    ├── ScoreError           a score is undefined for a network
    └── RunError             a run folder is missing, foreign or damaged
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
        super().__init__(": ".join(str(part) for part in (mark, path, problem) if part))


class LawError(ArchspecError, ValueError):
    """A broken law without its place; callers prepend path parts while it travels up.

    It is a ValueError so that pydantic keeps the place of a validator that raises it.
    `own` is the place inside the text's own units, where the law broke there; `inside` names the
    units on the way, outermost first.
    """

    def __init__(self, problem: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(problem)
        self.problem, self.path = problem, path
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


class RunError(ArchspecError):
    """A run folder that is missing, foreign or damaged."""


def did_you_mean(word: object, legal: Iterable[object]) -> str:
    """The legal choices as one phrase, the nearest one first: `did you mean 'a'? legal: a, b`."""
    choices = [str(choice) for choice in legal]
    near = difflib.get_close_matches(str(word), choices, n=1, cutoff=0.6)
    listed = ", ".join(choices[:40]) + (", ..." if len(choices) > 40 else "")
    return (f"did you mean {near[0]!r}? " if near else "") + f"legal: {listed}"
