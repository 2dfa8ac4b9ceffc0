"""A training that leaves files: epochs, checkpoints, weights, curves; stopped and gone on with."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType

import torch
from torch import nn

from archspec.build import Network
from archspec.errors import RunError, TrainError, WeightsError
from archspec.runs import locked, write_whole
from archspec.spec import NetworkSpec
from archspec.train.attempts import in_memory
from archspec.train.devices import Setting
from archspec.train.folder import CHECKPOINT, TrainingFolder
from archspec.train.head import for_classes
from archspec.train.images import IMAGENET_MEAN, IMAGENET_STD, ImageSet, open_images
from archspec.train.results import Epoch, Look, Result
from archspec.train.trainer import Trainer
from archspec.weights.checkpoints import Channels, read_checkpoint, told_of, write_checkpoint
from archspec.weights.loading import load_state
from archspec.weights.matching import OWN

#: within a long epoch a checkpoint is written every so many seconds
SAVE_EVERY = 300.0

Noted = Callable[[Epoch], None]


def run_training(
    folder: TrainingFolder,
    look: Look = lambda tick: None,
    noted: Noted = lambda epoch: None,
) -> Result | None:
    """Train, or go on with, what a folder asks for; None where it is finished already.

    look: told of every step; noted: of every epoch. A training that cannot go on is recorded in
    result.json with its reason, and raised as TrainError. Ctrl-C is kept until the step is done and
    a checkpoint is written.
    """
    with locked(folder.path) if _is_main() else _unlocked():
        if folder.result is not None:
            return None
        images = images_for(folder)
        try:
            result = _train(folder, images, look, noted)
        except TrainError as error:
            if _is_main():
                told = {"state": "failed", "reason": f"{type(error).__name__}: {error}"}
                folder.finish(told)
            raise
        if _is_main():
            folder.finish({**result._asdict(), "state": "done", "reason": None})
            (folder.path / CHECKPOINT).unlink(missing_ok=True)
        return result


def images_for(folder: TrainingFolder) -> ImageSet:
    """The images that a training was asked to use, normalised as its first weights expect."""
    asked = folder.asked
    images = open_images(
        asked.data,
        images=asked.subset,
        test_images=asked.test_subset,
        holdout=asked.holdout,
    )
    if images.train_count != asked.images or len(images.classes) != asked.classes:
        raise RunError(
            f"{asked.data} has changed: {asked.images} training images of {asked.classes} classes "
            f"when {folder.path} was made, {images.train_count} of {len(images.classes)} now"
        )
    if asked.weights is not None:
        images = normalised(images, read_checkpoint(asked.weights).channels)
    return images


def normalised(images: ImageSet, channels: Channels | None) -> ImageSet:
    """The images with the channels that weights expect: their own, or ImageNet's."""
    channels = channels or Channels(IMAGENET_MEAN, IMAGENET_STD)
    return replace(images, mean=channels.mean, std=channels.std)


def _train(folder: TrainingFolder, images: ImageSet, look: Look, noted: Noted) -> Result:
    from torch.utils.tensorboard import SummaryWriter

    asked, recipe = folder.asked, folder.recipe
    spec, plan = for_classes(folder.spec, images)

    def prepare(model: Network) -> None:
        if asked.weights is not None:
            load_start(model, spec, asked.weights)

    def attempt(setting: Setting) -> Result:
        trainer = Trainer(spec, plan, recipe, images, asked.seed, setting, prepare)
        main = trainer.handle.is_main_process
        checkpoint = folder.path / CHECKPOINT
        if checkpoint.exists():
            trainer.restore(_read_state(checkpoint))
        channels = Channels(images.mean, images.std)
        best = max((epoch.chosen for epoch in trainer.history), default=-1.0)
        writer = (
            SummaryWriter(folder.path / "tensorboard", purge_step=trainer.epoch + 1)
            if main
            else None
        )
        saved = time.monotonic()
        with _patient(trainer.handle.num_processes == 1) as stopped:
            while not trainer.done:
                for _ in trainer.run_epoch(look):
                    late = time.monotonic() - saved > SAVE_EVERY
                    if main and (stopped() or late):
                        _save(trainer, checkpoint)
                        saved = time.monotonic()
                    if stopped():
                        raise KeyboardInterrupt
                epoch = trainer.close_epoch()
                if main:
                    lines = [json.dumps(one._asdict()) for one in trainer.history]
                    write_whole(folder.path / "history.jsonl", "\n".join(lines) + "\n")
                    _log(writer, epoch)
                    if epoch.chosen > best and asked.keep_weights:
                        best = epoch.chosen
                        _write(trainer.chosen, folder.path / "best.safetensors", spec, channels)
                    _save(trainer, checkpoint)
                    saved = time.monotonic()
                    noted(epoch)
        if main:
            assert writer is not None
            writer.close()
            if asked.keep_weights:
                _write(trainer.raw, folder.path / "last.safetensors", spec, channels)
            if trainer.averaged is not None and asked.keep_weights:
                _write(trainer.averaged.module, folder.path / "ema.safetensors", spec, channels)
        return trainer.result()

    setting = Setting(
        asked.device,
        asked.precision,  # type: ignore[arg-type]
        asked.channels_last,
        asked.compile,
        asked.micro_batch,
    )
    if asked.devices > 1:
        # one process alone cannot try again: the others wait for it
        return attempt(setting)
    return in_memory(attempt, setting, recipe)


def load_start(model: Network, spec: NetworkSpec, source: str) -> None:
    """Start from the weights of a file; a head of other classes starts anew.

    Raises WeightsError where anything else does not fit.
    """
    found = read_checkpoint(source)
    report = load_state(model, spec, found.state, None, True, found.aspect)
    own = model.state_dict()
    head = [name for name in own if name.startswith("head.") and len(own[name]) == spec.classes]
    wrong = [
        problem
        for problem in (*report.missing, *report.misfits)
        if not any(problem.startswith(name) for name in head)
    ]
    if wrong or not report.loaded:
        raise WeightsError(
            f"{source} does not fit {spec.name}: {len(wrong)} tensors, such as "
            f"{wrong[0] if wrong else 'all'}; `archspec weights show` lists all"
        )


def _write(model: nn.Module, path: Path, spec: NetworkSpec, channels: Channels) -> None:
    write_checkpoint(path, model.state_dict(), told_of(spec, OWN, channels))


def _save(trainer: Trainer, path: Path) -> None:
    half = path.with_name(f".{path.name}.part")
    try:
        torch.save(trainer.state(), half)
        half.replace(path)
    except (OSError, RuntimeError) as error:
        half.unlink(missing_ok=True)
        raise RunError(f"{path} cannot be written: {str(error).splitlines()[0]}") from None


def _read_state(path: Path) -> dict[str, object]:
    try:
        held: dict[str, object] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may fail anywhere in its reader
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(f"{path} is damaged ({reason[:100]}); remove it to start anew") from None
    return held


def _log(writer: object, epoch: Epoch) -> None:
    values = {
        "loss/training": epoch.loss,
        "loss/test": epoch.test_loss,
        "loss/test_averaged": epoch.ema_test_loss,
        "top1/test": epoch.top1,
        "top1/test_averaged": epoch.ema_top1,
        "lr": epoch.lr,
        "images_per_second": epoch.images_per_second,
    }
    for name, value in values.items():
        if value is not None:
            writer.add_scalar(name, value, epoch.epoch)  # type: ignore[attr-defined]
    writer.flush()  # type: ignore[attr-defined]


@contextmanager
def _patient(alone: bool) -> Iterator[Callable[[], bool]]:
    """While open, Ctrl-C is only noted, so that no step is torn; a second one is obeyed at once."""
    noted = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal noted
        if noted:
            raise KeyboardInterrupt
        noted = True

    if not alone or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: noted
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _unlocked() -> Iterator[None]:
    yield


def _is_main() -> bool:
    return int(os.environ.get("RANK", "0")) == 0
