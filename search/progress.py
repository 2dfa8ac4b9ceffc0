"""A run watched on a terminal: rate, best so far, time left."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from search.coordinator import Event, Listener, Pulse, Watcher
from search.folder import RunFolder, RunInfo
from search.run import Search
from search.workers import WorkersAsked, open_workers

NAMES = {
    "search": "search",
    "random": "random baseline",
    "shipped": "shipped networks",
    "larger": "one size up",
}


def names(info: RunInfo) -> dict[str, str]:
    """What the kinds of a run's trials are called."""
    rungs = {
        kind: f"rung {number}, {rung.score}"
        for number, (kind, rung) in enumerate(zip(info.rungs, info.ladder, strict=True), 2)
    }
    return NAMES | ({} if info.scaling is None else {"shipped": "published rules"}) | rungs


def watched(folder: RunFolder, quiet: bool = False, helpers: WorkersAsked | None = None) -> None:
    """Go on with a run until it is complete, showing progress on standard error.

    helpers: who evaluates, where it is not this process.
    """
    console = Console(stderr=True)
    called = names(folder.info)
    if quiet or not console.is_terminal:
        lines = _Lines(folder, quiet)
        _go(folder, lines.watch, lines.listen, console, helpers)
        return
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}
        rate = _Rate()
        best = "none yet"

        def task(kind: str, done: int, wanted: int) -> TaskID:
            if kind not in tasks:
                tasks[kind] = progress.add_task(called[kind], total=wanted, completed=done, told="")
            return tasks[kind]

        def watch(event: Event) -> None:
            nonlocal best
            best = _number(event.best)
            told = f"{_pace(rate.tick())}, best {best}"
            shown = task(event.kind, event.done, event.wanted)
            progress.update(shown, completed=event.done, told=told)

        def listen(pulse: Pulse) -> None:
            told = f"trial {pulse.number}: {pulse.told}, best {best}"
            progress.update(task(pulse.kind, pulse.done, pulse.wanted), told=told)

        _go(folder, watch, listen, progress.console, helpers)


def _go(
    folder: RunFolder,
    watch: Watcher,
    listen: Listener,
    console: Console,
    helpers: WorkersAsked | None,
) -> None:
    def tell(text: str) -> None:
        """What is waited for, whoever is quiet: a database that is away."""
        console.print(text, highlight=False)

    # a ladder may begin with scores that are read off the text
    device = next((place for place in folder.info.places if place != "text"), "text")
    asked = replace(helpers or WorkersAsked(), device=device)
    with open_workers(asked) as workers, closing(folder.ledger(tell)) as ledger:
        Search(folder, watch, listen, workers=workers, ledger=ledger).go()


class _Rate:
    """Trials a minute over this sitting."""

    def __init__(self) -> None:
        self.started, self.count = time.monotonic(), 0

    def tick(self) -> float:
        """Trials a minute after one more."""
        self.count += 1
        return 60 * self.count / max(time.monotonic() - self.started, 1e-9)


class _Lines:
    """Where there is no terminal: a line now and then, on standard error."""

    def __init__(self, folder: RunFolder, quiet: bool) -> None:
        self.quiet, self.rate, self.last = quiet, _Rate(), 0.0
        self.names = names(folder.info)

    def watch(self, event: Event) -> None:
        rate = self.rate.tick()
        left = (event.wanted - event.done) / rate if rate else 0.0
        self._print(
            f"{self.names[event.kind]} {event.done}/{event.wanted}, {_pace(rate)}, "
            f"best {_number(event.best)}, about {60 * left:.0f} s left",
            event.done >= event.wanted,
        )

    def listen(self, pulse: Pulse) -> None:
        done = f"{pulse.done}/{pulse.wanted}"
        self._print(f"{self.names[pulse.kind]} {done}, trial {pulse.number}: {pulse.told}")

    def _print(self, text: str, always: bool = False) -> None:
        now = time.monotonic()
        if self.quiet or (now - self.last < 10 and not always):
            return
        self.last = now
        Console(stderr=True, highlight=False).print(text)


def _number(value: float | None) -> str:
    return "none yet" if value is None else f"{value:.3f}"


def _pace(rate: float) -> str:
    """Trials a minute in words; trainings take minutes."""
    return f"{rate:.0f} a minute" if rate >= 1 else f"{60 * rate:.0f} an hour"
