from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
import worker_tasks
from ray_cluster import add_node, two_nodes

from archspec.errors import RunError, WorkerDied
from search.workers import WorkersAsked, open_workers
from search.workers.ray_actors import RayWorkers

pytestmark = pytest.mark.ray

#: seconds after which something that should have happened has not
LATE = 90


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture
def workers(cluster: Any) -> Iterator[RayWorkers]:
    with RayWorkers(cluster.address) as opened:
        yield opened


def test_all_nodes_work(workers: RayWorkers) -> None:
    assert workers.slots == 3
    jobs = [workers.submit(worker_tasks.ray_node, 1) for _ in range(6)]
    assert len({job.result(LATE) for job in jobs}) == 2


def test_a_worker_keeps_its_process(workers: RayWorkers) -> None:
    pids = {workers.submit(worker_tasks.sleep, 0).result(LATE) for _ in range(5)}
    assert len(pids) == 1
    assert os.getpid() not in pids


def test_the_working_folder_is_last_on_the_path(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with RayWorkers(cluster.address) as workers:
        _, folder, path = workers.submit(worker_tasks.here).result(LATE)
    assert folder == str(tmp_path)
    assert path.index(str(tmp_path)) > path.index(str(Path(pytest.__file__).parents[1]))


def test_errors_of_tasks_arrive(workers: RayWorkers) -> None:
    short = workers.submit(worker_tasks.exhaust).exception(LATE)
    assert isinstance(short, MemoryError)
    assert "in exhaust" in short.__notes__[0]
    assert str(workers.submit(worker_tasks.awkward).exception(LATE)) == "Awkward: 1 and 2"


def test_a_task_whose_worker_was_killed_is_done_by_another(
    workers: RayWorkers, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first = workers.submit(worker_tasks.sleep, 0).result(LATE)
    assert workers.submit(worker_tasks.die_once, tmp_path / "died").result(LATE) != first
    time.sleep(1)  # Ray's word on it would come by now
    assert capfd.readouterr() == ("", "")


def test_a_task_that_kills_again_and_again_fails_alone(workers: RayWorkers) -> None:
    beside = workers.submit(worker_tasks.sleep, 2)
    with pytest.raises(WorkerDied, match=r"each of the 4 .* died.*; was memory short\?"):
        workers.submit(worker_tasks.die).result(LATE)
    assert beside.result(LATE)
    assert workers.submit(worker_tasks.double, 2).result(LATE) == 4


def test_a_lost_node_loses_no_task(cluster: Any, workers: RayWorkers) -> None:
    import ray

    jobs = [workers.submit(worker_tasks.ray_node, 2) for _ in range(6)]
    time.sleep(3)  # at the second of each
    (lost,) = cluster.worker_nodes
    name = lost.node_id
    assert name in {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    cluster.remove_node(lost, allow_graceful=False)
    nodes = [job.result(LATE) for job in jobs]
    assert len(nodes) == 6
    until = time.monotonic() + LATE
    while workers.slots != 2:
        assert time.monotonic() < until
        time.sleep(0.2)
    added = add_node(cluster)
    while workers.slots != 3:
        assert time.monotonic() < until
        time.sleep(0.2)
    # until its first worker has started, those of the others may be done with all there is
    seen: set[str] = set()
    until = time.monotonic() + LATE
    while added.node_id not in seen:
        assert time.monotonic() < until
        jobs = [workers.submit(worker_tasks.ray_node, 1) for _ in range(6)]
        seen |= {job.result(LATE) for job in jobs}


def test_leaving_by_an_error_kills_and_leaves_the_cluster(cluster: Any, tmp_path: Path) -> None:
    workers = RayWorkers(cluster.address)
    jobs = [workers.submit(worker_tasks.note_pid, tmp_path, 300) for _ in range(5)]

    def interrupted() -> None:
        with workers:
            while len(list(tmp_path.iterdir())) < 3:
                time.sleep(0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sum(job.cancelled() for job in jobs) == 2
    assert sum(isinstance(_error(job), CancelledError) for job in jobs) == 5
    until = time.monotonic() + LATE
    while any(Path(f"/proc/{file.name}").exists() for file in tmp_path.iterdir()):
        assert time.monotonic() < until
        time.sleep(0.05)
    with RayWorkers(cluster.address) as again:
        assert again.submit(worker_tasks.double, 3).result(LATE) == 6


def _error(job: Any) -> BaseException | None:
    try:
        return job.exception(LATE)  # type: ignore[no-any-return]
    except CancelledError as error:
        return error


def test_gpus_bound_the_slots(cluster: Any) -> None:
    halves = WorkersAsked(ray=cluster.address, gpus_each=0.5, device="cuda")
    with open_workers(halves) as workers:
        assert workers.slots == 2
        gpu = workers.submit(worker_tasks.environment, "CUDA_VISIBLE_DEVICES").result(LATE)
        assert gpu == ["0"]
    with open_workers(WorkersAsked(ray=cluster.address, device="cuda")) as workers:
        assert workers.slots == 1
    with pytest.raises(RunError, match="no node of the Ray cluster .* has a CPU and 2 GPUs"):
        open_workers(WorkersAsked(ray=cluster.address, gpus_each=2, device="cuda"))


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("nonsense", "'nonsense' is no address of a Ray cluster: local, auto or HOST:6379"),
        ("ray://head", "local, auto or ray://HOST:10001"),
        ("head:99999", "is no address"),
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1: Connection refused"),
    ],
)
def test_where_no_cluster_is(address: str, told: str) -> None:
    with pytest.raises(RunError, match=told):
        RayWorkers(address)
