"""The options of several workers, which `search`, `resume` and `join` have."""

from __future__ import annotations

from collections.abc import Sequence

#: their heading
WORKERS = "Workers"
WORKERS_HELP = "Evaluate so many networks at once, each in a process of its own."
RAY_HELP = (
    "Evaluate on a Ray cluster: auto (where nothing is said), HOST:PORT, ray://HOST:PORT, or local "
    "to start one here."
)
GPUS_HELP = "With --ray, GPUs of one evaluation; a fraction puts several on one."
_RAY, _ANY = "--ray", "auto"


def with_address(words: Sequence[str]) -> list[str]:
    """A command line whose `--ray` has a value: alone it means the cluster at hand."""
    found: list[str] = []
    for place, word in enumerate(words):
        found.append(word)
        if word == _RAY and (place + 1 == len(words) or words[place + 1].startswith("-")):
            found.append(_ANY)
    return found
