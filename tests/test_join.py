"""Another machine joins a search that is kept on PostgreSQL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import optuna
import pytest
from coordinators import LATE, go, going, log_of, told, until
from postgres_server import Server, postgres
from tiny_runs import FEW, lasting, made_info, tiny_space
from typer.testing import CliRunner, Result

from archspec.cli.join import app
from archspec.cli.main import app as main_app
from archspec.errors import RunError
from search.folder import RunFolder, RunInfo, on_storage
from search.joining import find_run, publish, refuse_taken
from search.run import MOST_PROPOSALS, Event, Search
from search.space import Space

pytestmark = pytest.mark.postgresql
#: a score that takes a while, and says on a line who was scored
SLOW = """\
def slow(probe):
    tell(probe)
    time.sleep(0.1)
    return float(probe.plan.stages[0].shape.channels)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as started:
        yield started


def small(folder: Path, **changes: object) -> RunInfo:
    text = Space.read(tiny_space(folder)).dump()
    return made_info(text, **{"trials": 6, "random_trials": 2, **changes})


def shared_run(path: Path, address: str, **changes: object) -> RunFolder:
    info = small(path.parent, **changes)
    folder = RunFolder.create(path, on_storage(info, address, path.name))
    publish(folder)
    return folder


def join(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_who_joins_goes_on_and_has_all_trials(server: Server, tmp_path: Path) -> None:
    address = server.database()
    shared_run(tmp_path / "run", address)
    joined = join(address, "--out", tmp_path / "joined", "--json")
    assert joined.exit_code == 0, joined.exception
    assert len(json.loads(joined.stdout)) >= 8
    here, there = (RunFolder.open(tmp_path / name) for name in ("joined", "run"))
    assert here.frame().equals(there.frame())
    assert here.info.study == "run"
    assert (tmp_path / "joined" / "report.html").is_file()


def test_a_joined_search_alone_equals_one_that_was_not_shared(
    server: Server, tmp_path: Path
) -> None:
    shared = shared_run(tmp_path / "run", server.database())
    go(shared)
    alone = RunFolder.create(tmp_path / "alone", small(tmp_path))
    Search(alone).go()
    assert lasting(shared.frame()).equals(lasting(alone.frame()))


def test_the_command_shares_its_run(server: Server, tmp_path: Path) -> None:
    address = server.database()
    words = ["search", tiny_space(tmp_path), "--budget", "12MFLOPs", "--score", "depth"]
    words += ["--trials", 3, "--random", 1, "--no-shipped", "--sampler", "random"]
    runner = CliRunner()
    begun = runner.invoke(
        main_app, [*map(str, words), "--storage", address, "--out", str(tmp_path / "run")]
    )
    assert begun.exit_code == 0, begun.output
    again = runner.invoke(
        main_app, [*map(str, words), "--storage", address, "--out", str(tmp_path / "else" / "run")]
    )
    assert again.exit_code == 2
    assert "has a run called run already" in again.stderr
    assert not (tmp_path / "else").exists()
    more = runner.invoke(main_app, ["resume", str(tmp_path / "run"), "--trials", "5"])
    assert more.exit_code == 0, more.output
    joined = runner.invoke(
        main_app, ["join", address, "run", "--out", str(tmp_path / "joined"), "--json"]
    )
    assert joined.exit_code == 0, joined.output
    rows = json.loads(joined.stdout)
    assert sum(row["kind"] == "search" and row["state"] == "scored" for row in rows) == 5


def test_networks_that_cannot_be_scored_are_no_end(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three networks, each without a score: proposed again they are told so, not waited for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "never_scores.py").write_text(
        "def score(probe):\n    raise ValueError('no score')\n", encoding="utf-8"
    )
    info = made_info(
        FEW, score="never_scores:score", sampler="random", trials=2, random_trials=0, iso=True
    )
    folder = RunFolder.create(tmp_path / "run", on_storage(info, server.database(), "run"))
    go(folder)
    frame = folder.frame()
    assert set(frame["state"]) == {"failed"}
    assert len(frame) == 2 * MOST_PROPOSALS
    assert frame["reason"].str.startswith("as before").sum() == len(frame) - 3


def test_no_password_is_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "")
    address = server.database()
    shared_run(tmp_path / "run", address.replace("tester@", "tester:s3cr3t@"))
    found = find_run(address.replace("tester@", "tester:s3cr3t@"), "run")
    assert found.info.storage == address
    assert "s3cr3t" not in (tmp_path / "run" / "run.json").read_text()


def test_what_cannot_be_joined_is_one_line(server: Server, tmp_path: Path) -> None:
    address = server.database()
    with pytest.raises(RunError, match="has no run; `archspec search"):
        find_run(address, None)
    done = shared_run(tmp_path / "done", address)
    go(done)
    with pytest.raises(RunError, match=r"no run is unfinished .*: done \(8 of 8 trials\)"):
        find_run(address, None)
    one = shared_run(tmp_path / "one", address)
    assert find_run(address, None).name == "one"
    shared_run(tmp_path / "two", address)
    with pytest.raises(RunError, match=r"several .* one \(0 of 8 trials\), two \(0 of 8 trials\)"):
        find_run(address, None)
    with pytest.raises(RunError, match="no run called 'tow': did you mean 'two'"):
        find_run(address, "tow")
    with pytest.raises(RunError, match="already: `archspec join .* one` goes on with it"):
        refuse_taken(one.info)
    optuna.load_study(study_name="one/search", storage=one._storage).set_user_attr("archspec", "{}")
    with pytest.raises(RunError, match="run one is damaged or of another version: "):
        find_run(address, "one")


def test_fewer_trials_are_taken_and_an_old_number_is_none(server: Server, tmp_path: Path) -> None:
    address = server.database()
    one = shared_run(tmp_path / "run", address, random_trials=0)
    two = RunFolder.create(tmp_path / "joined", find_run(address, None).info)
    publish(two)
    for asked in (9, 4):
        one.ask_for(asked)
        publish(one, asked=True)
        assert find_run(address, None).wanted == asked
    # the other was not at work: going on there asks for nothing new
    publish(two)
    go(two)
    assert RunFolder.open(two.path).info.trials == 4
    assert (two.frame()["state"] == "scored").sum() == 4
    with pytest.raises(RunError, match=r"no run is unfinished .*: run \(4 of 4 trials\)"):
        find_run(address, None)
    # nor does it where the other asked for its old number again
    two.ask_for(6)
    publish(two, asked=True)
    publish(one)
    assert find_run(address, None).wanted == 6
    # what was agreed on before may be asked for again
    one.ask_for(4)
    publish(one, asked=True)
    assert find_run(address, "run").wanted == 4


def test_who_is_at_work_hears_of_fewer_trials(server: Server, tmp_path: Path) -> None:
    folder = shared_run(tmp_path / "run", server.database(), trials=30, random_trials=0)
    other = RunFolder.create(tmp_path / "other", folder.info)
    met: list[int] = []

    def watch(event: Event) -> None:
        met.append(event.done)
        if event.done == 3 and met.count(3) == 1:
            other.ask_for(5)
            publish(other, asked=True)

    go(folder, watch)
    assert max(met) == 5
    assert RunFolder.open(folder.path).info.trials == 5


@pytest.mark.slow
def test_a_joined_search_outlives_a_coordinator_that_is_killed(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "pace.py").write_text(log_of(together=2) + SLOW)
    address = server.database()
    first = shared_run(tmp_path / "run", address, trials=40, score="pace:slow", device="cpu")
    second = RunFolder.create(tmp_path / "joined", first.info)
    with ExitStack() as leaving:
        one, two = (leaving.enter_context(going(folder)) for folder in (first, second))
        until(lambda: len(first.trials("search")) >= 15 or {one.poll(), two.poll()} != {None})
        assert one.poll() is two.poll() is None
        before = {trial.user_attrs["number"] for trial in first.trials("search")}
        one.kill()
        assert two.wait(LATE) == 0
    frame = first.frame()
    searched = frame[frame["kind"] == "search"]
    assert before <= set(searched["number"])
    assert searched["number"].is_unique
    scored = searched[searched["state"] == "scored"]
    assert len(scored) >= 40
    assert scored["spec"].map(lambda text: text.partition("\n")[2]).is_unique  # but for its name
    scorings = told(tmp_path)
    assert {pid for _, pid in scorings} == {one.pid, two.pid}
    # what was under way is begun again; and a network of one kind may be met in the other
    again = Counter(key for key, _ in scorings).most_common(2)
    assert [times for _, times in again] in ([1, 1], [2, 1])
