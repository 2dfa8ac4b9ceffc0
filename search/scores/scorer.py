"""One score, or a sum of several, asked of one network after another."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from archspec.errors import ArchspecError, ScoreError
from archspec.plan import NetworkPlan
from archspec.spec import NetworkSpec
from search.scores.catalog import find_score
from search.scores.constants import constants
from search.scores.score import Score

if TYPE_CHECKING:
    from search.scores.probe import Conditions, Probe


class Scored(NamedTuple):
    """A network's score, the parts it is made of, and the seconds that its making took."""

    value: float
    parts: dict[str, float]
    seconds: dict[str, float]


class Each(NamedTuple):
    """Several scores of one network, each for itself.

    values, and reasons of those that are undefined, by score; seconds by score, and `build`.
    """

    values: dict[str, float]
    reasons: dict[str, str]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Scorer:
    """A score ready to be asked for.

    name: of one score, or several joined by +, which are standardised and added.
    data, batch, seed, device: what networks are scored under; device None is the best at hand.
    half: whether scores that allow it run in half precision; None is on CUDA alone.
    table: where the score is `table:FILE`, the text of the space in whose picks it names networks.
    space: what that space is called, for messages.
    """

    name: str
    data: str = "digits"
    batch: int = 16
    seed: int = 0
    device: str | None = None
    half: bool | None = None
    table: str | None = None
    space: str | None = None

    @cached_property
    def parts(self) -> tuple[Score, ...]:
        """The scores that make up this one."""
        return find_score(self.name, self.table, self.space)

    @property
    def label(self) -> str:
        """What the number is, in words."""
        if len(self.parts) == 1:
            return self.parts[0].label
        return " + ".join(
            f"({part.label} - {mean:.4g}) / {sd:.3g}"
            for part, (mean, sd) in ((part, constants(part)) for part in self.parts)
        )

    @property
    def builds(self) -> bool:
        """Whether networks are built for it."""
        return any(part.builds for part in self.parts)

    @cached_property
    def conditions(self) -> Conditions:
        """The batch on its device; torch begins here."""
        from search.scores.probe import Conditions

        return Conditions(self.data, self.batch, self.seed, self.device, self.half)

    def check(self) -> str:
        """Try the functions, their constants, the data and the device; returns the device's name,
        `text` where nothing is built."""
        for part in self.parts:
            if part.measure is not None:
                part.function()
            if len(self.parts) > 1:
                constants(part)
        return str(self.conditions.device) if self.builds else "text"

    def refuse(self, *options: str) -> None:
        """Raise ScoreError where options tell of images, but the score sees none."""
        if options and not self.builds:
            told = " and ".join(options)
            raise ScoreError(
                f"{self.name} is read off the text and sees no images; leave {told} out"
            )

    def __call__(self, spec: NetworkSpec, plan: NetworkPlan) -> Scored:
        """Score one network; raises ScoreError where the score is undefined for it."""
        values: dict[str, float] = {}
        seconds: dict[str, float] = {}
        for name, told, took in self._measured(plan, self._probe(spec, plan)):
            if isinstance(told, ArchspecError):
                raise told
            if name == "build":
                seconds["build"] = took
            else:
                values[name] = told
                seconds["score"] = seconds.get("score", 0.0) + took
        if len(self.parts) == 1:
            return Scored(values[self.parts[0].name], values, seconds)
        standardised = 0.0
        for part in self.parts:
            mean, sd = constants(part)
            standardised += (values[part.name] - mean) / sd
        return Scored(standardised, values, seconds)

    def each(self, spec: NetworkSpec, plan: NetworkPlan) -> Each:
        """Every part for itself; one that is undefined for the network has its reason."""
        return self._each(plan, self._probe(spec, plan))

    def many(self, networks: Iterable[tuple[NetworkSpec, NetworkPlan]]) -> Iterator[Each]:
        """`each` of one network after the other, in their order.

        The next ones are built while one is measured, so that a GPU need not wait for the host;
        but not beside a person's own function, whose random numbers a building would disturb.
        """
        if not self.builds or any(":" in part.name for part in self.parts):
            for spec, plan in networks:
                yield self.each(spec, plan)
            return
        ahead = self.conditions.builders
        with ThreadPoolExecutor(ahead) as pool:
            waiting: deque[tuple[NetworkPlan, Probe, Future[None]]] = deque()
            for spec, plan in networks:
                probe = self._probe(spec, plan)
                assert probe is not None
                waiting.append((plan, probe, pool.submit(probe.prepare)))
                if len(waiting) > ahead:
                    yield self._when_built(*waiting.popleft())
            while waiting:
                yield self._when_built(*waiting.popleft())

    def _when_built(self, plan: NetworkPlan, probe: Probe, built: Future[None]) -> Each:
        built.result()
        return self._each(plan, probe)

    def _each(self, plan: NetworkPlan, probe: Probe | None) -> Each:
        each = Each({}, {}, {})
        for name, told, took in self._measured(plan, probe):
            each.seconds[name] = took
            if isinstance(told, ArchspecError):
                each.reasons[name] = str(told)
            elif name != "build":
                each.values[name] = told
        return each

    def _probe(self, spec: NetworkSpec, plan: NetworkPlan) -> Probe | None:
        """What scores that build the network are asked of; None where there are none."""
        if not self.builds:
            return None
        from search.scores.probe import Probe

        return Probe(spec, plan, self.conditions)

    def _measured(self, plan: NetworkPlan, probe: Probe | None) -> Iterator[tuple[str, Any, float]]:
        """Name, value or error, and seconds of each part; at last those of the building."""
        for part in self.parts:
            started, built = time.perf_counter(), 0.0 if probe is None else probe.built
            told: float | ArchspecError
            try:
                value = part.read(plan) if part.read is not None else _asked(part, probe)
                told = _finite(part.name, value)
            except ArchspecError as error:
                told = error
            spent = time.perf_counter() - started
            yield part.name, told, spent - (0.0 if probe is None else probe.built - built)
        if probe is not None:
            yield "build", 0.0, probe.built


def _asked(part: Score, probe: Probe | None) -> Any:
    """What the part's function says of the network; whatever it raises is a ScoreError."""
    import torch

    assert probe is not None
    function = part.function()
    try:
        return function(probe)
    except ArchspecError:
        raise
    except torch.OutOfMemoryError as error:
        told = str(error).splitlines()[0]
        raise ScoreError(f"out of memory on {probe.device}: {told}") from None
    except (Exception, SystemExit) as error:
        # the search goes on without this network
        told = f"{type(error).__name__}: {error}".splitlines()[0]
        if ":" in part.name:
            # a person's own function may raise anything
            raise ScoreError(f"{part.name} raised {told}") from error
        if isinstance(error, RuntimeError | ValueError):
            # torch's errors for whatever its kernels refuse
            raise ScoreError(f"torch refused: {str(error).splitlines()[0]}") from error
        raise


def _finite(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        try:
            value = float(value)
        except (TypeError, ValueError):
            kind = type(value).__name__
            raise ScoreError(f"{name} gave no number but {kind}: {value!r}") from None
    if not math.isfinite(value):
        raise ScoreError(f"{name} is {value}, not a number to rank by")
    return float(value)
