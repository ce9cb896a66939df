"""Speech for the wake-word demo: phrases by Debian's synthesizers flite and espeak-ng, and recordings of a person.

The recordings are those of the Debian package asterisk-core-sounds-en-wav, where it is installed.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import ToolError

Samples = npt.NDArray[np.int16]

RATE_HZ = 16000
FLITE_VOICES = ("slt", "rms", "awb", "kal16")
ESPEAK_VOICES = ("en-us",)
PEOPLE = Path("/usr/share/asterisk/sounds")
_GAP_S = 1.0
_NOISE = 12.0
"""Standard deviation of the room's noise, in steps of the converter."""
_PEAK = 12000


@dataclass(frozen=True, slots=True)
class Utterance:
    """`wakes`: whether it is the wake word. It lies from sample `start` to before `end` of the recording."""

    text: str
    speaker: str
    wakes: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    samples: Samples
    utterances: tuple[Utterance, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE_HZ


def need_speech() -> None:
    """ToolError without a synthesizer."""
    if not _speakers():
        raise ToolError("no speech synthesizer was found: apt install flite espeak-ng (Debian, Ubuntu)")


def recording(word: str, others: Sequence[str], people: int, seed: int) -> Recording:
    """The word by all synthetic voices, other phrases by one each, and `people` recordings of a person.

    They are in random order, with room noise below and between them.
    """
    rng = np.random.default_rng(seed)
    voices = _speakers()
    phrases = [(word, speaker) for speaker in voices]
    phrases += [(text, voices[int(rng.integers(len(voices)))]) for text in others]
    spoken = [(text, speaker, text == word, say(text, speaker)) for text, speaker in phrases]
    spoken += [(path.stem, "person", False, read(path)) for path in _people(rng, people)]
    parts, utterances, at = [_silence(rng)], [], 0
    for i in rng.permutation(len(spoken)):
        text, speaker, wakes, samples = spoken[i]
        at = sum(map(len, parts))
        parts += [_levelled(samples), _silence(rng)]
        utterances.append(Utterance(text, speaker, wakes, at, at + len(samples)))
    whole = np.concatenate(parts)
    noisy = np.rint(whole + rng.normal(0, _NOISE, len(whole)))
    return Recording(np.clip(noisy, -32768, 32767).astype(np.int16), tuple(utterances))


def say(text: str, speaker: str) -> Samples:
    """`text` by a voice of flite or espeak-ng."""
    tool, _, voice = speaker.partition(" ")
    flite = ["flite", "-voice", voice, "-t", text, "-o", "/dev/stdout"]
    command = flite if tool == "flite" else ["espeak-ng", "-v", voice, "--stdout", text]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise ToolError(f"{tool} says nothing with voice {voice}: {done.stderr.decode(errors='replace').strip()[:200]}")
    return _wave(done.stdout)


def read(path: Path) -> Samples:
    return _wave(path.read_bytes())


def _speakers() -> list[str]:
    voices = {"flite": FLITE_VOICES, "espeak-ng": ESPEAK_VOICES}
    return [f"{tool} {voice}" for tool, names in voices.items() if shutil.which(tool) for voice in names]


def _people(rng: np.random.Generator, count: int) -> list[Path]:
    """Recordings of words and sentences: files of a useful length."""
    files = sorted(p for p in PEOPLE.glob("en*/*.wav") if 16_000 < p.stat().st_size < 80_000)
    chosen = rng.permutation(len(files))[:count]
    return [files[i] for i in chosen]


def _wave(data: bytes) -> Samples:
    """Mono samples of 16 bits at RATE_HZ. Streams of tools state no length: it is that of the data."""
    with wave.open(io.BytesIO(data)) as file:
        rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
        raw = file.readframes(len(data))
    if width != 2:
        raise ToolError(f"speech has {8 * width} bits a sample, expected 16")
    samples = np.frombuffer(raw[: len(raw) // 2 * 2], "<i2").reshape(-1, channels)[:, 0]
    return resampled(samples, rate)


def resampled(samples: Samples, rate_hz: int) -> Samples:
    """At RATE_HZ, by the spectrum of the whole."""
    if rate_hz == RATE_HZ or not len(samples):
        return samples.astype(np.int16)
    count = len(samples) * RATE_HZ // rate_hz
    spectrum = np.fft.rfft(samples.astype(np.float64))
    wanted = np.zeros(count // 2 + 1, np.complex128)
    kept = min(len(wanted), len(spectrum))
    wanted[:kept] = spectrum[:kept]
    values = np.fft.irfft(wanted, count) * (count / len(samples))
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)


def _levelled(samples: Samples) -> npt.NDArray[np.float64]:
    """As loud as all others."""
    loudest = max(1.0, float(np.abs(samples.astype(np.float64)).max()))
    return samples.astype(np.float64) * (_PEAK / loudest)


def _silence(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return np.zeros(int(_GAP_S * RATE_HZ * rng.uniform(0.8, 1.4)))
