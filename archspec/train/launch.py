"""Several devices: one process each, started here and joined by torch's own launcher."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from pathlib import Path

from archspec.errors import ArchspecError, TrainError
from archspec.train.devices import check_count, checked_device, cores
from archspec.train.folder import TrainingFolder

#: where a process leaves the line that tells why it could not go on
PROBLEM = ".problem"
#: exit code of a process that was stopped by Ctrl-C
STOPPED = 130


def launch(path: Path, quiet: bool) -> None:
    """Train what a folder asks for on its number of devices; raises TrainError.

    On GPUs one process a GPU, talking by NCCL; on a CPU so many processes, by Gloo.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    asked = TrainingFolder.open(path).asked
    device = checked_device(asked.device)
    check_count(device, asked.devices)
    os.environ["ACCELERATE_USE_CPU"] = "true" if device.type == "cpu" else "false"
    # processes on one CPU share its cores
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // asked.devices)))
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
    # it tells of a failure in thirty lines; ours is one
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL + 1)
    problem = path / PROBLEM
    problem.unlink(missing_ok=True)
    try:
        elastic_launch(config, _process)(str(path), quiet)
    except SignalException:
        raise KeyboardInterrupt from None
    except ChildFailedError as error:
        code = next(iter(error.failures.values())).exitcode
        if code == STOPPED:
            raise KeyboardInterrupt from None
        try:
            raise TrainError(problem.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TrainError(f"a process ended early, with exit code {code}") from None
    finally:
        problem.unlink(missing_ok=True)


def _process(path: str, quiet: bool) -> None:
    """One of the processes; only the first shows anything."""
    from archspec.train.progress import watched

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL + 1)
    first = os.environ.get("RANK") == "0"
    try:
        watched(TrainingFolder.open(Path(path)), quiet or not first)
    except KeyboardInterrupt:
        sys.exit(STOPPED)
    except ArchspecError as error:
        with suppress(OSError):
            (Path(path) / PROBLEM).write_text(str(error), encoding="utf-8")
        sys.exit(2)
