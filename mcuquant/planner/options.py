"""The variants that take an operation, with what each costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..errors import UnsupportedOpError
from ..kernels import Site, Variant, variants_of
from ..kernels.variant import Cost, Shared, cost

CALL_BYTES = 28
"""Code of a step that hands the addresses to a kernel which is there once for all layers."""

Filter = Callable[[Site, Variant], bool]
"""Which variants may be chosen."""


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """One way to compute one operation. `is_shared`: kernels are there once, else specialised for every step."""

    variant: Variant
    cost: Cost

    def cycles(self, is_shared: bool) -> int:
        return round(self.cost.cycles * self.variant.slower_shared) if is_shared else self.cost.cycles

    def own_bytes(self, is_shared: bool) -> int:
        """Flash of this step alone."""
        return self.cost.constant_bytes + (CALL_BYTES if is_shared and self._is_shareable else self.cost.code_bytes)

    def functions(self, is_shared: bool) -> tuple[Shared, ...]:
        """What it calls that is in flash once."""
        if not self._is_shareable:
            return self.variant.shared
        kernel = Shared(f"mq_{self.variant.name}", self.variant.shared_bytes, self.cost.code_bytes)
        return (*self.variant.shared, kernel) if is_shared else self.variant.shared

    @property
    def _is_shareable(self) -> bool:
        """A step of strips has kernels of its own: it changes their parameters from call to call."""
        return self.variant.pooling is None


def every(_: Site, __: Variant) -> bool:
    return True


def options(site: Site, only: Filter = every) -> tuple[Option, ...]:
    """All variants that take the operation, the fastest first. UnsupportedOpError where there is none."""
    return tuple(sorted(_priced(site, only), key=lambda option: option.cost.cycles))


def first(site: Site, only: Filter = every) -> Option:
    """The first in the table of what `options` returns: for networks too large to weigh all of them."""
    return next(_priced(site, only))


def _priced(site: Site, only: Filter) -> Iterator[Option]:
    """In the table's order; one at least, or UnsupportedOpError."""
    count = 0
    refusals: list[UnsupportedOpError] = []
    for variant in variants_of(site.op):
        if variant.applies(site) and only(site, variant):
            try:
                option = Option(variant, cost(variant, site))
            except UnsupportedOpError as refusal:  # of its numbers: another variant may take them
                refusals.append(refusal)
                continue
            count += 1
            yield option
    if not count:
        raise refusals[0] if refusals else _unsupported(site)


def _unsupported(site: Site) -> UnsupportedOpError:
    types = ", ".join(f"{t.dtype}{list(t.shape)}" for t in (*site.ins, site.out))
    return UnsupportedOpError(f"no kernel computes {site.op.kind} on {types}; int8 and int16 activations are supported")
