"""A training watched on a terminal: epoch, rate, accuracy, time left."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from archspec.train.folder import TrainingFolder
from archspec.train.results import Epoch, Result, Tick
from archspec.train.run import run_training

#: a line where there is no terminal, at most every so many seconds
LINE_EVERY = 10.0


def watched(folder: TrainingFolder, quiet: bool = False) -> Result | None:
    """Train, or go on, with a bar on standard error, or a line now and then without a terminal."""
    console = Console(stderr=True, highlight=False)
    if quiet:
        return run_training(folder)
    if not console.is_terminal:
        lines = _Lines(console, folder.recipe.all_epochs)
        return run_training(folder, lines.look, lines.noted)
    columns = (
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps"),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = _Bar(progress, folder)
        return run_training(folder, bar.look, bar.noted)


class _Bar:
    def __init__(self, progress: Progress, folder: TrainingFolder) -> None:
        self.progress, self.folder = progress, folder
        self.task: TaskID | None = None
        self.loss, self.top1 = "", ""

    def look(self, tick: Tick) -> None:
        epochs = self.folder.recipe.all_epochs
        if self.task is None:
            self.task = self.progress.add_task("", total=tick.steps, epoch="", told="")
        if tick.loss is not None:
            self.loss = f"loss {tick.loss:.3f}"
        told = ", ".join(filter(None, (self.loss, self.top1)))
        epoch = f"{tick.epoch}/{epochs}"
        self.progress.update(self.task, completed=tick.step, epoch=epoch, told=told)

    def noted(self, epoch: Epoch) -> None:
        self.top1 = f"{epoch.chosen:.2f}% after epoch {epoch.epoch}"


class _Lines:
    def __init__(self, console: Console, epochs: int) -> None:
        self.console, self.epochs = console, epochs
        self.last = time.monotonic()

    def look(self, tick: Tick) -> None:
        # an epoch that takes long is heard of before it ends
        if tick.loss is not None and time.monotonic() - self.last > LINE_EVERY:
            self.last = time.monotonic()
            self.console.print(
                f"epoch {tick.epoch}/{self.epochs}, step {tick.step}/{tick.steps}, "
                f"loss {tick.loss:.3f}"
            )

    def noted(self, epoch: Epoch) -> None:
        done = epoch.epoch == self.epochs
        if not done and time.monotonic() - self.last < LINE_EVERY:
            return
        self.last = time.monotonic()
        self.console.print(
            f"epoch {epoch.epoch}/{self.epochs}, loss {epoch.loss:.3f}, {epoch.chosen:.2f}%, "
            f"{epoch.images_per_second:.0f} images a second"
        )
