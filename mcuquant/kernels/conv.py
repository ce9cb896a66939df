"""Kernels with weights: convolution, depthwise and transposed convolution, fully connected."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from ..integer import ConvParams, params
from ..ir import Array, DType, Op
from ..metrics import macs
from ..ops import Conv2D, DepthwiseConv2D, FullyConnected, TransposeConv
from . import cycles
from .base import (
    Arg,
    Args,
    Blob,
    In,
    Leads,
    Out,
    Site,
    Struct,
    Value,
    Variant,
    apart,
    check_sums,
    has_steps,
    image_fields,
    span,
    stride_fields,
)
from .cost import Cycles, plain
from .overlap import rows, windows
from .packing import is_packed, packed_weights

ACCUMULATOR_BITS = {32: 32, 64: 48}
"""Bits that sums may use, by ConvParams.acc_bits: mq_requantize64 multiplies by 16 more."""


@lru_cache(maxsize=16)
def conv_params(site: Site) -> ConvParams:
    """Every kernel asks, of the same layer one after the other."""
    p = params(site.graph, site.op)
    assert isinstance(p, ConvParams)
    return p


def output_fields(p: ConvParams) -> dict[str, Value]:
    return {"x_zero": p.x_zero, "y_zero": p.y_zero, "act_min": p.act_min, "act_max": p.act_max}


def weights(site: Site) -> Array:
    data = site.ins[1].data
    assert data is not None
    return data


def bias(site: Site) -> Array:
    """Biases as stored, or zeros; as wide as the accumulators."""
    p = conv_params(site)
    wide = np.dtype(f"int{p.acc_bits}")
    return np.zeros(len(p.multipliers), wide) if len(site.ins) < 3 else np.asarray(site.ins[2].data, wide)


def requantize_blobs(p: ConvParams) -> tuple[Blob, Blob]:
    """Multipliers and shifts, one per output channel."""
    return (
        Blob("multipliers", np.array([m.m for m in p.multipliers], np.int32)),
        Blob("shifts", np.array([m.shift for m in p.multipliers], np.int8)),
    )


@lru_cache(maxsize=16)
def sums(site: Site) -> tuple[Array, Array]:
    """Lowest and highest accumulator of every output channel, whatever the input; partial sums lie between too.

    Not to be written to: every kernel asks, of the same layer one after the other.
    """
    p = conv_params(site)
    w = site.ins[1].steps.astype(np.int64)
    by_channel = w[0].reshape(-1, w.shape[3]).T if isinstance(site.op, DepthwiseConv2D) else w.reshape(w.shape[0], -1)
    low, high = span(site.ins[0], p.x_zero)
    start = np.clip(bias(site).astype(np.int64), -(1 << 62), 1 << 62)
    downward = np.minimum(by_channel * low, by_channel * high).sum(axis=1)
    upward = np.maximum(by_channel * low, by_channel * high).sum(axis=1)
    return start + downward, start + upward


def check(site: Site) -> None:
    """UnsupportedOpError where an accumulator could leave what the C arithmetic defines."""
    lowest, highest = sums(site)
    check_sums(site, int(lowest.min()), int(highest.max()), ACCUMULATOR_BITS[conv_params(site).acc_bits])


def _tail(site: Site) -> tuple[Arg, ...]:
    """Weights as stored, biases, multipliers, shifts, and the output: how every plain kernel's call ends."""
    check(site)
    w = weights(site)
    return (
        packed_weights(site) if in_stream(site) else Blob("weights", w, "x".join(map(str, w.shape))),
        Blob("bias", bias(site)),
        *requantize_blobs(conv_params(site)),
        Out(),
    )


def _conv2d(site: Site) -> tuple[Arg, ...]:
    op, (x, w) = site.op, site.ins[:2]
    assert isinstance(op, Conv2D)
    fields = {
        **image_fields(x, site.out),
        "in_c": x.shape[3],
        "out_c": w.shape[0],
        "k_h": w.shape[1],
        "k_w": w.shape[2],
        **stride_fields(op.stride, op.padding),
        "dilation_h": op.dilation[0],
        "dilation_w": op.dilation[1],
        "groups": x.shape[3] // w.shape[3],
        **output_fields(conv_params(site)),
    }
    return Struct("mq_conv2d_t", fields), In(), *_tail(site)


def _depthwise(site: Site) -> tuple[Arg, ...]:
    op, (x, w) = site.op, site.ins[:2]
    assert isinstance(op, DepthwiseConv2D)
    fields = {
        **image_fields(x, site.out),
        "in_c": x.shape[3],
        "multiplier": w.shape[3] // x.shape[3],
        "k_h": w.shape[1],
        "k_w": w.shape[2],
        **stride_fields(op.stride, op.padding),
        "dilation_h": op.dilation[0],
        "dilation_w": op.dilation[1],
        **output_fields(conv_params(site)),
    }
    return Struct("mq_depthwise_t", fields), In(), *_tail(site)


def _transpose_conv(site: Site) -> tuple[Arg, ...]:
    op, (x, w) = site.op, site.ins[:2]
    assert isinstance(op, TransposeConv)
    fields = {
        **image_fields(x, site.out),
        "in_c": x.shape[3],
        "out_c": w.shape[0],
        "k_h": w.shape[1],
        "k_w": w.shape[2],
        **stride_fields(op.stride, op.padding),
        **output_fields(conv_params(site)),
    }
    return Struct("mq_transpose_conv_t", fields), In(), *_tail(site)


def _fully_connected(site: Site) -> tuple[Arg, ...]:
    p, (outputs, depth) = conv_params(site), weights(site).shape
    size = {"rows": site.ins[0].elements // depth, "depth": depth, "outputs": outputs}
    zero = 0 if in_stream(site) else p.w_zero
    return Struct("mq_fully_connected_t", {**size, "w_zero": zero, **output_fields(p)}), In(), *_tail(site)


def _row_leads(site: Site) -> tuple[int]:
    return rows(site, site.ins[0].elements // weights(site).shape[1], buffered=False)


_UNPACK = 14
_SLOWER_SHARED = 2
_window_leads = partial(windows, buffered=False)


def in_stream(site: Site) -> bool:
    """Whether the plain kernels read the weights from a packed stream: bits, codebooks, or a meaning of their own."""
    return is_packed(site) or (has_steps(site) and not _is_fully_connected(site))


def _is_fully_connected(site: Site) -> bool:
    """A layer whose plain kernel takes the one zero point of weights of 8 bits, as TFLite has it."""
    q = site.ins[1].q
    return isinstance(site.op, FullyConnected) and q is not None and not (q.zero_points or q.multipliers)


@dataclass(frozen=True, slots=True)
class Form:
    """Types that a kernel with weights is compiled for; firmware/kernels/mq_weights.h."""

    suffix: str
    x: DType
    in_stream: bool
    acc_bits: int

    def fits(self, site: Site) -> bool:
        x, w = site.ins[:2]
        typed = x.dtype is site.out.dtype is self.x and w.is_constant and in_stream(site) is self.in_stream
        return typed and conv_params(site).acc_bits == self.acc_bits


FORMS = (
    Form("s8", DType.INT8, False, 32),
    Form("packed_s8", DType.INT8, True, 32),
    Form("s16", DType.INT16, False, 64),
    Form("packed_s16", DType.INT16, True, 64),
)
NARROW_FORMS = (
    Form("s16_b32", DType.INT16, False, 32),
    Form("packed_s16_b32", DType.INT16, True, 32),
)


def _unpacking(site: Site, cost: Cycles) -> int:
    """A weight is taken out of the stream, and looked up, for every product."""
    return cost(site) + _UNPACK * macs(site.graph, site.op)


def _plain(
    kernel: str,
    op: type[Op],
    args: Args,
    leads: Leads,
    cost: Cycles,
    code: int,
    forms: tuple[Form, ...] = FORMS,
) -> tuple[Variant, ...]:
    return tuple(
        Variant(
            f"{kernel}_{form.suffix}",
            f"mq_{kernel}.h",
            op,
            form.fits,
            args,
            leads=leads,
            unpacks=True,
            cycles=partial(_unpacking, cost=cost) if form.in_stream else cost,
            step_bytes=code,
            shared_bytes=code + 100,
            slower_shared=_SLOWER_SHARED,
            by_rows=op in (Conv2D, DepthwiseConv2D),
        )
        for form in forms
    )


VARIANTS = (
    *_plain("conv2d", Conv2D, _conv2d, _window_leads, cycles.conv2d, 530, (*FORMS, *NARROW_FORMS)),
    *_plain("depthwise", DepthwiseConv2D, _depthwise, _window_leads, cycles.depthwise, 650),
    *_plain("transpose_conv", TransposeConv, _transpose_conv, apart, plain, 500),
    *_plain(
        "fully_connected",
        FullyConnected,
        _fully_connected,
        _row_leads,
        cycles.fully_connected,
        220,
        (*FORMS, *NARROW_FORMS),
    ),
)
