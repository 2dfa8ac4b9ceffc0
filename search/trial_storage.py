"""Optuna's storage in a database, with a quicker and safer way to add a finished trial.

Optuna asks the database about a hundred times for a trial of 40 parameters and attributes, and
where the answer to a commit is lost it writes the trial again, though it may have been written.
Here it takes seven statements, once. What is written is what Optuna writes (tests/test_storage.py).
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage

# the tables; their layout is Optuna's format on disk, which its migrations guard
from optuna.storages._rdb import models
from sqlalchemy import func, insert, select, update

from search.trial_reading import read_trials

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, TrialState
    from sqlalchemy import Connection

#: what is done in the transaction of a trial
Check = Callable[["Connection"], None]


class TrialStorage(RDBStorage):
    """RDBStorage whose finished trials are added whole."""

    _check: Check | None = None

    @contextmanager
    def checked(self, check: Check) -> Iterator[None]:
        """While open, `check` runs in the transaction of each finished trial that is added: what it
        does is kept with the trial, what it raises undoes the trial and is raised."""
        self._check = check
        try:
            yield
        finally:
            self._check = None

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """A hook of RDBStorage, under Study.get_trials."""
        if states is not None or included_trial_ids:
            return super()._get_trials(study_id, states, included_trial_ids, trial_id_greater_than)
        with self.engine.connect() as connection:
            return read_trials(connection, study_id, trial_id_greater_than)

    def _create_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None = None
    ) -> FrozenTrial:
        """A hook of RDBStorage, under Study.add_trial."""
        if template_trial is None or not template_trial.state.is_finished():
            return super()._create_new_trial(study_id, template_trial)
        with self.engine.begin() as connection:
            return _added(connection, study_id, template_trial, self._check)


def _added(
    connection: Connection, study_id: int, trial: FrozenTrial, check: Check | None
) -> FrozenTrial:
    studies, trials = models.StudyModel.__table__, models.TrialModel.__table__
    # one after the other, so that numbers and ids of a study rise together
    connection.execute(
        select(studies.c.study_id)
        .where(studies.c.study_id == study_id)
        .with_for_update(key_share=True)
    ).one()
    if check is not None:
        check(connection)
    row = insert(trials).values(
        study_id=study_id,
        state=trial.state,
        datetime_start=_in_utc(trial.datetime_start),
        datetime_complete=_in_utc(trial.datetime_complete),
    )
    made = connection.execute(row).inserted_primary_key
    assert made is not None
    trial_id = made[0]
    before = select(func.count()).where(trials.c.study_id == study_id, trials.c.trial_id < trial_id)
    number = connection.execute(before).scalar_one()
    connection.execute(update(trials).where(trials.c.trial_id == trial_id).values(number=number))
    for model, rows in _parts(trial):
        if rows:
            connection.execute(
                insert(model.__table__), [{"trial_id": trial_id, **row} for row in rows]
            )
    added = copy.copy(trial)
    added.number, added._trial_id = number, trial_id
    return added


def _parts(trial: FrozenTrial) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """Rows of a trial by the table they go to, as Optuna writes them."""
    values = models.TrialValueModel
    stored = [values.value_to_stored_repr(value) for value in trial.values or ()]
    yield (
        values,
        [
            {"objective": place, "value": value, "value_type": kind}
            for place, (value, kind) in enumerate(stored)
        ],
    )
    yield (
        models.TrialParamModel,
        [
            {
                "param_name": name,
                "param_value": domain.to_internal_repr(trial.params[name]),
                "distribution_json": distribution_to_json(domain),
            }
            for name, domain in trial.distributions.items()
        ],
    )
    yield models.TrialUserAttributeModel, _attributes(trial.user_attrs)
    yield models.TrialSystemAttributeModel, _attributes(trial.system_attrs)
    steps = models.TrialIntermediateValueModel
    reported = {
        step: steps.intermediate_value_to_stored_repr(value)
        for step, value in trial.intermediate_values.items()
    }
    yield (
        steps,
        [
            {"step": step, "intermediate_value": value, "intermediate_value_type": kind}
            for step, (value, kind) in reported.items()
        ],
    )


def _attributes(attrs: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value_json": json.dumps(value)} for key, value in attrs.items()]


def _in_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)
