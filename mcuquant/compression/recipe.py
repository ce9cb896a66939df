"""The settings of `compress` as plain values. The tables of a recipe's TOML file have the names of these fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..boards.board import DEFAULT_BOARD
from ..errors import CalibrationError
from ..quantization import ACTIVATIONS
from ..quantization.methods import METHODS
from ..quantization.quantizers import BITS, QUANTIZERS
from .costs import UNITS, Cost, Target
from .importance import Importance
from .masks import Sparsity
from .prune import Pruning, check_one
from .recipe_metrics import ACCURACY, Task, named_metric
from .settings import Reader, read_table
from .training import Training
from .weight_sharing import Sharing

_PART = re.compile(r"(\d+(?:\.\d+)?) ?%")


@dataclass(frozen=True, slots=True, kw_only=True)
class Teach(Training):
    """Training of several teachers from labels; together they replace the float network as the teacher."""

    networks: int = 5
    """Number of teachers. Each has the shape of the float network and its own initial weights; their outputs are
    averaged.
    """

    def __post_init__(self) -> None:
        Training.__post_init__(self)
        if self.networks < 1:
            raise CalibrationError(f"there must be at least 1 network to teach, found {self.networks}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stride:
    """Convolutions get longer strides, so that later layers have fewer positions; see `strides`."""

    layers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Convolution -> its new stride, one number per spatial direction."""
    target: Mapping[str, int | str] = field(default_factory=dict)
    """Targets as for pruning. `stride_search` selects the layers."""
    epochs: int | None = None
    match: tuple[str, ...] = ()
    """Layers that learn the teacher's outputs in this step, in place of those of [fine_tune]."""

    def __post_init__(self) -> None:
        _check_targets(self.target)
        if bool(self.target) == bool(self.layers):
            text = "both" if self.layers else "none"
            raise CalibrationError(f"longer strides take either layers or a target, found {text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """Removes whole channels until the targets are met on the recipe's board, by a ratio, or down to given widths."""

    target: Mapping[str, int | str] = field(default_factory=dict)
    """Metric (see `costs.UNITS`) -> upper limit, a number or a fraction of the unpruned network's value: "25 %"."""
    ratio: float | None = None
    widths: Mapping[str, int] = field(default_factory=dict)
    """Layer -> number of channels to keep. Other layers keep all channels."""
    importance: Importance = Importance.L2
    together: bool = True
    multiple: int | None = None
    steps: int = 1
    keep: tuple[str, ...] = ()
    reinitialize: bool = False
    """After the last cut, keep only the shape and start with random weights, for long training (see `reinitialized`).
    """
    epochs: int | None = None
    """Epochs of fine-tuning after each step, in place of those of [fine_tune]."""

    def __post_init__(self) -> None:
        _check_targets(self.target)
        goals = {"a target": self.target, "a ratio": self.ratio is not None, "widths": self.widths}
        check_one(goals)

    def pruning(self, before: Cost) -> Pruning:
        keys = ("ratio", "widths", "importance", "together", "multiple", "steps", "keep", "reinitialize")
        same = {key: getattr(self, key) for key in keys}
        return Pruning(targets=targets_of(self.target, before), **same)


def _check_targets(target: Mapping[str, int | str]) -> None:
    for metric, most in target.items():
        if metric not in UNITS:
            raise CalibrationError(f"target {metric!r} is not known, expected one of: {', '.join(UNITS)}")
        if isinstance(most, str) and not _PART.fullmatch(most):
            raise CalibrationError(f'target {metric!r} must be a number or a part like "25 %", found {most!r}')
        if isinstance(most, str) and float(most.rstrip(" %")) >= 100:
            raise CalibrationError(f"target {metric!r} is {most!r}, which asks for no reduction: expected below 100 %")


def targets_of(target: Mapping[str, int | str], before: Cost) -> tuple[Target, ...]:
    """The target with a percentage converted to a fraction of the network's cost before the step."""
    costs = asdict(before)
    return tuple(Target(metric, _most(most, costs[metric])) for metric, most in target.items())


def _most(most: int | str, before: int) -> int:
    if isinstance(most, int):
        return most
    match = _PART.fullmatch(most)
    assert match is not None
    return int(before * float(match[1]) / 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsify(Sparsity):
    epochs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Share(Sharing):
    epochs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantize:
    """How weights and activations are quantized; see docs/quantization.md."""

    quantizer: str = "nearest"
    bits: int = 8
    method: str = "auto"
    activations: str = "int8"
    adaptive_rounding: bool = False
    correct_bias: bool = False
    samples: int = 256
    """Number of training samples for calibration."""
    epochs: int = 0
    """Epochs of quantization-aware training (see `qat`), which uses only `bits` of the settings above. 0: none."""

    def __post_init__(self) -> None:
        for key, choices in (
            ("bits", BITS),
            ("quantizer", QUANTIZERS),
            ("method", ("auto", *METHODS)),
            ("activations", ACTIVATIONS),
        ):
            if (value := getattr(self, key)) not in choices:
                expected = ", ".join(map(str, choices))
                raise CalibrationError(f"{key} must be one of {expected}, found {value!r}")
        if self.samples < 1 or self.epochs < 0:
            raise CalibrationError(
                f"samples must be at least 1 and epochs at least 0, found {self.samples}, {self.epochs}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """.npz files with arrays x (N, ...) float32 in the network's own layout, and y (N,) class numbers."""

    train: str
    """Training samples. Without y the network learns only from its teacher."""
    valid: str = ""
    """Validation samples. They select the epoch whose weights are kept."""
    test: str = ""
    """Samples for measuring accuracy: test samples, or else the validation samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A whole recipe. Steps that are None are left out; the others run in this order."""

    model: str = ""
    """A Python function that returns the network: "module:function", or "file.py:function" beside the recipe."""
    weights: str = ""
    """Path of a state dict of torch.save for the network."""
    augment: str = ""
    """A function, specified like `model`, that augments a batch of training inputs: (Tensor, torch.Generator) ->
    Tensor.
    """
    data: Files | None = None
    metric: str = ACCURACY.name
    """A key of METRICS, or a function, specified like `model`: (outputs (N, K), y, x (N, ...)) -> float, larger for a
    better network.
    """
    task: Task | None = None
    """The loss. None: that of the metric; "classes" for a function."""
    board: str = DEFAULT_BOARD
    output: str = "build/compressed"
    name: str = "model"
    seed: int = 0
    train: Training | None = None
    """Training of the float network, if the function returns an untrained one."""
    teach: Teach | None = None
    """Several float networks as the teacher. None: the network that is compressed is the teacher."""
    stride: Stride | None = None
    prune: Prune | None = None
    sparsify: Sparsify | None = None
    share: Share | None = None
    quantize: Quantize = field(default_factory=Quantize)
    fine_tune: Training = field(default_factory=Training)
    """Training after every step, with the float network, or the networks of [teach], as the teacher."""

    def __post_init__(self) -> None:
        if self.teach is not None and (self.fine_tune.match or (self.stride is not None and self.stride.match)):
            raise CalibrationError("layers can match those of one teacher alone: leave out either match or [teach]")
        self._check_task()
        if self.quantize.epochs and (self.sparsify or self.share):
            raise CalibrationError(
                "quantization-aware training (quantize.epochs) would fill zeros and part shared weights again; "
                "leave it out, or [sparsify] and [share]"
            )

    def _check_task(self) -> None:
        """Raises ConfigError for an unknown metric, CalibrationError for settings that only classes have."""
        task = self.task or (Task.CLASSES if ":" in self.metric else named_metric(self.metric).task)
        if task is Task.CLASSES:
            return
        for part in (self.train, self.teach, self.fine_tune):
            for key in ("mixup", "smoothing"):
                if part is not None and getattr(part, key):
                    raise CalibrationError(f"{key} needs classes, the recipe's task is {task}; leave it out")

    def training(self, epochs: int | None) -> Training:
        return replace(self.fine_tune, seed=self.seed, epochs=epochs or self.fine_tune.epochs)


def load_recipe(path: Path) -> Recipe:
    """The recipe of a TOML file. Its paths are relative to the file. Raises ConfigError with file and key."""
    return recipe_of(read_table(path), path)


def recipe_of(table: Mapping[str, object], path: Path) -> Recipe:
    """The recipe of a table. Errors name `path`. [search] is not read here."""
    return Reader(path).record(Recipe, {key: value for key, value in table.items() if key != "search"})
