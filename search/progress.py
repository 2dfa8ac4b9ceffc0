"""A run watched on a terminal: rate, best so far, time left."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from search.folder import RunFolder, RunInfo
from search.run import Event, Pulse, Search

NAMES = {
    "search": "search",
    "random": "random baseline",
    "shipped": "shipped networks",
    "larger": "one size up",
}


def names(info: RunInfo) -> dict[str, str]:
    """What the kinds of a run's trials are called."""
    return NAMES | ({} if info.scaling is None else {"shipped": "published rules"})


def watched(folder: RunFolder, quiet: bool = False) -> None:
    """Go on with a run until it is complete, showing progress on standard error."""
    console = Console(stderr=True)
    called = names(folder.info)
    if quiet or not console.is_terminal:
        lines = _Lines(folder, quiet)
        Search(folder, lines.watch, lines.listen).go()
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

        Search(folder, watch, listen).go()


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
