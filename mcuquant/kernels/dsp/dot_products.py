"""Dot products for few outputs, groups and sums of any length on cores with SMLAD; firmware/kernels/dsp/mq_dot.h."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ...ir import Array
from ...ir.ops import Conv2D, FullyConnected
from ..shared.conv_fields import is_line, is_ungrouped, line_window
from ..shared.estimates import windows_inside
from ..shared.folded import folded_bias, is_int8
from ..shared.overlap import windows
from ..shared.weighted_layer import weights
from ..variant import CALL, Arg, Blob, In, Out, Scratch, Shared, Site, Struct, Variant
from .gemm import padded, twice
from .ring import CHANNELS, load_cycles, ring_fields, ring_overlap_offsets, ring_row_words, ring_rows

SUM_UNIT = 2
"""Factor of the sums that must fit 32 bits: the requantization doubles them."""
DOT = (Shared("mq_dot", 560),)


def takes(site: Site) -> bool:
    """Weights of 8 bits, and a requantization with TFLite's two roundings within 32 bits."""
    return site.core.dsp and is_int8(site) and twice(SUM_UNIT)(site) is not None


def _takes_rows(site: Site) -> bool:
    """Whether rows begin at words."""
    x, w = site.ins[:2]
    return (w.shape[1] % 4 == 0 or x.elements == w.shape[1]) and takes(site)


def scale_blob(site: Site, groups: int = 1, starts: Array | None = None) -> Blob:
    """For each block the starts (default: the folded biases), then m, rounding and shift of each output."""
    constants = twice(SUM_UNIT)(site)
    assert constants is not None
    starts = (folded_bias(site) if starts is None else starts).reshape(groups, -1)
    factors = constants[1].reshape(groups, -1, 3)
    parts = [
        np.concatenate([starts[group, block], factors[group, block].ravel()])
        for group in range(groups)
        for block in _blocks(starts.shape[1])
    ]
    return Blob("scale", np.concatenate(parts).astype(np.int32), "starts, then m, rounding, shift of every output")


def pack(rows: Array, groups: int = 1) -> Array:
    """Words of (outputs, bytes of whole words): for each block the outputs in turn."""
    words = np.ascontiguousarray(rows).view(np.int32).reshape(groups, -1, rows.shape[1] // 4)
    return np.concatenate([group[block].T.ravel() for group in words for block in _blocks(words.shape[1])])


def _blocks(outputs: int) -> list[slice]:
    """Block sizes: four, then two, then one."""
    ends = list(range(4, outputs + 1, 4))
    ends += [last + 2 for last in ends[-1:] or [0] if outputs & 2]
    ends += [outputs] if outputs & 1 else []
    return [slice(begin, end) for begin, end in pairwise([0, *ends])]


def has_row_runs(site: Site) -> bool:
    """Whether rows of windows are runs of consecutive bytes; otherwise taps are runs."""
    op, w = site.op, site.ins[1]
    assert isinstance(op, Conv2D)
    k_w, dilation_w = (w.shape[1], op.dilation[0]) if is_line(site) else (w.shape[2], op.dilation[1])
    return is_ungrouped(site) and (dilation_w == 1 or k_w == 1)


def weight_runs(site: Site) -> Array:
    """Weights as (outputs, runs, bytes of a run)."""
    outputs, k_h, k_w, depth = weights(site).shape
    if not has_row_runs(site):
        return weights(site).reshape(outputs, k_h * k_w, depth)
    return weights(site).reshape(outputs, 1, -1) if is_line(site) else weights(site).reshape(outputs, k_h, -1)


def weight_rows(site: Site) -> Array:
    """Weights as (outputs, bytes of all runs), each run padded to words."""
    runs = weight_runs(site)
    return np.pad(runs, ((0, 0), (0, 0), (0, -runs.shape[2] % 4))).reshape(len(runs), -1)


def _conv2d(site: Site) -> tuple[Arg, ...]:
    groups = site.ins[0].shape[3] // site.ins[1].shape[3]
    w = Blob("weights", pack(weight_rows(site), groups), "four, two and one outputs in turn, see mq_dot.h")
    return line_window(site), In(), w, scale_blob(site, groups), Scratch("int32_t"), Out()


def _connected(site: Site) -> tuple[Arg, ...]:
    outputs, depth = weights(site).shape
    size = {"rows": site.ins[0].elements // depth, "depth": depth, "outputs": outputs}
    w = Blob("weights", pack(padded(weights(site))), "four, two and one outputs in turn, see mq_dot.h")
    return Struct("mq_fully_connected_dot_t", size), In(), w, scale_blob(site), Out()


def _overlap_offsets(site: Site) -> tuple[int | None, ...]:
    """A group's window is gathered before its outputs are written, but not the next group's."""
    return windows(site, buffered=is_ungrouped(site))


def dot_cycles(words: int, outputs: int) -> int:
    """Scratch bytes for all outputs of one window."""
    fours, two, one = outputs // 4, outputs // 2 % 2, outputs % 2
    loops = (words + 3) // 4 * 4
    return 40 + fours * (25 * words + loops + 81) + two * (15 * words + loops + 53) + one * (9 * words + loops + 39)


def _connected_cycles(site: Site) -> int:
    outputs, depth = site.ins[1].shape
    return CALL + site.ins[0].elements // depth * dot_cycles(-(-depth // 4), outputs)


def gather_cycles(site: Site) -> float:
    """Scratch bytes for one window of a group."""
    _, runs, run_bytes = (int(n) for n in weight_runs(site).shape)
    is_words = site.ins[0].shape[3] % 4 == 0 and site.ins[1].shape[3] % 4 == 0
    words = -(-run_bytes // 4)
    inside = windows_inside(site) / (site.out.elements // site.out.shape[3])
    whole = 8 + 3 * words if is_words else 30 + 6.5 * words
    return runs * (inside * whole + (1 - inside) * (20 + 3 * words + (3 * words if is_words else 5 * run_bytes)))


def _ring_rows(site: Site) -> Array:
    """Weights as (outputs, bytes of taps), each tap padded to words."""
    w = weights(site)
    return np.pad(w, ((0, 0), (0, 0), (0, 0), (0, -w.shape[3] % CHANNELS))).reshape(len(w), -1)


def _ring(site: Site) -> tuple[Arg, ...]:
    w = Blob("weights", pack(_ring_rows(site)), "four, two and one outputs in turn, see mq_dot.h")
    return line_window(site), In(), w, scale_blob(site), Scratch("int32_t"), Out()


def _is_one_run(site: Site) -> bool:
    """The ring contains the windows without copying."""
    f = ring_fields(site)
    return f["k_h"] == 1 and (f["dilation_w"] == 1 or f["k_w"] == 1)


def _ring_bytes(site: Site) -> int:
    window = 0 if _is_one_run(site) else int(_ring_rows(site).shape[1])
    return 4 * ring_rows(site) * ring_row_words(site) + window


def _ring_cycles(site: Site) -> int:
    f, words = ring_fields(site), int(_ring_rows(site).shape[1]) // 4
    runs = f["k_h"] * (1 if f["dilation_w"] == 1 else f["k_w"])
    gather = 0 if _is_one_run(site) else 12 * runs + (2.75 if f["dilation_w"] == 1 else 5) * words
    pixels = site.out.elements // f["out_c"]
    return CALL + load_cycles(site) + round(pixels * (30 + gather + dot_cycles(words, f["out_c"])))


def _conv2d_cycles(site: Site) -> int:
    (_, runs, run_bytes), outputs = (int(n) for n in weight_runs(site).shape), site.out.shape[3]
    groups = site.ins[0].shape[3] // site.ins[1].shape[3]
    pixels, words = site.out.elements // outputs, -(-run_bytes // 4)
    gather = gather_cycles(site)
    return CALL + round(pixels * (60 + groups * (gather + dot_cycles(words * runs, outputs // groups))))


def _takes_ring(site: Site) -> bool:
    return is_ungrouped(site) and takes(site)


VARIANTS = (
    Variant(
        "conv2d_ring_s8",
        "mq_conv2d_ring.h",
        Conv2D,
        _takes_ring,
        _ring,
        _ring_bytes,
        overlap_offsets=ring_overlap_offsets,
        cycles=_ring_cycles,
        step_bytes=520,
        shared_bytes=720,
        shared=DOT,
    ),
    Variant(
        "fully_connected_dot_s8",
        "mq_fully_connected_dot.h",
        FullyConnected,
        _takes_rows,
        _connected,
        cycles=_connected_cycles,
        step_bytes=40,
        shared_bytes=60,
        shared=DOT,
    ),
    Variant(
        "conv2d_dot_s8",
        "mq_conv2d_dot.h",
        Conv2D,
        takes,
        _conv2d,
        lambda site: weight_rows(site).shape[1],
        overlap_offsets=_overlap_offsets,
        cycles=_conv2d_cycles,
        step_bytes=500,
        shared_bytes=700,
        shared=DOT,
    ),
)
