"""YAML text to a tree that knows where each value stands.

The rules are those of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), not
PyYAML's 1.1: `1e-6` is a number, `on` and `31:29` are strings, `017` is 17. A text can only ever
become dicts, lists, strings, numbers, booleans and None; what could run code, exhaust memory or
surprise a reader (tags, merge keys, duplicate keys, alias bombs) is refused with its place.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from archspec.errors import LawError, Mark, SpecError, did_you_mean
from archspec.marks import MarkedDict, MarkedList, copy_tree
from archspec.scalars import MAX_NUMBER, plain_value, quoted

MAX_BYTES = 1 << 20
MAX_LEVELS = 64
MAX_ALIASES = 1_000
MAX_NODES = 100_000
MAX_KEY = 1_000

# The pure parser is some twenty times slower and reads the same language.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]",
)
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_HINTS = {
    "mapping values are not allowed": "quote a text that holds ': ', and check the indentation",
    "cannot start any token": "quote a text that starts with a sign",
    "did not find expected": "check the indentation, brackets, commas and quotes",
    "expected ',' or": "check the brackets, commas and quotes",
    "could not find expected ':'": "a key is followed by ': '",
    "unexpected end of stream": "close the quotes",
}


def read_yaml(path: Path, shown: str | None = None) -> MarkedDict:
    """The mapping that a file holds; errors name the file as `shown` (default: the path).

    Raises SpecError for a file that is missing, no regular file, over 1 MiB or not UTF-8, and
    for all that `parse_yaml` refuses.
    """
    name = str(path) if shown is None else shown
    top = Mark(name, 1, 1)
    try:
        # Asked before opening: opening a pipe would wait for its writer.
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a directory" if stat.S_ISDIR(mode) else "no regular file"
            raise SpecError(f"a spec must be a YAML file, but this is {kind}; name a file", top)
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SpecError("there is no such file; check the name and the folder", top) from None
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        problem = f"the file cannot be read ({cause}); check its name and permissions"
        raise SpecError(problem, top) from None
    _check_size(len(data), top)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").removeprefix("\ufeff")
        problem = f"a spec must be UTF-8 text, but got the byte 0x{data[error.start]:02x} here"
        mark = _mark_at(before, len(before), name)
        raise SpecError(f"{problem}; save the file as UTF-8", mark) from None
    return parse_yaml(text, name)


def parse_yaml(text: str, file: str) -> MarkedDict:
    """The mapping that a text holds, with the places in `file`; raises SpecError.

    Aliased mappings and lists become separate copies, so that one can be edited without the other.
    """
    _check_size(len(text.encode("utf-8", "surrogatepass")), Mark(file, 1, 1))
    text = text.removeprefix("\ufeff")
    if bad := _UNPRINTABLE.search(text):
        problem = f"a spec must be text, but got the character U+{ord(bad[0]):04X}; remove it"
        raise SpecError(problem, _mark_at(text, bad.start(), file))
    try:
        return _Builder(file).build(text)
    except (yaml.YAMLError, ArithmeticError, ValueError) as error:
        # The latter two: the pure parser's for an escape beyond Unicode.
        raise _syntax_error(error, text, file) from None


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet."""

    value: MarkedDict | MarkedList
    anchor: str | None
    nodes_before: int
    height: int = 1
    key: str | None = None
    key_mark: Mark | None = None


@dataclass(slots=True)
class _Anchor:
    """A value to be repeated; `nodes` is 0 while its end has not come yet."""

    mark: Mark
    value: Any = None
    nodes: int = 0
    height: int = 0


class _Builder:
    """Turns the parser's events into a tree in one pass, without recursion.

    Events instead of PyYAML's composed nodes: depth and aliases are judged before anything grows.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Any = None
        self.open: list[_Open] = []
        self.anchors: dict[str, _Anchor] = {}
        self.nodes = self.aliases = self.documents = 0

    def build(self, text: str) -> MarkedDict:
        top = Mark(self.file, 1, 1)
        for event in yaml.parse(text, Loader=_Loader):
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self.scalar(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self.start(event, kind is yaml.MappingStartEvent)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self.end()
            elif kind is yaml.AliasEvent:
                self.alias(event)
            elif kind is yaml.DocumentStartEvent:
                self.documents += 1
                if self.documents > 1:
                    problem = "a file must hold one document, but a second one starts here"
                    raise SpecError(f"{problem}; put it into its own file", self.mark(event))
        if not self.documents:
            raise SpecError("the file is empty; a spec is a mapping such as `name: example`", top)
        if not isinstance(self.root, MarkedDict):
            kind_name = "a list" if isinstance(self.root, MarkedList) else _short(self.root)
            problem = f"the top level must be a mapping of keys to values, but got {kind_name}"
            raise SpecError(f"{problem}; start with a line such as `name: example`", top)
        return self.root

    def mark(self, event: Any) -> Mark:
        start = event.start_mark
        return Mark(self.file, start.line + 1, start.column + 1)

    def scalar(self, event: Any) -> None:
        mark = self.mark(event)
        self.admit(event, mark)
        value, plain = event.value, event.implicit[0]
        if plain:
            try:
                value = plain_value(value)
            except LawError as error:
                raise SpecError(error.problem, mark) from None
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchor(mark, value, 1)
        if not self.at_key():
            self.put(value, mark, 0)
        elif plain and value == "<<":
            problem = "merge keys (`<<`) have no meaning here; write the keys out, or use extends"
            raise SpecError(problem, mark)
        elif type(value) is str:
            self.key(value, mark)
        else:
            word = event.value or "null"
            problem = f"a key must be a string, but got {_short(value)}"
            raise SpecError(f"{problem}; quote it: {quoted(word[:MAX_NUMBER])}", mark)

    def start(self, event: Any, mapping: bool) -> None:
        mark = self.mark(event)
        self.admit(event, mark)
        self.refuse_as_key("a mapping" if mapping else "a list", mark)
        self.check_levels(1, mark)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchor(mark)
        value = MarkedDict(mark) if mapping else MarkedList(mark)
        self.open.append(_Open(value, event.anchor, self.nodes - 1))

    def end(self) -> None:
        done = self.open.pop()
        if done.anchor is not None:
            anchor = self.anchors[done.anchor]
            anchor.value, anchor.height = done.value, done.height
            anchor.nodes = self.nodes - done.nodes_before
        self.put(done.value, done.value.mark, done.height)

    def alias(self, event: Any) -> None:
        mark, name = self.mark(event), event.anchor
        self.refuse_as_key("an alias", mark)
        anchor = self.anchors.get(name)
        if anchor is None:
            near = did_you_mean(name, self.anchors) if self.anchors else "there is none"
            problem = f"the alias *{name} needs an anchor &{name} before it; {near}"
            raise SpecError(f"{problem}; quote a text that starts with *", mark)
        if not anchor.nodes:
            place = f"line {anchor.mark.line}"
            problem = f"the alias *{name} stands inside its own anchor &{name} ({place})"
            raise SpecError(f"{problem}, which would never end; write the value out", mark)
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            problem = f"a file may use at most {MAX_ALIASES:,} aliases; define a unit instead"
            raise SpecError(problem, mark)
        self.count(anchor.nodes, mark)
        self.check_levels(anchor.height, mark)
        value = copy_tree(anchor.value)
        if isinstance(value, MarkedDict | MarkedList):
            value.mark = mark
        self.put(value, mark, anchor.height)

    def admit(self, event: Any, mark: Mark) -> None:
        """What holds for each written node: no tag, a fresh anchor, one more to count."""
        if event.tag is not None:
            tag = _short(event.tag.replace("tag:yaml.org,2002:", "!!"))
            problem = f"tags have no meaning here, but got {tag}; remove it"
            raise SpecError(f"{problem}, and quote what must stay a string", mark)
        if event.anchor in self.anchors:
            first = self.anchors[event.anchor].mark
            problem = f"the anchor &{event.anchor} is set twice, first at line {first.line}"
            raise SpecError(f"{problem}, column {first.column}; give it another name", mark)
        self.count(1, mark)

    def count(self, nodes: int, mark: Mark) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            problem = f"a file may hold at most {MAX_NODES:,} values once aliases are expanded"
            raise SpecError(f"{problem}; use times, depth or a unit to repeat", mark)

    def check_levels(self, height: int, mark: Mark) -> None:
        if len(self.open) + height > MAX_LEVELS:
            problem = f"mappings and lists may stand at most {MAX_LEVELS} levels deep"
            raise SpecError(f"{problem}; define a unit for the inner part", mark)

    def at_key(self) -> bool:
        if not self.open:
            return False
        last = self.open[-1]
        return last.key is None and type(last.value) is MarkedDict

    def refuse_as_key(self, what: str, mark: Mark) -> None:
        if self.at_key():
            problem = f"a key must be a string, but got {what}; write a word, or quote the text"
            raise SpecError(problem, mark)

    def key(self, key: str, mark: Mark) -> None:
        last = self.open[-1]
        assert isinstance(last.value, MarkedDict)
        if key in last.value:
            first = last.value.key_marks[key]
            problem = f"the key {_short(key)} is given twice, first at line {first.line}"
            raise SpecError(f"{problem}, column {first.column}; remove one of them", mark)
        last.key, last.key_mark = key, mark

    def put(self, value: Any, mark: Mark, height: int) -> None:
        """Hand a finished value to what encloses it."""
        if not self.open:
            self.root = value
            return
        last = self.open[-1]
        if height >= last.height:
            last.height = height + 1
        holder = last.value
        if isinstance(holder, MarkedList):
            holder.append(value)
            holder.marks.append(mark)
            return
        assert last.key is not None
        assert last.key_mark is not None
        holder[last.key] = value
        holder.marks[last.key] = mark
        holder.key_marks[last.key] = last.key_mark
        last.key = None


def _check_size(size: int, mark: Mark) -> None:
    if size > MAX_BYTES:
        raise SpecError("a spec may have at most 1 MiB, but this file is larger; split it", mark)


def _mark_at(text: str, offset: int, file: str) -> Mark:
    before = _BREAK.split(text[:offset])
    return Mark(file, len(before), len(before[-1]) + 1)


def _short(value: object) -> str:
    """A value in an error text, cut to a readable length and free of line breaks."""
    shown = "null" if value is None else str(value).lower() if value is True else repr(value)
    shown = "false" if value is False else shown
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _syntax_error(error: Exception, text: str, file: str) -> SpecError:
    """PyYAML's several lines as one, with the way out where the cause is a known one."""
    place = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = str(getattr(error, "problem", None) or error)
    if place is None:
        return SpecError(f"this is not YAML: {' '.join(problem.split())}", Mark(file, 1, 1))
    lines = _BREAK.split(text)
    if place.line < len(lines):
        line, mark = lines[place.line], Mark(file, place.line + 1, place.column + 1)
    else:  # libyaml puts the end of a text one line too far
        line, mark = lines[-1], _mark_at(text, len(text), file)
    lead = line[: len(line) - len(line.lstrip())]
    if "\t" in lead:
        where = Mark(file, mark.line, lead.index("\t") + 1)
        return SpecError("YAML indents with spaces, but got a tab; replace it by spaces", where)
    context = getattr(error, "context", None)
    if context:
        start = getattr(error, "context_mark", None)
        problem += f" {context}" + (f" that starts at line {start.line + 1}" if start else "")
    hint = next((hint for part, hint in _HINTS.items() if part in problem), "")
    return SpecError(" ".join(f"this is not YAML: {problem}{hint and '; ' + hint}".split()), mark)
