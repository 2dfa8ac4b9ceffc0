from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError, wait
from pathlib import Path

import pytest
import worker_tasks

from archspec.errors import RunError, WorkerDied
from search.workers import WorkersAsked, open_workers, processes
from search.workers.inline import Inline
from search.workers.processes import Processes
from search.workers.ray_actors import room
from search.workers.shares import gpus_at_hand, shares

#: seconds after which something that should have happened has not
LATE = 90


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pids: list[int], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while any(map(alive, pids)):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


# Here -------------------------------------------------------------------------------------------


def test_inline_answers_at_once() -> None:
    with Inline() as workers:
        done = workers.submit(worker_tasks.double, 4)
        failed = workers.submit(worker_tasks.exhaust)
        assert (workers.slots, done.done(), done.result()) == (1, True, 8)
        assert isinstance(failed.exception(), MemoryError)


def test_ctrl_c_passes_through_inline() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Inline().submit(interrupted)


# Processes --------------------------------------------------------------------------------------


def test_tasks_run_in_processes_of_their_own(capfd: pytest.CaptureFixture[str]) -> None:
    with Processes(2) as workers:
        assert workers.slots == 2
        assert [workers.submit(worker_tasks.double, n).result(LATE) for n in range(3)] == [0, 2, 4]
        pid, *_ = workers.submit(worker_tasks.here).result(LATE)
        workers.submit(worker_tasks.print_much).result(LATE)
    assert pid != os.getpid()
    assert gone([pid], 0)
    assert capfd.readouterr() == ("", "")


def test_the_working_folder_is_last_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Processes(1) as workers:
        _, folder, path = workers.submit(worker_tasks.here).result(LATE)
    assert (folder, path[-1]) == (str(tmp_path), str(tmp_path))


def test_two_tasks_run_at_once(tmp_path: Path) -> None:
    with Processes(2) as workers:
        jobs = [workers.submit(worker_tasks.meet, tmp_path, 2) for _ in range(2)]
        assert len({job.result(LATE) for job in jobs}) == 2


def test_a_task_whose_worker_was_killed_is_done_by_another(tmp_path: Path) -> None:
    with Processes(1) as workers:
        first = workers.submit(worker_tasks.sleep, 0).result(LATE)
        second = workers.submit(worker_tasks.die_once, tmp_path / "died").result(LATE)
    assert first != second


def test_a_worker_that_dies_idle_is_no_try_of_the_next_task(tmp_path: Path) -> None:
    with Processes(1) as workers:
        pid = workers.submit(worker_tasks.sleep, 0).result(LATE)
        os.kill(pid, signal.SIGKILL)
        assert gone([pid], LATE)
        assert workers.submit(worker_tasks.die_once, tmp_path / "died").result(LATE) != pid


def test_a_task_that_kills_twice_fails_alone() -> None:
    with Processes(2) as workers:
        beside = workers.submit(worker_tasks.sleep, 1)
        with pytest.raises(WorkerDied, match=r"died twice, by signal 9; was memory short\?"):
            workers.submit(worker_tasks.die).result(LATE)
        assert beside.result(LATE)
        assert workers.submit(worker_tasks.double, 1).result(LATE) == 2


@pytest.mark.parametrize(
    ("task", "number", "told"),
    [
        (worker_tasks.die, signal.SIGSEGV, r"by signal 11 \(SIGSEGV\)"),
        (worker_tasks.leave, 3, "with exit code 3: nothing left to do"),
        (sys.exit, 4, "with exit code 4"),
    ],
)
def test_how_a_worker_died_is_told(task: object, number: int, told: str) -> None:
    assert callable(task)
    with Processes(1) as workers, pytest.raises(WorkerDied, match=told):
        workers.submit(task, number).result(LATE)


def test_a_death_is_seen_where_children_hold_the_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LOOK", 0.1)
    with Processes(1) as workers, pytest.raises(WorkerDied, match="signal 9"):
        workers.submit(worker_tasks.fork_and_die, 5.0).result(4)


def test_errors_of_tasks_arrive_and_workers_stay() -> None:
    with Processes(1) as workers:
        pid = workers.submit(worker_tasks.sleep, 0).result(LATE)
        short = workers.submit(worker_tasks.exhaust).exception(LATE)
        awkward = workers.submit(worker_tasks.awkward).exception(LATE)
        assert workers.submit(worker_tasks.sleep, 0).result(LATE) == pid
    assert isinstance(short, MemoryError)
    assert "in exhaust" in short.__notes__[0]  # where it was raised
    assert str(awkward) == "Awkward: 1 and 2"


def test_what_cannot_leave_the_process_is_refused() -> None:
    with Processes(1) as workers, pytest.raises(Exception, match="pickle"):
        workers.submit(lambda: 1)


# Their share of the machine ---------------------------------------------------------------------


def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)))
    assert shares(2) == [{"OMP_NUM_THREADS": "3"}] * 2
    assert shares(8) == [{"OMP_NUM_THREADS": "1"}] * 8
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert shares(2) == [{"OMP_NUM_THREADS": "5"}] * 2


def test_slots_take_turns_at_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    gpus = [slot["CUDA_VISIBLE_DEVICES"] for slot in shares(3, gpus_at_hand("cuda"))]
    assert gpus == ["3", "5", "3"]
    assert gpus_at_hand("cuda:1") == gpus_at_hand("cpu") == gpus_at_hand(None) == []
    with Processes(1, "cuda") as workers:
        seen = workers.submit(
            worker_tasks.environment, "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"
        ).result(LATE)
    assert seen == ["3", "1"]


def test_room_on_ray_nodes() -> None:
    nodes = [{"CPU": 8.0, "GPU": 2.0}, {"CPU": 3.0, "GPU": 4.0}, {"CPU": 16.0, "memory": 1e9}]
    assert room(nodes, 0) == 8 + 3 + 16
    assert room(nodes, 1) == 2 + 3
    assert room(nodes, 2) == 1 + 2
    assert room(nodes, 0.3) == 2 * 3 + 3  # three to a GPU, a fourth would need a tenth more


# The end ----------------------------------------------------------------------------------------


def test_leaving_waits_for_all() -> None:
    with Processes(1) as workers:
        jobs = [workers.submit(worker_tasks.sleep, 0.05) for _ in range(4)]
    assert all(job.done() for job in jobs)
    with pytest.raises(RuntimeError):
        workers.submit(worker_tasks.double, 1)


def test_leaving_by_an_error_kills(tmp_path: Path) -> None:
    def interrupted() -> None:
        with workers:
            while not list(tmp_path.iterdir()):
                time.sleep(0.02)
            raise KeyboardInterrupt

    workers = Processes(1)
    running, waiting = (workers.submit(worker_tasks.note_pid, tmp_path, 300) for _ in range(2))
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert waiting.cancelled()
    assert not wait([running, waiting], timeout=LATE).not_done
    assert isinstance(running.exception(), CancelledError)
    assert gone([int(file.name) for file in tmp_path.iterdir()], 0)


SCRIPT = """
import sys, pathlib, worker_tasks
from search.workers.processes import Processes

def main():
    with Processes(2) as workers:
        jobs = [workers.submit(worker_tasks.note_pid, pathlib.Path(sys.argv[1]), 300) for _ in "12"]
        [job.result() for job in jobs]
"""


def started(folder: Path, script: str) -> subprocess.Popen[str]:
    file = folder / "script.py"
    file.write_text(script)
    (folder / "pids").mkdir()
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    return subprocess.Popen(
        [sys.executable, str(file), str(folder / "pids")],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group of its own, which gets Ctrl-C as a terminal sends it
    )


def two_at_work(folder: Path) -> list[int]:
    until = time.monotonic() + LATE
    while len(found := list((folder / "pids").iterdir())) < 2:
        assert time.monotonic() < until
        time.sleep(0.05)
    return [int(file.name) for file in found]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_orphans_of_a_killed_coordinator(tmp_path: Path, number: int) -> None:
    with started(tmp_path, SCRIPT + "\nif __name__ == '__main__':\n    main()\n") as coordinator:
        pids = two_at_work(tmp_path)
        coordinator.send_signal(number)
        coordinator.communicate(timeout=LATE)
    assert gone(pids, 5)


def test_ctrl_c_is_the_coordinators(tmp_path: Path) -> None:
    with started(tmp_path, SCRIPT + "\nif __name__ == '__main__':\n    main()\n") as coordinator:
        pids = two_at_work(tmp_path)
        os.killpg(coordinator.pid, signal.SIGINT)
        _, told = coordinator.communicate(timeout=LATE)
    assert gone(pids, 0)
    assert told.count("Traceback") == told.count("KeyboardInterrupt") == 1


def test_workers_that_cannot_start_are_no_fault_of_a_task(tmp_path: Path) -> None:
    with started(tmp_path, SCRIPT + "\nmain()\n") as coordinator:
        _, told = coordinator.communicate(timeout=LATE)
    last = told.splitlines()[-1]
    assert "RunError: a worker process ended before its first task, with exit code 1" in last


# What is asked ----------------------------------------------------------------------------------


def test_what_is_asked_is_opened() -> None:
    assert isinstance(open_workers(WorkersAsked()), Inline)
    with open_workers(WorkersAsked(count=3, device="cpu")) as workers:
        assert (type(workers), workers.slots) == (Processes, 3)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (WorkersAsked(count=0), "workers are 1 to 1024, but got 0"),
        (WorkersAsked(count=1025), "but got 1025"),
        (WorkersAsked(count=2, ray="auto"), "not both"),
        (WorkersAsked(count=2, gpus_each=0.5), "GPUs a task are Ray's"),
        (WorkersAsked(ray="auto", gpus_each=1.5), "a fraction of one, or whole, but got 1.5"),
        (WorkersAsked(ray="auto", gpus_each=0), "but got 0"),
        (WorkersAsked(ray="auto", gpus_each=float("nan")), "but got nan"),
    ],
)
def test_what_cannot_be_asked(asked: WorkersAsked, told: str) -> None:
    with pytest.raises(RunError, match=told):
        open_workers(asked)
