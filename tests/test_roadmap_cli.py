"""The command `archspec roadmap`: shows, draws, prints one row, proposes, trains, goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from archspec.cli.main import app
from archspec.cost import totals
from archspec.diff import differences
from archspec.planning import plan_network
from archspec.roadmap.steps import plan_roadmap
from archspec.roadmap.text import parse_roadmap, read_roadmap
from archspec.shipped import shipped_roadmaps
from archspec.spec import parse_spec, read_spec
from archspec.train.progress import watched

ROOT = Path(__file__).resolve().parents[1]
TINY = """
doc: Two convolutions of a tiny network.
start: {name: base, spec: net.yaml, paper: {top1: 50, top1_std: 0.5}}
steps:
- {name: wider, set: {stages.0.width: 16}, paper: {top1: 60}}
- {name: widest, adopted: false, set: {stages.0.width: 32}, note: too wide}
- {name: other recipe, recipe: rsb_a3}
- {name: other stem, set: {stem: [{cna: {width: 8, kernel: 5}}]}}
references:
- {name: known, spec: net.yaml, set: {stages.0.depth: 2}}
"""
NET = """
input: {resolution: 16}
stem: [{cna: {width: 8, kernel: 3}}]
stages: [{width: 8, depth: 1, stride: 2, block: [basic]}]
head: [{pool: global}, {linear: 10}]
"""
TRAIN = (
    *("--train", "--data", "digits", "--images", "40", "--test-images", "40"),
    *("--epochs", "1", "--device", "cpu"),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    (tmp_path / "net.yaml").write_text(NET, encoding="utf-8")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["roadmap", *arguments])


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    return line


def read(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_the_table_and_the_page(folder: Path) -> None:
    result = run("tiny.yaml")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[1] == "Two convolutions of a tiny network."
    cells = [line.split("  ") for line in lines[3:9]]
    assert [cell[0] for cell in cells] == list("012345")
    assert "widest (not adopted)" in lines[5]
    assert "stages.0.width: 16 -> 32" in lines[5]
    assert "known (reference)" in lines[8]
    assert "50 ± 0.5" in lines[3]
    assert "  widest: too wide" in lines
    assert "known is a reference to compare with, no step." in lines
    assert "multiply-adds" in lines[-2]
    assert lines[-1] == f"page: {Path('runs/roadmap-tiny.html')}"
    page = Path("runs/roadmap-tiny.html").read_text(encoding="utf-8")
    assert "other stem" in page


def test_json_is_the_rows_and_writes_nothing(folder: Path) -> None:
    found = read(run("tiny.yaml", "--json"))
    assert [row["name"] for row in found][-2:] == ["other stem", "known"]
    assert [row["from"] for row in found] == [None, "base", "wider", "wider", "other recipe", None]
    assert not Path("runs").exists()
    read(run("tiny.yaml", "--json", "--out", "page.html"))
    assert Path("page.html").is_file()


def test_a_step_as_a_text_to_take(folder: Path) -> None:
    by_name, by_number = run("tiny.yaml", "--step", "wider"), run("tiny.yaml", "--step", "1")
    assert by_name.stdout == by_number.stdout
    spec = parse_spec(by_name.stdout)
    assert (spec.name, spec.stages[0].width) == ("tiny_1", 16)
    whole = parse_spec(run("resnet50_to_convnext_tiny", "--step", "16").stdout)
    assert differences(whole, read_spec("convnext_tiny")) == []


def test_edits_come_first(folder: Path) -> None:
    found = read(run("tiny.yaml", "--json", "--set", "steps.0.set={stages.0.width: 24}"))
    assert found[1]["changes"][0]["after"] == "24"


def test_a_proposal_is_shown_and_written(folder: Path) -> None:
    result = run("--from", "resnet50", "--to", "resnet101", "-o", "way.yaml", "--out", "way.html")
    assert result.exit_code == 0, result.stderr
    assert "resnet101" in result.stdout.splitlines()[0]
    text = parse_roadmap(Path("way.yaml").read_text(encoding="utf-8"), "way")
    last = plan_roadmap(text)[-1]
    assert differences(last.spec, read_spec("resnet101")) == []
    assert totals(last.plan).flops == totals(plan_network(read_spec("resnet101"))).flops


WRONG: list[tuple[list[str], list[str]]] = [
    ([], ["FILE is needed", "--from A and --to B", "resnet50_to_convnext_tiny"]),
    (["--from", "resnet18"], ["both --from A and --to B"]),
    (["tiny.yaml", "--from", "resnet18"], ["--from is of a proposal"]),
    (["tiny.yaml", "--to", "resnet18"], ["--to is of a proposal"]),
    (["tiny.yaml", "-o", "x.yaml"], ["-o is of a proposal"]),
    (["--from", "resnet18", "--to", "resnet34", "--set", "a=1"], ["--set edits a roadmap's text"]),
    (["tiny.yaml", "--data", "digits"], ["--data is of a training", "--train"]),
    (["tiny.yaml", "--no-small"], ["--small is of a training"]),
    (["tiny.yaml", "--keep-weights"], ["--keep-weights is of a training"]),
    (["tiny.yaml", "--train"], ["it needs --data"]),
    (["tiny.yaml", "--step", "6"], ["numbered from 0 to 5"]),
    (["tiny.yaml", "--step", "wide"], ["did you mean 'wider'"]),
    (["tiny.yaml", "--step", "1", "--json"], ["--step prints one thing", "--json"]),
    (["tiny.yaml", "--markdown", "--train"], ["--markdown prints one thing", "--train"]),
    (["tiny.yaml", "--out", "."], ["is no page's file", "it ends in .html"]),
    (["tiny.yaml", *TRAIN, "--steps", "1,5"], ["known is a reference, which is never trained"]),
    (["tiny.yaml", *TRAIN, "--steps", "9"], ["numbered from 0 to 5"]),
    (["tiny.yaml", *TRAIN, "--steps", "3", "--recipe", "quick"], ["only names a recipe"]),
    (["tiny.yaml", *TRAIN, "--recipe", "quik"], ["did you mean 'quick'"]),
    (["."], ["no run of a roadmap"]),
    (["tinny"], ["no shipped roadmap is called 'tinny'"]),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[" ".join(row[0]) for row in WRONG])
def test_what_is_wrong_is_one_line(folder: Path, arguments: list[str], words: list[str]) -> None:
    before = sorted(folder.rglob("*"))
    result = run(*arguments)
    assert result.exit_code == 2
    assert not result.stdout
    (line,) = result.stderr.splitlines()
    assert [word for word in words if word not in line] == []
    assert sorted(folder.rglob("*")) == before


def test_a_step_that_fails_in_small_form_is_told_as_a_step(folder: Path) -> None:
    text = TINY.replace("set: {stages.0.width: 16}", "spec: resnet18")
    Path("tiny.yaml").write_text(text.replace("spec: resnet18", "set: {stages.0.stride: 64}"))
    result = run("tiny.yaml", *TRAIN, "--side", "16")
    assert result.exit_code == 2
    assert "tiny.yaml:5:" in result.stderr
    assert "steps.0: " in result.stderr


def test_what_is_trained_is_shown_beside_the_paper(folder: Path) -> None:
    result = run("tiny.yaml", *TRAIN, "--seeds", "2", "--steps", "other stem,1,0")
    assert result.exit_code == 0, result.stderr
    # its recipe is another than that of the row before
    assert "is trained like" not in result.stderr
    lines = [line for line in result.stdout.splitlines() if line[:1].isdigit()]
    assert [line.split()[0] for line in lines] == ["0", "1", "4"]
    assert lines[0].endswith("50 ± 0.5")
    assert lines[1].endswith("60")
    run_folder = Path("runs/tiny-digits")
    for name in ("roadmap.yaml", "roadmap.json", "study.json", "report.html"):
        assert (run_folder / name).is_file()
    assert parse_roadmap((run_folder / "roadmap.yaml").read_text(), "tiny") == read_roadmap(
        "tiny.yaml"
    )
    # gone on with by folder alone, and where the specs beside the text are gone
    Path("net.yaml").unlink()
    Path("tiny.yaml").unlink()
    found = read(run(str(run_folder), "--json"))
    trained = {row["name"]: row["trained"] for row in found}
    assert trained["other recipe"] is trained["known"] is None
    by_hand = json.loads((run_folder / "wider" / "seed-1" / "result.json").read_text())["top1"]
    assert trained["wider"]["accuracies"][1] == by_hand
    mean = sum(trained["wider"]["accuracies"]) / 2
    assert trained["wider"]["mean"] == pytest.approx(mean)
    bases = [trained[name]["baseline"] for name in ("base", "wider", "other stem")]
    assert bases == [None, "base", "wider"]
    refused = run(str(run_folder), "--data", "digits")
    assert refused.exit_code == 2
    assert "says what was asked" in refused.stderr


def test_a_stopped_training_goes_on_to_the_same_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("tiny.yaml", *TRAIN, "--seeds", "1", "--steps", "0,1", "--recipe", "quick")
    whole = read(run(*asked, "--json", "--out", "whole"))
    calls: list[Any] = []

    def stop_at_the_second(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return watched(*arguments)

    monkeypatch.setattr("archspec.study.training.watched", stop_at_the_second)
    stopped = run(*asked, "--out", "parts")
    assert stopped.exit_code == 130
    assert "archspec roadmap parts" in stopped.stderr
    assert len(list(Path("parts").rglob("result.json"))) == 1
    resumed = CliRunner().invoke(app, ["resume", "parts", "--json"])
    assert len(calls) == 3
    for one, two in zip(whole, read(resumed), strict=True):
        told = [one["trained"], two["trained"]]
        assert told[0] == told[1]
    page = Path("parts/report.html")
    page.unlink()
    again = CliRunner().invoke(app, ["report", "parts"])
    assert again.stdout.splitlines()[-1] == f"page: {page}"
    assert "archspec roadmap" in page.read_text(encoding="utf-8")


def test_a_given_recipe_leaves_out_what_only_named_one(folder: Path) -> None:
    result = run("tiny.yaml", *TRAIN, "--seeds", "1", "--recipe", "quick", "--json")
    assert "leaves nothing of other recipe: not trained" in result.stderr
    # in small-image form the kernel of the stem is 3, as before
    assert "note: other stem is trained like" in result.stderr
    names = [row["name"] for row in read(result) if row["trained"]]
    assert names == ["base", "wider", "widest", "other stem"]


@pytest.mark.parametrize("name", sorted(shipped_roadmaps()))
def test_the_tables_of_the_docs_are_fresh(name: str) -> None:
    printed = run(name, "--markdown").stdout
    assert printed in (ROOT / "docs" / "roadmaps.md").read_text(encoding="utf-8"), (
        f"archspec roadmap {name} --markdown"
    )


def test_a_proposal_overwrites_nothing_that_it_reads(folder: Path) -> None:
    (folder / "wide.yaml").write_text("extends: net.yaml\nset: {stages.0.width: 16}\n")
    before = {path: path.read_text() for path in folder.glob("*.yaml")}
    for out in ("net.yaml", "wide.yaml"):
        line = refused("--from", "net.yaml", "--to", "wide.yaml", "-o", out)
        assert f"{out} is read for this; write it elsewhere" in line
    assert "it ends in .html" in refused("tiny.yaml", "--out", "tiny.yaml")
    assert {path: path.read_text() for path in before} == before


def test_a_proposal_names_its_start_from_where_it_lies(folder: Path) -> None:
    (folder / "in").mkdir()
    for name in ("net", "wide"):
        text = NET if name == "net" else "extends: net.yaml\nset: {stages.0.width: 16}\n"
        (folder / "in" / f"{name}.yaml").write_text(text)
    wanted = ("--from", "in/net.yaml", "--to", "in/wide.yaml", "-o", "in/way.yaml")
    for words in (wanted, ("in/way.yaml",)):
        assert run(*words).exit_code == 0
    assert "write it beside" in refused(
        "--from", "in/net.yaml", "--to", "in/wide.yaml", "-o", "elsewhere/way.yaml"
    )
