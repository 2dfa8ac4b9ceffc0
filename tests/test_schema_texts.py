"""The JSON Schemas of recipes, studies, roadmaps: fresh, true to what is shipped, strict."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from typer.testing import CliRunner

from archspec.cli.main import app
from archspec.load import parse_yaml, read_yaml
from archspec.roadmap.schema import roadmap_schema_text
from archspec.roadmap.text import Roadmap, read_roadmap
from archspec.shipped import shipped_files, specs_folder
from archspec.study.schema import recipe_schema_text, rule_schema_text, study_schema_text
from archspec.study.text import Study, read_study
from archspec.train.recipe import Recipe, parse_recipe, read_recipe

TEXTS = {
    "recipe": recipe_schema_text,
    "study": study_schema_text,
    "roadmap": roadmap_schema_text,
    "rule": rule_schema_text,
}
FOLDERS = {"recipe": "recipes", "study": "studies", "roadmap": "roadmaps"}
READ: dict[str, Callable[[Path], Recipe | Study | Roadmap]] = {
    "recipe": read_recipe,
    "study": read_study,
    "roadmap": read_roadmap,
}
FILES = [(kind, path) for kind, folder in FOLDERS.items() for path in shipped_files(folder)]
RECIPE = "epochs: 3\nbatch: 64\noptimizer: {name: sgd, lr: 0.1}\n"
ARMS = "arms: [{name: a}]\n"


@pytest.fixture(scope="module")
def validators() -> dict[str, Draft7Validator]:
    return {kind: Draft7Validator(json.loads(text())) for kind, text in TEXTS.items()}


def whole(tree: Any) -> Any:
    """A YAML tree as JSON's own types."""
    return json.loads(json.dumps(tree))


@pytest.mark.parametrize("kind", TEXTS)
def test_the_committed_schema_is_fresh(kind: str) -> None:
    path = specs_folder() / f"{kind}.schema.json"
    printed = CliRunner().invoke(app, ["schema", kind]).stdout
    assert path.read_text(encoding="utf-8") == printed, f"archspec schema {kind} -o specs/..."
    assert printed == TEXTS[kind]()
    Draft7Validator.check_schema(json.loads(printed))


def test_the_networks_schema_is_the_one_without_a_word() -> None:
    plain, named = (CliRunner().invoke(app, ["schema", *kind]) for kind in ([], ["network"]))
    assert plain.stdout == named.stdout
    assert json.loads(plain.stdout)["title"] == "archspec"
    wrong = CliRunner().invoke(app, ["schema", "recipes"])
    assert wrong.exit_code == 2
    (line,) = wrong.stderr.splitlines()
    assert "'network', 'recipe', 'study', 'roadmap'" in line


@pytest.mark.parametrize(("kind", "path"), FILES, ids=lambda it: getattr(it, "stem", it))
def test_every_shipped_text_validates_and_leads_an_editor_there(
    kind: str, path: Path, validators: dict[str, Draft7Validator]
) -> None:
    errors = validators[kind].iter_errors(whole(read_yaml(path)))
    assert not [f"{list(error.absolute_path)}: {error.message}" for error in errors]
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema=../{kind}.schema.json"
    assert (path.parent / first.partition("$schema=")[2]).is_file()


@pytest.mark.parametrize(("kind", "path"), FILES, ids=lambda it: getattr(it, "stem", it))
def test_dumps_validate(kind: str, path: Path, validators: dict[str, Draft7Validator]) -> None:
    text = READ[kind](path).dump()
    assert validators[kind].is_valid(whole(parse_yaml(text, "dump")))


WRONG_RECIPES = [
    "epochs: 3\nbatch: 64\n",
    "epohs: 3\n" + RECIPE,
    RECIPE + "format: 2\n",
    RECIPE.replace("3", "0"),
    RECIPE.replace("3", "2.5"),
    RECIPE.replace("sgd", "sdg"),
    RECIPE.replace("lr:", "rl:"),
    RECIPE.replace("0.1", "0"),
    RECIPE + "schedule: {kind: cosin}\n",
    RECIPE + "schedule: {kind: step, at: [1.5], factor: 0.1}\n",
    RECIPE + "ema: 1\n",
    RECIPE + "augment: {flip: 1.5}\n",
    RECIPE + "augment: {crop: {scale: [0.5]}}\n",
    RECIPE + "augment: {crop: {scale: 0.5}}\n",
    RECIPE + "augment: {rand_augment: {layer: 2}}\n",
    RECIPE + "resolution: {train: 0}\n",
    "extends: 3\n",
    "extends: quick\nset: {optimizer.lrr: 1}\n",
    "extends: quick\nset: {optimizer.lr: -1}\n",
    "extends: quick\nset: {augment.crop.padding: 2}\n",
    RECIPE + "networks: {resnet*: {epoch: 5}}\n",
    RECIPE + "networks: {resnet*: 5}\n",
    RECIPE + "networks: [resnet]\n",
]
WRONG_STUDIES = [
    "spec: resnet18\n",
    ARMS + "arm: []\n",
    ARMS + "seeds: 0\n",
    ARMS + "small: big\n",
    ARMS + "small: 1000\n",
    ARMS + "patch: 0\n",
    ARMS + "cumulative: 3\n",
    ARMS + "measure: {}\n",
    ARMS + "measure: {resolutions: []}\n",
    ARMS + "measure: {resolutions: [0]}\n",
    ARMS + "measure: {resolutions: [[224, 224, 224]]}\n",
    ARMS + "measure: {resolutions: [224], precision: fp8}\n",
    "arms: []\n",
    "arms: [a]\n",
    "arms: [{spec: resnet18}]\n",
    "arms: [{name: a, sets: {}}]\n",
    "arms: [{name: a, set: 3}]\n",
    "arms: [{name: a, recipe_set: {epoch: 3}}]\n",
    "arms: [{name: a, recipe_set: {optimizer.betas: 3}}]\n",
    "arms: [{name: a, paper: {top1: 101}}]\n",
    "arms: [{name: a, paper: {top-1: 80}}]\n",
]


START = "start: {name: a, spec: resnet18}\n"
STEPS = "steps: [{name: b, set: {stages.0.depth: 1}}]\n"
WRONG_ROADMAPS = [
    START,
    STEPS,
    START + "steps: []\n",
    START + "steps: [{set: {stages.0.depth: 1}}]\n",
    START + "steps: [{name: b, set: 3}]\n",
    START + "steps: [{name: b, recipe_set: {epoch: 3}}]\n",
    START + STEPS + "equal_epochs: 3\n",
    START + STEPS + "seeds: 3\n",
    START + STEPS + "references: [{name: c}]\n",
    "start: {name: a}\n" + STEPS,
    "start: {name: a, spec: resnet18, adopted: true}\n" + STEPS,
]


@pytest.mark.parametrize(
    ("kind", "text"),
    [("recipe", text) for text in WRONG_RECIPES]
    + [("study", text) for text in WRONG_STUDIES]
    + [("roadmap", text) for text in WRONG_ROADMAPS],
)
def test_slips_are_refused(
    kind: str, text: str, validators: dict[str, Draft7Validator], tmp_path: Path
) -> None:
    assert not validators[kind].is_valid(whole(parse_yaml(text, "x")))
    # and the reader refuses them, so that the schema is no stricter
    text = text if "spec:" in text or kind != "study" else f"spec: resnet18\n{text}"
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    assert CliRunner().invoke(app, ["check", str(path)]).exit_code == 2


RIGHT_RECIPES = [
    RECIPE,
    "extends: quick\n",
    "extends: quick\nschedule: {warmup: 3}\n",
    RECIPE + "doc: d\nsource: s\nimages: 10\nloss: binary\nema: null\ndropout: 0.5\n",
    RECIPE + "schedule: {kind: step, at: [0.5, 0.75], factor: 0.1}\n",
    RECIPE + "set: {optimizer.lr: 1e-3, schedule: {warmup: 1}, augment.mixup: null}\n",
    RECIPE + "augment: {crop: {scale: [0.08, 1]}}\nset: {augment.crop.scale.0: 0.2}\n",
    RECIPE + "networks: {resnet*: {epochs: 5, optimizer.lr: 0.2, augment.mixup: 0.1}}\n",
    "epochs: 3\nbatch: 8\noptimizer: {name: adamw, lr: 1e-3, betas: [0.9, 0.95], spare: []}\n",
]
RIGHT_STUDIES = [
    ARMS,
    "extends: kernels\nseeds: 5\n",
    "extends: large_kernel_cost\nmeasure: {batch: 4}\n",
    ARMS + "small: 64\npatch: 2\nepochs: null\nequal_epochs: false\nbaseline: a\n",
    ARMS + "measure: {resolutions: [32, [32, 64]], batch: 2, precision: bf16}\n",
    "arms: [{name: a, set: {stages.*.depth: 2}, recipe_set: {optimizer.lr: 0.1, ema: null}}]\n",
    "arms: [{name: a, paper: {top1: 80.1, params: 25.6M, flops: 4.1G, source: s}, note: n}]\n",
]


RIGHT_ROADMAPS = [
    START + STEPS,
    "extends: resnet50_to_convnext_tiny\nstart: {set: {input.resolution: 160}}\n",
    START + STEPS + "recipe: deit\nequal_epochs: false\npatch: 2\nreferences: []\n",
    START + "steps: [{name: b, adopted: false, recipe: deit, recipe_set: {ema: null}}]\n",
    START + STEPS + "references: [{name: c, spec: vgg11, paper: {top1: 69, top1_std: 0.1}}]\n",
]


@pytest.mark.parametrize(
    ("kind", "text"),
    [("recipe", text) for text in RIGHT_RECIPES]
    + [("study", text) for text in RIGHT_STUDIES]
    + [("roadmap", text) for text in RIGHT_ROADMAPS],
)
def test_what_the_reader_takes_is_taken(
    kind: str, text: str, validators: dict[str, Draft7Validator], tmp_path: Path
) -> None:
    errors = validators[kind].iter_errors(whole(parse_yaml(text, "x")))
    assert not [error.message for error in errors]
    path = tmp_path / "x.yaml"
    own = "" if "extends" in text or kind != "study" else "spec: resnet18\n"
    path.write_text(own + text, encoding="utf-8")
    result = CliRunner().invoke(app, ["check", str(path)])
    assert result.exit_code == 0, result.stderr


def test_an_editor_is_told_what_things_are() -> None:
    told = {kind: json.loads(text())["definitions"] for kind, text in TEXTS.items()}
    recipe, study, roadmap, rule = (told[kind] for kind in ("recipe", "study", "roadmap", "rule"))
    assert (
        "whether numbers of attention heads are kept"
        in rule["Rule"]["properties"]["heads"]["description"].lower()
    )
    optimizer = recipe["Optimizer"]["properties"]
    assert optimizer["lr"]["description"] == "The peak, at the recipe's batch."
    assert "Goyal" in optimizer["rule"]["description"]
    augment = recipe["Augment"]["properties"]
    assert "Beta distribution" in augment["mixup"]["description"]
    assert augment["mixup"] == augment["cutmix"]
    assert augment["flip"]["description"].endswith("Default: 0.5")
    assert "averaged weights" in recipe["Recipe"]["properties"]["ema"]["description"]
    assert "How lr moves" in recipe["Recipe"]["properties"]["schedule"]["description"]
    assert "Trainings of each arm" in study["Study"]["properties"]["seeds"]["description"]
    assert "compared with each other" in study["Arm"]["properties"]["group"]["description"]
    assert "what was before this one" in roadmap["Step"]["properties"]["adopted"]["description"]


def test_defaults_that_are_told_are_those_that_hold() -> None:
    recipe = json.loads(recipe_schema_text())["definitions"]
    plain = parse_recipe(RECIPE)
    for record, name in ((plain, "Recipe"), (plain.optimizer, "Optimizer")):
        for key, field in recipe[name]["properties"].items():
            _, told, value = field.get("description", "").partition("Default: ")
            if told and key != "name":
                assert json.loads(value) == whole(getattr(record, key))
