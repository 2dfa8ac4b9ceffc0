"""A training tried: in memory, with ever smaller pieces where memory runs out, or for its pace."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from archspec.errors import OutOfMemory, TrainError
from archspec.plan import NetworkPlan
from archspec.spec import NetworkSpec
from archspec.train.devices import USUAL, Setting, out_of_memory
from archspec.train.images import ImageSet
from archspec.train.recipe import Recipe
from archspec.train.results import Look, Result, Watch
from archspec.train.trainer import Pacing, Trainer


def train(
    spec: NetworkSpec,
    plan: NetworkPlan,
    recipe: Recipe,
    images: ImageSet,
    seed: int,
    *,
    device: str | None = None,
    precision: str = "auto",
    watch: Watch = lambda epoch: True,
    look: Look = lambda tick: None,
    slowest: float | None = None,
) -> Result:
    """Train one network from nothing, in memory; `run_training` is the one that leaves files.

    spec: with the classes of `images`, at the resolution of the training. recipe: scaled to them
    already. watch: False stops early. slowest: seconds that the whole training may take, judged by
    the pace of its first steps. Raises Diverged, OutOfMemory or TooSlow.
    """
    setting = Setting(device, precision)  # type: ignore[arg-type]

    def attempt(setting: Setting) -> Result:
        trainer = Trainer(spec, plan, recipe, images, seed, setting)
        while not trainer.done:
            for _ in trainer.run_epoch(look, slowest):
                pass
            if not watch(trainer.close_epoch()):
                return trainer.result(stopped=not trainer.done)
        return trainer.result()

    return in_memory(attempt, setting, recipe)


def in_memory(attempt: Callable[[Setting], Result], setting: Setting, recipe: Recipe) -> Result:
    """Try a training with ever smaller micro-batches until it fits the memory.

    The batch stays what it is: gradients are accumulated, so that results stay comparable (batch
    norms see the micro-batch alone). Raises OutOfMemory where one image at a time is too much.
    """
    micro = min(setting.micro_batch or recipe.batch, recipe.batch)
    while True:
        try:
            return attempt(setting)
        except (RuntimeError, MemoryError) as error:
            problem = told(error)
            if not isinstance(problem, OutOfMemory):
                raise problem from error
        finally:
            # under half precision accelerate ties a network into a cycle, which would hold its
            # memory until Python looks for cycles; here it seldom does
            gc.collect()
            torch.cuda.empty_cache()  # does nothing where there is no GPU
        if micro == 1:
            raise OutOfMemory(f"even with one image at a time: {problem}")
        micro = micro // 2
        setting = replace(setting, micro_batch=micro)


def told(error: RuntimeError | MemoryError) -> TrainError:
    """What torch refused, in one line: OutOfMemory, or a TrainError of anything else."""
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    if out_of_memory(error):
        return OutOfMemory(f"out of memory: {first}")
    return TrainError(f"torch refused: {first}")


def pace(
    spec: NetworkSpec,
    plan: NetworkPlan,
    recipe: Recipe,
    images: ImageSet,
    setting: Setting = USUAL,
) -> float:
    """Seconds that an epoch takes with its test, timed on a few steps that are thrown away."""
    trainer = Trainer(spec, plan, recipe, images, 0, setting)
    pacing = Pacing(trainer.steps_an_epoch, trainer.wait)
    steps = enumerate(trainer.run_epoch(), 1)
    step = next(pace for done, _ in steps if (pace := pacing.after(done)) is not None)
    began = time.perf_counter()
    trainer.test(trainer.raw)
    if trainer.averaged is not None:
        trainer.test(trainer.averaged.module)
    return step * trainer.steps_an_epoch + time.perf_counter() - began
