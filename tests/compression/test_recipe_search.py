"""Search: trials of several processes in one storage, gone on from after an interruption, the best of them kept."""

from __future__ import annotations

import json
import operator
import random
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from click.testing import CliRunner
from small_nets import clusters

from mcuquant.cli import main
from mcuquant.compression.inputs import load_data
from mcuquant.compression.pipeline import compress_file
from mcuquant.compression.recipe_search import Range, Search, Settings, search, trial_recipe
from mcuquant.compression.training import alone
from mcuquant.compression.trial_sampler import claim_position
from mcuquant.errors import BudgetError, ConfigError, McuquantError, ToolError
from mcuquant.reporting.record import load_records

RECIPE = """
model = "net.py:build"
output = "{folder}/out"
[data]
train = "train.npz"
valid = "valid.npz"
[train]
epochs = 4
learning_rate = 0.01
[quantize]
method = "minmax"
samples = 32
[fine_tune]
epochs = 1
learning_rate = 0.01
[search]
trials = {trials}
costs = ["weight_bytes", "macs"]
storage = "{storage}"
[search.space]
"prune.ratio" = {{ low = 0.2, high = 0.8 }}
"prune.multiple" = {{ choices = [1, 4] }}
"quantize.bits" = {{ choices = [4, 8] }}
"""
NET = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 4))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET)
    for name, seed, n in (("train", 1, 200), ("valid", 2, 60)):
        part = clusters(n, seed=seed)
        assert part.y is not None
        np.savez(tmp_path / f"{name}.npz", x=part.x.numpy(), y=part.y.numpy())
    return tmp_path


def recipe(folder: Path, trials: int, storage: str = "") -> Path:
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(folder=folder, trials=trials, storage=storage))
    return path


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_search_goes_on_and_keeps_the_best(folder: Path) -> None:
    counted: list[int] = []
    first = search(recipe(folder, 2), lambda done, _: counted.append(done))
    assert counted == [1, 2]
    found = search(recipe(folder, 4))
    assert [t.number for t in found.trials] == [0, 1, 2, 3]
    assert found.trials[:2] == first.trials
    for tried in found.trials:
        assert tried.record.weight_bytes == tried.costs["weight_bytes"]
        assert tried.record.accuracy_source == "60 validation samples, interpreter"
        assert 0.2 <= tried.values["prune.ratio"] <= 0.8  # type: ignore[operator]

    goods = [(t.record.accuracy or 0.0, -t.costs["weight_bytes"], -t.costs["macs"]) for t in found.trials]
    unbeaten = {g for g in goods if not any(h != g and all(map(operator.ge, h, g)) for h in goods)}
    assert [goods[t.number] for t in found.front] == sorted(unbeaten, key=lambda g: (-g[0], -g[1], -g[2]))
    assert trial_recipe(folder / "recipe.toml", 3).prune.ratio == found.trials[3].values["prune.ratio"]  # type: ignore[union-attr]
    with pytest.raises(ConfigError) as error:
        trial_recipe(folder / "recipe.toml", 9)
    assert str(error.value) == f"{folder / 'recipe.toml'}: the search has no completed trial 9; it has 4"


@pytest.mark.timeout(300)
def test_three_processes_work_on_one_search(folder: Path) -> None:
    path = recipe(folder, 4)
    code = "import sys; from mcuquant.compression.recipe_search import search; search(sys.argv[1])"
    workers = [subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, str(path)]) for _ in range(3)]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    what = Search.load(path)
    trials = what.study().get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    assert {t.user_attrs["position"] for t in trials} == {0, 1, 2, 3}
    result = CliRunner().invoke(main, ["search", str(path)])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("4 trials; ")
    assert "Accuracy: 60 validation samples, interpreter. Costs: estimated by the planner.\n" in result.output
    assert f"\nNext: mcuquant compress {path} --trial " in result.output
    assert len(load_records(folder / "out" / "records.json")) == 4
    picture = ET.parse(folder / "out" / "front.svg").getroot()
    dots = [e for e in picture.iter() if e.tag.endswith("circle")]
    assert len(dots) == 2 * 4
    assert json.loads((folder / "out" / "records.json").read_text())["records"][0]["label"] == "trial 0"


UNSEEDED = NET.replace("    torch.manual_seed(0)\n", "")


def outcomes(path: Path) -> list[object]:
    return [(t.number, t.values, t.costs, t.record) for t in search(path).trials]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_search_repeats_and_compress_makes_the_network_it_reported(folder: Path) -> None:
    """With a network whose function draws random weights, in one run or two, and in a process of its own."""
    (folder / "net.py").write_text(UNSEEDED)
    first = outcomes(recipe(folder, 3, f"journal:{folder / 'a.journal'}"))
    search(recipe(folder, 1, f"journal:{folder / 'b.journal'}"))
    torch.manual_seed(77)
    path = recipe(folder, 3, f"journal:{folder / 'b.journal'}")
    assert outcomes(path) == first
    made, _ = compress_file(path, folder / "one", trial_recipe(path, 1))
    record = search(path).trials[1].record
    assert replace(made.records[-1], label=record.label, flash_bytes=None, ram_bytes=None) == record


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("change", ["recipe", "data", "code"])
def test_a_study_is_of_one_recipe(folder: Path, change: str) -> None:
    path = recipe(folder, 1)
    search(path)
    if change == "recipe":
        path.write_text(path.read_text().replace("epochs = 4", "epochs = 5"))
    elif change == "code":
        (folder / "net.py").write_text(NET + "\n")
    else:
        part = clusters(60, seed=3)
        assert part.y is not None
        np.savez(folder / "valid.npz", x=part.x.numpy(), y=part.y.numpy())
    for action in (lambda: search(path), lambda: trial_recipe(path, 0)):
        with pytest.raises(ConfigError) as error:
            action()
        assert str(error.value) == (
            f"{path}: the study 'mcuquant' holds 1 trials of another recipe or data; "
            "name a new one in 'search.study', or change the recipe back"
        )
    path.write_text(path.read_text().replace("[search.space]", 'study = "second"\n[search.space]'))
    assert len(search(path).trials) == 1


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_an_interrupted_trial_does_not_count(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = outcomes(recipe(folder, 3, f"journal:{folder / 'a.journal'}"))
    path = recipe(folder, 3)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mcuquant.compression.recipe_search.compress", interrupted)
    result = CliRunner().invoke(main, ["search", str(path)])
    assert result.exit_code == 130
    assert result.output == (f"Interrupted. Finished trials are saved; continue with: mcuquant search {path}\n")
    monkeypatch.undo()
    search(recipe(folder, 1))
    recipe(folder, 3)
    monkeypatch.setattr("mcuquant.compression.recipe_search.compress", interrupted)
    assert CliRunner().invoke(main, ["search", str(path)]).exit_code == 130
    monkeypatch.undo()
    assert outcomes(path) == whole


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_trial_whose_process_was_killed_is_run_again(folder: Path) -> None:
    whole = outcomes(recipe(folder, 3, f"journal:{folder / 'a.journal'}"))
    path = recipe(folder, 3)
    what = Search.load(path)
    study = what.study(what.digest(load_data(what.recipe.data, path)))
    assert claim_position(study.ask(), 3) == 0
    assert outcomes(path) == whole


@pytest.mark.parametrize("text", ["foo:bar", "foo", "grpc://host", "journal:", "sqlite:file.db", "://", "ftp://a/b"])
def test_storages_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        Settings(space={"prune.ratio": Range(low=0.2, high=0.8)}, storage=text)
    assert str(error.value).startswith(f"storage {text!r} is not known, expected journal:FILE, ")


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[int]:
    """Optuna's gRPC proxy before an SQLite file, on a free port."""
    import socket

    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    code = (
        "import sys, optuna; optuna.storages.run_grpc_proxy_server("
        "optuna.storages.get_storage(sys.argv[1]), host='localhost', port=int(sys.argv[2]))"
    )
    arguments = [f"sqlite:///{tmp_path / 'trials.db'}", str(port)]
    server = subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, *arguments], stderr=subprocess.DEVNULL)
    yield port
    server.kill()
    server.wait()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("kind", ["database", "proxy"])
def test_other_storages(folder: Path, kind: str, request: pytest.FixtureRequest) -> None:
    storage = f"sqlite:///{folder / 'own.db'}"
    if kind == "proxy":
        port = request.getfixturevalue("proxy")
        storage = f"grpc://localhost:{port}"
        optuna.storages.GrpcStorageProxy(host="localhost", port=port).wait_server_ready(timeout=60)
    found = search(recipe(folder, 2, storage))
    assert len(found.trials) == 2
    assert len(search(recipe(folder, 2, storage)).trials) == 2


def test_choices_may_be_booleans(folder: Path) -> None:
    path = recipe(folder, 3)
    path.write_text(path.read_text() + '"prune.together" = { choices = [true, false] }\n')
    assert Search.load(path).settings.space["prune.together"] == Range(choices=(True, False))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[search]", "[sarch]", "unknown key 'sarch'"),
        ("trials = 3", "trails = 3", "unknown key 'search.trails' (did you mean 'search.trials'?)"),
        (
            "trials = 3",
            "trials = 0",
            "[search]: a search needs a space of settings, at least one",
        ),
        (
            'costs = ["weight_bytes", "macs"]',
            'costs = ["watts"]',
            "[search]: cost 'watts' is not known, expected of: ",
        ),
        (
            "low = 0.2, high",
            "low = 0.9, high",
            "[search.space.prune.ratio]: low must be less than high, found",
        ),
        ("low = 0.2, high", "lo = 0.2, high", "unknown key 'search.space.prune.ratio.lo' (did you mean "),
        ("low = 0.2, high", "high", "[search.space.prune.ratio]: a range has either choices, or low and high"),
        ('"prune.ratio"', '"prune.rato"', "unknown key 'prune.rato' (did you mean 'prune.ratio'?)"),
        (
            '"prune.ratio"',
            '"seed"',
            "'search.space': 'seed' is the same for all trials, which share the float network and the samples; a "
            "search varies settings of stride, prune,",
        ),
        ('"prune.ratio"', '"train.epochs"', "'search.space': 'train.epochs' is the same for all trials, which share"),
        ('"prune.ratio"', '"prnue.ratio"', "unknown key 'prnue' (did you mean 'prune'?)"),
        ("choices = [4, 8]", 'choices = ["four"]', "'quantize.bits' must be an integer, found the string 'four'"),
        ('valid = "valid.npz"', "", "key 'data.valid' is missing: a search is judged on validation samples"),
        (
            'storage = ""',
            'storage = "grpc:host"',
            "[search]: storage 'grpc:host' is not known, expected journal:FILE, grpc://HOST:PORT, or",
        ),
    ],
)
def test_what_a_search_cannot_be(folder: Path, old: str, new: str, message: str) -> None:
    path = recipe(folder, 3)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigError) as error:
        search(path)
    assert str(error.value).startswith(f"{path}: {message}")


def test_a_study_is_of_one_network_whatever_file_it_is_read_from(folder: Path) -> None:
    """A function may load weights by itself, which the recipe does not name."""
    reads = "    net = nn.Sequential(nn.Linear(12, 4))\n    net.load_state_dict(torch.load(FILE))\n    return net\n"
    code = f"import torch\nfrom torch import nn\n\nFILE = {str(folder / 'own.pt')!r}\n\ndef build():\n{reads}"
    (folder / "net.py").write_text(code)
    path, digests = recipe(folder, 3), []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        torch.save(torch.nn.Sequential(torch.nn.Linear(12, 4)).state_dict(), folder / "own.pt")
        what = Search.load(path)
        digests.append(what.digest(load_data(what.recipe.data, path)))
    assert digests[0] == digests[1] != digests[2]


def test_all_random_numbers_of_a_users_function_follow_from_the_seed() -> None:
    def drawn(seed: int) -> tuple[float, float, float]:
        with alone(seed):
            return float(torch.rand(1)), float(np.random.rand()), random.random()

    random.seed(5)
    expected = random.random()
    random.seed(5)
    assert drawn(1) == drawn(1)
    assert all(a != b for a, b in zip(drawn(1), drawn(2), strict=True))
    assert random.random() == expected


@pytest.mark.parametrize("what", ["labels", "step"])
def test_a_search_that_is_refused_leaves_nothing_behind(folder: Path, what: str) -> None:
    """Also what only the dry run of a trial meets, such as an augmentation that fails."""
    path = recipe(folder, 3)
    if what == "labels":
        np.savez(folder / "train.npz", x=np.load(folder / "train.npz")["x"], y=np.full(len(clusters(1).x), 99))
    else:
        (folder / "net.py").write_text(NET + "\n\ndef varied(x, chance):\n    raise ValueError('none')\n")
        path.write_text('augment = "net.py:varied"\n' + path.read_text())
    before = {file for file in folder.rglob("*") if "__pycache__" not in file.parts}
    with pytest.raises(McuquantError):
        search(path)
    assert {file for file in folder.rglob("*") if "__pycache__" not in file.parts} == before


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_search_for_the_impossible_ends(folder: Path) -> None:
    path = recipe(folder, 2)
    text = path.read_text().replace("[search]", "[prune]\ntarget = { macs = 10 }\n[search]")
    path.write_text(text.replace('"prune.ratio" = { low = 0.2, high = 0.8 }\n', ""))
    with pytest.raises(BudgetError) as error:
        search(path)
    assert str(error.value) == (
        f"{path}: none of the 2 trials reached the recipe's targets; aim higher in [prune], and name another "
        "'search.study': 'mcuquant' is used up"
    )


def test_the_proxy_says_what_it_needs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(host: str, port: int) -> None:
        raise ModuleNotFoundError("No module named 'grpc'", name="grpc")

    monkeypatch.setattr("mcuquant.compression.recipe_search.GrpcStorageProxy", missing)
    what = Search.load(recipe(folder, 1, "grpc://localhost:13000"))
    with pytest.raises(ToolError) as error:
        what.storage()
    assert str(error.value) == (
        "Optuna's proxy needs the Python package grpc, which is not installed: pip install grpcio protobuf"
    )


def test_a_recipe_without_a_search(folder: Path) -> None:
    path = folder / "recipe.toml"
    path.write_text('model = "net.py:build"\n')
    with pytest.raises(ConfigError) as error:
        Search.load(path)
    assert str(error.value) == f"{path}: table 'search' is missing: say what to try in [search.space]"
