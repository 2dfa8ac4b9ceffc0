"""How long a forward pass takes, and how much memory it needs, on the device at hand."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from typing import Literal

import torch

from archspec.build import build
from archspec.errors import OutOfMemory, TrainError
from archspec.spec import NetworkSpec
from archspec.study.run import Latency
from archspec.study.text import Measure
from archspec.train.devices import checked_device, out_of_memory

TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
#: one uncounted pass for so many timed ones
WARM_UP = 5


def pass_times(
    spec: NetworkSpec,
    batch: int = 1,
    precision: Literal["fp32", "fp16", "bf16"] = "fp32",
    channels_last: bool = False,
    device: str | torch.device | None = None,
) -> Generator[float]:
    """Seconds of one forward pass after another, without end; the caller warms up, stops, closes.

    The network is at its own resolution, in evaluation, with random weights; weights and images
    have the precision, and each pass is waited for, as one who needs its answer would. device: None
    is the best at hand. Raises OutOfMemory where one batch does not fit, and TrainError for a
    device that is not there or for what torch refuses, such as a precision that an operator does
    not know.
    """
    where = device if isinstance(device, torch.device) else checked_device(device)
    shape = spec.input.shape
    try:
        yield from _passes(spec, batch, TYPES[precision], channels_last, where)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
            raise TrainError(f"torch refused: {reason[0]}") from None
        raise OutOfMemory(
            f"{batch} x {shape.height} x {shape.width} pixels do not fit the memory of {where}"
        ) from None
    finally:
        torch.cuda.empty_cache()  # does nothing where there is no GPU


def _passes(
    spec: NetworkSpec, batch: int, kind: torch.dtype, channels_last: bool, device: torch.device
) -> Generator[float]:
    # apart from its caller, so that the network is gone before the cache is emptied
    shape = spec.input.shape
    size = (batch, shape.channels, shape.height, shape.width)
    # the caller's random numbers are not disturbed
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        model, images = build(spec).eval(), torch.randn(size)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.to(device, kind).to(memory_format=layout)  # type: ignore[call-overload]
    images = images.to(device, kind).to(memory_format=layout)
    _wait(device)
    while True:
        # not around the yield, where it would hold for the caller, too
        with torch.inference_mode():
            start = time.perf_counter()
            model(images)
            _wait(device)
            took = time.perf_counter() - start
        yield took


def measure_latency(spec: NetworkSpec, measure: Measure, device: str | None = None) -> Latency:
    """Time the forward pass of a network as `pass_times` has it, so often as `measure` asks.

    Raises what `pass_times` does.
    """
    where = checked_device(device)
    cuda = where.type == "cuda"
    passes = pass_times(spec, measure.batch, measure.precision, measure.channels_last, where)
    with closing(passes):
        for _ in range(-(-measure.repeats // WARM_UP)):
            next(passes)
        if cuda:
            torch.cuda.reset_peak_memory_stats(where)
        times = [1000 * next(passes) for _ in range(measure.repeats)]
        memory = torch.cuda.max_memory_allocated(where) / 1e6 if cuda else None
    low, middle, high = torch.tensor(times).quantile(torch.tensor([0.1, 0.5, 0.9])).tolist()
    name = torch.cuda.get_device_name(where) if cuda else str(where)
    return Latency(middle, low, high, memory, name)


def _wait(device: torch.device) -> None:
    """Until the device has done what it was asked; a CPU has already."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


__all__ = ["WARM_UP", "measure_latency", "pass_times"]
