"""The ring of rows for windows; firmware/kernels/dsp/mq_ring.h."""

from __future__ import annotations

import numpy as np

from ..shared.conv_fields import line_window
from ..shared.overlap import lead
from ..variant import Site

CHANNELS = 4
"""Channels per word."""


def ring_fields(site: Site) -> dict[str, int]:
    return {name: value for name, value in line_window(site).fields.items() if isinstance(value, int)}


def ring_rows(site: Site) -> int:
    """Rows of the ring."""
    f = ring_fields(site)
    return (f["k_h"] - 1) * f["dilation_h"] + 1


def ring_row_words(site: Site) -> int:
    f = ring_fields(site)
    return ((f["out_w"] - 1) * f["stride_w"] + (f["k_w"] - 1) * f["dilation_w"] + 1) * -(-f["in_c"] // CHANNELS)


def ring_overlap_offsets(site: Site) -> tuple[int | None, ...]:
    """Rows of the image are copied before a row of outputs is written."""
    f, x, y = ring_fields(site), site.ins[0], site.out
    sample, row = np.indices((f["batch"], f["out_h"])).reshape(2, -1)
    needed = np.clip(row * f["stride_h"] - f["pad_top"] + ring_rows(site), 0, f["in_h"]) + sample * f["in_h"]
    is_last = row == f["out_h"] - 1
    needed = np.where(is_last, (sample + 1) * f["in_h"], needed)
    written = (sample * f["out_h"] + row + 1) * (y.nbytes // (f["batch"] * f["out_h"]))
    return (lead(written, needed * (x.nbytes // (f["batch"] * f["in_h"])), x.nbytes),)


def load_cycles(site: Site) -> int:
    """Copying the pixels inside the image, and filling the padding around them."""
    f = ring_fields(site)
    rows = min((f["out_h"] - 1) * f["stride_h"] + ring_rows(site), f["out_h"] * ring_rows(site))
    words = -(-f["in_c"] // CHANNELS)
    pixels = ring_row_words(site) // words
    inside = min(f["in_h"], max(rows - f["pad_top"], 0)) * min(f["in_w"], max(pixels - f["pad_left"], 0))
    pixel = 3 * words if f["in_c"] % CHANNELS == 0 else 24 + 6.5 * words
    return round(f["batch"] * (40 * rows + pixel * inside + 3 * words * (rows * pixels - inside)))
