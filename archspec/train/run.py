"""A training that leaves files: epochs, checkpoints, weights, curves; stopped and gone on with."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType

import torch
from torch import nn

from archspec.build import Network
from archspec.errors import Diverged, OutOfMemory, RunError, TrainError, WeightsError
from archspec.runs import locked, write_whole, written
from archspec.spec import NetworkSpec
from archspec.train.attempts import in_memory, told
from archspec.train.devices import Setting
from archspec.train.folder import CHECKPOINT, TrainingFolder
from archspec.train.head import for_classes
from archspec.train.images import IMAGENET_MEAN, IMAGENET_STD, ImageSet, open_images
from archspec.train.results import Epoch, Look, Result
from archspec.train.trainer import Trainer
from archspec.train.unchanged import Counts, check_unchanged, counts_of
from archspec.weights.checkpoints import Channels, read_checkpoint, told_of, write_checkpoint
from archspec.weights.loading import load_state
from archspec.weights.matching import OWN

#: within a long epoch a checkpoint is written every so many seconds
SAVE_EVERY = 300.0
#: several processes ask each other every so many steps whether to save or to stop
AGREE_EVERY = 20
#: what a process wishes for that was told to stop; 1 is to save, 0 nothing
STOP = 2

Noted = Callable[[Epoch], None]


def run_training(
    folder: TrainingFolder,
    look: Look = lambda tick: None,
    noted: Noted = lambda epoch: None,
) -> Result | None:
    """Train, or go on with, what a folder asks for; None where it is finished already.

    look: told of every step; noted: of every epoch. A training that diverges, or for which the
    memory is too small, is recorded in result.json with its reason, and raised; what another
    machine may mend is raised alone. Ctrl-C waits until the step is done and a checkpoint written.
    """
    with locked(folder.path) if _is_main() else nullcontext():
        if folder.result is not None:
            return None
        images = images_for(folder)
        try:
            result = _train(folder, images, look, noted)
        except (Diverged, OutOfMemory) as error:
            if _is_main():
                folder.finish({"state": "failed", "reason": f"{type(error).__name__}: {error}"})
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
    was = Counts(asked.images, asked.test_images, asked.classes, asked.fingerprint or None)
    check_unchanged(asked.data, was, counts_of(images))
    if asked.weights is not None:
        images = normalised(images, read_checkpoint(asked.weights).channels)
    return images


def normalised(images: ImageSet, channels: Channels | None) -> ImageSet:
    """The images with the channels that weights expect: their own, or ImageNet's."""
    channels = channels or Channels(IMAGENET_MEAN, IMAGENET_STD)
    return replace(images, mean=channels.mean, std=channels.std)


def _train(folder: TrainingFolder, images: ImageSet, look: Look, noted: Noted) -> Result:
    asked, recipe = folder.asked, folder.recipe
    spec, plan = for_classes(folder.spec, images)

    def prepare(model: Network) -> None:
        if asked.weights is not None:
            load_start(model, spec, asked.weights)

    def attempt(setting: Setting) -> Result:
        trainer = Trainer(spec, plan, recipe, images, asked.seed, setting, prepare)
        checkpoint = folder.path / CHECKPOINT
        if checkpoint.exists():
            trainer.restore(_read_state(checkpoint))
        keeper = _Keeper(folder, trainer, spec, Channels(images.mean, images.std))
        with _patient(trainer.handle.num_processes == 1) as stopped:
            while not trainer.done:
                for _ in trainer.run_epoch(look):
                    wish = keeper.wish(stopped())
                    if wish:
                        keeper.save()
                    if wish == STOP:
                        raise KeyboardInterrupt
                keeper.note(trainer.close_epoch(), noted)
        keeper.close()
        return trainer.result()

    setting = Setting(
        asked.device,
        asked.precision,  # type: ignore[arg-type]
        asked.channels_last,
        asked.compile,
        asked.micro_batch,
    )
    if asked.devices == 1:
        return in_memory(attempt, setting, recipe)
    try:
        return attempt(setting)
    except (RuntimeError, MemoryError) as error:
        problem = told(error)
        if isinstance(problem, OutOfMemory):
            # one process alone cannot try again: the others wait for it
            raise TrainError(f"{problem}; give a smaller --micro-batch with --resume") from error
        raise problem from error


class _Keeper:
    """What a training leaves while it goes on; the first process writes, all take part."""

    def __init__(
        self, folder: TrainingFolder, trainer: Trainer, spec: NetworkSpec, channels: Channels
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.folder, self.path, self.trainer = folder, folder.path, trainer
        self.spec, self.channels = spec, channels
        self.main, self.alone = trainer.handle.is_main_process, trainer.handle.num_processes == 1
        self.best = max((epoch.chosen for epoch in trainer.history), default=-1.0)
        self.saved = time.monotonic()
        self.log: SummaryWriter | None = None
        if self.main:
            with written(self.path):
                place = self.path / "tensorboard"
                self.log = SummaryWriter(place, purge_step=trainer.epoch + 1)

    def wish(self, stopped: bool) -> int:
        """Whether to save here, or to save and STOP: what one process wants, all do."""
        late = self.main and time.monotonic() - self.saved > SAVE_EVERY
        own = STOP if stopped else int(late)
        if self.alone:
            return own
        if self.trainer.step % AGREE_EVERY:
            return 0
        wishes = torch.tensor(own, device=self.trainer.device)
        torch.distributed.all_reduce(wishes, torch.distributed.ReduceOp.MAX)
        return int(wishes)

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state = self.trainer.state()
        self.saved = time.monotonic()
        if not self.main:
            return
        path = self.path / CHECKPOINT
        half = path.with_name(f".{path.name}.part")
        try:
            torch.save(state, half)
            half.replace(path)
        except (OSError, RuntimeError) as error:
            half.unlink(missing_ok=True)
            raise RunError(f"{path} cannot be written: {str(error).splitlines()[0]}") from None

    def note(self, epoch: Epoch, noted: Noted) -> None:
        """Write what an epoch came to: curves, the best weights, the checkpoint."""
        if self.main:
            lines = [json.dumps(one._asdict()) for one in self.trainer.history]
            with written(self.path):
                write_whole(self.path / "history.jsonl", "\n".join(lines) + "\n")
                self._log(epoch)
            if epoch.chosen > self.best:
                self.best = epoch.chosen
                self._write(self.trainer.chosen, "best")
        self.save()
        if self.main:
            noted(epoch)

    def close(self) -> None:
        """Write the last weights."""
        if self.log is None:
            return
        with written(self.path):
            self.log.close()
        self._write(self.trainer.raw, "last")
        if self.trainer.averaged is not None:
            self._write(self.trainer.averaged.module, "ema")

    def _write(self, model: nn.Module, name: str) -> None:
        if self.folder.asked.keep_weights:
            told_of_it = told_of(self.spec, OWN, self.channels)
            write_checkpoint(self.path / f"{name}.safetensors", model.state_dict(), told_of_it)

    def _log(self, epoch: Epoch) -> None:
        assert self.log is not None
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
                self.log.add_scalar(name, value, epoch.epoch)
        self.log.flush()


def load_start(model: Network, spec: NetworkSpec, source: str) -> str:
    """Start from the weights of a file; a head of other classes starts anew. Says what was loaded.

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
            f"{source} does not fit {spec.name}: {len(wrong)} tensors are missing or of another "
            f"shape, such as {wrong[0] if wrong else 'all'}; `archspec weights show` lists all"
        )
    anew = len(report.missing) + len(report.misfits)
    told = f"{report.loaded} tensors of {source}, layout {report.layout}"
    return told + (f"; {anew} of the head start anew, for other classes" if anew else "")


def _read_state(path: Path) -> dict[str, object]:
    try:
        held: dict[str, object] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may fail anywhere in its reader
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunError(f"{path} is damaged ({reason[:100]}); remove it to start anew") from None
    if not isinstance(held, dict) or not held.keys() >= Trainer.STATE:
        raise RunError(f"{path} is of another version; remove it to start anew")
    return held


@contextmanager
def _patient(alone: bool) -> Iterator[Callable[[], bool]]:
    """While open, Ctrl-C, SIGTERM and SIGHUP are only noted, so that no step is torn.

    alone: a second Ctrl-C is obeyed at once; of several processes each hears of the first twice,
    from the terminal and from what started them.
    """
    heard: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if alone and number == signal.SIGINT and number in heard:
            raise KeyboardInterrupt
        heard.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {
        number: signal.signal(number, note)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield lambda: bool(heard)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_main() -> bool:
    return int(os.environ.get("RANK", "0")) == 0
