"""Kernels with weights: convolution, depthwise convolution, fully connected."""

from __future__ import annotations

import numpy as np

from ..integer import ConvParams, params
from ..ir import Array, DType
from ..ops import Conv2D, DepthwiseConv2D, FullyConnected
from .base import Arg, Blob, In, Out, Site, Struct, Value, Variant, activations_are, image_fields, stride_fields


def conv_params(site: Site) -> ConvParams:
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
    """Biases as stored, or zeros."""
    outputs = len(conv_params(site).multipliers)
    wide = np.int64 if site.ins[0].dtype is DType.INT16 else np.int32
    return np.zeros(outputs, wide) if len(site.ins) < 3 else np.asarray(site.ins[2].data, wide)


def requantize_blobs(p: ConvParams) -> tuple[Blob, Blob]:
    """Multipliers and shifts, one per output channel."""
    return (
        Blob("multipliers", np.array([m.m for m in p.multipliers], np.int32)),
        Blob("shifts", np.array([m.shift for m in p.multipliers], np.int8)),
    )


def _tail(site: Site) -> tuple[Arg, ...]:
    """Weights as stored, biases, multipliers, shifts, and the output: how every plain kernel's call ends."""
    return (
        Blob("weights", weights(site), "x".join(map(str, weights(site).shape))),
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


def _fully_connected(site: Site) -> tuple[Arg, ...]:
    p, (outputs, depth) = conv_params(site), weights(site).shape
    rows = site.ins[0].elements // depth
    fields = {"rows": rows, "depth": depth, "outputs": outputs, **output_fields(p)}
    return Struct("mq_fully_connected_t", fields), In(), *_tail(site)


VARIANTS = (
    Variant("conv2d_s8", "mq_conv2d.h", Conv2D, activations_are(DType.INT8), _conv2d),
    Variant("depthwise_s8", "mq_depthwise.h", DepthwiseConv2D, activations_are(DType.INT8), _depthwise),
    Variant(
        "fully_connected_s8", "mq_fully_connected.h", FullyConnected, activations_are(DType.INT8), _fully_connected
    ),
)
