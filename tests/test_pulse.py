"""The benchmark of a pulse recording: its reference, and equal errors of the float network and of the device."""

from __future__ import annotations

import re

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import pulse
from mcuquant.errors import ToolError


@pytest.mark.parametrize("rate", [50, 72, 100, 150])
def test_the_reference_is_the_rate_of_a_pulse(rate: int) -> None:
    beats = np.arange(pulse.WINDOW) / pulse.RATE_HZ * rate / 60
    wave = np.exp(4 * np.cos(2 * np.pi * beats)) + 5 * np.cos(4 * np.pi * beats)
    assert pulse.heart_rate(wave) == pytest.approx(rate, abs=1)


def test_noise_has_no_rate() -> None:
    noise = np.random.default_rng(0).normal(size=pulse.WINDOW)
    assert np.isnan(pulse.heart_rate(noise))


def test_stretched_recordings_have_other_rates() -> None:
    wave = np.sin(2 * np.pi * np.arange(400) / pulse.RATE_HZ * 80 / 60)
    (slow,) = pulse.stretched(wave, [1.25])
    assert pulse.heart_rate(slow[: pulse.WINDOW]) == pytest.approx(64, abs=1)


@pytest.mark.slow
@pytest.mark.emulator
@pytest.mark.timeout(900)
def test_the_device_is_as_exact_as_the_float_network() -> None:
    try:
        pulse.recording()
    except ToolError as error:
        pytest.skip(str(error))
    result = CliRunner().invoke(pulse.main, [])
    assert result.exit_code == 0, result.output
    errors = [float(e) for e in re.findall(r"(?:mean absolute|mean) error ([\d.]+)", result.output)]
    assert len(errors) == 4
    assert all(device == pytest.approx(real, rel=0.02) for real, device in zip(errors[::2], errors[1::2], strict=True))
