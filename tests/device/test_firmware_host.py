"""Parts of the firmware that need no chip, compiled for this computer and compared with Python."""

from __future__ import annotations

import ctypes
import math
import subprocess
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tinyfw
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcuquant.boards.board import load_board

U32 = st.integers(0, 2**32 - 1)
FLOATS = st.floats(width=32)


class Tensor(ctypes.Structure):
    """mq_tensor_t"""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("offset", ctypes.c_uint32),
        ("bytes", ctypes.c_uint32),
        ("type", ctypes.c_int),
        ("rank", ctypes.c_uint8),
        ("shape", ctypes.c_void_p),
        ("scale", ctypes.c_float),
        ("zero_point", ctypes.c_int32),
    )


TYPES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "int64": 4}


@pytest.fixture(scope="module")
def c(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = ctypes.CDLL(str(tinyfw.host_library(tmp_path_factory.mktemp("host"))))
    library.mq_crc32.restype = ctypes.c_uint32
    library.mq_crc32.argtypes = (ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t)
    library.mq_divide.restype = ctypes.c_uint64
    library.mq_format_u64.argtypes = (ctypes.c_char_p, ctypes.c_uint64)
    library.mq_format_fixed3.argtypes = (ctypes.c_char_p, ctypes.c_float)
    library.mq_dequantize.restype = ctypes.c_float
    library.mq_quantize.argtypes = (ctypes.POINTER(Tensor), ctypes.c_float)
    return library


def text(format_number: Callable[..., object], value: float) -> str:
    buffer = ctypes.create_string_buffer(32)
    format_number(buffer, value)
    return buffer.value.decode("ascii")


@settings(deadline=None, max_examples=500)
@given(FLOATS)
@example(0.0005)
@example(0.0015)
@example(-0.0004)
@example(1e-45)
@example(2.0**53)
@example(-math.inf)
@example(math.nan)
@example(0.9995)
@example(16777216.0)
def test_fixed3_is_printf(c: ctypes.CDLL, value: float) -> None:
    value = float(np.float32(value))
    expected = f"{value:.3f}" if abs(value) < 2.0**53 or math.isnan(value) else "-inf" if value < 0 else "inf"
    assert text(c.mq_format_fixed3, value) == expected


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 2**10), st.integers(1, 12))
def test_fixed3_ties_go_to_even(c: ctypes.CDLL, whole: int, bits: int) -> None:
    """Dyadic fractions hit ties, where binary to decimal rounding is easily wrong."""
    value = whole + 1 / 2**bits
    assert text(c.mq_format_fixed3, value) == f"{value:.3f}"


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 2**64 - 1))
@example(0)
@example(2**64 - 1)
@example(2**32)
def test_decimal_and_hexadecimal(c: ctypes.CDLL, value: int) -> None:
    assert text(c.mq_format_u64, value) == str(value)
    assert text(c.mq_format_hex, value & 0xFFFFFFFF) == f"{value & 0xFFFFFFFF:08x}"


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 2**64 - 1), st.integers(1, 2**32 - 1))
@example(2**64 - 1, 2**32 - 1)
def test_division(c: ctypes.CDLL, value: int, divisor: int) -> None:
    rest = ctypes.c_uint32()
    assert c.mq_divide(ctypes.c_uint64(value), ctypes.c_uint32(divisor), ctypes.byref(rest)) == value // divisor
    assert rest.value == value % divisor


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300), U32)
def test_crc(c: ctypes.CDLL, data: bytes, start: int) -> None:
    assert c.mq_crc32(start, data, len(data)) == zlib.crc32(data, start)


@settings(deadline=None, max_examples=300)
@given(st.text(st.sampled_from("0123456789abcfgABFx -+"), max_size=12))
@example("4294967295")
@example("4294967296")
@example("99999999999999999999999999")
def test_parsing_takes_whole_numbers_of_32_bits_alone(c: ctypes.CDLL, word: str) -> None:
    for parse, digits, base in ((c.mq_parse_u32, "0123456789", 10), (c.mq_parse_hex, "0123456789abcdefABCDEF", 16)):
        value = ctypes.c_uint32()
        is_number = word != "" and all(char in digits for char in word) and int(word, base) < 2**32
        assert bool(parse(word.encode(), ctypes.byref(value))) == is_number
        assert value.value == (int(word, base) if is_number else 0)


@settings(deadline=None, max_examples=500)
@given(
    FLOATS,
    st.sampled_from(["int8", "int16", "int32"]),
    st.floats(2.0**-20, 2.0**10, width=32),
    st.integers(-128, 127),
)
@example(0.5, "int8", 1.0, 0)
@example(-0.5, "int8", 1.0, 0)
@example(float(np.nextafter(np.float32(0.5), np.float32(0))), "int8", 1.0, 0)
@example(2147483648.0, "int32", 1.0, 0)
def test_quantize(c: ctypes.CDLL, real: float, dtype: str, scale: float, zero_point: int) -> None:
    """float32 division, then halves away from zero, exactly; limited to the type."""
    zero_point = 0 if dtype == "int32" else zero_point
    info = np.iinfo(dtype)
    tensor = Tensor(type=TYPES[dtype], scale=scale, zero_point=zero_point)
    made = c.mq_quantize(ctypes.byref(tensor), real)
    with np.errstate(all="ignore"):
        scaled = float(np.float32(real) / np.float32(scale))
    if math.isnan(scaled):
        assert made == zero_point
    elif math.isinf(scaled):
        assert made == (info.max if scaled > 0 else info.min)
    else:
        nearest = math.floor(abs(Fraction(scaled)) + Fraction(1, 2)) * (1 if scaled >= 0 else -1)
        assert made == min(max(nearest + zero_point, info.min), info.max)


@settings(deadline=None, max_examples=200)
@given(st.integers(-128, 127), st.floats(2.0**-20, 2.0**10, width=32), st.integers(-128, 127))
def test_dequantize(c: ctypes.CDLL, stored: int, scale: float, zero_point: int) -> None:
    tensor = Tensor(type=TYPES["int8"], scale=scale, zero_point=zero_point)
    made = c.mq_dequantize(ctypes.byref(tensor), stored)
    assert np.float32(made) == np.float32(scale) * np.float32(stored - zero_point)


def test_sizes_of_types(c: ctypes.CDLL) -> None:
    assert {name: c.mq_type_bytes(number) for name, number in TYPES.items()} == {
        name: np.dtype(name).itemsize for name in TYPES
    }


# The host runner.


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tinyfw.host_program(load_board("qemu-mps2-an386"), tmp_path_factory.mktemp("runner"))


def run(runner: Path, data: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([runner, *arguments], input=data, capture_output=True, check=False)


def test_the_runner_takes_samples_and_gives_outputs(runner: Path) -> None:
    rng = np.random.default_rng(1)
    inputs = [tinyfw.samples(rng) for _ in range(5)]
    data = b"".join(a + b for a, b in inputs)
    done = run(runner, data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"".join(b"".join(tinyfw.network(x)[3]) for x in inputs)
    steps = run(runner, data, "--steps")
    assert steps.stdout == b"".join(b"".join(t[0] for t in tinyfw.network(x)[:3]) for x in inputs)
    assert run(runner, b"").stdout == b""


def test_the_runner_says_what_is_wrong(runner: Path) -> None:
    short = run(runner, bytes(708 + 100))
    assert (short.returncode, short.stderr) == (1, f"{runner}: the last sample has 100 of 708 bytes\n".encode())
    assert len(short.stdout) == 708
    usage = run(runner, b"", "--bogus")
    assert (usage.returncode, usage.stderr) == (
        2,
        f"usage: {runner} [--steps] [--reset-each] < samples > outputs\n".encode(),
    )
