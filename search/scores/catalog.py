"""Which scores there are, each declared once, and how several become one number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec.cost import Totals, totals
from archspec.errors import ScoreError, did_you_mean
from archspec.plan import NetworkPlan
from archspec.spec import NetworkSpec

if TYPE_CHECKING:
    from search.scores.forward import Forward


class Part(NamedTuple):
    """One score as declared.

    read: from the plan's totals, or None for one that needs a forward pass. unit: what counts as
    one step of this score in a sum of several; a stated constant, so that a sum is one number of
    one network, whatever others are compared with it.
    """

    name: str
    label: str
    source: str
    read: Callable[[Totals], float] | None
    unit: float


def _log2(read: Callable[[Totals], int]) -> Callable[[Totals], float]:
    return lambda total: math.log2(read(total)) if read(total) > 0 else -math.inf


#: Counts are taken by their logarithm: two octaves of depth weigh as much as one nat an image of
#: NASWOT, or one octave of activations. docs/scores.md has the measurements behind the units.
SCORES: dict[str, Part] = {
    part.name: part
    for part in (
        Part(
            "naswot",
            "NASWOT an image",
            "Mellor et al., arXiv 2006.04647, section 3",
            None,
            1.0,
        ),
        Part("depth", "log2 depth", "", _log2(lambda total: total.depth), 2.0),
        Part(
            "activations",
            "log2 activations",
            "Radosavovic et al., arXiv 2003.13678, section 3.3",
            _log2(lambda total: total.activations),
            1.0,
        ),
        Part("params", "log2 params", "", _log2(lambda total: total.params), 1.0),
        Part("flops", "log2 FLOPs", "", _log2(lambda total: total.flops), 1.0),
        Part("traffic", "log2 memory traffic", "", _log2(lambda total: total.traffic), 1.0),
    )
}
DEFAULT = "naswot+depth"
#: the score that is no part of a sum: networks are trained (search/scores/training.py)
TRAIN = "train"


class Scored(NamedTuple):
    """A network's score, the parts it is made of, and the seconds that its making took."""

    value: float
    parts: dict[str, float]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Scorer:
    """A score ready to be asked for.

    name: of one score, or several joined by +, which are added in their units.
    data, batch, seed, device: what a forward pass sees; device None is the best at hand.
    """

    name: str
    data: str = "digits"
    batch: int = 16
    seed: int = 0
    device: str | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The scores that make up this one."""
        return find_score(self.name)

    @property
    def label(self) -> str:
        """What the number is, in words."""
        parts = self.parts
        if len(parts) == 1:
            return parts[0].label
        return " + ".join(
            part.label if part.unit == 1 else f"{part.label} / {part.unit:g}" for part in parts
        )

    @property
    def needs_forward(self) -> bool:
        """Whether a module is built for it."""
        return any(part.read is None for part in self.parts)

    @cached_property
    def forward(self) -> Forward:
        """The forward pass, with its batch loaded; torch begins here."""
        from search.scores.forward import Forward

        return Forward(self.data, self.batch, self.seed, self.device)

    def __call__(self, spec: NetworkSpec, plan: NetworkPlan) -> Scored:
        """Score one network; raises ScoreError where the score is undefined for it."""
        total = totals(plan)
        values: dict[str, float] = {}
        seconds: dict[str, float] = {}
        started = time.perf_counter()
        for part in self.parts:
            if part.read is not None:
                values[part.name] = _finite(part.name, part.read(total))
        seconds["score"] = time.perf_counter() - started
        for part in self.parts:
            if part.read is None:
                value, built, scored = self.forward(spec, plan)
                values[part.name] = _finite(part.name, value)
                seconds["build"] = built
                seconds["score"] += scored
        if len(self.parts) == 1:
            return Scored(values[self.parts[0].name], values, seconds)
        value = sum(values[part.name] / part.unit for part in self.parts)
        return Scored(value, values, seconds)


def find_score(name: str) -> tuple[Part, ...]:
    """The parts of a score by name; raises ScoreError with the legal names."""
    names = name.split("+")
    if TRAIN in names:
        raise ScoreError(
            f"{TRAIN} stands alone, for it is an accuracy in percent, but got {name!r}; give "
            f"--score {TRAIN}, or the others without it"
        )
    for word in names:
        if word not in SCORES:
            legal = did_you_mean(word, [*SCORES, TRAIN])
            raise ScoreError(f"no score is called {word!r}: {legal}; join several by +")
    if len(set(names)) < len(names):
        raise ScoreError(f"a score is named twice in {name!r}")
    return tuple(SCORES[word] for word in names)


def _finite(name: str, value: Any) -> float:
    if not math.isfinite(value):
        raise ScoreError(f"{name} is {value}, not a number to rank by")
    return float(value)
