"""Constants of TensorFlow's audio front end, in single precision where its C code computes in it.

Source: tensorflow/lite/experimental/microfrontend/lib: window_util.c, filterbank_util.c and pcan_gain_control_util.c.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..arithmetic.front_end import Filters
from ..errors import ModelError

WINDOW_BITS = 12
WEIGHT_BITS = 12
GAIN_BITS = 21
SNR_BITS = 12
_F = np.float32


def hann_window(size: int) -> npt.NDArray[np.int16]:
    """floor(4096 * (0.5 - 0.5 cos(2 pi (i + 0.5) / size)) + 0.5), int16 (size)."""
    turn = _F(np.pi) * _F(2) / _F(size)
    values = _F(0.5) - _F(0.5) * np.cos(turn * (np.arange(size, dtype=_F) + _F(0.5)))
    return np.asarray(np.floor(values * _F(1 << WINDOW_BITS) + _F(0.5)), np.int16)


def mel(hz: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """1127 ln(1 + hz / 700)."""
    return np.asarray(_F(1127) * np.log1p(np.asarray(hz, _F) / _F(700)), _F)


def mel_filters(bins: int, rate_hz: int, channels: int, low_hz: float, high_hz: float) -> tuple[int, int, Filters]:
    """(first bin, bin behind the last, constants) of triangles that are evenly spaced on the mel scale.

    `bins` are those of the transform, from 0 to half the rate. ModelError where a filter reaches beyond the last bin.
    """
    low, high = mel(low_hz), mel(high_hz)
    spacing = (high - low) / _F(channels + 1)
    centers = np.asarray(low + spacing * np.arange(1, channels + 2, dtype=_F), _F)
    hz_per_bin = _F(0.5 * rate_hz / (bins - 1))
    places = mel(np.arange(bins, dtype=_F) * hz_per_bin)
    start = int(1.5 + low_hz / float(hz_per_bin))
    ends = np.maximum(np.searchsorted(places, centers, side="right"), start)
    if ends[-1] >= bins:
        raise ModelError(
            f"the highest filter reaches {high_hz:g} Hz, beyond the last of {bins} bins at {rate_hz / 2:g} Hz: "
            "expected a lower limit of the band"
        )
    starts = np.concatenate([[start], ends[:-1]])
    below = np.array([low, *centers[:-1]], _F)
    weights, unweights = _triangles(places, starts, ends, below, centers)
    widths = ends - starts
    first = np.concatenate([[0], np.cumsum(widths)[:-1]])
    return start, int(ends[-1]), Filters(weights, unweights, *(v.astype(np.int16) for v in (starts, first, widths)))


def _triangles(
    places: npt.NDArray[np.float32],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    below: npt.NDArray[np.float32],
    centers: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """Falling weights from each center's predecessor to it, and 1 minus these."""
    parts = [
        (center - places[a:b]) / (center - low) for a, b, low, center in zip(starts, ends, below, centers, strict=True)
    ]
    share = np.concatenate(parts).astype(np.float64)
    one = 1 << WEIGHT_BITS
    weights, unweights = (np.floor(v * one + 0.5).astype(np.int16) for v in (share, 1.0 - share))
    return weights, unweights


def gain_table(strength: float, offset: float, input_bits: int) -> npt.NDArray[np.int16]:
    """Coefficients of 2^21 (x / 2^input_bits + offset)^-strength, for `arithmetic.front_end.gains`, int16 (125)."""
    table = np.zeros(125, np.int64)
    table[:2] = _gain(np.array([0, 1]), strength, offset, input_bits)
    for bits in range(2, 33):
        low = 1 << (bits - 1)
        points = np.array([low, low + (low >> 1), 2 * low if bits < 32 else 2 * low - 1])
        y0, y1, y2 = _gain(points, strength, offset, input_bits).tolist()
        linear = 4 * (y1 - y0) - (y2 - y0)
        table[4 * bits - 6 : 4 * bits - 3] = y0, linear, (y2 - y0) - linear
    return table.astype(np.int16)


def _gain(x: npt.NDArray[np.int64], strength: float, offset: float, input_bits: int) -> npt.NDArray[np.int64]:
    real = x.astype(_F) / _F(1 << input_bits)
    gain = _F(1 << GAIN_BITS) * np.power(real + _F(offset), _F(-strength))
    return np.where(gain > _F(32767), 32767, (np.minimum(gain, _F(32767)) + _F(0.5)).astype(np.int64))
