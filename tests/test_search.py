"""The search end to end on tiny spaces: what a run folder holds, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import optuna
import pandas as pd
import pytest
from tiny_runs import BUDGET, FEW, FEW_FLOPS, TINY, finished_run, lasting, made_run, tiny_space
from typer.testing import CliRunner, Result

from archspec.cli.main import app
from archspec.cost import Totals, totals
from archspec.errors import RunError
from archspec.planning import plan_network
from archspec.shipped import shipped_networks
from archspec.spec import parse_spec, read_spec
from search.folder import RunFolder
from search.proposals import SAMPLERS, SINGLE
from search.run import MOST_PROPOSALS, Event, Search
from search.scores import Scorer
from search.space import Space

#: the tiny space as `dump` writes it: nothing is inherited
TINY_DEALT = re.sub(r"each_stage: .*\n", "", TINY).replace(
    "- width", "- stride: 2\n  down: [{conv: {width: w_out, kernel: 2, stride: 2}}]\n  width"
)


def cost_of(text: str) -> Totals:
    return totals(plan_network(parse_spec(text)))


def archspec(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run by the command, with everything that it leaves."""
    folder = tmp_path_factory.mktemp("search")
    done = archspec(
        *("search", tiny_space(folder), "--budget", "12MFLOPs", "--out", folder / "run"),
        *("--trials", 25, "--random", 6, "--no-shipped", "--score", "depth+activations"),
        *("--sampler", "tpe"),
    )
    assert done.exit_code == 0, done.output
    return RunFolder.open(folder / "run")


@pytest.fixture(scope="module")
def frame(run: RunFolder) -> pd.DataFrame:
    return run.frame()


# The run folder -----------------------------------------------------------------------------------


def test_the_folder_holds_the_run_its_trials_the_best_specs_and_the_page(run: RunFolder) -> None:
    assert {path.name for path in run.path.iterdir()} >= {
        "run.json",
        "study.db",
        "front",
        "report.html",
    }
    told = json.loads((run.path / "run.json").read_text())
    assert told["budgets"] == [{"quantity": "flops", "limit": BUDGET, "device": None}]
    assert told["objectives"] == ["score", "flops"]
    assert (told["seed"], told["trials"], told["random_trials"]) == (0, 25, 6)
    assert told["score"] == "depth+activations"
    assert set(told["versions"]) >= {"python", "torch", "optuna", "numpy"}
    again = Space.parse(told["space_text"], told["space"])
    assert list(again.parameters) == list(Space.parse(run.info.space_text, "tiny").parameters)


def test_so_many_trials_are_scored_as_were_asked_for(frame: pd.DataFrame) -> None:
    counts = frame.groupby(["kind", "state"]).size()
    assert counts["search", "scored"] == 25
    assert counts["random", "scored"] == 6
    assert set(frame["state"]) <= {"scored", "repeat", "infeasible", "failed"}
    for _, rows in frame.groupby("kind"):
        assert list(rows["number"]) == list(range(len(rows)))


def test_the_frame_has_its_columns(frame: pd.DataFrame) -> None:
    assert {
        *("number", "kind", "state", "name", "params", "flops", "activations", "depth", "traffic"),
        *("resolution", "score", "part.depth", "part.activations", "target", "spec", "stages"),
        *("reason", "seconds", "finished", "knob.target", "knob.stages.0.width"),
    } <= set(frame.columns)
    knobs = {name.removeprefix("knob.") for name in map(str, frame) if name.startswith("knob.")}
    parameters = set(Space.parse(TINY_DEALT, "tiny").parameters)
    assert knobs - {"target"} <= parameters
    assert len(knobs) > 0.8 * len(parameters)


def test_what_is_recorded_is_what_the_spec_costs(frame: pd.DataFrame) -> None:
    scored = frame[frame["state"] == "scored"]
    for _, row in scored.iterrows():
        total = cost_of(row["spec"])
        assert (row["params"], row["flops"], row["depth"]) == (
            total.params,
            total.flops,
            total.depth,
        )
        assert (row["activations"], row["traffic"]) == (total.activations, total.traffic)
        assert row["resolution"] == "32x32"
        spec = parse_spec(row["spec"])
        again = Scorer("depth+activations")(spec, plan_network(spec))
        assert row["score"] == again.value
        assert row["part.depth"] == again.parts["depth"]


def test_candidates_land_just_below_their_targets(frame: pd.DataFrame) -> None:
    scored = frame[frame["state"].isin(["scored", "repeat"])]
    assert ((scored["flops"] / scored["target"]).between(0.98, 1)).all()
    assert (scored["flops"] <= BUDGET).all()
    assert (scored["target"] >= 0.25 * BUDGET).all()
    assert scored["target"].max() / scored["target"].min() > 2


def test_what_was_picked_is_kept_beside_what_was_fitted(frame: pd.DataFrame) -> None:
    for _, row in frame[frame["state"] == "scored"].iterrows():
        spec = parse_spec(row["spec"])
        first, second = str(row["stages"]).split(" | ")
        assert first.split(" ")[1] == row["knob.stages.0.block"]
        assert second.split(" ")[1] == {"cmt": "lpu"}.get(row["knob.stages.1.block"], "mbconv")
        assert spec.name == f"tiny_{row['kind']}{row['number']}"


def test_each_architecture_is_scored_once(frame: pd.DataFrame) -> None:
    searched = frame[frame["kind"] != "shipped"]
    plain = searched["spec"].dropna().str.replace(r"name: .*\n", "", regex=True)
    scored = plain[searched["state"] == "scored"]
    assert scored.is_unique
    scores = dict(zip(scored, searched["score"][scored.index], strict=True))
    repeats = searched[searched["state"] == "repeat"]
    for text, score in zip(plain[repeats.index], repeats["score"], strict=True):
        assert score == scores[text]


def test_the_files_of_the_front_read_back_at_the_recorded_cost(
    run: RunFolder, frame: pd.DataFrame
) -> None:
    files = sorted((run.path / "front").glob("*.yaml"))
    assert files
    scores, flops = [], []
    for rank, file in enumerate(files, 1):
        found = re.fullmatch(r"(\d+)-trial(\d+)", file.stem)
        assert found is not None
        assert int(found[1]) == rank
        row = frame[(frame["kind"] == "search") & (frame["number"] == int(found[2]))].iloc[0]
        total = totals(plan_network(read_spec(file)))
        assert (total.flops, total.params, total.activations) == (
            row["flops"],
            row["params"],
            row["activations"],
        )
        scores.append(row["score"])
        flops.append(row["flops"])
    assert scores == sorted(scores, reverse=True)
    assert flops == sorted(flops, reverse=True)
    searched = frame[(frame["kind"] == "search") & (frame["state"] == "scored")]
    best = searched.sort_values("score").iloc[-1]
    assert scores[0] == best["score"]
    for score, cost in zip(scores, flops, strict=True):
        assert not ((searched["score"] > score) & (searched["flops"] <= cost)).any()


def test_the_baseline_is_a_study_of_its_own(run: RunFolder, frame: pd.DataFrame) -> None:
    names = optuna.get_all_study_names(f"sqlite:///{run.path / 'study.db'}")
    assert {"search", "random"} <= set(names)
    knobs = [str(name) for name in frame if str(name).startswith("knob.stages")]
    first = {str(kind): rows[knobs].iloc[0].tolist() for kind, rows in frame.groupby("kind")}
    assert str(first["search"]) != str(first["random"])


def test_a_search_says_what_it_found(tmp_path: Path) -> None:
    done = archspec(
        *("search", tiny_space(tmp_path), "--budget", "12MFLOPs", "--out", tmp_path / "run"),
        *("--trials", 3, "--random", 0, "--no-shipped", "--score", "depth"),
    )
    assert done.exit_code == 0
    assert "tiny under 12 MFLOPs (FLOPs are multiply-adds)" in done.stdout
    assert "3 scored" in done.stdout
    assert f"page: {tmp_path / 'run' / 'report.html'}" in done.stdout


def test_json_is_one_list_of_trials_and_nothing_else(tmp_path: Path) -> None:
    done = archspec(
        *("search", tiny_space(tmp_path), "--budget", "12MFLOPs", "--out", tmp_path / "run"),
        *("--trials", 5, "--random", 2, "--no-shipped", "--score", "depth", "--json"),
        *("--sampler", "tpe"),
    )
    assert done.exit_code == 0
    rows = json.loads(done.stdout)
    frame = RunFolder.open(tmp_path / "run").frame()
    assert [row["number"] for row in rows] == list(frame["number"])
    for row in rows:
        assert {"kind", "state", "params", "flops", "score", "spec", "reason"} <= set(row)
        if row["state"] == "scored":
            assert isinstance(row["flops"], int)
            assert cost_of(row["spec"]).flops == row["flops"]
            assert row["reason"] is None
        elif row["state"] == "infeasible":
            assert row["reason"]
            assert row["flops"] is None


# Budgets ------------------------------------------------------------------------------------------


def test_iso_lands_every_candidate_at_the_ceiling(tmp_path: Path) -> None:
    frame = finished_run(tmp_path / "run", iso=True).frame()
    scored = frame[frame["state"] == "scored"]
    assert len(scored) == 16
    assert (scored["flops"] / BUDGET).between(0.98, 1).all()
    assert "knob.target" not in frame


@pytest.mark.parametrize("iso", [False, True])
def test_several_budgets_hold_for_every_trial(tmp_path: Path, iso: bool) -> None:
    limits = {"flops": BUDGET, "params": 150e3, "activations": 400e3, "traffic": 4e6}
    frame = finished_run(tmp_path / "run", iso=iso, budgets=limits, trials=20).frame()
    scored = frame[frame["state"].isin(["scored", "repeat"])]
    assert len(scored) >= 20
    for quantity, limit in limits.items():
        assert (scored[quantity] <= limit).all()
    aimed = pd.DataFrame({name: scored[name] / limit for name, limit in limits.items()})
    aimed["flops"] = scored["flops"] / scored["target"]
    assert (aimed.max(axis=1) >= 0.98).all()
    assert (aimed.idxmax(axis=1) != "flops").any()


def test_the_first_budget_is_the_one_that_is_traded_off(tmp_path: Path) -> None:
    frame = finished_run(tmp_path / "run", budgets={"params": 150e3}).frame()
    scored = frame[frame["state"] == "scored"]
    assert (scored["params"] / scored["target"]).between(0.98, 1).all()
    assert scored["params"].max() / scored["params"].min() > 1.5


# Trials that are not scored -----------------------------------------------------------------------


def test_repeats_are_told_their_score_and_do_not_count_and_an_exhausted_space_ends(
    tmp_path: Path,
) -> None:
    folder = finished_run(
        tmp_path / "run",
        FEW,
        space="few",
        iso=True,
        budgets={"flops": float(FEW_FLOPS)},
        trials=5,
        random_trials=0,
        score="naswot",
        sampler="random",
    )
    frame = folder.frame()
    assert frame["state"].value_counts().to_dict() == {"repeat": 97, "scored": 3}
    assert set(frame["flops"]) == {FEW_FLOPS}
    assert len(frame) == 5 * MOST_PROPOSALS
    knob = "knob.stem.cna.act"
    assert frame.groupby(knob)["score"].nunique().tolist() == [1, 1, 1]
    for trial in folder.trials("search"):
        assert trial.values == [trial.user_attrs["score"]]


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - {"gp", *SINGLE}))
def test_what_cannot_be_fitted_is_recorded_and_never_built(
    tmp_path: Path, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("built")

    monkeypatch.setattr("search.scores.probe.build", never)
    folder = made_run(
        *(tmp_path / "run",),
        score="naswot+depth",
        sampler=sampler,
        trials=2,
        random_trials=0,
        budgets={"flops": 1e5},
    )
    events: list[Event] = []
    Search(folder, events.append).go()
    frame = folder.frame()
    assert len(frame) == len(events) == 2 * MOST_PROPOSALS
    assert set(frame["state"]) == {"infeasible"}
    assert frame["reason"].str.startswith("too costly: with these blocks the smallest takes").all()
    assert frame[["flops", "score", "spec"]].isna().all(axis=None)
    assert all(event.best is None and event.done == 0 for event in events)


def test_a_sampler_learns_what_cannot_be_fitted(tmp_path: Path) -> None:
    """Small targets are the better ones by FLOPs, and out of reach here: TPE must leave them."""
    narrow = Space.read(tiny_space(tmp_path), (("stages.1.width", "{range: [96, 192], step: 8}"),))
    frame = finished_run(
        tmp_path / "run", narrow.dump(), budgets={"flops": 10e6}, trials=25, random_trials=0
    ).frame()
    counts = frame["state"].value_counts()
    assert counts["scored"] == 25
    assert 5 < counts["infeasible"] < 100


def test_a_score_that_fails_is_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    huge = "huge: [basic, {scale: 1e38}, {scale: 1e38}]"
    text = TINY_DEALT.replace("head:", f"      {huge}\nhead:")
    frame = finished_run(
        tmp_path / "run",
        text,
        score="naswot+depth",
        sampler="random",
        trials=8,
        random_trials=0,
    ).frame()
    assert (frame["state"] == "scored").sum() == 8
    failed = frame[frame["state"] == "failed"]
    assert len(failed) >= 2
    assert set(failed["knob.stages.1.block"]) == {"huge"}
    assert failed["reason"].str.contains("finite").all()
    assert failed["score"].isna().all()
    assert failed["spec"].notna().all()
    assert frame[frame["state"] == "scored"]["score"].notna().all()


def test_naswot_on_digits(tmp_path: Path) -> None:
    folder = finished_run(tmp_path / "run", score="naswot+depth", trials=6, random_trials=2)
    frame = folder.frame()
    scored = frame[frame["state"] == "scored"]
    assert len(scored) == 8
    for _, row in scored.iloc[:3].iterrows():
        spec = parse_spec(row["spec"])
        again = Scorer("naswot+depth", "digits", 4, 0, "cpu")(spec, plan_network(spec))
        assert row["score"] == again.value
        assert row["part.naswot"] == again.parts["naswot"]
    assert (scored[["seconds.build", "seconds.score"]] > 0).all(axis=None)


def test_shipped_networks_are_scored_by_name(tmp_path: Path) -> None:
    """Of each family the largest within 1.25 of the ceiling; each once, at its own cost."""
    text = TINY_DEALT.replace("resolution: 32", "resolution: 128")
    text = text.replace("range: [16, 96]", "range: [16, 256]")
    folder = finished_run(
        tmp_path / "run", text, budgets={"flops": 400e6}, trials=2, random_trials=0, shipped=True
    )
    shipped = folder.frame().query("kind == 'shipped'")
    families = [shipped_networks()[name].parent.name for name in shipped["name"]]
    assert families == sorted(set(families))
    assert {"efficientnet_b0", "regnety_004"} <= set(shipped["name"])
    assert set(shipped["state"]) == {"scored"}
    for _, row in shipped.iterrows():
        assert row["flops"] == totals(plan_network(read_spec(row["name"]))).flops
        assert row["flops"] <= 1.25 * 400e6


# The same again -----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_search_and_another_one_another(tmp_path: Path) -> None:
    one, same, other = (
        lasting(finished_run(tmp_path / name, seed=seed, trials=8, random_trials=2).frame())
        for name, seed in (("one", 3), ("same", 3), ("other", 4))
    )
    pd.testing.assert_frame_equal(one, same)
    assert list(one["target"]) != list(other["target"])


def test_a_watcher_is_told_of_every_trial(tmp_path: Path) -> None:
    folder = made_run(tmp_path / "run")
    events: list[Event] = []
    Search(folder, events.append).go()
    frame = folder.frame()
    assert [(event.kind, event.number, event.state) for event in events] == list(
        frame[["kind", "number", "state"]].itertuples(index=False, name=None)
    )
    for kind, wanted in (("search", 12), ("random", 4)):
        told = [event for event in events if event.kind == kind]
        assert told[-1].done == told[-1].wanted == wanted
        scores = frame[(frame["kind"] == kind) & (frame["state"] == "scored")]["score"]
        assert told[-1].best == scores.max()


# Refusals -----------------------------------------------------------------------------------------


WRONG: list[tuple[Sequence[str], str]] = [
    ((), "a search needs a budget, such as --budget 4.5GFLOPs"),
    (("--budget", "4.5"), "a quantity needs a unit"),
    (("--budget", "4.5GFLIPs"), "is no quantity"),
    (("--budget", "-1GFLOPs"), "above 0"),
    (("--budget", "5ms@gpu"), "no device is called 'gpu'"),
    (("--budget", "1GFLOPs@cuda"), "the same for every device"),
    (("--budget", "12MFLOPs", "--objective", "accuracy"), "no objective is called 'accuracy'"),
    (("--budget", "12MFLOPs", "--objective", "score,score"), "each objective is named once"),
    (("--budget", "12MFLOPs", "--sampler", "cmaes"), "sampler cmaes has one objective"),
    (("--budget", "12MFLOPs", "--latency-batch", "2"), "no budget and no objective asks for"),
    (("--budget", "12MFLOPs", "--workers", "0"), "workers are 1 to"),
    (("--budget", "12MFLOPs", "--workers", "2", "--ray", "local"), "not both"),
    (("--budget", "12MFLOPs", "--gpus-each", "0.5"), "are Ray's"),
    (("--budget", "12MFLOPs", "--storage", "mysql://me@here/it"), "PostgreSQL"),
    (("--budget", "1GFLOPs", "--budget", "2GFLOPs"), "two budgets bound flops"),
    (("--budget", "12MFLOPs", "--score", "naswt"), "did you mean 'naswot'"),
    (("--budget", "12MFLOPs", "--sampler", "tpf"), "did you mean 'tpe'"),
    (("--budget", "12MFLOPs", "--data", "nowhere"), "no data at nowhere"),
    (("--budget", "12MFLOPs", "--data", "tiny.yaml"), "neither parquet files nor images"),
    (("--budget", "12MFLOPs", "--batch", "2000"), "holds 1797 images"),
    (("--budget", "12MFLOPs", "--score", "depth", "--data", "nowhere"), "leave --data out"),
    (("--budget", "12MFLOPs", "--score", "depth", "--batch", "9"), "leave --batch out"),
    (("--budget", "12MFLOPs", "--device", "warp"), "no device"),
    (("--budget", "12MFLOPs", "--out", "full"), "full is not empty"),
    (("--budget", "12MFLOPs", "--out", "done"), "holds a run already: `archspec resume done`"),
    (("--budget", "12MFLOPs", "--out", "tiny.yaml"), "tiny.yaml is a file"),
    (("--budget", "12MFLOPs", "--out", "tiny.yaml/below"), "cannot be written"),
    (("--budget", "12MFLOPs", "--out", "/proc/nowhere"), "cannot be written"),
    (("--budget", "12MFLOPs", "--set", "stages.7.depth=1"), "stages.7"),
    (("--budget", "12MFLOPs", "--set", "name=../../elsewhere"), "name"),
    (("--budget", "12MFLOPs", "--set", "head=[pol]"), "did you mean 'pool'"),
    (("--budget", "12MFLOPs", "--set", "stages.0.depth={range: [4, 1]}"), "low <= high"),
]


def listing(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize(("options", "words"), WRONG)
def test_wrong_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Sequence[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_space(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("")
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "run.json").write_text("{}")
    before = listing(tmp_path)
    done = archspec("search", "tiny.yaml", *options)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert listing(tmp_path) == before


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ("resnet50", "has nothing to search"),
        ("hybird", "did you mean 'hybrid'"),
        ("nowhere.yaml", "nowhere.yaml"),
        ("bad.yaml", "bad.yaml:1:18"),
    ],
)
def test_what_is_no_space_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text("classes: {range: [1, x]}\n")
    done = archspec("search", space, "--budget", "1GFLOPs")
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert listing(tmp_path) == [tmp_path / "bad.yaml"]


def test_a_run_is_not_made_over_another(tmp_path: Path) -> None:
    made_run(tmp_path / "run")
    with pytest.raises(RunError, match="holds a run already"):
        made_run(tmp_path / "run")


def test_without_a_name_runs_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_space(tmp_path)
    options = ("--trials", 1, "--random", 0, "--no-shipped", "--score", "depth")
    for _ in range(2):
        done = archspec("search", "tiny.yaml", "--budget", "12MFLOPs", *options)
        assert done.exit_code == 0
    names = {path.name for path in (tmp_path / "runs").iterdir()}
    assert names == {"tiny-12MFLOPs", "tiny-12MFLOPs-2"}


def test_a_budget_out_of_reach_ends_with_its_reason(tmp_path: Path) -> None:
    done = archspec(
        *("search", tiny_space(tmp_path), "--budget", "1kFLOPs", "--out", tmp_path / "run"),
        *("--trials", 2, "--random", 0, "--no-shipped", "--score", "depth", "--sampler", "tpe"),
    )
    assert done.exit_code == 1
    assert "too costly: with these blocks the smallest takes" in done.stdout
    assert (tmp_path / "run" / "report.html").exists()
