"""The place of every activation and every scratch in the arena, for given variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ..boards.core import Core
from ..ir import Graph
from ..ir.ops import Reshape
from ..ir.row_ops import LineRows, RowSum, StoreRow
from ..kernels import Exactly, Site, Variant
from ..kernels.variant import Cost
from .allocator import Buffer, Overlap, align, peak, place
from .goal import Goal
from .ledger import Selection
from .line_layout import line_layout
from .options import Option
from .state_layout import StateLayout, state_layout

ARENA_ALIGNMENT = 16


@dataclass(frozen=True, slots=True)
class Step:
    """One call: operation `op_index` of the graph, with its scratch at `scratch_offset` (None: no scratch)."""

    op_index: int
    option: Option
    scratch_offset: int | None
    options: tuple[Option, ...]
    """The candidates of the selection, the fastest first."""

    @property
    def variant(self) -> Variant:
        return self.option.variant

    @property
    def cost(self) -> Cost:
        return self.option.cost

    @property
    def scratch_bytes(self) -> int:
        return self.cost.scratch_bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """`offsets` is the arena offset in bytes of every tensor that is not a constant and has its own place."""

    graph: Graph
    """The graph that was planned, in which some operations may be joined."""
    core: Core
    steps: tuple[Step, ...]
    offsets: Mapping[int, int]
    arena_bytes: int
    peak_step: int
    """The step with the most bytes alive, which messages name if the arena is too large."""
    end_steps: range
    """The steps whose buffers, or neighbors in time, reach the end of the arena."""
    cycles: int
    """Modelled cycles of all steps."""
    network_flash_bytes: int
    """Bytes of flash of the network: constants, and an estimate of the code."""
    states: StateLayout
    """Bytes of RAM in addition to the arena."""
    goal: Goal = field(default=Goal())
    quickest_cycles: int = 0
    """Modelled cycles of the plan for speed, if this plan has another objective."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Graph, core and lifetimes: the part of the placement that does not depend on the variants."""

    graph: Graph
    core: Core
    tensors: tuple[Buffer, ...]

    @classmethod
    def of(cls, graph: Graph, core: Core) -> Layout:
        return cls(graph, core, _tensor_buffers(graph))

    @property
    def size(self) -> int:
        """Upper limit of the number of buffers: every tensor, and scratch for every operation."""
        return len(self.tensors) + len(self.graph.ops)

    def footprint(self, op_index: int, option: Option) -> int:
        """Bytes that one step needs in any plan: its inputs and outputs, everything else alive, and scratch."""
        alive = [b.at(op_index) for b in self.tensors if b.bytes_at(op_index)]
        buffers = [*alive, *_scratch_buffers({op_index: option.cost.scratch_bytes})]
        places = place(buffers, self.overlaps([(op_index, option.variant)]))
        return align(peak(buffers, places), ARENA_ALIGNMENT)

    def arrange(self, selection: Selection, options: Mapping[int, tuple[Option, ...]], enough: int) -> Plan:
        """Place all buffers for these variants of `options`. An arena of `enough` bytes needs no improvement."""
        variants = selection.options
        scratch = {i: option.cost.scratch_bytes for i, option in variants}
        buffers = [*self.tensors, *_scratch_buffers(scratch)]
        places = place(buffers, self.overlaps([(i, option.variant) for i, option in variants]), enough)
        steps = tuple(Step(i, option, places.get(f"s{i}"), options[i]) for i, option in variants)
        home = storage(self.graph)
        inside = line_layout(self.graph).offsets
        offsets = {t: places[f"t{home[t]}"] + inside.get(t, 0) for t in home}
        arena = align(peak(buffers, places), ARENA_ALIGNMENT)
        return Plan(
            graph=self.graph,
            core=self.core,
            steps=steps,
            offsets=offsets,
            arena_bytes=arena,
            peak_step=_peak_step(buffers),
            end_steps=_end_steps(buffers, places),
            cycles=selection.cycles,
            network_flash_bytes=selection.network_flash_bytes,
            states=state_layout(self.graph),
        )

    def overlaps(self, variants: Sequence[tuple[int, Variant]]) -> list[Overlap]:
        """Inputs whose last reader is the operation, with the distance by which its output may overlap them."""
        graph, home = self.graph, storage(self.graph)
        deaths = {b.key: b.end for b in self.tensors if not b.kept_bytes}
        return [
            _overlap(f"t{home[tensor]}", f"t{home[graph.ops[i].output]}", overlap)
            for i, variant in variants
            for tensor, overlap in zip(
                graph.ops[i].inputs, variant.overlap_offsets(Site(graph, graph.ops[i], self.core)), strict=False
            )
            if overlap is not None
            and {tensor, graph.ops[i].output} <= home.keys()
            and f"t{home[graph.ops[i].output]}" in deaths
            and deaths.get(f"t{home[tensor]}") == i
        ]


def storage(graph: Graph) -> dict[int, int]:
    """For every tensor in the arena, the tensor whose bytes it uses: a Reshape's output is its input."""
    home, state_offsets = {i: i for i in graph.inputs}, state_layout(graph).offsets
    for op in graph.ops:
        for out in (out for out in op.outputs if out not in state_offsets):
            alias = isinstance(op, Reshape | LineRows) and op.inputs[0] in home
            home[out] = home[op.inputs[0]] if alias else out
    return home


@lru_cache(maxsize=2)
def _tensor_buffers(graph: Graph) -> tuple[Buffer, ...]:
    home, last = storage(graph), len(graph.ops)
    births = dict.fromkeys(graph.inputs, -1)
    deaths = dict.fromkeys(graph.inputs, -1)
    for index, op in enumerate(graph.ops):
        for i in (*op.inputs, *op.outputs):
            if i in home:
                births.setdefault(home[i], index)
                deaths[home[i]] = index
    deaths |= {home[i]: last for i in graph.ends if i in home}
    births |= {op.output: -1 for op in graph.ops if isinstance(op, StoreRow | RowSum)}
    return tuple(_tensor_buffer(graph, i, births[i], deaths[i]) for i in sorted(births))


def _tensor_buffer(graph: Graph, tensor: int, birth: int, death: int) -> Buffer:
    lines, t = line_layout(graph), graph[tensor]
    kept = lines.kept_bytes.get(tensor, 0)
    end = max(death, lines.moves[tensor]) if kept else death
    return Buffer(f"t{tensor}", kept + t.nbytes, birth, end, _alignment(graph, tensor), kept, lines.last)


def _overlap(reader: str, writer: str, overlap: int | Exactly) -> Overlap:
    return (
        Overlap(reader, writer, overlap.nbytes, is_exact=True)
        if isinstance(overlap, Exactly)
        else Overlap(reader, writer, overlap)
    )


def _alignment(graph: Graph, tensor: int) -> int:
    return max(4, graph[tensor].dtype.bits // 8)


def _scratch_buffers(scratch: Mapping[int, int]) -> list[Buffer]:
    return [Buffer(f"s{i}", nbytes, i, i, 8) for i, nbytes in scratch.items() if nbytes]


def _peak_step(buffers: list[Buffer]) -> int:
    starts = sorted({b.start for b in buffers})
    return max(starts, key=lambda s: (sum(b.bytes_at(s) for b in buffers), -s), default=0)


def _end_steps(buffers: Sequence[Buffer], places: Mapping[str, int]) -> range:
    end = peak(buffers, dict(places))
    last = [b for b in buffers if places[b.key] + b.nbytes == end]
    return range(min((b.start for b in last), default=0) - 1, max((b.end for b in last), default=0) + 2)


def live_at(graph: Graph, op_index: int) -> tuple[int, ...]:
    """Tensors alive during operation `op_index`, the largest first."""
    alive = [b for b in _tensor_buffers(graph) if b.bytes_at(op_index)]
    return tuple(int(b.key[1:]) for b in sorted(alive, key=lambda b: (-b.nbytes, b.key)))
