"""The variants for an operation, with their costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ..errors import UnsupportedOpError
from ..kernels import Site, Variant, variants_of
from ..kernels.variant import Cost, Shared, cost
from .line_layout import calls_of

CALL_BYTES = 28
"""Code bytes of a step that passes addresses to a kernel which all layers share."""

Filter = Callable[[Site, Variant], bool]
"""Selects the variants to consider."""


@dataclass(frozen=True, slots=True, eq=False)
class Option:
    """One way to compute one operation. `is_shared`: one kernel serves all layers; otherwise each step has its own."""

    variant: Variant
    cost: Cost

    def cycles(self, is_shared: bool) -> int:
        return round(self.cost.cycles * self.variant.slower_shared) if is_shared else self.cost.cycles

    def own_bytes(self, is_shared: bool) -> int:
        """Bytes of flash of this step alone."""
        return self.cost.constant_bytes + (CALL_BYTES if is_shared and self._is_shareable else self.cost.code_bytes)

    def functions(self, is_shared: bool) -> tuple[Shared, ...]:
        """C functions that it calls and that are in flash once."""
        if not self._is_shareable:
            return self.variant.shared
        kernel = Shared(f"mq_{self.variant.name}", self.variant.shared_bytes, self.cost.code_bytes)
        return (*self.variant.shared, kernel) if is_shared else self.variant.shared

    @property
    def _is_shareable(self) -> bool:
        """Whether the step has its own kernels: a step of strips changes their parameters from call to call."""
        return self.variant.pooling is None


def every(_: Site, __: Variant) -> bool:
    return True


def options(site: Site, only: Filter = every) -> tuple[Option, ...]:
    """All variants for the operation, the fastest first. Raises UnsupportedOpError if there are none."""
    return tuple(sorted(_priced(site, only), key=lambda option: option.cost.cycles))


def first(site: Site, only: Filter = every) -> Option:
    """The first variant in the order of the table, for networks that are too large to compare all of them."""
    return next(_priced(site, only))


def _priced(site: Site, only: Filter) -> Iterator[Option]:
    """Variants in the order of the table. Raises UnsupportedOpError if there are none."""
    count = 0
    refusals: list[UnsupportedOpError] = []
    for variant in variants_of(site.op):
        if variant.applies(site) and only(site, variant):
            try:
                option = Option(variant, _cost(variant, site))
            except UnsupportedOpError as refusal:  # only this variant rejects these numbers: try the next
                refusals.append(refusal)
                continue
            count += 1
            yield option
    if not count:
        raise refusals[0] if refusals else _unsupported(site)


def _cost(variant: Variant, site: Site) -> Cost:
    """The cost of all calls in one inference."""
    one = cost(variant, site)
    return replace(one, cycles=one.cycles * calls_of(site.graph, site.op))


def _unsupported(site: Site) -> UnsupportedOpError:
    types = ", ".join(f"{t.dtype}{list(t.shape)}" for t in (*site.ins, site.out))
    return UnsupportedOpError(f"no kernel computes {site.op.kind} on {types}; int8 and int16 activations are supported")
