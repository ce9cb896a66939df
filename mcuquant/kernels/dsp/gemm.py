"""Convolutions as matrix products on cores with SMLAD: packing, and proofs that a fast form is exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...arithmetic.parameters import ConvParams
from ...ir import Array, DType
from ...ir.ops import Conv2D
from ..shared import estimates, overlap
from ..shared.conv_fields import window
from ..shared.requantize import UNIT, two_instructions
from ..shared.weighted_layer import bias, conv_params, sums, weights
from ..variant import Arg, Blob, In, Out, Scratch, Shared, Site, Struct, Value, Variant

ACC_LIMIT = (1 << 31) // UNIT
"""Limit of sums for forms with two roundings."""
PIXELS = 3
"""Pixels of a block."""


def is_taken(site: Site) -> bool:
    """Types and shapes that all forms require, on a core with the instructions."""
    x, w = site.ins[:2]
    typed = x.dtype is site.out.dtype is DType.INT8 and w.bits == 8 and w.shape[3] == x.shape[3]
    return site.core.dsp and typed and conv_params(site).w_zero == 0


def clamps_to_int8(p: ConvParams) -> bool:
    return (p.act_min, p.act_max) == (-128, 127)


@dataclass(frozen=True, slots=True)
class Form:
    """A requantization: the constants of each channel, or None if it is not proven exact.

    `constants` gives the offset from `unit` times the bias, and a row of int64 per channel in the micro-kernel's
    format.
    """

    name: str
    words: int
    constants: Callable[[Site], tuple[Array, Array] | None]


def once(shift: int, unit: int = UNIT) -> Callable[[Site], tuple[Array, Array] | None]:
    """One rounding if it is proven exact; the accumulator holds `unit` times the sum."""

    def constants(site: Site) -> tuple[Array, Array] | None:
        p = conv_params(site)
        if not clamps_to_int8(p):
            return None
        factors = two_instructions(p.multipliers, p.y_zero, *sums(site), shift, unit)
        return None if factors is None else (factors.start, factors.factor[:, None])

    return constants


def twice(unit: int = UNIT) -> Callable[[Site], tuple[Array, Array] | None]:
    """TFLite's roundings: a right shift of 1 to 22, `unit` times the sums in 32 bits, and only the clamp of int8."""

    def constants(site: Site) -> tuple[Array, Array] | None:
        p, (low, high) = conv_params(site), sums(site)
        fits = bool(max(-low.min(), high.max()) * unit < 1 << 31)
        if not (fits and clamps_to_int8(p) and all(1 <= -m.shift <= 22 for m in p.multipliers)):
            return None
        rows = [(m.m, (1 << (-m.shift - 1)) + (p.y_zero << -m.shift), -m.shift) for m in p.multipliers]
        return np.zeros(len(rows), np.int64), np.array(rows, np.int64)

    return constants


FORMS = (Form("12", 1, once(12)), Form("8", 1, once(8)), Form("twice", 3, twice()))


def pack(site: Site, form: Form) -> Array:
    """The stream of mq_gemm.h as int32: for each pair of outputs its starts, weight words in turn and constants."""
    return pack_rows(site, form, _flat(site), groups=1)


def pack_rows(site: Site, form: Form, w: Array, groups: int) -> Array:
    """The stream for weights (outputs, inputs of whole words), group after group."""
    factors = form.constants(site)
    assert factors is not None
    start = starts(site, w, factors[0])
    words = (256 * w[:, 1::2].astype(np.int64) + w[:, 0::2]).astype(np.int16).view(np.int32)
    outputs = len(w) // groups
    parts = [slice(i, i + outputs) for i in range(0, len(w), outputs)]
    stream = np.concatenate(
        [_pair(start[part], words[part], factors[1][part], i) for part in parts for i in range(0, outputs, 2)]
    )
    return stream.astype(np.uint64).astype(np.uint32).view(np.int32)


def starts(site: Site, flat: Array, more: Array) -> Array:
    """Initial sums of each output, as int32: `more`, and the bias corrected for the format of expanded inputs."""
    folded = bias(site).astype(np.int64) - conv_params(site).x_zero * flat.sum(axis=1, dtype=np.int64)
    start = folded * 256 - 127 * flat[:, 0::2].sum(axis=1, dtype=np.int64) + more
    return np.asarray(start.astype(np.uint64).astype(np.uint32).view(np.int32))


def _pair(start: Array, words: Array, constants: Array, i: int) -> Array:
    j = min(i + 1, len(words) - 1)
    return np.concatenate([start[[i, j]], in_turn(words, i).astype(np.int64), constants[[i, j]].ravel()])


def in_turn(words: Array, i: int) -> Array:
    """The words of rows i and i + 1 in turn; an odd last row is paired with itself."""
    return np.stack([words[i], words[min(i + 1, len(words) - 1)]], axis=1).ravel()


def padded(w: Array) -> Array:
    """Rows padded with zeros to whole words."""
    return np.pad(w, ((0, 0), (0, -w.shape[1] % 4)))


def _flat(site: Site) -> Array:
    """(outputs, inputs of whole words)."""
    w = weights(site)
    return padded(w.reshape(len(w), -1))


def pairs_fit(w: Array) -> bool:
    """Whether 256 * odd + even weight is within 16 bits: fails only for an odd -128 with a negative even weight."""
    return not bool(((w[:, 1::2] == -128) & (w[:, 0::2] < 0)).any())


def _scratch_bytes(site: Site) -> int:
    """Scratch: a block; a window as bytes if pixels are not words; the outputs of an incomplete last block."""
    words = -(-int(weights(site)[0].size) // 4)
    outputs = site.out.shape[3]
    whole = site.ins[0].shape[3] % 4 == 0
    spare = 0 if site.out.elements // outputs % PIXELS == 0 else -(-PIXELS * outputs // 4)
    return 4 * (2 * PIXELS * words + (0 if whole else words) + spare)


def _arguments(site: Site, form: Form, struct: Struct) -> tuple[Arg, ...]:
    stream = Blob("weights", pack(site, form), "packed in pairs of outputs, see mq_gemm.h")
    return struct, In(), stream, Scratch("int32_t"), Out()


def _pointwise_struct(site: Site) -> Struct:
    outputs = site.out.shape[3]
    fields: dict[str, Value] = {
        "pixels": site.out.elements // outputs,
        "in_c": site.ins[0].shape[3],
        "out_c": outputs,
    }
    return Struct("mq_pointwise_gemm_t", fields)


def _overlap_offsets(site: Site) -> tuple[int | None, ...]:
    return overlap.windows(site, buffered=True, block=PIXELS)


def is_pointwise(site: Site) -> bool:
    """Output pixels are input pixels, one by one."""
    return weights(site).shape[1:3] == (1, 1) and site.ins[0].shape[:3] == site.out.shape[:3]


def _variant(kernel: str, form: Form, where: Callable[[Site], bool], struct: Callable[[Site], Struct]) -> Variant:
    is_pointwise = kernel == "pointwise_gemm"
    return Variant(
        f"{kernel}_{form.name}_s8",
        f"mq_{kernel}.h",
        Conv2D,
        lambda site: is_taken(site) and where(site) and pairs_fit(_flat(site)) and form.constants(site) is not None,
        lambda site: _arguments(site, form, struct(site)),
        _scratch_bytes,
        overlap_offsets=_overlap_offsets,
        cycles=lambda site: estimates.gemm(site, form.words, is_pointwise),
        step_bytes=320 if is_pointwise else 560,
        shared_bytes=700 if is_pointwise else 1340,
        shared=(Shared(f"mq_gemm_{form.name}", 814 + 92 * (form.words > 1)), *EXPAND),
        by_rows=not is_pointwise,
    )


EXPAND = (Shared("mq_gemm_expand", 200), Shared("mq_gemm_expand_three", 200))

VARIANTS = (
    *(_variant("pointwise_gemm", form, is_pointwise, _pointwise_struct) for form in FORMS),
    *(_variant("conv2d_gemm", form, lambda _: True, window) for form in FORMS),
)
