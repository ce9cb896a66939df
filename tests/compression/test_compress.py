"""The whole of compression: from a recipe to firmware and a record of every step; and what a recipe may not say."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from small_nets import clusters, perceptron

from mcuquant.arithmetic import interpreter
from mcuquant.cli import main
from mcuquant.compression.importance import Importance
from mcuquant.compression.inputs import Data, load_augment, load_data, load_net, load_samples
from mcuquant.compression.pipeline import compress, compress_file
from mcuquant.compression.recipe import Files, Prune, Quantize, Recipe, Share, Sparsify, load_recipe, recipe_of
from mcuquant.compression.recipe_search import Settings
from mcuquant.compression.settings import Reader
from mcuquant.compression.training import Samples, Training, fit
from mcuquant.errors import CalibrationError, ConfigError, McuquantError
from mcuquant.reporting.record import load_records

NET = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4))

def noisy(x, random):
    return x + 0.1 * torch.randn(x.shape, generator=random)

answer = 42

def nothing():
    return 42

def fails():
    return [][0]
"""
RECIPE = """
model = "net.py:build"
augment = "net.py:noisy"
output = "{output}"
[data]
train = "train.npz"
valid = "valid.npz"
test = "test.npz"
[train]
epochs = 6
learning_rate = 0.01
[prune]
target = {{ macs = "50 %" }}
multiple = 4
epochs = 2
[sparsify]
ratio = 0.5
epochs = 2
[share]
entries = 8
epochs = 2
[fine_tune]
learning_rate = 0.01
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET)
    for name, seed, n in (("train", 1, 400), ("valid", 2, 100), ("test", 3, 200)):
        part = clusters(n, seed=seed)
        assert part.y is not None
        np.savez(tmp_path / f"{name}.npz", x=part.x.numpy(), y=part.y.numpy())
    (tmp_path / "recipe.toml").write_text(RECIPE.format(output=tmp_path / "small"))
    return tmp_path


@pytest.mark.emulator
def test_from_a_recipe_to_firmware(folder: Path) -> None:
    made, project = compress_file(folder / "recipe.toml")
    records = {r.label: r for r in made.records}
    assert list(records) == ["float", "int8", "pruned", "sparse", "shared", "compressed"]
    assert all(r.accuracy is not None and r.accuracy > 0.85 for r in made.records)
    assert records["float"].weight_bytes == 4 * (12 * 32 + 32 + 32 * 32 + 32 + 32 * 4 + 4)
    assert records["pruned"].macs is not None
    assert records["int8"].macs is not None
    assert records["pruned"].macs <= records["int8"].macs / 2
    assert records["compressed"].weight_bytes == records["shared"].weight_bytes < records["int8"].weight_bytes / 2
    assert load_records(project.directory / "records.json") == made.records
    assert records["compressed"].flash_bytes == project.firmware.flash_bytes
    palettes = [made.graph[op.inputs[1]].palette for op in made.graph.ops]
    assert [palette.entries for palette in palettes if palette is not None] == [8, 8, 8]
    x = np.random.default_rng(0).integers(-128, 128, (16, 12)).astype(np.int8)
    (host,) = project.run_host(x)
    assert np.array_equal(host, np.concatenate([interpreter.run(made.graph, [x[i : i + 1]])[0] for i in range(16)]))


@pytest.mark.emulator
def test_the_command_shows_every_step(folder: Path) -> None:
    output = folder / "other"
    result = CliRunner().invoke(main, ["compress", str(folder / "recipe.toml"), "-o", str(output)])
    assert result.exit_code == 0, result.output
    rows = [line.split()[0] for line in result.output.splitlines() if line.strip()]
    assert rows[2:8] == ["float", "int8", "pruned", "sparse", "shared", "compressed"]
    assert "Accuracy: 200 test samples, PyTorch; 200 test samples, interpreter.\n" in result.output
    assert "Cycles: estimated by the cost model.\n" in result.output
    assert result.output.endswith(f"\nNext: mcuquant bench {output}\n      mcuquant inspect {output}\n")
    again = CliRunner().invoke(main, ["compress", str(folder / "recipe.toml"), "-o", str(folder)])
    assert again.exit_code == 1


def test_steps_in_python_without_labels() -> None:
    """Nothing but a teacher: what is pruned and shared learns from it, and samples without labels choose nothing."""
    train, valid = clusters(seed=1), clusters(100, seed=2)
    torch.manual_seed(0)
    net = perceptron()
    fit(net, train, Training(epochs=6, learning_rate=0.01))
    recipe = Recipe(
        prune=Prune(ratio=0.5, importance=Importance.TAYLOR, multiple=4),
        quantize=Quantize(bits=4, method="minmax"),
        fine_tune=Training(epochs=3, learning_rate=0.01),
    )
    made = compress(net, Data(Samples(train.x), valid), recipe)
    assert [r.label for r in made.records] == ["float", "int8", "pruned", "compressed"]
    assert made.records[-1].accuracy is not None
    assert made.records[-1].accuracy > 0.8
    assert made.records[-1].accuracy_source == "100 validation samples, interpreter"
    assert {made.graph[op.inputs[1]].bits for op in made.graph.ops} == {4}
    assert net[0].weight.shape == (32, 12)


def test_the_same_seed_makes_the_same_network() -> None:
    train = clusters(seed=1)
    recipe = Recipe(
        train=Training(epochs=1), share=Share(entries=4, epochs=1), quantize=Quantize(method="minmax"), seed=3
    )
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(compress(perceptron(), Data(train), recipe))
    assert str(made[0].graph) == str(made[1].graph)
    assert made[0].records == made[1].records
    assert made[0].records[-1].accuracy is None


def test_training_for_integers_comes_last() -> None:
    train, valid = clusters(200, seed=1), clusters(60, seed=2)
    recipe = Recipe(
        train=Training(epochs=4, learning_rate=0.01),
        quantize=Quantize(bits=4, epochs=2),
        fine_tune=Training(epochs=1, learning_rate=0.003),
    )
    torch.manual_seed(0)
    made = compress(perceptron(), Data(train, valid), recipe)
    assert [r.label for r in made.records] == ["float", "int8", "compressed"]
    assert {made.graph[op.inputs[1]].bits for op in made.graph.ops} == {4}
    assert made.records[-1].accuracy is not None
    assert made.records[-1].accuracy > 0.8
    with pytest.raises(CalibrationError) as error:
        Recipe(quantize=Quantize(epochs=1), share=Share())
    assert str(error.value) == (
        "quantization-aware training (quantize.epochs) would fill zeros and part shared weights again; leave it out, "
        "or [sparsify] and [share]"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modle = 'x'", "unknown key 'modle' (did you mean 'model'?)"),
        ("[prune]\nrato = 0.5", "unknown key 'prune.rato' (did you mean 'prune.ratio'?)"),
        ("[prune]\nratio = 'half'", "'prune.ratio' must be a number, found the string 'half'"),
        ("[prune]\nratio = true", "'prune.ratio' must be a number, found the boolean True"),
        (
            "[prune]\nimportance = 'l3'",
            "'prune.importance' must be one of l1, l2, batch-norm, taylor, loss, found 'l3'",
        ),
        ("[prune]\nkeep = 'fc'", "'prune.keep' must be a list, found the string 'fc'"),
        ("[prune]\nkeep = [1]", "'prune.keep[0]' must be a string, found the integer 1"),
        ("[prune]\nsteps = 1.5\nratio = 0.5", "'prune.steps' must be an integer, found the number 1.5"),
        ("[prune]", "[prune]: pruning takes one of a target, a ratio and widths, found none of them"),
        ("[prune]\ntarget = {watts = 1}", "[prune]: target 'watts' is not known, expected one of: macs, "),
        ("[prune]\ntarget = {macs = 'half'}", "[prune]: target 'macs' must be a number or a part like \"25 %\", found"),
        ("[sparsify]\npattern = [2]", "'sparsify.pattern' must be a list of 2, found [2]"),
        ("[share]\nentries = 1", "[share]: a codebook has 2 to 256 entries, found 1"),
        ("[share.by_layer]\nfc = 'few'", "'share.by_layer.fc' must be an integer, found the string 'few'"),
        ("data = 'x.npz'", "'data' must be a table, found the string 'x.npz'"),
        ("[data]\nvalid = 'x.npz'", "key 'data.train' is missing"),
        ("seed = 2020-01-01", "'seed' must be an integer, found the date or time datetime.date(2020, 1, 1)"),
        ("[[prune]]", "'prune' must be a table, found the list [{}]"),
        ("= 1", "not a TOML file: Invalid statement (at line 1, column 1)"),
    ],
)
def test_a_recipe_says_what_is_wrong_and_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_recipe(path)
    assert str(error.value).startswith(f"{path}: {message}")


def test_a_recipe_reads_back() -> None:
    assert Recipe().training(None) == Training()
    assert Recipe(seed=4, fine_tune=Training(epochs=3)).training(7) == Training(seed=4, epochs=7)


def test_files_of_a_recipe(folder: Path) -> None:
    recipe = load_recipe(folder / "recipe.toml")
    assert recipe.sparsify == Sparsify(ratio=0.5, epochs=2)
    assert recipe.data == Files(train="train.npz", valid="valid.npz", test="test.npz")
    data = load_data(recipe.data, folder / "recipe.toml")
    assert [len(part) for part in (data.train, data.valid or (), data.test or ())] == [400, 100, 200]
    assert load_augment(recipe, folder / "recipe.toml") is not None
    torch.save({"wrong": torch.zeros(1)}, folder / "net.pt")
    path = folder / "recipe.toml"
    (folder / "bad.py").write_text("def build(:\n")
    (folder / "raises.py").write_text("\nraise ValueError('no')\n")
    for model, weights, message in (
        ("net.py", "", "'model' must be \"module:function\" or \"file.py:function\", found 'net.py'"),
        ("other.py:build", "", f"'model': there is no file {folder / 'other.py'}"),
        ("net.py:bild", "", "'model': net.py has no function 'bild'"),
        ("net.py:answer", "", "'model': net.py has no function 'answer'"),
        ("no_such_module:build", "", "'model': No module named 'no_such_module'; is its folder on PYTHONPATH?"),
        ("..net:build", "", "'model' must be \"module:function\" or \"file.py:function\", found '..net:build'"),
        ("net.py:fails", "", "'model': net.py:fails raised IndexError: list index out of range (net.py, line "),
        ("bad.py:build", "", f"'model': {folder / 'bad.py'} has a syntax error in line 1: "),
        ("raises.py:build", "", f"'model': {folder / 'raises.py'} raised ValueError: no (raises.py, line 2)"),
        ("net.py:nothing", "", "'model' 'net.py:nothing' returned int, expected a torch.nn.Module"),
        ("net.py:build", "none.pt", f"'weights': {folder / 'none.pt'} cannot be read: No such file or directory"),
        ("net.py:build", "net.pt", f"'weights': {folder / 'net.pt'} is of another network: it lacks '"),
        ("net.pt2", "", "'model' is 'net.pt2': what torch.export saved cannot be trained; name the Python function "),
    ):
        with pytest.raises(ConfigError) as error:
            load_net(Recipe(model=model, weights=weights), path)
        assert str(error.value).startswith(f"{path}: {message}")
    with pytest.raises(ConfigError) as missing:
        load_data(None, path)
    assert str(missing.value) == (
        f"{path}: table 'data' is missing: name at least data.train, an .npz file with x and y"
    )


def test_samples_that_do_not_do(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((3, 2)))
    np.savez(tmp_path / "y.npz", x=np.zeros((3, 2)), y=np.zeros(2, int))
    (tmp_path / "text.npz").write_text("nothing")
    np.savez(tmp_path / "words.npz", x=np.full((3, 2), "a"), y=np.zeros(3, int))
    assert load_samples(tmp_path / "x.npz", labels_may_miss=True).y is None
    cases: list[tuple[str, str]] = [
        ("x.npz", f"{tmp_path / 'x.npz'} holds no array 'y', it holds 'x'"),
        ("y.npz", f"array 'y' of {tmp_path / 'y.npz'} is int64 of shape (2,); expected 3 class numbers"),
        ("none.npz", f"{tmp_path / 'none.npz'} cannot be read: No such file or directory"),
        ("text.npz", f"{tmp_path / 'text.npz'} is not a file of plain arrays as numpy.save or "),
        ("words.npz", f"array 'x' of {tmp_path / 'words.npz'} is <U1 of shape (3, 2); expected numbers (samples, ...)"),
    ]
    for name, message in cases:
        with pytest.raises(CalibrationError) as error:
            load_samples(tmp_path / name, labels_may_miss=False)
        assert str(error.value).startswith(message)
    assert issubclass(ConfigError, McuquantError)


def test_the_recipe_in_the_documentation_is_one() -> None:
    text = (Path(__file__).parents[2] / "docs" / "compression.md").read_text()
    whole, only_search = (block.partition("```")[0] for block in text.split("```toml\n")[1:])
    recipe = recipe_of(tomllib.loads(whole), Path("recipe.toml"))
    assert recipe.prune is not None
    assert recipe.prune.target == {"cycles": "25 %", "constant_bytes": 20_000}
    settings = Reader(Path("recipe.toml")).record(Settings, tomllib.loads(only_search)["search"], "search.")
    assert settings.space["share.entries"].choices == (4, 8, 16)
