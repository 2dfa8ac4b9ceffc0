"""Runs that climb a ladder, small enough for a test: trainings are made up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from made_training import Fake
from tiny_runs import made_run

from search.folder import RunFolder
from search.ladder import parse_sentence
from search.run import Search, Watcher
from search.rungs import Defaults, asked_rungs

#: a text score, another one, training that is pruned, and finalists
SENTENCE = (
    "18 by params, 8 by depth, 5 by train for 9 epochs, then 2 by train for 12 epochs with 2 seeds"
)


def made_ladder(path: Path, sentence: str = SENTENCE, **changes: Any) -> RunFolder:
    """A new run folder that is to climb."""
    first, *above = asked_rungs(parse_sentence(sentence), Defaults(), "digits", 0, "cpu")
    asked: dict[str, Any] = {"score": first.score, "trials": first.count, "random_trials": 2}
    asked["sampler"] = "random"
    asked |= {"training": first.training, "score_label": first.score_label, "ladder": tuple(above)}
    return made_run(path, **asked | changes)


def climb(
    folder: RunFolder, patch: pytest.MonkeyPatch, watch: Watcher = lambda event: None
) -> Fake:
    """Go on with a run to its end; returns what stood for the training."""
    fake = Fake()
    patch.setattr("archspec.train.attempts.train", fake)
    Search(folder, watch).go()
    return fake


def numbers(folder: RunFolder, kind: str, state: str | None = None) -> list[int]:
    """Search trials of a rung, in the order in which they were finished there."""
    trials: Sequence[Any] = folder.trials(kind)
    key = "number" if kind == "search" else "of"
    attrs = [trial.user_attrs for trial in trials]
    return [int(one[key]) for one in attrs if state in (None, one["state"])]
