"""Samples the settings of a trial from the recipe's seed, the trial's number and the earlier trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

STARTUP_TRIALS = 8
"""Number of random trials before the sampler learns from others."""


class TrialSampler(BaseSampler):
    """Optuna's tree-structured Parzen estimator, reseeded for each trial and setting.

    The same study therefore proposes the same settings, whether one process runs its trials, continues after an
    interruption, or several processes share them: the first STARTUP_TRIALS depend only on their number, later ones also
    on the trials that were complete at their start.
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
        startup = 0 if trial.number >= STARTUP_TRIALS else STARTUP_TRIALS + trial.number
        seed = crc32(f"{self._seed} {trial.number} {param_name}".encode())
        estimator = TPESampler(seed=seed, n_startup_trials=startup)
        return estimator.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        return
