"""Trainings that leave files: stopped, killed and gone on with, the result is the same."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import NORMED, network, recipe, tensors
from typer.testing import CliRunner

from archspec.cli.main import app
from archspec.errors import Diverged, RunError, TrainError, WeightsError
from archspec.train.devices import Setting
from archspec.train.folder import TrainingFolder
from archspec.train.prepare import prepare
from archspec.train.recipe import Augment, Crop, Optimizer, Recipe
from archspec.train.results import Tick
from archspec.train.run import run_training

#: everything random at once: crops, mixes, dropped paths, dropout, repeats, averaged weights
NOISY = recipe(
    ema=0.9,
    drop_path=0.2,
    dropout=0.1,
    label_smoothing=0.1,
    augment=Augment(crop=Crop(padding=0.125), mixup=0.8, cutmix=1.0, erasing=0.25, repeats=2),
)
#: what two runs may differ in
TIMED = ("seconds", "images_per_second")


def begin(path: Path, used: Recipe = NOISY, **asked: Any) -> TrainingFolder:
    found = prepare(
        network(NORMED),
        used,
        "digits",
        as_written=True,
        subset=256,
        setting=Setting("cpu", "fp32"),
        command="archspec train",
        **asked,
    )
    return TrainingFolder.create(path, found.asked, found.spec, found.recipe)


def history(path: Path) -> list[dict[str, Any]]:
    lines = (path / "history.jsonl").read_text().splitlines()
    return [
        {key: value for key, value in json.loads(line).items() if key not in TIMED}
        for line in lines
    ]


def same(one: Path, other: Path) -> bool:
    for name in ("last", "ema", "best"):
        mine, theirs = (tensors(path / f"{name}.safetensors") for path in (one, other))
        if mine.keys() != theirs.keys():
            return False
        if not all(torch.equal(mine[key], theirs[key]) for key in mine):
            return False
    return history(one) == history(other)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that nothing interrupted."""
    folder = begin(tmp_path_factory.mktemp("training") / "whole")
    run_training(folder)
    return folder.path


def test_a_folder_holds_what_it_says(whole: Path) -> None:
    names = {path.name for path in whole.iterdir()}
    assert names == {
        "train.json", "spec.yaml", "recipe.yaml", "history.jsonl", "result.json", "tensorboard",
        "best.safetensors", "last.safetensors", "ema.safetensors", "lock",
    }  # fmt: skip
    result = TrainingFolder.open(whole).result
    assert result is not None
    assert result["state"] == "done"
    assert [epoch["epoch"] for epoch in history(whole)] == [1, 2]
    assert result["top1"] == history(whole)[-1]["ema_top1"]
    assert TrainingFolder.open(whole).spec.classes == 10


def test_tensorboard_reads_the_log(whole: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(whole / "tensorboard"))
    log.Reload()
    values = [event.value for event in log.Scalars("top1/test_averaged")]
    assert values == pytest.approx([epoch["ema_top1"] for epoch in history(whole)])


def test_a_finished_training_is_not_trained_again(whole: Path) -> None:
    assert run_training(TrainingFolder.open(whole)) is None


@pytest.mark.parametrize("step", [3, 8, 11])
def test_a_training_stopped_at_a_step_goes_on_as_if_it_had_not_been(
    tmp_path: Path, whole: Path, step: int
) -> None:
    folder = begin(tmp_path / "stopped")

    def look(tick: Tick) -> None:
        if tick.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_training(folder, look)
    assert folder.result is None
    run_training(TrainingFolder.open(folder.path))
    assert same(folder.path, whole)


@pytest.mark.slow
def test_a_training_that_is_killed_goes_on_to_the_same_result(tmp_path: Path, whole: Path) -> None:
    folder = begin(tmp_path / "killed")
    command = [sys.executable, "-m", "archspec.cli.main", "resume", str(folder.path)]
    draw = random.Random(0)
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # somewhere between the start and some seconds of training
        time.sleep(draw.uniform(3, 9))
        process.kill()
        process.wait()
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert same(folder.path, whole)


@pytest.mark.slow
def test_several_processes_share_a_batch(tmp_path: Path) -> None:
    """Nothing random and no batch norm: two processes compute what one does."""
    still = recipe(augment=Augment(flip=0.0))
    folders = []
    for name, devices in (("one", 1), ("two", 2)):
        found = prepare(
            network(), still, "digits", as_written=True, subset=256,
            setting=Setting("cpu", "fp32"), devices=devices,
        )  # fmt: skip
        folder = TrainingFolder.create(tmp_path / name, found.asked, found.spec, found.recipe)
        command = [sys.executable, "-m", "archspec.cli.main", "resume", str(folder.path)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        folders.append(folder.path)
    one, two = (tensors(path / "last.safetensors") for path in folders)
    for name in one:
        assert torch.allclose(one[name], two[name], atol=1e-5), name
    mine, theirs = (TrainingFolder.open(path).result for path in folders)
    assert mine is not None
    assert theirs is not None
    assert theirs["test_loss"] == pytest.approx(mine["test_loss"], rel=1e-4)


@pytest.mark.slow
def test_several_processes_save_the_network_that_they_tested(tmp_path: Path) -> None:
    """Each sees its part of a batch, and has its own running statistics."""
    folder = begin(tmp_path / "two", devices=2)
    command = [sys.executable, "-m", "archspec.cli.main"]
    subprocess.run([*command, "resume", str(folder.path)], check=True, capture_output=True)
    words = [*command, "evaluate", str(folder.path), "--json"]
    found = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    assert folder.result is not None
    assert found[0]["loss"] == pytest.approx(folder.result["test_loss"], rel=1e-6)


@pytest.mark.slow
def test_several_processes_stop_and_go_on(tmp_path: Path) -> None:
    longer = recipe(epochs=40, augment=Augment(flip=0.0))
    folder = begin(tmp_path / "two", longer, devices=2)
    command = [sys.executable, "-m", "archspec.cli.main", "resume", str(folder.path)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    for _ in range(600):
        if (folder.path / "history.jsonl").exists():
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    done = len(history(folder.path))
    assert 1 <= done < 40
    subprocess.run(command, check=True, capture_output=True)
    assert len(history(folder.path)) == 40


def test_what_another_machine_may_mend_is_not_the_end(tmp_path: Path, whole: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    folder = begin(tmp_path / "moved").go_on_with("cuda", 1, None)
    with pytest.raises(TrainError, match="no device 'cuda' here"):
        run_training(folder)
    assert folder.result is None
    run_training(TrainingFolder.open(folder.path).go_on_with("cpu", 1, None))
    assert same(folder.path, whole)


def test_data_that_changed_is_told(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run")
    record = json.loads((folder.path / "train.json").read_text())
    (folder.path / "train.json").write_text(json.dumps({**record, "fingerprint": "other"}))
    with pytest.raises(RunError, match="digits has changed since .*, other then, .* now; bring"):
        run_training(TrainingFolder.open(folder.path))


def test_a_training_that_fails_is_recorded_with_its_reason(tmp_path: Path) -> None:
    folder = begin(tmp_path / "wild", recipe(optimizer=Optimizer(name="sgd", lr=1e30)))
    with pytest.raises(Diverged):
        run_training(folder)
    assert folder.result is not None
    assert folder.result["state"] == "failed"
    assert folder.result["reason"].startswith("Diverged: the loss is")


# Folders that cannot be used ----------------------------------------------------------------------


def test_a_folder_that_is_taken(whole: Path) -> None:
    with pytest.raises(RunError, match="holds a run already: `archspec resume"):
        begin(whole)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("train.json", b"{", r"train.json is damaged or of another version"),
        ("train.json", b"{}", r"'name' is missing"),
        ("result.json", b"{", r"result.json is damaged; remove it"),
        ("result.json", b'{"state": "done"}', r"result.json is damaged; remove it"),
        ("checkpoint.pt", b"no", r"checkpoint.pt is damaged \(.*\); remove it to start anew"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    folder = begin(tmp_path / "run")
    (folder.path / name).write_bytes(content)
    with pytest.raises(RunError, match=words):
        run_training(TrainingFolder.open(folder.path))


def test_no_folder_of_a_training(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no training folder: it has no train.json"):
        TrainingFolder.open(tmp_path)


# First weights ------------------------------------------------------------------------------------


def test_weights_to_start_from_keep_all_but_another_head(tmp_path: Path, whole: Path) -> None:
    frozen = recipe(optimizer=Optimizer(name="sgd", lr=1e-12), augment=Augment(flip=0.0))
    folder = begin(tmp_path / "tuned", frozen, weights=str(whole / "last.safetensors"))
    run_training(folder)
    mine, theirs = (tensors(path / "last.safetensors") for path in (folder.path, whole))
    for name, value in theirs.items():
        if value.is_floating_point() and "running" not in name:
            assert torch.allclose(mine[name], value, atol=1e-6), name


def test_weights_that_do_not_fit_are_refused_before_anything_is_written(
    tmp_path: Path, whole: Path
) -> None:
    wide = network(NORMED.replace("width: 8", "width: 16"))
    with pytest.raises(WeightsError, match=r"does not fit normed: \d+ tensors are missing or of"):
        prepare(
            wide, NOISY, "digits", as_written=True, subset=256, setting=Setting("cpu"),
            weights=str(whole / "last.safetensors"),
        )  # fmt: skip


# The commands -------------------------------------------------------------------------------------

TRAIN = ["train", "tiny.yaml", "--epochs", "1", "--images", "256", "--device", "cpu"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(NORMED)
    return tmp_path


def call(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def test_train_and_evaluate(here: Path) -> None:
    done = call(*TRAIN)
    assert done.exit_code == 0, done.output
    assert "256 of the training images" in done.output
    assert "recipe quick, scaled: images 50000 -> 256, epochs 15 -> 1" in done.output
    folder = here / "runs" / "normed-digits-quick"
    assert (folder / "report.html").exists()
    told = json.loads(call(*TRAIN, "--resume", "--json").stdout)
    found = json.loads(call("evaluate", str(folder), "--json", "--device", "cpu").stdout)
    assert found[0]["top1"] == pytest.approx(told[0]["top1"])
    assert found[0]["images"] == 359
    larger = call(*TRAIN, "--recipe-set", "resolution.test=12", "--out", "larger", "--json")
    found = json.loads(call("evaluate", "larger", "--json", "--device", "cpu").stdout)
    assert found[0]["loss"] == pytest.approx(json.loads(larger.stdout)[0]["test_loss"])
    other = call(*TRAIN, "--seed", "1", "--resume")
    assert other.exit_code == 2
    assert "was asked for something else (seed 0 -> 1)" in other.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "resnet19"], "did you mean 'resnet18'"),
        (["train", "tiny.yaml", "--recipe", "quik"], "did you mean 'quick'"),
        (["train", "tiny.yaml", "--recipe-set", "optimizer.lr=fast"], "a number is needed"),
        (["train", "tiny.yaml", "--recipe-set", "optimizer.momentum=0.9"], "adamw has no momentum"),
        (["train", "tiny.yaml", "--data", "nowhere"], "no data at nowhere"),
        (["train", "tiny.yaml", "--images", "100000"], "<= images <= 1438 must hold"),
        (["train", "tiny.yaml", "--precision", "fp8"], "no precision is called 'fp8'"),
        (["train", "tiny.yaml", "--device", "tpu"], "no device is called 'tpu'"),
        (["train", "tiny.yaml", "--as-written", "--epochs", "2"], "leave it out, or --epochs"),
        (["train", "tiny.yaml", "--resume"], "to go on with; leave --resume out to begin"),
        (["train", "tiny.yaml", "--holdout", "1.5"], "between 0 and 1 is held out"),
        (["train", "tiny.yaml", "--devices", "999"], "must hold, but got (devices=999"),
        (["evaluate", "tiny.yaml"], "evaluate needs --weights FILE"),
        (["evaluate", "resnet18", "--weights", "no.pth", "--data", "digits"], "1000 classes apart"),
    ],
)
def test_wrong_inputs_are_one_line_and_leave_nothing(
    here: Path, words: list[str], told: str
) -> None:
    done = call(*words)
    assert done.exit_code == 2, done.output
    assert told in done.output
    assert done.output.count("\n") == 1
    assert not (here / "runs").exists()
