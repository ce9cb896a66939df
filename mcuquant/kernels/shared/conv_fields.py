"""Shapes of convolutions as fields of kernel structs, and conditions on these shapes."""

from __future__ import annotations

from ...ir.ops import Conv2D, DepthwiseConv2D
from ..variant import Site, Struct, Value, image_fields, stride_fields
from . import overlap
from .folded import clamp_fields
from .weighted_layer import conv_params


def is_ungrouped(site: Site) -> bool:
    """All input channels contribute to every output."""
    return site.ins[1].shape[3] == site.ins[0].shape[3]


def window(site: Site) -> Struct:
    """`mq_window_t` of a convolution or depthwise convolution."""
    return Struct("mq_window_t", window_fields(site))


def window_fields(site: Site) -> dict[str, Value]:
    """The shape, zero points and clamp of a convolution, as `mq_window_t` names them."""
    op, (x, w), y, p = site.op, site.ins[:2], site.out, conv_params(site)
    assert isinstance(op, Conv2D | DepthwiseConv2D)
    return {
        **image_fields(x, y),
        "in_c": x.shape[3],
        "out_c": y.shape[3],
        "k_h": w.shape[1],
        "k_w": w.shape[2],
        **stride_fields(op.stride, op.padding),
        "dilation_h": op.dilation[0],
        "dilation_w": op.dilation[1],
        "groups": x.shape[3] if isinstance(op, DepthwiseConv2D) else x.shape[3] // w.shape[3],
        "x_zero": p.x_zero,
        "y_zero": p.y_zero,
        "act_min": p.act_min,
        "act_max": p.act_max,
    }


def is_line(site: Site) -> bool:
    """Images, windows and outputs are one pixel wide."""
    return site.ins[0].shape[2] == site.ins[1].shape[2] == site.out.shape[2] == 1


def line_window(site: Site) -> Struct:
    """`mq_window_t`, with exchanged axes if images are one pixel wide: a window is then one run of bytes."""
    fields = window_fields(site)
    if not is_line(site):
        return Struct("mq_window_t", fields)
    names = ("in_h", "in_w"), ("out_h", "out_w"), ("k_h", "k_w"), ("stride_h", "stride_w")
    others = ("dilation_h", "dilation_w"), ("pad_top", "pad_left")
    exchanged = {n: fields[m] for pair in (*names, *others) for n, m in (pair, pair[::-1])}
    return Struct("mq_window_t", {**fields, **exchanged})


def conv2d_fields(site: Site) -> dict[str, Value]:
    """Fields of a convolution without groups, for structs with more than `mq_window_t`."""
    return {name: value for name, value in window_fields(site).items() if name != "groups"}


def is_pointwise(site: Site) -> bool:
    """Output pixels are input pixels, all or some of them, in equally spaced rows."""
    op, w = site.op, site.ins[1]
    assert isinstance(op, Conv2D)
    inside = (op.padding.top, op.padding.left) == (0, 0) and _ends_inside(site)
    return w.shape[1:3] == (1, 1) and inside and (op.stride == (1, 1) or site.out.shape[0] == 1)


def _ends_inside(site: Site) -> bool:
    op, (_, in_h, in_w, _), (_, out_h, out_w, _) = site.op, site.ins[0].shape, site.out.shape
    assert isinstance(op, Conv2D)
    return (out_h - 1) * op.stride[0] < in_h and (out_w - 1) * op.stride[1] < in_w


def _is_dense(site: Site) -> bool:
    return site.ins[0].shape[:3] == site.out.shape[:3]


def pointwise_fields(site: Site) -> dict[str, Value]:
    """Rows of pixels; all pixels form one row if none is skipped."""
    op, (_, _, in_w, in_c), (batch, out_h, out_w, out_c) = site.op, site.ins[0].shape, site.out.shape
    assert isinstance(op, Conv2D)
    rows, step = (1, 1) if _is_dense(site) else (out_h, op.stride[1])
    return {
        "rows": rows,
        "row_step": op.stride[0] * in_w * in_c,
        "pixels": batch * out_h * out_w // rows,
        "pixel_step": step * in_c,
        "in_c": in_c,
        "out_c": out_c,
        **clamp_fields(conv_params(site)),
    }


def pairs_overlap_offsets(site: Site) -> tuple[int | None, ...]:
    """Overlap of a kernel that reads two pixels until their last outputs are written, and restarts in every row if
    pixels are skipped.
    """
    return overlap.windows(site, buffered=False, block=2 if _is_dense(site) else site.out.shape[2])
