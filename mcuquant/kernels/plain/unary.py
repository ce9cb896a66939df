"""Kernels of functions of one variable: a table for int8, an algorithm each for int16, conversions."""

from __future__ import annotations

import numpy as np

from ...arithmetic.parameters import (
    DequantizeParams,
    HardSwish16Params,
    InterpolationParams,
    LeakyReluParams,
    LutParams,
    QuantizeParams,
    RescaleParams,
    SigmoidParams,
    curves,
    params,
)
from ...ir import DType
from ...ir.elementwise_table import ELEMENTWISE, Rule
from ...ir.ops import Abs, Dequantize, HardSwish, LeakyRelu, Logistic, Op, Quantize, Relu, Tanh, Unary
from ..shared.overlap import elementwise
from ..shared.plain_estimates import by_core, each
from ..shared.rescale import rescale_fields
from ..variant import Arg, Args, Blob, In, Number, Out, Site, Struct, Value, Variant, multiplier_fields


def _table(site: Site) -> tuple[Arg, ...]:
    p: LutParams = params(site.graph, site.op)
    table = Blob("table", np.array(p.table, np.int8), "result for -128, -127, ..., 127")
    return Number(site.out.elements), In(), table, Out()


def _rescale(site: Site) -> tuple[Arg, ...]:
    p: RescaleParams = params(site.graph, site.op)
    return Struct("mq_rescale_t", rescale_fields(site, p)), Number(site.out.elements), In(), Out()


def _leaky_relu(site: Site) -> tuple[Arg, ...]:
    p: LeakyReluParams = params(site.graph, site.op)
    fields: dict[str, Value] = {
        "x_zero": p.x_zero,
        "y_zero": p.y_zero,
        **multiplier_fields(p.identity, "above_"),
        **multiplier_fields(p.slope, "below_"),
        "below_sign": -1 if p.negative else 1,
        "act_min": p.act_min,
        "act_max": p.act_max,
    }
    return Struct("mq_leaky_relu_t", fields), Number(site.out.elements), In(), Out()


def _hard_swish(site: Site) -> tuple[Arg, ...]:
    p: HardSwish16Params = params(site.graph, site.op)
    fields = {"three": p.three, "six": p.six, **multiplier_fields(p.multiplier)}
    return Struct("mq_hard_swish_t", fields), Number(site.out.elements), In(), Out()


def _interpolate(site: Site) -> tuple[Arg, ...]:
    p: InterpolationParams = params(site.graph, site.op)
    table = Blob("table", np.array(p.table, np.int16), "result for -32768, -32640, ..., 32640, and one step beyond")
    return Number(site.out.elements), In(), table, Out()


def _sigmoid(site: Site) -> tuple[Arg, ...]:
    p: SigmoidParams = params(site.graph, site.op)
    fields = {"multiplier": p.multiplier, "shift": p.shift}
    table = Blob("table", np.array(curves.SIGMOID, np.uint16), "the sigmoid in steps of 1/24, 16 fraction bits")
    return Struct("mq_sigmoid_t", fields), Number(site.out.elements), In(), table, Out()


def _quantize(site: Site) -> tuple[Arg, ...]:
    p: QuantizeParams = params(site.graph, site.op)
    fields = {"scale": p.scale, "zero": p.y_zero, "act_min": p.act_min, "act_max": p.act_max}
    return Struct("mq_affine_t", fields), Number(site.out.elements), In(), Out()


def _dequantize(site: Site) -> tuple[Arg, ...]:
    p: DequantizeParams = params(site.graph, site.op)
    fields = {"scale": p.scale, "zero": p.x_zero, "act_min": 0, "act_max": 0}
    return Struct("mq_affine_t", fields), Number(site.out.elements), In(), Out()


_INTERPOLATED = tuple(op for op, row in ELEMENTWISE.items() if row.arity == 1 and row.int16 is Rule.TABLE)
_F32, _S8, _S16, _S32 = DType.FLOAT32, DType.INT8, DType.INT16, DType.INT32


def _unary(
    name: str,
    header: str,
    op: type[Op] | tuple[type[Op], ...],
    x: DType,
    y: DType,
    args: Args,
    cycles: tuple[float, float, float],
) -> Variant:
    """`cycles` of an element on Cortex-M4, with factors for cores without SMLAD and for the
    instructions of Cortex-M55.
    """
    element, scalar, mve = cycles

    def takes(site: Site) -> bool:
        return site.ins[0].dtype is x and site.out.dtype is y

    return Variant(
        name, header, op, takes, args, overlap_offsets=elementwise, cycles=by_core(each(element), scalar, mve)
    )


VARIANTS = (
    _unary("table_s8", "mq_table.h", Unary, _S8, _S8, _table, (8, 1.0, 0.5)),
    _unary("logistic_s16", "mq_sigmoid.h", Logistic, _S16, _S16, _sigmoid, (21.5, 1.2, 0.75)),
    _unary("tanh_s16", "mq_sigmoid.h", Tanh, _S16, _S16, _sigmoid, (21.5, 1.08, 0.85)),
    _unary("hard_swish_s16", "mq_hard_swish.h", HardSwish, _S16, _S16, _hard_swish, (46, 1.3, 1.0)),
    _unary("leaky_relu_s16", "mq_leaky_relu.h", (LeakyRelu, Abs), _S16, _S16, _leaky_relu, (20.5, 1.3, 0.85)),
    _unary("interpolate_s16", "mq_table.h", _INTERPOLATED, _S16, _S16, _interpolate, (22, 1.05, 0.82)),
    _unary("rescale_s16_s16", "mq_rescale.h", (Quantize, Relu), _S16, _S16, _rescale, (17, 1.35, 0.83)),
    _unary("rescale_s16_s8", "mq_rescale.h", Quantize, _S16, _S8, _rescale, (23, 1.22, 0.78)),
    _unary("rescale_s8_s16", "mq_rescale.h", Quantize, _S8, _S16, _rescale, (13.7, 1.45, 0.8)),
    _unary("rescale_s8_s32", "mq_rescale.h", Quantize, _S8, _S32, _rescale, (15, 1.4, 0.8)),
    _unary("rescale_s16_s32", "mq_rescale.h", Quantize, _S16, _S32, _rescale, (15, 1.4, 0.8)),
    _unary("rescale_s32_s8", "mq_rescale.h", Quantize, _S32, _S8, _rescale, (17, 1.35, 0.83)),
    _unary("rescale_s32_s16", "mq_rescale.h", Quantize, _S32, _S16, _rescale, (17, 1.35, 0.83)),
    _unary("quantize_s8", "mq_quantize.h", Quantize, _F32, _S8, _quantize, (49, 11.5, 0.71)),
    _unary("quantize_s16", "mq_quantize.h", Quantize, _F32, _S16, _quantize, (49, 11.5, 0.71)),
    _unary("dequantize_s8", "mq_quantize.h", Dequantize, _S8, _F32, _dequantize, (12, 6, 0.62)),
    _unary("dequantize_s16", "mq_quantize.h", Dequantize, _S16, _F32, _dequantize, (12, 6, 0.62)),
)
