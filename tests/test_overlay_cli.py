"""`archspec report` with several searches: its table, its JSON, its page, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.testing
from synthetic_run import HOSTILE
from synthetic_searches import Trial, made_search, stored

from archspec.cli.main import app
from reports.overlay import write_overlay_page
from reports.overlay_progress import compare

TRIALS: list[Trial] = [(1.0, 4e9), (3.0, 3e9), (2.0, 1e9)]
CHANCE: list[Trial] = [(0.5, 4e9), (1.5, 2e9)]
READY = ["2", "(random", "took", "2)"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two searches of one sampler and one of another."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        stored(
            made_search(TRIALS, CHANCE, sampler=sampler, seed=seed), folder / f"{sampler}-{seed}"
        )
        for sampler, seed in (("tpe", 0), ("tpe", 1), ("nsga2", 0))
    ]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tests run in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def report(*words: object) -> typer.testing.Result:
    return typer.testing.CliRunner().invoke(app, ["report", *map(str, words)])


def test_a_table_and_a_page_in_runs(runs: list[Path], folder: Path) -> None:
    done = report(*runs)
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0][:2] == ["searches", "seeds"]
    # scores from 0.5 to 3, and 1 to 4 GFLOPs: the second trial holds a third of the box, and the
    # third one, with 0.6 of the way up at the least cost, 0.6 + 0.4 / 3
    assert lines[1] == ["tpe", "2", "3", "3.000", "±", "0", "0.7333", "±", "0", *READY]
    assert [line[0] for line in lines[1:4]] == ["tpe", "nsga2", "random"]
    assert "page: runs/compared.html" in done.stdout
    assert (folder / "runs" / "compared.html").is_file()


def test_how_soon_a_search_is_as_good_as_chance_is_said_in_full(runs: list[Path]) -> None:
    heading = report(*runs).stdout.splitlines()[0]
    assert heading.endswith("  evaluations to match random")


@pytest.mark.parametrize(
    ("scale", "unit", "shown"),
    [(1.0, "GFLOPs", ["4.000", "3.000", "1.000"]), (5e-3, "MFLOPs", ["20.00", "15.00", "5.00"])],
)
def test_a_search_is_printed_in_the_unit_of_its_largest_network(
    folder: Path, scale: float, unit: str, shown: list[str]
) -> None:
    counts = [4e9 * scale, 3e9 * scale, 1e9 * scale]
    run = stored(made_search(list(zip((9.0, 3.0, 2.0), counts, strict=True))), folder / "run")
    lines = report(run).stdout.splitlines()
    place = next(at for at, line in enumerate(lines) if line.startswith("front of"))
    assert lines[place] == f"front of score against {unit} (multiply-adds):"
    assert [line.split()[1] for line in lines[place + 1 : place + 5]] == [unit, *shown]
    told = json.loads(report(run, "--json").stdout)
    assert [trial["flops"] for trial in told] == counts


def test_json_is_one_object_a_group(runs: list[Path], folder: Path) -> None:
    done = report(*runs, "--json", "-o", "page.html")
    found = json.loads(done.stdout)
    assert [(one["name"], one["kind"], one["seeds"]) for one in found] == [
        ("tpe", "search", [0, 1]),
        ("nsga2", "search", [0]),
        ("random baseline", "random", [0, 1]),
    ]
    assert found[0]["runs"] == [str(run) for run in runs[:2]]
    assert found[0]["best_score"]["by_evaluation"] == [1.0, 3.0, 3.0]
    assert found[1]["best_score"]["deviation"] is None
    assert (folder / "page.html").is_file()


def test_one_search_is_reported_as_before(runs: list[Path]) -> None:
    found = json.loads(report(runs[0], "--json").stdout)
    assert [trial["kind"] for trial in found] == ["search"] * 3 + ["random"] * 2
    assert (runs[0] / "report.html").is_file()


def test_what_cannot_be_compared_is_one_line(runs: list[Path], folder: Path) -> None:
    other = stored(made_search(TRIALS, score_label="Zen"), folder / "zen")
    training = folder / "training"
    training.mkdir()
    (training / "train.json").write_text("{}", "utf-8")
    cases: list[tuple[list[object], str]] = [
        ([*runs, other], "score"),
        ([runs[0], training], "is a training"),
        ([runs[0], folder / "absent"], "no folder of a run"),
        ([runs[0], runs[1], runs[0].parent / "." / runs[0].name / ".." / runs[0].name], "same run"),
        ([runs[0], "-o", "page.html"], "several searches"),
        ([training, "--json"], "--json is of searches"),
        ([runs[0], runs[1], "-o", "page.yaml"], "ends in .html"),
    ]
    for words, told in cases:
        done = report(*words)
        assert done.exit_code == 2
        assert told in done.stderr
        assert done.stderr.count("\n") == 1
    assert not list(folder.glob("**/*.html"))


def test_the_page_is_the_same_each_time_and_states_its_reference(tmp_path: Path) -> None:
    comparison = compare(
        [made_search(TRIALS, CHANCE, sampler=sampler) for sampler in ("tpe", "gp")]
    )
    first = write_overlay_page(comparison, "archspec report a b", "today", tmp_path / "a.html")
    again = write_overlay_page(comparison, "archspec report a b", "today", tmp_path / "b.html")
    assert first.read_bytes() == again.read_bytes()
    text = first.read_text("utf-8")
    assert "(score 0.5000, 4.000 GFLOPs), to the best of each (score 3.000, 1.000 GFLOPs)" in text
    assert "archspec report a b" in text


def test_the_page_escapes_every_text(tmp_path: Path) -> None:
    hostile: dict[str, Any] = dict.fromkeys(
        ("space", "sampler", "command", "score_label", "created"), HOSTILE
    )
    comparison = compare(
        [
            made_search(
                TRIALS, CHANCE, folder=f"{HOSTILE}{seed}", data=HOSTILE + str(seed), **hostile
            )
            for seed in (0, 1)
        ]
    )
    page = write_overlay_page(comparison, HOSTILE, HOSTILE, tmp_path / "page.html")
    assert "<img" not in page.read_text("utf-8").partition('<script type="application/json"')[0]
    assert "<img src=x" not in page.read_text("utf-8")


def test_comparing_needs_no_torch() -> None:
    code = (
        "import sys, reports.overlay; print([m for m in ('torch', 'optuna') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
