"""The random graphs by which each family of kernel variants is compared with the interpreter.

A new variant joins the generators of its family; `test_kernels` refuses a variant that no family has.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product

import fast_graphs
import mve_graphs
import numpy as np
import packed_graphs
from stream_graphs import summed_stream

from mcuquant.boards.core import CORES, Core
from mcuquant.ir import DType, Graph, ops


@dataclass(frozen=True, slots=True)
class Family:
    """Generators by name, and the seeds and cores that the test of completeness plans their graphs for."""

    generators: Mapping[str, Callable[[np.random.Generator], Graph]]
    seeds: tuple[int, ...]
    cores: tuple[Core, ...]

    @property
    def names(self) -> list[str]:
        return list(self.generators)

    def graph(self, name: str, seed: int) -> Graph:
        """The seed depends on the name alone, so that new generators leave the graphs of others as they are."""
        return self.generators[name](np.random.default_rng((seed, zlib.crc32(name.encode()))))

    def cases(self) -> Iterator[tuple[str, Graph, Core]]:
        for name, seed, core in product(self.generators, self.seeds, self.cores):
            yield name, self.graph(name, seed), core


M0PLUS, M3, M4, M55 = (CORES[f"cortex-{core}"] for core in ("m0plus", "m3", "m4", "m55"))
FAST = Family(fast_graphs.GENERATORS, (5, 1, 2, 4, 7), (M4,))
PACKED = Family(packed_graphs.GENERATORS, (1, 9), (M4,))
PRODUCTS = Family(mve_graphs.GENERATORS, (1, 2), (M55, M3, M0PLUS))
"""For cores with MVE, and for those without SIMD."""
_ROWS = (("words", DType.INT8, 8), ("s8", DType.INT8, 3), ("s16", DType.INT16, 4))
RUNNING = Family(
    {
        f"running_{name}_{end}": partial(summed_stream, kind=kind, dtype=dtype, channels=channels)
        for name, kind in (("mean", ops.Mean), ("pool", ops.AvgPool2D))
        for end, dtype, channels in _ROWS
    },
    (1,),
    (M4,),
)
"""Networks that keep sums from one inference to the next."""
FAMILIES = (FAST, PACKED, PRODUCTS, RUNNING)
