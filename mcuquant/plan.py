"""Graph → Plan: the kernel variant of every operation, and where every activation and scratch lies in the arena."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .core import Core
from .errors import UnsupportedOpError
from .ir import Graph
from .kernels import Exactly, Site, Variant, variants_of
from .memory import Buffer, Lead, align, peak, place
from .ops import Reshape

ARENA_ALIGNMENT = 16


@dataclass(frozen=True, slots=True)
class Step:
    """One call: operation `op_index` of the graph by `variant`, its scratch at `scratch_offset` (None: needs none)."""

    op_index: int
    variant: Variant
    scratch_offset: int | None
    scratch_bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`offsets` is the arena offset in bytes of every tensor that is not a constant."""

    core: Core
    steps: tuple[Step, ...]
    offsets: Mapping[int, int]
    arena_bytes: int
    peak_step: int
    """The step at which most bytes are alive: the one to blame when the arena is too large."""


def plan(graph: Graph, core: Core) -> Plan:
    """Choose a variant for every operation and place everything. UnsupportedOpError names what no kernel takes."""
    chosen = [(i, choose(Site(graph, op, core))) for i, op in enumerate(graph.ops) if not isinstance(op, Reshape)]
    scratch = {i: variant.scratch_bytes(Site(graph, graph.ops[i], core)) for i, variant in chosen}
    buffers = [*_tensor_buffers(graph), *_scratch_buffers(scratch)]
    places = place(buffers, _leads(graph, core, chosen))
    steps = tuple(Step(i, variant, places.get(f"s{i}"), scratch[i]) for i, variant in chosen)
    home = storage(graph)
    offsets = {t: places[f"t{home[t]}"] for t in home}
    arena = align(peak(buffers, places), ARENA_ALIGNMENT)
    return Plan(core, steps, offsets, arena, _peak_step(buffers))


def choose(site: Site) -> Variant:
    """The first variant in the table that takes the operation: the table lists the fastest first."""
    for variant in variants_of(site.op):
        if variant.applies(site):
            return variant
    types = ", ".join(f"{t.dtype}{list(t.shape)}" for t in (*site.ins, site.out))
    raise UnsupportedOpError(f"no kernel computes {site.op.kind} on {types}; int8 and int16 activations are supported")


def storage(graph: Graph) -> dict[int, int]:
    """For every tensor in the arena, the tensor whose bytes it is: a Reshape's output is its input."""
    home = {i: i for i in graph.inputs}
    for op in graph.ops:
        for out in op.outputs:
            alias = isinstance(op, Reshape) and op.inputs[0] in home
            home[out] = home[op.inputs[0]] if alias else out
    return home


def _tensor_buffers(graph: Graph) -> list[Buffer]:
    home, last = storage(graph), len(graph.ops)
    births = dict.fromkeys(graph.inputs, -1)
    deaths = dict.fromkeys(graph.inputs, -1)
    for index, op in enumerate(graph.ops):
        for i in (*op.inputs, *op.outputs):
            if i in home:
                births.setdefault(home[i], index)
                deaths[home[i]] = index
    deaths |= {home[i]: last for i in graph.outputs}
    return [Buffer(f"t{i}", graph[i].nbytes, births[i], deaths[i], _alignment(graph, i)) for i in sorted(births)]


def _leads(graph: Graph, core: Core, chosen: Sequence[tuple[int, Variant]]) -> list[Lead]:
    """Inputs that die in the operation reading them, and how far its output may run into them."""
    home = storage(graph)
    deaths = {b.key: b.end for b in _tensor_buffers(graph)}
    return [
        _lead(f"t{home[tensor]}", f"t{home[graph.ops[i].output]}", lead)
        for i, variant in chosen
        for tensor, lead in zip(graph.ops[i].inputs, variant.leads(Site(graph, graph.ops[i], core)), strict=False)
        if lead is not None and tensor in home and deaths[f"t{home[tensor]}"] == i
    ]


def _lead(reader: str, writer: str, lead: int | Exactly) -> Lead:
    return Lead(reader, writer, lead.nbytes, is_exact=True) if isinstance(lead, Exactly) else Lead(reader, writer, lead)


def _alignment(graph: Graph, tensor: int) -> int:
    return max(4, graph[tensor].dtype.bits // 8)


def _scratch_buffers(scratch: Mapping[int, int]) -> list[Buffer]:
    return [Buffer(f"s{i}", nbytes, i, i, 8) for i, nbytes in scratch.items() if nbytes]


def _peak_step(buffers: list[Buffer]) -> int:
    starts = sorted({b.start for b in buffers})
    return max(starts, key=lambda s: (sum(b.nbytes for b in buffers if b.start <= s <= b.end), -s), default=0)


def live_at(graph: Graph, op_index: int) -> tuple[int, ...]:
    """Tensors alive while operation `op_index` runs, largest first."""
    alive = [b for b in _tensor_buffers(graph) if b.start <= op_index <= b.end]
    return tuple(int(b.key[1:]) for b in sorted(alive, key=lambda b: (-b.nbytes, b.key)))
