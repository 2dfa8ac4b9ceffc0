"""One path language: error places, `set`, `--set`, search parameters, diff, axes of the page.

`stages.0.block.lmhsa#2.reduction` names units by name, the second of a name by `#2`. A key path
is the same place as the keys of the tree: ("stages", 0, "block", 3, "lmhsa", "reduction").
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from archspec.errors import LawError, Mark, did_you_mean
from archspec.layers import LAYERS
from archspec.marks import MarkedDict, MarkedList, copy_tree
from archspec.strict import DOMAINS, shown

Key = str | int
KeyPath = tuple[Key, ...]
_PART = re.compile(r"\*|[0-9]{1,6}|[A-Za-z_][A-Za-z0-9_]*(?:#[1-9][0-9]{0,5})?")
#: lists whose items are not nodes
_PLAIN_LISTS = ("stages", "blocks", "add", "concat", "mul", "attach", "merge")


def parse_path(text: str) -> KeyPath:
    """Parts of a path; `*` stands for every item."""
    parts: list[Key] = []
    for part in text.split("."):
        if not _PART.fullmatch(part):
            raise LawError(
                f"a path is words and numbers joined by dots, such as stages.0.depth or "
                f"stages.*.width, but got {shown(text)}"
            )
        parts.append(int(part) if part.isdigit() else part)
    return tuple(parts)


def item_name(item: object) -> str | None:
    """The word by which a path addresses a raw node."""
    if isinstance(item, str):
        return item
    if isinstance(item, Mapping):
        if "times" in item or "do" in item:
            return "times"
        return next((str(key) for key in item if key != "when"), None)
    return None


def find(tree: Any, path: KeyPath, unwritten: Sequence[str] = ()) -> list[KeyPath]:
    """Key paths that match, in order; the last part may be a key that is not there yet.

    unwritten: mappings at the top that are there without being written. Raises LawError naming the
    part that leads nowhere.
    """
    start = path[0] if path else None
    if start in unwritten and start not in tree and len(path) > 1 and "*" not in path:
        return [path]
    matches = list(_find(tree, tree, path, ()))
    if not matches:
        raise LawError(f"the path {show(path)} matches nothing")
    return matches


def _find(root: Any, tree: Any, path: KeyPath, done: KeyPath) -> Iterator[KeyPath]:
    if not path:
        yield done
        return
    part, rest = path[0], path[1:]
    if isinstance(tree, list):
        for index in _indexes(tree, part, done):
            item = tree[index]
            if isinstance(part, str) and part != "*":
                name = part.partition("#")[0]
                if name == "times" or rest == ("when",):
                    # these keys stand beside each other, not below the name
                    yield from _find(root, item, rest, (*done, index))
                    continue
                inner = item[name] if isinstance(item, Mapping) else None
                yield from _find(root, inner, rest, (*done, index, name))
            else:
                yield from _find(root, item, rest, (*done, index))
    elif isinstance(tree, Mapping):
        if any(key in tree for key in DOMAINS) and part not in tree:
            raise LawError(f"{show(done)} is a domain; nothing below it can be set")
        keys = list(tree) if part == "*" else [part]
        for key in keys:
            if key in tree:
                yield from _find(root, tree[key], rest, (*done, key))
            elif _inherited(root, done, key):
                yield from _find(root, root["each_stage"][key], rest, (*done, key))
            elif not rest and isinstance(key, str) and key.isidentifier():
                yield (*done, key)
            else:
                raise LawError(f"{show(done)} has no {key!r}: {did_you_mean(key, list(tree))}")
    elif not rest and isinstance(part, str) and part.isidentifier():
        # a knob of a node that was written bare: `lmhsa`, `{linear: classes}`
        yield (*done, part)
    else:
        raise LawError(f"{show(done)} holds one value; {show(path)} leads nowhere below it")


def _inherited(root: Any, done: KeyPath, key: Key) -> bool:
    each = root.get("each_stage")
    return len(done) == 2 and done[0] == "stages" and isinstance(each, Mapping) and key in each


def _indexes(items: list[Any], part: Key, done: KeyPath) -> list[int]:
    if part == "*":
        return list(range(len(items)))
    if isinstance(part, int):
        if part >= len(items):
            raise LawError(f"{show(done)} has {len(items)} items, numbered from 0; no {part}")
        return [part]
    if done and done[-1] in _PLAIN_LISTS:
        raise LawError(f"{show(done)} are numbered from 0, or * for all, but got {part!r}")
    name, _, nth = part.partition("#")
    same = [index for index, item in enumerate(items) if item_name(item) == name]
    number = int(nth or 1)
    if number > len(same):
        names = [item_name(item) for item in items]
        raise LawError(f"{show(done)} has no {part!r}: {did_you_mean(part, filter(None, names))}")
    return [same[number - 1]]


def assign(
    tree: MarkedDict,
    path: KeyPath,
    value: Any,
    mark: Mark | None,
    copy: Callable[[Any], Any] = copy_tree,
) -> None:
    """Put a value at a key path, in place; bare nodes open up to hold their knob.

    copy: how a stage gets its own of what each_stage gives it.
    """
    here: Any = tree
    unwritten = False
    for depth, key in enumerate(path[:-1]):
        following = path[depth + 1]
        if isinstance(here, MarkedDict) and key not in here and _inherited(tree, path[:depth], key):
            each = tree["each_stage"]
            put(here, key, copy(each[key]), each.marks.get(key))
        # below what stands unwritten at the top, all is unwritten
        if isinstance(here, MarkedDict) and key not in here and (here is tree or unwritten):
            unwritten = True
            put(here, key, MarkedDict(tree.mark), None)
        child = here[key]
        if isinstance(here, list) and isinstance(child, str):
            place = here.marks[key]  # type: ignore[attr-defined]
            opened = MarkedDict(place)
            put(opened, child, MarkedDict(place), place)
            put(here, key, opened, place)
        elif isinstance(here, MarkedDict) and not isinstance(child, (list, Mapping)):
            place = here.marks.get(str(key), here.mark)
            put(here, key, _opened(key, child, following, place), place)
        here = here[key]
    last = path[-1]
    if isinstance(here, MarkedDict) and last in ("block", "blocks"):
        here.pop("blocks" if last == "block" else "block", None)
    put(here, last, value, mark)


def _opened(name: Key, value: object, knob: Key, place: Mark) -> MarkedDict:
    layer = LAYERS.get(str(name))
    opened = MarkedDict(place)
    if value is not None:
        if layer is None or layer.primary is None:
            raise LawError(f"{name} holds one value; it has no {knob!r}")
        put(opened, layer.primary, value, place)
    return opened


def put(container: Any, key: Key, value: Any, mark: Mark | None) -> None:
    """Set an item and its place; what was made in Python has none."""
    container[key] = value
    if not hasattr(container, "marks"):
        return
    place = mark or container.mark
    container.marks[key] = place
    if isinstance(container, MarkedDict):
        container.key_marks.setdefault(str(key), place)


def show(path: KeyPath) -> str:
    """A path as text, part by part."""
    return ".".join(map(str, path)) or "the text"


def pretty(tree: Any, path: KeyPath) -> str:
    """A key path as the path that a person writes: nodes by name, not by number."""
    words: list[str] = []
    here, skip = tree, False
    for depth, key in enumerate(path):
        if skip:
            skip = False
        elif isinstance(here, list) and isinstance(key, int) and _is_node(here, key, path, depth):
            name = item_name(here[key])
            number = _numbers(here)[key]
            words.append(f"{name}#{number}" if number > 1 else str(name))
            skip = name != "times" and depth + 1 < len(path) and path[depth + 1] == name
        else:
            words.append(str(key))
        try:
            here = here[key]
        except (KeyError, IndexError, TypeError):
            here = None
    return ".".join(words)


def _numbers(items: list[Any]) -> list[int]:
    """The number of each item among those of its name, from 1; remembered with the list."""
    known = items.numbered if isinstance(items, MarkedList) else None
    if known is not None and known[0] == items:
        return known[1]
    seen: Counter[str | None] = Counter()
    numbers = []
    for item in items:
        name = item_name(item)
        seen[name] += 1
        numbers.append(seen[name])
    if isinstance(items, MarkedList):
        items.numbered = list(items), numbers
    return numbers


def _is_node(items: list[Any], index: int, path: KeyPath, depth: int) -> bool:
    if index >= len(items) or (depth and path[depth - 1] in _PLAIN_LISTS):
        return False
    name = item_name(items[index])
    following = path[depth + 1] if depth + 1 < len(path) else name
    return name is not None and (name == "times" or following in (name, "when"))
