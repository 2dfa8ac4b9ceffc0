"""Latency and throughput of one network on the device at hand, given up early where hopeless."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import ConfigDict, Field

from archspec.errors import RunError, did_you_mean
from archspec.quantities import Quantity, format_quantity, several
from archspec.spec import NetworkSpec
from search.budgets import DEVICE, MEASURABLE, Budget
from search.timing import FEWEST, LONGEST, REPEATS, Timing, timed

Precision = Literal["fp32", "fp16", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "bf16")
#: images of a pass: an answer to one, and what keeps a device busy
LATENCY_BATCH, THROUGHPUT_BATCH = 1, 64
Count = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Measuring:
    """What is measured of every network of a run, and how; the same for all, or none compare.

    quantities: latency, throughput or both, in this order. device: as torch names it; hardware:
    what it is. latency_batch, throughput_batch: images of a pass, each for its own quantity.
    repeats: timed passes, after a fifth as many that are not; longest: seconds after which fewer
    do. threads: of a CPU.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    quantities: Annotated[tuple[Literal["latency", "throughput"], ...], Field(min_length=1)]
    device: Annotated[str, Field(pattern=DEVICE)]
    hardware: str
    latency_batch: Count = LATENCY_BATCH
    throughput_batch: Count = THROUGHPUT_BATCH
    precision: Precision = "fp32"
    channels_last: bool = False
    repeats: Annotated[int, Field(ge=FEWEST)] = REPEATS
    longest: Annotated[float, Field(gt=0, allow_inf_nan=False)] = LONGEST
    threads: Count | None = None

    def batch(self, quantity: str) -> int:
        """Images of a pass that measures a quantity."""
        return self.latency_batch if quantity == "latency" else self.throughput_batch

    def words(self) -> str:
        """In one line, for pages."""
        passes = " and ".join(
            f"{quantity} at {several(self.batch(quantity), 'image')} a pass"
            for quantity in self.quantities
        )
        layout = ", channels-last" if self.channels_last else ""
        threads = f", {several(self.threads, 'thread')}" if self.threads else ""
        return (
            f"{passes}, {self.precision}{layout}, median of {self.repeats} passes on {self.device} "
            f"({self.hardware}{threads})"
        )

    def check(self) -> None:
        """Raise TrainError where the device is missing, and RunError where it is another one than
        the run began on."""
        from archspec.train.devices import checked_device

        hardware = hardware_of(str(checked_device(self.device)))
        if hardware != self.hardware:
            raise RunError(
                f"the run measures on {self.hardware}, and {self.device} is {hardware} here: their "
                "times cannot be compared; go on there, or begin another run"
            )


class Measured(NamedTuple):
    """What was measured of one network.

    values: latency, the median seconds of one pass of its batch, not divided by the images of it;
    throughput, images a second: the batch over the median. spreads: by quantity the worse and the
    better tenth, in its unit. load: the largest share of a limit, 0 where there is none; above 1 a
    limit is broken, and the reason tells which, and nothing more was measured. stopped: the passes
    ended early for it. seconds: that the whole took, building included.
    """

    values: dict[str, float]
    spreads: dict[str, tuple[float, float]]
    load: float
    reason: str | None
    stopped: bool
    seconds: float

    @property
    def broken(self) -> bool:
        """Whether a limit is broken."""
        return self.load > 1


def make_measuring(
    budgets: Sequence[Budget],
    objectives: Sequence[str] = (),
    device: str | None = None,
    latency_batch: int | None = None,
    throughput_batch: int | None = None,
    precision: str | None = None,
    channels_last: bool | None = None,
    repeats: int | None = None,
) -> Measuring | None:
    """How a run measures what its budgets and objectives ask for; None where they ask for nothing.

    device: where no budget names one; None is the best at hand. What else is None takes its
    default. Raises TrainError where the device is missing, RunError where an option has nothing to
    tell.
    """
    asked = {budget.quantity for budget in budgets} | set(objectives)
    quantities: tuple[Literal["latency", "throughput"], ...] = tuple(
        one for one in ("latency", "throughput") if one in asked
    )
    for option, given, needed in (
        ("--latency-batch", latency_batch, ("latency",)),
        ("--throughput-batch", throughput_batch, ("throughput",)),
        ("--precision", precision, MEASURABLE),
        ("--channels-last", channels_last, MEASURABLE),
        ("--repeats", repeats, MEASURABLE),
    ):
        if given is not None and not asked & set(needed):
            raise RunError(
                f"{option} is of measured {' or '.join(needed)}, which no budget and no objective "
                "asks for"
            )
    if not quantities:
        return None
    import torch

    from archspec.train.devices import checked_device

    named = next((budget.device for budget in budgets if budget.device is not None), device)
    where = checked_device(named)
    chosen: Precision = "fp32"
    if precision is not None:
        if precision not in PRECISIONS:
            known = did_you_mean(precision, PRECISIONS)
            raise RunError(f"no precision is called {precision!r}: {known}")
        chosen = precision
    if repeats is not None and repeats < FEWEST:
        raise RunError(f"repeats >= {FEWEST} must hold, but got {repeats}")
    return Measuring(
        quantities,
        str(where),
        hardware_of(str(where)),
        latency_batch or LATENCY_BATCH,
        throughput_batch or THROUGHPUT_BATCH,
        chosen,
        bool(channels_last),
        repeats or REPEATS,
        threads=torch.get_num_threads() if where.type == "cpu" else None,
    )


def measured(
    spec: NetworkSpec, measuring: Measuring, limits: Mapping[str, float] | None = None
) -> Measured:
    """Measure one network, until it is done or a limit is broken for certain.

    limits: of latency in seconds, at most; of throughput in images a second, at least. Raises
    OutOfMemory where a batch does not fit, TrainError for what torch refuses, SpecError for a
    network that is too large to be built.
    """
    from archspec.study.latency import pass_times

    limits = limits or {}
    started = time.perf_counter()
    found = Measured({}, {}, 0.0, None, False, 0.0)
    for quantity in measuring.quantities:
        batch, limit = measuring.batch(quantity), limits.get(quantity)
        ceiling = math.inf if limit is None else limit if quantity == "latency" else batch / limit
        with (
            _threads(measuring.threads),
            closing(
                pass_times(
                    spec, batch, measuring.precision, measuring.channels_last, measuring.device
                )
            ) as times,
        ):
            timing = timed(times, measuring.repeats, ceiling, measuring.longest)
        found = _with(found, quantity, timing, batch, ceiling)
        if found.broken:
            found = found._replace(reason=_reason(measuring, quantity, found, limit or 0.0, timing))
            break
    return found._replace(seconds=time.perf_counter() - started)


def _with(found: Measured, quantity: str, timing: Timing, batch: int, ceiling: float) -> Measured:
    """What was found, and one more quantity."""
    worse, middle, better = timing.high, timing.median, timing.low
    if quantity == "throughput":
        worse, middle, better = batch / worse, batch / middle, batch / better
    return found._replace(
        values=found.values | {quantity: middle},
        spreads=found.spreads | {quantity: (worse, better)},
        load=max(found.load, timing.median / ceiling),
        stopped=timing.stopped,
    )


def _reason(
    measuring: Measuring, quantity: str, found: Measured, limit: float, timing: Timing
) -> str:
    """Why a network is refused, such as `latency: 5.9 ms on cuda, above 5 ms (3 passes)`."""
    unit, side = ("seconds", "above") if quantity == "latency" else ("throughput", "below")
    value = float(f"{found.values[quantity]:.2e}")
    return (
        f"{quantity}: {format_quantity(Quantity(value, unit))} on {measuring.device}, {side} "
        f"{format_quantity(Quantity(limit, unit))} ({timing.passes} passes)"
    )


def hardware_of(device: str) -> str:
    """What a device is: the name of a GPU, or the model of the CPU."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # a system that is no Linux
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine() or device


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """So many threads of the CPU, whatever the process has otherwise."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
