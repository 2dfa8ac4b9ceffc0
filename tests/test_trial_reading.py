"""Trials read by a few statements are those that Optuna reads."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from tiny_runs import finished_run

from search.trial_reading import read_trials
from search.trial_storage import TrialStorage


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_the_trials_of_a_search_are_read_as_optuna_reads_them(tmp_path: Path, sampler: str) -> None:
    folder = finished_run(tmp_path / "run", sampler=sampler, trials=12, random_trials=3)
    plain = RDBStorage(folder.storage_url)
    count = 0
    for study in plain.get_all_studies():
        with plain.engine.connect() as connection:
            ours = read_trials(connection, study._study_id)
        count += len(ours)
        assert ours == plain.get_all_trials(study._study_id)
    assert count >= 15


def test_other_trials_are_read_as_optuna_reads_them(tmp_path: Path) -> None:
    """What a search never leaves: reported steps, odd numbers, running and failed trials."""
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=url)

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", -1e3, 1e3)
        trial.suggest_categorical("c", ["a", 1, 2.5, None, True])
        for step, value in enumerate((x, float("inf"), float("nan"))):
            trial.report(value, step)
        if trial.number == 1:
            raise optuna.TrialPruned
        if trial.number == 2:
            raise ZeroDivisionError
        return float("inf") if trial.number == 3 else x

    study.optimize(objective, n_trials=5, catch=(ZeroDivisionError,))
    study.ask()
    plain = RDBStorage(url)
    with plain.engine.connect() as connection:
        ours = read_trials(connection, study._study_id)
        later = read_trials(connection, study._study_id, ours[2]._trial_id)
    theirs = plain.get_all_trials(study._study_id)
    # nan is not equal to itself
    assert list(map(repr, ours)) == list(map(repr, theirs))
    assert list(map(repr, later)) == list(map(repr, theirs[3:]))
    ours_again = TrialStorage(url).get_all_trials(study._study_id)
    assert list(map(repr, ours_again)) == list(map(repr, theirs))
