"""NSGA-II for searches of many trials, that may be killed and resumed.

Deb et al., IEEE Trans. Evol. Comput. 6 (2002), as Optuna has it. Optuna goes through all trials
several times for each that it proposes, and of a search that is resumed it calls itself once a
generation, which Python's stack does not bear after some thousands of trials.
"""

from __future__ import annotations

from collections import defaultdict
from weakref import WeakKeyDictionary

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import NSGAIISampler
from optuna.search_space import IntersectionSearchSpace
from optuna.trial import FrozenTrial, TrialState


class OrderedNSGAII(NSGAIISampler):
    """NSGA-II whose parents come by their numbers.

    Optuna gives the parents of a generation in the order of their selection to the trial that
    selects them, and by number to those after it, which find them remembered. A resumed search
    selects them once more, at another trial: it would pair others.

    A sampler is made anew for each trial: what all have to know of a study is remembered beside it.
    """

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """What all finished trials picked."""
        common = _known(study).common.calculate(study)
        return {name: domain for name, domain in common.items() if not domain.single()}

    def get_trial_generation(self, study: optuna.Study, trial: FrozenTrial) -> int:
        """The latest generation, or a new one where that is full; it is kept with the trial."""
        key = self._get_generation_key()
        if key in trial.system_attrs:
            return int(trial.system_attrs[key])
        generations = _known(study).generations(study, key)
        latest = max(generations, default=0)
        assert self._population_size is not None
        full = len(generations.get(latest, ())) >= self._population_size
        # the attribute that Optuna's own method sets
        study._storage.set_trial_system_attr(trial._trial_id, key, latest + full)
        return latest + full

    def get_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """The scored trials of a generation, by number."""
        found = _known(study).generations(study, self._get_generation_key()).get(generation, ())
        return sorted(found, key=lambda trial: trial.number)

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """The parents of a generation, by number; selected once, from the first generation on."""
        parents = _known(study).parents
        while len(parents) <= generation:
            chosen = self.select_parent(study, len(parents))
            parents.append(sorted(chosen, key=lambda trial: trial.number))
        return parents[generation]


class _Known:
    """What is known of a study's trials, taken further with each look."""

    def __init__(self) -> None:
        self.common = IntersectionSearchSpace()
        #: by generation; the first has none
        self.parents: list[list[FrozenTrial]] = [[]]
        self._generations: dict[int, list[FrozenTrial]] = defaultdict(list)
        self._looked = 0
        #: places of trials that were not finished at the last look
        self._unfinished: list[int] = []

    def generations(self, study: optuna.Study, key: str) -> dict[int, list[FrozenTrial]]:
        """Scored trials by their generation, which stands under `key`."""
        trials = study.get_trials(deepcopy=False)
        places = [*self._unfinished, *range(self._looked, len(trials))]
        self._looked, self._unfinished = len(trials), []
        for trial in (trials[place] for place in places):
            if not trial.state.is_finished():
                self._unfinished.append(trial.number)
            elif trial.state == TrialState.COMPLETE and key in trial.system_attrs:
                self._generations[trial.system_attrs[key]].append(trial)
        return self._generations


_STUDIES: WeakKeyDictionary[optuna.Study, _Known] = WeakKeyDictionary()


def _known(study: optuna.Study) -> _Known:
    return _STUDIES.setdefault(study, _Known())


__all__ = ["OrderedNSGAII"]
