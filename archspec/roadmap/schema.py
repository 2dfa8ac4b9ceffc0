"""JSON Schema of roadmaps, made of their records: see `archspec.study.schema`."""

from __future__ import annotations

import json

from archspec.roadmap.text import ROADMAP, Reference, Roadmap, Start, Step
from archspec.schema import Schema, told
from archspec.study.schema import (
    RECIPE_EDITS,
    RECIPE_RECORDS,
    SET,
    SETTINGS,
    Loose,
    definitions_of,
    schema_of,
)
from archspec.study.text import Paper

RECORDS = (*RECIPE_RECORDS, Roadmap, Start, Step, Reference, Paper)
_EDITS: Loose = {
    (Start, "set"): SETTINGS,
    (Start, "recipe_set"): RECIPE_EDITS,
    (Step, "set"): SETTINGS,
    (Step, "recipe_set"): RECIPE_EDITS,
    (Reference, "set"): SETTINGS,
}


def roadmap_schema() -> Schema:
    """The schema of a roadmap, shipped or not."""
    definitions = definitions_of(RECORDS, _EDITS)
    # a text that extends another may state a part of the start
    needed = definitions["Start"].pop("required")
    extra = {"set": told(SETTINGS, SET)}
    text = schema_of("A roadmap: a network by steps.", Roadmap, ROADMAP, extra, definitions)
    text["then"]["properties"] = {"start": {"required": needed}}
    return text


def roadmap_schema_text() -> str:
    """The schema as it stands in specs/roadmap.schema.json."""
    return json.dumps(roadmap_schema(), indent=1, ensure_ascii=False) + "\n"


__all__ = ["roadmap_schema", "roadmap_schema_text"]
