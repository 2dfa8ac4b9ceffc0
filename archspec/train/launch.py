"""Several devices: one process each, started here and joined by torch's own launcher."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from archspec.errors import TrainError
from archspec.train.devices import checked_device
from archspec.train.folder import TrainingFolder


def launch(path: Path, quiet: bool) -> None:
    """Train what a folder asks for on its number of devices; raises TrainError.

    On GPUs one process a GPU, talking by NCCL; on a CPU so many processes, by Gloo.
    """
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    asked = TrainingFolder.open(path).asked
    device = checked_device(asked.device)
    if device.type == "cuda" and torch.cuda.device_count() < asked.devices:
        raise TrainError(
            f"{asked.devices} devices were asked for, but there are {torch.cuda.device_count()} "
            "GPUs"
        )
    if ":" in str(device):
        raise TrainError(f"--devices {asked.devices} takes the first ones; not --device {device}")
    os.environ["ACCELERATE_USE_CPU"] = "true" if device.type == "cpu" else "false"
    # processes on one CPU share its cores
    cores = str(max(1, (os.cpu_count() or 1) // asked.devices))
    os.environ.setdefault("OMP_NUM_THREADS", cores)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=asked.devices,
        run_id=f"archspec-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="spawn",
    )
    try:
        elastic_launch(config, _process)(str(path), quiet)
    except ChildFailedError as error:
        result = TrainingFolder.open(path).result or {}
        reason = result.get("reason") or f"a process ended early ({str(error).split()[0]})"
        raise TrainError(reason) from None


def _process(path: str, quiet: bool) -> None:
    """One of the processes; only the first shows anything."""
    from archspec.train.progress import watched

    watched(TrainingFolder.open(Path(path)), quiet or os.environ.get("RANK") != "0")
