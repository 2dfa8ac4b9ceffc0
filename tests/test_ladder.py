"""Ladders as people write them, and who is kept: the sentence, the YAML, the laws."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft7Validator
from typer.testing import CliRunner

from archspec.cli.main import app
from archspec.errors import ArchspecError, RunError, SpecError
from archspec.load import read_yaml
from archspec.shipped import shipped_ladders, specs_folder
from search.kept import Standing, crowding, kept
from search.ladder import Rung, ladder_file, parse_ladder, parse_sentence, read_ladder, words
from search.ladder_schema import ladder_schema_text
from search.rungs import Defaults, asked_rungs

# The sentence -------------------------------------------------------------------------------------

ISSUE = (
    "10000 by concave_activations, 200 by concave_naswot, 20 by train for 3 epochs, "
    "3 by train for 30 epochs with 3 seeds"
)
SAID: list[tuple[str, list[dict[str, Any]]]] = [
    (
        ISSUE,
        [
            {"count": 10_000, "score": "concave_activations"},
            {"count": 200, "score": "concave_naswot"},
            {"count": 20, "score": "train", "epochs": 3},
            {"count": 3, "score": "train", "epochs": 30, "seeds": 3},
        ],
    ),
    (
        "10,000 by depth,1,000 by naswot on 64 images.",
        [
            {"count": 10_000, "score": "depth"},
            {"count": 1_000, "score": "naswot", "batch": 64},
        ],
    ),
    (
        "9 by depth then 4 BY Train for 2.5 minutes and with 2 seeds on 1,000 images "
        "without pruning",
        [
            {"count": 9, "score": "depth"},
            {
                **{"count": 4, "score": "train", "minutes": 2.5, "seeds": 2},
                **{"images": 1_000, "prune": False},
            },
        ],
    ),
    (
        "9 by naswot+depth; 4 by mine:score\n, then 1 by train for 1 epoch with 1 seed",
        [
            {"count": 9, "score": "naswot+depth"},
            {"count": 4, "score": "mine:score"},
            {"count": 1, "score": "train", "epochs": 1, "seeds": 1},
        ],
    ),
]


@pytest.mark.parametrize(("text", "rungs"), SAID)
def test_a_sentence_is_read(text: str, rungs: list[dict[str, Any]]) -> None:
    ladder = parse_sentence(text)
    assert [rung.model_dump(exclude_none=True) for rung in ladder.rungs] == rungs
    assert read_ladder(text) == ladder


def test_a_rung_is_told_in_the_words_that_it_is_read_from() -> None:
    for text, _ in SAID:
        ladder = parse_sentence(text)
        again = ", ".join(f"{rung.count:,} by {words(rung)}" for rung in ladder.rungs)
        known = [rung.model_copy(update={"prune": None}) for rung in ladder.rungs]
        assert list(parse_sentence(again).rungs) == known


WRONG = [
    ("10 by depth", "two rungs or more", "--score depth --trials 10"),
    ("10 by depth, 20 by naswot", "rung 2, '20 by naswot'", "20 after 10"),
    ("10 by depth, 10 by naswot", "rung 2", "each rung has fewer networks"),
    ("0 by depth, 0 by naswot", "rung 1, '0 by depth'", "value >= 1 must hold, but got 0"),
    ("9 by depht, 5 by train", "rung 1, '9 by depht'", "did you mean 'depth'"),
    ("9 by depth, 5 by trian", "rung 2, '5 by trian'", "did you mean 'train'"),
    ("9 by depth, 5 by train for three epochs", "'for three epochs'", "which is COUNT by SCORE"),
    ("9 by depth, 5 by train quickly", "'quickly' says nothing", "for 3 epochs (or 5 minutes)"),
    ("9 by depth, 5 by train for 3 epochs for 4 epochs", "rung 2", "told twice"),
    ("9 by depth, 5 by train for 3 epochs for 4 minutes", "rung 2", "drop one"),
    ("9 by depth for 3 epochs, 5 by train", "rung 1", "epochs is of score train"),
    ("9 by depth without pruning, 5 by train", "rung 1", "prune is of score train"),
    ("9 by train, 5 by depth", "rung 2, '5 by depth'", "above a rung that trains all others do"),
    ("9 by depth,, 5 by train", "rung 2, ''", "a rung is missing here"),
    ("9 by depth, 5 best by train", "rung 2, '5 best by train'", "a rung is COUNT by SCORE"),
    ("9 depth, 5 train", "rung 1, '9 depth'", "such as --ladder"),
    ("9 by naswot, 5 by naswot", "rung 2", "tells more than the one below it"),
    ("9 by naswot on 1 image, 5 by train", "rung 1", "value >= 2 must hold, but got 1"),
    ("10,00 by depth, 5 by train", "rung 1", "a rung is COUNT by SCORE"),
    ("9" * 5_000 + " by depth, 5 by train", "rung 1", "value <= 1000000 must hold"),
    ("9 by train+depth, 5 by train", "rung 1", "stands alone"),
    ("   ", "--ladder needs a sentence", "a shipped name"),
    ("four_rung", "no shipped ladder is called 'four_rung'", "did you mean 'four_rungs'"),
    ("nowhere/x.yaml", "nowhere/x.yaml", ""),
]


@pytest.mark.parametrize(("text", "place", "law"), WRONG)
def test_a_wrong_sentence_is_one_line_with_the_rungs_words(text: str, place: str, law: str) -> None:
    with pytest.raises(SpecError) as error:
        read_ladder(text)
    assert place in str(error.value)
    assert law in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 800


def test_a_sentence_of_many_rungs_is_refused() -> None:
    text = ", ".join(f"{count} by depth on {count} images" for count in range(99, 2, -1))
    with pytest.raises(SpecError, match="a list of 12 at most is needed"):
        parse_sentence(text)


# The YAML -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(shipped_ladders()))
def test_shipped_ladders_are_read_and_lead_an_editor_to_their_schema(name: str) -> None:
    path = shipped_ladders()[name]
    ladder = read_ladder(name)
    assert ladder.name == name
    assert ladder.doc
    assert parse_ladder(ladder.dump()) == ladder
    assert path.read_text("utf-8").startswith("# yaml-language-server: $schema=../ladder.schema.")
    schema = Draft7Validator(json.loads(ladder_schema_text()))
    assert schema.is_valid(json.loads(json.dumps(read_yaml(path))))
    checked = CliRunner().invoke(app, ["check", name])
    assert checked.exit_code == 0, checked.output
    assert f"ladder {name}, " in checked.output


def test_the_committed_schema_is_fresh_and_strict() -> None:
    text = (specs_folder() / "ladder.schema.json").read_text("utf-8")
    assert text == ladder_schema_text() == CliRunner().invoke(app, ["schema", "ladder"]).stdout
    schema = Draft7Validator(json.loads(text))
    good: dict[str, Any] = {"rungs": [{"count": 9, "score": "depth"}]}
    assert schema.is_valid(good)
    wrong: list[dict[str, Any]] = [{}, {"rungs": []}, {"rungs": [{"count": 9}]}, good | {"rung": 1}]
    for bad in wrong:
        assert not schema.is_valid(bad)
    keys: list[dict[str, Any]] = [{"count": 0}, {"epoch": 3}, {"batch": "16"}, {"seeds": 101}]
    for bad in keys:
        assert not schema.is_valid({"rungs": [good["rungs"][0] | bad]})


HEAD = "rungs:\n- {count: 9, score: depth}\n"
WRONG_YAML = [
    ("- {count: 5, score: train, epoch: 3}\n", "3:28: rungs.1.epoch: ", "did you mean 'epochs'"),
    ("- {count: 9, score: train}\n", "3:11: rungs.1.count: ", "9 after 9"),
    ("- {count: five, score: train}\n", "3:11: rungs.1.count: ", "a whole number is needed"),
    ("- {count: 5, score: naswott}\n", "3:21: rungs.1.score: ", "did you mean 'naswot'"),
    ("- {count: 5, score: naswot, epochs: 3}\n", "3:29: rungs.1.epochs: ", "leave it out"),
    ("- {count: 5, score: train, batch: 8}\n", "3:28: rungs.1.batch: ", "an untrained score"),
    ("- {count: 5, score: train, recipe: quik}\n", "3:36: rungs.1.recipe: ", "'quick'"),
    ("- {count: 5, score: train, recipe: up/x.yaml}\n", "3:36: rungs.1.recipe", "names no file"),
    ("- {count: 5, score: train, holdout: 1.5}\n", "3:37: rungs.1.holdout: ", "must hold"),
    ("- {score: train}\n", "3:3: rungs.1: ", "'count' is missing"),
    ("- {count: {range: [1, 5]}, score: train}\n", "3:11: rungs.1.count: ", "a domain"),
    ("- 5 by train\n", "3:3: rungs.1: ", "a mapping is needed"),
    ("rungz: 3\n", "3:1: rungz: ", "did you mean 'rungs'"),
]


@pytest.mark.parametrize(("text", "place", "law"), WRONG_YAML)
def test_a_wrong_text_is_told_its_place(tmp_path: Path, text: str, place: str, law: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD + text)
    with pytest.raises(SpecError) as error:
        read_ladder(str(path))
    assert f"mine.yaml:{place}" in str(error.value)
    assert law in str(error.value)


def test_a_text_extends_another_and_has_its_recipe_beside_it(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("extends: quick\nset: {epochs: 7}\n")
    path = tmp_path / "mine.yaml"
    path.write_text("extends: four_rungs\nset: {rungs.3.recipe: own.yaml, rungs.0.count: 500}\n")
    ladder = ladder_file(path)
    assert [rung.count for rung in ladder.rungs] == [500, 200, 20, 3]
    assert ladder.rungs[3].recipe == str(tmp_path / "own.yaml")
    told = asked_rungs(ladder, Defaults(), "digits", 0, "cpu")
    assert told[3].training is not None
    assert "name: own" in told[3].training.recipe


# What a run is asked ------------------------------------------------------------------------------


def test_what_rungs_do_not_say_the_options_do_and_the_last_is_not_pruned() -> None:
    ladder = parse_sentence(
        "9 by depth, 5 by naswot on 8 images, 3 by train, 1 by train for 9 epochs"
    )
    one, two, three, four = asked_rungs(
        ladder, Defaults(batch=4, recipe="deit", holdout=0.25, slowest=9.0), "digits", 0, "cpu"
    )
    assert (one.device, one.batch, two.batch, two.device) == ("text", 4, 8, "cpu")
    assert one.training is None
    assert three.training is not None
    assert four.training is not None
    assert (three.training.prune, four.training.prune) == (True, False)
    assert (three.training.epochs, four.training.epochs) == (None, 9)
    assert three.training.holdout == four.training.holdout == 0.25
    assert "name: deit" in three.training.recipe
    pruned = parse_ladder(
        "rungs: [{count: 3, score: depth}, {count: 1, score: train, prune: true}]"
    )
    (_, last) = asked_rungs(pruned, Defaults(), "digits", 0, "cpu")
    assert last.training is not None
    assert last.training.prune


def test_an_option_of_no_rung_is_refused() -> None:
    ladder = parse_sentence("9 by depth, 5 by params")
    for name, value in {"recipe": "deit", "holdout": 0.5, "slowest": 3.0}.items():
        with pytest.raises(RunError, match=f"--{name} is of a rung with training"):
            asked_rungs(ladder, Defaults(**{name: value}), "digits", 0, None)  # type: ignore[arg-type]
    trained = parse_sentence("9 by train for 2 epochs, 5 by train for 4 epochs")
    with pytest.raises(RunError, match="--batch is of a rung with untrained score"):
        asked_rungs(trained, Defaults(batch=8), "digits", 0, None)
    for defaults, data, option in (
        (Defaults(batch=8), "digits", "batch"),
        (Defaults(), "x", "data"),
    ):
        with pytest.raises(RunError, match=f"--{option} is of a rung that sees images"):
            asked_rungs(ladder, defaults, data, 0, None)
    unread = parse_sentence("9 by depth on 8 images, 5 by naswot")
    with pytest.raises(RunError, match="rung 1, .* leave its batch of 8 images out"):
        asked_rungs(unread, Defaults(), "digits", 0, None)


def test_a_rung_that_cannot_be_done_is_told_by_its_number() -> None:
    ladder = parse_sentence("9 by depth, 5 by naswot")
    with pytest.raises(ArchspecError, match="rung 2, 5 by naswot: no data at nowhere"):
        asked_rungs(ladder, Defaults(), "nowhere", 0, None)


OPTIONS = [
    (["--score", "depth"], "leave --score out"),
    (["--trials", "9"], "leave --trials out"),
    (["--epochs", "3"], "leave --epochs out"),
    (["--no-prune"], "leave --no-prune out"),
    (["--scaling", "resnet18"], "a ladder is of networks, not of rules"),
    (["--recipe", "deit"], "--recipe is of a rung with training"),
]


@pytest.mark.parametrize(("options", "told"), OPTIONS)
def test_what_rungs_tell_is_no_option_beside_them(
    tmp_path: Path, options: list[str], told: str
) -> None:
    command = ["search", *([] if "--scaling" in options else ["hybrid_small"])]
    command += ["--budget", "60MFLOPs", "--ladder", "9 by depth, 5 by params", *options]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "run")])
    assert done.exit_code == 2, done.output
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


# Who is kept --------------------------------------------------------------------------------------


def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


def by_the_paper(points: list[tuple[float, ...]]) -> list[list[int]]:
    """Fronts, one after the other: what nothing left dominates (Deb et al. 2002, III-A)."""
    left, fronts = set(range(len(points))), []
    while left:
        front = sorted(
            one for one in left if not any(dominates(points[other], points[one]) for other in left)
        )
        fronts.append(front)
        left -= set(front)
    return fronts


def test_with_one_objective_the_best_are_kept_and_equals_by_number() -> None:
    standings = [Standing(of, (score,)) for of, score in enumerate([1.0, 5.0, 3.0, 5.0, 3.0])]
    assert kept(standings, ("score",), 3) == [1, 3, 2]
    assert kept(standings, ("latency",), 2) == [0, 2]
    assert kept(standings[::-1], ("score",), 3) == [1, 3, 2]
    standings[1] = Standing(1, None)
    assert kept(standings, ("score",), 9) == [3, 2, 4, 0]
    assert kept([Standing(0, None)], ("score",), 3) == []


@pytest.mark.parametrize("objectives", [("score", "flops"), ("flops", "score", "latency")])
@pytest.mark.parametrize("seed", range(5))
def test_with_several_objectives_whole_fronts_are_kept_first(
    objectives: tuple[str, ...], seed: int
) -> None:
    draw = np.random.default_rng(seed)
    # few distinct values, so that some are equal
    values = draw.integers(0, 7, (40, len(objectives))).astype(float)
    standings = [Standing(10 + of, tuple(row)) for of, row in enumerate(values.tolist())]
    signs = [-1 if key == "score" else 1 for key in objectives]
    fronts = by_the_paper([tuple(row) for row in (values * signs).tolist()])
    whole = 0
    for front in fronts:
        found = kept(standings, objectives, whole + len(front))
        assert {of - 10 for of in found[whole:]} == set(front)
        whole += len(front)
    for count in (1, 7, 23):
        found = kept(standings, objectives, count)
        assert len(set(found)) == count
        assert found == kept(list(reversed(standings)), objectives, count)


def test_of_a_front_that_does_not_fit_the_least_crowded_are_kept() -> None:
    """By hand: ends are infinite; the second has (3 - 0) / 10 + (10 - 6) / 10, and so on."""
    points = [(0.0, 10.0), (1.0, 7.0), (3.0, 6.0), (9.0, 0.5), (10.0, 0.0)]
    told = crowding(np.array(points))
    assert told[0] == told[4] == math.inf
    assert told[1:4] == pytest.approx([0.3 + 0.4, 0.8 + 0.65, 0.7 + 0.6])
    standings = [Standing(of, (-score, flops)) for of, (score, flops) in enumerate(points)]
    assert set(kept(standings, ("score", "flops"), 3)) == {0, 4, 2}
    assert set(kept(standings, ("score", "flops"), 4)) == {0, 4, 2, 3}


def test_a_rung_reads_back() -> None:
    rung = Rung(count=3, score="train", minutes=2.5, seeds=2)
    assert words(rung) == "train for 2.5 minutes with 2 seeds"
