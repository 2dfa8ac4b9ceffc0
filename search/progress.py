"""A run watched on a terminal: rate, best so far, time left."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from search.folder import RunFolder
from search.run import Event, Search

NAMES = {"search": "search", "random": "random baseline", "shipped": "shipped networks"}


def watched(folder: RunFolder, quiet: bool = False) -> None:
    """Go on with a run until it is complete, showing progress on standard error."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        lines = _Lines(folder, quiet)
        Search(folder, lines.watch).go()
        return
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, object] = {}
        rate = _Rate()

        def watch(event: Event) -> None:
            if event.kind not in tasks:
                tasks[event.kind] = progress.add_task(
                    NAMES[event.kind], total=event.wanted, completed=event.done, told=""
                )
            progress.update(
                tasks[event.kind],  # type: ignore[arg-type]
                completed=event.done,
                told=f"{rate.tick():.0f} a minute, best {_number(event.best)}",
            )

        Search(folder, watch).go()


class _Rate:
    """Trials a minute over this sitting."""

    def __init__(self) -> None:
        self.started, self.count = time.monotonic(), 0

    def tick(self) -> float:
        self.count += 1
        return 60 * self.count / max(time.monotonic() - self.started, 1e-9)


class _Lines:
    """Where there is no terminal: a line now and then, on standard error."""

    def __init__(self, folder: RunFolder, quiet: bool) -> None:
        self.quiet, self.rate, self.last = quiet, _Rate(), 0.0

    def watch(self, event: Event) -> None:
        rate = self.rate.tick()
        now = time.monotonic()
        if self.quiet or (now - self.last < 10 and event.done < event.wanted):
            return
        self.last = now
        left = (event.wanted - event.done) / rate if rate else 0.0
        Console(stderr=True, highlight=False).print(
            f"{NAMES[event.kind]} {event.done}/{event.wanted}, {rate:.0f} a minute, "
            f"best {_number(event.best)}, about {60 * left:.0f} s left"
        )


def _number(value: float | None) -> str:
    return "none yet" if value is None else f"{value:.3f}"
