"""Steps of compression that an earlier run had finished: used again, and what makes them be made anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from small_nets import clusters, separable
from torch import nn

from mcuquant.boards.board import load_board
from mcuquant.cli import main
from mcuquant.compression.folding import folded
from mcuquant.compression.inputs import load_augment, load_data, load_net
from mcuquant.compression.pipeline import Compressed, compress
from mcuquant.compression.recipe import Prune, Recipe, Share, load_recipe
from mcuquant.compression.steps import Steps
from mcuquant.compression.strides import strided
from mcuquant.ir.serialize import to_bytes

HERE = Path(__file__).resolve().parent

NET = """
import torch
from torch import nn

def build():
    return nn.Sequential(
        nn.Unflatten(1, (1, 3, 4)), nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.Dropout(0.1),
        nn.AvgPool2d((3, 4)), nn.Flatten(), nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 4))

def noisy(x, random):
    return x + 0.1 * torch.randn(x.shape, generator=random)
"""
RECIPE = """
model = "net.py:build"
augment = "net.py:noisy"
output = "{output}"
[data]
train = "train.npz"
valid = "valid.npz"
[train]
epochs = 3
learning_rate = 0.01
[prune]
ratio = 0.3
epochs = 2
[sparsify]
ratio = 0.5
epochs = 2
[share]
entries = 8
epochs = 2
[quantize]
method = "minmax"
[fine_tune]
learning_rate = 0.01
"""
ALL = ("trained", "int8", "pruned", "sparse", "shared")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET)
    for name, seed, n in (("train", 1, 200), ("valid", 2, 40)):
        part = clusters(n, seed=seed)
        assert part.y is not None
        np.savez(tmp_path / f"{name}.npz", x=part.x.numpy(), y=part.y.numpy())
    (tmp_path / "recipe.toml").write_text(RECIPE.format(output=tmp_path / "small"))
    return tmp_path


def run(
    folder: Path,
    change: Callable[[Recipe], Recipe] = lambda recipe: recipe,
    stop: Callable[[str], None] | None = None,
    kept: str = "small.steps",
) -> Compressed:
    """As `compress_file`, without a project. `stop` is told what is being done."""
    file = folder / "recipe.toml"
    recipe = change(load_recipe(file))
    data = load_data(recipe.data, file)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        net = load_net(recipe, file)
    steps = Steps.of(folder / kept, recipe, file, net, data, load_board(recipe.board))
    told = None if stop is None else lambda what, *_: stop(what)
    return compress(net, data, recipe, load_augment(recipe, file), told, steps)


def killed_at(folder: Path, what: str) -> None:
    """In a process of its own, which dies as soon as `what` is being done."""
    code = (
        f"import sys; sys.path[:0] = {[str(HERE), str(HERE.parent / 'support')]!r}; from pathlib import Path\n"
        f"import test_compress_steps as t; t.run(Path({str(folder)!r}), stop=lambda what: t.die(what, {what!r}))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, check=False, timeout=240)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def die(what: str, when: str) -> None:
    if what == when:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_run_goes_on_and_makes_the_same_network(folder: Path) -> None:
    killed_at(folder, "fine-tuning the sparse network")
    assert sorted(f.name.partition("-")[0] for f in (folder / "small.steps").iterdir()) == ["int8", "pruned", "trained"]
    gone_on, whole = run(folder), run(folder, kept="others")
    assert gone_on.reused == ("trained", "int8", "pruned")
    assert whole.reused == ()
    assert to_bytes(gone_on.graph) == to_bytes(whole.graph)
    assert gone_on.records == whole.records
    again = run(folder)
    assert again.reused == ALL
    assert to_bytes(again.graph) == to_bytes(whole.graph)
    assert again.records == whole.records


def test_what_makes_a_step_be_made_anew(folder: Path) -> None:
    first = run(folder)
    fewer = run(folder, lambda recipe: replace(recipe, share=Share(entries=4, epochs=1)))
    assert fewer.reused == ALL[:-1]
    assert to_bytes(fewer.graph) != to_bytes(first.graph)
    assert run(folder, lambda recipe: replace(recipe, prune=Prune(ratio=0.2, epochs=1))).reused == ALL[:2]
    quantize = replace(load_recipe(folder / "recipe.toml").quantize, samples=64)
    assert run(folder, lambda recipe: replace(recipe, quantize=quantize)).reused == ("trained",)
    assert len(list((folder / "small.steps").iterdir())) == len(ALL)
    assert run(folder, lambda recipe: replace(recipe, seed=1)).reused == ()


@pytest.mark.parametrize("name", ["net.py", "train.npz", "valid.npz"])
def test_files_that_a_recipe_names_are_read_for_changes(folder: Path, name: str) -> None:
    few = {"prune": None, "sparsify": None, "share": None}
    run(folder, lambda recipe: replace(recipe, **few))
    assert run(folder, lambda recipe: replace(recipe, **few)).reused == ("trained", "int8")
    file = folder / name
    if name == "net.py":
        file.write_text(NET.replace("0.1 * torch.randn", "0.2 * torch.randn"))
    else:
        part = dict(np.load(file))
        part["x"][0, 0] += 1
        np.savez(file, **part)
    assert run(folder, lambda recipe: replace(recipe, **few)).reused == ()


@pytest.mark.parametrize("damage", [b"", b"no network", None])
def test_a_damaged_step_is_made_anew(folder: Path, damage: bytes | None) -> None:
    """`None`: half of the file."""
    few = {"prune": None, "sparsify": None, "share": None}
    run(folder, lambda recipe: replace(recipe, **few))
    (file,) = (folder / "small.steps").glob("trained-*.pt")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] if damage is None else damage)
    assert run(folder, lambda recipe: replace(recipe, **few)).reused == ("int8",)
    assert run(folder, lambda recipe: replace(recipe, **few)).reused == ("trained", "int8")


def steps_of(tmp_path: Path, x: torch.Tensor) -> Steps:
    return Steps(tmp_path, "key", x)


class Tied(nn.Module):
    """Both layers have one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 5), nn.Linear(5, 5)
        self.b.weight = self.a.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.relu(self.a(x)))  # type: ignore[no-any-return]


def test_networks_of_other_shapes_and_layers_come_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, x = separable().eval(), torch.randn(4, 1, 8, 8)
    made = {
        "strided": lambda n: strided(n, x[:1], {"3": (2, 2)}),
        "folded": lambda n: folded(n, x[:1]),
    }
    for label, make in made.items():
        first = steps_of(tmp_path, x).run(label, (), net, make, [])
        steps = steps_of(tmp_path, x)
        found = steps.run(label, (), net, lambda _: pytest.fail("made again"), [])
        assert steps.reused == [label]
        assert repr(found) == repr(first)
        assert all(torch.equal(a, b) for a, b in zip(found.parameters(), first.parameters(), strict=True))
        assert torch.equal(found(x), first(x))


def test_shared_parameters_stay_shared(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, x = Tied(), torch.randn(4, 5)
    steps_of(tmp_path, x).run("tied", (), net, lambda n: n, [])
    found = steps_of(tmp_path, x).run("tied", (), net, lambda _: pytest.fail("made again"), [])
    assert isinstance(found, Tied)
    assert found.a.weight is found.b.weight
    assert found.a.weight is not net.a.weight


def test_a_network_that_cannot_be_made_again_is_not_kept(tmp_path: Path) -> None:
    """Another layer in place of one: no state of numbers says so."""
    torch.manual_seed(0)
    net, x = separable().eval(), torch.randn(4, 1, 8, 8)

    def other(was: nn.Module) -> nn.Module:
        was.set_submodule("7", nn.Tanh())
        return was

    steps_of(tmp_path, x).run("other", (), net, other, [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.emulator
def test_the_command_says_what_it_took(folder: Path) -> None:
    (folder / "recipe.toml").write_text(
        f'model = "net.py:build"\noutput = "{folder / "small"}"\n[data]\ntrain = "train.npz"\nvalid = "valid.npz"\n'
        "[train]\nepochs = 1\n"
    )
    command = ["compress", str(folder / "recipe.toml")]
    outputs = [CliRunner().invoke(main, command + more) for more in ([], [], ["--fresh"])]
    assert [done.exit_code for done in outputs] == [0, 0, 0], outputs[0].output
    steps = folder / "small.steps"
    line = f"Reused steps of an earlier run, from {steps}: trained, int8. Use --fresh to repeat them.\n"
    assert [line in done.output for done in outputs] == [False, True, False]
