"""Which kind of text a file holds: a network or space, a recipe, a study, a roadmap, a ladder,
or a rule."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from archspec.errors import SpecError, did_you_mean
from archspec.load import read_yaml
from archspec.resolve import LADDER, NETWORK, YAML, Kind, beside
from archspec.roadmap.text import ROADMAP
from archspec.scaling.rule import RULE, RULE_SPACE
from archspec.study.text import STUDY
from archspec.train.recipe import RECIPE

KINDS = (NETWORK, RECIPE, STUDY, ROADMAP, LADDER, RULE, RULE_SPACE)


def _known() -> Mapping[str, Path]:
    return {name: path for kind in KINDS for name, path in kind.known().items()}


def _find(name: str) -> Path | None:
    return next((path for kind in KINDS if (path := kind.find(name)) is not None), None)


#: where a name may be one of any kind
ANY = Kind(
    "network, space, recipe, study, roadmap, ladder or rule",
    (),
    merged=(),
    own=(),
    known=_known,
    find=_find,
)


def kind_of(path: Path) -> Kind:
    """The kind that most keys of a text belong to; of several, the one of what it extends.

    A text without a word that tells is taken for a network. Raises SpecError where it is no YAML.
    """
    return _kind_of(path, ())


def _kind_of(path: Path, trail: tuple[Path, ...]) -> Kind:
    tree = read_yaml(path)
    counts = [sum(key in kind.keys for key in tree) for kind in KINDS]
    likely = [kind for kind, count in zip(KINDS, counts, strict=True) if count == max(counts)]
    parent = tree.get("extends")
    if len(likely) == 1 or not isinstance(parent, str) or not parent:
        return likely[0]
    if parent.endswith(YAML):
        return _of_parent(path, parent, (*trail, path.resolve())) or likely[0]
    found = [kind for kind in likely if kind.find(parent) is not None]
    # a name that nothing bears is told by the kind that has the nearest one
    near = [kind for kind in likely if "did you mean" in did_you_mean(parent, kind.known())]
    return (found or near or likely)[0]


def _of_parent(path: Path, parent: str, trail: tuple[Path, ...]) -> Kind | None:
    """The kind of a file that a text extends; None where it cannot be told."""
    try:
        base = beside(path.parent, parent, "extends", None)
        return None if base.resolve() in trail else _kind_of(base, trail)
    except SpecError:
        # told with its place by who reads the text
        return None
