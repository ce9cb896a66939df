"""Convolution over runs of raw bytes on cores with SMLAD; firmware/kernels/dsp/mq_conv2d_flat.h."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from ...ir import Array
from ...ir.ops import Conv2D
from ..shared.conv_fields import line_window
from ..shared.folded import folded_bias, is_int8
from ..shared.plain_estimates import by_core
from ..shared.requantize import UNIT
from ..variant import CALL, Arg, Blob, In, Number, Out, Scratch, Site, Variant
from .dot_products import has_row_runs, weight_runs
from .gemm import FORMS, Form
from .ring import ring_fields, ring_overlap_offsets, ring_rows

MOST_WORDS = 8
"""Words of a piece at most."""
_HIGHER = 128
"""Bytes at even places of a run are so much higher than they are in the image."""


@dataclass(frozen=True, slots=True)
class Flat:
    """Sizes of the kernel: `unit` divides the places where windows and runs begin; all are those of its C functions."""

    unit: int
    groups: int
    entries: int
    pieces: int
    piece_words: int
    copy_words: int

    @property
    def copies(self) -> int:
        return 4 // self.unit


@lru_cache(maxsize=32)
def flat(site: Site) -> Flat:
    f, (_, runs, run_bytes) = ring_fields(site), weight_runs(site).shape
    by_rows, depth, lead = has_row_runs(site), f["in_c"], -f["pad_left"] * f["in_c"] % 4
    places = [f["stride_w"] * depth, lead, 0 if by_rows else f["dilation_w"] * depth]
    places.append(depth // f["groups"] if f["groups"] > 1 else 0)
    words = -(-run_bytes // 4)
    pieces = -(-words // MOST_WORDS)
    piece = -(-words // pieces)
    pixels = (f["out_w"] - 1) * f["stride_w"] + (f["k_w"] - 1) * f["dilation_w"] + 1
    copy = (lead + pixels * depth + 3) // 4 + pieces * piece + f["stride_w"] * depth // 4 + 1
    return Flat(int(np.gcd.reduce([4, *places])), f["groups"], runs * pieces, pieces, piece, copy)


def takes(site: Site, form: Form) -> bool:
    """Weights whose pairs fit 16 bits, and a requantization that is proven."""
    return site.core.dsp and is_int8(site) and _pairs_fit(site) and form.constants(site) is not None


def _words(site: Site) -> Array:
    """Weights as (outputs, runs, words of all pieces of a run, 4)."""
    runs, plan = weight_runs(site), flat(site)
    width = 4 * plan.pieces * plan.piece_words
    full = np.pad(runs, ((0, 0), (0, 0), (0, width - runs.shape[2])))
    return full.reshape(*full.shape[:2], -1, 4).astype(np.int64)


def _pairs_fit(site: Site) -> bool:
    """256 * even - odd weight is within 16 bits."""
    w = _words(site)
    return not bool(((w[..., 0::2] == -128) & (w[..., 1::2] > 0)).any())


@lru_cache(maxsize=8)
def pack(site: Site, form: Form) -> Array:
    """For each group the stream of mq_flat_sums_t, as (groups, words) of int32. Not to be written to."""
    constants, w, plan = form.constants(site), _words(site), flat(site)
    assert constants is not None
    even = w[..., 0::2].sum(axis=(1, 2, 3))
    start = folded_bias(site) * UNIT + constants[0] - UNIT * _HIGHER * even
    pairs = np.stack([w[..., 1::2], UNIT * w[..., 0::2] - w[..., 1::2]], axis=-2).astype(np.int16)
    words = (
        pairs.reshape(len(w), -1, 2, 2).view(np.int32)[..., 0].astype(np.int64)
    )  # (outputs, words, first and second)
    groups = np.split(np.arange(len(w)), plan.groups)
    stream = np.stack([_group(start[own], words[own], constants[1][own]) for own in groups])
    return stream.astype(np.uint64).astype(np.uint32).view(np.int32)


def _group(start: Array, words: Array, constants: Array) -> Array:
    parts = [slice(i, i + 2) for i in range(0, len(start), 2)]
    return np.concatenate(
        [np.concatenate([start[p], words[p].transpose(1, 2, 0).ravel(), constants[p].ravel()]) for p in parts]
    )


def _args(site: Site, form: Form) -> tuple[Arg, ...]:
    stream = pack(site, form)
    w = Blob("weights", stream, "two outputs in turn, see mq_flat_sums.h")
    return line_window(site), Number(stream.shape[1]), In(), w, Scratch("int32_t"), Out()


def _scratch_bytes(site: Site) -> int:
    plan = flat(site)
    ring = ring_rows(site) * plan.copies * plan.copy_words
    return 4 * (plan.copies * (2 * plan.entries + 2) + ring)


def _cycles(site: Site, form: Form) -> int:
    f, plan = ring_fields(site), flat(site)
    rows = min((f["out_h"] - 1) * f["stride_h"] + ring_rows(site), f["out_h"] * ring_rows(site))
    is_whole = plan.unit == 4 and f["in_c"] % 4 == 0
    word = 3.5 if is_whole else 8 + 4 * (plan.copies - 1) + 2 * (f["in_w"] * f["in_c"] % 4 > 0)
    load = rows * (70 + plan.copy_words * word)
    lists = f["out_h"] * (40 + plan.copies * plan.entries * 22)
    outputs, twice = f["out_c"] // plan.groups, form.words > 1
    two = plan.entries * (17 * plan.piece_words + 10) + 48 + (16 if twice else 0)
    one = plan.entries * (21 * (plan.piece_words // 2) + 11 * (plan.piece_words % 2) + 10) + 32 + (8 if twice else 0)
    pair = 32 + outputs // 2 * two + outputs % 2 * one
    calls = 2 if f["stride_w"] * f["in_c"] % 2 else 1
    row = (calls + f["out_w"] % 2) * 90 + -(-f["out_w"] // 2) * pair
    return CALL + round(f["batch"] * (load + lists + f["out_h"] * plan.groups * row))


VARIANTS = tuple(
    Variant(
        f"conv2d_flat_{form.name}_s8",
        "mq_conv2d_flat.h",
        Conv2D,
        partial(takes, form=form),
        partial(_args, form=form),
        _scratch_bytes,
        overlap_offsets=ring_overlap_offsets,
        cycles=by_core(partial(_cycles, form=form), mve=0.87),
        step_bytes=1900,
        shared_bytes=5000,
    )
    for form in FORMS
)
