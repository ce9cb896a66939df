"""TensorFlow's audio front end (microfrontend) with any parameters, over samples in numpy.

frontend = MicroFrontend()
features = frontend.features(samples)  # int16 samples -> (frames, channels)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arithmetic import fft16
from ..arithmetic import front_end as steps
from ..errors import CalibrationError, ModelError
from . import micro_constants as constants

NOISE_BITS = 14
"""Fraction bits of the factors of the noise's average."""
_FFT_LENGTHS = (16, 4096)
_FRAMES_AT_ONCE = 256


@dataclass(frozen=True)
class MicroFrontend:
    """Parameters of the front end; the defaults are those of microWakeWord and micro_speech.

    `window` and `step` are in samples; the transform's length is the next power of two. `low_hz` to `high_hz` is the
    band of `channels` triangular filters, evenly spaced on the mel scale. Noise of even and odd channels is averaged
    with the weights `even_smoothing` and `odd_smoothing` of the newest frame; of a signal, at least the share
    `min_signal_remaining` remains. The gain is (noise + `gain_offset`) ^ -`gain_strength`.

    With `library` "microfrontend", scaling ignores samples of -32768 as that library does; "signal" is the rule of
    TensorFlow Lite Micro's signal library, and the one that a .tflite can express. They differ on such samples alone.

    A feature is 64 times a natural logarithm. `unit` is the real value of one: networks of microWakeWord are trained on
    features of 10/256.

    ModelError for parameters that do not go together.
    """

    rate_hz: int = 16000
    window: int = 480
    step: int = 160
    channels: int = 40
    low_hz: float = 125.0
    high_hz: float = 7500.0
    even_smoothing: float = 0.025
    odd_smoothing: float = 0.06
    min_signal_remaining: float = 0.05
    gain_strength: float = 0.95
    gain_offset: float = 80.0
    smoothing_bits: int = 10
    log_scale: int = 64
    unit: float = 10 / 256
    library: str = "microfrontend"

    def __post_init__(self) -> None:
        if not 1 <= self.step <= self.window <= _FFT_LENGTHS[1]:
            raise ModelError(
                f"a window of {self.window} samples and a step of {self.step} are not valid: expected a window of at "
                f"most {_FFT_LENGTHS[1]} samples, and a step from 1 to the window"
            )
        if not 1 <= self.channels <= 256:
            raise ModelError(f"{self.channels} channels are not valid: expected 1 to 256")
        if not 0 <= self.low_hz < self.high_hz <= self.rate_hz / 2:
            raise ModelError(
                f"a band from {self.low_hz:g} to {self.high_hz:g} Hz is not valid: expected one in 0 to "
                f"{self.rate_hz / 2:g} Hz"
            )
        if self.library not in ("microfrontend", "signal"):
            raise ModelError(f"library {self.library!r} is not known: expected 'microfrontend' or 'signal'")

    @property
    def fft_length(self) -> int:
        return max(_FFT_LENGTHS[0], 1 << (self.window - 1).bit_length())

    @property
    def correction_bits(self) -> int:
        """Fraction bits that the square root of an energy lacks: half of those of the filters' weights are in it."""
        return self.fft_length.bit_length() - 1 - constants.WEIGHT_BITS // 2

    @property
    def snr_shift(self) -> int:
        return constants.GAIN_BITS - self.correction_bits - constants.SNR_BITS

    @property
    def ignores_lowest(self) -> bool:
        return self.library == "microfrontend"

    @cached_property
    def window_weights(self) -> npt.NDArray[np.int16]:
        return constants.hann_window(self.window)

    @cached_property
    def filters(self) -> tuple[int, int, steps.Filters]:
        """First bin, bin behind the last, and the filters' constants."""
        bins = self.fft_length // 2 + 1
        return constants.mel_filters(bins, self.rate_hz, self.channels, self.low_hz, self.high_hz)

    @cached_property
    def gains(self) -> npt.NDArray[np.int16]:
        input_bits = self.smoothing_bits - self.correction_bits
        return constants.gain_table(self.gain_strength, self.gain_offset, input_bits)

    @cached_property
    def subtraction(self) -> steps.Subtraction:
        smoothing = _parts(self.even_smoothing), _parts(self.odd_smoothing)
        one = 1 << NOISE_BITS
        rest = one - smoothing[0], one - smoothing[1]
        return steps.Subtraction(
            smoothing, rest, self.smoothing_bits, _parts(self.min_signal_remaining), NOISE_BITS, clamping=False
        )

    def frames(self, count: int) -> int:
        """The number of frames of `count` samples."""
        return max(0, (count - self.window) // self.step + 1)

    def features(self, samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
        """(frames, channels) of int16 samples (T,); the first frame begins with the first sample, without noise so far.

        Times `unit` they are what a network is trained on. CalibrationError for other samples.
        """
        x = np.asarray(samples)
        if x.dtype != np.int16 or x.ndim != 1:
            raise CalibrationError(f"samples are {x.dtype} of shape {x.shape}, expected int16 of one axis")
        count = self.frames(len(x))
        if not count:
            return np.zeros((0, self.channels), np.int16)
        views = np.lib.stride_tricks.sliding_window_view(x, self.window)[:: self.step]
        noise, parts = np.zeros(self.channels, np.uint64), []
        for at in range(0, count, _FRAMES_AT_ONCE):
            values, noise = self._normalized(self.spectra(views[at : at + _FRAMES_AT_ONCE]), noise)
            parts.append(steps.logarithms(values, self.log_scale, self.correction_bits))
        return np.concatenate(parts)

    def tensor(self, samples: Any) -> Any:
        """Features of samples as real numbers (`unit` each): a PyTorch tensor (frames, channels) of float32.

        `samples` is a tensor of int16 (T,) or (N, T); N recordings give (N, frames, channels). It has no gradient: the
        arithmetic is that of the device, in integers.
        """
        import torch

        rows = samples.detach().cpu().numpy()
        features = np.stack([self.features(row) for row in rows]) if rows.ndim == 2 else self.features(rows)
        return torch.from_numpy(features.astype(np.float32) * np.float32(self.unit)).to(samples.device)

    def spectra(self, frames: npt.NDArray[np.int16]) -> steps.Words:
        """(F, channels) amplitudes of frames (F, window)."""
        x = steps.windowed(frames, self.window_weights, constants.WINDOW_BITS)
        shifts = steps.free_bits(x, self.ignores_lowest)
        pairs = fft16.real_transform(steps.shifted(x, shifts), self.fft_length)
        start, end, filters = self.filters
        sums = steps.filtered(steps.energies(pairs, start, end), filters)
        return np.asarray(steps.nearest_root(sums) >> steps.words(shifts)[:, None])

    def _normalized(self, spectra: steps.Words, noise: steps.Words) -> tuple[steps.Words, steps.Words]:
        """Without noise and of even loudness; the noise behind the last frame."""
        signals, noises = [], []
        for spectrum in spectra:
            signal, noise = steps.subtracted(spectrum, noise, self.subtraction)
            signals.append(signal)
            noises.append(noise)
        return steps.normalized(np.array(signals), np.array(noises), self.gains, self.snr_shift), noise


def _parts(share: float) -> int:
    return int(share * (1 << NOISE_BITS))
