"""The options of several workers, which `search`, `resume` and `join` have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

#: their heading
WORKERS = "Workers"
_RAY, _ANY = "--ray", "auto"

Workers = Annotated[
    int | None,
    typer.Option(
        help="Evaluate so many networks at once, each in a process of its own; "
        "they share the GPUs.",
        rich_help_panel=WORKERS,
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        help="Evaluate on a Ray cluster: its address, HOST:PORT or ray://HOST:PORT; auto, the one "
        "at hand, also where no address follows; or local, to start one here.",
        rich_help_panel=WORKERS,
    ),
]
GpusEach = Annotated[
    float | None,
    typer.Option(
        help="With --ray: GPUs that one evaluation takes; a fraction lets several share one.",
        show_default="1 on cuda, else 0",
        rich_help_panel=WORKERS,
    ),
]


def with_address(words: Sequence[str]) -> list[str]:
    """A command line whose `--ray` has a value: alone it means the cluster at hand."""
    found: list[str] = []
    for place, word in enumerate(words):
        found.append(word)
        if word == _RAY and (place + 1 == len(words) or words[place + 1].startswith("-")):
            found.append(_ANY)
    return found


__all__ = ["WORKERS", "GpusEach", "Ray", "Workers", "with_address"]
