from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from goldens import FILE, cost_of, measured
from jsonschema import Draft7Validator

from archspec.cli.checking import check
from archspec.load import parse_yaml, read_yaml
from archspec.planning import plan_network
from archspec.schema import schema, schema_text
from archspec.shipped import NOT_NETWORKS, shipped_files, shipped_networks, specs_folder
from archspec.spec import parse_spec, read_spec
from archspec.units import shipped_units

FOLDER = specs_folder()
FILES = shipped_files()
NETWORKS = list(shipped_networks().values())
TYPED = [path for path in FILES if path.relative_to(FOLDER).parts[0] in ("units", "spaces")]
FIRST_LINE = "# yaml-language-server: $schema=../schema.json"


def named(path: Path) -> str:
    return str(path.relative_to(FOLDER))


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    return Draft7Validator(schema())


def test_there_are_specs() -> None:
    assert len(NETWORKS) >= 10
    assert {path.suffix for path in FOLDER.rglob("*") if path.is_file()} <= {".yaml", ".json"}


def test_names_are_files_names_and_unique() -> None:
    stems = [path.stem for path in NETWORKS]
    assert len(set(stems)) == len(stems)
    for path in NETWORKS:
        assert read_spec(path).name == path.stem


@pytest.mark.parametrize("path", [*NETWORKS, *TYPED], ids=named)
def test_every_file_is_checked(path: Path) -> None:
    what, errors = check(str(path))
    assert not errors
    assert what


@pytest.mark.parametrize("path", NETWORKS, ids=named)
def test_load_dump_load_is_the_identity(path: Path) -> None:
    spec = read_spec(path)
    again = parse_spec(spec.dump(), "again")
    assert again == spec
    assert again.dump() == spec.dump()
    assert cost_of(plan_network(again)) == cost_of(plan_network(spec))


@pytest.mark.parametrize("path", NETWORKS, ids=named)
def test_published_figures_are_near_ours(path: Path) -> None:
    spec = read_spec(path)
    assert spec.reference is not None, "say what is published, and where"
    assert spec.reference.source
    ours = cost_of(plan_network(spec))
    for key, slack in (("params", 0.06), ("flops", 0.06)):
        published = getattr(spec.reference, key)
        if published is not None and not spec.reference.note:
            assert ours[key] == pytest.approx(published, rel=slack), key


def test_goldens_are_fresh() -> None:
    goldens = json.loads(FILE.read_text(encoding="utf-8"))
    assert measured() == goldens, "costs changed: python -m tests.goldens, and read the diff"


@pytest.mark.parametrize("path", [*NETWORKS, *TYPED], ids=named)
def test_every_file_validates_against_the_schema(path: Path, validator: Draft7Validator) -> None:
    errors = [
        f"{list(e.absolute_path)}: {e.message}" for e in validator.iter_errors(read_yaml(path))
    ]
    assert not errors


@pytest.mark.parametrize("path", NETWORKS, ids=named)
def test_dumps_validate_against_the_schema(path: Path, validator: Draft7Validator) -> None:
    text = read_spec(path).dump()
    assert validator.is_valid(parse_yaml(text, "dump"))


@pytest.mark.parametrize("path", [path for path in FILES if path not in TYPED], ids=named)
def test_the_first_line_leads_an_editor_to_the_schema(path: Path) -> None:
    if path.relative_to(FOLDER).parts[0] in NOT_NETWORKS:
        pytest.skip("another notation")
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == FIRST_LINE
    assert (path.parent / first.partition("$schema=")[2]).is_file()


def test_the_committed_schema_is_fresh() -> None:
    committed = (FOLDER / "schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "archspec schema -o specs/schema.json"


def test_the_schema_is_a_schema() -> None:
    Draft7Validator.check_schema(schema())


@pytest.mark.parametrize(
    "text",
    [
        "stagse: []",
        "format: 2",
        "form: marged",
        "classes: 0",
        "input: {resolution: 0}",
        "input: {resolutoin: 32}",
        "defaults: {norm: bach}",
        "stem: conv",
        "stem: [convnxt]",
        "stem: [{convnxt: {kernel: 3}}]",
        "stem: [{conv: {kernal: 3}}]",
        "stem: [{conv: {kernel: 0}}]",
        "stem: [{conv: {kernel: [3, 3, 3]}}]",
        "stem: [{norm: bach}]",
        "stem: [{attention: {kv: [nrm]}}]",
        "stem: [{residual: {do: [], shorctut: none}}]",
        "stem: [{add: [[]]}]",
        "stages: [{width: 3, dept: 3, block: []}]",
        "stages: [{depth: big, block: []}]",
        "stages: [{depth: {range: [1, 2], stp: 1}, block: []}]",
        "stages: [{depth: {rnge: [1, 2]}, block: []}]",
        "head: [{mbconv: {expansion: 0}}]",
        "head: [{cna: {norm: bach}}]",
        "units: {u: {bdy: []}}",
        "units: {u: {body: [], knob: {}}}",
        "units: {u: {body: [], knobs: {k: {defualt: 1}}}}",
        "reference: {parms: 3}",
        "u: {bdy: []}",
        "u: {body: [], knob: {}}",
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(text: str, validator: Draft7Validator) -> None:
    assert not validator.is_valid(parse_yaml(text, "x"))


@pytest.mark.parametrize(
    "text",
    [
        "stem: []",
        "stem: [{conv: w*2}, {conv: {kernel: 3, stride: stride}}, {linear: classes}]",
        "units: {u: {body: [act]}}\nstem: [u, {u: {}}]",
        "extends: mine.yaml\nstem: [whatever]",
        "stem: [{convnext: {kernel: {choice: [3, 5]}}}]",
        "stages: {choice: {a: []}}",
        "stages: [{width: {range: [8, 64], step: 8}, depth: {range: [1, 4], tie: d}, block: []}]",
        "stages: [{depth: 2, blocks: [[act], [norm]]}, {blocks: [{times: 2, block: [act]}]}]",
        "head: [{act: relu, when: w > 3}, {times: 2, do: [act]}, {residual: []}, {token_mix: []}]",
        "u: {doc: d, source: s, knobs: {k: {default: 1, min: 0, doc: d}, a: w/2}, body: [conv]}",
    ],
)
def test_the_schema_takes_what_the_reader_takes(text: str, validator: Draft7Validator) -> None:
    assert validator.is_valid(parse_yaml(text, "x"))


def test_the_schema_tells_what_things_are() -> None:
    definitions: dict[str, Any] = schema()["definitions"]
    for name, unit in shipped_units().items():
        assert unit.text.doc
        assert unit.text.doc in definitions[name]["description"]
    assert "Convolution" in definitions["conv"]["description"]
