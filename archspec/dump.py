"""A tree as YAML text that reads back equal, as a person would have written it."""

from __future__ import annotations

import math
import re
from typing import Any

from archspec.errors import SpecError
from archspec.load import MAX_KEY, MAX_LEVELS
from archspec.scalars import MAX_NUMBER, WORDS, is_number, quoted

FLOW_WIDTH = 100
# Strings that stand unquoted in block and in flow style alike, if they do not read as a number.
_BARE = re.compile(r"(?:\.{0,2}/)?[A-Za-z0-9_(](?: ?[A-Za-z0-9_./*+=<>()%-]|#)*")


def dump_yaml(tree: Any) -> str:
    """Text that `parse_yaml` reads back as an equal tree (tuples become lists).

    Outer mappings and lists stand in block style, those that fit into 100 characters in flow
    style. Raises SpecError for what the language cannot say (infinities, numbers over 100 digits,
    keys over 1,000 characters, more than 64 levels, lone surrogates) and TypeError for other types.
    """
    if isinstance(tree, dict | list | tuple) and tree:
        return "\n".join(_block(tree, 1)) + "\n"
    return (_flow(tree, 1) or "") + "\n"


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
        bare = _BARE.fullmatch(value) and (value[0] not in "0123456789" or not is_number(value))
        return value if bare and value not in WORDS else quoted(value)
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
