"""What an unquoted text means: YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema)."""

from __future__ import annotations

import math
import re

from archspec.errors import LawError, SpecError

MAX_NUMBER = 100

WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def plain_value(text: str) -> str | int | float | bool | None:
    """What an unquoted text means by YAML 1.2's core schema; raises LawError."""
    if text in WORDS:
        return WORDS[text]
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


def is_number(text: str) -> bool:
    """Whether an unquoted text would be read as a number."""
    return any(rule.fullmatch(text) for rule in (_DECIMAL, _BASED, _FLOAT))


def quoted(text: str) -> str:
    """The text in double quotes, escaped so that any YAML reader gives it back."""
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
