"""`archspec check` of recipes and studies: told apart, and what is said of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from archspec.cli.kinds import kind_of
from archspec.cli.main import app
from archspec.load import read_yaml
from archspec.shipped import (
    shipped_files,
    shipped_recipes,
    shipped_roadmaps,
    shipped_specs,
    shipped_studies,
)

ROOT = Path(__file__).resolve().parents[1]
RECIPE = "epochs: 3\nbatch: 64\noptimizer: {name: sgd, lr: 0.1}\n"
STUDY = "spec: resnet18\narms: [{name: a}, {name: b, set: {stages.0.depth: 1}}]\n"
ROADMAP = "start: {name: a, spec: resnet18}\nsteps: [{name: b, set: {stages.0.depth: 1}}]\n"
NETWORK = "input: {resolution: 8}\nhead: [{pool: global}, {linear: 10}]\n"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("path", shipped_files("recipes"), ids=lambda path: path.stem)
def test_every_shipped_recipe_is_checked(path: Path) -> None:
    result = run("check", str(path), path.stem)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith(f"ok {path}: recipe {path.stem}, ")
    assert f"ok {path.stem}: recipe {path.stem}, " in result.stdout


@pytest.mark.parametrize("path", shipped_files("studies"), ids=lambda path: path.stem)
def test_every_shipped_study_is_checked(path: Path) -> None:
    result = run("check", path.stem)
    assert result.exit_code == 0, result.stderr
    # counted in the text: this file knows nothing of what reads it
    arms = len(read_yaml(path)["arms"])
    assert result.stdout.startswith(f"ok {path.stem}: study {path.stem}, {arms} arms")


@pytest.mark.parametrize("path", shipped_files("roadmaps"), ids=lambda path: path.stem)
def test_every_shipped_roadmap_is_checked(path: Path) -> None:
    result = run("check", path.stem)
    assert result.exit_code == 0, result.stderr
    steps = len(read_yaml(path)["steps"])
    assert result.stdout.startswith(f"ok {path.stem}: roadmap {path.stem}, {steps} steps")


def test_no_name_is_shipped_twice() -> None:
    shipped = (shipped_specs, shipped_recipes, shipped_studies, shipped_roadmaps)
    kinds = [set(found()) for found in shipped]
    assert sum(map(len, kinds)) == len(set.union(*kinds))


def test_what_a_recipe_and_a_study_are(tmp_path: Path) -> None:
    edits = "networks: {resnet*: {epochs: 5}}\n"
    write(tmp_path, mine=RECIPE + edits, two=STUDY)
    result = run("check", str(tmp_path / "mine.yaml"), str(tmp_path / "two.yaml"))
    told = "recipe mine, 3 epochs in batches of 64 by sgd, edits for 1 kind of networks"
    assert result.stdout.splitlines()[0] == f"ok {tmp_path / 'mine.yaml'}: {told}"
    assert "study two, 2 arms" in result.stdout.splitlines()[1]


@pytest.mark.parametrize(
    ("text", "noun"),
    [
        (RECIPE, "recipe"),
        (STUDY, "study"),
        (NETWORK, "spec"),
        (ROADMAP, "roadmap"),
        ("name: x\ndoc: y\n", "spec"),
        # a slip in one key does not hide the others
        ("epoch: 3\nbatch: 64\noptimizer: {}\n", "recipe"),
        ("arm: []\nseeds: 3\n", "study"),
        # nothing but what it extends
        ("extends: quick\n", "recipe"),
        ("extends: kernels\nset: {seeds: 2}\n", "study"),
        ("extends: resnet50\nset: {stages.0.depth: 1}\n", "spec"),
        ("extends: deit_tiny\n", "spec"),
        ("extends: resnet50_to_convnext_tiny\n", "roadmap"),
        ("extends: resnet50_to_convnext_tiny\nset: {steps.0.recipe: deit}\n", "roadmap"),
        ("stat: {}\nsteps: []\n", "roadmap"),
        # keys that a recipe and a study share
        ("extends: quick\nsource: mine\nepochs: 3\n", "recipe"),
        ("extends: kernels\nsource: mine\nepochs: 3\n", "study"),
        # files, and files of files
        ("extends: a_recipe.yaml\n", "recipe"),
        ("extends: a_study.yaml\nepochs: 3\n", "study"),
        ("extends: a_network.yaml\n", "spec"),
        ("extends: again.yaml\nepochs: 9\n", "recipe"),
        # a slip in what it extends
        ("extends: quik\n", "recipe"),
        ("extends: kernel\nepochs: 3\n", "study"),
        ("extends: resnet5\n", "spec"),
        ("extends: circle.yaml\n", "spec"),
        ("extends: nowhere.yaml\nepochs: 2\n", "recipe"),
        ("extends: 3\n", "spec"),
    ],
)
def test_kinds_are_told_apart(text: str, noun: str, tmp_path: Path) -> None:
    write(tmp_path, a_recipe=RECIPE, a_study=STUDY, a_network=NETWORK, it=text)
    write(tmp_path, again="extends: further.yaml\n", further="extends: a_recipe.yaml\n")
    write(tmp_path, circle="extends: it.yaml\n")
    assert kind_of(tmp_path / "it.yaml").noun == noun


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (RECIPE.replace("lr:", "lrr:"), "3:24: optimizer.lrr: ", ["'lrr'", "did you mean 'lr'"]),
        (RECIPE.replace("3", "0"), "1:9: epochs: ", ["value >= 1 must hold", "0"]),
        (RECIPE + "schedule: {warmup: 3}\n", "1:9: epochs: ", ["warmup < epochs"]),
        # an edit for networks, which no plain reading tries
        (RECIPE + "networks: {a*: {epoch: 5}}\n", "4:24: epoch: ", ["'epochs'"]),
        (RECIPE + "networks: {a*: {epochs: 0}}\n", "4:25: epochs: ", ["value >= 1"]),
        ("extends: quik\n", "1:10: extends: ", ["no shipped recipe", "did you mean 'quick'"]),
        ("extends: quick\nsets: {}\n", "2:1: sets: ", ["did you mean 'set'"]),
        (STUDY.replace("depth", "dept"), "2:50: arms.1: stages.0.dept: ", ["'depth'"]),
        (STUDY.replace("resnet18", "resnet19"), "1:7: spec: ", ["did you mean 'resnet18'"]),
        (STUDY + "recipe: quik\n", "3:9: recipe: ", ["did you mean 'quick'"]),
        (STUDY.replace("name: b", "name: a"), "2:15: arms.0.name: ", ["a name of its own"]),
        (STUDY + "epoch: 3\n", "3:1: epoch: ", ["did you mean 'epochs'"]),
        (ROADMAP.replace("depth", "dept"), "2:40: steps.0: stages.0.dept: ", ["'depth'"]),
        (ROADMAP.replace("1", "2"), "1:24: start: spec: ", ["no shipped spec", "'resnet28'"]),
        (
            STUDY.replace("set: {stages.0.depth: 1}", "recipe_set: {optimizer.lrr: 1}"),
            "2:42: arms.1: recipe_set.optimizer.lrr: ",
            ["'lrr'"],
        ),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(
    text: str, place: str, words: list[str], tmp_path: Path
) -> None:
    write(tmp_path, it=text)
    path = tmp_path / "it.yaml"
    result = run("check", str(path))
    assert result.exit_code == 2
    assert not result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"{path}:{place}"), line
    for word in words:
        assert word in line


def test_names_are_looked_for_among_all_that_is_shipped() -> None:
    for wrong, right in (
        ("quik", "quick"),
        ("kernelss", "kernels"),
        ("convnxt_tiny", "convnext_tiny"),
    ):
        result = run("check", wrong)
        assert result.exit_code == 2
        (line,) = result.stderr.splitlines()
        assert f"'{wrong}'" in line
        assert f"did you mean '{right}'" in line
    for word in ("network", "space", "recipe", "study"):
        assert word in line


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys\n"
        "sys.argv[1:] = ['check', 'quick', 'cmt', 'stages', 'large_kernel_cost']\n"
        "from archspec.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit as done:\n    assert not done.code\n"
        "import archspec.study.schema\n"
        "heavy = {'torch', 'numpy', 'optuna', 'pandas', 'search', 'reports', 'datasets'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ok ") == 4
