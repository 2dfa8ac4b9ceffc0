"""Where a training runs and at which precision: accelerate's state, made once a setting."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState

from archspec.errors import TrainError, did_you_mean

Precision = Literal["auto", "fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = ("auto", "fp32", "bf16", "fp16")
DEVICES = ("cuda", "mps", "cpu")


@dataclass(frozen=True)
class Setting:
    """How the arithmetic is done; a result is comparable with others of the same setting.

    device: None is the best at hand. precision: auto is bf16 where a GPU has it, else fp32.
    channels_last: None is on, on a GPU, and off on a CPU. micro_batch: images that a process passes
    at once, gradients accumulated over the batch; None is its whole part, halved while memory runs
    out.
    """

    device: str | None = None
    precision: Precision = "auto"
    channels_last: bool | None = None
    compile: bool = False
    micro_batch: int | None = None


#: the best device at hand, at its usual precision
USUAL = Setting()


def accelerator(setting: Setting) -> Accelerator:
    """Accelerate's handle on the device; raises TrainError where there is no such device."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    # of several processes each has its own GPU, and would make a context on the first by trying it
    device = checked_device(setting.device) if processes == 1 else _own_device(setting.device)
    precision = setting.precision
    if precision not in PRECISIONS:
        known = did_you_mean(precision, PRECISIONS)
        raise TrainError(f"no precision is called {precision!r}: {known}")
    if precision == "auto":
        half = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        precision = "bf16" if half else "fp32"
    mixed = "no" if precision == "fp32" else precision
    if mixed == "fp16" and device.type == "cpu":
        raise TrainError("fp16 needs a GPU; on a CPU use fp32 or bf16")
    if processes == 1:
        # one process may train under several settings, one after the other; accelerate keeps the
        # first one for ever unless it is told to forget
        AcceleratorState._reset_state()
        GradientState._reset_state()
        PartialState._reset_state()
        os.environ["ACCELERATE_TORCH_DEVICE"] = str(device)
    else:
        os.environ.pop("ACCELERATE_TORCH_DEVICE", None)
    return Accelerator(mixed_precision=mixed, cpu=device.type == "cpu")


def _own_device(name: str | None) -> torch.device:
    cpu = name == "cpu" or not torch.cuda.is_available()
    return torch.device("cpu" if cpu else f"cuda:{os.environ['LOCAL_RANK']}")


def checked_device(name: str | None) -> torch.device:
    """The device of a name, tried; None is cuda, else mps, else cpu. Raises TrainError."""
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if name.partition(":")[0] not in DEVICES:
        raise TrainError(f"no device is called {name!r}: {did_you_mean(name, DEVICES)}")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise TrainError(f"no device {name!r} here: {str(error).splitlines()[0]}") from error
    return device


def cores() -> int:
    """Cores of the CPU that this process may use."""
    # not on every system
    known = getattr(os, "sched_getaffinity", None)
    return len(known(0)) if known else os.cpu_count() or 1


def check_count(device: torch.device, count: int) -> None:
    """Raise TrainError where so many processes have no device of their own."""
    if count == 1:
        return
    if ":" in str(device):
        raise TrainError(f"--devices {count} takes the first ones; leave --device {device} out")
    there = torch.cuda.device_count() if device.type == "cuda" else cores()
    if count > there:
        what = "GPUs" if device.type == "cuda" else "cores"
        raise TrainError(f"devices <= {what} must hold, but got (devices={count}, {what}={there})")


def out_of_memory(error: BaseException) -> bool:
    """Whether this is a want of memory, on a GPU or on the CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    # CUDA's own calls, Apple's devices and torch's allocator on the CPU have no error of their own
    words = ("out of memory", "can't allocate memory")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)
