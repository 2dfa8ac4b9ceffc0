"""Sittings of the exam: commands of `archspec` run in this process until the time is up.

In this process, so that one kill ends all of it; a command goes on with what it left when it was
stopped. How long a part ran, over all sittings, is written down while it runs.
"""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from archspec.errors import RunError
from archspec.runs import write_whole

#: seconds after which the clock is written again; a kill loses no more of it
BEAT = 2.0
#: an interruption that a library swallowed is repeated after so many seconds
AGAIN = 30.0
#: what a command that was stopped ends with
STOPPED = 130


class Clock:
    """Seconds that parts of the exam ran, over all sittings, in a JSON file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def seconds(self, part: str) -> float:
        """Of one part, 0 where it never ran; raises RunError where the file is damaged."""
        return self._read().get(part, 0.0)

    def _read(self) -> dict[str, float]:
        try:
            told = json.loads(self.file.read_text(encoding="utf-8"))
            return {str(part): float(seconds) for part, seconds in told.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError):
            raise RunError(f"{self.file} is damaged; remove it, and times start at 0") from None

    @contextmanager
    def running(self, part: str) -> Iterator[None]:
        """Count the time in this block, and write it down every two seconds."""
        known, began, over = self._read(), time.monotonic(), threading.Event()
        before = known.get(part, 0.0)

        def note() -> None:
            told = known | {part: before + time.monotonic() - began}
            write_whole(self.file, json.dumps(told, indent=1))

        def beat() -> None:
            while not over.wait(BEAT):
                note()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            note()


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """While open, Ctrl-C is pressed after so many seconds; never after infinitely many."""

    def press(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, press)
    # 0 is a timer that never rings
    rings = max(seconds, 1e-3) if math.isfinite(seconds) else 0.0
    signal.setitimer(signal.ITIMER_REAL, rings, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def archspec(words: Sequence[str], seconds: float) -> bool:
    """Run a command of `archspec` for so long at most; whether it came to its end.

    Where it failed it has told why in a line, and the exam ends with its exit code.
    """
    from archspec.cli.main import app

    try:
        with interrupted_after(seconds):
            ended = app(list(words), prog_name="archspec", standalone_mode=False)
    except KeyboardInterrupt:
        # before the command was so far that it takes it itself
        return False
    if ended == STOPPED:
        return False
    if ended:
        raise SystemExit(ended)
    return True


__all__ = ["Clock", "archspec", "interrupted_after"]
