"""Runs on a shared database that other machines may join: each keeps there what it was asked."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from archspec.errors import RunError, did_you_mean
from archspec.strict import law_of
from search.folder import RunFolder, RunInfo
from search.record import counts
from search.storage import open_storage, steady, without_password
from search.trial_storage import TrialStorage

#: the user attribute of a run's study STUDY/search that holds its run.json
ASKED = "archspec"
_FIRST = "/search"


class SharedRun(NamedTuple):
    """A run that is there. done, wanted: trials that count, of the search and its baseline, and
    networks of a ladder's rungs."""

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


def publish(folder: RunFolder) -> None:
    """Let other machines join a run that is on a shared database; nothing to do for another."""
    if folder.info.study is not None:
        study = folder.study("search")
        info = folder.info
        if (text := study.user_attrs.get(ASKED)) is not None:
            # of what another machine asks, on a device of its own, only more trials are the run's
            asked = json.loads(text)
            if asked["trials"] >= info.trials:
                return
            study.set_user_attr(ASKED, json.dumps(asked | {"trials": info.trials}))
        else:
            study.set_user_attr(ASKED, json.dumps(asdict(info)))


def wanted(folder: RunFolder) -> int:
    """How many trials of its search a run is asked for by now, here or by another machine."""
    here = folder.info.trials
    if folder.info.study is None:
        return here
    told = steady(lambda: folder.study("search").user_attrs).get(ASKED)
    return here if told is None else max(here, int(json.loads(told)["trials"]))


def find_run(url: str, name: str | None) -> SharedRun:
    """The run of this name at an address, or the only one that is unfinished; raises RunError."""
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

    def attrs(kind: str) -> list[dict[str, Any]]:
        study = ids.get(f"{name}/{kind}")
        trials = [] if study is None else storage.get_all_trials(study, deepcopy=False)
        return [trial.user_attrs for trial in trials]

    done = sum(counts(one) for kind in ("search", "random") for one in attrs(kind))
    wanted = info.trials + info.random_trials
    below = attrs("search")
    for kind, rung in zip(info.rungs, info.ladder, strict=True):
        # who has no score does not climb
        climb = min(rung.count, sum(one["state"] == "scored" for one in below))
        below = attrs(kind)
        done, wanted = done + min(climb, len(below)), wanted + climb
    return SharedRun(name, info, done, wanted)
