"""What `kill -9` at random moments costs a search: trials lost, scored twice, studies stuck.

    python benchmarks/kills.py [--kills 100] [--only sqlite ...] [--seed 0]    Ctrl-C: enough kills

A search of a small space, whose score sleeps a little, is killed again and again, and resumed each
time: with SQLite in one process and with two workers, on PostgreSQL with two coordinators, and on a
Ray cluster of two nodes. What is killed is drawn: the coordinator with all that it started, the
coordinator alone, or one worker; and when: mostly at work, else as it starts. Just before each kill
it is noted which trials the storage has. At last the search has to come to an end, some trials
later.

lost: trials that the storage had, and has not any more. twice: trials beyond the first that were
scored with one architecture, or are written under one number. stuck: searches that no longer went
on, or ended by themselves with an error. evaluated: scores that were computed; what they are more
than those recorded was under way when killed, or is the same network of a trial that was.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import optuna

from archspec.cli.tables import Column, Table, numbers, print_table
from archspec.runs import versions_of
from search.budgets import budgets_of
from search.folder import RunFolder, RunInfo, on_storage
from search.space import Space

ROOT = Path(__file__).resolve().parents[1]
SPACE = """\
name: small
input: {resolution: 32}
classes: 10
defaults: {norm: batch, act: {choice: [relu, gelu, silu]}}
stem: [{cna: {width: 16, kernel: 3}}]
each_stage: {stride: 2, down: [{conv: {width: w_out, kernel: 2, stride: 2}}]}
stages:
- width: 32
  depth: {range: [1, 4]}
  block: [{convnext: {kernel: {choice: [3, 5, 7]}, expansion: {choice: [2, 3, 4]}}}]
- width: {range: [8, 256], step: 8}
  depth: {range: [1, 6]}
  block: {choice: {mbconv: [{mbconv: {expansion: {choice: [2, 3, 4]}}}], basic: [basic]}}
head: [norm, {pool: global}, {linear: classes}]
"""
SCORE = """\
import os, time
from pathlib import Path
from search.record import architecture_key

def slow(probe):
    time.sleep(0.05)
    line = f"{architecture_key(probe.spec)} {os.getpid()}\\n"
    with Path(__file__).with_name("evaluated").open("a") as log:
        log.write(line)
    return float(len(line) % 7 + probe.plan.stages[0].shape.height)
"""
BUDGET = "12MFLOPs"
#: trials that are never reached, and those beyond the last kill that have to be
MANY, MORE = 200_000, 30
#: seconds without a new trial, or without an end, after which a search is stuck
PATIENCE = 180.0
#: and after so many times it is given up
MOST_STUCK = 5
SETTINGS = ("sqlite", "sqlite, 2 workers", "postgresql, 2 coordinators", "ray, 2 nodes")


@dataclass
class Sitting:
    """One coordinator's run folder, how it is gone on with, and its process."""

    folder: Path
    options: dict[str, object]
    process: subprocess.Popen[bytes] | None = None

    def start(self, trials: int) -> None:
        """Go on to so many trials, in a session of its own."""
        code = (
            "import sys, json; from pathlib import Path\n"
            "from archspec.cli.search_runs import resume_search\n"
            "from search.workers import WorkersAsked\n"
            "asked = json.loads(sys.argv[3])\n"
            "if __name__ == '__main__':\n"
            "    resume_search(Path(sys.argv[1]), int(sys.argv[2]), True, WorkersAsked(**asked))\n"
        )
        script = self.folder.parent / "go_on.py"
        script.write_text(code)
        with (self.folder.parent / f"{self.folder.name}.log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, script, self.folder, str(trials), json.dumps(self.options)],
                cwd=self.folder.parent,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End it with all that it started."""
        if self.goes():
            assert self.process is not None
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def said(self) -> str:
        """What it printed."""
        return (self.folder.parent / f"{self.folder.name}.log").read_text(errors="replace")

    def goes(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="of each search")
    parser.add_argument("--only", nargs="+", default=SETTINGS, help="beginnings of settings")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended, too
    sys.path.append(str(ROOT / "tests"))
    rows = []
    for setting in SETTINGS:
        if setting.startswith(tuple(asked.only)):
            with ExitStack() as left, tempfile.TemporaryDirectory() as folder:
                sittings = left.enter_context(prepared(setting, Path(folder)))
                for sitting in sittings:
                    left.callback(sitting.kill)
                rows.append([setting, *Killing(sittings, asked.kills, asked.seed).go()])
    titles = ("kills", "of workers", "trials", "lost", "twice", "stuck", "evaluated", "minutes")
    print_table(Table([Column("search"), *numbers(*titles)], rows))


@contextmanager
def prepared(setting: str, folder: Path) -> Iterator[list[Sitting]]:
    """Run folders of a setting, what it needs besides going."""
    (folder / "small.yaml").write_text(SPACE)
    (folder / "slow_score.py").write_text(SCORE)
    (folder / "evaluated").touch()
    if setting.startswith("postgresql"):
        from postgres_server import postgres

        with postgres() as server:
            info = on_storage(asked_info(folder), server.database(), "run")
            yield [made(folder / name, info) for name in ("one", "two")]
    elif setting.startswith("ray"):
        from ray_cluster import two_nodes

        with two_nodes() as cluster:
            yield [made(folder / "run", asked_info(folder), ray=cluster.address)]
    elif "workers" in setting:
        yield [made(folder / "run", asked_info(folder), count=2)]
    else:
        yield [made(folder / "run", asked_info(folder))]


def asked_info(folder: Path) -> RunInfo:
    """What is searched, as the command line would have it."""
    return RunInfo(
        space="small",
        space_text=Space.read(str(folder / "small.yaml"), ()).dump(),
        command="benchmarks/kills.py",
        budgets=budgets_of([BUDGET]),
        iso=True,
        seed=0,
        sampler="random",
        score="slow_score:slow",
        score_label="slow_score:slow",
        data="digits",
        batch=16,
        device="cpu",
        trials=MANY,
        random_trials=0,
        shipped=False,
        versions=versions_of(()),
    )


def made(folder: Path, info: RunInfo, **options: object) -> Sitting:
    RunFolder.create(folder, replace(info))
    return Sitting(folder, options)


class Killing:
    """One search that is killed often."""

    def __init__(self, sittings: list[Sitting], kills: int, seed: int) -> None:
        self.sittings, self.kills, self.chance = sittings, kills, random.Random(seed)
        self.run = RunFolder.open(sittings[0].folder)
        self.seen: dict[int, tuple[object, object]] = {}
        self.killed: Counter[str] = Counter()
        self.lost = self.stuck = 0

    def go(self) -> list[str]:
        """Kill it as often as asked, then let it come to its end; a row of the table."""
        started = time.monotonic()
        with suppress(KeyboardInterrupt):  # enough of them
            while sum(self.killed.values()) < self.kills and self.stuck < MOST_STUCK:
                for sitting in self.sittings:
                    self.see_to(sitting, MANY)
                if self.chance.random() < 0.8:
                    self.wait_for(self.news)
                    time.sleep(self.chance.uniform(0, 0.5))
                else:
                    time.sleep(self.chance.uniform(0, 3))
                self.look()
                self.kill(self.chance.choice(self.sittings))
                self.look()
                if sys.stderr.isatty():
                    print(f"\r{sum(self.killed.values())} of {self.kills}", end="", file=sys.stderr)
        self.end()
        minutes = (time.monotonic() - started) / 60
        trials = self.trials()
        scored = [trial for trial in trials if trial.user_attrs["state"] == "scored"]
        twice = repeated(trial.user_attrs["key"] for trial in scored)
        twice += repeated(trial.user_attrs["number"] for trial in trials)
        log = self.sittings[0].folder.parent / "evaluated"
        return [
            str(sum(self.killed.values())),
            str(self.killed["worker"]),
            f"{len(trials)}, {len(scored)} scored",
            *map(str, (self.lost, twice, self.stuck)),
            str(len(log.read_text().splitlines())),
            f"{minutes:.0f}",
        ]

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """All that is written."""
        return self.run.trials("search")

    def look(self) -> None:
        """Note what is written, and miss what was."""
        here = {
            trial._trial_id: (trial.user_attrs["number"], trial.user_attrs.get("score"))
            # another folder object, so that nothing is remembered
            for trial in RunFolder.open(self.run.path).trials("search")
        }
        missed = [place for place, told in self.seen.items() if here.get(place) != told]
        self.lost += len(missed)
        self.seen = here

    def news(self) -> bool:
        """Whether a trial was written since the last look."""
        return len(self.trials()) > len(self.seen)

    def see_to(self, sitting: Sitting, trials: int) -> None:
        """Go on with a search that is not going; one that was not killed has no reason not to."""
        if sitting.process is not None and not sitting.goes() and sitting.process.returncode >= 0:
            self.stuck += 1
            print(f"ended by itself: {sitting.said[-2000:]}", file=sys.stderr)
        if not sitting.goes():
            sitting.start(trials)

    def wait_for(self, true: Callable[[], bool]) -> bool:
        """Whether something comes true in time; if not, the search is stuck."""
        end = time.monotonic() + PATIENCE
        while not true():
            if not any(sitting.goes() for sitting in self.sittings):
                return False  # told by see_to
            if time.monotonic() > end:
                self.stuck += 1
                for sitting in self.sittings:
                    print(f"stuck: {sitting.said[-2000:]}", file=sys.stderr)
                return False
            time.sleep(0.1)
        return True

    def kill(self, sitting: Sitting) -> None:
        """End a coordinator, all of its session, or one of its workers."""
        assert sitting.process is not None
        workers = worker_processes(sitting)
        what = self.chance.choice(["all", "coordinator", *(["worker"] if workers else [])])
        try:
            if what == "all":
                os.killpg(sitting.process.pid, signal.SIGKILL)
            else:
                alone = self.chance.choice(workers) if what == "worker" else sitting.process.pid
                os.kill(alone, signal.SIGKILL)
        except ProcessLookupError:
            return  # it went first
        self.killed[what] += 1
        if what != "worker":
            sitting.process.wait()

    def end(self) -> None:
        """Let the search come to its end, some trials on."""
        for sitting in self.sittings:
            sitting.kill()
        self.look()
        wanted = MORE + sum(trial.user_attrs["state"] == "scored" for trial in self.trials())
        for sitting in self.sittings:
            sitting.start(wanted)
        self.wait_for(lambda: not any(sitting.goes() for sitting in self.sittings))
        for sitting in self.sittings:
            assert sitting.process is not None
            if not sitting.goes() and sitting.process.returncode != 0:
                self.stuck += 1
                print(f"ended with an error: {sitting.said[-2000:]}", file=sys.stderr)
        self.look()


def repeated(values: Iterator[object]) -> int:
    return sum(number - 1 for number in Counter(values).values())


def worker_processes(sitting: Sitting) -> list[int]:
    """Processes that evaluate: children of the coordinator, or actors of our own Ray cluster."""
    assert sitting.process is not None
    parents: dict[int, int] = {}
    commands: dict[int, bytes] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # OSError: it has ended
            with suppress(OSError):
                status = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                parents[int(entry.name)] = int(status[1])
                commands[int(entry.name)] = (entry / "cmdline").read_bytes()
    if "ray" not in sitting.options:
        return sorted(
            process
            for process, command in commands.items()
            if parents[process] == sitting.process.pid and b"spawn_main" in command
        )

    def ours(process: int) -> bool:
        while process > 1 and process != os.getpid():
            process = parents.get(process, 0)
        return process == os.getpid()

    return sorted(
        process
        for process, command in commands.items()
        if command.startswith(b"ray::")
        and ours(process)
        # a node ends with its agents, and the nodes are to last
        and not any(word in command for word in (b"IDLE", b"Agent"))
    )


if __name__ == "__main__":
    main()
