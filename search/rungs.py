"""What a run is asked of each rung of its ladder, checked: scores, data and recipes in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from pydantic import ConfigDict, Field

from archspec.errors import ArchspecError, RunError
from archspec.quantities import several
from archspec.train.sources import DIGITS
from search.protocol import Protocol, make_protocol
from search.scores.catalog import TABLE, at_home

if TYPE_CHECKING:
    from search.ladder import Ladder, Rung
    from search.rule_space import RuleSpace
    from search.space import Space

#: images that an untrained score sees
BATCH = 16
#: a search of more takes another sampler unless asked: the default one is for dear scores
MANY, MANY_SAMPLER = 1_000, "nsga2"


@dataclass(frozen=True)
class RungInfo:
    """One rung, as run.json holds it: so many networks by a score, under these conditions.

    said: the score in the ladder's words.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    count: Annotated[int, Field(ge=1)]
    score: str
    score_label: str
    said: str
    batch: Annotated[int, Field(ge=2)]
    device: str
    training: Protocol | None = None


class Defaults(NamedTuple):
    """What rungs that do not say it take from the command line; None where it does not, either."""

    batch: int | None = None
    recipe: str | None = None
    holdout: float | None = None
    slowest: float | None = None


def asked_rungs(
    ladder: Ladder,
    defaults: Defaults,
    data: str,
    seed: int,
    device: str | None,
    space: Space | RuleSpace | None = None,
) -> tuple[RungInfo, ...]:
    """A ladder's rungs, each tried: its score, data, recipe and device.

    space: what is searched, in whose picks a table names its networks. Raises ArchspecError, also
    for a default that is of no rung.
    """
    trained = any(rung.trains for rung in ladder.rungs)
    untrained = any(not rung.trains for rung in ladder.rungs)
    for name, value in defaults._asdict().items():
        if value is not None and not (untrained if name == "batch" else trained):
            kind = "untrained score" if name == "batch" else "training"
            raise RunError(f"--{name} is of a rung with {kind}, and this ladder has none")
    found = tuple(
        _asked(rung, place, place == len(ladder.rungs), defaults, data, seed, device, space)
        for place, rung in enumerate(ladder.rungs, 1)
    )
    seeing = [rung for rung in found if rung.device != "text"]
    for option, unread in (
        ("--data", data != DIGITS and not seeing),
        ("--batch", defaults.batch is not None and all(rung.training for rung in seeing)),
    ):
        if unread:
            raise RunError(
                f"{option} is of a rung that sees images, and this ladder has none; leave it out"
            )
    return found


def _asked(
    rung: Rung,
    place: int,
    last: bool,
    defaults: Defaults,
    data: str,
    seed: int,
    device: str | None,
    space: Space | RuleSpace | None,
) -> RungInfo:
    from search.ladder import words

    score = rung.score
    try:
        if rung.trains:
            from search.scores.training import Training

            protocol = make_protocol(
                rung.recipe or defaults.recipe,
                rung.epochs,
                rung.seeds,
                rung.minutes,
                defaults.holdout if rung.holdout is None else rung.holdout,
                rung.images,
                defaults.slowest if rung.slowest is None else rung.slowest,
                # finalists are few, and shown as they are
                not last if rung.prune is None else rung.prune,
            )
            where = Training(protocol, data, device).check()
            batch, label = BATCH, protocol.label
        else:
            from search.scores import Scorer

            protocol, batch = None, rung.batch or defaults.batch or BATCH
            score = at_home(score)
            # only a table asks for the space, whose text is long
            named = space if score.startswith(TABLE) else None
            scorer = Scorer(
                score,
                data,
                batch,
                seed,
                device,
                table=None if named is None else named.dump(),
                space=None if named is None else named.name,
            )
            scorer.refuse(*_of_images(rung))
            where, label = scorer.check(), scorer.label
    except ArchspecError as error:
        raise RunError(f"rung {place}, {rung.count:,} by {words(rung)}: {error}") from error
    return RungInfo(rung.count, score, label, words(rung), batch, where, protocol)


def _of_images(rung: Rung) -> list[str]:
    return [] if rung.batch is None else [f"its batch of {several(rung.batch, 'image')}"]


def refuse_options(given: Mapping[str, object]) -> None:
    """Raise where an option stands beside --ladder whose value its rungs tell."""
    for name, value in given.items():
        if value is None:
            continue
        option = f"--no-{name}" if value is False else f"--{name}"
        if name == "scaling":
            raise RunError("a ladder is of networks, not of rules; leave --scaling or --ladder out")
        raise RunError(f"the rungs of --ladder tell it, each for itself; leave {option} out")


def rung_kinds(rungs: Sequence[RungInfo]) -> tuple[str, ...]:
    """What trials of the rungs above the first are called: rung2, rung3, ..."""
    return tuple(f"rung{number}" for number in range(2, 2 + len(rungs)))


__all__ = [
    "BATCH",
    "MANY",
    "MANY_SAMPLER",
    "Defaults",
    "RungInfo",
    "asked_rungs",
    "refuse_options",
    "rung_kinds",
]
