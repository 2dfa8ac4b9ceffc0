"""JSON Schema of the notation, so that an editor completes it and underlines what is wrong.

Draft 7, which yaml-language-server understands best (https://github.com/redhat-developer/
yaml-language-server). It is made of the layers' and records' own fields and of the shipped units,
and says less than the reader: shapes are checked by `archspec check`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from archspec.layers import LAYERS, Defaults, Layer
from archspec.nodes import BRANCHED, MOST_TIMES
from archspec.resolve import FORMAT
from archspec.spec import Input, NetworkSpec, Reference, Stage
from archspec.units import KINDS, Knob, Unit, shipped_units

Schema = dict[str, Any]

EXPRESSION: Schema = {"$ref": "#/definitions/expression"}
DOMAIN: Schema = {"$ref": "#/definitions/domain"}
ANY_TEXT: Schema = {"type": "string"}
#: counts are written as people say them, 28.6M
COUNT: Schema = {"type": ["number", "string", "null"]}
#: knobs whose null is the spec's default
_NULLABLE = {("norm", "kind"), ("act", "kind")}


def schema() -> Schema:
    """The whole schema: a network or space, or a file of units."""
    definitions: Schema = {
        "domain": _domain(),
        "expression": {"type": "string", "minLength": 1, "maxLength": 200},
        "numbers": {"type": "array", "items": {"anyOf": [{"type": "number"}, EXPRESSION]}},
        "unit": _unit_text(),
    }
    definitions |= _definitions("", own=False) | _definitions("own_", own=True)
    _share(definitions)
    units_file = {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"type": "object", "required": ["body"]},
    }
    own_words = {"anyOf": [{"required": ["units"]}, {"required": ["extends"]}]}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "archspec",
        "description": "A vision backbone, a space of them, or a file of units.",
        "type": "object",
        "if": units_file,
        "then": {"additionalProperties": {"$ref": "#/definitions/unit"}},
        "else": {
            # who defines units, or inherits some, may call what no schema knows
            "if": own_words,
            "then": {"$ref": "#/definitions/own_network"},
            "else": {"$ref": "#/definitions/network"},
        },
        "definitions": definitions,
    }


def schema_text() -> str:
    """The schema as it stands in specs/schema.json."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _definitions(prefix: str, own: bool) -> Schema:
    """Node lists, nodes and the network. own: names and words that are not shipped are legal."""
    nodes = {"$ref": f"#/definitions/{prefix}nodes"}
    calls = {name: _layer(layer, nodes, own) for name, layer in LAYERS.items()}
    calls |= {name: _unit(unit, own) for name, unit in shipped_units().items()}
    return {
        f"{prefix}network": _network(nodes),
        f"{prefix}nodes": _or_domain({"type": "array", "items": _node(nodes, prefix, own)}),
        **{f"{prefix}{name}": call for name, call in sorted(calls.items())},
    }


def _share(definitions: Schema) -> None:
    """What says the same for own names is said once."""
    for name in list(definitions):
        if definitions[name] == definitions.get(f"own_{name}"):
            definitions[f"own_{name}"] = {"$ref": f"#/definitions/{name}"}


def _network(nodes: Schema) -> Schema:
    stage = {"type": "object", "properties": _stage(nodes), "additionalProperties": False}
    units = {"type": "object", "additionalProperties": {"$ref": "#/definitions/unit"}}
    known = fields(NetworkSpec)
    properties: Schema = {
        "format": {"const": FORMAT, "description": "Of this notation."},
        "name": told(known["name"], "Default: the file's name."),
        "doc": told(ANY_TEXT, "What the network is."),
        "extends": told(
            ANY_TEXT, "A shipped name, or a path inside this file's folder; keys replace."
        ),
        "set": told({"type": "object"}, "path: value, applied after extends; * deals a list out."),
        "form": told(_or_domain(known["form"]), "merged: every merge is one convolution."),
        "input": told(_record(Input), "What the network is fed."),
        "classes": _or_domain(known["classes"]),
        "defaults": told(_record(Defaults), "What a bare norm and act mean."),
        "units": told(units, "The file's own units, over the shipped ones."),
        "stem": told({"allOf": [nodes]}, "Before the first stage."),
        "each_stage": told(stage, "Defaults of every stage."),
        "stages": told(_or_domain({"type": "array", "items": _or_domain(stage)}), "In order."),
        "head": told({"allOf": [nodes]}, "After the last stage."),
        "weights": told(
            known["weights"],
            "Names of published tensors: a file of specs/weights, or a .yaml beside.",
        ),
        "scaling": told(
            known["scaling"],
            "Rule by which it is scaled: a shipped name, or a .yaml beside.",
        ),
        "reference": told(_record(Reference), "Published figures; shown, never used."),
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _stage(nodes: Schema) -> Schema:
    known = fields(Stage)
    turn = mapping({"times": _whole(0), "block": nodes}, required=["block"])
    turns = {"type": "array", "minItems": 1, "items": {"anyOf": [nodes, turn]}}
    return {
        "width": told(_or_domain(known["width"]), "Channels of the blocks: `w_out`."),
        "depth": told(_or_domain(known["depth"]), "Number of blocks."),
        "stride": told(_or_domain(known["stride"]), "How much the map shrinks."),
        "down": told({"allOf": [nodes]}, "What takes the stride; else the first block does."),
        "block": told({"allOf": [nodes]}, "Nodes of every block."),
        "blocks": told(_or_domain(turns), "Blocks in turn, or spelled out with times."),
    }


def _node(nodes: Schema, prefix: str, own: bool) -> Schema:
    branch = {"anyOf": [nodes, mapping({"when": _when(), "do": nodes}, required=["do"])]}
    branches = _or_domain({"type": "array", "minItems": 2, "items": branch})
    residual = mapping(
        {
            "do": nodes,
            "shortcut": {"anyOf": [{"const": "none"}, nodes]},
            "drop_path": {"type": "boolean"},
            "add": _when(),
        },
        required=["do"],
    )
    names: Schema = {"type": "string", "enum": sorted([*LAYERS, *shipped_units()])}
    calls = {name: {"$ref": f"#/definitions/{prefix}{name}"} for name in names["enum"]}
    properties: Schema = {
        **calls,
        "residual": told({"anyOf": [nodes, residual]}, "x + do(x)"),
        **dict.fromkeys(BRANCHED, branches),
        "token_mix": told({"allOf": [nodes]}, "Nodes that see tokens as channels."),
        "times": _number(_whole(0)),
        "do": nodes,
        "when": _when(),
    }
    call: Schema = {"type": "object", "minProperties": 1, "properties": properties}
    if not own:
        call["additionalProperties"] = False
    return {"anyOf": [names, *([ANY_TEXT] if own else []), call, DOMAIN]}


def _layer(layer: type[Layer], nodes: Schema, own: bool) -> Schema:
    knobs = {name: _layer_knob(layer, name, field, own) for name, field in fields(layer).items()}
    primary = [knobs[layer.primary]] if layer.primary else []
    knobs |= dict.fromkeys(layer.inner, nodes)
    return {
        "description": first_line(layer),
        "anyOf": [mapping(knobs), *primary, DOMAIN, {"type": "null"}],
    }


def _layer_knob(layer: type[Layer], name: str, field: Schema, own: bool) -> Schema:
    legal = [_computed(field)]
    legal += [{"type": "null"}] if (layer.name, name) in _NULLABLE else []
    if name not in layer.words or own:
        legal.append(EXPRESSION)
    return {"anyOf": [*legal, DOMAIN]}


def _computed(field: Schema) -> Schema:
    """A field whose pairs may hold expressions: `kernel: [kernel, 1]`."""
    if "anyOf" in field:
        return {**field, "anyOf": [_computed(option) for option in field["anyOf"]]}
    if field.get("type") == "array":
        return {**field, "items": [{"anyOf": [item, EXPRESSION]} for item in field["items"]]}
    return field


def _unit(unit: Unit, own: bool) -> Schema:
    knobs = {
        name: _unit_knob(knob, name in unit.word_knobs, own) for name, knob in unit.knobs.items()
    }
    words = " ".join(filter(None, (unit.text.doc, unit.text.source)))
    return told({"anyOf": [mapping(knobs), DOMAIN, {"type": "null"}]}, words)


def _unit_knob(knob: Knob, word: bool, own: bool) -> Schema:
    legal: list[Schema]
    if knob.choices is not None:
        legal = [{"enum": list(knob.choices)}]
    elif word:
        legal = [ANY_TEXT]
    else:
        number: Schema = {"type": "number"}
        number |= {} if knob.min is None else {"minimum": knob.min}
        number |= {} if knob.max is None else {"maximum": knob.max}
        legal = [number, {"type": ["boolean", "null"]}, {"$ref": "#/definitions/numbers"}]
    if own or not word:
        legal.append(EXPRESSION)
    default = "null" if knob.default is None else json.dumps(knob.default)
    words = f"{knob.doc}. Default: {default}" if knob.doc else f"Default: {default}"
    return told({"anyOf": [*legal, DOMAIN]}, words)


def _unit_text() -> Schema:
    value = {"type": ["number", "string", "boolean", "null", "array"]}
    knob = mapping({**fields(Knob), "default": value})
    knob["properties"]["choices"] = {
        "anyOf": [{"type": "array", "minItems": 1}, {"enum": [*KINDS]}]
    }
    return mapping(
        {
            "doc": ANY_TEXT,
            "source": ANY_TEXT,
            "knobs": {
                "type": "object",
                "additionalProperties": {"anyOf": [value, knob, DOMAIN]},
            },
            "body": {"$ref": "#/definitions/own_nodes"},
        },
        required=["body"],
    )


def _domain() -> Schema:
    ends = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    tie = {"type": "string", "description": "Domains of one tie take one value."}
    step = {"type": "number", "exclusiveMinimum": 0}
    options = {"type": ["array", "object"], "minItems": 1, "minProperties": 1}
    return {
        "description": "What a search may choose here.",
        "oneOf": [
            mapping({"choice": options, "tie": tie}, required=["choice"]),
            mapping({"range": ends, "step": step, "tie": tie}, required=["range"]),
            mapping({"log_range": ends, "tie": tie}, required=["log_range"]),
        ],
    }


def _record(model: type[BaseModel]) -> Schema:
    return mapping({name: _or_domain(field) for name, field in fields(model).items()})


class _Generator(GenerateJsonSchema):
    # node lists are no JSON; their schema is written here by hand
    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}


def fields(model: type[BaseModel]) -> Schema:
    """The fields of a record or the knobs of a layer, each as a schema of draft 7."""
    held = model.model_json_schema(schema_generator=_Generator)
    properties: Mapping[str, Any] = held.get("properties", {})
    known = {name: draft7(field) for name, field in properties.items()}
    if model is Reference:
        known |= dict.fromkeys(("params", "flops"), COUNT)
    return known


def draft7(field: Any, alone: bool = True) -> Any:
    """A field's schema without pydantic's titles, defaults, and draft 2020-12's words.

    alone: a pair of equal values may be written as one.
    """
    if isinstance(field, list):
        return [draft7(item, alone) for item in field]
    if not isinstance(field, Mapping):
        return field
    left = ("title", "default")
    kept = {key: draft7(value, alone) for key, value in field.items() if key not in left}
    pair = kept.pop("prefixItems", None)
    if pair is None:
        return kept
    whole = {**kept, "items": pair}
    return {"anyOf": [pair[0], whole]} if alone else whole


def _number(field: Schema) -> Schema:
    return {"anyOf": [field, EXPRESSION, DOMAIN]}


def _or_domain(field: Schema) -> Schema:
    return {"anyOf": [field, DOMAIN]}


def _whole(low: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": MOST_TIMES}


def _when() -> Schema:
    return told({"anyOf": [EXPRESSION, {"type": "boolean"}]}, "Only where this holds.")


def mapping(properties: Schema, required: list[str] | None = None) -> Schema:
    """A mapping of these keys alone."""
    held: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**held, "required": required} if required else held


def told(field: Schema, description: str) -> Schema:
    """The field with what an editor shows of it."""
    return {"description": description, **field} if description else field


def first_line(model: type[BaseModel]) -> str:
    """The first paragraph of a record's docstring, as one line."""
    return " ".join((model.__doc__ or "").split("\n\n")[0].split())
