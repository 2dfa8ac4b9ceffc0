"""Runs on a shared database that other machines may join: each keeps there what it was asked."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import NamedTuple

from optuna.trial import FrozenTrial
from pydantic import TypeAdapter, ValidationError

from archspec.errors import RunError, did_you_mean
from archspec.runs import locked
from archspec.strict import law_of
from search.folder import RunFolder, RunInfo, number_of
from search.kept import kept, standings_of
from search.record import counts
from search.storage import open_storage, postgresql_url, steady, without_password
from search.trial_storage import TrialStorage

#: the user attribute of a run's study STUDY/search that holds its run.json
ASKED = "archspec"
_FIRST = "/search"


class SharedRun(NamedTuple):
    """A run that is there. done, wanted: trials that count, of the search and its baseline, and
    networks of a ladder's rungs that climb by what is known now."""

    name: str
    info: RunInfo
    done: int
    wanted: int

    def __str__(self) -> str:
        return f"{self.name} ({self.done} of {self.wanted} trials)"


def refuse_taken(info: RunInfo) -> None:
    """Raise RunError where the database has a run of this one's name already."""
    assert info.storage is not None
    assert info.study is not None
    if info.study in _asked(open_storage(info.storage)):
        raise RunError(
            f"{info.storage} has a run called {info.study} already: `archspec join "
            f"{info.storage} {info.study}` goes on with it, --out names another"
        )


def publish(folder: RunFolder, asked: bool = False) -> None:
    """Let other machines join a run that is on a shared database; nothing to do for another run.

    asked: the folder was asked for another number of trials just now, which the others are told;
    else it takes theirs, for it may have been away while they were asked.
    """
    info = folder.info
    if info.study is None:
        return
    study = folder.study("search")
    text = steady(lambda: study.user_attrs).get(ASKED)
    if text is None:
        steady(lambda: study.set_user_attr(ASKED, json.dumps(asdict(info))))
    elif asked:
        # of what another machine asks, on a device of its own, only that number is the run's
        changed = json.dumps(json.loads(text) | {"trials": info.trials})
        steady(lambda: study.set_user_attr(ASKED, changed))
    else:
        with locked(folder.path):
            hear(folder)


def hear(folder: RunFolder) -> bool:
    """Keep in a folder how many trials its run is asked for by now, by whoever has its lock;
    whether it was another number."""
    told = steady(lambda: folder.study("search").user_attrs).get(ASKED)
    if told is None or (trials := int(json.loads(told)["trials"])) == folder.info.trials:
        return False
    folder.asked_for(trials)
    return True


def find_run(url: str, name: str | None) -> SharedRun:
    """The run of this name at an address, or the only one that is unfinished; raises RunError."""
    postgresql_url(url)
    storage = open_storage(url)
    texts = _asked(storage)
    told = without_password(url)
    if not texts:
        raise RunError(f"{told} has no run; `archspec search ... --storage {told}` begins one")
    if name is not None:
        if name not in texts:
            raise RunError(f"{told} has no run called {name!r}: {did_you_mean(name, texts)}")
        return _read(storage, name, texts[name])
    runs = [_read(storage, name, text) for name, text in texts.items()]
    unfinished = [run for run in runs if run.done < run.wanted]
    if len(unfinished) == 1:
        return unfinished[0]
    listed = ", ".join(map(str, unfinished or runs))
    several = "several runs are unfinished" if unfinished else "no run is unfinished"
    raise RunError(f"{several} at {told}; name one: {listed}")


def _asked(storage: TrialStorage) -> dict[str, str]:
    """Texts of run.json by the names of runs."""
    return {
        study.study_name.removesuffix(_FIRST): str(study.user_attrs[ASKED])
        for study in storage.get_all_studies()
        if study.study_name.endswith(_FIRST) and ASKED in study.user_attrs
    }


def _read(storage: TrialStorage, name: str, text: str) -> SharedRun:
    try:
        info = TypeAdapter(RunInfo).validate_json(text)
    except ValidationError as error:
        law = law_of(error)
        reason = "".join(f"{part}: " for part in law.path) + law.problem
        raise RunError(f"run {name} is damaged or of another version: {reason}") from None
    ids = {study.study_name: study._study_id for study in storage.get_all_studies()}

    def trials(kind: str) -> list[FrozenTrial]:
        study = ids.get(f"{name}/{kind}")
        return [] if study is None else storage.get_all_trials(study, deepcopy=False)

    below = trials("search")
    searched = sum(counts(one.user_attrs) for one in below)
    drawn = sum(counts(one.user_attrs) for one in trials("random"))
    done = min(searched, info.trials) + min(drawn, info.random_trials)
    wanted = info.trials + info.random_trials
    whole = searched >= info.trials
    standings = standings_of(((number_of(one), one) for one in below), info.objectives)
    for kind, rung in zip(info.rungs, info.ladder, strict=True):
        climbing = set(kept(standings, info.objectives, rung.count))
        told = ((int(one.user_attrs["of"]), one) for one in trials(kind))
        here = [(of, one) for of, one in told if of in climbing]
        done += len(here)
        # how many have a score, and so may climb, is known when all of a rung are there
        wanted += len(climbing) if whole else rung.count
        whole = whole and len(here) == len(climbing)
        standings = standings_of(here, info.objectives)
    return SharedRun(name, info, done, wanted)
