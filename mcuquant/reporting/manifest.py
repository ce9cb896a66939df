"""manifest.json of a compiled project: properties and costs of the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..boards.board import Board
from ..codegen.application import Application
from ..codegen.program import Call, Program
from ..codegen.sources import Sources
from ..firmware_build import build
from ..firmware_build.linkmap import network_bytes
from ..ir import Graph, Tensor
from ..ir.metrics import parameters, structure_digest, weight_bytes
from ..passes.row_schedule import RowFed
from ..passes.stream import Streamed
from ..planner import Plan, Step
from ..project.seeded import answer
from ..version import __version__
from .row_picture import lines_of


def manifest_of(
    graph: Graph, steps: Plan, program: Program, board: Board, sources: Sources, app: Application
) -> dict[str, Any]:
    return {
        "mcuquant": __version__,
        "title": program.title,
        "name": program.prefix.removeprefix("mq_"),
        "board": board.name,
        "board_profile": board.to_table(),
        "core": board.core.cpu,
        "app": app.name,
        "model_id": app.model_id,
        **({} if app.node is None else {"node": app.node.to_json(), "sensor": "own" if app.sensor else "replay"}),
        "sources_digest": sources.digest,
        "optimize": steps.goal.objective.value,
        "max_ram_bytes": steps.goal.limits.arena_bytes,
        "structure_digest": structure_digest(graph),
        "macs": program.macs,
        "parameters": parameters(graph),
        "arena_bytes": program.arena_bytes,
        "state_bytes": program.state_bytes,
        "weight_bytes": weight_bytes(graph),
        "constant_bytes": program.constant_bytes,
        "unpacked_bytes": program.unpacked_bytes,
        "inputs": [_port(graph[t], c.name) for t, c in zip(graph.inputs, program.inputs, strict=True)],
        "outputs": [_port(graph[t], c.name) for t, c in zip(graph.outputs, program.outputs, strict=True)],
        "estimate": {
            "cycles": steps.cycles,
            "network_flash_bytes": steps.network_flash_bytes,
            "most_network_flash_bytes": steps.goal.limits.network_flash_bytes,
        },
        "answer": answer(graph),
        "layers": [_layer(graph, steps, steps.steps[i], call) for i, call in enumerate(program.calls)],
        "notes": list(graph.notes),
    }


def stream_facts(streaming: Streamed | None) -> dict[str, Any]:
    if streaming is None:
        return {}
    facts = {"axis": streaming.axis, "hop": streaming.hop, "warm_up_rows": streaming.warm_up_rows}
    return {"stream": {**facts, "macs_of_window": streaming.macs_before}}


def feed_facts(fed: RowFed | None, program: Program) -> dict[str, Any]:
    """The rows of a network that is fed by rows."""
    if fed is None or program.feed is None:
        return {}
    by_rows = len(fed.whole.ops) - len(fed.rest)
    facts = {"rows": program.feed.rows, "row_bytes": program.feed.row_bytes, "sweeps": program.feed.sweeps}
    share = {"operations": by_rows, "operations_of_network": len(fed.whole.ops)}
    return {"feed": {**facts, **share, "lines": lines_of(fed)}}


def _port(tensor: Tensor, name: str) -> dict[str, Any]:
    scale = tensor.scale if tensor.q is not None else None
    return {
        "name": name,
        "shape": list(tensor.shape),
        "dtype": tensor.dtype.value,
        "scale": scale,
        "zero_point": tensor.zero_point,
    }


def _layer(graph: Graph, steps: Plan, step: Step, call: Call) -> dict[str, Any]:
    y = graph.tensors.get(call.tensor_ids[0]) or steps.graph[call.tensor_ids[0]]
    return {
        "name": call.name,
        "op": call.op,
        "kernel": call.kernel,
        "kernel_note": step.variant.note,
        "estimated_cycles": step.cost.cycles,
        "constant_bytes": step.cost.constant_bytes,
        "scratch_bytes": step.scratch_bytes,
        "shape": list(y.shape),
        "dtype": y.dtype.value,
        "macs": call.macs,
    }


def built_facts(firmware: build.Firmware, program: Program, board: Board) -> Mapping[str, Any]:
    """`network_flash_bytes` is that of the network alone, constants and code; `network_code_bytes` excludes the
    constants.
    """
    network = network_bytes(firmware.elf.parent / "build" / "firmware.map", board.flash.origin, board.flash.end)
    return {
        "digest": firmware.digest,
        "flash_bytes": firmware.flash_bytes,
        "ram_bytes": firmware.ram_bytes,
        "network_flash_bytes": network,
        "network_code_bytes": network - program.constant_bytes,
    }
