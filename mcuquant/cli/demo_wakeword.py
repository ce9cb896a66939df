"""`mcuquant demo wakeword`: a sensor node that takes samples of a microphone and hears a wake word."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..boards.board import Board, load_board
from ..codegen.node_settings import NodeSettings
from ..codegen.sensor_node import NodeRun, difference
from ..errors import DeviceError
from ..ir import ops
from ..reporting import tables
from .console import next_step, say, show, working
from .demo_monitor import memory
from .front_end_option import FrontEnd
from .node import duty_cycle

if TYPE_CHECKING:
    from ..demo.speech import Recording
    from ..device.measurement import Measurement
    from ..features.wake_word import WakeWord
    from ..ir import Graph
    from ..project.project import Project

PICO = "pico"
"""A board without emulator: its firmware is built."""
HEARD_WITHIN_S = 1.0
"""Time after the end of an utterance in which the node may report it."""
_FRONT_END = {kind.__name__ for kind in vars(ops).values() if isinstance(kind, type) and issubclass(kind, ops.SignalOp)}


class _Word(NamedTuple):
    word: WakeWord
    network: Graph
    graph: Graph
    node: NodeSettings


def wakeword(board: Board, name: str, seed: int, output: Path) -> None:
    """Compile a wake word of pymicro-wakeword with its front end, and stream speech through the node."""
    from ..demo import speech
    from ..demo import wakeword as demo

    start = time.monotonic()
    speech.need_speech()
    made = _load(name)
    word = made.word
    say(f"1. The wake word {word.name!r} of the package pymicro-wakeword, and speech")
    with working("speaking"):
        recording = speech.recording(demo.PHRASES[name], demo.OTHERS, demo.PEOPLE, seed)
    _describe(recording)
    say("\n2. Compile audio front end, network and decision")
    project = _compile(made, board, output)
    memory(project)
    say(f"\n   The same for {PICO}:")
    memory(_compile(made, load_board(PICO), output.with_name(f"{output.name}-{PICO}")))
    say(f"\n3. Stream {recording.seconds:.0f} s of samples through the serial port of {board.name}")
    node_run, measurement = _stream(project, recording)
    _check(made, project, recording, node_run)
    file = _save(recording, output)
    say("\n4. Results")
    _results(recording, node_run)
    _costs(project, measurement, made)
    say(f"\nThe demo took {time.monotonic() - start:.0f} s.")
    next_step(f"mcuquant bench {output}", f"mcuquant node {output} --data {file}")


def _load(name: str) -> _Word:
    from .. import flow
    from ..demo import wakeword as demo

    word = demo.load(name)
    front = FrontEnd(word.front_end, None, word)
    network = flow.from_tflite(word.model)
    graph = front.joined(network)
    return _Word(word, network, graph, front.completed(NodeSettings(**front.units), graph))


def _describe(recording: Recording) -> None:
    spoken = recording.utterances
    people = sum(u.speaker == "person" for u in spoken)
    voices = len({u.speaker for u in spoken if u.speaker != "person"})
    words = sum(u.wakes for u in spoken)
    recorded = f", {people} recordings of a person" if people else ""
    others = len(spoken) - words - people
    say(
        f"   {words} times the word and {others} other phrases by {voices} synthetic voices{recorded}; "
        f"{recording.seconds:.0f} s"
    )
    if not people:
        say("   apt install asterisk-core-sounds-en-wav adds recordings of a person.")


def _compile(made: _Word, board: Board, output: Path) -> Project:
    from .. import flow

    with working("writing and compiling C"):
        return flow.compile(made.graph, board, output, name="wake", app="node", node=made.node, optimize="speed")


def _stream(project: Project, recording: Recording) -> tuple[NodeRun, Measurement]:
    with working("streaming"), project.connect() as dut:
        return dut.run_node(recording.samples[:, None]), dut.bench()


def _check(made: _Word, project: Project, recording: Recording, node_run: NodeRun) -> None:
    """Raises DeviceError unless the board decides as this machine, and as the packages that the wake word is for."""
    from ..demo import wakeword as demo

    x = made.network[made.network.inputs[0]]
    with working("comparing"):
        theirs = demo.reference(made.word, recording.samples, project.node, x.qparams, x.shape)
        ours = project.run_node(recording.samples[:, None])
    for who, expected in (("this machine", ours), ("pymicro-features and TensorFlow Lite Micro", theirs)):
        if expected is not None and (text := difference(node_run, expected)):
            raise DeviceError(f"{project.board.name} makes other decisions than {who}: {text}")
    others = " and of pymicro-features with TensorFlow Lite Micro" if theirs is not None else ""
    say(f"   {node_run.inferences:,} inferences: all scores and decisions equal those of this machine{others}")


def _save(recording: Recording, output: Path) -> Path:
    """The recording with the labels of `mcuquant node`."""
    labels = np.zeros(len(recording.samples), np.int8)
    for u in recording.utterances:
        labels[u.start : u.end + int(HEARD_WITHIN_S * 16000)] |= u.wakes
    path = output / "data" / "recording.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, raw=recording.samples[:, None], y=labels, rate_hz=16000)
    return path


def _results(recording: Recording, node_run: NodeRun) -> None:
    from ..demo.speech import RATE_HZ

    woke = {}
    for decision in node_run.decisions:
        last = [u for u in recording.utterances if u.start <= decision.sample <= u.end + HEARD_WITHIN_S * RATE_HZ]
        woke[last[-1] if last else None] = decision
    table = tables.table(">s", "speaker", "says", "node", ">score")
    for u in recording.utterances:
        heard = woke.get(u)
        cells = ("wakes", heard.cells[-1]) if heard else ("misses" if u.wakes else "", "")
        table.add_row(f"{u.start / RATE_HZ:.1f}", u.speaker, u.text, *cells)
    show(table)
    words = [u for u in recording.utterances if u.wakes]
    hits = sum(u in woke for u in words)
    false = len(node_run.decisions) - hits
    say(f"   The node wakes {hits} of {len(words)} times, and {false} times without the word.")


def _costs(project: Project, measurement: Measurement, made: _Word) -> None:
    from ..demo.speech import RATE_HZ

    node = project.node
    frames = node.stride // made.word.front_end.step
    front = sum(layer.count for layer in measurement.layers if layer.layer.op in _FRONT_END)
    count, unit = measurement.count, measurement.counter.unit
    say(
        f"   {count:,} {unit} each {1000 * node.stride / RATE_HZ:.0f} ms: {front // frames:,} for each of {frames} "
        f"frames of the front end, {count - front:,} for the network."
    )
    share, mhz = 100 * duty_cycle(node, measurement), measurement.clock_hz / 1e6
    memory_text = f"flash {measurement.flash_bytes:,} B, RAM {measurement.ram_bytes:,} B"
    say(f"   Duty cycle {share:.1f} % at {mhz:g} MHz; {memory_text}.")
    say(f"   Counted: {measurement.counter}.")
