"""Kernels with weights: convolution, depthwise and transposed convolution, fully connected."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from ...ir import DType, Op
from ...ir.metrics import macs
from ...ir.ops import Conv2D, DepthwiseConv2D, FullyConnected, TransposeConv
from ..shared import estimates
from ..shared.conv_fields import window
from ..shared.overlap import rows, windows
from ..shared.packing import packed_weights
from ..shared.weighted_layer import (
    bias,
    check,
    conv_params,
    in_stream,
    output_fields,
    requantize_blobs,
    weights,
)
from ..variant import (
    Arg,
    Args,
    Blob,
    Cycles,
    In,
    Out,
    OverlapOffsets,
    Site,
    Struct,
    Variant,
    image_fields,
    no_overlap,
    plain,
    stride_fields,
)


def _tail(site: Site) -> tuple[Arg, ...]:
    """Weights as stored, biases, multipliers, shifts, and the output: the last arguments of every plain kernel."""
    check(site)
    w = weights(site)
    return (
        packed_weights(site) if in_stream(site) else Blob("weights", w, "x".join(map(str, w.shape))),
        Blob("bias", bias(site)),
        *requantize_blobs(conv_params(site)),
        Out(),
    )


def _windowed(site: Site) -> tuple[Arg, ...]:
    return window(site), In(), *_tail(site)


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


def _row_offsets(site: Site) -> tuple[int]:
    return rows(site, site.ins[0].elements // weights(site).shape[1], buffered=False)


_UNPACK = 14
_SLOWER_SHARED = 2
_window_offsets = partial(windows, buffered=False)


@dataclass(frozen=True, slots=True)
class Form:
    """Types that a kernel with weights is compiled for; firmware/kernels/plain/mq_weights.h."""

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
    """Each product extracts a weight from the stream and looks it up."""
    return cost(site) + _UNPACK * macs(site.graph, site.op)


def _plain(
    kernel: str,
    op: type[Op],
    args: Args,
    overlap_offsets: OverlapOffsets,
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
            overlap_offsets=overlap_offsets,
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
    *_plain("conv2d", Conv2D, _windowed, _window_offsets, estimates.conv2d, 530, (*FORMS, *NARROW_FORMS)),
    *_plain("depthwise", DepthwiseConv2D, _windowed, _window_offsets, estimates.depthwise, 650),
    *_plain("transpose_conv", TransposeConv, _transpose_conv, no_overlap, plain, 500),
    *_plain(
        "fully_connected",
        FullyConnected,
        _fully_connected,
        _row_offsets,
        estimates.fully_connected,
        220,
        (*FORMS, *NARROW_FORMS),
    ),
)
