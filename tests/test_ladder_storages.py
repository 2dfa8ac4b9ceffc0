"""Ladders on every storage and by all kinds of workers: what is killed there is gone on with,
nothing is lost or scored twice, and those climb who would with one coordinator alone."""

from __future__ import annotations

import hashlib
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coordinators import LATE, go, going, log_of, told, until
from optuna.trial import create_trial
from postgres_server import Server, postgres
from ray_cluster import two_nodes
from tiny_runs import interrupt_after, made_info, tiny_space

from archspec.errors import RunError
from search.folder import RunFolder, RunInfo, on_storage
from search.joining import find_run, publish
from search.record import architecture_key
from search.run import Event, Search
from search.rungs import RungInfo
from search.space import Space
from search.workers import Workers, WorkersAsked, open_workers

#: three scores that have nothing to do with each other, and say whom they were asked of
SCORES = """\
import hashlib

def _score(rung, probe, seconds):
    key = tell(probe, rung)
    time.sleep(seconds)
    return float(int(hashlib.sha256(f"{rung} {key}".encode()).hexdigest()[:8], 16))

def one(probe):
    return _score("search", probe, 0.01)

def two(probe):
    return _score("rung2", probe, SECONDS)

def three(probe):
    return _score("rung3", probe, 0.01)
"""
COUNTS = {"search": 24, "rung2": 10, "rung3": 4}


def made_score(rung: str, key: str) -> float:
    """What SCORES give."""
    return float(int(hashlib.sha256(f"{rung} {key}".encode()).hexdigest()[:8], 16))


def asked(
    folder: Path, module: str, seconds: float = 0.0, together: int = 1, **changes: Any
) -> RunInfo:
    """A search of three rungs, whose scores are in a module of this name in the folder; together:
    coordinators that begin before any trial ends."""
    text = log_of(together) + SCORES.replace("SECONDS", str(seconds))
    (folder / f"{module}.py").write_text(text)
    above = tuple(
        RungInfo(COUNTS[kind], f"{module}:{name}", name, name, 4, "cpu")
        for kind, name in (("rung2", "two"), ("rung3", "three"))
    )
    text = Space.read(tiny_space(folder)).dump()
    told = {"trials": COUNTS["search"], "random_trials": 2, "sampler": "random", "iso": True}
    return made_info(text, score=f"{module}:one", ladder=above, **{**told, **changes})


def shared(path: Path, info: RunInfo, address: str) -> RunFolder:
    """A run on a database, which others may join."""
    folder = RunFolder.create(path, on_storage(info, address, "run"))
    publish(folder)
    return folder


def climbed(folder: RunFolder, asked_first: int = 0) -> dict[str, list[int]]:
    """Search trials of the rungs, checked: each rung has the best of the one below it, each once,
    with the score of its own.

    asked_first: so many trials were asked for at first; those who climbed then are there, too.
    """
    frame = folder.frame()
    assert folder.info.ladder
    found: dict[str, list[int]] = {}
    best: list[int] = []
    for kind in ("search", "rung2", "rung3"):
        rows = frame[frame["kind"] == kind]
        numbers = [int(of) for of in rows["number" if kind == "search" else "of"]]
        assert len(set(numbers)) == len(numbers), f"{kind} has a network twice"
        scores: dict[int, float] = {}
        for of, state, spec, score in zip(
            numbers, rows["state"], rows["spec"], rows["score"], strict=True
        ):
            if state == "scored":
                scores[of] = score
                assert score == made_score(kind, _key(spec))
        if kind == "search":
            assert sorted(numbers) == list(range(len(numbers)))
            assert len(scores) == folder.info.trials
        elif asked_first:
            assert set(best) <= set(numbers)
        else:
            assert set(numbers) == set(best)
            assert len(numbers) == COUNTS[kind]
        among = [of for of in scores if kind == "search" or of in best]
        following = {"search": "rung2", "rung2": "rung3"}.get(kind)
        if following is not None:
            best = sorted(among, key=lambda of: -scores[of])[: COUNTS[following]]
        found[kind] = numbers
    return found


def _key(spec: str) -> str:
    from archspec.spec import parse_spec

    return architecture_key(parse_spec(spec))


def scorings(folder: Path) -> Counter[str]:
    """How often each rung scored each network."""
    return Counter(scored for scored, _ in told(folder))


# PostgreSQL ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as started:
        yield started


@pytest.mark.postgresql
@pytest.mark.parametrize("kind", ["search", "rung2"])
def test_nobody_climbs_past_a_trial_that_is_left_behind(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Another coordinator is at one trial of a rung, and is lost after all others are done."""
    monkeypatch.chdir(tmp_path)
    module = f"steps_left_{kind}"
    alone = RunFolder.create(tmp_path / "alone", asked(tmp_path, module))
    Search(alone).go()
    expected = climbed(alone)
    number = expected["rung3"][0] if kind == "rung2" else 7
    folder = shared(tmp_path / "run", asked(tmp_path, module), server.database())
    folder.study(kind)
    others = folder.ledger(lambda text: None)
    assert others.claim(kind, number, "")
    ended: list[Event] = []

    def watch(event: Event) -> None:
        ended.append(event)
        kinds = Counter(one.kind for one in ended)
        # of the search, when the baseline is begun; of a rung, when all others are done
        if event.kind == "random" if kind == "search" else kinds[kind] == COUNTS[kind] - 1:
            others.close()

    go(folder, watch)
    found = climbed(folder)
    assert {kind: set(found[kind]) for kind in found} == {
        kind: set(expected[kind]) for kind in expected
    }
    order = [event.kind for event in ended if event.kind != "random"]
    assert order == sorted(order, key=["search", "rung2", "rung3"].index)


@pytest.mark.postgresql
@pytest.mark.parametrize("kind", ["search", "rung2"])
def test_who_is_at_work_hears_that_another_asked_for_more(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = shared(tmp_path / "run", asked(tmp_path, f"steps_more_{kind}"), server.database())
    other = RunFolder.create(tmp_path / "other", folder.info)
    met: Counter[str] = Counter()

    def watch(event: Event) -> None:
        met[event.kind] += 1
        if event.kind == kind and met[kind] == 5:
            other.ask_for(40)
            publish(other, asked=True)

    go(folder, watch)
    assert RunFolder.open(folder.path).info.trials == 40
    climbed(folder, asked_first=COUNTS["search"])
    go(other)
    climbed(other, asked_first=COUNTS["search"])


@pytest.mark.postgresql
def test_a_ladder_that_is_not_climbed_to_its_top_is_the_unfinished_run(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    address = server.database()
    folder = shared(tmp_path / "run", asked(tmp_path, "steps_half"), address)
    after = interrupt_after(3)
    with pytest.raises(KeyboardInterrupt):
        go(folder, lambda event: after(event) if event.kind == "rung2" else None)
    assert str(find_run(address, None)) == "run (29 of 40 trials)"
    go(RunFolder.open(folder.path))
    climbed(folder)
    with pytest.raises(RunError, match=r"no run is unfinished .* run \(40 of 40 trials\)"):
        find_run(address, None)
    # asked for more, the ladder is climbed by others, who are told as they come
    folder.ask_for(40)
    publish(folder, asked=True)
    before = of_kind(folder, "rung2")
    told: list[str] = []
    after = interrupt_after(1)

    def watch(event: Event) -> None:
        told.append(str(find_run(address, None)))
        if event.kind == "rung2":
            after(event)

    with pytest.raises(KeyboardInterrupt):
        go(RunFolder.open(folder.path), watch)
    # 40 of the search, 2 of its baseline, 10 and 4 above it; before any of the new ones came up
    best = best_of(folder, "search", 10)
    assert best - before, "the new trials change who climbs"
    stayed = 40 + 2 + len(best & before)
    assert told[-1].startswith(f"run ({stayed + 1 + top_there(folder, best)} of 56 ")
    assert all(" of 56 " in text for text in told)
    go(RunFolder.open(folder.path))
    climbed(folder, asked_first=COUNTS["search"])
    with pytest.raises(RunError, match=r"no run is unfinished .* run \(56 of 56 trials\)"):
        find_run(address, None)


def of_kind(folder: RunFolder, kind: str) -> set[int]:
    return {int(trial.user_attrs["of"]) for trial in folder.trials(kind)}


def best_of(folder: RunFolder, kind: str, count: int, among: set[int] | None = None) -> set[int]:
    """Search trials that have the highest scores of a kind."""
    scores = {}
    for trial in folder.trials(kind):
        attrs = trial.user_attrs
        of = int(attrs["number" if kind == "search" else "of"])
        if attrs["state"] == "scored" and (among is None or of in among):
            scores[of] = float(attrs["score"])
    return set(sorted(scores, key=lambda of: -scores[of])[:count])


def top_there(folder: RunFolder, climbing: set[int]) -> int:
    """How many of the best of those who climb to the second rung are on the third already."""
    return len(best_of(folder, "rung2", COUNTS["rung3"], climbing) & of_kind(folder, "rung3"))


@pytest.mark.postgresql
@pytest.mark.parametrize("key", ["", "k99"])
def test_who_was_lost_before_a_rung_began_writes_nothing_after(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """A coordinator has a trial in work and loses its connection; it is back when others climb."""
    monkeypatch.chdir(tmp_path)
    address = server.database()
    folder = shared(tmp_path / "run", asked(tmp_path, f"steps_lost{key}"), address)
    study = folder.study("search")
    with closing(folder.ledger(lambda text: None)) as lost:
        assert lost.claim("search", 99, key)
        assert server.drop_connections(address)
        written: list[bool] = []

        def watch(event: Event) -> None:
            if event.kind == "rung2" and not written:
                scored = [one for one in folder.trials("search") if one.values is not None]
                best = max(scored, key=lambda trial: float(trial.user_attrs["score"]))
                attrs = best.user_attrs | {"number": 99, "score": best.user_attrs["score"] + 1}
                late = create_trial(
                    values=[attrs["score"]],
                    params=best.params,
                    distributions=best.distributions,
                    user_attrs=attrs,
                )
                # it goes on to score its network, and then to write the trial
                written.append(lost.claim("search", 99, "k98"))
                written.append(lost.write("search", 99, study, late))

        go(folder, watch)
        assert written == [False, False]
    go(folder)
    climbed(folder)


@pytest.mark.postgresql
def test_who_waits_for_others_does_little(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One network of a rung is another machine's for long."""
    monkeypatch.chdir(tmp_path)
    info = asked(tmp_path, "steps_wait", shipped=True)
    alone = RunFolder.create(tmp_path / "alone", replace(info, shipped=False))
    Search(alone).go()
    folder = shared(tmp_path / "run", info, server.database())
    folder.study("rung2")
    others = folder.ledger(lambda text: None)
    assert others.claim("rung2", climbed(alone)["rung2"][0], "")
    done: Counter[str] = Counter()
    pauses: list[float] = []

    def no_shipped(*_: object) -> Iterator[Any]:
        done["shipped"] += 1
        return iter(())

    def check(*_: object) -> None:
        done["check"] += 1

    def pause(seconds: float) -> None:
        if seconds >= 1:  # scores take some milliseconds
            pauses.append(seconds)
        if len(pauses) == 8:
            others.close()

    monkeypatch.setattr("search.run.shipped_within", no_shipped)
    monkeypatch.setattr("search.climb.check_score", check)
    monkeypatch.setattr("time.sleep", pause)
    with closing(folder.ledger(lambda text: None)) as ledger:
        Search(folder, ledger=ledger).go()
    assert done == {"shipped": 1, "check": 2}, "two rungs"
    waited = pauses[:8]
    assert waited[0] == 1.0
    assert waited == sorted(waited)
    assert waited[-1] == 10.0


@pytest.mark.postgresql
@pytest.mark.slow
@pytest.mark.parametrize("killed", ["one", "both"])
def test_coordinators_killed_on_a_rung_cost_nothing(
    server: Server, tmp_path: Path, killed: str
) -> None:
    info = asked(tmp_path, "steps", 0.5, together=2)
    first = shared(tmp_path / "run", info, server.database())
    second = RunFolder.create(tmp_path / "joined", first.info)
    with ExitStack() as leaving:
        one, two = (leaving.enter_context(going(folder)) for folder in (first, second))
        until(lambda: len(first.trials("rung2")) >= 3 or {one.poll(), two.poll()} != {None})
        assert one.poll() is two.poll() is None
        at_work = {pid for _, pid in told(tmp_path)}
        one.kill()
        if killed == "both":
            two.kill()
        before = first.frame()
        if killed == "both":
            two.wait()
            assert leaving.enter_context(going(first)).wait(LATE) == 0
        else:
            assert two.wait(LATE) == 0
    assert 3 <= (before["kind"] == "rung2").sum() < COUNTS["rung2"]
    climbed(first)
    after = first.frame()
    keys = ["kind", "number", "state", "spec", "score"]
    kept = after.merge(before[keys], on=keys)
    assert len(kept) == len(before)
    # what was under way when killed is begun again; a network of the baseline may be the search's
    again = scorings(tmp_path)
    assert sum(again.values()) - len(again) <= (2 if killed == "both" else 1)
    assert at_work == {one.pid, two.pid}


# Workers ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_workers_killed_on_a_rung_cost_nothing(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", asked(tmp_path, "steps", 0.4))
    with going(folder, count=2) as process:
        until(lambda: len(folder.trials("rung2")) >= 3 or process.poll() is not None)
        assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    before = RunFolder.open(folder.path).frame()
    assert 3 <= (before["kind"] == "rung2").sum() < COUNTS["rung2"]
    with going(folder, count=2) as process:
        assert process.wait(LATE) == 0
    climbed(folder)
    keys = ["kind", "number", "state", "spec", "score"]
    assert len(folder.frame().merge(before[keys], on=keys)) == len(before)
    again = scorings(tmp_path)
    assert sum(again.values()) - len(again) <= 2


@pytest.mark.ray
def test_a_ladder_is_climbed_on_ray_though_a_node_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder.create(tmp_path / "run", asked(tmp_path, "steps_on_ray", 1.0))
    lost: list[str] = []
    with two_nodes() as cluster:

        def watch(event: Event) -> None:
            if event.kind == "rung2" and not lost:
                (node,) = cluster.worker_nodes
                lost.append(node.node_id)
                cluster.remove_node(node, allow_graceful=False)

        with _ray(cluster.address) as workers:
            assert workers.slots == 3
            Search(folder, watch, workers=workers).go()
    assert lost
    climbed(folder)
    # what the lost node was at is done by another
    again = scorings(tmp_path)
    assert sum(again.values()) - len(again) <= 1


def _ray(address: str) -> Workers:
    return open_workers(WorkersAsked(ray=address))
