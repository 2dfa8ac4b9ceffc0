"""By what a `search` scores: a ladder, training, or a score of untrained networks.

Scores, data and device are tried here, before anything is written.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from search.ladder import Ladder
    from search.protocol import Protocol
    from search.rule_space import RuleSpace
    from search.rungs import RungInfo
    from search.space import Space


class TrainingAsked(NamedTuple):
    """The options of `--score train` as they were given, None where they were not."""

    recipe: str | None
    epochs: int | None
    minutes: float | None
    seeds: int | None
    images: int | None
    holdout: float | None
    slowest: float | None
    prune: bool | None


class ScoreAsked(NamedTuple):
    """What networks are to be scored by, as it was given, None where it was not."""

    score: str | None
    trials: int | None
    data: str
    batch: int | None
    seed: int
    device: str | None
    training: TrainingAsked


class ScoredBy(NamedTuple):
    """What networks are scored by; of a ladder the first rung, with `ladder`, those above it.

    device: its name, `text` where no network is built. trials: None where nobody said how many.
    """

    score: str
    label: str
    data: str
    batch: int
    device: str
    trials: int | None
    training: Protocol | None = None
    ladder: tuple[RungInfo, ...] = ()


def ladder_of(text: str | None, asked: ScoreAsked, scaling: str | None) -> Ladder | None:
    """The ladder of `--ladder`, None where there is none; raises ArchspecError, also for an option
    whose value its rungs tell."""
    if text is None:
        return None
    from search.ladder import read_ladder
    from search.rungs import refuse_options

    told = asked.training
    refuse_options(
        {
            "score": asked.score,
            "trials": asked.trials,
            "scaling": scaling,
            "epochs": told.epochs,
            "minutes": told.minutes,
            "seeds": told.seeds,
            "images": told.images,
            "prune": told.prune,
        }
    )
    return read_ladder(text)


def scored_by(asked: ScoreAsked, ladder: Ladder | None, space: Space | RuleSpace) -> ScoredBy:
    """What networks of a space are scored by; raises ArchspecError where score, data, recipe or
    device is missing, or an option is of another score."""
    from archspec.train.sources import DIGITS
    from search.scores import TRAIN

    if asked.device is not None:
        # a score that is read off the text would never ask
        from archspec.train.devices import checked_device

        checked_device(asked.device)
    if asked.data != DIGITS and os.path.exists(asked.data):
        # a run may be resumed from another folder
        asked = asked._replace(data=str(Path(asked.data).resolve()))
    if ladder is not None:
        return _by_ladder(asked, ladder, space)
    if asked.score == TRAIN:
        return _by_training(asked)
    return _untrained(asked, space)


def _by_ladder(asked: ScoreAsked, ladder: Ladder, space: Space | RuleSpace) -> ScoredBy:
    from search.rungs import Defaults, asked_rungs

    told = asked.training
    defaults = Defaults(asked.batch, told.recipe, told.holdout, told.slowest)
    first, *above = asked_rungs(ladder, defaults, asked.data, asked.seed, asked.device, space)
    return ScoredBy(
        first.score,
        first.score_label,
        asked.data,
        first.batch,
        first.device,
        first.count,
        first.training,
        tuple(above),
    )


def _by_training(asked: ScoreAsked) -> ScoredBy:
    from archspec.errors import ScoreError
    from search.protocol import make_protocol
    from search.rungs import BATCH
    from search.scores import TRAIN

    if asked.batch is not None:
        raise ScoreError("--batch is of untrained scores; a recipe has its own")
    protocol = make_protocol(**asked.training._asdict())
    from search.scores.training import Training

    where = Training(protocol, asked.data, asked.device).check()
    return ScoredBy(TRAIN, protocol.label, asked.data, BATCH, where, asked.trials, protocol)


def _untrained(asked: ScoreAsked, space: Space | RuleSpace) -> ScoredBy:
    from archspec.errors import ScoreError
    from archspec.train.sources import DIGITS
    from search.protocol import refuse_training_options
    from search.rule_space import RuleSpace
    from search.rungs import BATCH
    from search.scores import DEFAULT, Scorer
    from search.scores.catalog import TABLE, at_home

    refuse_training_options(asked.training._asdict())
    score, batch = at_home(asked.score or DEFAULT), asked.batch or BATCH
    if score.startswith(TABLE) and isinstance(space, RuleSpace):
        raise ScoreError(
            f"a table scores networks of a space, not rules that scale one; leave --scaling or "
            f"--score {asked.score} out"
        )
    scorer = Scorer(
        score, asked.data, batch, asked.seed, asked.device, table=space.dump(), space=space.name
    )
    told = {"--data": asked.data != DIGITS, "--batch": asked.batch is not None}
    scorer.refuse(*(option for option, given in told.items() if given))
    where = scorer.check()
    return ScoredBy(score, scorer.label, asked.data, batch, where, asked.trials)


__all__ = ["ScoreAsked", "ScoredBy", "TrainingAsked", "ladder_of", "scored_by"]
