"""The fidelity ladder as people write it: a sentence, or YAML for the rest.

    10,000 by concave_activations, 200 by concave_naswot, 20 by train for 3 epochs

Rungs from the lowest: so many networks are scored there, and the best of them by that score climb
to the next one. `search.rungs` makes of it what a run is asked, `search.climb` goes up.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from archspec.dump import dump_yaml
from archspec.errors import LawError, ScoreError, SpecError
from archspec.load import parse_yaml
from archspec.marks import MarkedDict, find_mark, key_mark
from archspec.resolve import FORMAT, LADDER, YAML, beside, locate, resolve
from archspec.shipped import shipped_recipes
from archspec.strict import Number, Strict, law_of, shown
from search.scores.catalog import TABLE, TRAIN, find_score, table_file

#: more than anybody has read
MOST_RUNGS = 12
#: a rung in words, and what may stand in it
FORM = (
    "COUNT by SCORE, then as needed: for 3 epochs (or 5 minutes), with 3 seeds, on 5,000 images, "
    "without pruning"
)
EXAMPLE = "1,000 by concave_activations, 100 by concave_naswot, 10 by train for 3 epochs"
#: keys of a rung that trains, and of one that does not
TRAINING = ("recipe", "epochs", "minutes", "seeds", "images", "holdout", "slowest", "prune")
UNTRAINED = ("batch",)

Whole = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False), Number]


class Rung(Strict):
    """So many networks by a score.

    count: networks that are scored. score: a score's name, several joined by +, module:function,
    table:FILE of trained networks, or train. batch: images that an untrained score sees. recipe: a
    shipped name, or a path beside the text. epochs: the recipe is scaled to them; null is the
    recipe's. minutes: equal time a network and seed, in place of epochs. seeds: trainings a
    network; the score is their mean. images: so many training images, of each class alike; null is
    all. holdout: the share of the training images that networks are judged by. slowest: give a
    network up whose training would take more seconds. prune: stop trainings early that are behind;
    null is yes, save on the highest rung.
    """

    count: Whole
    score: Annotated[str, Field(min_length=1, max_length=500)]
    batch: Annotated[int, Field(strict=True, ge=2, le=4096)] | None = None
    recipe: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    epochs: Annotated[int, Field(strict=True, ge=1, le=100_000)] | None = None
    minutes: Amount | None = None
    seeds: Annotated[int, Field(strict=True, ge=1, le=100)] | None = None
    images: Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)] | None = None
    holdout: Annotated[float, Field(gt=0, lt=1), Number] | None = None
    slowest: Amount | None = None
    prune: bool | None = None

    @property
    def trains(self) -> bool:
        """Whether networks are trained there."""
        return self.score == TRAIN

    @model_validator(mode="after")
    def _laws(self) -> Rung:
        for key in UNTRAINED if self.trains else TRAINING:
            if getattr(self, key) is not None:
                owner = "an untrained score" if self.trains else f"score {TRAIN}"
                law = f"{key} is of {owner}, but the score is {self.score}; leave it out"
                raise LawError(law, (key,), True)
        if self.epochs is not None and self.minutes is not None:
            raise LawError(
                f"networks are trained for equal epochs or for equal time, but got (epochs="
                f"{self.epochs}, minutes={self.minutes:g}); drop one",
                ("minutes",),
                True,
            )
        if not self.trains:
            try:
                # a table is read with the space whose networks it names, by `asked_rungs`
                (table_file if self.score.startswith(TABLE) else find_score)(self.score)
            except ScoreError as error:
                raise LawError(str(error), ("score",)) from None
        return self


class Ladder(Strict):
    """A ladder for searches.

    rungs: from the lowest, each for fewer networks than the one below it.
    """

    format: Literal[1] = FORMAT
    name: Annotated[str, Field(min_length=1, max_length=200)]
    doc: str = ""
    source: str = ""
    rungs: Annotated[tuple[Rung, ...], Field(min_length=1, max_length=MOST_RUNGS)]

    @model_validator(mode="after")
    def _laws(self) -> Ladder:
        if len(self.rungs) < 2:
            rung = self.rungs[0]
            law = (
                f"a ladder has two rungs or more, but got one; --score {rung.score} --trials "
                f"{rung.count} asks the same"
            )
            raise LawError(law, ("rungs",))
        for place, (below, rung) in enumerate(zip(self.rungs, self.rungs[1:], strict=False), 1):
            here = ("rungs", place)
            if rung.count >= below.count:
                law = (
                    "each rung has fewer networks than the one below it, but got "
                    f"{rung.count:,} after {below.count:,}"
                )
                raise LawError(law, (*here, "count"))
            if below.trains and not rung.trains:
                law = (
                    f"above a rung that trains all others do, but got {rung.score}; put it below, "
                    f"or take {TRAIN}"
                )
                raise LawError(law, (*here, "score"))
            if rung.model_copy(update={"count": below.count, "prune": below.prune}) == below:
                law = (
                    f"a rung tells more than the one below it, but both are {words(rung)}; leave "
                    "one out, or make the upper one dearer"
                )
                raise LawError(law, here)
        return self

    def dump(self) -> str:
        """The whole ladder as YAML that reads back to an equal one."""
        return dump_yaml({"format": FORMAT, **self.model_dump(mode="json", exclude_defaults=True)})


def words(rung: Rung) -> str:
    """A rung's score as the sentence says it: `train for 3 epochs with 3 seeds`."""
    told = [rung.score]
    for value, before, unit in (
        (rung.epochs, "for", "epoch"),
        (rung.minutes, "for", "minute"),
        (rung.seeds, "with", "seed"),
        (rung.images or rung.batch, "on", "image"),
    ):
        if value is not None:
            told.append(f"{before} {value:,g} {unit}" + ("" if value == 1 else "s"))
    return " ".join(told)


# A text -------------------------------------------------------------------------------------------


def read_ladder(source: str) -> Ladder:
    """The ladder of --ladder: a sentence, a file or a shipped name; raises SpecError."""
    if not source.strip():
        raise SpecError(f"--ladder needs a sentence, a file or a shipped name; {_advice()}")
    if not source.endswith(YAML) and (" " in source.strip() or "\n" in source):
        return parse_sentence(source)
    return ladder_file(locate(source, LADDER))


def ladder_file(path: Path) -> Ladder:
    """The ladder of a file; its recipes are read, too.

    Raises SpecError with file, line, column, path and law where the text is wrong.
    """
    tree = resolve(path, (), LADDER)
    try:
        found = Ladder.model_validate(tree)
    except ValidationError as error:
        raise _placed(law_of(error), tree) from None
    rungs = [
        rung.model_copy(
            update={
                "score": _score(tree, path, place, rung.score),
                "recipe": _recipe(tree, path, place, rung.recipe),
            }
        )
        for place, rung in enumerate(found.rungs)
    ]
    return found.model_copy(update={"rungs": tuple(rungs)})


def parse_ladder(text: str, name: str = "ladder") -> Ladder:
    """A ladder from YAML text that extends nothing, as `dump` writes it."""
    tree = parse_yaml(text, name)
    tree.setdefault("name", name)
    try:
        return Ladder.model_validate(tree)
    except ValidationError as error:
        raise _placed(law_of(error), tree) from None


def _placed(error: LawError, tree: MarkedDict) -> SpecError:
    """A broken law with its place; rungs are numbered from 0, as all lists of a text."""
    mark = (key_mark(tree, error.path) if error.at_key else None) or find_mark(tree, error.path)
    return SpecError(error.problem, mark, ".".join(map(str, error.path)))


def _score(tree: MarkedDict, path: Path, place: int, score: str) -> str:
    """A rung's score; the table of one is found from anywhere."""
    if not score.startswith(TABLE) or (named := table_file(score)).is_absolute():
        return score
    key = ("rungs", place, "score")
    file = beside(path.parent, str(named), ".".join(map(str, key)), find_mark(tree, key))
    return TABLE + str(file.resolve())


def _recipe(tree: MarkedDict, path: Path, place: int, recipe: str | None) -> str | None:
    """A rung's recipe as it is found from anywhere; one that is wrong is told now."""
    if recipe is None:
        return None
    from archspec.train.recipe import RECIPE, read_recipe

    key = ("rungs", place, "recipe")
    mark, where = find_mark(tree, key), ".".join(map(str, key))
    if recipe.endswith(YAML):
        file = beside(path.parent, recipe, where, mark)
    elif recipe in shipped_recipes():
        file = shipped_recipes()[recipe]
    else:
        try:
            locate(recipe, RECIPE)
        except SpecError as error:
            raise SpecError(error.problem, mark, where) from None
        raise SpecError(f"a file beside this text ends with .yaml, not {recipe!r}", mark, where)
    read_recipe(file)
    return str(file.resolve()) if recipe.endswith(YAML) else recipe


# The sentence -------------------------------------------------------------------------------------

#: commas part rungs, but for those inside a number, as in 10,000
_PART = re.compile(r"\s*(?:,|;|\s)\s*then\s+|\s*;\s*|\s*(?:(?<!\d),|,(?!\d{3}(?!\d)))\s*")
_RUNG = re.compile(r"(?P<count>\d[\d,]*)\s+by\s+(?P<score>\S+)(?P<rest>.*)", re.I | re.S)
_COUNT = r"(?P<value>\d[\d,]*)"
#: what follows the score, by what it says
_CLAUSES = {
    "epochs": re.compile(rf"for\s+{_COUNT}\s+epochs?\b", re.I),
    "minutes": re.compile(r"for\s+(?P<value>\d[\d,]*(?:\.\d+)?)\s+minutes?\b", re.I),
    "seeds": re.compile(rf"with\s+{_COUNT}\s+seeds?\b", re.I),
    "images": re.compile(rf"on\s+{_COUNT}\s+images?\b", re.I),
    "prune": re.compile(r"without\s+pruning\b", re.I),
}
_AND = re.compile(r"\s*(?:and\s+)?", re.I)


def parse_sentence(text: str) -> Ladder:
    """A ladder from a sentence; raises SpecError with the rung's words, the law and the way out."""
    parts = _PART.split(" ".join(text.split()).removesuffix("."))
    rungs: list[dict[str, Any]] = []
    for place, part in enumerate(parts):
        try:
            rungs.append(_rung(part))
            Rung.model_validate(rungs[-1])
        except ValidationError as error:
            raise _told(law_of(error), place, part) from None
        except LawError as error:
            raise _told(error, place, part) from None
    try:
        return Ladder.model_validate({"name": "ladder", "rungs": rungs})
    except ValidationError as error:
        law = law_of(error)
        index = law.path[1] if len(law.path) > 1 else None
        if not isinstance(index, int):
            raise SpecError(law.problem, path="--ladder") from None
        raise _told(law, index, parts[index]) from None


def _told(error: LawError, place: int, part: str) -> SpecError:
    return SpecError(error.problem, path=f"--ladder: rung {place + 1}, {shown(part)}")


def _rung(part: str) -> dict[str, Any]:
    """What a rung's words say; raises LawError where they are none of a rung's."""
    if not part.strip():
        raise LawError(f"a rung is missing here; {_advice()}")
    found = _RUNG.fullmatch(part.strip())
    if found is None:
        raise LawError(f"a rung is {FORM}; {_advice()}")
    score, rest = found["score"], found["rest"]
    told: dict[str, Any] = {"count": _whole(found["count"])}
    told["score"] = TRAIN if score.casefold() == TRAIN else score
    while rest := _AND.sub("", rest, count=1):
        key, clause = next(
            ((key, match) for key, one in _CLAUSES.items() if (match := one.match(rest))),
            ("", None),
        )
        if clause is None:
            raise LawError(f"{shown(rest)} says nothing of a rung, which is {FORM}")
        name = "batch" if key == "images" and told["score"] != TRAIN else key
        if name in told:
            raise LawError(f"{key} are told twice; leave one out")
        told[name] = _value(key, clause)
        rest = rest[clause.end() :]
    return told


def _value(key: str, clause: re.Match[str]) -> object:
    if key == "prune":
        return False
    return float(clause["value"].replace(",", "")) if key == "minutes" else _whole(clause["value"])


def _whole(text: str) -> int:
    if "," in text and not re.fullmatch(r"\d{1,3}(,\d{3})+", text):
        raise LawError(f"commas part thousands, as in 10,000, but got {text}")
    # beyond any limit, and int() refuses what is longer than some thousand digits
    return int(text.replace(",", "")[:20])


def _advice() -> str:
    return f"such as --ladder {EXAMPLE!r}"


__all__ = [
    "Ladder",
    "Rung",
    "ladder_file",
    "parse_ladder",
    "parse_sentence",
    "read_ladder",
    "words",
]
