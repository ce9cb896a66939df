"""`compile --optimize`, `--max-ram` and `--max-flash`: what they reach, and what they say where that cannot be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from fast_graphs import dense
from nets import Net

from mcuquant.cli import main
from mcuquant.planner.objective import Objective
from mcuquant.tflite.writer.to_tflite import to_tflite

FAST, SMALL = "mq_fully_connected_dot_s8", "mq_fully_connected_s8"
"""Of the network's layer: the fastest kernel, and the one that takes the least flash."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """One layer, whose fastest kernel is more than a kilobyte of code."""
    net = Net(np.random.default_rng(1))
    path = tmp_path / "layer.tflite"
    path.write_bytes(to_tflite(net.graph(dense(net, net.input((1, 40)), 12))))
    return path


def compile_it(model: Path, *options: object) -> Result:
    arguments = ["compile", model, "-o", model.parent / "out", *options]
    return CliRunner().invoke(main, [str(a) for a in arguments], prog_name="mcuquant")


def made(model: Path, *options: object) -> Mapping[str, Any]:
    """The project's manifest."""
    result = compile_it(model, *options)
    assert result.exit_code == 0, result.output
    manifest: Mapping[str, Any] = json.loads((model.parent / "out" / "manifest.json").read_text())
    return manifest


def refused(model: Path, *options: object) -> str:
    """The sentence; nothing is left behind."""
    result = compile_it(model, *options)
    assert result.exit_code == 1
    assert list(model.parent.iterdir()) == [model]
    return result.output


def kernel(manifest: Mapping[str, Any]) -> str:
    return str(manifest["layers"][0]["kernel"])


@pytest.mark.parametrize("objective", list(Objective))
def test_what_kernels_are_chosen_for_is_in_the_manifest(model: Path, objective: Objective) -> None:
    manifest = made(model, "--optimize", objective.value, "--max-ram", "1K", "--max-flash", "20000", "--no-build")
    assert manifest["optimize"] == objective.value
    assert (manifest["max_ram_bytes"], manifest["max_flash_bytes"]) == (1024, 20_000)


def test_without_them_it_is_balanced_and_unlimited(model: Path) -> None:
    manifest = made(model, "--no-build")
    assert (manifest["optimize"], manifest["max_ram_bytes"], manifest["max_flash_bytes"]) == ("balanced", None, None)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--optimize", "best", "'best' is not one of 'speed', 'balanced', 'size'."),
        ("--max-ram", "1.5K", "'1.5K' is not a size; expected bytes, as 20000, 20K (of 1,024 bytes) or 2M"),
        ("--max-flash", "0", "'0' is not a size; expected bytes, as 20000, 20K (of 1,024 bytes) or 2M"),
        ("--max-flash", "-1", "'-1' is not a size; expected bytes, as 20000, 20K (of 1,024 bytes) or 2M"),
    ],
)
def test_what_is_no_objective_and_no_size(model: Path, option: str, value: str, message: str) -> None:
    result = compile_it(model, option, value)
    assert result.exit_code == 2
    assert result.output.endswith(f"\nError: Invalid value for '{option}': {message}\n")


def test_an_arena_that_cannot_be_small_enough(model: Path) -> None:
    assert refused(model, "--max-ram", "32") == (
        "Error: layer: the kernels that come nearest to the limits take an arena of 64 bytes, 32 more than the 32 "
        "allowed (most is alive at operation 0, FullyConnected: input_0 [1, 40] 40 bytes, activation_3 [1, 12] 12 "
        "bytes)\n"
    )


def test_a_network_that_no_kernel_makes_small_enough(model: Path) -> None:
    assert refused(model, "--max-flash", "100") == (
        "Error: layer: the kernels that come nearest to the limits take 808 bytes of flash, 708 more than the 100 "
        "allowed (most are the 588 of operation 0, fully_connected_s8 activation_3)\n"
    )


def test_a_limit_that_the_estimate_keeps_makes_kernels_smaller(model: Path) -> None:
    assert kernel(made(model, "--no-build")) == FAST
    assert kernel(made(model, "--no-build", "--max-flash", "1K")) == SMALL


@pytest.mark.emulator
def test_a_network_larger_than_estimated_is_planned_anew(model: Path) -> None:
    """The limit is more than the estimate of the fast kernel, and less than it takes as built."""
    free = made(model)
    estimated, built = free["estimate"]["network_flash_bytes"], free["firmware"]["network_flash_bytes"]
    assert estimated < built
    limit = (estimated + built) // 2
    manifest = made(model, "--max-flash", limit)
    assert (kernel(free), kernel(manifest)) == (FAST, SMALL)
    assert manifest["firmware"]["network_flash_bytes"] <= limit
    assert manifest["max_flash_bytes"] == limit
    assert manifest["estimate"]["most_network_flash_bytes"] == estimated - (built - limit)
    inspected = CliRunner().invoke(main, ["inspect", str(model.parent / "out"), "--json", "-"]).output
    (layer,) = json.loads(inspected)["kernels"]
    assert [f"mq_{option['kernel']}" for option in layer["options"] if option["is_chosen"]] == [SMALL]


@pytest.mark.emulator
def test_a_network_too_large_as_built_leaves_the_older_project(model: Path) -> None:
    """Estimated within the limit, built above it, and nothing smaller to choose."""
    small = made(model, "--max-flash", "2K")
    limit = (small["estimate"]["network_flash_bytes"] + small["firmware"]["network_flash_bytes"]) // 2
    result = compile_it(model, "--max-flash", limit)
    assert result.exit_code == 1
    assert result.output == (
        f"Error: layer: the network takes {small['firmware']['network_flash_bytes']:,} bytes of flash as built, "
        f"{small['firmware']['network_flash_bytes'] - limit:,} more than the {limit:,} allowed; optimize for size, or "
        "allow more\n"
    )
    assert kernel(json.loads((model.parent / "out" / "manifest.json").read_text())) == SMALL
