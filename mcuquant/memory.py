"""Arena offsets for buffers with lifetimes: a small, exact-fit search.

The problem is dynamic storage allocation, NP-hard in general; networks here have tens of buffers. Greedy first fit over
several orders, then a short deterministic search that moves the buffers which set the peak, reaches the lower bound
(the most bytes alive at once) on nearly every real network; `lower_bound` tells how far it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Buffer:
    """`nbytes` that must be kept from step `start` to step `end`, both included."""

    key: str
    nbytes: int
    start: int
    end: int
    alignment: int = 4

    def overlaps(self, other: Buffer) -> bool:
        return self.start <= other.end and other.start <= self.end


def align(n: int, to: int) -> int:
    return -(-n // to) * to


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """Most bytes alive at one step: no placement needs less."""
    steps = {b.start for b in buffers}
    return max((sum(b.nbytes for b in buffers if b.start <= s <= b.end) for s in steps), default=0)


def place(buffers: Sequence[Buffer]) -> dict[str, int]:
    """Offset of each buffer by key, such that buffers alive together never share a byte."""
    orders = [
        sorted(buffers, key=lambda b: (-b.nbytes, b.start, b.key)),
        sorted(buffers, key=lambda b: (-(b.end - b.start), -b.nbytes, b.key)),
        sorted(buffers, key=lambda b: (b.start, -b.nbytes, b.key)),
        sorted(buffers, key=lambda b: (-b.nbytes * (b.end - b.start + 1), b.key)),
    ]
    best = min((_first_fit(order) for order in orders), key=lambda offsets: peak(buffers, offsets))
    return _improve(buffers, best)


def peak(buffers: Sequence[Buffer], offsets: dict[str, int]) -> int:
    return max((offsets[b.key] + b.nbytes for b in buffers), default=0)


def _first_fit(order: Sequence[Buffer]) -> dict[str, int]:
    offsets: dict[str, int] = {}
    placed: list[Buffer] = []
    for buffer in order:
        offsets[buffer.key] = _lowest_gap(buffer, [(offsets[p.key], p) for p in placed if p.overlaps(buffer)])
        placed.append(buffer)
    return offsets


def _lowest_gap(buffer: Buffer, taken: list[tuple[int, Buffer]]) -> int:
    offset = 0
    for start, other in sorted(taken, key=lambda item: (item[0], item[1].key)):
        if offset + buffer.nbytes <= start:
            break
        offset = max(offset, align(start + other.nbytes, buffer.alignment))
    return offset


def _improve(buffers: Sequence[Buffer], best: dict[str, int], rounds: int = 200) -> dict[str, int]:
    """Place the buffers that reach the peak earlier, and keep what gets lower."""
    bound = lower_bound(buffers)
    order = sorted(buffers, key=lambda b: (best[b.key], b.key))
    low = peak(buffers, best)
    for _ in range(rounds):
        if low <= bound:
            break
        offsets = _first_fit(order)
        reached = peak(buffers, offsets)
        if reached < low:
            best, low = offsets, reached
        top = next(b for b in order if offsets[b.key] + b.nbytes == reached)
        at = order.index(top)
        if at == 0:
            break
        order.insert(max(0, at - 1 - at // 2), order.pop(at))
    return best
