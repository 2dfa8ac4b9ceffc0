"""Training as a score: what is trained on what, what is kept, who is pruned, what may fail."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_training import Fake, accuracy, fake_training, go, trained_run
from tiny_runs import BUDGET, FEW, FEW_FLOPS, TINY, lasting, made_run, tiny_space
from typer.testing import CliRunner, Result

from archspec.cli.main import app
from archspec.cost import totals
from archspec.errors import ArchspecError, Diverged, OutOfMemory, RunError, ScoreError, TooSlow
from archspec.planning import plan_network
from archspec.spec import parse_spec
from archspec.train.images import open_images
from archspec.train.recipe import read_recipe
from reports.frames import troubles
from reports.page import write_page
from search.folder import RunFolder
from search.ledger import Alone
from search.protocol import make_protocol
from search.run import Pulse, Search
from search.scores import find_score

#: three networks of 8 pixels, about 300 parameters each, and nothing for the fit to move
SMALL = FEW.replace("resolution: 16", "resolution: 8").replace("few", "small")
SMALL_FLOPS = 9 * 3 * 16 * 8**2 + 16 * 10


def archspec(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def width_of(row: Any) -> int:
    return plan_network(parse_spec(row["spec"])).stages[0].out.channels


# The score ----------------------------------------------------------------------------------------


def test_the_score_is_the_mean_over_seeds_and_all_is_kept(tmp_path: Path) -> None:
    fake = Fake()
    changes: dict[str, Any] = {"trials": 5, "random_trials": 2}
    training = {"seeds": 3, "epochs": 4, "prune": False}
    frame = go(trained_run(tmp_path / "run", training=training, **changes), fake).frame()
    rows = frame[frame["state"] == "scored"]
    assert len(rows) == 7
    for _, row in rows.iterrows():
        end = fake.end(width_of(row))
        assert row["accuracies"] == [end, end + 1, end + 2]
        assert row["score"] == pytest.approx(end + 1)
        assert row["part.train"] == row["score"]
        assert row["part.spread"] == pytest.approx(1.0), "sd of n, n + 1, n + 2 with n - 1 below"
        assert row["rungs"] == [
            [accuracy(end, epoch, 4, seed) for epoch in (1, 2, 3, 4)] for seed in (0, 1, 2)
        ]
        assert row["epochs"] == 4


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    frame = go(trained_run(tmp_path / "run", trials=2, random_trials=0), Fake()).frame()
    assert "part.spread" not in frame


def test_the_head_is_swapped_for_the_datas_and_the_budget_counts_the_specs_own(
    tmp_path: Path,
) -> None:
    fake = Fake()
    text = TINY.replace("classes: 10", "classes: 1000")
    (tmp_path / "tiny.yaml").write_text(text)
    folder = trained_run(tmp_path / "run", text_of(tmp_path / "tiny.yaml"), trials=3)
    frame = go(folder, fake).frame()
    row = frame[frame["state"] == "scored"].iloc[0]
    assert parse_spec(row["spec"]).classes == 1000
    assert row["params"] == totals(plan_network(parse_spec(row["spec"]))).params
    for call in fake.calls:
        assert call["spec"].classes == 10
        assert call["plan"].out.channels == 10


def text_of(path: Path) -> str:
    from search.space import Space

    return Space.read(path).dump()


def test_networks_are_judged_by_images_held_out_of_the_training_split(tmp_path: Path) -> None:
    fake = Fake()
    training = {"holdout": 0.2, "images": 300}
    go(trained_run(tmp_path / "run", trials=2, random_trials=0, training=training), fake)
    whole, used = open_images("digits"), fake.calls[0]["images"]
    assert used.train_count == 300
    assert used.test_count == pytest.approx(0.2 * whole.train_count, abs=5)
    assert whole.train.pixels is not None
    assert whole.test.pixels is not None
    of_train = {image.tobytes() for image in whole.train.pixels.numpy()}
    of_test = {image.tobytes() for image in whole.test.pixels.numpy()}
    held = {image.tobytes() for image in used.test.pixels.numpy()}
    trained = {image.tobytes() for image in used.train.pixels.numpy()}
    assert held <= of_train
    assert not held & trained
    assert not (held | trained) & (of_test - of_train)
    assert len({id(call["images"]) for call in fake.calls}) == 1


def test_every_network_has_the_same_recipe_scaled_and_the_same_seeds(tmp_path: Path) -> None:
    fake = Fake()
    training = {"seeds": 2, "epochs": 3, "slowest": 60.0, "prune": False}
    go(trained_run(tmp_path / "run", trials=4, random_trials=0, training=training), fake)
    assert [call["seed"] for call in fake.calls] == [0, 1] * 4
    recipes = {call["recipe"].dump() for call in fake.calls}
    assert len(recipes) == 1
    recipe = fake.calls[0]["recipe"]
    assert (recipe.epochs, recipe.images) == (3, fake.calls[0]["images"].train_count)
    assert {call["slowest"] for call in fake.calls} == {60.0}


def test_a_candidate_is_trained_and_tested_at_the_resolution_that_its_budget_counts(
    tmp_path: Path,
) -> None:
    fake = Fake()
    assert read_recipe("rsb_a3").resolution.test == 224
    training = {"recipe": "rsb_a3", "epochs": 1}
    go(trained_run(tmp_path / "run", trials=1, random_trials=0, training=training), fake)
    sides = {call["recipe"].resolution for call in fake.calls}
    assert {(side.train, side.test) for side in sides} == {(None, None)}
    assert {side.crop for side in sides} == {read_recipe("rsb_a3").resolution.crop}


def test_with_minutes_each_network_has_the_epochs_that_fit(tmp_path: Path) -> None:
    fake = Fake()
    training = {"epochs": None, "minutes": 0.5, "prune": False}
    folder = trained_run(tmp_path / "run", trials=1, random_trials=0, training=training)
    for pace, epochs in ((4.0, 7), (100.0, 1), (10.0, 3)):
        trained = fake_training(folder.info.training, fake, pace)(parse_spec(PLAIN))
        assert trained.epochs == epochs, "floor of 30 s / pace, at least 1"
        assert fake.calls[-1]["recipe"].epochs == epochs


PLAIN = """\
name: plain
input: {resolution: 8}
classes: 10
stem: [{cna: {width: 8, kernel: 3}}]
head: [{pool: global}, {linear: classes}]
"""


def test_listeners_hear_epoch_and_accuracy(tmp_path: Path) -> None:
    folder = trained_run(
        tmp_path / "run", trials=2, random_trials=0, training={"seeds": 2, "epochs": 2}
    )
    heard: list[Pulse] = []
    fake = Fake(end=lambda width: 80.0)
    Search(folder, listen=heard.append, training=fake_training(folder.info.training, fake)).go()
    assert [pulse.told for pulse in heard[:4]] == [
        "epoch 1/2, seed 0 of 2, 40.0%",
        "epoch 2/2, seed 0 of 2, 80.0%",
        "epoch 1/2, seed 1 of 2, 41.0%",
        "epoch 2/2, seed 1 of 2, 81.0%",
    ]
    assert {(pulse.kind, pulse.wanted) for pulse in heard} == {("search", 2)}


# Pruning ------------------------------------------------------------------------------------------

RUNGS = (1, 3)


def goes_on_by_hand(row: Any, earlier: pd.DataFrame, iso: bool) -> tuple[bool, int]:
    """Whether a trial of 9 epochs passes all rungs, and the epochs that it had: the top third (the
    best, of fewer than 3) of the trials so far that reached the rung and cost at most 5% more."""
    for epoch in RUNGS:
        own = row["rungs"][0][epoch - 1]
        rivals = [
            other["rungs"][0][epoch - 1]
            for _, other in earlier.iterrows()
            if len(other["rungs"][0]) >= epoch and (iso or other["flops"] <= 1.05 * row["flops"])
        ]
        if sum(rival > own for rival in rivals) >= max(1, (len(rivals) + 1) // 3):
            return False, epoch
    return True, 9


@pytest.mark.parametrize("iso", [False, True])
def test_the_lower_two_thirds_of_those_that_cost_no_more_are_pruned(
    tmp_path: Path, iso: bool
) -> None:
    folder = trained_run(tmp_path / "run", trials=24, random_trials=6, iso=iso)
    frame = go(folder, Fake()).frame()
    for _, kind in frame.groupby("kind"):
        trained = kind[kind["state"].isin(["scored", "pruned"])]
        for place, (_, row) in enumerate(trained.iterrows()):
            passes, epochs = goes_on_by_hand(row, trained.iloc[:place], iso)
            assert (row["state"] == "scored") == passes
            assert len(row["rungs"][0]) == epochs
            if not passes:
                told = f"{row['rungs'][0][-1]:.1f}% after {epochs} epoch"
                assert row["reason"].startswith(told)
                assert ("that cost at most 5% more" in row["reason"]) != iso
    assert {"scored", "pruned"} <= set(frame["state"])


def test_pruned_trials_count_have_no_score_and_are_told_as_such(tmp_path: Path) -> None:
    fake = Fake()
    folder = go(trained_run(tmp_path / "run", trials=20, random_trials=0), fake)
    frame = folder.frame()
    counts = frame["state"].value_counts()
    assert counts["scored"] + counts["pruned"] == 20
    assert len(fake.calls) == 20
    pruned = frame[frame["state"] == "pruned"]
    assert pruned["score"].isna().all()
    assert (pruned["accuracies"].map(len) == 0).all()
    for trial in folder.trials("search"):
        assert (trial.values is None) == (trial.user_attrs["state"] != "scored")
    done = archspec("report", folder.path)
    assert done.exit_code == 0
    assert f"{counts['pruned']} pruned" in done.stdout
    assert "note:" not in done.stdout, "as many were scored or pruned as were asked for"
    reasons = [trouble for trouble in troubles(frame) if trouble.state == "pruned"]
    assert sum(len(trouble.rows) for trouble in reasons) == counts["pruned"]


def test_without_pruning_all_are_trained_to_their_end(tmp_path: Path) -> None:
    folder = trained_run(tmp_path / "run", trials=12, random_trials=0, training={"prune": False})
    frame = go(folder, Fake()).frame()
    assert (frame["state"] == "scored").sum() == 12
    assert "pruned" not in set(frame["state"])


def test_a_trial_is_judged_in_its_first_seed_alone(tmp_path: Path) -> None:
    fake = Fake()
    training = {"seeds": 2}
    frame = go(trained_run(tmp_path / "run", trials=12, training=training), fake).frame()
    pruned, scored = frame[frame["state"] == "pruned"], frame[frame["state"] == "scored"]
    assert len(pruned)
    assert (pruned["rungs"].map(len) == 1).all()
    assert (scored["rungs"].map(len) == 2).all()


def test_what_was_pruned_before_is_not_trained_again_and_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three networks in all, of one cost."""
    monkeypatch.setattr("search.run.MOST_PROPOSALS", 4)
    fake = Fake(ends={"relu": 90.0, "gelu": 50.0, "silu": 10.0})
    budgets = {"flops": FEW_FLOPS + 0.5}
    changes: dict[str, Any] = {"iso": True, "budgets": budgets, "trials": 5, "random_trials": 0}
    folder = go(trained_run(tmp_path / "run", FEW, sampler="random", **changes), fake)
    frame = folder.frame()
    assert len(fake.calls) == 3
    assert len(frame) == 5 * 4, "the space is exhausted after 3 networks"
    again = frame[(frame["state"] == "pruned") & frame["rungs"].isna()]
    assert len(again)
    assert again["reason"].str.startswith("as before: ").all()


def test_the_baseline_is_pruned_by_its_own_whatever_the_search_found(tmp_path: Path) -> None:
    """Networks that the search trained are told to the baseline, and judged there anew."""
    changes: dict[str, Any] = {"iso": True, "budgets": {"flops": FEW_FLOPS + 0.5}}
    changes |= {"random_trials": 3, "sampler": "random", "seed": 1}
    found = []
    for trials in (0, 3):
        fake = Fake(ends={"relu": 50.0, "gelu": 10.0, "silu": 90.0})
        folder = trained_run(tmp_path / f"run{trials}", FEW, trials=trials, **changes)
        frame = go(folder, fake).frame().query("kind == 'random'")
        found.append(lasting(frame).reset_index(drop=True))
    alone, beside = found
    pd.testing.assert_frame_equal(alone, beside, check_exact=True)
    assert {"scored", "pruned"} <= set(alone["state"])


# Failures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [Diverged, OutOfMemory, TooSlow])
def test_a_failed_training_is_recorded_with_its_reason_and_the_search_goes_on(
    tmp_path: Path, error: type[Exception]
) -> None:
    raises = {width: error("the loss is nan at step 57") for width in range(16, 97, 16)}
    frame = go(
        trained_run(tmp_path / "run", trials=8, random_trials=0), Fake(raises=raises)
    ).frame()
    failed = frame[frame["state"] == "failed"]
    assert len(failed)
    assert set(failed["reason"]) == {"the loss is nan at step 57"}
    assert failed["score"].isna().all()
    assert all(width_of(row) % 16 == 0 for _, row in failed.iterrows())
    assert frame["state"].isin(["scored", "pruned"]).sum() == 8


def test_data_that_cannot_be_read_is_no_failure_of_a_trial(tmp_path: Path) -> None:
    folder = trained_run(tmp_path / "run", data="nowhere")
    with pytest.raises(ArchspecError, match="nowhere"):
        Search(folder).go()
    assert not len(folder.frame())


# The same again -----------------------------------------------------------------------------------


def interrupted(count: int) -> Any:
    from tiny_runs import interrupt_after

    return interrupt_after(count)


@pytest.mark.parametrize(
    ("iso", "training"),
    [
        (False, {}),
        pytest.param(True, {"seeds": 2}, marks=pytest.mark.slow),
        pytest.param(False, {"epochs": None, "minutes": 0.2}, marks=pytest.mark.slow),
    ],
)
def test_a_resumed_search_decides_as_the_uninterrupted_one(
    tmp_path: Path, iso: bool, training: dict[str, Any]
) -> None:
    changes: dict[str, Any] = {"trials": 12, "random_trials": 3, "iso": iso, "training": training}
    raises = {48: Diverged("nan")}
    whole = go(trained_run(tmp_path / "whole", **changes), Fake(raises=raises))
    assert "pruned" in set(whole.frame()["state"])
    trained_run(tmp_path / "parts", **changes)
    for count in (3, 5, 6):
        with pytest.raises(KeyboardInterrupt):
            go(RunFolder.open(tmp_path / "parts"), Fake(raises=raises), interrupted(count))
    parts = go(RunFolder.open(tmp_path / "parts"), Fake(raises=raises))
    one, two = lasting(whole.frame()), lasting(parts.frame())
    pd.testing.assert_frame_equal(one, two[list(one)], check_exact=True)


class OfSeveral:
    """A ledger of several coordinators, of which there is one."""

    def __init__(self) -> None:
        self._alone = Alone()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._alone, name)


def test_a_search_that_others_may_join_prunes_as_one_that_is_alone(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"trials": 14, "random_trials": 3, "iso": True}
    alone = go(trained_run(tmp_path / "alone", **changes), Fake())
    shared = trained_run(tmp_path / "shared", **changes)
    training = fake_training(shared.info.training, Fake())
    Search(shared, training=training, ledger=OfSeveral()).go()
    one, two = lasting(alone.frame()), lasting(shared.frame())
    # with the reasons, which say of how many a network was behind
    assert one["reason"].str.contains("below the best of 4 trials").any()
    pd.testing.assert_frame_equal(one, two[list(one)], check_exact=True)


def test_the_protocol_is_kept_whole_and_old_runs_stay_readable(tmp_path: Path) -> None:
    folder = trained_run(tmp_path / "run", training={"seeds": 2, "minutes": 1.5, "epochs": None})
    assert RunFolder.open(folder.path).info == folder.info
    protocol = folder.info.training
    assert protocol is not None
    assert protocol.read() == read_recipe("quick")
    old = made_run(tmp_path / "old")
    told = json.loads((old.path / "run.json").read_text())
    del told["training"]
    (old.path / "run.json").write_text(json.dumps(told))
    assert RunFolder.open(old.path).info == old.info


@pytest.mark.parametrize("key", ["train_count", "test_count", "classes"])
def test_a_search_does_not_go_on_with_other_data(tmp_path: Path, key: str) -> None:
    training = {"images": 200}
    folder = go(trained_run(tmp_path / "run", trials=1, random_trials=0, training=training), Fake())
    written = json.loads((folder.path / "run.json").read_text())
    then = {name: written["training"][name] for name in ("train_count", "test_count", "classes")}
    # of the 1,438 training images of the digits a tenth is held out, of each class alike
    assert (then["train_count"], then["classes"]) == (200, 10)
    assert then["test_count"] == pytest.approx(144, abs=5)
    now = "{train_count} training images, {test_count} test images, {classes} classes"
    told = now.format(**then)
    then[key] -= 1
    written["training"] |= then
    (folder.path / "run.json").write_text(json.dumps({**written, "trials": 2}))
    fake = Fake()
    words = f"digits has changed since the run began: {now.format(**then)} then, {told} now; "
    with pytest.raises(RunError, match=words):
        go(RunFolder.open(folder.path), fake)
    assert fake.calls == []


def test_a_search_of_an_older_version_goes_on_and_records_its_data(tmp_path: Path) -> None:
    folder = go(trained_run(tmp_path / "run", trials=1, random_trials=0), Fake())
    told = json.loads((folder.path / "run.json").read_text())
    for key in ("train_count", "test_count", "classes"):
        del told["training"][key]
    (folder.path / "run.json").write_text(json.dumps({**told, "trials": 2}))
    go(RunFolder.open(folder.path), Fake())
    protocol = RunFolder.open(folder.path).info.training
    assert protocol is not None
    assert protocol.classes == 10


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"training": None}, "score train and `training` go together"),
        ({"score": "depth"}, "score train and `training` go together"),
        ({"training": {"recipe": "epochs: 3"}}, "missing"),
        ({"training": {"recipe": "", "seeds": 0}}, "training: seeds"),
        ({"training": {"colour": "blue"}}, "training: "),
    ],
)
def test_a_changed_run_json_says_what_is_wrong(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    folder = trained_run(tmp_path / "run")
    told = json.loads((folder.path / "run.json").read_text())
    (folder.path / "run.json").write_text(json.dumps(told | change))
    done = archspec("resume", folder.path)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


# Shipped networks ---------------------------------------------------------------------------------


def test_shipped_networks_are_trained_in_small_image_form_where_images_are_small(
    tmp_path: Path,
) -> None:
    fake = Fake(end=lambda width: float(width))
    changes: dict[str, Any] = {"budgets": {"flops": 100e6}, "trials": 0, "random_trials": 0}
    frame = go(trained_run(tmp_path / "run", shipped=True, **changes), fake).frame()
    assert set(frame["kind"]) == {"shipped"}
    assert set(frame["state"]) == {"scored"}, "baselines are not pruned"
    assert {"cmt_ti_32", "regnety_008_32"} <= set(frame["name"])
    for _, row in frame.iterrows():
        spec = parse_spec(row["spec"])
        assert (spec.name, row["resolution"]) == (row["name"], "32x32")
        assert row["flops"] == totals(plan_network(spec)).flops
        assert row["flops"] <= 1.25 * 100e6
    assert {call["spec"].classes for call in fake.calls} == {10}


# The command line ---------------------------------------------------------------------------------


def test_the_command_trains_digits_and_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(SMALL)
    done = archspec(
        *("search", "small.yaml", "--budget", f"{SMALL_FLOPS + 1}FLOPs", "--iso", "--score"),
        *("train", "--epochs", 2, "--seeds", 2, "--trials", 2, "--random", 0, "--images", 200),
        *("--no-prune", "--device", "cpu", "--sampler", "random", "--out", "run"),
    )
    assert done.exit_code == 0, done.output
    assert "recipe quick, 2 epochs, seeds 0 to 1, 200 images, 10% of the training" in done.stdout
    assert "epochs 15 -> 2" in done.stdout
    assert "spread" in done.stdout
    folder = RunFolder.open(Path("run"))
    frame = folder.frame()
    scored = frame[frame["state"] == "scored"]
    assert len(scored) == 2
    assert set(frame["kind"]) == {"search"}, "shipped networks are not trained unasked"
    for _, row in scored.iterrows():
        assert row["score"] == pytest.approx(np.mean(row["accuracies"]))
        assert row["part.spread"] == pytest.approx(statistics.stdev(row["accuracies"]))
        assert 0 <= row["score"] <= 100
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = archspec("resume", "../run", "--json")
    assert again.exit_code == 0, again.output
    rows = json.loads(again.stdout)
    told = [row for row in rows if row["state"] == "scored"]
    assert [row["spread"] for row in told] == list(scored["part.spread"])
    assert [row["accuracies"] for row in told] == list(scored["accuracies"])


TRAIN = ("--budget", "12MFLOPs", "--score", "train")
WRONG: list[tuple[Sequence[object], str]] = [
    (("--budget", "12MFLOPs", "--score", "train+depth"), "train stands alone"),
    (("--budget", "12MFLOPs", "--score", "trian"), "did you mean 'train'"),
    (("--budget", "12MFLOPs", "--epochs", 3), "--epochs is of `--score train`"),
    (("--budget", "12MFLOPs", "--no-prune"), "--no-prune is of `--score train`"),
    ((*TRAIN, "--epochs", 3, "--minutes", 1), "for equal epochs or for equal time"),
    ((*TRAIN, "--minutes", 0), "minutes > 0 must hold"),
    ((*TRAIN, "--holdout", 1.5), "0 < holdout < 1 must hold"),
    ((*TRAIN, "--slowest", -1), "slowest > 0 must hold"),
    ((*TRAIN, "--seeds", 0), "seeds"),
    ((*TRAIN, "--batch", 64), "a recipe has its own"),
    ((*TRAIN, "--recipe", "quik"), "did you mean 'quick'"),
    ((*TRAIN, "--data", "nowhere"), "nowhere"),
    ((*TRAIN, "--images", 100000), "images"),
    ((*TRAIN, "--device", "warp"), "no device is called 'warp'"),
]


@pytest.mark.parametrize(("options", "words"), WRONG)
def test_wrong_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Sequence[object], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_space(tmp_path)
    done = archspec("search", "tiny.yaml", *options)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_train_is_no_part_of_a_sum() -> None:
    with pytest.raises(ScoreError, match="train stands alone"):
        find_score("depth+train")


# The page -----------------------------------------------------------------------------------------


def test_the_page_tells_the_protocol_the_spread_and_who_was_pruned(tmp_path: Path) -> None:
    folder = trained_run(tmp_path / "run", trials=14, training={"seeds": 2})
    frame = go(folder, Fake()).frame()
    page = write_page(folder.info, frame, tmp_path / "page.html").read_text("utf-8")
    for words in (
        "top-1 accuracy, %, mean of 2 seeds",
        "recipe quick, 9 epochs, seeds 0 to 1, 10% of the training images held out",
        "What was infeasible, pruned or failed",
        f"{int((frame['state'] == 'pruned').sum())} pruned",
        "Bars are one standard deviation over 2 seeds",
    ):
        assert words in page
    assert "computed on the untrained network" not in page
    start = page.index('id="data">') + len('id="data">')
    data = json.loads(page[start : page.index("</script>", start)])
    scored = frame["state"] == "scored"
    spread = frame["part.spread"]
    assert [value is not None for value in data["parts"]["spread"]] == list(spread.notna())
    assert spread[scored].notna().all()
    (bars,) = {
        json.dumps(trace.get("error_y")) for trace in data["figures"]["light"]["front"]["data"]
    }
    assert "array" not in bars, "the page fills the deviations from its one table"


def test_run_json_and_protocol_must_agree(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "run", score="train")
    with pytest.raises(RunError, match="go together"):
        Search(folder)


def test_a_protocol_takes_equal_epochs_or_equal_time() -> None:
    with pytest.raises(ArchspecError, match="drop one"):
        make_protocol(epochs=3, minutes=1.0)
    assert make_protocol().epochs is None
    assert BUDGET == 12e6
