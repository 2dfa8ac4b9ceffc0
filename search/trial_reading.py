"""Trials of a study read by a statement a table.

Optuna makes an object of every row and parses the domain of every parameter of every trial: for
10,000 trials half a minute. What is read is what Optuna reads (tests/test_storage.py).
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from optuna.distributions import json_to_distribution
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy import select

if TYPE_CHECKING:
    from sqlalchemy import Connection

Rows = dict[int, dict[Any, Any]]


def read_trials(connection: Connection, study_id: int, after: int = -1) -> list[FrozenTrial]:
    """The trials of a study whose id is above `after`, by id."""
    trials = models.TrialModel.__table__
    within = (trials.c.study_id == study_id) & (trials.c.trial_id > after)

    # first: what is committed while the other tables are read is read the next time
    wanted = select(
        trials.c.trial_id, trials.c.number, trials.c.state,
        trials.c.datetime_start, trials.c.datetime_complete,
    )  # fmt: skip
    found = connection.execute(wanted.where(within).order_by(trials.c.trial_id)).fetchall()

    def rows(model: Any, order: str, *names: str) -> Any:
        table = model.__table__
        columns = select(table.c.trial_id, *(table.c[name] for name in names))
        joined = columns.join(trials, trials.c.trial_id == table.c.trial_id)
        return connection.execute(joined.where(within).order_by(table.c[order]))

    # few domains are told apart, however many parameters have them
    domain = cache(json_to_distribution)
    params: Rows = defaultdict(dict)
    domains: Rows = defaultdict(dict)
    named = ("param_name", "param_value", "distribution_json")
    for one, name, value, text in rows(models.TrialParamModel, "param_id", *named):
        domains[one][name] = domain(text)
        params[one][name] = domains[one][name].to_external_repr(value)
    user: Rows = defaultdict(dict)
    system: Rows = defaultdict(dict)
    for told, model, order in (
        (user, models.TrialUserAttributeModel, "trial_user_attribute_id"),
        (system, models.TrialSystemAttributeModel, "trial_system_attribute_id"),
    ):
        for one, key, text in rows(model, order, "key", "value_json"):
            told[one][key] = json.loads(text)
    values: Rows = defaultdict(dict)
    for one, value, kind in rows(models.TrialValueModel, "objective", "value", "value_type"):
        values[one][len(values[one])] = models.TrialValueModel.stored_repr_to_value(value, kind)
    steps: Rows = defaultdict(dict)
    step_model = models.TrialIntermediateValueModel
    named = ("step", "intermediate_value", "intermediate_value_type")
    for one, step, value, kind in rows(step_model, "trial_intermediate_value_id", *named):
        steps[one][step] = step_model.stored_repr_to_intermediate_value(value, kind)
    return [
        FrozenTrial(
            number=number,
            state=state,
            value=None,
            values=list(values[one].values()) if one in values else None,
            datetime_start=_here(start),
            datetime_complete=_here(end),
            params=params.get(one, {}),
            distributions=domains.get(one, {}),
            user_attrs=user.get(one, {}),
            system_attrs=system.get(one, {}),
            intermediate_values=steps.get(one, {}),
            trial_id=one,
        )
        for one, number, state, start, end in found
    ]


def _here(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


__all__ = ["read_trials"]
