"""Sums over a layer's inputs that determine its error for any weights, and adaptive rounding with them.

Adaptive rounding selects, of the two integers around each weight, the one that lowers the layer's squared error, which
is not always the nearer one; M. Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization" (ICML
2020). For a row v of weights the error is v H v' - 2 v B + const with H = sum x^ x^', B = sum (W x) x^': quadratic, and
lowered here one weight at a time until no single change lowers it. It starts from the quantizer's own rounding, so it
is never worse.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..ir import Array

_SWEEPS = 20
"""Maximum number of passes through all weights; most layers settle within five."""
_LESS = 1e-9
"""An improvement smaller than this fraction of a weight's own error counts as rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """Sums over all positions of all samples for a layer of G groups, M output channels each, K weights per channel.

    x are the inputs of the float layer, x^ those of the integer layer, in real units.
    """

    count: int
    input_sums: Array
    """(G, K): sum of x^."""
    target_sums: Array
    """(G, M): sum of W x, without bias."""
    products: Array
    """(G, K, K): sum of x^ x^'."""
    answers: Array
    """(G, M, K): sum of (W x) x^'."""

    @classmethod
    def of(cls, x: Array, y: Array) -> Statistics:
        """`x` (G, P, K) are inputs of the integer layer, `y` (G, P, M) outputs of the float layer without bias."""
        return cls(x.shape[1], x.sum(axis=1), y.sum(axis=1), x.swapaxes(1, 2) @ x, y.swapaxes(1, 2) @ x)

    @classmethod
    def total(cls, parts: Iterable[Statistics]) -> Statistics:
        """The sum of one or more."""
        sums: list[Array] = []
        count = 0
        for part in parts:
            fields = [part.input_sums, part.target_sums, part.products, part.answers]
            sums = [a + b for a, b in zip(sums, fields, strict=True)] if sums else fields
            count += part.count
        return cls(count, *sums)

    def centred(self) -> Statistics:
        """Sums about the means: the error that remains once a bias makes its mean zero."""
        products = self.products - self.input_sums[:, :, None] * self.input_sums[:, None, :] / self.count
        answers = self.answers - self.target_sums[:, :, None] * self.input_sums[:, None, :] / self.count
        return replace(self, products=products, answers=answers)

    def shrunk(self, exact: Array, part: float) -> Statistics:
        """With `part` of the mean squared input as the weight of each weight's own error, (exact - w)^2.

        `exact` (C, K) are the real weights.
        """
        size = self.products.shape[1]
        own = part * np.trace(self.products, axis1=1, axis2=2)[:, None, None] / size
        return replace(
            self, products=self.products + own * np.eye(size), answers=self.answers + own * self._grouped(exact)
        )

    def best_scales(self, steps: Array) -> Array:
        """(C,): the factor of integers `steps` (C, K) with the least error; 0 if no positive one lowers it."""
        y = self._grouped(steps)
        along, square = (y * self.answers).sum(axis=2), (y * (y @ self.products)).sum(axis=2)
        usable = (along > 0) & (square > 0)
        return np.asarray(np.where(usable, along / np.where(usable, square, 1.0), 0.0)).reshape(-1)

    def missing(self, w: Array) -> Array:
        """(C,): mean of W x - w x^ for weights `w` (C, K) in real units."""
        output_sums = (self._grouped(w) @ self.input_sums[:, :, None])[..., 0]
        return np.asarray((self.target_sums - output_sums) / self.count).reshape(-1)

    def error(self, w: Array) -> Array:
        """(C,): sum of (W x - w x^)^2 without terms independent of `w` (C, K)."""
        v = self._grouped(w)
        return np.asarray((v * (v @ self.products - 2 * self.answers)).sum(axis=2)).reshape(-1)

    def descended(self, stored: Array, low: Array, high: Array, scales: Array) -> Array:
        """Integers (C, K) within low..high, near `stored`, such that changing one of them by one does not lower the
        error.

        Their real values are scales (C, 1) times the integers.
        """
        y, low, high, step = (self._grouped(a) for a in (stored.copy(), low, high, scales))
        slope = (y * step) @ self.products - self.answers
        diagonal = np.diagonal(self.products, axis1=1, axis2=2)
        for _ in range(_SWEEPS):
            moves = [self._move(k, y, low, high, step[..., 0], slope, diagonal) for k in range(y.shape[2])]
            if not any(moves):
                break
        return y.reshape(stored.shape)

    def _move(self, k: int, y: Array, low: Array, high: Array, step: Array, slope: Array, diagonal: Array) -> bool:
        """Changes weight k of every channel by one where that lowers the error; updates `y` and `slope`."""
        way = -np.sign(slope[:, :, k])
        own = step * diagonal[:, k, None]
        gains = 2 * np.abs(slope[:, :, k]) - own > _LESS * own
        moved = np.where(gains, np.clip(y[:, :, k] + way, low[:, :, k], high[:, :, k]) - y[:, :, k], 0.0)
        if not moved.any():
            return False
        y[:, :, k] += moved
        slope += (moved * step)[:, :, None] * self.products[:, k, None, :]
        return True

    def _grouped(self, rows: Array) -> Array:
        """(C, n) as (G, M, n)."""
        return rows.reshape(*self.target_sums.shape, -1)
