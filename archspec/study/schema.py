"""JSON Schemas of recipes, studies and scaling rules, made of their records: see `archspec.schema`.

What an edit may name is spelled out, too, path by path, so that an editor completes
`optimizer.lr` under `set`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from archspec.resolve import FORMAT, Kind
from archspec.scaling.rule import (
    RULE,
    Law,
    Point,
    Rounding,
    Rule,
    Shares,
    SideRounding,
    Stages,
    WidthRounding,
)
from archspec.schema import ANY_TEXT, COUNT, Schema, draft7, fields, first_line, told
from archspec.spec import Input
from archspec.strict import Strict
from archspec.study.text import STUDY, Arm, Measure, Paper, Study
from archspec.train.recipe import (
    RECIPE,
    Augment,
    Crop,
    Optimizer,
    RandAugment,
    Recipe,
    Resolution,
    Schedule,
)

#: schemas by record and field
Loose = dict[tuple[type[BaseModel], str], Schema]
RECIPE_RECORDS = (Recipe, Optimizer, Schedule, Augment, Crop, RandAugment, Resolution)
STUDY_RECORDS = (Study, Arm, Paper, Measure)
RULE_RECORDS = (Rule, Law, Shares, Stages, Point, Rounding, WidthRounding, SideRounding)
#: a text's own `set`, and an edit of a network
SETTINGS: Schema = {"type": "object"}
RECIPE_EDITS: Schema = {"$ref": "#/definitions/recipe_edits"}
_EXTENDS = "A shipped {noun}'s name, or a path inside this file's folder; keys replace."
SET = "path: value, applied after extends."
#: fields whose records take more than their types say, or say nothing of it
_LOOSE: Loose = {
    (Arm, "set"): SETTINGS,
    (Arm, "recipe_set"): RECIPE_EDITS,
    (Paper, "params"): COUNT,
    (Paper, "flops"): COUNT,
    (Study, "small"): {
        "anyOf": [
            {"type": "boolean"},
            {"const": "auto"},
            {"type": "integer", "minimum": 1, "maximum": 512},
        ]
    },
    (Measure, "resolutions"): {
        "type": "array",
        "minItems": 1,
        "maxItems": 50,
        "items": fields(Input)["resolution"],
    },
}
#: what docstrings of both leave to the name
_PLAIN = {
    "format": "Of this notation.",
    "name": "Default: the file's name.",
    "source": "Paper and section, or repository.",
    "batch": "Images a step, of all devices together.",
    "arms": "In order.",
}


def recipe_schema() -> Schema:
    """The schema of a recipe, shipped or not."""
    definitions = definitions_of(RECIPE_RECORDS)
    networks = {"type": "object", "additionalProperties": RECIPE_EDITS}
    extra = {
        "set": told({"allOf": [RECIPE_EDITS]}, SET),
        "networks": told(networks, _docs(Recipe)["networks"]),
    }
    return schema_of("A recipe: how a network is trained.", Recipe, RECIPE, extra, definitions)


def study_schema() -> Schema:
    """The schema of a study, shipped or not."""
    definitions = definitions_of((*RECIPE_RECORDS, *STUDY_RECORDS))
    # a text that extends another may state a part of what is measured
    del definitions["Measure"]["required"]
    extra = {"set": told(SETTINGS, SET)}
    text = schema_of("A study: networks and recipes to compare.", Study, STUDY, extra, definitions)
    text["then"]["properties"] = {"measure": {"required": ["resolutions"]}}
    return text


def rule_schema() -> Schema:
    """The schema of a scaling rule, shipped or not."""
    definitions = definitions_of(RULE_RECORDS)
    del definitions["recipe_edits"]
    extra = {"set": told(SETTINGS, SET)}
    what = "A scaling rule: how depth, width and resolution grow together."
    return schema_of(what, Rule, RULE, extra, definitions)


def recipe_schema_text() -> str:
    """The schema as it stands in specs/recipe.schema.json."""
    return json.dumps(recipe_schema(), indent=1, ensure_ascii=False) + "\n"


def study_schema_text() -> str:
    """The schema as it stands in specs/study.schema.json."""
    return json.dumps(study_schema(), indent=1, ensure_ascii=False) + "\n"


def rule_schema_text() -> str:
    """The schema as it stands in specs/rule.schema.json."""
    return json.dumps(rule_schema(), indent=1, ensure_ascii=False) + "\n"


def schema_of(
    what: str, record: type[Strict], kind: Kind, extra: Schema, definitions: Schema
) -> Schema:
    """The schema of a kind of text; who extends nothing states what has no default.

    definitions: of its records, by name, and `recipe_edits`. extra: keys that are no fields of
    `record`, with their schemas.
    """
    place = f"#/definitions/{record.__name__}/properties"
    extra = {"extends": told(ANY_TEXT, _EXTENDS.format(noun=kind.noun)), **extra}
    needed = [key for key in definitions[record.__name__]["required"] if key != "name"]
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"archspec {kind.noun}",
        "description": what,
        "type": "object",
        "properties": {key: extra.get(key, {"$ref": f"{place}/{key}"}) for key in kind.keys},
        "additionalProperties": False,
        "if": {"not": {"required": ["extends"]}},
        "then": {"required": needed},
        "definitions": definitions,
    }


def definitions_of(records: tuple[type[Strict], ...], loose: Loose | None = None) -> Schema:
    """Schemas of records by name, and of edits of recipes.

    loose: fields that take more than their types say, or say nothing of it, beside those known
    here.
    """
    known = {**_LOOSE, **(loose or {})}
    found = {record.__name__: _record(record, known) for record in records}
    return {**found, "recipe_edits": _recipe_edits()}


def _record(record: type[Strict], loosened: Loose) -> Schema:
    held = record.model_json_schema(ref_template="#/definitions/{model}")
    docs = _docs(record)
    properties: Schema = {}
    # a field says what it is, else its record does
    for name, field in held["properties"].items():
        loose = loosened.get((record, name))
        known = draft7(field, alone=False) if loose is None else loose
        inner = [first_line(item) for item in _records_of(record.model_fields[name].annotation)]
        words = [docs.get(name, "".join(inner[:1])), _default(field.get("default"))]
        if "format" in held["properties"]:
            words[0] = _PLAIN.get(name, words[0])
        # beside $ref nothing is read
        plain = {"allOf": [known]} if "$ref" in known else known
        properties[name] = told(plain, " ".join(filter(None, words)))
    if "format" in properties:
        properties["format"] = told({"const": FORMAT}, _PLAIN["format"])
    return {
        "description": first_line(record),
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "required": held.get("required", []),
    }


def _default(value: object) -> str:
    if value is None or value == "" or isinstance(value, dict):
        return ""
    return f"Default: {json.dumps(value)}"


def _docs(record: type[BaseModel]) -> dict[str, str]:
    """What a record's docstring says of its fields, as in `lr: the peak. mixup, cutmix: alpha`."""
    _, _, told_of = (record.__doc__ or "").partition("\n\n")
    words = " ".join(told_of.split())
    parts = re.split(r"(?:^|(?<=[.;,] ))([a-z0-9_]+(?:, [a-z0-9_]+)*): ", words)
    known = {*record.model_fields, "networks"}
    found: dict[str, str] = {}
    for names, text in zip(parts[1::2], parts[2::2], strict=True):
        told_here = text.strip().rstrip(";,.")
        sentence = told_here[:1].upper() + told_here[1:] + "."
        found |= {name: sentence for name in names.split(", ") if name in known}
    return found


def _recipe_edits() -> Schema:
    """A mapping of path: value into a recipe."""
    properties = {path: {"$ref": place} for path, place in _paths(Recipe, "")}
    return {
        "description": "Changes of a recipe, as path: value.",
        "type": "object",
        "properties": properties,
        # one number of a list, and edits of edits
        "patternProperties": {r"\.[0-9]+$|\.\*$|^networks\.": {}},
        "additionalProperties": False,
    }


def _paths(record: type[BaseModel], before: str) -> Iterator[tuple[str, str]]:
    """Paths to the fields of a record and of the records in it, with their place in the schema."""
    for name, field in record.model_fields.items():
        yield f"{before}{name}", f"#/definitions/{record.__name__}/properties/{name}"
        for inner in _records_of(field.annotation):
            yield from _paths(inner, f"{before}{name}.")


def _records_of(annotation: Any) -> list[type[BaseModel]]:
    """A record, or those of a union such as Crop | None."""
    options = [annotation, *getattr(annotation, "__args__", ())]
    return [item for item in options if isinstance(item, type) and issubclass(item, BaseModel)]
