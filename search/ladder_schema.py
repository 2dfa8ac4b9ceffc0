"""JSON Schema of ladders, made of their records: see `archspec.study.schema`."""

from __future__ import annotations

import json

from archspec.resolve import LADDER
from archspec.schema import Schema, told
from archspec.study.schema import SET, SETTINGS, definitions_of, schema_of
from search.ladder import Ladder, Rung


def ladder_schema() -> Schema:
    """The schema of a ladder, shipped or not."""
    definitions = definitions_of((Ladder, Rung))
    del definitions["recipe_edits"]
    what = "A ladder of a search: ever fewer networks by ever dearer scores."
    return schema_of(what, Ladder, LADDER, {"set": told(SETTINGS, SET)}, definitions)


def ladder_schema_text() -> str:
    """The schema as it stands in specs/ladder.schema.json."""
    return json.dumps(ladder_schema(), indent=1, ensure_ascii=False) + "\n"


__all__ = ["ladder_schema", "ladder_schema_text"]
