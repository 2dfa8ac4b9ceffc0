"""How long a forward pass takes, and how much memory it needs, on the device at hand."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from archspec.build import build
from archspec.errors import OutOfMemory, TrainError
from archspec.spec import NetworkSpec
from archspec.study.run import Latency
from archspec.study.text import Measure
from archspec.train.devices import checked_device, out_of_memory

TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
#: one uncounted pass for so many timed ones
WARM_UP = 5


def measure_latency(spec: NetworkSpec, measure: Measure, device: str | None = None) -> Latency:
    """Time the forward pass of a network at its own resolution, in evaluation, random weights.

    device: None is the best at hand. Weights and images have the precision of `measure`. Raises
    OutOfMemory where one batch does not fit, and TrainError for a device that is not there or for
    what torch refuses, such as a precision that an operator does not know.
    """
    where = checked_device(device)
    shape = spec.input.shape
    try:
        torch.manual_seed(0)
        layout = torch.channels_last if measure.channels_last else torch.contiguous_format
        kind = TYPES[measure.precision]
        model = build(spec).eval().to(where, kind).to(memory_format=layout)  # type: ignore[call-overload]
        size = (measure.batch, shape.channels, shape.height, shape.width)
        images = torch.randn(size, device=where, dtype=kind).to(memory_format=layout)
        return _timed(model, images, measure.repeats)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
            raise TrainError(f"torch refused: {reason[0]}") from None
        raise OutOfMemory(
            f"{measure.batch} x {shape.height} x {shape.width} pixels do not fit the memory of "
            f"{where}"
        ) from None
    finally:
        torch.cuda.empty_cache()  # does nothing where there is no GPU


@torch.inference_mode()
def _timed(model: torch.nn.Module, images: Tensor, repeats: int) -> Latency:
    device = images.device
    cuda = device.type == "cuda"
    for _ in range(-(-repeats // WARM_UP)):
        model(images)
    _wait(device)
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        model(images)
        _wait(device)
        times.append(1000 * (time.perf_counter() - start))
    low, middle, high = torch.tensor(times).quantile(torch.tensor([0.1, 0.5, 0.9])).tolist()
    memory = torch.cuda.max_memory_allocated(device) / 1e6 if cuda else None
    name = torch.cuda.get_device_name(device) if cuda else str(device)
    return Latency(middle, low, high, memory, name)


def _wait(device: torch.device) -> None:
    """Until the device has done what it was asked; a CPU has already."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


__all__ = ["measure_latency"]
