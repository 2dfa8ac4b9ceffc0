"""What of the machine each slot gets: threads of the processor, one GPU."""

from __future__ import annotations

import os
from collections.abc import Sequence

#: read by OpenMP, and so by torch and numpy, when they are loaded
THREADS = "OMP_NUM_THREADS"
#: read by CUDA when it starts
GPUS = "CUDA_VISIBLE_DEVICES"


def shares(count: int, gpus: Sequence[str] = ()) -> list[dict[str, str]]:
    """Environment variables for each of `count` slots.

    The cores are shared out, at least one thread a slot, unless the environment says how many
    threads. Slot i sees GPU i modulo their number alone, so with more slots than GPUs several
    share one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get(THREADS) or str(max(1, (cores or 1) // count))
    alone = [{GPUS: gpus[slot % len(gpus)]} if gpus else {} for slot in range(count)]
    return [{THREADS: threads} | gpu for gpu in alone]


def gpus_at_hand(device: str | None) -> list[str]:
    """The GPUs that slots take turns at, as CUDA_VISIBLE_DEVICES names them.

    None where the device is no GPU, or one of them by name (`cuda:1`), which all slots use.
    """
    if device != "cuda":
        return []
    visible = os.environ.get(GPUS)
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


__all__ = ["GPUS", "THREADS", "gpus_at_hand", "shares"]
