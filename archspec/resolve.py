"""One tree from one text: `extends` merged, `set` applied, `each_stage` dealt to the stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from archspec.errors import LawError, Mark, SpecError, did_you_mean
from archspec.load import MAX_NODES, parse_yaml, read_yaml
from archspec.marks import MarkedDict, MarkedList, copy_tree, count_values, find_mark, key_mark
from archspec.paths import KeyPath, assign, find, parse_path, pretty, show
from archspec.shipped import find_shipped, shipped_ladders, shipped_specs
from archspec.strict import is_domain, shown

#: every key of a text, in the order in which it is written
KEYS = (
    "format",
    "name",
    "doc",
    "extends",
    "set",
    "form",
    "input",
    "classes",
    "defaults",
    "units",
    "stem",
    "each_stage",
    "stages",
    "head",
    "weights",
    "scaling",
    "reference",
)
FORMAT: Literal[1] = 1
#: how the name of a file ends, where a shipped name may stand, too
YAML = (".yaml", ".yml")
_NODE_LISTS = ("stem", "head", "down", "block", "blocks", "shortcut", "do", "body")
MOST_EXTENDS = 32


@dataclass(frozen=True)
class Kind:
    """A kind of text: networks and spaces, recipes, or studies.

    keys: all that may stand at its top. merged: keys whose mappings merge with a parent's.
    own: keys that are not inherited. known: shipped texts by name; find: one by a name that may
    be shortened.
    """

    noun: str
    keys: tuple[str, ...]
    merged: tuple[str, ...]
    own: tuple[str, ...]
    known: Callable[[], Mapping[str, Path]]
    find: Callable[[str], Path | None]


NETWORK = Kind(
    "spec",
    KEYS,
    merged=("input", "defaults", "units"),
    own=("format", "name", "doc", "reference"),
    known=shipped_specs,
    find=find_shipped,
)
#: of a search's rungs: search/ladder.py reads it
LADDER = Kind(
    "ladder",
    ("format", "name", "doc", "source", "extends", "set", "rungs"),
    merged=(),
    own=("format", "name", "doc", "source"),
    known=shipped_ladders,
    find=lambda name: shipped_ladders().get(name),
)


def locate(source: str, kind: Kind = NETWORK) -> Path:
    """The file of a text as given on the command line: a path, or a shipped name."""
    path = Path(source)
    if path.suffix in YAML or "/" in source or _is_file(path):
        return path
    found = kind.find(source)
    if found is None:
        raise SpecError(
            f"no file and no shipped {kind.noun} is called {shown(source)}: "
            f"{did_you_mean(source, kind.known())}"
        )
    return found


def _is_file(path: Path) -> bool:
    """Whether this names a file; no file has a name that the system refuses."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


class _Copies:
    """Trees copied for one text, counted, so that a small text cannot fill the memory."""

    def __init__(self) -> None:
        self.values = 0

    def count(self, values: int) -> None:
        self.values += values
        if self.values > MAX_NODES:
            raise LawError(
                f"set and each_stage may write at most {MAX_NODES:,} values in all, but got "
                f"{self.values:,}; put what repeats into a unit"
            )

    def copy(self, tree: Any) -> Any:
        self.count(count_values(tree))
        return copy_tree(tree)


def resolve(
    path: Path,
    edits: Sequence[tuple[str, str]] = (),
    kind: Kind = NETWORK,
    settings: Sequence[MarkedDict] = (),
) -> MarkedDict:
    """The tree of a file with its parents merged and each_stage dealt out.

    settings: mappings of path: value, applied one after the other, as another text's `set` would.
    edits: (path, YAML value) pairs, applied last, as `--set path=value` gives them.
    """
    copies = _Copies()
    tree = _resolve(path, (), copies, kind)
    for changes in settings:
        apply_settings(tree, changes, changes.mark, kind, copies)
    edit(tree, edits, kind, copies)
    return deal(tree, copies) if kind is NETWORK else tree


def edit(
    tree: MarkedDict,
    edits: Sequence[tuple[str, str]],
    kind: Kind,
    copies: _Copies | None = None,
) -> None:
    """Apply (path, YAML value) pairs to a tree in place; raises SpecError."""
    copies = copies or _Copies()
    for where, text in edits:
        shown_as = f"--set {where if len(where) <= 100 else where[:97] + '...'}"
        if len(f"{text}.".splitlines()) > 1:
            raise SpecError(f"{shown_as}: a value is one line of YAML, but got {shown(text)}")
        value = parse_yaml(f"value: {text}", shown_as)["value"]
        try:
            _set(tree, where, value, Mark(shown_as, 1, 1), copies, kind)
        except LawError as error:
            raise SpecError(f"{shown_as}: {error.problem}") from None


def _resolve(path: Path, trail: tuple[Path, ...], copies: _Copies, kind: Kind) -> MarkedDict:
    tree = read_yaml(path)
    _check_keys(tree, kind)
    if "name" not in tree:
        tree["name"] = path.stem
    parent = tree.pop("extends", None)
    settings, place = tree.pop("set", None), tree.marks.get("set")
    if parent is not None:
        mark = tree.marks.get("extends")
        base_path = _parent(path, parent, mark, kind)
        real = path.resolve()
        if base_path.resolve() in (*trail, real):
            names = " -> ".join(item.name for item in (*trail, real, base_path))
            raise SpecError(f"extends goes in a circle: {names}", mark, "extends")
        if len(trail) >= MOST_EXTENDS:
            raise SpecError(f"extends may go {MOST_EXTENDS} texts deep at most", mark, "extends")
        tree = _merge(_resolve(base_path, (*trail, real), copies, kind), tree, kind)
    if settings is not None:
        apply_settings(tree, settings, place, kind, copies)
    return tree


def _check_keys(tree: MarkedDict, kind: Kind) -> None:
    version = tree.get("format", FORMAT)
    if version != FORMAT or isinstance(version, bool):
        newer = isinstance(version, int) and version > FORMAT
        why = "is newer than this archspec; update it"
        why = why if newer else f"is not a format; write {FORMAT}"
        raise SpecError(f"format {shown(version)} {why}", find_mark(tree, ("format",)), "format")
    for key in tree:
        if key not in kind.keys:
            problem = f"unknown key {shown(key)}: {did_you_mean(key, kind.keys)}"
            raise SpecError(problem, tree.key_marks.get(key), key)


def _parent(path: Path, parent: object, mark: Mark | None, kind: Kind) -> Path:
    if not isinstance(parent, str) or not parent:
        law = f"extends is a shipped name or a path, but got {shown(parent)}"
        raise SpecError(law, mark, "extends")
    if not parent.endswith(YAML):
        found = kind.find(parent)
        if found is not None:
            return found
        near = did_you_mean(parent, kind.known())
        raise SpecError(
            f"extends names no shipped {kind.noun}, {shown(parent)}: {near}; a path ends in .yaml",
            mark,
            "extends",
        )
    return beside(path.parent, parent, "extends", mark)


def beside(place: Path, name: str, key: str, mark: Mark | None) -> Path:
    """A file that a text names: in the text's own folder or below; raises SpecError."""
    folder = place.resolve()
    law = f"{key} names no file, {shown(name)} in {place}; check its name"
    try:
        target = (folder / name).resolve()
    except (OSError, ValueError, RuntimeError):  # a name that the system refuses, a link in a loop
        raise SpecError(law, mark, key) from None
    if not target.is_relative_to(folder):
        raise SpecError(f"{key} stays inside its folder, but got {shown(name)}", mark, key)
    if not _is_file(target):
        raise SpecError(law, mark, key)
    return place / name


def name_from(source: str, out: Path | None, key: str) -> str:
    """How a text at `out` names a source under a key: a shipped name, or a path below its folder.

    out: None is a text beside the source. Raises SpecError where it cannot.
    """
    path = locate(source)
    shipped = find_shipped(path.stem)
    if shipped is not None and shipped.resolve() == path.resolve():
        return path.stem
    if out is None:
        return path.name
    try:
        return str(path.resolve().relative_to(out.resolve().parent))
    except ValueError:
        other = path.with_name(f"{path.stem}_2.yaml" if out.name == path.name else out.name)
        raise SpecError(
            f"{key} stays inside its folder, but {out} would name {path}, which lies elsewhere; "
            f"write it beside, such as -o {other}"
        ) from None


def read_from(source: str | Path, kind: Kind = NETWORK) -> list[Path]:
    """The files that a text is read from: its own, and those that it extends, one by the other."""
    path = source if isinstance(source, Path) else locate(source, kind)
    files: list[Path] = []
    while path is not None and path not in files:
        files.append(path)
        tree = read_yaml(path)
        parent = tree.get("extends")
        if parent is None:
            break
        path = _parent(path, parent, tree.marks.get("extends"), kind)
    return files


def check_place(out: Path, files: Iterable[Path]) -> None:
    """Raise SpecError where a text cannot be written to `out`, or would overwrite one of these."""
    if out.is_dir():
        raise SpecError(f"{out} is a folder; -o names a file")
    real = out.resolve()
    for file in files:
        if file.resolve() == real:
            other = out.with_name(f"{out.stem}_2{out.suffix or '.yaml'}")
            raise SpecError(f"{out} is read for this; write it elsewhere, such as -o {other}")


def _merge(base: MarkedDict, over: MarkedDict, kind: Kind) -> MarkedDict:
    """Keys replace; those that the kind names merge, or are not inherited."""
    base.mark = over.mark  # what is wrong with the whole is the text's own
    for key in kind.own:
        base.pop(key, None)
    for key, value in over.items():
        below = base.get(key)
        if key in kind.merged and isinstance(below, MarkedDict) and isinstance(value, MarkedDict):
            for inner, item in value.items():
                below[inner] = item
                below.marks[inner] = value.marks[inner]
                below.key_marks[inner] = value.key_marks[inner]
        else:
            base[key] = value
            if key in over.marks:
                base.marks[key], base.key_marks[key] = over.marks[key], over.key_marks[key]
    return base


def apply_settings(
    tree: MarkedDict,
    settings: object,
    place: Mark | None,
    kind: Kind,
    copies: _Copies | None = None,
) -> None:
    """Apply a `set`, a mapping of path: value, to a tree in place; raises SpecError."""
    copies = copies or _Copies()
    if not isinstance(settings, MarkedDict):
        raise SpecError(f"set is a mapping of path: value, but got {shown(settings)}", place, "set")
    for where, value in settings.items():
        try:
            _set(tree, str(where), value, settings.marks.get(where), copies, kind)
        except LawError as error:
            raise SpecError(error.problem, settings.key_marks.get(where), f"set.{where}") from None


def _set(
    tree: MarkedDict, where: str, value: Any, mark: Mark | None, copies: _Copies, kind: Kind
) -> None:
    path = parse_path(where)
    matches = find(tree, path, kind.merged)
    if "*" in path and path[-1] not in _NODE_LISTS and _deals(value):
        if len(value) != len(matches):
            raise LawError(
                f"a list is dealt out, one value to each match of {show(path)}: "
                f"{len(matches)} are needed, but got {len(value)}"
            )
        marks = getattr(value, "marks", [mark] * len(value))
        for match, item, place in zip(matches, value, marks, strict=True):
            copies.count(1)
            assign(tree, match, item, place, copies.copy)
    else:
        for match in matches:
            assign(tree, match, copies.copy(value), mark, copies.copy)


def _deals(value: object) -> bool:
    return isinstance(value, list) and all(
        is_domain(item) or not isinstance(item, (list, Mapping)) for item in value
    )


def deal(tree: MarkedDict, copies: _Copies | None = None) -> MarkedDict:
    """each_stage's keys given to every stage that does not state its own."""
    copies = copies or _Copies()
    each = tree.pop("each_stage", None)
    if each is None:
        return tree
    mark = tree.marks.get("each_stage")
    if not isinstance(each, MarkedDict):
        raise SpecError(f"each_stage is a mapping, but got {shown(each)}", mark, "each_stage")
    stages = tree.get("stages")
    if not isinstance(stages, MarkedList):
        return tree
    for stage in stages:
        if not isinstance(stage, MarkedDict):
            continue
        for key, value in each.items():
            replaced = key in ("block", "blocks") and ("block" in stage or "blocks" in stage)
            if key not in stage and not replaced:
                try:
                    stage[key] = copies.copy(value)
                except LawError as error:
                    raise SpecError(error.problem, mark, "each_stage") from None
                stage.marks[key], stage.key_marks[key] = each.marks[key], each.key_marks[key]
    return tree


def placed(error: LawError, tree: Any, fallback: str = "") -> SpecError:
    """A law that broke in `tree`, with file, line, column and path."""
    path = _as_written(tree, error.own or error.path)
    mark = (key_mark(tree, path) if error.at_key else None) or find_mark(tree, path)
    mark = mark or (Mark(fallback, 1, 1) if fallback else None)
    trail = error.inside
    if len(trail) > 4:
        trail = (*trail[:2], "...", *trail[-2:])
    inside = f" (in unit {' > '.join(trail)})" if trail else ""
    return SpecError(error.problem + inside, mark, pretty(tree, _as_written(tree, error.path)))


def _as_written(tree: Any, path: KeyPath) -> KeyPath:
    """Without the `block` of blocks that take turns, which are written as plain lists."""
    match path:
        case ("stages", int(stage), "blocks", int(turn), "block", *rest):
            try:
                plain = isinstance(tree["stages"][stage]["blocks"][turn], list)
            except (KeyError, IndexError, TypeError):
                plain = False
            return ("stages", stage, "blocks", turn, *rest) if plain else path
    return path


__all__ = [
    "KEYS",
    "Kind",
    "apply_settings",
    "check_place",
    "deal",
    "locate",
    "name_from",
    "placed",
    "read_from",
    "resolve",
]
