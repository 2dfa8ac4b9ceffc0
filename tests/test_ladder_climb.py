"""Going up: who is scored on which rung, by what, and that a killed climb ends the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from ladder_runs import climb, made_ladder, numbers
from made_training import Fake, accuracy
from tiny_runs import BUDGET, interrupt_after, lasting, tiny_space
from typer.testing import CliRunner

from archspec.cli.main import app
from archspec.cost import totals
from archspec.errors import RunError
from archspec.planning import plan_network
from archspec.spec import parse_spec
from search.folder import RunFolder
from search.run import Search


def width_of(spec: str) -> int:
    return plan_network(parse_spec(spec)).stages[0].out.channels


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """One that climbed by the score alone, to its end."""
    folder = made_ladder(tmp_path_factory.mktemp("ladder") / "run", iso=True)
    with pytest.MonkeyPatch.context() as patch:
        climb(folder, patch)
    return RunFolder.open(folder.path)


@pytest.fixture(scope="module")
def frame(finished: RunFolder) -> pd.DataFrame:
    return finished.frame()


def of_kind(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    """A rung's rows by their search trial."""
    return frame[frame["kind"] == kind].set_index("of" if kind != "search" else "number")


def best(rows: pd.DataFrame, count: int) -> set[int]:
    """The search trials with the highest scores; of equals those with the lower numbers."""
    scored = rows[rows["state"] == "scored"].sort_index()
    return set(scored.sort_values("score", ascending=False, kind="stable").index[:count])


def test_the_best_of_each_rung_climb(frame: pd.DataFrame) -> None:
    assert set(frame["kind"]) == {"search", "random", "rung2", "rung3", "rung4"}
    below = of_kind(frame, "search")
    assert (below["state"] == "scored").sum() == 18
    for kind, count in (("rung2", 8), ("rung3", 5), ("rung4", 2)):
        here = of_kind(frame, kind)
        assert set(here.index) == best(below, count)
        assert len(here) == count
        below = here


def test_each_rung_has_its_own_score_of_the_same_network(frame: pd.DataFrame) -> None:
    search = of_kind(frame, "search")
    rows = of_kind(frame, "rung2")
    pairs = zip(rows.iterrows(), search.loc[list(rows.index)].iterrows(), strict=True)
    for (_, row), (_, below) in pairs:
        assert row["spec"] == below["spec"]
        plan = plan_network(parse_spec(row["spec"]))
        assert 2 ** row["score"] == pytest.approx(totals(plan).depth)
        assert 2 ** below["score"] == pytest.approx(totals(plan).params)
        assert row["flops"] == below["flops"] <= BUDGET
    for _, row in of_kind(frame, "rung4").iterrows():
        end = Fake().end(width_of(row["spec"]))
        assert row["accuracies"] == [end, end + 1]
        assert row["score"] == pytest.approx(end + 0.5)


def test_short_trainings_are_pruned_and_finalists_are_not(frame: pd.DataFrame) -> None:
    """The first one of a rung goes on; later ones must be in the upper third after epoch 1."""
    short = of_kind(frame, "rung3")
    reached: list[float] = []
    for _, row in short.sort_values("finished").iterrows():
        first = accuracy(Fake().end(width_of(row["spec"])), 1, 9)
        reached.append(first)
        behind = sorted(reached)[-max(1, len(reached) // 3)] > first
        if behind:
            assert row["state"] == "pruned"
            assert len(row["rungs"][0]) == 1
    assert "pruned" in set(short["state"])
    assert set(of_kind(frame, "rung4")["state"]) == {"scored"}
    assert set(of_kind(frame, "random")["state"]) == {"scored"}


def test_a_front_climbs_where_there_are_two_objectives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made_ladder(tmp_path / "run", "16 by activations, 6 by depth, 3 by params")
    climb(folder, monkeypatch)
    search = of_kind(folder.frame(), "search")
    rows = search[search["state"] == "scored"]
    pairs = list(zip(rows.index, rows["score"], rows["flops"], strict=True))
    front = {
        of
        for of, score, flops in pairs
        if not any(s >= score and f <= flops and (s, f) != (score, flops) for _, s, f in pairs)
    }
    climbed = set(numbers(folder, "rung2"))
    assert len(climbed) == 6
    assert climbed <= front if len(front) >= 6 else front <= climbed
    # the cheapest of the front stays in
    assert min(front, key=lambda of: search.loc[of, "flops"]) in climbed


@pytest.mark.parametrize("iso", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_climb_that_is_stopped_anywhere_ends_as_the_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, iso: bool
) -> None:
    whole = made_ladder(tmp_path / "whole", iso=iso)
    climb(whole, monkeypatch)
    parts = made_ladder(tmp_path / "parts", iso=iso)
    for count in (14, 9, 5, 4, 2):
        with pytest.raises(KeyboardInterrupt):
            climb(RunFolder.open(parts.path), monkeypatch, interrupt_after(count))
    climb(RunFolder.open(parts.path), monkeypatch)
    one, two = lasting(whole.frame()), lasting(RunFolder.open(parts.path).frame())
    pd.testing.assert_frame_equal(one, two[list(one)], check_exact=True)
    assert set(one) == set(two)


def test_a_finished_climb_trains_nothing_more(
    finished: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lasting(finished.frame())
    fake = climb(RunFolder.open(finished.path), monkeypatch)
    assert fake.calls == []
    pd.testing.assert_frame_equal(lasting(RunFolder.open(finished.path).frame()), before)


def test_who_fails_does_not_climb_and_nobody_takes_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = made_ladder(
        tmp_path / "run", "9 by activations, 4 by train for 1 epoch, 3 by train for 2 epochs"
    )
    fake = Fake()

    def train(spec: Any, plan: Any, recipe: Any, *args: Any, **more: Any) -> Any:
        if len(fake.calls) == 1 and recipe.epochs == 1:
            fake.calls.append({})
            raise MemoryError
        return fake(spec, plan, recipe, *args, **more)

    monkeypatch.setattr("archspec.train.attempts.train", train)
    Search(folder).go()
    (failed,) = numbers(folder, "rung2", "failed")
    assert len(numbers(folder, "rung2")) == 4
    assert set(numbers(folder, "rung3")) == set(numbers(folder, "rung2", "scored"))
    assert failed not in numbers(folder, "rung3")


def test_a_run_asked_for_more_climbs_anew_and_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "9 by activations, 4 by depth, 2 by params"
    folder = made_ladder(tmp_path / "run", sentence, iso=True)
    climb(folder, monkeypatch)
    with pytest.raises(RunError, match="second rung .* has 4 networks.* got --trials 4"):
        folder.ask_for(4)
    folder.ask_for(20)
    before = numbers(folder, "rung2")
    climb(RunFolder.open(folder.path), monkeypatch)
    frame = folder.frame()
    wanted = best(of_kind(frame, "search"), 4)
    assert numbers(folder, "rung2")[:4] == before
    assert set(numbers(folder, "rung2")) == wanted | set(before)
    top = of_kind(frame, "rung2").loc[sorted(wanted)]
    assert best(top, 2) <= set(numbers(folder, "rung3"))


def test_data_that_changed_is_told_before_a_rung_goes_on(
    finished: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert finished.info.ladder[1].training is not None
    assert finished.info.ladder[1].training.train_count == 1294, "1438 digits but a tenth"
    parts = made_ladder(tmp_path / "parts", iso=True)
    with pytest.raises(KeyboardInterrupt):
        climb(parts, monkeypatch, interrupt_after(18 + 2 + 8 + 3))
    asked = json.loads((parts.path / "run.json").read_text())
    asked["ladder"][1]["training"]["train_count"] = 1000
    (parts.path / "run.json").write_text(json.dumps(asked))
    with pytest.raises(RunError, match="1,000 training images then"):
        climb(RunFolder.open(parts.path), monkeypatch)


def test_the_command_leaves_the_last_rungs_networks(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ["search", str(tiny_space(tmp_path)), "--budget", "12MFLOPs", "--out", str(run)]
    command += ["--ladder", "12 by activations, 6 by depth, then 3 by naswot on 4 images"]
    done = CliRunner().invoke(
        app, [*command, "--random", "3", "--no-shipped", "--objective", "score"]
    )
    assert done.exit_code == 0, done.output
    assert "front of the score of rung 3 against" in done.stdout
    told = CliRunner().invoke(app, ["report", str(run), "--json"])
    rows = json.loads(told.stdout)
    last = [row for row in rows if row["kind"] == "rung3"]
    winner = max(last, key=lambda row: row["score"])
    first = sorted((run / "front").iterdir())[0]
    assert first.name == f"01-trial{winner['of']}.yaml"
    assert parse_spec(first.read_text()) == parse_spec(winner["spec"])
    assert f"score {winner['score']:.4f} (naswot)" in first.read_text()
    assert len(list((run / "front").iterdir())) <= 3
    assert {row["of"] for row in last} < {row["of"] for row in rows if row["kind"] == "rung2"}
    asked = RunFolder.open(run).info
    assert (asked.sampler, asked.trials, [rung.count for rung in asked.ladder]) == (
        "guided",
        12,
        [6, 3],
    )


def test_many_cheap_trials_take_a_cheap_sampler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archspec.cli.search_runs.go_on", lambda *args: None)
    command = ["search", str(tiny_space(tmp_path)), "--budget", "12MFLOPs"]
    for count, options, sampler in (
        ("1,001", [], "nsga2"),
        ("1,000", [], "guided"),
        ("5,000", ["--sampler", "random"], "random"),
    ):
        run = tmp_path / f"{sampler}"
        ladder = ["--ladder", f"{count} by depth, 5 by params", "--out", str(run), *options]
        done = CliRunner().invoke(app, [*command, *ladder])
        assert done.exit_code == 0, done.output
        assert RunFolder.open(run).info.sampler == sampler


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": 0}, "ladder: 0: count"),
        ({"colour": "blue"}, "colour"),
        ({"training": {"recipe": 3}}, "recipe"),
        ({"score": "naswt"}, "did you mean 'naswot'"),
    ],
)
def test_a_changed_ladder_in_run_json_says_what_is_wrong(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    folder = made_ladder(tmp_path / "run", "5 by activations, 2 by depth")
    asked = json.loads((folder.path / "run.json").read_text())
    asked["ladder"][0] |= change
    (folder.path / "run.json").write_text(json.dumps(asked))
    done = CliRunner().invoke(app, ["resume", str(folder.path)])
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
