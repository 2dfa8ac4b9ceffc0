"""The training of one network on one data set under one recipe and seed.

Randomness comes from torch's generators, seeded anew at every step by (seed, step, process): so a
training that goes on from a checkpoint draws what the uninterrupted one would have drawn.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from archspec.build import Network, build, set_drop_path
from archspec.errors import Diverged, TooSlow, TrainError
from archspec.plan import NetworkPlan
from archspec.spec import NetworkSpec
from archspec.train.augment import Augmentation
from archspec.train.devices import USUAL, Setting, accelerator
from archspec.train.feed import Feed, epoch_order
from archspec.train.head import set_dropout
from archspec.train.images import ImageSet
from archspec.train.initialise import start
from archspec.train.losses import make_loss
from archspec.train.mixing import Mixing
from archspec.train.optimizers import make_optimizer
from archspec.train.recipe import Recipe
from archspec.train.results import Epoch, Look, Result, Tick
from archspec.train.schedules import make_schedule
from archspec.train.testing import Tested, Tester

#: the loss is looked at every so many steps: a look waits for the GPU
LOOK_EVERY = 25
#: the pace is known after so many steps, the first of which warm up
PACE_AFTER = 12
PACE_SKIPS = 4


class Pacing:
    """Seconds a step, over the first steps of an epoch but those that warm up."""

    def __init__(self, steps: int, wait: Callable[[], None]) -> None:
        self.last = min(PACE_AFTER, steps)
        self.first = min(PACE_SKIPS, self.last - 1)
        self.wait, self.began = wait, time.perf_counter()

    def after(self, done: int) -> float | None:
        """The pace, where so many steps tell it; None before and later."""
        if done not in (self.first, self.last):
            return None
        self.wait()
        now = time.perf_counter()
        if done == self.last:
            return (now - self.began) / (self.last - self.first)
        self.began = now
        return None


class Trainer:
    """One training going on: everything that moves, and the step that moves it."""

    #: keys of its state
    STATE = frozenset(
        {"model", "averaged", "optimizer", "schedule", "scaler", "step", "lr", "micro", "seconds"}
        | {"epoch_loss", "epoch_seconds", "history"}
    )

    def __init__(
        self,
        spec: NetworkSpec,
        plan: NetworkPlan,
        recipe: Recipe,
        images: ImageSet,
        seed: int,
        setting: Setting = USUAL,
        prepare: Callable[[Network], None] = lambda model: None,
    ) -> None:
        self.recipe, self.images, self.seed, self.setting = recipe, images, seed, setting
        self.handle = accelerator(setting)
        self.device = self.handle.device
        shape = spec.input.shape
        self.side, self.grey = (shape.height, shape.width), shape.channels == 1
        self.steps_an_epoch = steps_an_epoch(recipe, images)
        self.steps = self.steps_an_epoch * recipe.all_epochs
        on_gpu = self.device.type == "cuda"
        last = on_gpu if setting.channels_last is None else setting.channels_last
        self.layout = torch.channels_last if last else torch.contiguous_format
        torch.manual_seed(seed)
        self.raw = build(spec, plan)
        start(self.raw)
        prepare(self.raw)
        set_drop_path(self.raw, recipe.drop_path)
        if recipe.dropout is not None:
            set_dropout(self.raw, recipe.dropout)
        self.raw.to(self.device).to(memory_format=self.layout)  # type: ignore[call-overload]
        self.averaged: AveragedModel | None = None
        if recipe.ema is not None:
            average = averaging(recipe.ema)
            self.averaged = AveragedModel(self.raw, multi_avg_fn=average, use_buffers=True)
        optimizer = make_optimizer(self.raw, recipe.optimizer)
        self.schedule = make_schedule(optimizer, recipe, self.steps_an_epoch)
        self.model, self.optimizer = self.handle.prepare(self.raw, optimizer)
        if setting.compile:
            self.model = torch.compile(self.model)
        self.feed = Feed(
            images,
            images.train,
            self.device,
            self.side,
            crop=recipe.augment.crop,
            process=self.handle.process_index,
            processes=self.handle.num_processes,
            seed=seed,
        )
        self.augment = Augmentation(
            recipe.augment,
            self.side,
            images.mirrored,
            images.mean,
            images.std,
            cropped=self.feed.cropped,
        ).to(self.device)
        self.mix = Mixing(recipe.augment, len(images.classes), recipe.label_smoothing)
        self.loss = make_loss(recipe)
        wanted = recipe.resolution.test
        test_side = (wanted, wanted) if wanted is not None else None
        self.test = Tester(
            spec, images, self.handle, side=test_side, crop=recipe.resolution.crop,
            layout=self.layout,
        )  # fmt: skip
        part = math.ceil(recipe.batch / self.handle.num_processes)
        self.micro = min(setting.micro_batch or part, part)
        self.step, self.seconds, self.lr = 0, 0.0, recipe.optimizer.lr
        self.history: list[Epoch] = []
        self.epoch_loss = torch.zeros((), device=self.device)
        self.epoch_seconds = 0.0

    @property
    def chosen(self) -> nn.Module:
        """The network that counts: averaged weights where there are any."""
        return self.raw if self.averaged is None else self.averaged.module

    # One step --------------------------------------------------------------------------------

    def one_step(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """Augment a batch and learn from it; returns the loss, on the device."""
        torch.manual_seed(step_seed(self.seed, self.step, self.handle.process_index))
        return self.learn(*self.seen(pixels, labels))

    def seen(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """What the network sees of a batch: images (n, C, h, w) and soft targets (n, classes)."""
        images, targets = self.mix(self.augment(pixels), labels)
        if self.grey:
            images = images.mean(1, keepdim=True)
        return images.contiguous(memory_format=self.layout), targets

    def learn(self, images: Tensor, targets: Tensor) -> Tensor:
        """Pass forward and back in micro-batches, and step; returns the loss, on the device."""
        total = torch.zeros((), device=self.device)
        # processes' gradients are averaged: each image counts alike, whoever has one more
        share = self.handle.num_processes / self.recipe.batch
        parts = list(
            zip(torch.split(images, self.micro), torch.split(targets, self.micro), strict=True)
        )
        for number, (some, wanted) in enumerate(parts):
            last = number == len(parts) - 1
            with nullcontext() if last else self.handle.no_sync(self.model):
                with self.handle.autocast():
                    loss = self.loss(self.model(some), wanted) * (len(some) * share)
                self.handle.backward(loss)
            total += loss.detach()
        if self.recipe.optimizer.clip is not None:
            self.handle.clip_grad_norm_(self.model.parameters(), self.recipe.optimizer.clip)
        self.lr = self.optimizer.param_groups[-1]["lr"]
        self.optimizer.step()
        # in fp16 a step whose gradients overflow is left out, and its scale is lowered
        if not self.optimizer.step_was_skipped:
            self.schedule.step()
            if self.averaged is not None:
                self.averaged.update_parameters(self.raw)
        self.optimizer.zero_grad()
        self.step += 1
        return total

    # Epochs ----------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """Number of the epoch that is going on, from 0: so many are closed."""
        return len(self.history)

    @property
    def done(self) -> bool:
        """Whether every epoch is closed."""
        return self.epoch == self.recipe.all_epochs

    def order(self, epoch: int) -> Tensor:
        """Places of the images of an epoch, (steps, batch)."""
        recipe = self.recipe
        count = self.images.train_count
        return epoch_order(count, recipe.batch, recipe.augment.repeats, self.seed, epoch)

    def run_epoch(
        self, look: Look = lambda tick: None, slowest: float | None = None
    ) -> Iterator[None]:
        """The steps that are left of this epoch; pauses after each. Raises Diverged, TooSlow."""
        epoch = self.epoch
        first = self.step - epoch * self.steps_an_epoch
        if not first:
            self.epoch_loss = torch.zeros((), device=self.device)
            self.epoch_seconds = 0.0
        self.raw.train()
        self.feed.epoch(epoch)
        seen: float | None = None
        began = time.perf_counter()
        pacing = Pacing(self.steps_an_epoch, self.wait)
        for done, (pixels, labels) in enumerate(self.feed.batches(self.order(epoch), first), 1):
            loss = self.one_step(pixels, labels)
            self.epoch_loss += loss
            if self.step % LOOK_EVERY == 0 or self.step % self.steps_an_epoch == 0:
                seen = self._finite(loss)
            if slowest is not None and epoch == 0:
                pace = pacing.after(done)
                if pace is not None:
                    self._check_pace(pace, slowest)
            look(Tick(self.step, self.steps, epoch + 1, seen))
            now = time.perf_counter()
            self.epoch_seconds += now - began
            yield
            began = time.perf_counter()
        self.wait()
        self.epoch_seconds += time.perf_counter() - began

    def close_epoch(self) -> Epoch:
        """Test the weights after an epoch, and note it."""
        recipe = self.recipe
        mean = self.handle.reduce(self.epoch_loss / self.steps_an_epoch, "mean")
        self._agree()
        tested = self.test(self.raw)
        averaged: Tested | None = None
        if self.averaged is not None:
            averaged = self.test(self.averaged.module)
        self.seconds += self.epoch_seconds
        images = self.steps_an_epoch * recipe.batch
        noted = Epoch(
            epoch=self.epoch + 1,
            step=self.step,
            loss=float(mean),
            lr=self.lr,
            top1=tested.top1,
            test_loss=tested.loss,
            ema_top1=averaged.top1 if averaged else None,
            ema_test_loss=averaged.loss if averaged else None,
            seconds=self.epoch_seconds,
            images_per_second=images / max(self.epoch_seconds, 1e-9),
        )
        if not math.isfinite(noted.test_loss):
            raise Diverged(f"the test loss is {noted.test_loss:g} after epoch {noted.epoch}")
        self.history.append(noted)
        return noted

    def result(self, stopped: bool = False) -> Result:
        """What the training came to so far."""
        last = self.history[-1]
        best = max(self.history, key=lambda epoch: epoch.chosen)
        loss = last.test_loss if last.ema_test_loss is None else last.ema_test_loss
        images = self.steps_an_epoch * self.recipe.batch * len(self.history)
        return Result(
            top1=last.chosen,
            last_top1=last.top1,
            ema_top1=last.ema_top1,
            best_top1=best.chosen,
            best_epoch=best.epoch,
            test_loss=loss,
            epochs=len(self.history),
            steps=self.step,
            seconds=self.seconds,
            images_per_second=images / max(self.seconds, 1e-9),
            micro_batch=self.micro,
            stopped=stopped,
        )

    # States ----------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that another Trainer of the same kind needs to go on as this one would.

        All processes ask for it together.
        """
        scaler = self.handle.scaler
        self._agree()
        return {
            "model": self.raw.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "step": self.step,
            "lr": self.lr,
            "micro": self.micro,
            "seconds": self.seconds,
            "epoch_loss": self.handle.reduce(self.epoch_loss, "mean"),
            "epoch_seconds": self.epoch_seconds,
            "history": [tuple(epoch) for epoch in self.history],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.raw.load_state_dict(state["model"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        if self.handle.scaler is not None:
            self.handle.scaler.load_state_dict(state["scaler"])
        self.step, self.seconds, self.lr = state["step"], state["seconds"], state["lr"]
        self.micro = min(self.micro, state["micro"])
        self.epoch_loss = state["epoch_loss"].to(self.device)
        self.epoch_seconds = state["epoch_seconds"]
        self.history = [Epoch(*values) for values in state["history"]]

    # ------------------------------------------------------------------------------------------

    def _agree(self) -> None:
        """Give all processes the first one's running statistics, which are those that are kept."""
        if self.handle.num_processes == 1:
            return
        models = [self.raw] if self.averaged is None else [self.raw, self.averaged.module]
        for model in models:
            for buffer in model.buffers():
                torch.distributed.broadcast(buffer, 0)

    def _finite(self, loss: Tensor) -> float:
        seen = float(self.handle.reduce(loss, "mean"))
        if not math.isfinite(seen):
            raise Diverged(
                f"the loss is {seen:g} at step {self.step} of {self.steps}; a lower optimizer.lr "
                "or a longer schedule.warmup may help"
            )
        return seen

    def _check_pace(self, pace: float, slowest: float) -> None:
        whole = pace * self.steps
        if whole > slowest:
            raise TooSlow(
                f"at {1000 * pace:.0f} ms a step, {self.steps} steps take {whole:.0f} s, and "
                f"{slowest:g} s are allowed"
            )

    def wait(self) -> None:
        """Until the GPU has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def averaging(decay: float) -> Callable[[Any, Any, Any], None]:
    """The moving average of tensors as torch takes it; whole numbers, such as the indices of
    position biases, are copied instead: torch would cut what it averages of them."""
    moving = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    def average(averaged: list[Tensor], current: list[Tensor], count: object) -> None:
        pairs = list(zip(averaged, current, strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        if floats:
            moving([mean for mean, _ in floats], [new for _, new in floats], count)
        for mean, new in pairs:
            if not mean.is_floating_point():
                mean.copy_(new)

    return average


def step_seed(seed: int, step: int, process: int) -> int:
    """Of the generators at one step of one process; neighbours share nothing."""
    text = f"{seed}/{step}/{process}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest())


def steps_an_epoch(recipe: Recipe, images: ImageSet) -> int:
    """Whole batches of an epoch; raises TrainError where not even one is there."""
    if recipe.batch > images.train_count:
        raise TrainError(
            f"batch <= training images must hold, but got (batch={recipe.batch}, "
            f"images={images.train_count}); scale the recipe to the data"
        )
    return images.train_count // recipe.batch
