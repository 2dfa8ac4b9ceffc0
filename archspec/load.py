"""YAML text to a tree that knows where each value stands, and back.

The rules are those of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema), not
PyYAML's 1.1: `1e-6` is a number, `on` and `31:29` are strings, `017` is 17. A text can only ever
become dicts, lists, strings, numbers, booleans and None; what could run code, exhaust memory or
surprise a reader (tags, merge keys, duplicate keys, alias bombs) is refused with its place.
"""

from __future__ import annotations

import math
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from archspec.errors import LawError, Mark, SpecError, did_you_mean

MAX_BYTES = 1 << 20
MAX_LEVELS = 64
MAX_ALIASES = 1_000
MAX_NODES = 100_000
MAX_NUMBER = 100
MAX_KEY = 1_000
FLOW_WIDTH = 100

# The pure parser is some twenty times slower and reads the same language.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]",
)
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
# Strings that stand unquoted in block and in flow style alike, if they do not read as a number.
_BARE = re.compile(r"(?:\.{0,2}/)?[A-Za-z0-9_(](?: ?[A-Za-z0-9_./*+=<>()%-]|#)*")
_HINTS = {
    "mapping values are not allowed": "quote a text that holds ': ', and check the indentation",
    "cannot start any token": "quote a text that starts with a sign",
    "did not find expected": "check the indentation, brackets, commas and quotes",
    "expected ',' or": "check the brackets, commas and quotes",
    "could not find expected ':'": "a key is followed by ': '",
    "unexpected end of stream": "close the quotes",
}


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

    __slots__ = ("mark", "marks")

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self.mark = mark
        self.marks: list[Mark] = []


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


def dump_yaml(tree: Any) -> str:
    """Text that `parse_yaml` reads back as an equal tree (tuples become lists).

    Outer mappings and lists stand in block style, those that fit into 100 characters in flow
    style. Raises SpecError for what the language cannot say (infinities, numbers over 100 digits,
    keys over 1,000 characters, more than 64 levels, lone surrogates) and TypeError for other types.
    """
    if isinstance(tree, dict | list | tuple) and tree:
        return "\n".join(_block(tree, 1)) + "\n"
    return (_flow(tree, 1) or "") + "\n"


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
                value = _plain_value(value)
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
            raise SpecError(f"{problem}; quote it: {_quoted(word[:MAX_NUMBER])}", mark)

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


def _plain_value(text: str) -> str | int | float | bool | None:
    """What an unquoted text means by YAML 1.2's core schema; raises LawError."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _ENDLESS.fullmatch(text):
        raise LawError(f"a number must be finite, but got {text}; quote it if text is meant")
    decimal, based = _DECIMAL.fullmatch(text), _BASED.fullmatch(text)
    if not (decimal or based or _FLOAT.fullmatch(text)):
        return text
    if len(text) > MAX_NUMBER:
        problem = f"a number may have at most {MAX_NUMBER} characters, but got {len(text):,}"
        raise LawError(f"{problem}; quote it if text is meant")
    if decimal or based:
        return int(text, 10 if decimal else 0)
    number = float(text)
    if math.isinf(number):
        raise LawError(f"a number must be finite, but {text} is too large; write a smaller one")
    return number


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


def _block(tree: Any, level: int) -> list[str]:
    """The lines of a container in block style; a list stands as far left as its key."""
    lines = []
    if isinstance(tree, dict):
        for key, value in tree.items():
            head, inline = f"{_key(key)}:", _flow(value, level + 1)
            if inline is not None:
                lines.append(f"{head} {inline}")
                continue
            indent = "  " if isinstance(value, dict) else ""
            lines += [head, *(indent + line for line in _block(value, level + 1))]
        return lines
    for value in tree:
        inline = _flow(value, level + 1)
        inner = [inline] if inline is not None else _block(value, level + 1)
        lines += [f"- {inner[0]}", *("  " + line for line in inner[1:])]
    return lines


def _flow(tree: Any, level: int) -> str | None:
    """A scalar, or a container on one line; None where that line would be too long."""
    if not isinstance(tree, dict | list | tuple):
        return _scalar(tree)
    if level > MAX_LEVELS:
        raise SpecError(f"mappings and lists may stand at most {MAX_LEVELS} levels deep")
    parts: list[str] = []
    room = FLOW_WIDTH - 2
    for item in tree:
        part = _flow(tree[item] if isinstance(tree, dict) else item, level + 1)
        if part is None:
            return None
        part = f"{_key(item)}: {part}" if isinstance(tree, dict) else part
        room -= len(part) + (2 if parts else 0)
        if room < 0:
            return None
        parts.append(part)
    inside = ", ".join(parts)
    return f"{{{inside}}}" if isinstance(tree, dict) else f"[{inside}]"


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key must be a string, but got {key!r}")
    text = _scalar(key)
    if len(text) > MAX_KEY:
        raise SpecError(f"a key may have at most {MAX_KEY:,} characters, but got {len(text):,}")
    return text


def _scalar(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        bare = _BARE.fullmatch(value) and (value[0] not in "0123456789" or not _number(value))
        return value if bare and value not in _WORDS else _quoted(value)
    if isinstance(value, int):
        # Compared before writing: Python itself refuses to write 4,300 digits.
        if abs(value) >= 10 ** (MAX_NUMBER - 1):
            raise SpecError(f"a number may have at most {MAX_NUMBER - 1} digits")
        return f"{value:d}"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise SpecError(f"a number must be finite, but got {value}")
        mantissa, exponent, power = float.__repr__(value).partition("e")
        return f"{mantissa}e{int(power)}" if exponent else mantissa
    raise TypeError(f"YAML here holds strings, numbers, booleans and null, but got {value!r}")


def _number(text: str) -> bool:
    return any(rule.fullmatch(text) for rule in (_DECIMAL, _BASED, _FLOAT))


def _quoted(text: str) -> str:
    escaped = []
    for sign in text:
        code = ord(sign)
        if sign in '"\\':
            escaped.append("\\" + sign)
        elif sign == "\n":
            escaped.append("\\n")
        elif sign.isprintable():
            escaped.append(sign)
        elif 0xD800 <= code <= 0xDFFF:
            raise SpecError(f"a text must be Unicode, but got the lone surrogate U+{code:04X}")
        else:
            escaped.append(f"\\x{code:02x}" if code < 256 else f"\\U{code:08x}")
    return f'"{"".join(escaped)}"'
