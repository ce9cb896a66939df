"""`mcuquant demo wakeword`: the board hears what pymicro-features and TensorFlow Lite Micro hear."""

from __future__ import annotations

import io
import subprocess
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from mcuquant.cli import main
from mcuquant.demo import speech
from mcuquant.demo.speech import Recording, Utterance
from mcuquant.errors import ToolError

pytest.importorskip("pymicro_wakeword")


def tone(hz: float, rate_hz: int, seconds: float = 0.5) -> np.ndarray[Any, np.dtype[np.int16]]:
    values = 8000 * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)
    return np.rint(values).astype(np.int16)


def wav(samples: np.ndarray[Any, np.dtype[np.int16]], rate_hz: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


@pytest.mark.emulator
def test_the_demo_compares_every_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    samples = np.rint(rng.normal(0, 3000, 16000)).astype(np.int16)
    spoken = Recording(samples, (Utterance("Alexa", "nobody", True, 1000, 6000),))
    monkeypatch.setattr(speech, "need_speech", lambda: None)
    monkeypatch.setattr(speech, "recording", lambda *_: spoken)
    result = CliRunner().invoke(main, ["demo", "wakeword", "-o", str(tmp_path / "demo")])
    assert result.exit_code == 0, result.output
    output = " ".join(result.stdout.split())
    assert "32 inferences: all scores and decisions equal those of this machine and of pymicro-features" in output
    assert "The node wakes 0 of 1 times, and 0 times without the word." in output
    assert "for each of 3 frames of the front end" in output
    with np.load(tmp_path / "demo" / "data" / "recording.npz") as stored:
        assert stored["raw"].shape == (16000, 1)
        assert stored["y"].sum() == 15000


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050])
def test_speech_of_any_rate_is_resampled(rate_hz: int) -> None:
    samples = speech.resampled(tone(440, rate_hz), rate_hz)
    assert len(samples) == 8000
    middle = slice(500, -500)
    error = samples[middle].astype(float) - tone(440, 16000)[middle]
    assert np.abs(error).max() < 200


def test_a_recording_holds_all_phrases_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "en"
    folder.mkdir()
    (folder / "hello.wav").write_bytes(wav(tone(300, 8000, 2), 8000))

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        rate_hz = 16000 if command[0] == "flite" else 22050
        return subprocess.CompletedProcess(command, 0, wav(tone(500, rate_hz), rate_hz), b"")

    monkeypatch.setattr(speech, "PEOPLE", tmp_path)
    monkeypatch.setattr(speech.shutil, "which", lambda name: name)
    monkeypatch.setattr(speech.subprocess, "run", run)
    made = speech.recording("Alexa", ["lights"], 3, 0)
    assert sorted((u.text, u.wakes) for u in made.utterances) == [("Alexa", True)] * 5 + [
        ("hello", False),
        ("lights", False),
    ]
    assert all(a.end < b.start for a, b in zip(made.utterances, made.utterances[1:], strict=False))
    for u in made.utterances:
        assert 11000 < np.abs(made.samples[u.start : u.end]).max() < 13000
    assert np.abs(made.samples[: made.utterances[0].start]).max() < 100
    np.testing.assert_array_equal(made.samples, speech.recording("Alexa", ["lights"], 3, 0).samples)


def test_tools_that_are_missing_or_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech.shutil, "which", lambda _: None)
    with pytest.raises(ToolError) as error:
        speech.need_speech()
    assert str(error.value) == "no speech synthesizer was found: apt install flite espeak-ng (Debian, Ubuntu)"
    silent = subprocess.CompletedProcess([], 1, b"", b"no such voice\n")
    monkeypatch.setattr(speech.subprocess, "run", lambda *_, **__: silent)
    with pytest.raises(ToolError) as error:
        speech.say("Alexa", "flite nobody")
    assert str(error.value) == "flite says nothing with voice nobody: no such voice"
