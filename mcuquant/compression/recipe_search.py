"""A search for the best settings of a recipe: Optuna proposes settings, `compress` evaluates them.

Several processes and machines can share the storage of the trials, and a later run continues the search.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState
from torch import nn

from ..errors import BudgetError, ConfigError, ToolError
from ..reporting.record import Record
from ..version import __version__
from .checks import check_is_trained, check_samples
from .costs import UNITS
from .inputs import Data, load_augment, load_data, load_metric, load_net
from .pipeline import compress, rehearse
from .recipe import Recipe, load_recipe, recipe_of
from .recipe_metrics import Metric
from .settings import Reader, read_table
from .steps import digest_of
from .training import alone, fit
from .trial_sampler import TrialSampler, claim_position, final_positions, position_of

COSTS = tuple(UNITS)
"""Costs that a search may minimize: numbers of the compiler's plan, see `compression.costs.Cost`."""
Value = str | int | float | bool
_FIXED = ("model", "weights", "augment", "data", "metric", "task", "output", "name", "seed", "train", "search")
_VARIED = ("stride", "prune", "sparsify", "share", "quantize", "fine_tune", "teach", "board")
"""Keys and tables of a recipe: those that are common to all trials, and those that a trial may change."""
_RECORD, _COSTS = "record", "costs"
_DIGEST, _VERSION = "digest", "mcuquant"
_COMPLETE_STATES = (TrialState.COMPLETE,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Values of one setting: either `choices`, or the range from `low` to `high`, of integers if both are integers."""

    choices: tuple[Value, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    """Draw on a logarithmic scale."""

    def __post_init__(self) -> None:
        both = self.low is not None and self.high is not None
        if bool(self.choices) == both or (self.low is None) != (self.high is None):
            raise ConfigError("a range has either choices, or low and high")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ConfigError(f"low must be less than high, found {self.low} and {self.high}")

    @property
    def samples(self) -> tuple[Value, ...]:
        """All choices, or both ends of the range."""
        return self.choices or tuple(end for end in (self.low, self.high) if end is not None)

    def suggest(self, trial: Trial, name: str) -> Value:
        if self.choices:
            choice = trial.suggest_categorical(name, self.choices)
            assert choice is not None
            return choice
        assert self.low is not None
        assert self.high is not None
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The table [search] of a recipe."""

    space: Mapping[str, Range]
    """Key of the recipe, such as "prune.ratio" -> its values."""
    costs: tuple[str, ...] = ("cycles", "constant_bytes", "arena_bytes")
    """Costs, from COSTS, to minimize while accuracy is maximized."""
    trials: int = 30
    """Number of trials, including those of other workers and of earlier runs."""
    storage: str = ""
    """"journal:FILE" (the default, in the output folder), the URL of a database, or "grpc://HOST:PORT" of Optuna's
    proxy.
    """
    study: str = "mcuquant"

    def __post_init__(self) -> None:
        check_storage(self.storage)
        for cost in self.costs:
            if cost not in COSTS:
                raise ConfigError(f"cost {cost!r} is not known, expected of: {', '.join(COSTS)}")
        if not self.space or not self.costs or self.trials < 1:
            raise ConfigError("a search needs a space of settings, at least one cost, and at least one trial")


def check_storage(text: str) -> None:
    """Raises ConfigError unless the storage is one of the three kinds."""
    kind, colon, rest = text.partition(":")
    if not text or (kind == "journal" and rest):
        return
    host, _, port = rest.removeprefix("//").rpartition(":")
    if kind == "grpc" and host and port.isdecimal():
        return
    if colon and kind != "grpc" and rest.startswith("//") and kind.partition("+")[0] in _DATABASES:
        return
    raise ConfigError(
        f"storage {text!r} is not known, expected journal:FILE, grpc://HOST:PORT, or the URL of a database that "
        f"SQLAlchemy opens ({', '.join(_DATABASES)})"
    )


_DATABASES = ("sqlite", "postgresql", "mysql", "mariadb", "oracle", "mssql")


@dataclass(frozen=True, slots=True)
class Search:
    """A recipe with a table [search]."""

    path: Path
    table: Mapping[str, Any]
    recipe: Recipe
    settings: Settings

    @classmethod
    def load(cls, path: str | Path) -> Search:
        """Load a recipe with [search]. Raises ConfigError for invalid contents, including unknown settings in the
        space.
        """
        file = Path(path)
        table = read_table(file)
        if not isinstance(table.get("search"), dict):
            raise ConfigError(f"{file}: table 'search' is missing: say what to try in [search.space]")
        settings = Reader(file).record(Settings, table["search"], "search.")
        loaded = cls(file, table, load_recipe(file), settings)
        fixed = [key for key in settings.space if key.partition(".")[0] in _FIXED]
        if fixed:
            raise ConfigError(
                f"{file}: 'search.space': {fixed[0]!r} is the same for all trials, which share the float network and "
                f"the samples; a search varies settings of {', '.join(_VARIED)}"
            )
        first = {key: values.samples[0] for key, values in settings.space.items()}
        for key, values in settings.space.items():
            for value in values.samples:
                loaded.with_values({**first, key: value})
        return loaded

    @property
    def folder(self) -> Path:
        return Path(self.recipe.output)

    def with_values(self, values: Mapping[str, Value]) -> Recipe:
        """The recipe with changed settings; keys have the form "table.key"."""
        table = copy.deepcopy(dict(self.table))
        for key, value in values.items():
            *parents, name = key.split(".")
            place = table
            for parent in parents:
                place = place.setdefault(parent, {})
            place[name] = value
        return recipe_of(table, self.path)

    def storage(self) -> BaseStorage:
        text = self.settings.storage or f"journal:{self.folder / 'search.journal'}"
        kind, _, rest = text.partition(":")
        if kind == "journal":
            Path(rest).parent.mkdir(parents=True, exist_ok=True)
            return JournalStorage(JournalFileBackend(rest))
        if kind == "grpc":
            host, _, port = rest.removeprefix("//").rpartition(":")
            return _proxy(host, int(port))
        try:
            return RDBStorage(text)
        except Exception as error:  # types of SQLAlchemy and of the database driver
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ConfigError(f"{self.path}: 'search.storage': {text} cannot be opened: {reason}") from error

    def study(self, digest: str | None = None) -> optuna.Study:
        """The study in the storage, created if it does not exist.

        `digest` is that of recipe and data. Raises ConfigError if the study has another digest or another package
        version.
        """
        logging.getLogger("optuna").setLevel(logging.ERROR)
        up, down = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
        storage = self.storage()
        study = optuna.create_study(
            storage=storage,
            study_name=self.settings.study,
            directions=[up, *[down] * len(self.settings.costs)],
            load_if_exists=True,
        )
        study.sampler = TrialSampler(self.recipe.seed)
        if digest is not None:
            self._check_digest(study, digest)
        return study

    def digest(self, data: Data) -> str:
        """Digest of everything that trials depend on: the samples, the code that the recipe names, the float network,
        and the recipe without the number of trials and the storage.
        """
        table = copy.deepcopy(dict(self.table))
        table["search"] = {k: v for k, v in table["search"].items() if k in ("space", "costs")}
        table.pop("output", None)
        return digest_of(repr(sorted(table.items())), self.recipe, self.path, data, self.network())

    def network(self) -> nn.Module:
        """The float network with the recipe's weights, before any training."""
        with alone(self.recipe.seed):
            return load_net(self.recipe, self.path)

    def _check_digest(self, study: optuna.Study, digest: str) -> None:
        attributes = study.user_attrs
        if _DIGEST not in attributes and not study.get_trials(deepcopy=False):
            study.set_user_attr(_VERSION, __version__)
            study.set_user_attr(_DIGEST, digest)  # last: another process may read between the two
            return
        if (attributes.get(_DIGEST), attributes.get(_VERSION)) != (digest, __version__):
            is_other_version = attributes.get(_VERSION, __version__) != __version__
            origin = f"mcuquant {attributes[_VERSION]}" if is_other_version else "another recipe or data"
            raise ConfigError(
                f"{self.path}: the study {self.settings.study!r} holds {len(study.trials)} trials of {origin}; "
                "name a new one in 'search.study', or change the recipe back"
            )


def _proxy(host: str, port: int) -> BaseStorage:
    try:
        return GrpcStorageProxy(host=host, port=port)
    except ModuleNotFoundError as error:
        raise ToolError(
            f"Optuna's proxy needs the Python package {error.name}, which is not installed: pip install grpcio protobuf"
        ) from error


@dataclass(frozen=True, slots=True)
class CompletedTrial:
    """One completed trial."""

    number: int
    """Position in the search, 0, 1, 2, ...: interrupted trials have none."""
    values: Mapping[str, Value]
    costs: Mapping[str, int]
    """Costs of the trial, all of COSTS."""
    record: Record
    """Record of the trial, with the accuracy on the validation samples."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """All completed trials of a search, and the best ones."""

    trials: tuple[CompletedTrial, ...]
    front: tuple[CompletedTrial, ...]
    """The Pareto-optimal trials in accuracy and all costs, the most accurate first."""


def search(path: str | Path, progress: Callable[[int, int], None] | None = None) -> SearchResult:
    """Run trials until the requested number has ended, including those of other processes that share the storage.

    Accuracy is that of the integer network on the validation samples; the test samples stay unused until a trial is
    selected. Trials with unreachable targets count but give no result. Raises ConfigError without validation samples,
    BudgetError if no trial gives a result.
    """
    what = Search.load(path)
    data = _load(what)
    if data.valid is None or data.valid.y is None:
        raise ConfigError(f"{what.path}: key 'data.valid' is missing: a search is judged on validation samples")
    objective = _Objective.of(what, replace(data, test=None))
    objective.check()
    study = what.study(what.digest(data))
    total = what.settings.trials

    def report_progress(current: optuna.Study, _: FrozenTrial) -> None:
        count = len(final_positions(current))
        if progress is not None:
            progress(min(count, total), total)
        if count >= total:
            current.stop()

    if len(final_positions(study)) < total:
        objective.train()
        study.optimize(objective, callbacks=[report_progress], catch=(_SurplusError,))
    result = search_result(study)
    if not result.trials:
        raise BudgetError(
            f"{what.path}: none of the {what.settings.trials} trials reached the recipe's targets; aim higher in "
            f"[prune], and name another 'search.study': {what.settings.study!r} is used up"
        )
    return result


class _SurplusError(Exception):
    """Other processes have ended all trials since this one began."""


def _load(what: Search) -> Data:
    return load_data(what.recipe.data, what.path, load_metric(what.recipe, what.path).task)


@dataclass(slots=True)
class _Objective:
    what: Search
    data: Data
    net: Any
    augment: Any
    metric: Metric

    @classmethod
    def of(cls, what: Search, data: Data) -> _Objective:
        with alone(what.recipe.seed):
            net, augment = what.network(), load_augment(what.recipe, what.path)
            if not what.recipe.weights and what.recipe.train is None:
                check_is_trained(lambda: load_net(what.recipe, what.path), net, str(what.path))
        metric = load_metric(what.recipe, what.path)
        return cls(what, data, net, augment, metric)

    def check(self) -> None:
        """Raises the errors that trials would meet, before a storage exists: samples, and every step on one batch.

        Whether a target can be reached is a result of a trial.
        """
        check_samples(self.data, self.net, self.metric.task)
        for end in (0, -1):
            values = {key: values.samples[end] for key, values in self.what.settings.space.items()}
            recipe = self.what.with_values(values)
            with alone(recipe.seed), suppress(BudgetError):
                rehearse(self.net, self.data, recipe, self.augment, self.metric)

    def train(self) -> None:
        """Train the float network. Every worker does it once, with equal results."""
        recipe = self.what.recipe
        if recipe.train is not None:
            how = replace(recipe.train, seed=recipe.seed)
            fit(self.net, self.data.train, how, valid=self.data.valid, augment=self.augment, metric=self.metric)

    def __call__(self, trial: Trial) -> tuple[float, ...]:
        position = claim_position(trial, self.what.settings.trials)
        if position is None:
            raise _SurplusError
        values = {name: values.suggest(trial, name) for name, values in self.what.settings.space.items()}
        recipe = replace(self.what.with_values(values), train=None)
        try:
            result = compress(copy.deepcopy(self.net), self.data, recipe, self.augment, metric=self.metric)
        except BudgetError as error:
            raise optuna.TrialPruned(str(error)) from error
        if result.missed:
            raise optuna.TrialPruned(result.missed[0])
        record, costs = replace(result.records[-1], label=f"trial {position}"), asdict(result.cost)
        trial.set_user_attr(_RECORD, record.to_json())
        trial.set_user_attr(_COSTS, costs)
        assert record.quality is not None
        return (record.quality, *(float(costs[cost]) for cost in self.what.settings.costs))


def search_result(study: optuna.Study) -> SearchResult:
    """All completed trials of a study."""
    trials = study.get_trials(deepcopy=False, states=_COMPLETE_STATES)
    by_position = {position_of(t): t for t in reversed(trials)}
    completed = [by_position[position] for position in sorted(by_position)]
    best = sorted(study.best_trials, key=lambda t: (-t.values[0], t.values[1:], position_of(t), t.number))
    first = {tuple(t.values): t for t in reversed(best)}  # the first of several trials with equal values counts
    front = tuple(_completed_trial(t) for t in best if first[tuple(t.values)] is t)
    return SearchResult(tuple(map(_completed_trial, completed)), front)


def _completed_trial(trial: FrozenTrial) -> CompletedTrial:
    attributes = trial.user_attrs
    return CompletedTrial(position_of(trial), dict(trial.params), attributes[_COSTS], Record(**attributes[_RECORD]))


def trial_recipe(path: str | Path, number: int) -> Recipe:
    """The recipe of one completed trial. Raises ConfigError for an unknown number."""
    what = Search.load(path)
    study = what.study(what.digest(_load(what)))
    trials = {trial.number: trial for trial in search_result(study).trials}
    if number not in trials:
        raise ConfigError(f"{what.path}: the search has no completed trial {number}; it has {len(trials)}")
    return what.with_values(trials[number].values)
