from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from archspec.cli.main import app
from archspec.errors import DataError, ScoreError
from archspec.planning import plan_network
from archspec.spec import read_spec
from search.scores import Scorer, find_score
from search.space import Space

#: rows of NAS-Bench-Macro (Su et al., CVPR 2021), params and flops as the table has them
ROWS = """arch,test_acc_0,test_acc_1,params,flops
02012100,89.0,90.0,890666,47327744
11111221,92.0,93.0,2181386,65012224
11110111,91.0,92.0,1485322,46733824
"""


@pytest.fixture
def table(tmp_path: Path) -> str:
    file = tmp_path / "table.csv"
    file.write_text(ROWS)
    return f"table:{file}"


def test_a_network_is_looked_up_by_what_it_computes(table: str) -> None:
    space = Space.read("nas_bench_macro")
    scorer = Scorer(table, table=space.dump())

    def score(tags: str) -> float:
        picks = dict(zip(space.parameters, tags, strict=True))
        spec = space.spec(lambda name, _: picks[name])
        return scorer(spec, plan_network(spec)).value

    assert scorer.check() == "text"
    assert score("02012100") == 89.5
    assert score("11111221") == 92.5
    # skipped before a block or after it: `unique_group` of the whole table says that it is the same
    assert score("11110111") == score("11101111") == 91.5
    with pytest.raises(ScoreError, match="no such network"):
        score("22222222")


def test_rows_may_have_their_specs(tmp_path: Path) -> None:
    file = tmp_path / "specs.csv"
    file.write_text("spec,top1\nresnet18,69.8\n")
    spec = read_spec("resnet18")
    assert Scorer(f"table:{file}")(spec, plan_network(spec)).value == 69.8


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("depth+table:x.csv", ScoreError, "stands alone"),
        ("table:nowhere.csv", DataError, "nowhere.csv is no file"),
        ("table:nowhere.csv+depth", ScoreError, "stands alone"),
        ("table:nowhere.csv+table:other.csv", ScoreError, "stands alone"),
        ("table:nowhere.csv+mine:own", ScoreError, "stands alone"),
        ("table:one+two.csv", DataError, r"one\+two.csv is no file"),
        ("train+depth", ScoreError, "give train, or the others without it"),
        (f"table:{'x' * 300}.csv", DataError, "is no file"),
        ("table:", ScoreError, "table: needs a file .* such as table:results.csv"),
    ],
)
def test_what_is_wrong_is_one_line(name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as told:
        find_score(name)
    assert "\n" not in str(told.value)
    # a rung of a ladder has no such option
    assert "--" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("arch,top1\n02012100,\n", "row 1 (02012100): it has no accuracy in top1; remove the row"),
        ("arch,top1\n02012100,150\n", "row 1 (02012100): an accuracy is 0 to 100 percent, but "),
        ("arch,loss\n02012100,3\n", "no column of accuracies such as top1*, test_acc_*, accuracy*"),
        ("arch,acc_a,acc_b\n02012100,3,4\n", "it has several columns of accuracies, acc_a, acc_b"),
        ("spec,top1,params\nresnet18,69.8,17\n", "row 1 (resnet18): params must be those of the "),
        ("spec,top1\nresnet21,69.8\n", "row 1 (resnet21): no file and no shipped spec is called"),
    ],
)
def test_what_is_wrong_with_the_table_itself_is_no_matter_of_the_space(
    tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "table.csv"
    file.write_text(text)
    with pytest.raises(DataError) as told:
        Scorer(f"table:{file}", table=Space.read("nas_bench_macro").dump()).check()
    assert str(told.value).startswith(f"{file}: ")
    assert words in str(told.value)
    assert "space" not in str(told.value)
    # options of `calibrate` are no way out
    assert "--" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("arch,top1\n0201210,5\n", "row 1 (0201210): arch has a tag for each of the 8 parameters"),
        ("arch,top1\n92012100,5\n", "is one of 0, 1, 2, but got '9'"),
        ("net,top1\n02012100,5\n", "it has no column 'spec' of specs, none 'arch' of picks"),
        ("arch,top1,flops\n02012100,5,6\n", "flops must be those of the network"),
    ],
)
def test_picks_and_costs_that_are_not_the_spaces_are(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "table.csv"
    file.write_text(text)
    space = Space.read("nas_bench_macro")
    with pytest.raises(DataError) as told:
        Scorer(f"table:{file}", table=space.dump(), space="macro").check()
    start, way_out = (
        "must hold trained networks of the space that is searched, macro: ",
        "search the",
    )
    assert str(told.value).startswith(f"{file} {start}")
    assert words in str(told.value)
    assert f"; {way_out}" in str(told.value)
    assert "--" not in str(told.value)


def test_a_table_is_read_once(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Callable[..., pd.DataFrame] = pd.read_csv
    files = []

    def counted(file: Path, **options: Any) -> pd.DataFrame:
        files.append(file)
        return read(file, **options)

    monkeypatch.setattr(pd, "read_csv", counted)
    scorer = Scorer(table, table=Space.read("nas_bench_macro").dump())
    scorer.check()
    assert files == [Path(table.removeprefix("table:"))]


def test_a_table_of_picks_asks_for_its_space(table: str) -> None:
    with pytest.raises(DataError, match="name the space"):
        find_score(table)


def refused(*options: object) -> str:
    """The one line of a search that is refused."""
    told = CliRunner().invoke(app, ["search", *map(str, options), "--budget", "40MFLOPs"])
    assert told.exit_code == 2
    assert told.stdout == ""
    assert told.stderr.startswith("error: ")
    assert told.stderr.count("\n") == 1
    return told.stderr


OTHER = """\
input: {resolution: 32}
stem: [{conv: {width: 8, kernel: 3}}, norm]
stages: [{width: 8, depth: {range: [1, 3]}, block: [bottleneck]}]
head: [{pool: global}, {linear: classes}]
"""


def test_a_table_of_another_space_is_refused_with_both_names(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.yaml").write_text(OTHER)
    line = refused("other.yaml", "--score", "table:table.csv")
    assert f"{tmp_path / 'table.csv'} must hold trained networks" in line
    assert "of the space that is searched, other: row 1 (02012100)" in line
    assert "search the space that the table was made of" in line
    assert not Path("runs").exists()


def test_a_space_that_was_changed_is_not_that_of_the_table(table: str) -> None:
    """The picks are the same, the costs that the table tells are not."""
    line = refused("nas_bench_macro", "--set", "stages.0.width=48", "--score", table)
    assert "the space that is searched, nas_bench_macro: row 1 (02012100): params" in line
    # an option of `calibrate` is no way out here
    assert "--no-check-counts" not in line


def test_a_table_without_a_file_or_for_rules_is_refused(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "table: needs a file" in refused("nas_bench_macro", "--score", "table:")
    assert "not rules" in refused("--scaling", "resnet18", "--score", table)
    assert list(tmp_path.iterdir()) == [tmp_path / "table.csv"]
