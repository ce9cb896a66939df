"""Arena offsets for buffers with lifetimes, some of which may partly overlap.

The problem is dynamic storage allocation, which is NP-hard in general; networks here have tens of buffers. Greedy first
fit over several orders, followed by a short deterministic search that moves the buffers which set the peak, comes close
to the lower bound (the most bytes alive at once) on real networks.

A kernel that reads its input in the order in which it writes its output may overwrite what it has read. Such a pair is
an `Overlap`: placements where the input begins at least `nbytes` after the output are safe, although both are alive. A
kernel that works channel by channel, not byte by byte, may overwrite its input only where each output lies on the input
of the same channel: an exact overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class Buffer:
    """`nbytes` that are in use from step `start` to step `end`, both included.

    The first `kept_bytes` are also in use before and after, from the beginning to step `kept_end`.
    """

    key: str
    nbytes: int
    start: int
    end: int
    alignment: int = 4
    kept_bytes: int = 0
    kept_end: int = -1

    def meets(self, other: Buffer) -> bool:
        """Whether parts of both are alive at one step."""
        return any(a.meets(b) for a in self.parts for b in other.parts)

    def at(self, step: int) -> Buffer:
        """The buffer, without the part that is not in use at a step at which another part is."""
        if not self.kept_bytes or self.start <= step <= self.end:
            return self
        return Buffer(self.key, self.kept_bytes, -1, self.kept_end, self.alignment)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts with lifetimes of their own."""
        rest = Part(self.kept_bytes, self.nbytes - self.kept_bytes, self.start, self.end)
        return (Part(0, self.kept_bytes, -1, self.kept_end), rest) if self.kept_bytes else (rest,)

    @property
    def span(self) -> tuple[int, int]:
        """The first and last step at which a part is in use."""
        return min(p.start for p in self.parts), max(p.end for p in self.parts)

    def bytes_at(self, step: int) -> int:
        """Number of bytes in use at a step."""
        return sum(p.nbytes for p in self.parts if p.start <= step <= p.end)


@dataclass(frozen=True, slots=True)
class Part:
    """`nbytes` of a buffer from `offset` on, in use from step `start` to step `end`."""

    offset: int
    nbytes: int
    start: int
    end: int

    def meets(self, other: Part) -> bool:
        """Whether both are alive at one step."""
        return self.start <= other.end and other.start <= self.end


@dataclass(frozen=True, slots=True)
class Overlap:
    """`reader` may begin `nbytes` (may be negative) or more after `writer` begins, whatever bytes they share.

    `is_exact`: if they share bytes, the distance must be exactly `nbytes`.
    """

    reader: str
    writer: str
    nbytes: int
    is_exact: bool = False


Offsets = dict[str, int]
Interval = tuple[int, int]
_Overlaps = Mapping[tuple[str, str], Overlap]


_ROUNDS = 100
_MOST_WORK = 2_000_000
"""Budget of the search in pairs of buffers, about two seconds. Up to 60 buffers alive at once get all rounds; a
thousand, as in a file that is meant to waste time, get none.
"""


def align(n: int, to: int) -> int:
    return -(-n // to) * to


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """The most bytes alive at one step. Without overlaps, no placement needs less."""
    steps = {b.start for b in buffers}
    return max((sum(b.bytes_at(s) for b in buffers) for s in steps), default=0)


def peak(buffers: Sequence[Buffer], offsets: Offsets) -> int:
    return max((offsets[b.key] + b.nbytes for b in buffers), default=0)


def place(buffers: Sequence[Buffer], overlaps: Sequence[Overlap] = (), enough: int = 0) -> Offsets:
    """Offset of each buffer by key. Buffers alive at the same time share no byte unless an overlap allows it.

    The search ends when the peak is at most `enough` bytes.
    """
    if not buffers:
        return {}
    search = _Search(tuple(buffers), {(overlap.reader, overlap.writer): overlap for overlap in overlaps})
    orders = [
        sorted(buffers, key=lambda b: (-b.nbytes, b.start, b.key)),
        sorted(buffers, key=lambda b: (-b.nbytes, -b.start, b.key)),
        sorted(buffers, key=lambda b: (-(b.end - b.start), -b.nbytes, b.key)),
        sorted(buffers, key=lambda b: (b.start, -b.nbytes, b.key)),
        sorted(buffers, key=lambda b: (-b.start, -b.nbytes, b.key)),
        sorted(buffers, key=lambda b: (-b.nbytes * (b.end - b.start + 1), b.key)),
    ]
    affordable = _MOST_WORK // search.work
    candidates = orders[: max(1, affordable)]
    rounds = min(_ROUNDS, affordable // len(orders))
    best: Offsets | None = None
    for order in candidates:
        placement = search.improve(order, rounds, enough)
        best = placement if best is None or peak(buffers, placement) < peak(buffers, best) else best
        if peak(buffers, best) <= enough:
            break
    assert best is not None
    return best


@dataclass(slots=True)
class _Search:
    buffers: tuple[Buffer, ...]
    overlaps: _Overlaps
    neighbours: dict[str, list[Buffer]] = field(default_factory=dict)
    distances: dict[tuple[str, str], tuple[Interval, ...]] = field(default_factory=dict)
    """Forbidden distances of buffers with several parts."""

    def __post_init__(self) -> None:
        starts, ends = np.array([b.span for b in self.buffers]).T
        for b in self.buffers:
            start, end = b.span
            together = np.flatnonzero((starts <= end) & (ends >= start))
            self.neighbours[b.key] = [o for i in together if (o := self.buffers[i]) is not b]

    @property
    def work(self) -> int:
        """Cost of one first fit in pairs of buffers. A buffer itself costs as much as five pairs."""
        return sum(len(others) + 5 for others in self.neighbours.values())

    def improve(self, order: list[Buffer], rounds: int, enough: int) -> Offsets:
        """First fit in this order; then move the buffer that reaches the peak forward, and keep orders with a lower
        peak.
        """
        best = offsets = self.first_fit(order)
        bound = max(enough, max((b.nbytes for b in order), default=0))
        orders: set[tuple[str, ...]] = set()
        for _ in range(rounds):
            top = max(order, key=lambda b: offsets[b.key] + b.nbytes)
            at, keys = order.index(top), tuple(b.key for b in order)
            if at == 0 or keys in orders or peak(order, best) <= bound:
                break
            orders.add(keys)
            order.insert(at // 2, order.pop(at))
            offsets = self.first_fit(order)
            best = min(best, offsets, key=lambda o: peak(order, o))
        return best

    def first_fit(self, order: Sequence[Buffer]) -> Offsets:
        offsets: Offsets = {}
        for buffer in order:
            placed = [(other, offsets[other.key]) for other in self.neighbours[buffer.key] if other.key in offsets]
            intervals = sorted(interval for o, at in placed for interval in self.forbidden(buffer, o, at))
            offsets[buffer.key] = self.lowest(buffer, intervals)
        return offsets

    def lowest(self, buffer: Buffer, forbidden: Sequence[Interval]) -> int:
        """The lowest aligned offset outside the open intervals."""
        offset = 0
        for low, high in forbidden:
            if low < offset < high:
                offset = align(high, buffer.alignment)
        return offset

    def forbidden(self, buffer: Buffer, other: Buffer, at: int) -> tuple[Interval, ...]:
        """Open intervals of offsets that `buffer` cannot have while `other` is at `at`."""
        low, high = at - buffer.nbytes, at + other.nbytes
        if overlap := self.overlaps.get((other.key, buffer.key)):
            offset = min(max(at - overlap.nbytes, low), high)
            return ((low, offset), (offset, high)) if overlap.is_exact else ((offset, high),)
        if overlap := self.overlaps.get((buffer.key, other.key)):
            offset = min(max(at + overlap.nbytes, low), high)
            return ((low, offset), (offset, high)) if overlap.is_exact else ((low, offset),)
        if buffer.kept_bytes or other.kept_bytes:
            return tuple(self._apart(buffer, other, at))
        return ((low, high),)

    def _apart(self, buffer: Buffer, other: Buffer, at: int) -> Iterator[Interval]:
        """Intervals in which parts of both that are alive at one step would share bytes."""
        for low, high in self._distances(buffer, other):
            yield at + low, at + high

    def _distances(self, buffer: Buffer, other: Buffer) -> tuple[Interval, ...]:
        """The same relative to the offset of `other`."""
        key = buffer.key, other.key
        if key not in self.distances:
            meetings = ((part, fixed) for part in buffer.parts for fixed in other.parts if part.meets(fixed))
            self.distances[key] = tuple(
                (fixed.offset - part.nbytes - part.offset, fixed.offset + fixed.nbytes - part.offset)
                for part, fixed in meetings
            )
        return self.distances[key]
