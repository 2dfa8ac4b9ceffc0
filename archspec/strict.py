"""Records as people write them: frozen, with unknown keys refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from archspec.errors import LawError, did_you_mean

#: a mapping with one of these keys is a domain of a search space
DOMAINS = ("choice", "range", "log_range")


def is_domain(value: object) -> bool:
    """Whether a value is a domain of a search space, such as {choice: [1, 2]}."""
    return isinstance(value, Mapping) and any(key in value for key in DOMAINS)


def no_domain(value: object, path: tuple[str | int, ...] = ()) -> None:
    """Raise LawError where a domain stands for a value."""
    if is_domain(value):
        raise LawError(
            f"a domain stands where a value is needed, {shown(value)}; search this text, or set "
            "a value",
            path,
        )


def shown(value: object) -> str:
    """A value in an error line, as YAML writes it: short, never a page."""
    text = _text(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _text(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_text, value)) + "]"
    return repr(value)


def whole(value: object) -> object:
    """Refuse what pydantic would make an integer of: true, and a number in quotes."""
    no_domain(value)
    if isinstance(value, (bool, str)) or not isinstance(value, (int, float, type(None))):
        raise LawError(f"a whole number is needed, but got {shown(value)}")
    return value


def number(value: object) -> object:
    """Refuse what pydantic would make a number of: true, and a number in quotes."""
    no_domain(value)
    if isinstance(value, (bool, str)):
        raise LawError(f"a number is needed, but got {shown(value)}")
    return value


Number = BeforeValidator(number)


class Strict(BaseModel):
    """A frozen record whose unknown keys are errors that name the legal ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known(cls, raw: object) -> object:
        if isinstance(raw, cls):
            return raw
        if not isinstance(raw, Mapping):
            raise LawError(f"a mapping is needed, but got {shown(raw)}")
        fields = cls.model_fields
        if not raw.keys() <= fields.keys():
            unknown = next(key for key in raw if key not in fields)
            raise LawError(
                f"unknown key {shown(unknown)}: {did_you_mean(unknown, fields)}", (unknown,), True
            )
        for key, value in raw.items():
            if isinstance(value, dict):
                no_domain(value, (key,))
        return raw


#: pydantic's words for a broken law as ours
_LAWS = {
    "greater_than_equal": "value >= {ge} must hold",
    "greater_than": "value > {gt} must hold",
    "less_than_equal": "value <= {le} must hold",
    "less_than": "value < {lt} must hold",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number is needed"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "a number is needed"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false is needed"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list is needed"),
    **dict.fromkeys(("dict_type", "model_type"), "a mapping is needed"),
    "string_type": "a text is needed",
    "string_too_short": "a text of {min_length} characters or more is needed",
    "string_too_long": "a text may have {max_length} characters at most",
    "too_long": "a list of {max_length} at most is needed",
    "too_short": "a list of {min_length} or more is needed",
}
_FIELD = re.compile(r"[A-Za-z_]\w*")


def law_of(error: ValidationError) -> LawError:
    """The first of pydantic's errors as one law with its path."""
    first = error.errors(include_url=False)[0]
    context, given = first.get("ctx", {}), first.get("input")
    # pydantic also names the branch of a union, `constrained-int`, which no text holds
    place = tuple(p for p in first["loc"] if isinstance(p, int) or _FIELD.fullmatch(p))
    cause = context.get("error")
    if isinstance(cause, LawError):
        return LawError(cause.problem, (*place, *cause.path), cause.at_key)
    if first["type"] == "missing":
        return LawError(f"{place[-1]!r} is missing", place[:-1])
    if first["type"] == "literal_error":
        legal = re.findall(r"'([^']*)'", context["expected"])
        # a union's other branch takes a number
        others = ["a number"] if error.error_count() > 1 and len(first["loc"]) > 1 else []
        words = did_you_mean(given, [*legal, *others])
        return LawError(f"unknown value {shown(given)}: {words}", place)
    law = _LAWS.get(first["type"], first["msg"][0].lower() + first["msg"][1:])
    return LawError(f"{law.format(**context)}, but got {shown(given)}", place)
