"""Weight sharing: a constant with few different values is a codebook and an index per element.

Source of the scheme: S. Han, H. Mao, W. Dally, "Deep Compression" (ICLR 2016), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

MOST_ENTRIES = 256


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """value = centroids[g, index], g the group of the element's channel.

    `centroids` is (groups, entries): stored integers of the constant's type, 1 to 256 entries a group. `indices` is
    uint8 of the constant's shape. `groups` gives the group of every index along `axis` (output channels: 0, or 3 of a
    depthwise convolution's weights); () is one group for all. In flash an index takes `bits`.
    """

    centroids: Array
    indices: Array
    groups: tuple[int, ...] = ()
    axis: int = 0

    def __post_init__(self) -> None:
        self.centroids.setflags(write=False)
        self.indices.setflags(write=False)

    @classmethod
    def of(cls, data: Array, groups: Sequence[int] = (), axis: int = 0) -> Palette:
        """The distinct values of `data`, ascending, group by group; the last value fills up groups that have fewer.

        Raises ValueError if a group has more than 256.
        """
        members = [np.asarray(groups) == g for g in range(max(groups) + 1)] if groups else [np.ones(1, bool)]
        parts = [np.compress(m, data, axis=axis) if groups else data for m in members]
        books = [np.unique(part) for part in parts]
        books = [book if book.size else np.zeros(1, data.dtype) for book in books]
        entries = max(len(book) for book in books)
        if entries > MOST_ENTRIES:
            raise ValueError(f"{entries} distinct values, expected at most {MOST_ENTRIES}")
        centroids = np.stack([np.pad(book, (0, entries - len(book)), "edge") for book in books])
        indices = np.zeros(data.shape, np.uint8)
        for member, part, book in zip(members, parts, books, strict=True):
            every = np.moveaxis(indices, axis, 0)
            every[member if groups else slice(None)] = np.moveaxis(np.searchsorted(book, part), axis, 0)
        return cls(centroids.astype(data.dtype), indices, tuple(int(g) for g in groups), axis)

    @property
    def entries(self) -> int:
        return int(self.centroids.shape[1])

    @property
    def bits(self) -> int:
        """Bits of an index in flash."""
        return max(1, (self.entries - 1).bit_length())

    def values(self) -> Array:
        """The data of the constant."""
        if not self.groups:
            return np.asarray(self.centroids[0][self.indices])
        shape = [-1 if i == self.axis else 1 for i in range(self.indices.ndim)]
        return np.asarray(self.centroids[np.array(self.groups).reshape(shape), self.indices])

    def masked(self, mask: Array, axis: int) -> Palette:
        """The palette of the constant at the indices along `axis` that `mask` selects; the codebook stays."""
        groups = self.groups
        if groups and axis == self.axis:
            groups = tuple(g for g, keep in zip(groups, mask, strict=True) if keep)
        return Palette(self.centroids, np.compress(mask, self.indices, axis=axis), groups, self.axis)

    def __str__(self) -> str:
        groups, entries = self.centroids.shape
        return f"palette {entries}" if not self.groups else f"palette {groups}x{entries} along {self.axis}"
