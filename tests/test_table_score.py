from __future__ import annotations

from pathlib import Path

import pytest

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
    ],
)
def test_what_is_wrong_is_one_line(name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as told:
        find_score(name)
    assert "\n" not in str(told.value)


def test_a_table_of_picks_asks_for_its_space(table: str) -> None:
    with pytest.raises(DataError, match="name the space"):
        find_score(table)
