"""mq_rescale_t: stored values in another tensor's units, by themselves and as the last step of other kernels."""

from __future__ import annotations

from ...arithmetic.parameters import PoolParams, RescaleParams
from ..variant import Site, Value, multiplier_fields


def rescale_fields(site: Site, p: RescaleParams) -> dict[str, Value]:
    return {
        "identity": 0,
        "x_zero": p.x_zero,
        "y_zero": p.y_zero,
        **multiplier_fields(p.multiplier),
        "act_min": p.act_min,
        "act_max": p.act_max,
    }


def identity_fields(act_min: int, act_max: int) -> dict[str, Value]:
    """Values have the same scale and zero point in both tensors and are only clamped."""
    return {
        "identity": 1,
        "x_zero": 0,
        "y_zero": 0,
        "m": 0,
        "shift": 0,
        "act_min": act_min,
        "act_max": act_max,
    }


def pooled_fields(site: Site, p: PoolParams) -> dict[str, Value]:
    """The rescaling of a pooled value."""
    if p.rescale is None:
        return identity_fields(p.act_min, p.act_max)
    return {**rescale_fields(site, p.rescale), "act_min": p.act_min, "act_max": p.act_max}
