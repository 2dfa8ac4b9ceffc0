"""Every YAML in specs/, walked: what can be known of a file is checked here.

Counts that others made of the same networks stand in tests/counts.csv, each with its source:
parameters, and billions of multiply-adds to four decimals. Equal function is checked against
tests/oracles, by tests/test_oracles.py.
"""

from __future__ import annotations

import csv
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from goldens import FILE, cost_of, measured
from jsonschema import Draft7Validator
from smallest import smallest

from archspec.build import build
from archspec.cli.checking import check
from archspec.cli.listing import list_shipped, markdown
from archspec.cost import leaves, totals
from archspec.diff import cost_changes, differences
from archspec.load import parse_yaml, read_yaml
from archspec.planning import plan_network
from archspec.schema import schema, schema_text
from archspec.shipped import shipped_files, shipped_networks, specs_folder
from archspec.spec import parse_spec, read_spec
from archspec.units import shipped_units
from archspec.weights.layouts import layouts_of
from archspec.weights.naming import pair_names

FOLDER = specs_folder()
FILES = shipped_files()
NETWORKS = list(shipped_networks().values())
TYPED = [path for path in FILES if path.relative_to(FOLDER).parts[0] in ("units", "spaces")]
LAYOUTS = [path for path in FILES if path.relative_to(FOLDER).parts[0] == "weights"]
COUNTS = list(
    csv.DictReader(Path(__file__).with_name("counts.csv").read_text("utf-8").splitlines())
)
#: these are variants of a published network that nobody has counted
UNCOUNTED = re.compile(r"mobilenetv2_100_.*(k\d|shortcut|small)")
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


@pytest.mark.parametrize("path", [*NETWORKS, *TYPED, *LAYOUTS], ids=named)
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


@pytest.mark.parametrize("row", COUNTS, ids=lambda row: "-".join([*row.values()][:3]))
def test_counts_are_those_that_others_made(row: dict[str, str]) -> None:
    edits = [("input.resolution", row["resolution"]), ("form", row["form"])]
    ours = cost_of(plan_network(read_spec(row["name"], edits)))
    assert ours["params"] == int(row["params"]), row["source"]
    if row["macs_G"]:
        assert f"{ours['flops'] / 1e9:.4f}" == row["macs_G"], row["source"]


def test_every_network_was_counted_by_others() -> None:
    counted = {row["name"] for row in COUNTS}
    left = {path.stem for path in NETWORKS} - counted
    assert {name for name in left if not UNCOUNTED.match(name)} == set()


def test_the_counts_are_the_reference(shared_reference: Path) -> None:
    with (shared_reference / "computed.csv").open(encoding="utf-8") as file:
        rows = [
            (
                row["model"],
                row["image_size"],
                row["trainable_params"],
                f"{float(row['macs_G']):.4f}",
            )
            for row in csv.DictReader(file)
        ]
    ours = {(row["name"], row["resolution"]): row for row in COUNTS if row["form"] == "train"}
    same = [row for row in rows if row[:2] in ours]
    assert len(same) > 100
    for name, size, params, macs in same:
        copy = ours[name, size]
        assert (params, copy["macs_G"] and macs) == (copy["params"], copy["macs_G"])


@pytest.mark.parametrize("path", NETWORKS, ids=named)
def test_published_figures_are_ours_or_marked(path: Path) -> None:
    spec = read_spec(path)
    assert spec.reference is not None, "say what is published, and where"
    assert spec.reference.source
    # some publish the merged network beside the trained one
    forms = [
        cost_of(plan_network(read_spec(path, [("form", form)]))) for form in ("train", "merged")
    ]
    for key in ("params", "flops"):
        published = getattr(spec.reference, key)
        if published is None:
            assert key not in spec.reference.misprints
            continue
        nearest = min((form[key] for form in forms), key=lambda count: abs(count - published))
        units = abs(nearest - published) / _last_digit(str(spec.tree["reference"][key]))
        assert units > 0.5 if key in spec.reference.misprints else units <= 1, key
    assert spec.reference.note or not spec.reference.misprints, "say what is wrong with them"


def _last_digit(text: str) -> float:
    """What the last printed digit of a figure counts: 100,000 for 4.5M; some round, some cut."""
    number, unit = re.fullmatch(r"([\d.]+)([kMG]?)", text).groups()  # type: ignore[union-attr]
    scale = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}[unit]
    return scale / 10.0 ** len(number.partition(".")[2])


@pytest.mark.parametrize("path", NETWORKS, ids=named)
def test_every_network_is_built_as_planned_and_has_published_names(path: Path) -> None:
    spec = read_spec(path)
    plan = plan_network(spec)
    with torch.device("meta"):
        model = build(spec, plan).eval()
        images = torch.empty(2, *spec.input.shape[:3])
        assert model(images).shape == (2, spec.classes)
        features = model.forward_features(images)
    assert sum(p.numel() for p in model.parameters()) == totals(plan).params
    modules = dict(model.named_modules())
    for part, whole in plan.parts():
        assert all(path in modules for path, _, _ in leaves(whole, part))
    outs = {f"stem.{key}": item.out for key, item in plan.stem.items}
    outs |= {f"stages.{index}": stage.out for index, stage in enumerate(plan.stages)}
    for feature, found in zip(model.feature_info, features, strict=True):
        assert found.shape[1:] == outs[feature.path][:3]
        assert found.shape[1] == feature.channels
    if spec.weights is None:
        assert UNCOUNTED.match(spec.name), "nothing published has these tensors"
        return
    assert any(
        all(pair.theirs for pair in pair_names(model, layout))
        for layout in layouts_of(spec.weights)
    ), "no layout names every tensor"


@pytest.mark.slow
@pytest.mark.parametrize("path", NETWORKS, ids=named)
def test_every_network_runs_forward_and_backward(path: Path) -> None:
    spec = smallest(path)
    model = build(spec)
    image = torch.randn(2, *spec.input.shape[:3])
    loss = model.train()(image).square().mean()
    loss.backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert torch.isfinite(loss)
    assert not without
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    with torch.no_grad():
        logits = model.eval()(image[:1])
    assert logits.shape == (1, spec.classes)
    assert torch.isfinite(logits).all()


def _kinds(path: Path) -> tuple[str, frozenset[tuple[object, ...]]]:
    """A family, and its layers without their numbers: what shares both compiles alike."""
    plan = plan_network(read_spec(path))
    found = (leaf.layer for _, whole in plan.parts() for _, _, leaf in leaves(whole))
    words = (
        (layer.name, *(getattr(layer, w, None) for w in sorted(layer.words))) for layer in found
    )
    return path.parent.name, frozenset(words)


KINDS = list({_kinds(path): path for path in reversed(NETWORKS)}.values())


@pytest.mark.slow
@pytest.mark.parametrize("path", KINDS, ids=named)
def test_every_kind_of_network_compiles(path: Path) -> None:
    """At two blocks a stage where they are alike: more of the same compile alike."""
    stages = enumerate(read_spec(path).stages)
    alike = [n for n, stage in stages if stage.blocks is None and stage.count > 2]
    spec = read_spec(path, [(f"stages.{number}.depth", "2") for number in alike])
    torch._dynamo.reset()
    with torch.device("meta"):
        model = torch.compile(build(spec).eval(), backend="aot_eager", fullgraph=True)
        assert model(torch.empty(1, *spec.input.shape[:3])).shape == (1, spec.classes)


def test_differences_inside_a_family_stay_readable() -> None:
    """From one member to the next: short lines, and far fewer than the texts have."""
    for first, second in pairwise(NETWORKS):
        a, b = read_spec(first), read_spec(second)
        lines = [str(item) for item in differences(a, b)]
        assert max(map(len, lines), default=0) < 400
        # a node that was put elsewhere is told where it was and where it is
        assert len(lines) <= 2 * max(len(text.dump().splitlines()) for text in (a, b))
        changes = cost_changes(plan_network(a), plan_network(b))
        assert changes[-1].after.params == cost_of(plan_network(b))["params"]


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


@pytest.mark.parametrize("path", NETWORKS, ids=named)
def test_the_first_line_leads_an_editor_to_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == FIRST_LINE
    assert (path.parent / first.partition("$schema=")[2]).is_file()


def test_the_committed_schema_is_fresh() -> None:
    committed = (FOLDER / "schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "archspec schema -o specs/schema.json"


def test_the_schema_is_a_schema() -> None:
    Draft7Validator.check_schema(schema())


def test_the_page_of_the_zoo_is_fresh() -> None:
    page = FOLDER.parent / "docs" / "zoo.md"
    fresh = markdown(list_shipped(None)[0])
    assert page.read_text("utf-8") == fresh, "archspec zoo --markdown > docs/zoo.md"


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
        "stem: [{conv: {kernel: [w, 1]}}]",
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
