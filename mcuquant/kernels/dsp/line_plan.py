"""How the rows of an image are laid out as lines for windows of any shape; firmware/kernels/dsp/mq_line_sums.h."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...ir import Array

MOST_STEPS = 8
"""Steps of a line: pairs of taps."""
APART = "apart"
FORMS = ("6", "4", "2", APART)
"""Outputs of a strip; `APART`: four, whose windows begin at neighboring words."""


@dataclass(frozen=True)
class Lines:
    """Windows of k_h x k_w taps; taps, outputs and pixels of a row are `dilation`, `stride` and 1 pixel apart."""

    form: str
    k_h: int
    k_w: int
    dilation_h: int
    dilation: int
    stride: int
    out_w: int

    @property
    def width(self) -> int:
        """Outputs of a strip."""
        return 4 if self.form == APART else int(self.form)

    @property
    def live(self) -> int:
        """Words that the outputs of a strip begin at."""
        return 4 if self.form == APART else self.width // 2

    @property
    def span(self) -> int:
        """Rows of the image that a window reaches."""
        return (self.k_h - 1) * self.dilation_h + 1

    @property
    def pixel_step(self) -> int:
        """Distance of the pixels of a row that take part."""
        return math.gcd(self.stride, self.dilation if self.k_w > 1 else 0)

    @property
    def lines(self) -> int:
        """Lines of a row: those with taps, or with outputs."""
        return len(self.taps) if self.sets == 1 else min(self.sets, self.out_w)

    @property
    def element_step(self) -> int:
        """Pixels from an element of a line to the next."""
        return self.pixel_step * (1 if self.form == APART else max(self._stride, self.sets))

    @property
    def sets(self) -> int:
        """Sets of outputs, each of which begins in a line of its own."""
        return self._dilation if self._stride == 1 and self.k_w > 1 else 1

    @property
    def _stride(self) -> int:
        return self.stride // self.pixel_step

    @property
    def _dilation(self) -> int:
        return self.dilation // self.pixel_step

    @property
    def is_taken(self) -> bool:
        """Strips apart are for outputs two pixels apart, and only for them.

        In strips of two, the parts of a line follow one another without a way between, which would be the last one.
        """
        if self.form == "2" and self._part < max(map(len, self.taps)):
            return False
        return self.form != APART or self._stride == 2

    @cached_property
    def taps(self) -> tuple[tuple[int, ...], ...]:
        """The taps of a row in each line of it; -1 is a weight of 0 between taps that are apart."""
        if self.sets > 1 or self._stride == 1:
            return (tuple(range(self.k_w)),)
        apart = [t // self._dilation if t % self._dilation == 0 else -1 for t in range(self._reach)]
        lines = 1 if self.form == APART else self._stride
        return tuple(tuple(apart[i::lines]) for i in range(min(lines, self._reach)))

    @property
    def _reach(self) -> int:
        return (self.k_w - 1) * self._dilation + 1

    def _steps_of(self, taps: int) -> int:
        return -(-taps // 2) if self.form == APART else taps // 2 + 1

    @cached_property
    def _part(self) -> int:
        """Taps of a part of a line: all of them, or an even number."""
        most = max(map(len, self.taps))
        if self._steps_of(most) <= MOST_STEPS:
            return most
        largest = 2 * MOST_STEPS if self.form == APART else 2 * MOST_STEPS - 2
        return -(-most // (2 * -(-most // largest))) * 2

    @property
    def steps(self) -> int:
        """Steps of each part of a line."""
        return self._steps_of(self._part)

    @cached_property
    def parts(self) -> tuple[tuple[int, int, tuple[int, ...]], ...]:
        """(line, first word, taps) of each part of a line that has taps."""
        return tuple(
            (line, i // 2, taps[i : i + self._part])
            for line, taps in enumerate(self.taps)
            for i in range(0, len(taps), self._part)
            if any(tap >= 0 for tap in taps[i : i + self._part])
        )

    @property
    def strips(self) -> int:
        """Strips of a row of outputs of a set."""
        return math.ceil(self.out_w / self.sets / self.width)

    @property
    def words(self) -> int:
        """Words of a line: all that the last strip reads."""
        return self.strips * self.live + self.steps - 1 + max(word for _, word, _ in self.parts)

    @property
    def row_words(self) -> int:
        return self.lines * self.words

    def pack(self, weights: Array) -> Array:
        """Stream of each channel as int64, of its weights (channels, k_h, k_w) times the unit of the sum."""
        columns = [column for ky in range(self.k_h) for column in self._row(weights[:, ky], ky)]
        return np.concatenate(columns, axis=1)

    def _row(self, weights: Array, ky: int) -> Iterator[Array]:
        """Pairs and the way to the next line of each part of a row of the window."""
        for i, part in enumerate(self.parts):
            yield self._pairs(weights, part[2])
            way = self._place(ky, i + 1) - self._place(ky, i) - 4 * (self.live + self.steps - 2)
            is_last = ky == self.k_h - 1 and i == len(self.parts) - 1
            yield np.full((len(weights), 1), 0 if is_last else way, np.int64)

    def _pairs(self, weights: Array, taps: tuple[int, ...]) -> Array:
        pairs = np.zeros((len(weights), 2 * self.steps), np.int16)
        for i, tap in enumerate(taps):
            if tap >= 0:
                pairs[:, i] = weights[:, tap]
        return pairs.view(np.int32).astype(np.int64)

    def _place(self, ky: int, part: int) -> int:
        """Bytes from the first line of a window."""
        ky, part = ky + part // len(self.parts), part % len(self.parts)
        line, word, _ = self.parts[part]
        return 4 * (ky * self.dilation_h * self.row_words + line * self.words + word)

    def row_cycles(self, rounds_twice: bool) -> float:
        """Cycles of a row of outputs of one channel on Cortex-M4."""
        n, live = self.width, self.live
        first, step = (n + live + 3, n + 3) if self.form == APART else (n + live + 3, n + 4)
        line = first + (self.steps - 1) * step + 6
        strip = 22 + 4 * n + (2 + 2 * n if rounds_twice else 0)
        return self.sets * (25 + self.strips * (strip + self.k_h * len(self.parts) * line))
