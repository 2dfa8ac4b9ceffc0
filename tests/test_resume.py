"""Kill it, resume it, same result: parameters, spec and score of every trial."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tiny_runs import FEW, FEW_FLOPS, finished_run, interrupt_after, lasting, made_run, tiny_space
from typer.testing import CliRunner, Result

from archspec.cli.main import app
from archspec.runs import locked
from search.folder import RunFolder
from search.proposals import SINGLE
from search.run import Search
from search.scores import Scored, Scorer

ROOT = Path(__file__).resolve().parents[1]


def archspec(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def assert_same(run: RunFolder, other: RunFolder) -> None:
    """Every trial's parameters, spec, score and state; all columns but the clock's."""
    one, two = lasting(run.frame()), lasting(other.frame())
    pd.testing.assert_frame_equal(one, two[list(one)], check_exact=True)
    assert set(one) == set(two)


# Stopped and resumed in one process ---------------------------------------------------------------

#: trials beyond each sampler's start: 10 of TPE and GP, the first 20 of NSGA-II, 6 of ours
TRIALS = {"guided": 8, "tpe": 14, "nsga2": 28, "gp": 11, "cmaes": 14, "qmc": 6, "random": 6}


@pytest.mark.parametrize(
    ("sampler", "iso"),
    [(sampler, iso) for sampler in TRIALS for iso in (False, True) if iso or sampler not in SINGLE],
)
def test_a_resumed_search_equals_the_uninterrupted_one(
    tmp_path: Path, sampler: str, iso: bool
) -> None:
    changes: dict[str, Any] = {
        "sampler": sampler,
        "iso": iso,
        "trials": TRIALS[sampler],
        "random_trials": 3,
    }
    whole = finished_run(tmp_path / "whole", **changes)
    made_run(tmp_path / "parts", **changes)
    for count in (2, 3 * TRIALS[sampler] // 4, TRIALS[sampler] // 5):
        with pytest.raises(KeyboardInterrupt):
            Search(RunFolder.open(tmp_path / "parts"), interrupt_after(count)).go()
    Search(RunFolder.open(tmp_path / "parts")).go()
    parts = RunFolder.open(tmp_path / "parts")
    assert_same(whole, parts)
    counts = parts.frame().query("state == 'scored'")["kind"].value_counts()
    assert counts.to_dict() == {"search": TRIALS[sampler], "random": 3}


def test_repeated_trials_are_resumed_alike(tmp_path: Path) -> None:
    """What was scored in the first sitting is told, not scored again, in the second."""
    changes: dict[str, Any] = {"space": "few", "iso": True, "budgets": {"flops": FEW_FLOPS + 0.5}}
    changes |= {"trials": 4, "random_trials": 0, "score": "naswot"}
    whole = finished_run(tmp_path / "whole", FEW, **changes)
    made_run(tmp_path / "parts", FEW, **changes)
    for count in (2, 9):
        with pytest.raises(KeyboardInterrupt):
            Search(RunFolder.open(tmp_path / "parts"), interrupt_after(count)).go()
    Search(RunFolder.open(tmp_path / "parts")).go()
    assert_same(whole, RunFolder.open(tmp_path / "parts"))


def test_infeasible_trials_are_resumed_alike(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"budgets": {"flops": 3.5e6}, "trials": 12, "random_trials": 3}
    whole = finished_run(tmp_path / "whole", **changes)
    assert set(whole.frame()["state"]) >= {"scored", "infeasible"}
    made_run(tmp_path / "parts", **changes)
    for count in (7, 13):
        with pytest.raises(KeyboardInterrupt):
            Search(RunFolder.open(tmp_path / "parts"), interrupt_after(count)).go()
    Search(RunFolder.open(tmp_path / "parts")).go()
    assert_same(whole, RunFolder.open(tmp_path / "parts"))


def test_shipped_networks_are_scored_once_over_several_sittings(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"budgets": {"flops": 400e6}, "iso": True, "shipped": True}
    changes |= {"trials": 0, "random_trials": 0}
    whole = finished_run(tmp_path / "whole", **changes)
    made_run(tmp_path / "parts", **changes)
    with pytest.raises(KeyboardInterrupt):
        Search(RunFolder.open(tmp_path / "parts"), interrupt_after(1)).go()
    for _ in range(2):
        Search(RunFolder.open(tmp_path / "parts")).go()
    assert_same(whole, RunFolder.open(tmp_path / "parts"))
    assert len(whole.frame()) > 2


def test_the_trial_that_was_being_scored_keeps_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = finished_run(tmp_path / "whole", trials=8, random_trials=0)
    made_run(tmp_path / "parts", trials=8, random_trials=0)
    ask, calls = Scorer.__call__, [0]

    def killed(self: Scorer, *args: object) -> Scored:
        calls[0] += 1
        if calls[0] == 5:
            raise KeyboardInterrupt
        return ask(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Scorer, "__call__", killed)
    stopped = archspec("resume", tmp_path / "parts")
    assert stopped.exit_code == 130
    assert "every finished trial is kept" in stopped.stderr
    before = RunFolder.open(tmp_path / "parts").frame()
    assert (before["state"] == "scored").sum() == 4
    resumed = archspec("resume", tmp_path / "parts")
    assert resumed.exit_code == 0, resumed.output
    after = RunFolder.open(tmp_path / "parts")
    assert calls[0] == 5 + 4
    assert_same(whole, after)
    kept = after.frame().iloc[: len(before)]
    assert list(kept["finished"]) == list(before["finished"])


def test_a_finished_run_stays_as_it_is_and_can_be_asked_for_more(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", random_trials=0)
    before = run.frame()
    assert archspec("resume", run.path).exit_code == 0
    pd.testing.assert_frame_equal(RunFolder.open(run.path).frame(), before)
    assert archspec("resume", run.path, "--trials", 20).exit_code == 0
    more = RunFolder.open(run.path)
    assert more.info.trials == 20
    after = more.frame()
    assert (after["state"] == "scored").sum() == 20
    pd.testing.assert_series_equal(after["score"][: len(before)], before["score"])
    assert_same(finished_run(tmp_path / "whole", trials=20, random_trials=0), more)


def test_resume_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_run(tmp_path / "run", trials=3)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = archspec("resume", "../run", "--json")
    assert done.exit_code == 0
    assert sum(row["state"] == "scored" for row in json.loads(done.stdout)) == 3 + 4


def test_other_versions_are_told(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run", trials=1, versions={"torch": "0.4.0", "python": "2.7"})
    done = archspec("resume", run.path)
    assert done.exit_code == 0
    assert "torch 0.4.0 -> " in done.stderr


def test_a_sum_whose_constants_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    """Trials by other constants are of another scale; nothing of the run is touched."""
    run = made_run(tmp_path / "run", trials=1, score_label="log2 depth / 2 + log2 activations")
    done = archspec("resume", run.path)
    assert done.exit_code == 2
    assert "the constants of depth+activations have changed since the run began" in done.stderr
    assert not run.trials("search")


# Killed -------------------------------------------------------------------------------------------


def finished_trials(run: Path) -> int:
    """Trials that are written; what a kill left half written is rolled back first."""
    try:
        with sqlite3.connect(f"file:{run / 'study.db'}?mode=rw", uri=True) as database:
            return int(database.execute("select count(*) from trials").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # no file or no table yet


def killed_at(process: subprocess.Popen[bytes], run: Path, trials: int, delay: float) -> None:
    """SIGKILL a moment after so many trials are written."""
    patience = time.monotonic() + 120
    while finished_trials(run) < trials and process.poll() is None:
        assert time.monotonic() < patience, "the search does not get on"
        time.sleep(0.002)
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


UNTRAINED = ("--score", "naswot+depth", "--batch", "4", "--random", "4")
TRAINED = ("--score", "train", "--epochs", "2", "--images", "200", "--random", "1")


def kill_and_resume(
    folder: Path, trials: int, kills: int, score: tuple[str, ...] = UNTRAINED, each: int = 5
) -> None:
    draw = random.Random(kills)
    options = ["--budget", "12MFLOPs", "--no-shipped", "--device", "cpu", *score]
    options += ["--trials", str(trials)]
    space, run = str(tiny_space(folder)), folder / "killed"
    command = [sys.executable, "-m", "archspec.cli.main"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    arguments = ["search", space, *options, "--out", str(run)]
    for _ in range(kills):
        before = finished_trials(run)
        process = subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        killed_at(process, run, before + draw.randint(1, each), draw.uniform(0, 0.1))
        assert finished_trials(run) > before
        arguments = ["resume", str(run)]
    subprocess.run([*command, *arguments], check=True, capture_output=True, env=environment)

    whole = [*command, "search", space, *options, "--out", str(folder / "whole")]
    subprocess.run(whole, check=True, capture_output=True, env=environment)
    assert_same(RunFolder.open(folder / "whole"), RunFolder.open(run))
    fronts = [
        {file.name: file.read_text() for file in (folder / name / "front").iterdir()}
        for name in ("whole", "killed")
    ]
    assert fronts[0] == fronts[1]


@pytest.mark.slow
def test_a_killed_search_that_trains_resumes_to_the_same_result(tmp_path: Path) -> None:
    """Digits, four networks, two epochs: the same trials, accuracies and prunes."""
    kill_and_resume(tmp_path, trials=4, kills=1, score=TRAINED, each=2)
    frame = RunFolder.open(tmp_path / "killed").frame()
    assert frame["state"].isin(["scored", "pruned"]).sum() == 5


@pytest.mark.slow
def test_a_search_killed_again_and_again_resumes_to_the_same_result(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, trials=60, kills=10)


# Locked and damaged -------------------------------------------------------------------------------


def refused(*args: object) -> str:
    done = archspec(*args)
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_one_process_at_a_time_works_on_a_run(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    asked = (run.path / "run.json").read_bytes()
    with locked(run.path):
        assert "is being worked on by another process" in refused("resume", run.path)
        assert "another process" in refused("resume", run.path, "--trials", 99)
        assert (run.path / "run.json").read_bytes() == asked
    assert archspec("resume", run.path, "--trials", 2).exit_code == 0


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory.mktemp("sound") / "run", trials=4, random_trials=2).path


@pytest.fixture
def damaged(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "run"))


def test_trials_that_are_gone_are_missed_and_nothing_is_written_over(damaged: Path) -> None:
    """A copy without its database: neither is a search begun anew, nor a page written of none."""
    assert archspec("report", damaged).exit_code == 0
    (damaged / "study.db").unlink()
    before = {file: file.read_bytes() for file in damaged.rglob("*") if file.is_file()}
    assert any(file.parent.name == "front" for file in before)
    for command in ("report", "resume"):
        assert "study.db is missing, which holds the trials" in refused(command, damaged)
    assert {file: file.read_bytes() for file in damaged.rglob("*") if file.is_file()} == before


def test_fewer_trials_than_are_done_are_not_asked_for(damaged: Path) -> None:
    message = refused("resume", damaged, "--trials", 3)
    assert "4 trials of the run are done, but got --trials 3; give as many or more" in message
    assert RunFolder.open(damaged).info.trials == 4


def told(run: Path) -> dict[str, object]:
    return dict(json.loads((run / "run.json").read_text()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"trials": "six"}, "trials: a whole number is needed, but got 'six'"),
        ({"iso": "no"}, "iso: true or false is needed"),
        ({"budgets": [{"quantity": "flopz", "limit": 1.0}]}, "budgets: 0: quantity"),
        ({"budgets": [{"quantity": "flops", "limit": -1.0}]}, "budgets: 0: limit"),
        ({"budgets": 7}, "budgets"),
        ({"colour": "blue"}, "colour"),
        ({"seed": None}, "seed"),
        ({"sampler": "tpz"}, "did you mean 'tpe'"),
        ({"score": "naswot", "data": "nowhere"}, "no data at nowhere"),
        ({"score": "naswot", "device": "cuda:99"}, "no device 'cuda:99' here"),
        ({"score": "naswt"}, "did you mean 'naswot'"),
        ({"space_text": "name: [\n"}, "tiny:"),
    ],
)
def test_a_changed_run_json_says_what_is_wrong(
    damaged: Path, change: dict[str, object], words: str
) -> None:
    (damaged / "run.json").write_text(json.dumps(told(damaged) | change))
    assert words in refused("resume", damaged)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000])
def test_a_damaged_run_json(damaged: Path, content: bytes) -> None:
    (damaged / "run.json").write_bytes(content)
    assert "run.json is damaged or of another version" in refused("resume", damaged)
    assert "run.json is damaged or of another version" in refused("report", damaged)


def test_a_missing_run_json(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere", tiny_space(tmp_path)):
        assert "is no folder of a run: it has no run.json" in refused("resume", path)


@pytest.mark.parametrize("cut", [100, 5_000, 30_000])
def test_a_cut_database(damaged: Path, cut: int) -> None:
    content = (damaged / "study.db").read_bytes()
    (damaged / "study.db").write_bytes(content[:cut])
    assert "study.db" in refused("resume", damaged)


@pytest.mark.parametrize("command", ["resume", "report"])
def test_a_file_that_is_no_database(damaged: Path, command: str) -> None:
    (damaged / "study.db").write_text("seven trials, all good\n" * 100)
    assert "study.db cannot be used" in refused(command, damaged)


@pytest.mark.parametrize(
    "statement",
    [
        "delete from trial_user_attributes where key = 'state'",
        "update trial_user_attributes set value_json = '\"odd\"' where key = 'state'",
        "update trial_user_attributes set value_json = 'odd' where key = 'state'",
        "update trials set state = 'RUNNING' where number = 2",
        "update trials set number = number + 1",
        "update trial_params set distribution_json = '{}'",
        "drop table trial_values",
        "drop table studies",
    ],
)
def test_a_database_with_other_rows(damaged: Path, statement: str) -> None:
    with sqlite3.connect(damaged / "study.db") as database:
        database.execute(statement)
    assert "study.db" in refused("resume", damaged)


def test_pages_of_noise_in_the_database(damaged: Path) -> None:
    content = bytearray((damaged / "study.db").read_bytes())
    content[8192:65536] = random.Random(0).randbytes(65536 - 8192)
    (damaged / "study.db").write_bytes(content)
    assert "study.db" in refused("resume", damaged)
