"""Tables of trained networks as rungs of a ladder."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest
from tiny_runs import made_run

from archspec.errors import ArchspecError, SpecError
from search.folder import RunFolder
from search.ladder import ladder_file, parse_sentence
from search.run import Search
from search.rungs import Defaults, RungInfo, asked_rungs
from search.space import Space

#: six networks, and nothing for the fit to move
SIX = """\
name: six
input: {resolution: 16}
classes: 10
stem: [{cna: {width: 16, kernel: {choice: [1, 3, 5]}, act: {choice: [relu, gelu]}}}]
head: [{pool: global}, {linear: classes}]
"""
#: those with more parameters are the worse ones
ACCURACIES = {pick: 90.0 - place for place, pick in enumerate(product((1, 3, 5), ("relu", "gelu")))}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = ["stem.cna.kernel,stem.cna.act,top1"]
    rows += [f"{kernel},{act},{top1}" for (kernel, act), top1 in ACCURACIES.items()]
    file = tmp_path / "table.csv"
    file.write_text("\n".join(rows) + "\n")
    return file


def asked(ladder: str | Path, text: str | None = SIX) -> tuple[RungInfo, ...]:
    read = ladder_file(ladder) if isinstance(ladder, Path) else parse_sentence(ladder)
    space = None if text is None else Space.parse(text, "six")
    return asked_rungs(read, Defaults(), "digits", 0, "cpu", space)


def test_a_table_is_a_rung(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(table.parent)
    first, *above = asked("5 by params, 3 by table:table.csv, then 2 by depth")
    folder = made_run(
        table.parent / "run", SIX, score=first.score, ladder=tuple(above), trials=first.count,
        random_trials=0, sampler="random", iso=True,
    )  # fmt: skip
    # gone on with from elsewhere
    (table.parent / "elsewhere").mkdir()
    monkeypatch.chdir(table.parent / "elsewhere")
    Search(RunFolder.open(folder.path)).go()
    frame = folder.frame()
    searched = frame[(frame["kind"] == "search") & (frame["state"] == "scored")]
    assert len(searched) == 5
    looked_up = frame[frame["kind"] == "rung2"].set_index("of")
    for _, row in looked_up.iterrows():
        (pick,) = (
            (kernel, act)
            for kernel, act in ACCURACIES
            if f"kernel: {kernel}" in row["spec"] and f"act: {act}" in row["spec"]
        )
        assert row["score"] == ACCURACIES[pick]
    biggest = searched.sort_values(["params", "number"], ascending=[False, True])["number"][:3]
    assert set(looked_up.index) == set(biggest)
    top = set(frame[frame["kind"] == "rung3"]["of"])
    assert top == set(looked_up.sort_values("score", ascending=False).index[:2])


def test_a_table_stands_beside_the_ladder_that_names_it(table: Path) -> None:
    file = table.parent / "mine.yaml"
    file.write_text(
        "name: mine\nrungs:\n- {count: 5, score: params}\n- {count: 2, score: table:table.csv}\n"
    )
    assert asked(file)[1].score == f"table:{table}"
    file.write_text(file.read_text().replace("table.csv", "none.csv"))
    with pytest.raises(SpecError, match=r"mine.yaml:4:21: .*names no file"):
        ladder_file(file)


@pytest.mark.parametrize(
    ("score", "words"),
    [
        ("table:", "table: needs a file of trained networks .* such as table:results.csv"),
        ("table:table.csv+depth", "table:FILE stands alone, .* but got 'table:table.csv.depth'"),
    ],
)
def test_a_rung_says_what_is_wrong_with_its_table_where_it_stands(
    table: Path, score: str, words: str
) -> None:
    with pytest.raises(SpecError, match=f"--ladder: rung 2, '2 by {re.escape(score)}': {words}"):
        parse_sentence(f"5 by params, 2 by {score}")
    file = table.parent / "mine.yaml"
    file.write_text(
        f'name: mine\nrungs:\n- {{count: 5, score: params}}\n- {{count: 2, score: "{score}"}}\n'
    )
    with pytest.raises(SpecError, match=f"mine.yaml:4:21: rungs.1.score: {words}") as told:
        ladder_file(file)
    assert "--score" not in str(told.value)


def test_a_table_with_a_plus_in_its_name_is_one_file(table: Path) -> None:
    table.rename(table.parent / "one+two.csv")
    file = table.parent / "mine.yaml"
    file.write_text(
        "name: mine\nrungs:\n- {count: 5, score: params}\n- {count: 2, score: table:one+two.csv}\n"
    )
    assert asked(file)[1].score == f"table:{table.parent / 'one+two.csv'}"


def test_only_a_table_asks_for_the_text_of_the_space(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump, dumped = Space.dump, []

    def counted(space: Space) -> str:
        dumped.append(space.name)
        return dump(space)

    monkeypatch.setattr(Space, "dump", counted)
    asked(f"5 by params, 3 by table:{table}, then 2 by depth")
    assert dumped == ["six"]


@pytest.mark.parametrize(
    ("sentence", "text", "words"),
    [
        ("5 by params, 2 by table:none.csv", SIX, "rung 2, 2 by table:none.csv: .*is no file"),
        ("5 by params, 2 by table:table.csv", None, "rung 2, .* has no column 'spec' of specs"),
        ("5 by params, 2 by depth+table:table.csv", SIX, "stands alone"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(
    table: Path, monkeypatch: pytest.MonkeyPatch, sentence: str, text: str | None, words: str
) -> None:
    monkeypatch.chdir(table.parent)
    with pytest.raises(ArchspecError, match=words) as told:
        asked(sentence, text)
    assert "\n" not in str(told.value)
