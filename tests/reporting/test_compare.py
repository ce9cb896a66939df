"""`mcuquant compare` as a gate: what is worse, what is not, and what cannot be compared."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import layers
import numpy as np
import pytest
from click.testing import CliRunner, Result
from graphs import random_network
from nets import Net

from mcuquant.cli import main
from mcuquant.ir import Graph
from mcuquant.ir.metrics import structure_digest
from mcuquant.reporting.compare import Change

COUNTER = "cycles (DWT CYCCNT)"


def measurement(**changes: Any) -> dict[str, Any]:
    layers = [{"name": "conv", "cycles": 600, "latency_us": 6.0}, {"name": "dense", "cycles": 400, "latency_us": 4.0}]
    sizes = {"flash_bytes": 10_000, "ram_bytes": 5_000, "arena_bytes": 4_000, "stack_bytes": 500}
    head = {"board": "nucleo-l4r5zi", "core": "cortex-m4", "counter": COUNTER, "cycles": 1000, "latency_us": 10.0}
    head |= {"clock_hz": 100_000_000, "macs": 900}
    return {**head, **sizes, "layers": layers, **changes}


def gate(folder: Path, new: Any, *arguments: str, old: Any = None) -> Result:
    """Of measurements, or of texts that are to stand in the files."""
    for name, value in (("old.json", measurement() if old is None else old), ("new.json", new)):
        (folder / name).write_text(value if isinstance(value, str) else json.dumps(value))
    return CliRunner().invoke(main, ["compare", str(folder / "old.json"), str(folder / "new.json"), *arguments])


def test_nothing_worse(tmp_path: Path) -> None:
    result = gate(tmp_path, measurement(cycles=1020, flash_bytes=9_000))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[-1] == f"old: {tmp_path / 'old.json'}; new: {tmp_path / 'new.json'}"
    assert lines[0] == "No value is more than 2% worse on nucleo-l4r5zi."
    assert [line.split() for line in lines[3:-1]] == [
        ["flash_bytes", "10,000", "9,000", "-10.00", "%"],
        ["ram_bytes", "5,000", "5,000", "+0.00", "%"],
        ["arena_bytes", "4,000", "4,000", "+0.00", "%"],
        ["stack_bytes", "500", "500", "+0.00", "%"],
        ["cycles", "1,000", "1,020", "+2.00", "%"],
        ["latency_us", "10.0", "10.0", "+0.00", "%"],
    ]


def test_what_got_worse_and_in_which_layer(tmp_path: Path) -> None:
    layers = [{"name": "conv", "cycles": 600}, {"name": "dense", "cycles": 421}]
    result = gate(tmp_path, measurement(cycles=1021, layers=layers))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "Worse by more than 2% on nucleo-l4r5zi: cycles."
    assert [line.split() for line in lines[3:-1]] == [
        ["cycles", "1,000", "1,021", "+2.10", "%"],
        ["1", "dense", "400", "421", "+5.25", "%"],
    ]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"cycles": "many"}, ": 'cycles' is 'many', expected a number >= 0; measure again"),
        ({"ram_bytes": None}, ": 'ram_bytes' is None, expected a number >= 0; measure again"),
        ({"cycles": float("nan")}, ": 'cycles' is nan, expected a number >= 0; measure again"),
        ({"cycles": -5}, ": 'cycles' is -5, expected a number >= 0; measure again"),
        ({"latency_us": float("inf")}, ": 'latency_us' is inf, expected a number >= 0; measure again"),
        ({"clock_hz": "fast"}, ": 'clock_hz' is 'fast', expected a number >= 0; measure again"),
        ({"macs": None}, ": 'macs' is None, expected a number >= 0; measure again"),
        ({"counter": "instructions"}, ": 'instructions' is None, expected a number >= 0; measure again"),
        ({"board": 3}, ": 'board' is 3, expected a string; measure again"),
        ({"layers": {}}, ": 'layers' is {}, expected a list; measure again"),
        ({"layers": [1]}, ", layer 0: 'name' is None, expected a string; measure again"),
        (
            {"layers": [{"name": "a", "cycles": True}]},
            ", layer 0: 'cycles' is True, expected a number >= 0; measure again",
        ),
    ],
)
def test_values_of_another_type_are_refused(tmp_path: Path, changes: dict[str, object], text: str) -> None:
    result = gate(tmp_path, measurement(**changes))
    assert (result.exit_code, result.stderr) == (1, f"Error: {tmp_path / 'new.json'}{text}\n")


def test_measurements_at_another_clock_are_refused(tmp_path: Path) -> None:
    """Half the clock is twice the latency, and no change of the network."""
    result = gate(tmp_path, measurement(clock_hz=50_000_000, latency_us=20.0))
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: the measurements differ in clock_hz: 100000000 and 50000000; only measurements of the same one can be "
        "compared\n",
    )


def test_other_widths_are_named(tmp_path: Path) -> None:
    """Pruned networks are compared, so that the sizes alone do not say that the network is another one."""
    result = gate(tmp_path, measurement(macs=450, cycles=600))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1] == "The networks differ: 900 MACs before, 450 now."
    assert "MACs" not in gate(tmp_path, measurement()).stdout


def test_markdown_for_a_summary(tmp_path: Path) -> None:
    result = gate(tmp_path, measurement(cycles=1021), "--markdown")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[:5] == [
        "Worse by more than 2% on nucleo-l4r5zi: cycles.",
        "",
        "| value | old | new | change |",
        "|---|---:|---:|---:|",
        "| flash_bytes | 10,000 | 10,000 | +0.00 % |",
    ]
    assert "| cycles | **1,000** | **1,021** | **+2.10 %** |" in lines
    assert gate(tmp_path, measurement(), "--markdown").exit_code == 0


@pytest.mark.parametrize(("tolerance", "code"), [("2.1%", 0), ("2.0 %", 1), ("0%", 1)])
def test_the_tolerance_decides(tolerance: str, code: int, tmp_path: Path) -> None:
    assert gate(tmp_path, measurement(ram_bytes=5_105), "--tolerance", tolerance).exit_code == code


@pytest.mark.parametrize("name", ["flash_bytes", "ram_bytes", "arena_bytes", "stack_bytes", "cycles", "latency_us"])
def test_every_number_counts(name: str, tmp_path: Path) -> None:
    result = gate(tmp_path, measurement(**{name: measurement()[name] * 2}))
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == f"Worse by more than 2% on nucleo-l4r5zi: {name}."


def test_different_networks_are_refused(tmp_path: Path) -> None:
    old = measurement(network="kws", structure_digest="1" * 64)
    new = measurement(network="ad", structure_digest="2" * 64)
    result = gate(tmp_path, new, old=old)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: the measurements are of different networks, 'kws' and 'ad': their inputs, outputs or operations "
        "differ; --any-network compares them anyway\n"
    )
    assert gate(tmp_path, new, "--any-network", old=old).exit_code == 0
    assert gate(tmp_path, measurement(network="ad", structure_digest="1" * 64), old=old).exit_code == 0
    assert gate(tmp_path, measurement(), old=old).exit_code == 0  # written by an earlier version


def test_the_structure_of_a_network_is_not_its_weights_or_widths() -> None:
    graphs = [random_network(np.random.default_rng(seed)) for seed in range(12)]
    kinds = [[*(g[i].shape for i in (*g.inputs, *g.outputs)), *(op.kind for op in g.ops)] for g in graphs]
    for a, b in product(range(12), repeat=2):
        assert (structure_digest(graphs[a]) == structure_digest(graphs[b])) == (kinds[a] == kinds[b])
    one, two = (narrow(width) for width in (5, 7))
    assert structure_digest(one) == structure_digest(two)


def narrow(width: int) -> Graph:
    net = Net(np.random.default_rng(width))
    hidden = layers.fully_connected(net, net.input((1, 8)), outputs=width)
    return net.graph(layers.fully_connected(net, hidden, outputs=3))


@pytest.mark.parametrize(("key", "value"), [("board", "pico"), ("core", "cortex-m7"), ("counter", "cycles (modelled)")])
def test_unlike_measurements_are_refused(key: str, value: str, tmp_path: Path) -> None:
    result = gate(tmp_path, measurement(**{key: value}))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: the measurements differ in {key}: {measurement()[key]!r} and {value!r}; "
        "only measurements of the same one can be compared\n"
    )


def test_files_that_are_no_measurements(tmp_path: Path) -> None:
    new = tmp_path / "new.json"
    assert gate(tmp_path, [1]).stderr == (
        f"Error: {new} is not a measurement: it has no 'board'; make one: mcuquant bench DIR --json {new}\n"
    )
    assert gate(tmp_path, "{").stderr.startswith(f"Error: {new} is not JSON: Expecting property name")


def test_a_tolerance_says_its_unit(tmp_path: Path) -> None:
    assert gate(tmp_path, measurement(), "--tolerance", "2").stderr == (
        "Error: tolerance '2' is not a percentage; write it like 2% or 0.5%\n"
    )


def test_growth_out_of_nothing() -> None:
    assert Change("ram", 0, 0).growth == 0
    assert Change("ram", 0, 1).is_worse(1e9)
