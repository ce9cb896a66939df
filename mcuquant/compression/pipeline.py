"""The steps of compression in order: stride, prune, sparsify, share, each followed by training; then quantize and
compile.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from .. import flow
from ..arithmetic import interpreter
from ..boards.board import Board, load_board
from ..errors import CalibrationWarning, ConfigError
from ..ir import Array, Graph
from ..ir.metrics import parameters, total_macs
from ..project.project import Project
from ..quantization import Weights, with_palettes
from ..quantization.sample_layout import to_graph_layout, to_model_layout
from ..quantization.snr import quantized_inputs
from ..reporting.record import RECORDS, Record, records_text
from . import training
from .checks import check_is_trained, check_samples, check_targets, first_batch, short
from .costs import UNITS, Cost, Target, cost, cost_of
from .folding import folded
from .inputs import Data, load_augment, load_data, load_metric, load_net
from .masks import Masks, hold, sparsify
from .prune import batches_of, prune
from .recipe import Prune, Recipe, Stride, load_recipe, targets_of
from .recipe_metrics import ACCURACY, Metric, Task, named_metric
from .reinitialize import Together, reinitialized
from .steps import Steps, folder_of
from .stride_search import Strides, strides_for
from .strides import strided
from .training import Augment, Samples, Training, fit
from .weight_sharing import baked, share

ESTIMATE = "estimated by the cost model"
_SEARCH_SAMPLES = 256
"""Number of training samples that a search for strides uses."""
_MOST_TEACHERS = 100
"""Distance between the seeds of the teachers."""
Progress = Callable[[str, int, int], None]
"""Progress callback: (name of the step, completed units, total units)."""


@dataclass(frozen=True, slots=True, eq=False)
class Compressed:
    net: nn.Module
    """The float network whose weights equal the integers' real values."""
    graph: Graph
    """The integer network."""
    cost: Cost
    """Cost of `graph` on the recipe's board."""
    records: tuple[Record, ...]
    """Records of the float network, its int8 form, and the result of each step; the last one is `graph`."""
    reused: tuple[str, ...] = ()
    """Names of steps that an earlier run completed."""
    missed: tuple[str, ...] = ()
    """One sentence for each target of the recipe that the integer network misses."""


def compress(
    net: nn.Module,
    data: Data,
    recipe: Recipe,
    augment: Augment | None = None,
    progress: Progress | None = None,
    steps: Steps | None = None,
    metric: Metric | None = None,
) -> Compressed:
    """Compress and quantize a trained network by the settings of a recipe (its paths are not used).

    `metric` measures the network, by default the one that the recipe names. `steps` stores the result of each step and
    returns the results of an earlier run. Before the first epoch the samples are checked and every step runs on one
    batch.

    Raises BudgetError for unreachable targets, CalibrationError for invalid samples, UnsupportedOpError for networks
    that mcuquant does not support.
    """
    board, metric = load_board(recipe.board), metric or named_metric(recipe.metric)
    check_samples(data, net, metric.task)
    with training.alone(recipe.seed):
        check_targets(net, data, recipe, board)
        rehearse(net, data, recipe, augment, metric)
    run = _Run(data, recipe, board, augment, progress or (lambda *_: None), steps or Steps(), metric)
    with training.alone(recipe.seed):
        small, graph, targets = run.whole(net)
    reached = cost_of(graph, board)
    missed = tuple(_missed(target, reached, board) for target in targets if not target.is_met(reached))
    return Compressed(small, graph, reached, tuple(run.records), tuple(run.steps.reused), missed)


def rehearse(net: nn.Module, data: Data, recipe: Recipe, augment: Augment | None, metric: Metric) -> None:
    """Run every step of a recipe on one batch, with its errors. `net` does not change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)  # one batch has few samples
        board, batch = load_board(recipe.board), first_batch(data)
        _Run(batch, short(recipe), board, augment, lambda *_: None, Steps(), metric).whole(copy.deepcopy(net))


def _missed(target: Target, reached: Cost, board: Board) -> str:
    number = UNITS[target.metric].format(getattr(reached, target.metric))
    return f"the compressed network takes {number} on {board.name}, the recipe's target is {target}"


def compress_file(
    path: str | Path,
    output: str | Path | None = None,
    settings: Recipe | None = None,
    progress: Progress | None = None,
    fresh: bool = False,
) -> tuple[Compressed, Project]:
    """Execute a recipe file, and compile the result into its output folder with records.json beside the C project.

    `settings`, if given, replace those of the file; their relative paths still start at the file. Completed steps are
    stored in a folder beside the output folder (`steps.folder_of`) and used again unless `fresh` is true.
    """
    file = Path(path)
    recipe = settings or load_recipe(file)
    if not recipe.model:
        raise ConfigError(f"{file}: key 'model' is missing")
    metric = load_metric(recipe, file)
    data, augment = load_data(recipe.data, file, metric.task), load_augment(recipe, file)
    directory = output or recipe.output
    with training.alone(recipe.seed):
        net = load_net(recipe, file)
        if not recipe.weights and recipe.train is None:
            check_is_trained(lambda: load_net(recipe, file), net, str(file))
    steps = Steps.of(folder_of(directory), recipe, file, net, data, load_board(recipe.board))
    steps.is_fresh = fresh
    result = compress(net, data, recipe, augment, progress, steps, metric)
    real = flow.from_torch(result.net, data.example)
    project = flow.compile(result.graph, recipe.board, directory, recipe.name, source=real)
    built = project.firmware
    last = replace(result.records[-1], flash_bytes=built.flash_bytes, ram_bytes=built.ram_bytes)
    result = replace(result, records=(*result.records[:-1], last))
    (project.directory / RECORDS).write_text(records_text(result.records), encoding="utf-8")
    return result, project


@dataclass(slots=True)
class _Run:
    data: Data
    recipe: Recipe
    board: Board
    augment: Augment | None
    progress: Progress
    steps: Steps
    metric: Metric
    records: list[Record] = field(default_factory=list)
    teacher: nn.Module | None = None

    def whole(self, net: nn.Module) -> tuple[nn.Module, Graph, list[Target]]:
        """The final float and integer network, with the targets that apply to it."""
        recipe, targets = self.recipe, list[Target]()
        small = self.begun(net)
        for label, how, make in (
            ("strided", recipe.stride, self.strided),
            ("pruned", recipe.prune, self.pruned),
            ("sparse", recipe.sparsify, self.sparse),
            ("shared", recipe.share, self.shared),
        ):
            if how is None:
                continue
            if isinstance(how, Stride | Prune) and how.target:
                targets += targets_of(how.target, cost(small, self.data.example, self.board))
            small = self.step(label, (how, recipe.fine_tune), small, make)
        torch.manual_seed(recipe.seed)
        return small, self.quantized(small), targets

    def step(self, label: str, settings: object, net: nn.Module, make: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """Seeds the random numbers of one step, so that they do not depend on whether earlier steps were executed or
        restored.
        """
        torch.manual_seed(self.recipe.seed)
        return self.steps.run(label, settings, net, make, self.records)

    def begun(self, net: nn.Module) -> nn.Module:
        """Trains the float network if the recipe has [train], and selects the teacher of all steps."""
        if self.recipe.train is not None:
            net = self.step("trained", self.recipe.train, net, self.trained)
        self.teacher = net.eval()
        key = self.steps.key
        self.step("int8", self.recipe.quantize, net, self._as_it_was)
        self.steps.key = key  # the quantization of this comparison does not affect later steps
        if self.recipe.teach is not None:
            alike = Together([copy.deepcopy(net) for _ in range(self.recipe.teach.networks)])
            self.teacher = self.step("teachers", self.recipe.teach, alike, self.taught)
        return net

    def trained(self, net: nn.Module) -> nn.Module:
        assert self.recipe.train is not None
        self.fit(net, replace(self.recipe.train, seed=self.recipe.seed), "training the float network", None)
        return net.eval()

    def _as_it_was(self, net: nn.Module) -> nn.Module:
        """The records of the float network and of its int8 form, for comparison."""
        real = flow.from_torch(net, self.data.example)
        self._add("float", {"weight_bytes": 4 * parameters(real), "macs": total_macs(real)}, *self._right(net))
        self._integers("int8", net, Weights())
        return net

    def taught(self, together: nn.Module) -> nn.Module:
        """Teachers of the shape of the float network, each trained from its own initial weights."""
        how = self.recipe.teach
        assert how is not None
        for number, net in enumerate(together.children()):
            train = replace(how, seed=self.recipe.seed * _MOST_TEACHERS + number)
            with training.alone(train.seed):
                net.load_state_dict(reinitialized(net).state_dict())
            self.fit(net, train, f"training teacher {number + 1} of {how.networks}", None)
        return together

    def strided(self, net: nn.Module) -> nn.Module:
        how = self.recipe.stride
        assert how is not None
        result = strided(net, self.data.example, how.layers or self._strides(net, how))
        train = self.recipe.training(how.epochs)
        train = replace(train, match=how.match or train.match)
        self.fit(result, train, "fine-tuning longer strides", self.teacher)
        self._note("strided", result, cost(result, self.data.example, self.board))
        return result

    def _strides(self, net: nn.Module, how: Stride) -> Strides:
        targets = targets_of(how.target, cost(net, self.data.example, self.board))
        self.progress("searching for strides", 0, 1)
        return strides_for(net, self.data.train.x[:_SEARCH_SAMPLES], self.board, targets)

    def pruned(self, net: nn.Module) -> nn.Module:
        how = self.recipe.prune
        assert how is not None
        batches = batches_of(self.data.train.x, self._targets())
        loss = nn.functional.cross_entropy if self.metric.task is Task.CLASSES else training.squared_error
        pruning = how.pruning(cost(net, self.data.example, self.board))
        train = self.recipe.training(how.epochs)
        result = prune(
            net,
            self.data.example,
            self.board,
            pruning,
            batches,
            loss,
            fine_tune=lambda current: self.fit(current, train, "fine-tuning the pruned network", self.teacher),
        )
        self._note("pruned", result.net, result.after)
        return result.net

    def sparse(self, net: nn.Module) -> nn.Module:
        how = self.recipe.sparsify
        assert how is not None
        train = self.recipe.training(how.epochs)

        def fine_tune(current: nn.Module, masks: Masks) -> None:
            self.fit(current, train, "fine-tuning the sparse network", self.teacher, hold(current, masks))

        result = folded(net, self.data.example)
        sparsify(result, how, fine_tune)
        self._note("sparse", result, cost(result, self.data.example, self.board))
        return result

    def shared(self, net: nn.Module) -> nn.Module:
        how = self.recipe.share
        assert how is not None
        books = share(folded(net, self.data.example), how)
        self.fit(books, self.recipe.training(how.epochs), "fine-tuning shared weights", self.teacher)
        result = baked(books).eval()
        self._note("shared", result, cost(result, self.data.example, self.board))
        return result

    def quantized(self, net: nn.Module) -> Graph:
        how = self.recipe.quantize
        if how.epochs:
            return self._trained_for_integers(net, how.epochs, how.bits)
        weights = Weights(
            quantizer=how.quantizer,
            bits=how.bits,
            adaptive_rounding=how.adaptive_rounding,
            correct_bias=how.correct_bias,
        )
        return self._integers("compressed", net, weights)

    def _trained_for_integers(self, net: nn.Module, epochs: int, bits: int) -> Graph:
        from .qat import qat  # torchao is slow to import and not always needed

        train = replace(self.recipe.training(epochs), average=0.0, match=())

        def learn(module: nn.Module) -> None:
            self.fit(module, train, "quantization-aware training", self.teacher)

        graph = qat(net, self.data.example, learn, bits).graph
        self._add("compressed", _facts(cost_of(graph, self.board)), *self._right(graph))
        return graph

    def fit(
        self,
        net: nn.Module,
        how: Training,
        what: str,
        teacher: nn.Module | None,
        after_step: Callable[[], None] | None = None,
    ) -> None:
        fit(
            net,
            self.data.train,
            how,
            teacher=teacher,
            valid=self.data.valid,
            augment=self.augment,
            after_step=after_step,
            progress=lambda done: self.progress(what, done, how.epochs),
            metric=self.metric,
        )

    def _targets(self) -> torch.Tensor:
        """The targets of the training samples, or the teacher's classes or outputs for them."""
        if self.metric.task is Task.RECONSTRUCTION:
            return self.data.train.x
        if self.data.train.y is not None:
            return self.data.train.y
        assert self.teacher is not None
        outputs = training.answers(self.teacher, self.data.train.x)
        return outputs.argmax(dim=1) if self.metric.task is Task.CLASSES else outputs

    def _integers(self, label: str, net: nn.Module, weights: Weights) -> Graph:
        how = self.recipe.quantize
        self.progress(f"quantizing: {label}", 0, 1)
        real = flow.from_torch(net, self.data.example)
        indices = np.linspace(0, len(self.data.train) - 1, min(how.samples, len(self.data.train))).astype(int)
        x = self.data.train.x[indices].numpy()
        graph = with_palettes(real, flow.quantize(real, x, how.method, True, how.activations, weights, improve=False))
        self._add(label, _facts(cost_of(graph, self.board)), *self._right(graph))
        return graph

    def _note(self, label: str, net: nn.Module, reached: Cost) -> None:
        self._add(label, _facts(reached), *self._right(net))

    def _add(self, label: str, facts: Mapping[str, Any], value: float | None, source: str) -> None:
        quality: dict[str, Any] = {"accuracy": value} if self.metric.name == ACCURACY.name else {}
        if not quality and value is not None:
            quality = {"metric": self.metric.name, "metric_value": value, "merit": self.metric.merit(value)}
        self.records.append(Record(label=label, board=self.board.name, accuracy_source=source, **quality, **facts))

    def _right(self, what: nn.Module | Graph) -> tuple[float | None, str]:
        """(value of the metric, name of the sample set)."""
        judge = self.data.judge
        if judge is None:
            return None, ""
        kind = "test" if self.data.test is not None else "validation"
        if isinstance(what, Graph):
            done = lambda n: self.progress("evaluating the integer network", n, len(judge))  # noqa: E731
            return integer_figure(what, judge, self.metric, done), f"{len(judge):,} {kind} samples, interpreter"
        return training.figure(what, judge, self.metric), f"{len(judge):,} {kind} samples, PyTorch"


def _facts(reached: Cost) -> Mapping[str, Any]:
    """Numbers of the plan as fields of Record. Sizes of the whole firmware are known after the build."""
    return {**asdict(reached), "cycles_source": ESTIMATE}


def integer_accuracy(graph: Graph, samples: Samples, done: Callable[[int], None] = lambda _: None) -> float:
    """The accuracy, 0 to 1, of an integer network with one input, by the interpreter; the first output counts."""
    assert samples.y is not None
    guesses = integer_answers(graph, samples.x.numpy(), done).argmax(axis=1)
    return float((guesses == samples.y.numpy()).mean())


def integer_figure(
    graph: Graph, samples: Samples, metric: Metric, done: Callable[[int], None] = lambda _: None
) -> float:
    """The metric of an integer network with one input, by the interpreter; the first output counts."""
    assert samples.y is not None
    stored, y = integer_answers(graph, samples.x.numpy(), done), graph[graph.outputs[0]]
    outputs = stored.reshape(len(stored), *y.shape[1:])
    real = (
        outputs if y.q is None or metric.task is Task.CLASSES else (outputs.astype(np.float64) - y.zero_point) * y.scale
    )
    ordered = to_model_layout(real, samples.x.dim())
    return metric.score(ordered.reshape(len(ordered), -1), samples.y.numpy(), samples.x.numpy())


def integer_answers(graph: Graph, x: Array, done: Callable[[int], None] = lambda _: None) -> Array:
    """The first output as stored integers: one row per real input of `x` (N, ...), which is in PyTorch's layout."""
    ordered = to_graph_layout(x, graph[graph.inputs[0]].shape)
    rows = []
    for i in range(len(ordered)):
        rows.append(interpreter.run(graph, quantized_inputs(graph, [ordered[i : i + 1]]))[0].reshape(-1))
        done(i + 1)
    return np.stack(rows)
