"""Which searches differ in nothing but their seeds, what sets the others apart, what they share.

Searches compare where their score and their objectives are the same; other spaces, budgets or
images are told, not refused.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from archspec.errors import RunError
from archspec.quantities import several
from search.summary import objective_words, ranked_by

if TYPE_CHECKING:
    from search.folder import RunInfo

#: what may differ within a group
OF_ONE_RUN = ("seed", "command", "created", "versions", "storage", "study")
#: what a random trial depends on, beside its seed
OF_CHANCE = (
    "space_text", "budgets", "iso", "score", "data", "batch", "training", "scaling", "objectives",
    "measuring",
)  # fmt: skip


#: searches that a notice names
MOST_TOLD = 3


class Run(NamedTuple):
    """A search as it is read: its folder as it was named, what was asked, its frame."""

    folder: str
    info: RunInfo
    frame: pd.DataFrame


class Group(NamedTuple):
    """Searches that differ only in their seeds; chance: what their random trials depend on."""

    name: str
    runs: tuple[Run, ...]
    chance: str

    @property
    def info(self) -> RunInfo:
        """What all of them were asked."""
        return self.runs[0].info

    @property
    def seeds(self) -> tuple[int, ...]:
        """Their seeds."""
        return tuple(run.info.seed for run in self.runs)


def check_comparable(runs: Sequence[Run]) -> None:
    """Raise RunError where runs differ in their score or their objectives, and say which."""
    first = runs[0]
    for run in runs[1:]:
        for what, of in (("score", _score), ("set of objectives", _objectives)):
            one, other = of(first.info), of(run.info)
            if one != other:
                raise RunError(
                    f"searches are compared by one {what}, but {first.folder} has "
                    f"{one} and {run.folder} has {other}; name those of one {what}"
                )


def groups_of(runs: Sequence[Run]) -> tuple[Group, ...]:
    """Runs in groups, in the order in which each is first met; names are told apart."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        asked = asdict(run.info)
        found.setdefault(_text(asked, [key for key in asked if key not in OF_ONE_RUN]), []).append(
            run
        )
    firsts = [runs[0] for runs in found.values()]
    return tuple(
        Group(name, tuple(runs), _text(asdict(runs[0].info), OF_CHANCE))
        for name, runs in zip(_names(firsts), found.values(), strict=True)
    )


def notices(groups: Sequence[Group]) -> tuple[str, ...]:
    """What a reader must know before comparing: where the searches were asked other things."""
    infos = [group.info for group in groups]
    found = []
    for what, of in _COMPARED.items():
        values = list(dict.fromkeys(map(of, infos)))
        if len(values) > 1:
            found.append(f"They differ in {what}: {'; '.join(map(_short, values))}.")
    if len({info.space_text for info in infos}) > len({info.title for info in infos}):
        found.append("Spaces of one name differ in their texts.")
    for group in groups:
        often = [seed for seed, count in Counter(group.seeds).items() if count > 1]
        if often:
            found.append(
                f"{group.name}: seed {', '.join(map(str, often))} more than once; the same seed "
                "gives the same search, so its band is too narrow."
            )
        short = [run for run in group.runs if _done(run) < run.info.trials]
        if short:
            told = [_ended(run) for run in short[:MOST_TOLD]]
            more = [f"and {len(short) - MOST_TOLD} more"] if len(short) > MOST_TOLD else []
            found.append(
                f"{group.name}: {len(short)} of {len(group.runs)} not finished, or ended early: "
                f"{', '.join([*told, *more])}."
            )
    return tuple(found)


def counted(frame: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The trials of a kind that count, scored or trained until they were pruned, as they ended."""
    rows = frame[frame["kind"] == kind].sort_values("finished", kind="stable")
    told = rows["state"] == "scored"
    if "rungs" in rows:
        # one that is proposed again is told so and is not trained again
        trained = [isinstance(value, list) and len(value) > 0 for value in rows["rungs"]]
        told |= (rows["state"] == "pruned") & np.array(trained, dtype=bool)
    return rows[told]


def _done(run: Run) -> int:
    return len(counted(run.frame, "search"))


def _ended(run: Run) -> str:
    return f"{run.folder} has {_done(run)} of {run.info.trials} trials"


def _names(firsts: Sequence[Run]) -> list[str]:
    """The sampler, and whatever else tells groups apart; a folder where that does not suffice."""
    infos = [run.info for run in firsts]
    telling = [
        of for key, of in _NAMING.items() if key == "sampler" or len(set(map(of, infos))) > 1
    ]
    names = [", ".join(_short(of(info)) for of in telling) for info in infos]
    return [
        f"{name} ({run.folder})" if names.count(name) > 1 else name
        for name, run in zip(names, firsts, strict=True)
    ]


def _score(info: RunInfo) -> str:
    return repr(info.score_label)


def _objectives(info: RunInfo) -> str:
    # the same whatever the order in which they were asked
    return objective_words(ranked_by(sorted(info.objectives)))


def _budgets(info: RunInfo) -> str:
    return " and ".join(map(str, info.budgets))


def _images(info: RunInfo) -> str:
    if info.training is not None:
        return f"trained on {info.data}, {info.training.words()}"
    # what is read off the text has seen no image
    return "no images" if info.device == "text" else f"{info.batch} of {info.data}"


def _measured(info: RunInfo) -> str:
    return "nothing measured" if info.measuring is None else info.measuring.words()


_NAMING: Mapping[str, Callable[[RunInfo], str]] = {
    "sampler": lambda info: info.sampler,
    "space": lambda info: info.title,
    "budgets": _budgets,
    "ceiling": lambda info: "at the ceiling" if info.iso else "below the ceiling",
    "trials": lambda info: several(info.trials, "trial"),
    "images": _images,
    "measuring": _measured,
    "device": lambda info: info.device,
}
_COMPARED: Mapping[str, Callable[[RunInfo], str]] = {
    "space": _NAMING["space"],
    "budget": _budgets,
    "where they look": _NAMING["ceiling"],
    "what the score saw": _images,
    "how networks were measured": _measured,
}


def _text(asked: Mapping[str, Any], keys: Iterable[str]) -> str:
    return json.dumps([asked.get(key) for key in keys], default=str)


def _short(words: str) -> str:
    return words if len(words) <= 60 else words[:59] + "…"
