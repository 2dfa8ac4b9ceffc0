"""Layouts: what each of our tensors is called in published checkpoints, as data.

A file of specs/weights holds the layouts of a family. Its rules go from our names to theirs, so
that one table serves import and export: docs/weights.md tells the notation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter, ValidationError, model_validator

from archspec.errors import LawError, SpecError, WeightsError, did_you_mean
from archspec.expressions import Expression, parse
from archspec.load import read_yaml
from archspec.resolve import YAML, beside, placed
from archspec.shipped import shipped_weights
from archspec.strict import Strict, law_of, shown

#: `{s}` or `{s+1:a}` in a name
_PLACE = re.compile(r"\{([^{}]*)\}")
#: numbers that every name may use, beside those that its rule binds
COUNTERS = ("block", "layer")
#: what a rule says that is not a deeper rule
_SELF, _TO = ".", "to"
#: a piece of a name: a text, or a number and whether it is written as a letter
_Part = str | tuple[Expression, bool]


class Form(NamedTuple):
    """How the same numbers stand there.

    view: the shape that the tensor has there; 0 is as ours at this axis, -1 what follows.
    rows, order: their first axis seen as `rows`, its axes in this order, is our first axis;
    `head_dim` is the width of a head of the attention that the tensor belongs to.
    transpose: their first axis is our last; flip: the others of theirs are read backwards.
    """

    view: tuple[int, ...] | None = None
    rows: tuple[int | Literal["head_dim"], ...] | None = None
    order: tuple[int, ...] | None = None
    transpose: bool = False
    flip: bool = False


class Their(NamedTuple):
    """What one of our tensors is there.

    names: one, or several whose tensors ours is, in equal parts along the first axis; a name that
    stands twice takes two parts.
    """

    names: tuple[str, ...]
    form: Form


class _Rule(NamedTuple):
    """Our names that begin so are theirs that begin so."""

    ours: re.Pattern[str]
    theirs: tuple[tuple[_Part, ...], ...]
    form: Form


class _Text(Strict):
    """A layout as written."""

    source: str
    names: dict[str, Any]
    skip: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _read(self) -> _Text:
        list(_rules("", (), self.names))
        return self


class Layout:
    """The names of one implementation; `source` says whose.

    `skip` are patterns of their tensors that ours has no use for: auxiliary heads, and buffers
    that are computed here.
    """

    def __init__(self, family: str, name: str, text: _Text) -> None:
        self.family, self.name, self.source = family, name, text.source
        self.skip = text.skip
        self._rules = tuple(_rules("", (), text.names))

    def find(self, ours: str, counters: Mapping[str, int]) -> Their | None:
        """What a tensor of ours is called there.

        By the rule that says most of its name; of equals, by the one with fewer numbers left open.
        """
        best: tuple[tuple[int, int], _Rule, re.Match[str]] | None = None
        for rule in self._rules:
            match = rule.ours.match(ours)
            if match is None:
                continue
            says = (match.end(), -rule.ours.groups)
            if best is None or says > best[0]:
                best = (says, rule, match)
        if best is None:
            return None
        (end, _), rule, match = best
        scope = {**counters, **{word: int(number) for word, number in match.groupdict().items()}}
        names = tuple(_filled(parts, scope) + ours[end:] for parts in rule.theirs)
        return Their(names, rule.form)

    def skips(self, theirs: str) -> bool:
        """Whether a tensor of theirs is left out on purpose."""
        return any(fnmatch(theirs, pattern) for pattern in self.skip)


def _filled(parts: tuple[_Part, ...], scope: Mapping[str, int]) -> str:
    def text(part: _Part) -> str:
        if isinstance(part, str):
            return part
        number, letter = int(part[0].evaluate(scope)), part[1]
        # beyond z there is no letter: a name that no checkpoint has
        return chr(ord("a") + number) if letter and 0 <= number < 26 else str(number)

    return "".join(map(text, parts))


def _rules(prefix: str, before: tuple[str, ...], names: Mapping[str, Any]) -> Iterator[_Rule]:
    """Every rule of a tree; prefix is the key path so far, before what it is called there."""
    own = names.get(_SELF, "")
    if not isinstance(own, str):
        raise LawError(f"a name is needed, but got {shown(own)}", (_SELF,))
    before = (*before, own) if own else before
    for key, value in names.items():
        if key == _SELF:
            continue
        path = f"{prefix}.{key}" if prefix else key
        try:
            if isinstance(value, Mapping) and _TO not in value:
                yield from _rules(path, before, value)
            elif isinstance(value, Mapping):
                names_there = value[_TO] if isinstance(value[_TO], list) else [value[_TO]]
                yield _rule(path, before, names_there, _form(value))
            else:
                yield _rule(path, before, value if isinstance(value, list) else [value], Form())
        except LawError as error:
            raise error.under(key) from None


_LAID_OUT = TypeAdapter(Form)


def _form(value: Mapping[str, Any]) -> Form:
    given = {key: item for key, item in value.items() if key != _TO}
    try:
        form = _LAID_OUT.validate_python(given)
    except ValidationError as error:
        raise law_of(error) from None
    if not given or not given.keys() <= set(Form._fields):
        raise LawError(f"what is laid out otherwise has {', '.join(Form._fields)}, or some of them")
    rows = [row for row in form.rows or () if row != "head_dim"]
    if any(row == 0 or int(row) < -1 for row in rows) or rows.count(-1) > 1:
        raise LawError("rows are numbers from 1, head_dim, and one -1 for what follows")
    if sorted(form.order or ()) != list(range(len(form.rows or ()))):
        raise LawError("rows and order go together, such as rows: [-1, 3, 32], order: [1, 0, 2]")
    return form


def _rule(path: str, before: tuple[str, ...], theirs: list[Any], form: Form) -> _Rule:
    if not theirs or not all(isinstance(name, str) for name in theirs):
        raise LawError(f"a name, a list of names or deeper names are needed, but got {theirs}")
    if len(theirs) > 1 and form != Form():
        raise LawError(
            "several names make one tensor as they are; only one may be laid out otherwise"
        )
    for text in (path, *theirs):
        if set(_PLACE.sub("", text)) & set("{}"):
            raise LawError(f"a brace without its other one in {text!r}")
    words: list[str] = []

    def number(match: re.Match[str]) -> str:
        word = match[1]
        if not word.isidentifier() or word in words or word in COUNTERS:
            raise LawError(f"{match[0]} stands for a number and is bound once, but got {path!r}")
        words.append(word)
        return f"\0{word}\0"

    marked = re.escape(_PLACE.sub(number, path))
    for word in words:
        marked = marked.replace(re.escape(f"\0{word}\0"), rf"(?P<{word}>\d+)")
    legal = {*words, *COUNTERS}
    parts = tuple(tuple(_parts(".".join(filter(None, (*before, name))), legal)) for name in theirs)
    return _Rule(re.compile(rf"{marked}(?=\.|$)"), parts, form)


def _parts(text: str, legal: set[str]) -> Iterator[_Part]:
    for index, piece in enumerate(_PLACE.split(text)):
        if index % 2 == 0:
            yield piece
            continue
        formula, _, letter = piece.partition(":")
        expression = parse(formula)
        for word in expression.words - legal:
            raise LawError(f"unknown word {word!r}: {did_you_mean(word, sorted(legal))}")
        if letter not in ("", "a"):
            raise LawError(f"{{{piece}}}: only `:a`, a letter, may follow a number")
        yield expression, bool(letter)


def layouts_of(family: str, folder: Path | None = None) -> tuple[Layout, ...]:
    """The layouts of a family, or of a file in a spec's folder, the usual one first.

    Raises SpecError with the place.
    """
    if family.endswith(YAML):
        return read_layouts(beside(folder or Path(), family, "weights", None))
    return _shipped(family)


@cache
def _shipped(family: str) -> tuple[Layout, ...]:
    files = shipped_weights()
    if family not in files:
        raise WeightsError(
            f"no family of weights is called {family!r}: {did_you_mean(family, sorted(files))}"
        )
    return read_layouts(files[family])


def read_layouts(path: Path) -> tuple[Layout, ...]:
    """The layouts of one file; raises SpecError with the place."""
    tree = read_yaml(path)
    layouts = []
    for name, text in tree.items():
        try:
            if name == "archspec":
                raise LawError("the layout archspec is our own; choose another name")
            layouts.append(Layout(path.stem, str(name), _Text.model_validate(text)))
        except ValidationError as error:
            raise placed(law_of(error).under(name), tree) from None
        except LawError as error:
            raise placed(error.under(name), tree) from None
    if not layouts:
        raise SpecError(f"{path} holds no layout")
    return tuple(layouts)
