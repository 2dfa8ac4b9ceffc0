"""A search watched: how far it is, how fast trials that count come, the best so far, time left."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from search.coordinator import Event, Listener, Pulse, Watcher
from search.folder import RunFolder, RunInfo
from search.grid import GRID
from search.metrics import FLOPS, OBJECTIVES, SCORE, flops_metric
from search.run import Search
from search.summary import best_words, ranked_by
from search.workers import WorkersAsked, open_workers

NAMES = {
    "search": "search",
    "random": "random baseline",
    "shipped": "shipped networks",
    "larger": "one size up",
}
#: seconds; a first trial that takes longer tells the pace of the others
BRIEF = 60.0


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
    console = Console(stderr=True, highlight=False)
    called, pace = names(folder.info), Pace()
    pace.aim = OBJECTIVES[ranked_by(folder.info.objectives)[0]]
    if quiet or not console.is_terminal:
        lines = _Lines(called, pace, console, quiet)
        _go(folder, lines.watch, lines.listen, pace, console, helpers)
        return
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[told]}"),
    )
    with Progress(*columns, console=console) as progress:
        bars = _Bars(called, pace, progress)
        _go(folder, bars.watch, bars.listen, pace, progress.console, helpers)


def _go(
    folder: RunFolder,
    watch: Watcher,
    listen: Listener,
    pace: Pace,
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
        search = Search(folder, watch, listen, workers=workers, ledger=ledger)
        pace.points = len(search.points) if folder.info.sampler == GRID else None
        search.go()


class Pace:
    """How fast trials of a kind come that count, over this sitting, and how long the rest takes.

    points: how many tries the search has where it goes through a grid, most of which may break the
    budget; None where it goes on until enough count. aim: what events tell the best of. clock:
    seconds from any start.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.points: int | None = None
        self.aim = SCORE
        self._kind: str | None = None
        self._since = self._last = clock()
        self._before = self._tries = 0

    def told(self, event: Event) -> str:
        """One more trial; the pace, the best so far and the time left, in words."""
        before, self._last = self._last, self._clock()
        now = self._last
        if event.kind != self._kind:
            # what earlier sittings did is no speed of this one, nor is a first trial that is brief
            # beside the start of workers and what it loads
            brief = now - before < BRIEF
            self._kind, self._since = event.kind, now if brief else before
            self._before, self._tries = event.done - (event.counted and not brief), -brief
        self._tries += 1
        spent = max(now - self._since, 1e-9)
        found = event.done - self._before
        best = self.best(event.best)
        if found <= 0:
            return best
        rate = f"{_rate(60 * found / spent)}, {best}"
        if event.done >= event.wanted:
            return rate
        seconds = spent * (event.wanted - event.done) / found
        if event.kind == "search" and self.points is not None:
            left = max(0, self.points - event.number - 1)
            seconds = min(seconds, spent * left / self._tries)
        return f"{rate}, about {_time(seconds)} left"

    def best(self, value: float | None) -> str:
        """The best so far in words: `best 10.228` of a score, `lowest params 0.39 M`."""
        if self.aim == SCORE:
            return f"best {_number(value)}"
        words = best_words(self.aim.key)
        if value is None:
            return f"{words} none yet"
        unit = flops_metric([value]) if self.aim.key == FLOPS.key else self.aim
        return f"{words} {unit.shown(value)} {unit.short}"


class _Bars:
    """On a terminal: a bar a kind."""

    def __init__(self, called: dict[str, str], pace: Pace, progress: Progress) -> None:
        self._called, self._pace, self._progress = called, pace, progress
        self._tasks: dict[str, TaskID] = {}
        self._best = pace.best(None)

    def watch(self, event: Event) -> None:
        """A trial is done."""
        self._best = self._pace.best(event.best)
        bar, told = self._bar(event), self._pace.told(event)
        # the run may be asked for more while it goes on
        self._progress.update(bar, completed=event.done, total=event.wanted, told=told)

    def listen(self, pulse: Pulse) -> None:
        """A network is being trained."""
        told = f"trial {pulse.number}: {pulse.told}, {self._best}"
        self._progress.update(self._bar(pulse), told=told)

    def _bar(self, at: Event | Pulse) -> TaskID:
        if at.kind not in self._tasks:
            name = self._called[at.kind]
            self._tasks[at.kind] = self._progress.add_task(
                name, total=at.wanted, completed=at.done, told=""
            )
        return self._tasks[at.kind]


class _Lines:
    """Where there is no terminal: a line now and then."""

    def __init__(self, called: dict[str, str], pace: Pace, console: Console, quiet: bool) -> None:
        self._called, self._pace, self._console, self._quiet = called, pace, console, quiet
        self._last = 0.0

    def watch(self, event: Event) -> None:
        """A trial is done."""
        told = self._pace.told(event)
        name = self._called[event.kind]
        self._print(f"{name} {event.done}/{event.wanted}, {told}", event.done >= event.wanted)

    def listen(self, pulse: Pulse) -> None:
        """A network is being trained."""
        done = f"{pulse.done}/{pulse.wanted}"
        self._print(f"{self._called[pulse.kind]} {done}, trial {pulse.number}: {pulse.told}")

    def _print(self, text: str, always: bool = False) -> None:
        now = time.monotonic()
        if self._quiet or (now - self._last < 10 and not always):
            return
        self._last = now
        self._console.print(text)


def _number(value: float | None) -> str:
    return "none yet" if value is None else f"{value:.3f}"


def _rate(rate: float) -> str:
    """Trials a minute in words; trainings take minutes."""
    return f"{rate:.0f} a minute" if rate >= 1 else f"{60 * rate:.0f} an hour"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


__all__ = ["Pace", "names", "watched"]
