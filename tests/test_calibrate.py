"""A calibration's run: which networks are drawn, what is measured when, what a kill leaves."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_training import Fake
from scipy.stats import kendalltau
from tiny_calibration import (
    BUDGET,
    FLOPS,
    SCORES,
    SMALL,
    go,
    interrupt_after,
    lasting,
    made_calibration,
)
from tiny_runs import FEW, FEW_FLOPS, made_info

from archspec.cost import totals
from archspec.errors import DataError, Diverged, FitError, OutOfMemory, RunError, ScoreError
from archspec.planning import plan_network
from archspec.runs import locked
from archspec.spec import parse_spec
from search.budgets import Budget
from search.calibration.begin import ask_more, score_names
from search.calibration.find import calibration_of, latest_calibration, space_key
from search.calibration.folder import CalibrationFolder
from search.calibration.run import Step
from search.calibration.sample import sample
from search.record import architecture_key
from search.scores import DEFAULT, Scorer
from search.scores import SCORES as SHIPPED
from search.space import Space

SPACE = Space.parse(SMALL, "small")


def lines_of(folder: CalibrationFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder.path / "results.jsonl").read_text().splitlines()]


# The sample ---------------------------------------------------------------------------------------


def test_networks_land_on_the_budget_and_none_comes_twice() -> None:
    drawn = sample(SPACE, (BUDGET,), 12, 0)
    assert not drawn.note
    assert len(drawn.candidates) == 12
    for one in drawn.candidates:
        assert 0.98 * FLOPS <= totals(plan_network(one.spec)).flops <= FLOPS
        assert (one.group, one.accuracies) == ("1 MFLOPs", ())
    assert len({architecture_key(one.spec) for one in drawn.candidates}) == 12
    assert len({one.name for one in drawn.candidates}) == 12


def test_a_larger_sample_begins_with_the_smaller_one_and_another_seed_draws_others() -> None:
    few, many, others = (sample(SPACE, (BUDGET,), n, seed) for n, seed in ((4, 7), (9, 7), (4, 8)))
    texts = [[one.spec.dump() for one in drawn.candidates] for drawn in (few, many, others)]
    assert texts[0] == texts[1][:4]
    assert texts[0] != texts[2]


def test_two_budgets_are_both_kept() -> None:
    limits = (BUDGET, Budget("params", 30e3))
    for one in sample(SPACE, limits, 4, 0).candidates:
        total = totals(plan_network(one.spec))
        assert total.flops <= FLOPS
        assert total.params <= 30e3
        assert max(total.flops / FLOPS, total.params / 30e3) >= 0.98


def test_a_space_of_few_networks_gives_these_and_says_so() -> None:
    few = Space.parse(FEW, "few")
    drawn = sample(few, (Budget("flops", FEW_FLOPS + 0.5),), 8, 0)
    acts = {one.spec.dump().split("act: ")[1].split("}")[0] for one in drawn.candidates}
    assert acts == {"relu", "gelu", "silu"}
    assert "3 networks" in drawn.note
    assert "not 8" in drawn.note


def test_a_space_without_networks_at_the_budget_is_an_error_with_the_reason() -> None:
    with pytest.raises(FitError, match="0 networks at 9 GFLOPs.*do not fit, such as: .*needs 3"):
        sample(SPACE, (Budget("flops", 9e9),), 5, 0)


# What is measured ---------------------------------------------------------------------------------


def test_all_are_scored_then_all_are_trained_with_the_first_seed(tmp_path: Path) -> None:
    fake, steps = Fake(), list[Step]()
    folder = made_calibration(tmp_path / "run")
    frame = go(folder, fake, steps.append)
    lines = lines_of(folder)
    assert [line["network"] for line in lines] == [0, 1, 2, 3] * 3
    assert ["scores" in line for line in lines] == [True] * 4 + [False] * 8
    assert [line["seed"] for line in lines[4:]] == [0] * 4 + [1] * 4
    assert [(step.what, step.done, step.wanted) for step in steps] == [
        *(("scores", done, 4) for done in range(1, 5)),
        *(("training", done, 8) for done in range(1, 9)),
    ]
    assert [call["seed"] for call in fake.calls] == [0] * 4 + [1] * 4
    for row, call in zip(frame.to_dict(orient="records"), fake.calls[:4], strict=True):
        end = fake.end(call["plan"].stages[0].out.channels)
        assert row["accuracies"] == [end, end + 1]
        assert row["accuracy"] == pytest.approx(end + 0.5)
        assert row["state"] == "done"


def test_counts_and_scores_are_those_of_the_networks(tmp_path: Path) -> None:
    frame = go(made_calibration(tmp_path / "run"), Fake())
    scorer = Scorer("naswot", "digits", 4, 0, "cpu")
    for row in frame.to_dict(orient="records"):
        spec = parse_spec(row["spec"])
        plan = plan_network(spec)
        total = totals(plan)
        for count in ("params", "flops", "activations", "depth", "traffic"):
            assert row[count] == getattr(total, count)
        assert row["score.depth"] == pytest.approx(math.log2(total.depth))
        assert row["score.activations"] == pytest.approx(math.log2(total.activations))
        assert row["score.naswot"] == scorer(spec, plan).value
        assert row["seconds.naswot"] > 0
        assert row["seconds.build"] > 0


def test_the_budget_counts_the_specs_own_head_and_the_datas_is_trained(tmp_path: Path) -> None:
    text = SMALL.replace("classes: 10", "classes: 100")
    fake = Fake()
    frame = go(made_calibration(tmp_path / "run", space_text=text), fake)
    assert {call["plan"].out.channels for call in fake.calls} == {10}
    assert {parse_spec(spec).classes for spec in frame["spec"]} == {100}


def test_the_summary_is_kendalls_tau_of_the_mean_over_seeds(tmp_path: Path) -> None:
    folder = made_calibration(tmp_path / "run", networks=8)
    frame = go(folder, Fake())
    rows = folder.summary(frame).set_index("score")
    for score in (*SCORES, "params"):
        told = np.log2(frame["params"]) if score == "params" else frame[f"score.{score}"]
        assert rows.loc[score, "tau"] == pytest.approx(kendalltau(told, frame["accuracy"])[0])
    # the fake's second seed adds one point to every network: nothing changes places
    assert rows.loc["seeds", "tau"] == pytest.approx(1.0)
    assert (rows.loc["seeds", "kind"], rows.loc["params", "kind"]) == ("ceiling", "count")


def test_the_default_score_is_told_where_its_parts_are_measured(tmp_path: Path) -> None:
    folder = made_calibration(tmp_path / "with", scores=tuple(DEFAULT.split("+")))
    assert DEFAULT in set(folder.summary(go(folder, Fake()))["score"])
    folder = made_calibration(tmp_path / "without", scores=("params",))
    assert DEFAULT not in set(folder.summary(go(folder, Fake()))["score"])


@pytest.mark.parametrize("error", [Diverged("the loss is nan"), OutOfMemory("too much")])
def test_a_training_that_fails_is_a_recorded_reason_and_the_others_go_on(
    tmp_path: Path, error: Exception
) -> None:
    folder = made_calibration(tmp_path / "run")
    widths = [plan_network(spec).stages[0].out.channels for spec in folder.specs]
    assert len(set(widths)) > 1, "the fake tells networks by their first width"
    fake = Fake(raises={widths[0]: error})
    frame = go(folder, fake)
    for row, width in zip(frame.to_dict(orient="records"), widths, strict=True):
        if width == widths[0]:
            assert row["state"] == "failed"
            assert math.isnan(row["accuracy"])
            assert row["reason"] == f"seed 0: {error}; seed 1: {error}"
        else:
            assert (row["state"], row["reason"]) == ("done", "")
    calls = len(fake.calls)
    go(folder, fake)
    assert len(fake.calls) == calls, "what failed would fail again"


def test_a_score_that_is_undefined_has_its_reason_and_is_asked_once(tmp_path: Path) -> None:
    text = SMALL.replace("act: relu", "act: sigmoid")
    folder = made_calibration(tmp_path / "run", space_text=text)
    frame = go(folder, Fake())
    assert frame["score.naswot"].isna().all()
    assert frame["reason.naswot"].str.contains("no ReLU-like nonlinearity").all()
    assert (frame["reason.depth"] == "").all()
    assert (frame["state"] == "done").all()
    whole = (folder.path / "results.jsonl").read_text()
    go(folder, Fake())
    assert (folder.path / "results.jsonl").read_text() == whole


def test_errors_of_the_data_stop_the_run(tmp_path: Path) -> None:
    folder = made_calibration(tmp_path / "run", data=str(tmp_path / "nowhere"))
    with pytest.raises(DataError):
        go(folder, Fake())
    assert not (folder.path / "results.jsonl").exists()


def test_other_data_than_the_run_began_with_stop_it(tmp_path: Path) -> None:
    folder = made_calibration(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        go(folder, Fake(), interrupt_after(5))
    told = json.loads((folder.path / "calibration.json").read_text())
    assert told["protocol"]["classes"] == 10
    told["protocol"]["train_count"] += 1
    (folder.path / "calibration.json").write_text(json.dumps(told))
    with pytest.raises(RunError, match="digits has changed since the run began"):
        go(CalibrationFolder.open(folder.path), Fake())


# Stopped and gone on with -------------------------------------------------------------------------


def test_a_run_that_was_stopped_anywhere_ends_as_the_whole_one(tmp_path: Path) -> None:
    whole = lasting(go(made_calibration(tmp_path / "whole"), Fake()))
    made_calibration(tmp_path / "parts")
    fake = Fake()
    for _ in range(12):
        with pytest.raises(KeyboardInterrupt):
            go(CalibrationFolder.open(tmp_path / "parts"), fake, interrupt_after(1))
    assert len(fake.calls) == 8, "nothing is trained twice"
    parts = lasting(go(CalibrationFolder.open(tmp_path / "parts"), fake))
    pd.testing.assert_frame_equal(whole, parts, check_exact=True)


def test_an_unfinished_run_tells_what_is_missing(tmp_path: Path) -> None:
    folder = made_calibration(tmp_path / "run")
    assert set(folder.frame()["state"]) == {"missing"}
    folder.summary(folder.frame())
    with pytest.raises(KeyboardInterrupt):
        go(folder, Fake(), interrupt_after(9))
    frame = folder.frame()
    assert list(frame["state"]) == ["done", "missing", "missing", "missing"]
    assert frame["accuracy"].notna().all()
    assert [math.isnan(pair[1]) for pair in frame["accuracies"]] == [False, True, True, True]


@pytest.mark.parametrize("torn", ['{"network": 1, "seed": 1, "accu', '{"netw', "\udcff"])
def test_a_torn_last_line_is_as_good_as_none(tmp_path: Path, torn: str) -> None:
    whole = lasting(go(made_calibration(tmp_path / "whole"), Fake()))
    folder = made_calibration(tmp_path / "parts")
    with pytest.raises(KeyboardInterrupt):
        go(folder, Fake(), interrupt_after(6))
    with (folder.path / "results.jsonl").open("ab") as file:
        file.write(torn.encode(errors="surrogateescape"))
    before = CalibrationFolder.open(folder.path).frame()
    assert before["accuracy"].notna().sum() == 2
    parts = lasting(go(CalibrationFolder.open(folder.path), Fake()))
    pd.testing.assert_frame_equal(whole, parts, check_exact=True)
    assert len(lines_of(folder)) == 12


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{}", "'network' is missing"),
        ("nonsense", "results.jsonl:5 is damaged"),
        ('{"network": 4, "seed": 0, "accuracy": 1.0}', "there is no network 4"),
        ('{"network": 0, "seed": 0, "accuracy": "high"}', "accuracy"),
        ('{"network": 0, "scores": {"depth": NaN}}', "depth"),
    ],
)
def test_a_damaged_line_is_told_with_its_place(tmp_path: Path, line: str, words: str) -> None:
    folder = made_calibration(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        go(folder, Fake(), interrupt_after(4))
    with (folder.path / "results.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(RunError) as told:
        go(folder, Fake())
    assert words in str(told.value)
    assert "results.jsonl:5" in str(told.value)


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    folder = made_calibration(tmp_path / "run")
    with locked(folder.path), pytest.raises(RunError, match="worked on by another process"):
        go(folder, Fake())


def test_a_folder_that_holds_a_run_or_anything_else_is_left_alone(tmp_path: Path) -> None:
    made_calibration(tmp_path / "run")
    with pytest.raises(RunError, match="holds a run already"):
        made_calibration(tmp_path / "run")
    with pytest.raises(RunError, match="is no calibration"):
        CalibrationFolder.open(tmp_path)
    (tmp_path / "run" / "networks.json").write_text("[{}]")
    with pytest.raises(RunError, match=r"networks\.json is damaged"):
        CalibrationFolder.open(tmp_path / "run").frame()


# Asked for more -----------------------------------------------------------------------------------


def test_other_scores_are_measured_on_the_networks_that_are_trained(tmp_path: Path) -> None:
    folder, fake = made_calibration(tmp_path / "run", scores=("depth",)), Fake()
    before = go(folder, fake)
    ask_more(folder, ["naswot+depth", "params"], None, None)
    after = go(CalibrationFolder.open(folder.path), fake)
    assert len(fake.calls) == 8
    told = lines_of(folder)[12:]
    assert [sorted(line["scores"]) for line in told] == [["naswot", "params"]] * 4
    assert list(after["accuracy"]) == list(before["accuracy"])
    whole = go(made_calibration(tmp_path / "whole", scores=("depth", "naswot", "params")), fake)
    for score in ("depth", "naswot", "params"):
        assert list(after[f"score.{score}"]) == list(whole[f"score.{score}"])
    rows = set(folder.summary(after)["score"])
    assert {"naswot+depth", "naswot", "depth"} <= rows


def test_more_seeds_and_networks_extend_what_is_there(tmp_path: Path) -> None:
    folder, fake = made_calibration(tmp_path / "run", networks=3), Fake()
    before = go(folder, fake)
    assert ask_more(folder, [], 3, 5) == ""
    after = go(CalibrationFolder.open(folder.path), fake)
    assert len(fake.calls) == 3 * 2 + 3 + 2 * 3
    assert list(after["spec"][:3]) == list(before["spec"])
    assert [pair[:2] for pair in after["accuracies"][:3]] == list(before["accuracies"])
    whole = go(made_calibration(tmp_path / "whole", networks=5, training={"seeds": 3}), Fake())
    pd.testing.assert_frame_equal(lasting(whole), lasting(after), check_exact=True)


def test_less_than_is_there_is_refused(tmp_path: Path) -> None:
    folder = made_calibration(tmp_path / "run")
    record = (folder.path / "calibration.json").read_text()
    with pytest.raises(RunError, match="2 seeds asked for already, and --seeds 1 is fewer"):
        ask_more(folder, [], 1, None)
    with pytest.raises(RunError, match="4 networks asked for already, and --networks 3 is fewer"):
        ask_more(folder, [], None, 3)
    with pytest.raises(ScoreError, match="cannot be loaded"):
        ask_more(folder, ["nowhere_at_all:score"], None, None)
    assert (folder.path / "calibration.json").read_text() == record


def test_a_score_of_ones_own_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "minescore.py").write_text(
        "def stages(probe):\n"
        "    if len(probe.spec.stages) > 1 and probe.spec.name.endswith('_0'):\n"
        "        raise ZeroDivisionError('by nothing')\n"
        "    return float(probe.plan.stages[0].depth)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = made_calibration(tmp_path / "run", scores=("depth", "minescore:stages"))
    frame = go(folder, Fake())
    depths = [float(plan_network(spec).stages[0].depth) for spec in folder.specs]
    assert list(frame["score.minescore:stages"])[1:] == depths[1:]
    assert "by nothing" in frame["reason.minescore:stages"][0]
    assert math.isnan(frame["score.minescore:stages"][0])
    assert "minescore:stages" in set(folder.summary(frame)["score"])


def test_words_for_several_scores() -> None:
    assert score_names(["all"]) == tuple(SHIPPED)
    text = score_names(["text"])
    assert set(text) == {name for name, score in SHIPPED.items() if score.read is not None}
    assert score_names(["depth, params", "depth+params", "depth"]) == (
        "depth",
        "params",
        "depth+params",
    )
    for wrong in ("dept", "", "depth,,params", "depth+dept", "train", "depth+train"):
        with pytest.raises(ScoreError):
            score_names([wrong])


# Found by a search --------------------------------------------------------------------------------


def test_the_key_of_a_space_leaves_words_out() -> None:
    renamed = SMALL.replace("name: small", "name: other\ndoc: what it is")
    assert space_key(renamed) == space_key(SMALL)
    assert space_key(SMALL.replace("step: 8", "step: 4")) != space_key(SMALL)
    assert space_key(Space.parse(SMALL, "small").dump()) == space_key(SMALL)


def test_the_newest_calibration_of_the_same_space_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    near = tmp_path / "searches"
    assert latest_calibration(near, SMALL) is None
    go(made_calibration(near / "old", created="2026-01-01 00:00:00 UTC"), Fake())
    go(made_calibration(near / "new", created="2026-03-01 00:00:00 UTC"), Fake())
    assert latest_calibration(near, SMALL) == near / "new"
    # none of these is one: too little of it, of another space, damaged
    made_calibration(near / "unfinished", created="2026-04-01 00:00:00 UTC")
    wider = SMALL.replace("[8, 128]", "[8, 256]")
    other = made_calibration(near / "other", space_text=wider, created="2026-05-01 00:00:00 UTC")
    go(other, Fake())
    (near / "damaged").mkdir()
    (near / "damaged" / "calibration.json").write_text("{}")
    assert latest_calibration(near, SMALL) == near / "new"
    assert latest_calibration(near, wider) == near / "other"
    go(made_calibration(Path("runs") / "here", created="2026-06-01 00:00:00 UTC"), Fake())
    assert latest_calibration(near, SMALL) == Path("runs/here")


def test_a_searchs_page_is_told_its_score_the_counts_and_the_ceiling(tmp_path: Path) -> None:
    folder = made_calibration(tmp_path / "calibration", networks=5)
    frame = go(folder, Fake())
    info = made_info(SMALL, score="depth+activations")
    told = calibration_of(info, tmp_path / "search")
    assert told is not None
    assert told["path"] == str(tmp_path / "calibration")
    assert (told["kind"], told["budget"], told["networks"]) == ("sample", "1 MFLOPs", 5)
    assert told["created"] == folder.asked.created
    rows = {row["score"]: row for row in told["rows"]}
    counts = {"activations", "params", "flops", "depth"}
    assert set(rows) == {"depth+activations", "seeds", *counts}
    expected = kendalltau(np.log2(frame["activations"]), frame["accuracy"])[0]
    assert rows["activations"]["tau"] == pytest.approx(expected)
    json.dumps(told, allow_nan=False)
    # a score that was not measured there has no row, and nor has training
    for score in ("params+flops", "train"):
        without = calibration_of(made_info(SMALL, score=score), tmp_path / "search")
        assert without is not None
        assert score not in {row["score"] for row in without["rows"]} - counts
    assert calibration_of(made_info(FEW), tmp_path / "search") is None


def test_a_calibration_is_found_without_torch(tmp_path: Path) -> None:
    go(made_calibration(tmp_path / "calibration"), Fake())
    code = (
        "import sys; from pathlib import Path; from search.calibration.find import *;"
        "from search.calibration.folder import CalibrationFolder;"
        f"path = latest_calibration(Path({str(tmp_path)!r}), {SMALL!r});"
        "folder = CalibrationFolder.open(path); folder.summary(folder.frame());"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])
