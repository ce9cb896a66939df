"""No traceback: recipes, recordings and command lines made at random are run, or refused in a sentence."""

from __future__ import annotations

import json
import shutil
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import graphs
import numpy as np
import pytest
import wild
from cli_runs import make_files, mcuquant
from click.testing import Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_nets import clusters

from mcuquant import NodeSettings, compile
from mcuquant.cli import main
from mcuquant.compression import pipeline, recipe_search
from mcuquant.compression.checks import BATCH
from mcuquant.compression.recipe import Prune, Recipe, Sparsify, Stride
from mcuquant.compression.recipe_search import Range, Settings
from mcuquant.project.project import Project
from mcuquant.reporting.record import Record, records_text


def tries(few: int, many: int) -> pytest.MarkDecorator:
    """All together some 300, and 10,000 in the slow run."""
    slow = pytest.param(many, id="many", marks=pytest.mark.slow)
    return pytest.mark.parametrize("count", [pytest.param(few, id="few"), slow])


class EnoughError(Exception):
    """All checks passed: what comes next is the work itself, which other tests do."""


def wild_run(count: int) -> Any:
    return settings(
        max_examples=count, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )


def check(result: Result, what: object) -> None:
    """An exit code of 0, 1 with a sentence, or 2 with the usage; any other exception is a traceback."""
    error = result.exception
    if error is not None and not isinstance(error, SystemExit | EnoughError):
        text = "".join(traceback.format_exception(error))
        raise AssertionError(f"{what}\n{text}")
    if isinstance(error, SystemExit) and result.exit_code:
        assert result.exit_code in (1, 2), what
        assert "Traceback" not in result.output, what
        if not result.stderr:
            assert result.stdout, what
            return
        last = result.stderr.rstrip("\n")[result.stderr.rstrip("\n").rfind("Error: ") :]
        assert last.startswith("Error: "), f"{what}\n{result.stderr}"
        assert len(last) < 3000, f"{what}\n{result.stderr}"


# --- Recipes ----------------------------------------------------------------------------------------------------------

NET = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(36, 4))

def convolutional():
    return build()

def none():
    return None

def varied(x, random):
    return x

def fails():
    return [][0]
"""
SAMPLES = ["x.npz"] * 9 + ["nan.npz", "labels.npz", "last.npz", "no_y.npz", "missing.npz"]
MODELS = ["net.py:build"] * 9 + ["net.py:none", "net.py:missing", "net.py:fails", "broken.py:f", "net.pt2", "os:getcwd"]
MODELS += ["", "..x:y", "../net:f"]
PERCENT = st.sampled_from(["25 %", "60 %", "99 %", "100 %", "0 %", 10, 400, 10_000, 0, -1])
METRICS = st.sampled_from(["macs", "weight_bytes", "constant_bytes", "arena_bytes", "cycles", "flash_bytes"])
LAYERS = st.sampled_from(["0", "3", "1", "relu", "flatten", "x"])
KNOWN: Mapping[str, st.SearchStrategy[Any]] = {
    "model": st.sampled_from(MODELS),
    "weights": st.sampled_from(["net.pt"] * 9 + ["other.pt", "bad.pt", "missing.pt", ""]),
    "augment": st.sampled_from(["net.py:varied"] * 9 + ["net.py:none", "", "nowhere:f"]),
    "board": st.sampled_from(["qemu-mps2-an386"] * 9 + ["qemu-microbit", "pico", "nowhere", "net.py"]),
    "output": st.just("out"),
    "name": st.sampled_from(["model", "kws", "input", "1x", ""]),
    **{
        f"data.{name}": st.sampled_from(
            ["x.npz", "x.npz", "nan.npz", "labels.npz", "last.npz", "no_y.npz", "missing.npz"]
        )
        for name in ("train", "valid", "test")
    },
    "prune.target": st.dictionaries(METRICS, PERCENT, min_size=1, max_size=2),
    "stride.target": st.dictionaries(METRICS, PERCENT, min_size=1, max_size=2),
    "prune.ratio": st.floats(0, 1),
    "prune.widths": st.dictionaries(LAYERS, st.integers(0, 8), max_size=2),
    "stride.layers": st.dictionaries(LAYERS, st.lists(st.integers(0, 3), min_size=1, max_size=2), max_size=2),
    "prune.keep": st.lists(LAYERS, max_size=2),
    "prune.multiple": st.integers(0, 5),
    "prune.epochs": st.integers(0, 2),
    **{f"{table}.match": st.lists(LAYERS, max_size=2) for table in ("stride", "fine_tune", "train", "teach")},
    "sparsify.ratio": st.floats(0, 1),
    "sparsify.pattern": st.lists(st.integers(0, 5), min_size=2, max_size=2),
    "share.entries": st.sampled_from([2, 4, 16, 0, 1, 300]),
    "quantize.bits": st.sampled_from([8, 4, 2, 3]),
    "quantize.quantizer": st.sampled_from(["nearest", "double-linear", "nearest-asymmetric", "x"]),
    "quantize.method": st.sampled_from(["auto", "minmax", "mse", "x"]),
    "quantize.activations": st.sampled_from(["int8", "int16", "mixed", "x"]),
    "quantize.epochs": st.sampled_from([0, 0, 0, 1]),
    **{f"{table}.batch": st.sampled_from([1, 4, 64, 0]) for table in ("fine_tune", "train", "teach")},
    "teach.networks": st.integers(0, 2),
}
KNOWN = {
    **KNOWN,
    "data": st.fixed_dictionaries(
        {"train": KNOWN["data.train"]}, optional={name: KNOWN[f"data.{name}"] for name in ("valid", "test")}
    ),
    "prune": wild.with_one_of(Prune, KNOWN, "prune.", ("target", "ratio", "widths")),
    "stride": wild.with_one_of(Stride, KNOWN, "stride.", ("target", "layers")),
    "sparsify": wild.with_one_of(Sparsify, KNOWN, "sparsify.", ("ratio", "pattern")),
}
RECIPES = st.builds(
    lambda base, table: {**base, **table, "output": "out"},
    st.just({"model": "net.py:build", "weights": "net.pt", "data": {"train": "x.npz", "valid": "x.npz"}}),
    wild.tables(Recipe, KNOWN),
)


@pytest.fixture(scope="module")
def recipe_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network, weights and samples, good and bad."""
    import torch

    folder = tmp_path_factory.mktemp("recipes")
    (folder / "net.py").write_text(NET)
    (folder / "broken.py").write_text("def f(:\n")
    namespace: dict[str, Any] = {}
    exec(NET, namespace)
    torch.save(namespace["build"]().state_dict(), folder / "net.pt")
    torch.save(torch.nn.Linear(3, 4).state_dict(), folder / "other.pt")
    (folder / "bad.pt").write_bytes(b"PK\x03\x04 not a state dict")
    samples = clusters(12)
    assert samples.y is not None
    x, y = samples.x.numpy().reshape(-1, 2, 6), samples.y.numpy()
    np.savez(folder / "x.npz", x=x, y=y)
    np.savez(folder / "no_y.npz", x=x)
    np.savez(folder / "labels.npz", x=x, y=y + 1)
    np.savez(folder / "last.npz", x=x.transpose(0, 2, 1), y=y)
    np.savez(folder / "nan.npz", x=np.where(x > 1, np.nan, x), y=y)
    return folder


@pytest.fixture
def only_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends a run where the dry run of the steps has ended well."""
    whole = pipeline._Run.whole

    def first_alone(run: Any, net: Any) -> Any:
        if len(run.data.train) > BATCH:
            raise EnoughError
        return whole(run, net)

    monkeypatch.setattr(pipeline._Run, "whole", first_alone)


@tries(30, 3000)
def test_recipes(count: int, recipe_folder: Path, only_checks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recipe_folder)

    @wild_run(count)
    @given(RECIPES)
    def attempt(table: dict[str, Any]) -> None:
        text = wild.toml(table)
        Path("recipe.toml").write_text(text, encoding="utf-8")
        check(mcuquant("compress", "recipe.toml"), text)

    attempt()


SPACE = st.dictionaries(
    st.sampled_from(
        ["prune.ratio", "share.entries", "quantize.bits", "fine_tune.epochs", "seed", "x.y", "model", "data"]
    ),
    st.one_of(
        st.fixed_dictionaries({"choices": st.lists(st.sampled_from([1, 2, 4, 8, 0.5, "x"]), max_size=3)}),
        st.fixed_dictionaries({"low": st.sampled_from([0.1, 1, 2]), "high": st.sampled_from([0.5, 4, "x"])}),
        wild.tables(Range, {}),
    ),
    min_size=1,
    max_size=2,
)
SEARCHES = st.builds(
    lambda base, table, search: {**base, **table, "output": "out", "search": search},
    st.just({"model": "net.py:build", "weights": "net.pt", "data": {"train": "x.npz", "valid": "x.npz"}}),
    wild.tables(Recipe, {key: value for key, value in KNOWN.items() if key in ("seed", "data", "weights")}),
    wild.with_one_of(
        Settings,
        {
            "search.space": SPACE,
            "search.costs": st.lists(METRICS, min_size=1, max_size=2),
            "search.storage": st.sampled_from(
                ["", "journal:out/j", "foo:bar", "grpc://h:x", "sqlite:///no/such/folder"]
            ),
        },
        "search.",
        ("space",),
    ),
)


@tries(50, 2000)
def test_searches(count: int, recipe_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compress(*_: object) -> None:
        raise EnoughError

    monkeypatch.setattr(recipe_search, "compress", compress)
    monkeypatch.setattr(recipe_search, "fit", lambda *_, **__: None)
    monkeypatch.chdir(recipe_folder)

    @wild_run(count)
    @given(SEARCHES)
    def attempt(table: dict[str, Any]) -> None:
        shutil.rmtree("out", ignore_errors=True)
        text = wild.toml(table)
        Path("recipe.toml").write_text(text, encoding="utf-8")
        check(mcuquant("search", "recipe.toml"), text)

    attempt()


# --- Recordings -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled node of 8 samples of 3 channels; only its files are needed."""
    from layers import conv2d, fully_connected
    from nets import Net

    net = Net(np.random.default_rng(0))
    graph = net.graph(fully_connected(net, conv2d(net, net.input((1, 1, 8, 3)), outputs=2), outputs=2))
    node = NodeSettings(mean=0.0, std=1.0, lsb=0.01, rate_hz=50.0)
    output = tmp_path_factory.mktemp("node") / "net"
    return compile(graph, output=output, app="node", node=node, build_firmware=False).directory


@tries(100, 2000)
def test_recordings(count: int, node_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_node(project: Project, raw: np.ndarray[Any, Any]) -> None:
        assert (raw.dtype, raw.ndim, raw.shape[1]) == (np.int16, 2, 3)
        assert len(raw) >= project.node.window
        raise EnoughError

    monkeypatch.setattr(Project, "run_node", run_node)
    path = tmp_path / "recording.npz"

    @wild_run(count)
    @given(wild.RECORDINGS, wild.DAMAGE)
    def attempt(arrays: dict[str, Any], damage: tuple[int, int] | None) -> None:
        if list(arrays) == [""]:
            with path.open("wb") as file:
                np.save(file, arrays[""])
        else:
            np.savez(path, **{k or "arr": v for k, v in arrays.items()})
        path.write_bytes(wild.damaged(path.read_bytes(), damage))
        check(mcuquant("node", node_folder, "--data", path), (arrays, damage))

    attempt()


# --- Command lines ----------------------------------------------------------------------------------------------------

COMMANDS = sorted(set(main.commands) - {"demo", "doctor", "flash", "serve", "search", "compress", "boards"})  # type: ignore[attr-defined]
"""Those that neither train, nor wait for a client, nor reach for hardware."""
SKIPPED = frozenset({"--help", "--port", "-o", "--output", "--json", "--outputs"})


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, node_folder: Path) -> list[Path]:
    """What a user may name: models, arrays, projects, measurements, and files that are none of them."""
    folder = tmp_path_factory.mktemp("files")
    made = make_files(folder)
    project = compile(
        graphs.GENERATORS["conv2d"](np.random.default_rng(3)), output=folder / "net", build_firmware=False
    )
    library = compile(
        graphs.GENERATORS["relu6"](np.random.default_rng(3)), output=folder / "lib", app="library", build_firmware=False
    )
    x = np.load(made.calibration)["x"]
    np.savez(folder / "labeled.npz", x=x, y=np.zeros(len(x), np.int64))
    np.savez(folder / "nan.npz", x=np.full_like(x, np.nan), y=np.zeros(len(x)))
    np.savez(folder / "other.npz", a=np.array("text"), x=x[:, 0])
    np.save(folder / "x.npy", np.zeros((2, *project.inputs[0].shape[1:]), np.int8))
    (folder / "cut.tflite").write_bytes(made.tflite.read_bytes()[:300])
    (folder / "cut.npz").write_bytes(made.calibration.read_bytes()[:-40])
    (folder / "stats.json").write_text(json.dumps({"mean": [0.0], "std": 1.0, "lsb": 0.01}))
    (folder / "list.json").write_text("[1, {}]")
    (folder / "records.json").write_text(records_text([Record(label="a", weight_bytes=3, accuracy=0.5)]))
    sizes = dict.fromkeys(
        ("flash_bytes", "ram_bytes", "arena_bytes", "stack_bytes", "latency_us", "cycles", "clock_hz", "macs"), 10
    )
    measurement = {"board": "b", "core": "c", "counter": "cycles", "layers": [], **sizes}
    (folder / "bench.json").write_text(json.dumps(measurement))
    (folder / "odd.json").write_text(json.dumps({**measurement, "layers": [1], "cycles": "many", "ram_bytes": None}))
    (folder / "sensor.c").write_text("int x;\n")
    (folder / "board.toml").write_text('title = "x"\n')
    (folder / "empty").mkdir()
    (folder / "manifest").mkdir()
    (folder / "manifest" / "manifest.json").write_text('{"board": 3}')
    return [*sorted(p for p in folder.iterdir()), node_folder, library.directory, folder / "missing.npz"]


@tries(120, 3000)
def test_command_lines(count: int, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Project, "connect", _no_board)
    monkeypatch.setattr(Project, "run_host", _no_board)
    commands = main.commands  # type: ignore[attr-defined]
    paths = st.sampled_from(files)
    lines = st.sampled_from(COMMANDS).flatmap(
        lambda name: wild.command_lines(commands[name], paths, SKIPPED).map(lambda words: [name, *words])
    )

    @wild_run(count)
    @given(lines)
    def attempt(words: list[str]) -> None:
        extra = {"compile": ["--no-build", "-o", "out"], "run": ["--outputs", "y.npy"], "report": ["-o", "r.html"]}
        check(mcuquant(*words, *extra.get(words[0], [])), words)

    attempt()


def _no_board(*_: object, **__: object) -> Iterator[None]:
    raise EnoughError
