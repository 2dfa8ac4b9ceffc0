"""Trees that know where each value stands in its text."""

from __future__ import annotations

from typing import Any

from archspec.errors import Mark


class MarkedDict(dict[str, Any]):
    """A mapping with the place of itself, of each value (`marks`) and of each key (`key_marks`)."""

    __slots__ = ("key_marks", "mark", "marks")

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.marks: dict[str, Mark] = {}
        self.key_marks: dict[str, Mark] = {}


class MarkedList(list[Any]):
    """A sequence with the place of itself and of each value (`marks`, as long as the list)."""

    __slots__ = ("mark", "marks", "numbered")

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.marks: list[Mark] = []
        #: what `paths` last saw here, and the number of each item among those of its name
        self.numbered: tuple[list[Any], list[int]] | None = None


def copy_tree(tree: Any) -> Any:
    """A deep copy that keeps all marks; leaves are shared."""
    if isinstance(tree, MarkedDict):
        copied = MarkedDict(tree.mark)
        copied.update((key, copy_tree(value)) for key, value in tree.items())
        copied.marks, copied.key_marks = dict(tree.marks), dict(tree.key_marks)
        return copied
    if isinstance(tree, MarkedList):
        items = MarkedList(tree.mark)
        items.extend(copy_tree(value) for value in tree)
        items.marks = list(tree.marks)
        return items
    if isinstance(tree, dict):
        return {key: copy_tree(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(copy_tree(value) for value in tree)
    return tree


def count_values(tree: Any) -> int:
    """How many values a tree holds, itself included."""
    if isinstance(tree, dict):
        return 1 + sum(map(count_values, tree.values()))
    if isinstance(tree, list | tuple):
        return 1 + sum(map(count_values, tree))
    return 1


def find_mark(tree: Any, path: tuple[str | int, ...]) -> Mark | None:
    """The deepest known place on the way along `path`: of the value, or of its nearest parent."""
    mark: Mark | None = getattr(tree, "mark", None)
    for part in path:
        known: Mark | None = None
        if isinstance(tree, dict) and part in tree:
            known = tree.marks.get(str(part)) if isinstance(tree, MarkedDict) else None
            tree = tree[part]
        elif isinstance(tree, list | tuple) and isinstance(part, int) and 0 <= part < len(tree):
            if isinstance(tree, MarkedList) and part < len(tree.marks):
                known = tree.marks[part]
            tree = tree[part]
        else:
            break
        # A container carries its own place along when code moves it to another parent.
        mark = getattr(tree, "mark", known) or mark
    return mark


def key_mark(tree: Any, path: tuple[str | int, ...]) -> Mark | None:
    """The place of the key that a path ends with, where a mapping on the way knows it."""
    for part in path[:-1]:
        try:
            tree = tree[part]
        except (KeyError, IndexError, TypeError):
            return None
    return tree.key_marks.get(str(path[-1])) if isinstance(tree, MarkedDict) else None
