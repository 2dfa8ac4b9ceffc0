"""Searches of scaling rules: on the budget, beside published rules, one size up, and resumed."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy.stats import kendalltau
from test_resume import ROOT, assert_same, finished_trials, killed_at
from tiny_rules import BUDGET, made_rules, tiny_base
from tiny_runs import interrupt_after
from typer.testing import CliRunner, Result

from archspec.cli.main import app
from archspec.cost import totals
from archspec.planning import plan_network
from archspec.scaling.rule import parse_rule, read_rule
from archspec.scaling.solve import scale_to
from archspec.shipped import shipped_rules
from archspec.spec import parse_spec, read_spec
from search.folder import RunFolder
from search.larger import chosen, held
from search.run import Search


def archspec(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def done(folder: RunFolder) -> RunFolder:
    Search(folder).go()
    return folder


def finished(path: Path, **changes: Any) -> RunFolder:
    return done(made_rules(path, **changes))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finished(
        tmp_path_factory.mktemp("rules") / "run", trials=10, random_trials=3, sampler="random"
    )


@pytest.fixture(scope="module")
def frame(run: RunFolder) -> pd.DataFrame:
    return run.frame()


def of_kind(frame: pd.DataFrame, kind: str, *states: str) -> pd.DataFrame:
    rows = frame[frame["kind"] == kind]
    return rows[rows["state"].isin(states)] if states else rows


def flops_of(text: str) -> int:
    return totals(plan_network(parse_spec(text))).flops


# What is found ------------------------------------------------------------------------------------


def test_every_scored_rule_is_on_the_budget(frame: pd.DataFrame) -> None:
    rows = of_kind(frame, "search", "scored")
    assert len(rows) == 10
    for _, row in rows.iterrows():
        assert 0.98 * BUDGET <= flops_of(row["spec"]) <= BUDGET


def test_constants_are_those_of_the_picked_shares(frame: pd.DataFrame) -> None:
    for _, row in of_kind(frame, "search", "scored").iterrows():
        picked = {knob: row[f"knob.shares.{knob}"] for knob in ("depth", "width", "resolution")}
        whole = sum(picked.values())
        assert row["factor.depth"] == pytest.approx(2 ** (picked["depth"] / whole), rel=1e-5)
        for knob in ("width", "resolution"):
            assert row[f"factor.{knob}"] == pytest.approx(2 ** (picked[knob] / whole / 2), rel=1e-5)


def test_a_trials_rule_gives_its_network(frame: pd.DataFrame, tmp_path: Path) -> None:
    base = read_spec(tiny_base(tmp_path))
    for row in of_kind(frame, "search", "scored").to_dict("records"):
        landed = scale_to(base, parse_rule(str(row["rule"])), {"flops": BUDGET})
        assert landed.scaled.spec.stages == parse_spec(row["spec"]).stages
        assert landed.scaled.spec.input == parse_spec(row["spec"]).input
        assert landed.scaled.phi == row["phi"]


# Published rules ----------------------------------------------------------------------------------


def test_published_rules_stand_beside_the_search(frame: pd.DataFrame) -> None:
    rows = of_kind(frame, "shipped")
    assert list(rows["name"]) == [f"small by {rule}" for rule in shipped_rules()]
    shown = rows[rows["state"] == "scored"].set_index("name")
    assert {"small by cmt", "small by efficientnet", "small by dwr"} <= set(shown.index)
    for _, row in shown.iterrows():
        assert 0.9 * BUDGET <= flops_of(row["spec"]) <= BUDGET
    assert parse_rule(str(shown.loc["small by cmt", "rule"]), "cmt") == read_rule("cmt")
    # 1.2^(ln 2 / ln 2.352), from the paper's constants
    power = math.log(2) / math.log(1.2 * 1.3**1.5 * 1.15**2)
    assert shown.loc["small by cmt", "factor.depth"] == pytest.approx(1.2**power, rel=1e-5)


def test_a_published_rule_that_cannot_be_applied_says_why(frame: pd.DataFrame) -> None:
    rows = of_kind(frame, "shipped", "infeasible")
    reasons = dict(zip(rows["name"], rows["reason"], strict=True))
    assert "rule resnet_rs is for 4 stages" in reasons["small by resnet_rs"]


# One size up --------------------------------------------------------------------------------------


def test_the_best_and_an_even_spread_are_chosen() -> None:
    scores = [3.0, None, 9.0, 1.0, 7.0, 5.0]
    assert chosen(scores, 3) == [2, 5, 3]
    assert chosen(scores, 1) == [2]
    assert chosen(scores, 99) == [2, 4, 5, 0, 3]
    assert chosen(scores, 0) == []
    assert chosen([2.0, 2.0], 1) == [0]
    assert chosen([None], 4) == []


def test_one_size_up_is_the_same_rule_at_twice_the_budget(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    rows, own = of_kind(frame, "larger"), of_kind(frame, "search", "scored").set_index("number")
    assert len(rows) == 5
    ranked = own["score"].sort_values(ascending=False)
    assert {ranked.index[0], ranked.index[-1]} <= set(rows["of"])
    base = read_spec(tiny_base(tmp_path))
    for _, row in rows[rows["state"] == "scored"].iterrows():
        assert 0.98 * 2 * BUDGET <= flops_of(row["spec"]) <= 2 * BUDGET
        assert row["rule"] == own.loc[row["of"], "rule"]
        landed = scale_to(base, parse_rule(row["rule"]), {"flops": 2 * BUDGET})
        assert landed.scaled.spec.stages == parse_spec(row["spec"]).stages


def test_how_well_the_order_holds_is_kendalls_tau(run: RunFolder, frame: pd.DataFrame) -> None:
    found = held(frame, 0, 5)
    rows = of_kind(frame, "larger", "scored", "repeat")
    own = of_kind(frame, "search", "scored").set_index("number")["score"]
    assert found is not None
    here = [own[int(of)] for of in rows["of"]]
    assert found.tau == pytest.approx(kendalltau(here, rows["score"]).statistic)
    # five are too few for an interval
    assert math.isnan(found.low)
    told = archspec("report", run.path)
    assert told.exit_code == 0, told.output
    words = f"the order of {len(rows)} rules holds with Kendall's tau {found.tau:.2f}\n"
    assert words in told.stdout


def test_too_few_pairs_say_nothing(frame: pd.DataFrame) -> None:
    few = frame[(frame["kind"] != "larger") | (frame["number"] < 2)]
    assert held(few, 0, 5) is None
    assert held(frame.drop(columns="of"), 0, 5) is None


def ranked(here: list[float], larger: list[float]) -> pd.DataFrame:
    """A run of rules with these scores at the budget and one size up."""
    search = {"kind": "search", "state": "scored"}
    rows = [{**search, "number": n, "score": score} for n, score in enumerate(here)]
    rows += [
        {"kind": "larger", "state": "scored", "number": n, "of": n, "score": score}
        for n, score in enumerate(larger)
    ]
    return pd.DataFrame(rows)


def test_an_interval_is_told_of_enough_rules_that_are_not_all_in_order() -> None:
    here = [float(n) for n in range(10)]
    found = held(ranked(here, [1.0, 0.0, *here[2:]]), 0, 10)
    assert found is not None
    assert found.tau == pytest.approx(1 - 2 / 45)
    assert found.low < found.tau <= found.high
    # resamples of a perfect order all agree, which says nothing of others
    perfect = held(ranked(here, here), 0, 10)
    assert perfect is not None
    assert (perfect.tau, math.isnan(perfect.low)) == (1, True)


def test_a_run_that_was_asked_for_more_keeps_an_even_spread() -> None:
    here = [float(n) for n in range(9)]
    found = held(ranked(here, here), 0, 3)
    assert found is not None
    # the best, the middle and the worst
    assert set(found.numbers) == {8, 4, 0}


def test_no_rule_need_be_scored_one_size_up(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", larger=0, trials=3, random_trials=0, shipped=False)
    assert set(run.frame()["kind"]) == {"search"}
    assert archspec("report", run.path).exit_code == 0


# The grid -----------------------------------------------------------------------------------------


GRID = """\
depth: {range: [1.0, 2.0], step: 0.25}
width: {range: [1.0, 1.4], step: 0.1}
near: {growth: 2, within: 0.11}
"""
#: of 25 points those with 1.78 <= depth * width^2 <= 2.22
NEAR = {(1.0, 1.4), (1.25, 1.2), (1.25, 1.3), (1.5, 1.1), (1.5, 1.2), (1.75, 1.1), (2.0, 1.0)}


def grid(path: Path, **changes: Any) -> RunFolder:
    """A search of few points that has not begun."""
    rules = path.parent / "few.yaml"
    rules.write_text(GRID, encoding="utf-8")
    values = {"sampler": "grid", "shipped": False, "larger": 0, "random_trials": 0, "trials": 99}
    return made_rules(path, rules=rules, **{**values, **changes})


def points(frame: pd.DataFrame) -> list[tuple[float, float]]:
    rows = frame[["knob.depth", "knob.width"]].round(9)
    return list(map(tuple, rows.to_numpy()))


def test_a_grid_is_gone_through_once_in_an_order_of_its_seed(tmp_path: Path) -> None:
    for d, w in {(d / 4, w / 10) for d in range(4, 9) for w in range(10, 15)}:
        assert (1.78 <= d * w**2 <= 2.22) == ((d, w) in NEAR)
    one, other = (points(done(grid(tmp_path / f"{n}", seed=n)).frame()) for n in (0, 1))
    assert len(one) == len(other) == len(NEAR)
    assert set(one) == set(other) == NEAR
    assert one != other


def test_the_random_baseline_of_few_points_draws_among_them(tmp_path: Path) -> None:
    run = done(grid(tmp_path / "run", sampler="random", trials=2, random_trials=3))
    drawn = points(of_kind(run.frame(), "random"))
    assert set(drawn) <= NEAR
    assert len(drawn) == len(set(drawn))


# Resumed ------------------------------------------------------------------------------------------


def test_a_resumed_search_equals_the_uninterrupted_one(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"rules": "each_stage", "trials": 11, "random_trials": 1, "larger": 3}
    whole = finished(tmp_path / "whole", **asked)
    parts = made_rules(tmp_path / "parts", **asked)
    # in the search, its baseline, among the published rules, and one size up
    for after in (6, 6, 5, 6):
        with pytest.raises(KeyboardInterrupt):
            Search(RunFolder.open(parts.path), interrupt_after(after)).go()
    Search(RunFolder.open(parts.path)).go()
    assert_same(whole, RunFolder.open(parts.path))


def test_a_resumed_grid_goes_on_where_it_was(tmp_path: Path) -> None:
    whole, parts = done(grid(tmp_path / "whole")), grid(tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        Search(parts, interrupt_after(3)).go()
    Search(RunFolder.open(parts.path)).go()
    assert_same(whole, RunFolder.open(parts.path))


@pytest.mark.slow
def test_a_search_killed_again_and_again_resumes_to_the_same_result(tmp_path: Path) -> None:
    draw, run, base = random.Random(0), tmp_path / "killed", tiny_base(tmp_path)
    command = [sys.executable, "-m", "archspec.cli.main"]
    asked = ["search", "--scaling", str(base), "--budget", "1.93GFLOPs", "--trials", "30"]
    asked += ["--score", "concave_activations", "--out"]
    arguments = [*asked, str(run)]
    for _ in range(6):
        before = finished_trials(run)
        process = subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            start_new_session=True,
        )
        killed_at(process, run, before + draw.randint(1, 9), draw.uniform(0, 0.1))
        arguments = ["resume", str(run)]
    subprocess.run([*command, *arguments], check=True, capture_output=True, cwd=ROOT)
    whole = [*command, *asked, str(tmp_path / "whole")]
    subprocess.run(whole, check=True, capture_output=True, cwd=ROOT)
    assert_same(RunFolder.open(tmp_path / "whole"), RunFolder.open(run))
    for name in ("front", "rules"):
        one, other = (tmp_path / "whole" / name, run / name)
        texts = [{file.name: file.read_text() for file in at.iterdir()} for at in (one, other)]
        assert texts[0] == texts[1]


# The command --------------------------------------------------------------------------------------


def test_the_command_leaves_rules_that_scale_reads(tmp_path: Path) -> None:
    base, run = tiny_base(tmp_path), tmp_path / "run"
    asked = ["--budget", "1.93GFLOPs", "--score", "concave_activations", "--trials", "6"]
    told = archspec("search", "--scaling", base, *asked, "--random", 2, "--out", run)
    assert told.exit_code == 0, told.output
    assert "alpha" in told.stdout
    assert "found, trial" in told.stdout
    files = sorted((run / "rules").iterdir())
    assert [file.name for file in files] == [
        file.name for file in sorted((run / "front").iterdir())
    ]
    assert f"archspec scale {base} --rule {files[0]} --to 3.86GFLOPs" in told.stdout
    scaled = tmp_path / "scaled.yaml"
    told = archspec("scale", base, "--rule", files[0], "--to", "1.93GFLOPs", "-o", scaled)
    assert told.exit_code == 0, told.output
    one, other = read_spec(scaled), read_spec(run / "front" / files[0].name)
    assert (one.stages, one.input) == (other.stages, other.input)
    rule = read_rule(files[0])
    assert "Found for small" in rule.doc
    assert rule.growth == pytest.approx(2, rel=1e-4)


def test_json_tells_rules_and_what_they_repeat(run: RunFolder) -> None:
    told = archspec("resume", run.path, "--json")
    assert told.exit_code == 0, told.output
    rows = json.loads(told.stdout)
    larger = [row for row in rows if row["kind"] == "larger"]
    numbers = {row["number"] for row in rows if row["kind"] == "search"}
    assert {row["of"] for row in larger} <= numbers
    assert all(isinstance(row["of"], int) for row in larger)
    best = next(row for row in rows if row["kind"] == "search" and row["state"] == "scored")
    d, w, r = (best["constants"].get(knob) for knob in ("depth", "width", "resolution"))
    assert d * w**2 * r**2 == pytest.approx(2, rel=1e-4)
    assert parse_rule(best["rule"]).growth == pytest.approx(2, rel=1e-4)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["hybrid", "--scaling", "cmt_s"], "leave one out"),
        (["hybrid", "--rule", "compound"], "--rule is of a search of rules"),
        (["--larger", "3"], "--larger is of a search of rules"),
        (["--scaling", "cmt_s", "--rule", "cmt"], "cmt is one rule"),
        (["--scaling", "cmt_s", "--rule", "compund"], "did you mean 'compound'"),
        (["--scaling", "cmt_x"], "did you mean 'cmt_xs'"),
        (["--scaling", "cmt_s", "--sampler", "gird"], "did you mean 'grid'"),
        (
            [
                "--scaling",
                "cmt_s",
                "--sampler",
                "grid",
                "--set",
                "shares.depth={range: [0.0, 1.0]}",
            ],
            "shares.depth of compound is any number from 0 to 1; give it a step",
        ),
        (
            ["--scaling", "cmt_s", "--sampler", "grid", "--rule", "each_stage"],
            "the grid of each_stage has more than 100,000 points",
        ),
        (["hybrid", "--sampler", "grid"], "add --iso"),
        (["--scaling", "cmt_s", "--rule", "grid", "--set", "near.growth=90"], "no point of grid"),
    ],
)
def test_wrong_input_is_one_line_and_nothing_is_written(
    tmp_path: Path, args: list[str], words: str
) -> None:
    told = archspec("search", *args, "--budget", "8GFLOPs", "--out", tmp_path / "run")
    assert told.exit_code == 2
    assert told.stderr.startswith("error: ")
    assert told.stderr.count("\n") == 1
    assert words in told.stderr
    assert not (tmp_path / "run").exists()


def test_a_rule_is_not_solved_for_a_time_alone(tmp_path: Path) -> None:
    base, out = tiny_base(tmp_path), tmp_path / "run"
    told = archspec("search", "--scaling", base, "--budget", "9ms@cpu", "--out", out)
    assert told.exit_code == 2
    assert told.stderr.startswith("error: ")
    assert told.stderr.count("\n") == 1
    assert "9ms@cpu is measured; give a ceiling beside it, such as --budget " in told.stderr
    assert not out.exists()


def test_a_budget_that_no_rule_reaches_ends_with_the_reasons(tmp_path: Path) -> None:
    base = tiny_base(tmp_path)
    asked = ["--budget", "1Mparams", "--budget", "900FLOPs", "--trials", "1", "--random", "0"]
    told = archspec(
        "search", "--scaling", base, *asked, "--score", "depth", "--out", tmp_path / "run"
    )
    assert told.exit_code == 1
    assert "too costly" in told.stdout
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_run_of_before_there_were_rules_opens(tmp_path: Path) -> None:
    run = made_rules(tmp_path / "run")
    told = json.loads((run.path / "run.json").read_text())
    del told["scaling"]
    (run.path / "run.json").write_text(json.dumps(told))
    info = RunFolder.open(run.path).info
    assert info.scaling is None
    assert info.kinds == ("search", "random", "shipped")


def test_a_damaged_space_text_is_told(tmp_path: Path) -> None:
    run = made_rules(tmp_path / "run")
    told = json.loads((run.path / "run.json").read_text())
    told["space_text"] = "base: 3\n"
    (run.path / "run.json").write_text(json.dumps(told))
    again = archspec("resume", run.path)
    assert again.exit_code == 2
    assert "is no space of rules: it has a base and a rule" in again.stderr
