"""The firmware's serial parser under random and mutated conversations, on this computer with sanitizers.

Whatever the host sends, nothing is read or written out of bounds, and the next command is answered. The kept corpus in
tests/data/serial_fuzz holds the cases that reached new code in a run of libFuzzer.
"""

from __future__ import annotations

import ast
import functools
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import firmware_fuzzer
import layers
import numpy as np
import pytest
import state_graphs
from firmware_fuzzer import CLANG, conversations, packed
from nets import Net

from mcuquant import flow
from mcuquant.codegen.node_settings import NodeSettings
from mcuquant.ir import Graph

KINDS = ("stored", "signals", "images", "state", "node", "rows")
"""Inputs on the wire in each form, a network with states, a sensor node, and an image that is fed by rows."""
BOARD = "microbit-v1"  # an Armv6-M: its kernels are plain C
CORPUS = Path(__file__).resolve().parents[1] / "data" / "serial_fuzz"
SAMPLE_BYTES = 6


def network() -> Graph:
    """Twelve windows of three channels, four classes."""
    net = Net(np.random.default_rng(3))
    x = layers.conv2d(net, net.input((1, 1, 12, 3), scale=0.02), outputs=6)
    return net.graph(layers.fully_connected(net, x, outputs=4), name="classifier")


def element_wise(shape: tuple[int, ...]) -> Graph:
    net = Net(np.random.default_rng(3))
    return net.graph(layers.leaky_relu(net, net.input(shape, scale=0.02)))


def image() -> Graph:
    """A convolution over eight rows of six pixels."""
    net = Net(np.random.default_rng(3))
    return net.graph(layers.same_size_conv(net, net.input((1, 8, 6, 2), scale=0.02)))


def project(kind: str, directory: Path) -> Path:
    """The sources of a project for each kind of firmware."""
    compile_ = functools.partial(flow.compile, board=BOARD, output=directory, build_firmware=False)
    if kind == "node":
        compile_(network(), app="node", node=NodeSettings(mean=0.1, std=0.8, lsb=0.001, stride=5, debounce=2))
    elif kind == "state":
        compile_(state_graphs.stream(np.random.default_rng(1)))
    elif kind == "rows":
        compile_(image(), feed="rows")
    elif kind == "stored":
        compile_(network())
    else:
        compile_(element_wise((1, 640) if kind == "signals" else (1, 32, 32, 3)), app="mlperf")
    return directory


def corpus(kind: str) -> list[bytes]:
    """The kept cases, one Python bytes literal per line."""
    return [ast.literal_eval(line) for line in (CORPUS / f"{kind}.txt").read_text().splitlines()]


def run(program: Path, cases: list[bytes]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([program], input=packed(cases), capture_output=True, check=False)


@pytest.mark.parametrize("kind", KINDS)
def test_every_conversation_ends_with_an_answer(kind: str, tmp_path: Path) -> None:
    program = firmware_fuzzer.build(project(kind, tmp_path / "net"), tmp_path, sample_bytes=SAMPLE_BYTES)
    kept = corpus(kind)
    result = run(program, [*kept, *conversations(np.random.default_rng(1), 5000)])
    assert result.returncode == 0, result.stderr.decode(errors="replace")[-4000:]
    match = re.fullmatch(rb"(\d+) cases, (\d+) ok, (\d+) error\n", result.stdout)
    assert match is not None
    count, ok, error = map(int, match.groups())
    assert count == len(kept) + 5000
    assert min(ok, error) > count / 3  # the conversations reach behind the checks, on both ways


class Fault(NamedTuple):
    """A change of one file of the firmware, and how the fuzzer reports it."""

    name: str
    text: str
    replacement: str
    report: str


FAULTS = {
    "a command longer than its buffer": Fault(
        *("app/mq_serial.c", "if (count < MQ_COMMAND_SIZE) {", "if (count < 2 * MQ_COMMAND_SIZE) {"),
        report="stack-buffer-overflow",
    ),
    "bytes beyond the input": Fault(
        *("app/mq_remote.c", " || count > mq_app_input_bytes - offset", ""),
        report="global-buffer-overflow",
    ),
    "no answer to an unknown command": Fault(
        *("app/mq_main.c", 'complain("Unknown command: ", request.words[0]);', "for (;;) { (void)mq_port_getc(0); }"),
        report="the firmware did not answer the probe",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_parser_is_noticed(fault: str, tmp_path: Path) -> None:
    name, text, replacement, report = FAULTS[fault]
    source = project("stored", tmp_path / "net") / "src" / name
    assert text in source.read_text()
    source.write_text(source.read_text().replace(text, replacement))
    result = run(firmware_fuzzer.build(tmp_path / "net", tmp_path), list(conversations(np.random.default_rng(1), 5000)))
    assert result.returncode != 0
    assert report in result.stderr.decode(errors="replace")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("clang") is None, reason="clang is not installed")
@pytest.mark.parametrize("kind", KINDS)
def test_twelve_million_inputs(kind: str, tmp_path: Path) -> None:
    """libFuzzer: two million for each kind, from the kept corpus and random conversations."""
    program = firmware_fuzzer.build(project(kind, tmp_path / "net"), tmp_path, CLANG, SAMPLE_BYTES)
    cases = tmp_path / "cases"
    cases.mkdir()
    for i, case in enumerate([*corpus(kind), *conversations(np.random.default_rng(2), 300)]):
        (cases / f"{i}").write_bytes(case)
    result = subprocess.run(
        [program, "-runs=2000000", "-max_len=700", "-timeout=10", f"-artifact_prefix={tmp_path}/", cases],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    assert "Done 2000000 runs" in result.stderr
