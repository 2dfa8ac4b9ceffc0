"""Records as people write them: frozen, with unknown keys refused by name."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, model_validator

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
    """A value in an error line: short, never a page."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


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
        for key, value in raw.items():
            if key not in fields:
                raise LawError(f"unknown key {key!r}: {did_you_mean(key, fields)}", (key,))
            no_domain(value, (key,))
        return raw
