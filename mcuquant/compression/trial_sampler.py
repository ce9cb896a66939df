"""Samples the settings of a trial from the recipe's seed, the trial's position and the earlier trials.

Optuna numbers all trials, also interrupted ones. The position counts only those that ended or still run, so an
interrupted search proposes the same settings as one without interruption.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

STARTUP_TRIALS = 8
"""Number of random trials before the sampler learns from others."""
_POSITION = "position"
_FINAL_STATES = (TrialState.COMPLETE, TrialState.PRUNED)
"""Final states of a trial. Trials with unreachable targets count, so that a search for the impossible ends. Interrupted
trials do not count.
"""


def position_of(trial: FrozenTrial) -> int:
    """Position of a trial in the search."""
    position: int = trial.user_attrs.get(_POSITION, trial.number)
    return position


def final_positions(study: Study) -> set[int]:
    """Positions of the trials that count."""
    return {position_of(t) for t in study.get_trials(deepcopy=False, states=_FINAL_STATES)}


def claim_position(trial: Trial, total: int) -> int | None:
    """The first position below `total` that no other trial has, written to the trial. None if `total` trials ended.

    If the other positions are all of running trials, the first of these: its process may have been killed. If it was
    not, the same trial runs twice, with the same result, and counts once.
    """
    study = trial.study
    while True:
        final, running = final_positions(study), _running_positions(study, lambda number: number != trial.number)
        left = [n for n in range(total) if n not in final]
        free = [n for n in left if n not in running]
        if not left:
            return None
        position = (free or left)[0]
        trial.set_user_attr(_POSITION, position)
        if not free or position not in _running_positions(study, lambda number: number < trial.number):
            return position  # else another process chose it at the same time, and the earlier trial keeps it


def _running_positions(study: Study, is_meant: Callable[[int], bool]) -> set[int]:
    trials = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return {position_of(t) for t in trials if is_meant(t.number) and _POSITION in t.user_attrs}


class TrialSampler(BaseSampler):
    """Optuna's tree-structured Parzen estimator, reseeded for each trial and setting.

    The same study therefore proposes the same settings, whether one process runs its trials, continues after an
    interruption, or several processes share them: the first STARTUP_TRIALS depend only on their position, later ones
    also on the trials that were complete at their start.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        position = position_of(trial)
        startup = 0 if position >= STARTUP_TRIALS else STARTUP_TRIALS + position
        seed = crc32(f"{self._seed} {position} {param_name}".encode())
        estimator = TPESampler(seed=seed, n_startup_trials=startup)
        return estimator.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        return
