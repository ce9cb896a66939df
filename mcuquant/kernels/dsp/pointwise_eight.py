"""Pointwise convolutions of eight input channels on cores with SMLAD; firmware/kernels/dsp/mq_pointwise_eight.h."""

from __future__ import annotations

import numpy as np

from ...ir import Array
from ...ir.ops import Conv2D
from ..shared.overlap import windows
from ..shared.weighted_layer import bias, conv_params, weights
from ..variant import CALL, Arg, Blob, In, Out, Shared, Site, Struct, Variant
from .gemm import Form, is_pointwise, is_taken, once, twice

INPUTS = 8
OUTPUTS = 4
"""Outputs per block."""
_ORDER = [0, 2, 1, 3, 4, 6, 5, 7]
"""Order of inputs after SXTB16 of two words."""
FORMS = ((Form("12", 1, once(12)), 256), (Form("8", 1, once(8)), 256), (Form("twice", 3, twice(2)), 2))
"""Forms of the requantization, each with the factor of the sum in its accumulator."""


def takes(site: Site) -> bool:
    outputs, *_, inputs = weights(site).shape
    return is_taken(site) and is_pointwise(site) and inputs == INPUTS and outputs % OUTPUTS == 0


def pack(site: Site, form: Form, unit: int) -> Array:
    """A row per output, as int32: its start, its weights as int16 in four words, and its constants."""
    p, factors, w = conv_params(site), form.constants(site), weights(site).reshape(-1, INPUTS).astype(np.int64)
    assert factors is not None
    start = (bias(site).astype(np.int64) - p.x_zero * w.sum(axis=1)) * unit + factors[0]
    words = np.ascontiguousarray((w[:, _ORDER] * unit).astype(np.int16)).view(np.int32)
    return np.column_stack([start, words, factors[1]]).astype(np.uint64).astype(np.uint32).view(np.int32)


def _cycles(site: Site, form: Form) -> int:
    """Two pixels at a time."""
    outputs = site.out.shape[3]
    of_output = 34 if form.name == "twice" else 26
    return CALL + -(-site.out.elements // outputs // 2) * (of_output * outputs + 30)


def _args(site: Site, form: Form, unit: int) -> tuple[Arg, ...]:
    outputs = site.out.shape[3]
    fields = {"pixels": site.out.elements // outputs, "out_c": outputs}
    stream = Blob("weights", pack(site, form, unit), "output by output, see mq_pointwise_eight.h")
    return Struct("mq_pointwise_eight_t", fields), In(), stream, Out()


def _variant(form: Form, unit: int) -> Variant:
    return Variant(
        f"pointwise_eight_{form.name}_s8",
        "mq_pointwise_eight.h",
        Conv2D,
        lambda site: takes(site) and form.constants(site) is not None,
        lambda site: _args(site, form, unit),
        overlap_offsets=lambda site: windows(site, buffered=True, block=2),
        cycles=lambda site: _cycles(site, form),
        step_bytes=80,
        shared=(Shared(f"mq_pointwise_eight_run_{form.name}", 484 if form.name == "twice" else 388),),
    )


VARIANTS = tuple(_variant(form, unit) for form, unit in FORMS)
