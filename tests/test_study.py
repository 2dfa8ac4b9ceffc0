from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from archspec.cost import totals
from archspec.diff import differences
from archspec.errors import DataError, Diverged, RunError, SpecError
from archspec.planning import plan_network
from archspec.shipped import shipped_studies
from archspec.spec import NetworkSpec, read_spec
from archspec.study.arms import (
    PlannedArm,
    common_side,
    lengths,
    plan_arms,
    takes_small_form,
)
from archspec.study.folder import StudyAsked, StudyFolder
from archspec.study.frame import frame, interval, summary
from archspec.study.run import Latency, Step, measure_study, run_study
from archspec.study.text import Measure, Study, parse_study, read_study
from archspec.train.recipe import Recipe

#: as in tables of the t distribution: 97.5% with 1 and with 2 degrees of freedom
T1, T2 = 12.706204736, 4.302652730


def planned(name: str, side: int | None = None) -> dict[str, PlannedArm]:
    return {arm.name: arm for arm in plan_arms(read_study(name), side)}


# the text


WRONG = [
    ("spec: resnet18", ["missing", "arms"]),
    ("arms: []\nspec: resnet18", ["a list of 1 or more"]),
    ("arms: [{name: a}]", ["study.yaml:1:8", "arms.0", "an arm needs a spec"]),
    ("spec: resnet18\narm: [{name: a}]", ["unknown key 'arm'", "did you mean 'arms'"]),
    ("spec: resnet18\narms: [{name: a, sett: {}}]", ["2:18", "did you mean 'set'"]),
    ("spec: resnet18\narms: [{name: a}, {name: A}]", ["2:", "arms.0.name", "name of its own"]),
    ("spec: resnet18\narms: [{name: a/b}]", ["arms.0.name", "without slashes"]),
    ("spec: resnet18\narms: [{name: 'a, b'}]", ["arms.0.name", "commas"]),
    ("spec: resnet18\narms: [{name: a.json}]", ["arms.0.name", "ending of a file"]),
    ("spec: resnet18\narms: [{name: Study.JSON}]", ["arms.0.name", "ending of a file"]),
    (
        "spec: resnet18\narms: [{name: a}, {name: b, adopted: false}]",
        ["2:29", "arms.1.adopted", "a cumulative study"],
    ),
    ("spec: resnet18\narms: [{name: lock}]", ["arms.0.name", "'lock'; choose another name"]),
    ("spec: resnet18\narms: [{name: Lock}]", ["arms.0.name", "'Lock'; choose another name"]),
    ("spec: resnet18\nbaseline: c\narms: [{name: b}]", ["2:11: baseline", "'c'", "legal: b"]),
    ("spec: resnet18\nseeds: 0\narms: [{name: b}]", ["2:8: seeds", "value >= 1"]),
    ("spec: resnet18\nsmall: 0\narms: [{name: b}]", ["small is auto, true, false or a side"]),
    ("spec: resnet18\narms: [{name: b, set: 3}]", ["2:23", "a mapping of path: value"]),
    ("spec: resnet18\narms: [{name: b, paper: {top1: 101}}]", ["value <= 100"]),
    (
        "spec: resnet18\nmeasure: {resolutions: [0]}\narms: [{name: b}]",
        ["measure.resolutions.0", "1 <= side"],
    ),
    (
        "spec: resnet18\nmeasure: {resolutions: [32, [32, 32]]}\narms: [{name: b}]",
        ["each resolution is listed once"],
    ),
    (
        "spec: resnet18\nmeasure: {resolutions: [64]}\narms: [{name: b, recipe: quick}]",
        ["3:18", "is measured is not trained"],
    ),
]
WRONG_ARMS = [
    ("spec: resnet19\narms: [{name: a}]", ["1:7", "no shipped spec is called 'resnet19'"]),
    ("spec: resnet18\nrecipe: quik\narms: [{name: a}]", ["2:9", "did you mean 'quick'"]),
    ("arms: [{name: a, spec: x.yaml}]", ["1:24", "arms.0: spec", "names no file"]),
    (
        "spec: resnet18\narms:\n- {name: a}\n- {name: b, set: {stages.9.depth: 2}}",
        ["study.yaml:4:19", "arms.1: set.stages.9.depth", "4 items"],
    ),
    (
        "spec: resnet18\narms: [{name: a, set: {stages.0.depth: 0}}]",
        ["study.yaml:2:40", "arms.0: stages.0.depth", "value >= 1"],
    ),
    (
        "spec: swin_tiny_patch4_window7_224\n"
        "arms: [{name: a, set: {each_stage.blocks.*.swin.window: 5}}]",
        ["study.yaml:2:8", "arms.0: stages.0.blocks.0.swin", "window must divide the map"],
    ),
    (
        "spec: resnet18\narms: [{name: a, recipe_set: {optimizer.lr: -1}}]",
        ["study.yaml:2:31", "arms.0: recipe_set.optimizer.lr", "value > 0"],
    ),
    (
        "spec: resnet18\narms: [{name: a, recipe_set: {optimiser.lr: 1}}]",
        ["study.yaml:2:31", "arms.0: recipe_set.optimiser.lr", "did you mean 'optimizer'"],
    ),
    (
        "spec: swin_tiny_patch4_window7_224\nmeasure: {resolutions: [224, 200]}\narms: [{name: a}]",
        ["arms.0", "window must divide the map", "50x50"],
    ),
]


def absent(value: object) -> bool:
    return value is None or value != value


def written(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_a_wrong_text_is_told_with_its_place(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        read_study(written(tmp_path, text))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(("text", "words"), WRONG_ARMS)
def test_a_wrong_arm_is_told_with_its_place(tmp_path: Path, text: str, words: list[str]) -> None:
    study = read_study(written(tmp_path, text))
    with pytest.raises(SpecError) as caught:
        plan_arms(study)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_spec_may_be_a_file_beside_the_study(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: resnet18\nclasses: 7\n")
    study = read_study(written(tmp_path, "arms: [{name: a, spec: mine.yaml}]"))
    (arm,) = plan_arms(study)
    assert (arm.spec.name, arm.spec.classes) == ("mine", 7)


def test_studies_extend_and_are_edited() -> None:
    study = read_study("recipes", [("seeds", "5"), ("arms.1.name", "other")])
    assert study.seeds == 5
    assert study.arms[1].name == "other"
    assert read_study("recipes").seeds == 3


# the shipped ones


@pytest.mark.parametrize("name", sorted(shipped_studies()))
def test_every_shipped_study_reads_and_plans(name: str) -> None:
    study = read_study(name)
    assert study.doc
    assert study.source
    assert parse_study(study.dump(), name) == study
    assert len(plan_arms(study)) == len(study.arms)
    if study.measure is None:
        assert len(plan_arms(study, 32)) == len(study.arms)


def test_edits_of_the_kernel_study_are_the_shipped_networks() -> None:
    arms = planned("kernels")
    for kernel in (5, 7, 9, 13):
        for words, ending in (("", ""), (" no shortcut", "_no_shortcut"), (" + 3x3", "_small3")):
            name = f"MobileNetV2 k{kernel}{words}"
            if name in arms:
                shipped = read_spec(f"mobilenetv2_100_k{kernel}{ending}")
                assert differences(arms[name].spec, shipped) == []
                assert arms[name].paper.top1 == (shipped.reference and shipped.reference.top1)
    for arm in arms.values():
        assert arm.recipe is not None
        assert arm.recipe.epochs == (120 if arm.group == "RepLKNet" else 100)
    # the ablation prints merged networks: 71.894M parameters with kernels of 3, 79.527M with 31
    for name, params in (("RepLKNet k3", 71_894), ("RepLKNet k31", 79_527)):
        merged = arms[name].spec.model_copy(update={"form": "merged"})
        assert totals(plan_network(merged)).params // 1000 == params


def test_families_agree_in_flops_on_small_images() -> None:
    study = read_study("families_small")
    costs = [totals(arm.plan).flops for arm in plan_arms(study)]
    assert costs[0] == totals(plan_arms(study, 32)[0].plan).flops
    assert costs[0] == pytest.approx(0.556e9, rel=1e-3)
    for cost in costs:
        assert cost == pytest.approx(costs[0], rel=0.03)


def test_positions_are_told_in_one_way_each() -> None:
    arms = planned("positions")
    # 197 x 192 trained numbers tell 14 x 14 positions and the class token
    with_table, none = arms["absolute"], arms["none"]
    assert totals(with_table.plan).params - totals(none.plan).params == 197 * 192
    mean, bare = arms["absolute (mean)"], arms["none (mean)"]
    assert totals(mean.plan).params - totals(bare.plan).params == 196 * 192
    extra = {name: totals(arm.plan).params - totals(bare.plan).params for name, arm in arms.items()}
    assert extra["relative table (mean)"] == 12 * 27 * 27 * 3
    assert extra["convolution after block 1 (mean)"] == (9 + 1) * 192
    assert extra["convolution in every block (mean)"] == 12 * (9 + 1) * 192


def test_one_and_four_stages_keep_their_ratio_of_patches() -> None:
    arms = planned("stages", 32)
    assert arms["attention S single"].plan.stem.out[1:3] == (8, 8)
    assert arms["attention S multi"].plan.stem.out[1:3] == (32, 32)


# what follows from a study


def made(**changes: Any) -> Study:
    arms = changes.pop("arms", [{"name": "a"}, {"name": "b"}, {"name": "c"}])
    text = {"name": "made", "spec": "mobilenetv2_050", "arms": arms, **changes}
    return parse_study(json.dumps(text), "made")


def test_cumulative_edits_pile_up() -> None:
    arms = [
        {"name": "a", "set": {"stages.1.depth": 3}, "recipe_set": {"epochs": 30}},
        {"name": "b", "set": {"stages.2.depth": 4}, "recipe_set": {"label_smoothing": 0.2}},
        {"name": "c", "spec": "resnet18", "set": {"stages.1.depth": 5}},
    ]
    found = [
        ([stage.count for stage in arm.spec.stages[1:3]], arm.recipe)
        for cumulative in (True, False)
        for arm in plan_arms(made(arms=arms, cumulative=cumulative))
    ]
    assert [depths for depths, _ in found] == [[3, 3], [3, 4], [5, 2], [3, 3], [2, 4], [5, 2]]
    recipes = [recipe for _, recipe in found if recipe is not None]
    smoothing = 0.1  # of `quick`
    assert [(recipe.epochs, recipe.label_smoothing) for recipe in recipes] == [
        (30, smoothing), (30, 0.2), (30, 0.2), (30, smoothing), (15, 0.2), (15, smoothing),
    ]  # fmt: skip


def test_edits_of_an_arm_that_is_not_adopted_end_with_it() -> None:
    arms = [
        {"name": "a"},
        {"name": "b", "set": {"stages.1.depth": 3}, "recipe_set": {"epochs": 30}},
        {"name": "c", "set": {"stages.1.depth": 5}, "adopted": False, "recipe": "rsb_a3"},
        {"name": "d", "spec": "resnet18", "adopted": False},
        {"name": "e", "set": {"stages.2.depth": 4}},
    ]
    study = made(arms=arms, cumulative=True)
    found = plan_arms(study)
    assert [arm.spec.name for arm in found] == ["mobilenetv2_050"] * 3 + ["resnet18"] + [
        "mobilenetv2_050"
    ]
    depths = [[stage.count for stage in arm.spec.stages[1:3]] for arm in found]
    assert depths == [[2, 3], [3, 3], [5, 3], [2, 2], [3, 4]]
    names = [arm.recipe and (arm.recipe.name, arm.recipe.epochs) for arm in found]
    assert names == [("quick", 15), ("quick", 30), ("rsb_a3", 100), ("quick", 30), ("quick", 30)]
    assert study.baselines() == {"a": None, "b": "a", "c": "b", "d": "b", "e": "b"}
    assert parse_study(study.dump(), "made") == study


def test_baselines() -> None:
    grouped = [{"name": n, "group": g} for n, g in (("a", "x"), ("b", "x"), ("c", "y"), ("d", "y"))]
    assert made(arms=grouped).baselines() == {"a": None, "b": "a", "c": None, "d": "c"}
    assert made(arms=grouped, baseline="b").baselines() == {"a": "b", "b": None, "c": "b", "d": "b"}
    assert made(cumulative=True).baselines() == {"a": None, "b": "a", "c": "b"}


def test_epochs_of_arms() -> None:
    arms: list[dict[str, Any]] = [{"name": "a"}, {"name": "b", "recipe_set": {"epochs": 350}}]
    study = made(recipe="resnet_classic", equal_epochs=False, arms=arms)
    recipes = [arm.recipe for arm in plan_arms(study) if arm.recipe is not None]
    assert lengths(study, recipes, None) == [90, 350]
    assert lengths(study, recipes, 9) == [9, 35]
    equal = study.model_copy(update={"equal_epochs": True})
    assert lengths(equal, recipes, 9) == [9, 9]


@pytest.mark.parametrize(
    ("small", "side", "expected"),
    [("auto", 32, True), ("auto", 64, True), ("auto", 65, False), ("auto", None, False)]
    + [(True, None, True), (True, 224, True), (False, 32, False), (48, 224, True)],
)
def test_when_networks_take_the_small_form(small: Any, side: int | None, expected: bool) -> None:
    assert takes_small_form(made(small=small), side) is expected


def test_all_arms_take_one_side() -> None:
    # strides of 16 outrun the 8 pixels of digits, those of 8 do not
    assert common_side(made(), 8) == 16
    assert common_side(made(), 28) == 28
    assert common_side(made(spec="resnet18"), 8) == 8
    with pytest.raises(SpecError, match="no shipped spec"):
        common_side(made(spec="nothing"), 8)


def test_a_side_of_the_study_and_a_spec_of_the_command() -> None:
    assert {arm.spec.name for arm in plan_arms(made(small=48))} == {"mobilenetv2_050_48"}
    found = plan_arms(made(arms=[{"name": "a"}, {"name": "b", "spec": "vgg11"}]), spec="resnet18")
    assert [arm.spec.name for arm in found] == ["resnet18", "vgg11"]
    with pytest.raises(SpecError, match="every arm of made names its own spec"):
        plan_arms(made(arms=[{"name": "b", "spec": "vgg11"}]), spec="resnet18")


def test_small_networks_are_trained_at_their_own_resolution() -> None:
    study = made(recipe="rsb_a3")
    own, small = plan_arms(study)[0].recipe, plan_arms(study, 32)[0].recipe
    assert own is not None
    assert small is not None
    assert (own.resolution.train, own.resolution.test) == (160, 224)
    assert (small.resolution.train, small.resolution.test) == (None, None)


def test_a_network_at_another_resolution() -> None:
    spec = read_spec("deit_tiny_patch16_224")
    for side in ((96, 96), (64, 160)):
        at = spec.at(side)
        assert (at.input.shape.height, at.input.shape.width) == side
        # 192 numbers a patch of 16 x 16, and a class token
        patches = side[0] // 16 * (side[1] // 16)
        lost = totals(plan_network(spec)).params - totals(plan_network(at)).params
        assert lost == (14 * 14 - patches) * 192
    assert spec.at((224, 224)) == spec


# runs


def begun(path: Path, study: Study, seeds: int = 2, **changes: Any) -> StudyFolder:
    arms = plan_arms(study, None if study.measure else 32)
    names = tuple(arm.name for arm in arms)
    values: dict[str, Any] = {
        "study": study.name, "data": "digits", "images": None, "train_count": 100, "classes": 10,
        "side": 32, "spec": None, "recipe": None, "epochs": 2, "seeds": seeds, "arms": names,
        "device": "cpu",
    }  # fmt: skip
    return StudyFolder.create(path, StudyAsked(**(values | changes)), study, arms)


class Trainings:
    """Stands for trainings of known outcome; a number is the top-1, an error is raised."""

    def __init__(self, outcomes: dict[tuple[str, int], float | BaseException]) -> None:
        self.outcomes = outcomes
        self.ran: list[tuple[str, int]] = []

    def __call__(self, spec: NetworkSpec, recipe: Recipe, seed: int, path: Path) -> None:
        key = (path.parent.name, seed)
        self.ran.append(key)
        outcome = self.outcomes[key]
        assert spec.name == "mobilenetv2_050_32"
        assert spec.classes == 1000
        if isinstance(outcome, BaseException):
            raise outcome
        path.mkdir(parents=True, exist_ok=True)
        told = {
            "state": "done",
            "top1": outcome,
            "last_top1": outcome - 1,
            "best_top1": outcome + 1,
        }
        told |= {"seconds": 60.0, "images_per_second": 100.0, "reason": None}
        (path / "result.json").write_text(json.dumps(told))


OUTCOMES: dict[tuple[str, int], float | BaseException] = {
    ("a", 0): 90.0, ("b", 0): 91.0, ("c", 0): 80.0, ("a", 1): 92.0, ("b", 1): 95.0, ("c", 1): 81.0,
}  # fmt: skip


def test_a_stopped_study_goes_on_where_it_was(tmp_path: Path) -> None:
    run = tmp_path / "run"
    stopped = Trainings(OUTCOMES | {("c", 0): KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        run_study(begun(run, made()), stopped)
    assert stopped.ran == [("a", 0), ("b", 0), ("c", 0)]
    assert list(frame(run)["state"]) == ["done", "missing"] * 2 + ["missing"] * 2

    told: list[Step] = []
    going = Trainings(OUTCOMES)
    run_study(StudyFolder.open(run), going, told.append)
    assert going.ran == [("c", 0), ("a", 1), ("b", 1), ("c", 1)]
    assert [(step.arm, step.what, step.done, step.wanted) for step in told] == [
        ("c", "seed 0", 2, 6), ("a", "seed 1", 3, 6), ("b", "seed 1", 4, 6), ("c", "seed 1", 5, 6),
    ]  # fmt: skip
    again = Trainings({})
    run_study(StudyFolder.open(run), again)
    assert again.ran == []
    assert list(frame(run)["top1"]) == [90, 92, 91, 95, 80, 81]


def test_what_fails_is_recorded_and_run_again_when_asked(tmp_path: Path) -> None:
    run = tmp_path / "run"
    reason = "the loss is nan at step 57"
    trainings = Trainings(OUTCOMES | {("b", 0): Diverged(reason)})
    run_study(begun(run, made()), trainings)
    assert len(trainings.ran) == 6
    found = frame(run).set_index(["arm", "seed"])
    assert found.loc[("b", 0), "state"] == "failed"
    assert found.loc[("b", 0), "reason"] == reason
    assert absent(found.loc[("b", 0), "top1"])
    row = summary(frame(run), made()).set_index("arm").loc["b"]
    assert (row["n"], row["mean"], row["pairs"], row["difference"]) == (1, 95.0, 1, 3.0)
    assert absent(row["low"])

    run_study(StudyFolder.open(run), Trainings({}))
    mended = Trainings(OUTCOMES)
    run_study(StudyFolder.open(run), mended, retry=True)
    assert mended.ran == [("b", 0)]
    assert list(frame(run)["state"]) == ["done"] * 6


def test_errors_of_the_data_end_a_study(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with pytest.raises(DataError):
        run_study(begun(run, made()), Trainings(OUTCOMES | {("b", 0): DataError("gone")}))
    assert list(frame(run)["state"]) == ["done"] + ["missing"] * 5


def test_a_study_does_not_go_on_with_other_data(tmp_path: Path) -> None:
    from archspec.study.training import check_data

    # 100 of the digits to train on, and all 359 of their test split
    run = tmp_path / "run"
    given: dict[str, Any] = {"images": 100, "test_count": 359}
    check_data(begun(run, made(), **given).asked)
    now = "digits has changed .*100 training images, 359 test images, 10 classes now"
    for name, changes in {
        "train_count": (90, "90 training images, 359 test"),
        "test_count": (360, "100 training images, 360 test"),
        "classes": (9, "359 test images, 9 classes then"),
    }.items():
        value, told = changes
        asked = begun(tmp_path / name, made(), **{**given, name: value}).asked
        with pytest.raises(RunError, match=now) as caught:
            check_data(asked)
        assert told in str(caught.value)
        assert "\n" not in str(caught.value)
    old = begun(tmp_path / "old", made(), images=100)
    check_data(old.asked)


def test_what_is_checked_is_checked_before_anything_is_trained(tmp_path: Path) -> None:
    def refuse() -> None:
        raise RunError("changed")

    run = tmp_path / "run"
    lost = Trainings(OUTCOMES | {("c", 1): Diverged("nan")})
    run_study(begun(run, made()), lost)
    # nothing is left to do, so nothing is asked of the data
    run_study(StudyFolder.open(run), Trainings({}), check=refuse)
    for folder, retry in ((StudyFolder.open(run), True), (begun(run, made(), seeds=3), False)):
        trainings = Trainings(OUTCOMES)
        with pytest.raises(RunError, match="changed"):
            run_study(folder, trainings, retry=retry, check=refuse)
        assert trainings.ran == []
    assert frame(run)["state"].value_counts().to_dict() == {"done": 5, "failed": 1, "missing": 3}


def test_test_images_that_an_older_run_did_not_count_are_no_difference(tmp_path: Path) -> None:
    run = tmp_path / "run"
    begun(run, made())
    told = json.loads((run / "study.json").read_text())
    del told["test_count"]
    (run / "study.json").write_text(json.dumps(told))
    begun(run, made(), test_count=359)
    begun(tmp_path / "new", made(), test_count=359)
    with pytest.raises(RunError, match="test_count 359, not 300"):
        begun(tmp_path / "new", made(), test_count=300)


def test_a_run_is_gone_on_with_only_where_the_same_was_asked(tmp_path: Path) -> None:
    run = tmp_path / "run"
    study = made()
    begun(run, study)
    more = begun(run, study, seeds=4, device="cuda")
    assert (more.asked.seeds, StudyFolder.open(run).asked.seeds) == (4, 4)
    assert begun(run, study, seeds=1).asked.seeds == 4
    with pytest.raises(RunError, match="asked otherwise: epochs 2, not 3; --out"):
        begun(run, study, epochs=3)
    with pytest.raises(RunError, match="the text of made has changed"):
        begun(run, made(arms=[{"name": "a"}, {"name": "b"}, {"name": "c", "note": "new"}]))
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").touch()
    with pytest.raises(RunError, match="not empty"):
        begun(other, study)
    with pytest.raises(RunError, match="no run of a study"):
        StudyFolder.open(other)


def test_damage_is_told(tmp_path: Path) -> None:
    run = tmp_path / "run"
    folder = begun(run, made())
    place = folder.place("a", 0)
    place.mkdir(parents=True)
    (place / "result.json").write_text('{"state": "don')
    with pytest.raises(RunError, match="result.json is damaged; remove it"):
        run_study(folder, Trainings(OUTCOMES))
    (place / "result.json").unlink()
    place.rmdir()
    (run / "a" / "spec.yaml").unlink()
    with pytest.raises(RunError, match="spec.yaml cannot be read"):
        run_study(folder, Trainings(OUTCOMES))
    (run / "study.json").write_text("{}")
    with pytest.raises(RunError, match="study.json is damaged or of another version"):
        StudyFolder.open(run)


def test_costs_are_those_of_what_is_trained(tmp_path: Path) -> None:
    run = tmp_path / "run"
    begun(run, made())
    found = frame(run).iloc[0]
    # 1,968,680 parameters with 1000 classes (timm), whose head has 1281 a class
    assert found["params"] == 1_968_680 - 990 * 1281


# numbers


def test_intervals_are_those_of_student() -> None:
    # of 1, 2, 6: mean 3, squares 4 + 1 + 9 over 2, root 2.645751, over the root of 3 1.527525
    mean, sd, count, low, high = interval([1.0, 2.0, 6.0])
    assert (mean, count) == (3.0, 3)
    assert sd == pytest.approx(2.6457513)
    assert (low, high) == pytest.approx((3 - T2 * 1.5275252, 3 + T2 * 1.5275252))
    assert interval([4.0])[:3] == pytest.approx((4.0, math.nan, 1), nan_ok=True)
    assert all(map(math.isnan, [*interval([])[:2], *interval([])[3:]]))


def test_seeds_that_are_all_equal_tell_no_interval() -> None:
    assert interval([4.0, 4.0])[:3] == (4.0, 0.0, 2)
    # 0.1 both, but for the rounding of binary fractions
    rounded = [90.1 - 90.0, 60.1 - 60.0]
    assert rounded[0] != rounded[1]
    for values in ([4.0, 4.0], [4.0] * 3, rounded):
        assert all(map(math.isnan, interval(values)[3:]))


def test_differences_that_are_equal_are_told_as_no_spread(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from archspec.cli.study_tables import print_study

    study = made()
    tops = {("a", 0): 90.0, ("b", 0): 91.0, ("c", 0): 90.5, ("a", 1): 92.0, ("b", 1): 93.0}
    folder = begun(tmp_path / "run", study)
    run_study(folder, Trainings({**tops, ("c", 1): Diverged("nan")}))
    rows = frame(folder.path)
    sums = summary(rows, study)
    b = sums.set_index("arm").loc["b"]
    assert (b["difference"], b["pairs"]) == (1.0, 2)
    assert absent(b["difference_low"])
    assert absent(b["difference_high"])
    print_study(rows, sums, False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[-4:] == ["+1.00", "a", "no", "spread"]
    # one seed tells its mean alone
    assert lines[3].split()[-3:] == ["1", "+0.50", "a"]


def test_a_part_of_a_ladder_is_compared_with_the_arm_before_and_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from archspec.cli.study_tables import print_study

    arms = [{"name": name} for name in ("first", "second", "third")]
    study = made(arms=arms, cumulative=True)
    tops = {("first", 0): 90.0, ("third", 0): 91.5, ("first", 1): 92.0, ("third", 1): 92.5}
    folder = begun(tmp_path / "run", study, arms=("first", "third"))
    run_study(folder, Trainings(dict(tops)))
    rows = frame(folder.path)
    sums = summary(rows, study)
    assert list(sums["baseline"].fillna("")) == ["", "first"]
    print_study(rows, sums, False)
    head, _, third = capsys.readouterr().out.splitlines()
    assert third.split()[:1] + third.split()[8:10] == ["third", "+1.00", "first"]
    assert "  to  " in head


def test_differences_are_paired_by_seed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    arms = [
        {"name": "a", "paper": {"top1": 70.0}},
        {"name": "b", "paper": {"top1": 71.5}},
        {"name": "c"},
    ]
    study = made(arms=arms)
    run_study(begun(run, study), Trainings(OUTCOMES))
    found = summary(frame(run), study).set_index("arm")
    assert list(found["mean"]) == [91, 93, 80.5]
    # b - a is 1 and 3: mean 2, deviation root 2, over the root of 2 seeds 1
    b = found.loc["b"]
    assert (b["baseline"], b["difference"], b["pairs"]) == ("a", 2.0, 2)
    assert (b["difference_low"], b["difference_high"]) == pytest.approx((2 - T1, 2 + T1))
    assert b["paper_difference"] == 1.5
    # a: 90 and 92, deviation root 2, over the root of 2 seeds 1
    a = found.loc["a"]
    assert (a["low"], a["high"]) == pytest.approx((91 - T1, 91 + T1))
    assert a["sd"] == pytest.approx(math.sqrt(2))
    assert absent(a["baseline"])
    assert absent(a["difference"])
    assert absent(found.loc["c", "paper_difference"])


def test_a_part_of_the_arms_has_its_own_baseline(tmp_path: Path) -> None:
    study = made()
    folder = begun(tmp_path / "run", study, arms=("b", "c"))
    run_study(folder, Trainings(OUTCOMES))
    found = summary(frame(folder.path), study).set_index("arm")
    assert list(found.index) == ["b", "c"]
    assert (found.loc["c", "baseline"], found.loc["c", "difference"]) == ("b", -12.5)


def test_no_training_yet_is_no_number(tmp_path: Path) -> None:
    study = made()
    folder = begun(tmp_path / "run", study)
    found = summary(frame(folder.path), study)
    assert list(found["n"]) == [0, 0, 0]
    assert found["mean"].isna().all()


# measuring


def test_measuring_goes_on_and_compares_with_the_first(tmp_path: Path) -> None:
    study = made(
        measure={"resolutions": [64, [32, 96]]},
        arms=[{"name": "k3"}, {"name": "k7", "set": {"stages.*.block.mbconv.kernel": 7}}],
    )
    asked: list[tuple[int, int]] = []

    def measured(spec: NetworkSpec, measure: Measure) -> Latency:
        shape = spec.input.shape
        asked.append((shape.height, shape.width))
        if len(asked) == 3:
            raise KeyboardInterrupt
        time = float(len(asked))
        return Latency(time, time - 0.5, time + 0.5, None, "cpu")

    folder = begun(tmp_path / "run", study, data=None, classes=None, side=None)
    with pytest.raises(KeyboardInterrupt):
        measure_study(folder, measured)
    measure_study(StudyFolder.open(folder.path), measured)
    assert asked == [(64, 64), (32, 96), (64, 64), (64, 64), (32, 96)]
    rows = frame(folder.path)
    assert list(rows["resolution"]) == ["64x64", "32x96"] * 2
    assert list(rows["latency_ms"]) == [1, 2, 4, 5]
    # the maps of 64 x 64 have 4/3 of the positions of those of 32 x 96, stage by stage
    flops = rows["flops"].tolist()
    head = 1280 * 1000
    assert (flops[0] - head) * 3 == (flops[1] - head) * 4
    sums = summary(rows, study)
    assert list(sums["ratio"][2:]) == [4.0, 2.5]
    assert sums["ratio"][:2].isna().all()


def test_a_forward_pass_is_timed() -> None:
    from archspec.study.latency import measure_latency

    spec = read_spec("mobilenetv2_050", [("input.resolution", "32")])
    for layout in (False, True):
        measure = Measure(resolutions=(32,), repeats=3, batch=2, channels_last=layout)
        found = measure_latency(spec, measure, "cpu")
        assert 0 < found.latency_low <= found.latency_ms <= found.latency_high
        assert (found.memory_mb, found.device) == (None, "cpu")


def test_what_torch_refuses_fails_its_arm_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from archspec.build import build
    from archspec.study.latency import measure_latency

    def refuses_one(spec: NetworkSpec) -> Any:
        if spec.stages[1].count == 1:
            raise RuntimeError("\"op\" not implemented for 'Half'\nException raised from ...")
        return build(spec)

    monkeypatch.setattr("archspec.study.latency.build", refuses_one)
    study = made(
        measure={"resolutions": [32], "repeats": 1},
        arms=[{"name": "odd", "set": {"stages.1.depth": 1}}, {"name": "even"}],
    )
    folder = begun(tmp_path / "run", study, data=None, classes=None, side=None)
    measure_study(folder, lambda spec, how: measure_latency(spec, how, "cpu"))
    rows = frame(folder.path)
    assert list(rows["state"]) == ["failed", "done"]
    assert rows["reason"][0] == "torch refused: \"op\" not implemented for 'Half'"


# the docs


def cost_rows() -> list[str]:
    """Rows of docs/studies.md: the multiply-adds of a whole study."""
    rows = []
    for name in sorted(shipped_studies()):
        study = read_study(name)
        if study.measure is not None:
            continue
        own, small = plan_arms(study), plan_arms(study, 32)
        recipes = [arm.recipe for arm in own if arm.recipe is not None]
        epochs, ten = lengths(study, recipes, None), lengths(study, recipes, 10)
        large = "" if study.small == 32 else whole_cost(own, 1_281_167, epochs)
        cells = [
            name,
            str(len(own)),
            "" if study.small == 32 else span([totals(arm.plan).flops / 1e9 for arm in own]),
            span([totals(arm.plan).flops / 1e9 for arm in small]),
            span(list(map(float, epochs))),
            large,
            whole_cost(small, 50_000, epochs),
            whole_cost(small, 50_000, ten),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def whole_cost(arms: tuple[PlannedArm, ...], images: int, epochs: list[int]) -> str:
    flops = sum(totals(arm.plan).flops * count for arm, count in zip(arms, epochs, strict=True))
    return f"{float(f'{3 * 3 * images * flops / 1e15:.2g}'):,.0f}"


def span(values: list[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"


def test_costs_in_the_docs_are_those_of_the_code() -> None:
    text = (Path(__file__).parents[1] / "docs" / "studies.md").read_text("utf-8")
    assert [row for row in cost_rows() if row not in text] == []


# the command


def test_counts_of_one_are_singular(tmp_path: Path) -> None:
    from archspec.cli.study import _heading
    from archspec.study.arms import check_study

    text = "spec: mobilenetv2_050\nseeds: 1\narms: [{name: a}]\n"
    assert check_study(written(tmp_path, text)) == "study study, 1 arm, 1 seed"
    text = text.replace("seeds: 1", "measure: {resolutions: [64]}")
    assert check_study(written(tmp_path, text)) == "study study, 1 arm at 1 resolution"
    one = begun(tmp_path / "one", made(arms=[{"name": "a"}]), seeds=1)
    assert "10 classes: 1 arm, 1 seed, networks" in _heading(one)
    assert "3 arms, 2 seeds, " in _heading(begun(tmp_path / "more", made()))
    timed = made(arms=[{"name": "a"}], measure={"resolutions": [64]})
    assert "made: 1 arm on cpu" in _heading(begun(tmp_path / "timed", timed, classes=None))


TINY = """
format: 1
doc: tiny
spec: tiny.yaml
arms:
- {name: batch}
- {name: layer, set: {defaults.norm: layer}}
- {name: none, set: {head: [{pool: global}]}}
"""


def test_the_command_trains_shows_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from archspec.cli.study import app

    monkeypatch.chdir(tmp_path)
    network = "stem: [{cna: {width: 8, kernel: 3}}]\nhead: [{pool: global}, {linear: classes}]\n"
    (tmp_path / "tiny.yaml").write_text("input: {resolution: 8}\n" + network)
    (tmp_path / "few.yaml").write_text(TINY)
    command = ["few.yaml", "--data", "digits", "--images", "100", "--epochs", "1", "--seeds", "2"]
    first = CliRunner().invoke(app, [*command, "--device", "cpu"])
    assert first.exit_code == 0, first.output
    assert "3 arms, 2 seeds, networks in small-image form at 8 pixels" in first.output
    # a network that ends in maps of no class fails, and is told
    assert "failed: none, seed 1: " in first.output
    run = tmp_path / "runs" / "few-digits"
    assert (run / "report.html").stat().st_size > 0
    results = {file: file.read_bytes() for file in run.glob("*/seed-*/result.json")}
    assert len(results) == 6

    again = CliRunner().invoke(app, [*command, "--device", "cpu", "--json"])
    assert again.exit_code == 0, again.output
    told = json.loads(again.stdout)
    assert [row["state"] for row in told["rows"]] == ["done"] * 4 + ["failed"] * 2
    # 3 x 3 x 3 x 8 of the convolution, 8 x 2 of the norm, 8 x 10 + 10 of the head
    assert told["rows"][0]["params"] == 216 + 16 + 90
    assert {row["arm"]: row["n"] for row in told["summary"]} == {"batch": 2, "layer": 2, "none": 0}
    assert {file: file.read_bytes() for file in results} == results

    asked = json.loads((run / "study.json").read_text())
    assert (asked["train_count"], asked["test_count"], asked["classes"]) == (100, 359, 10)
    (run / "study.json").write_text(json.dumps(asked | {"test_count": 300}))
    other = CliRunner().invoke(app, [str(run), "--seeds", "3"])
    assert isinstance(other.exception, RunError)
    assert "300 test images, 10 classes then" in str(other.exception)
    # nothing of it is asked for
    assert json.loads((run / "study.json").read_text())["seeds"] == 2

    wrong = CliRunner().invoke(app, [str(run), "--epochs", "2"])
    assert isinstance(wrong.exception, RunError)
