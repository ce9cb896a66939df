"""The demo's recordings: read without running a pickle, cut and split so that no person is in two parts."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from demo_recordings import recordings

from mcuquant.demo import data
from mcuquant.demo.recordings import read_recordings
from mcuquant.errors import ModelError, ToolError


def npy_of(pickled: bytes) -> bytes:
    """A .npy file of one object, as numpy writes it."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": ()})
    return stream.getvalue() + pickled


def as_python_2(value: Any) -> bytes:
    """A pickle as the file has it: protocol 2, numpy's old name."""
    return pickle.dumps(np.array(value, dtype=object), protocol=2).replace(b"numpy._core", b"numpy.core")


def test_a_file_of_arrays_is_read() -> None:
    written = recordings()
    written["X"][0] = np.asfortranarray(written["X"][0])
    read = read_recordings(npy_of(as_python_2(written)))
    assert read.keys() == written.keys()
    assert all(np.array_equal(a, b) for a, b in zip(read["X"], written["X"], strict=True))
    assert all(np.array_equal(read[key], written[key]) for key in ("y", "subject", "side"))
    assert read["y_labels"] == written["y_labels"]


class Runs:
    """Unpickled by pickle.loads, calls `function` with `arguments`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def refusal(pickled: bytes) -> str:
    with pytest.raises(ModelError) as error:
        read_recordings(npy_of(pickled), "x.npy")
    return str(error.value)


def refused(reason: str) -> str:
    return (
        f"x.npy is not the recordings file it should be ({reason}); nothing in it was run. "
        "Delete it and install seglearn 1.2.5 again: pip install --no-deps seglearn==1.2.5"
    )


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_runs_a_command_is_refused(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "run"
    hostile = pickle.dumps(Runs(os.mkdir, str(trace)), protocol=protocol)
    module = os.mkdir.__module__
    assert refusal(hostile) == refused(f"it asks for {module}.mkdir")
    assert not trace.exists()
    pickle.loads(hostile)
    assert trace.exists(), "the pickle does run where pickle is trusted"


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (eval, ("1",), "__builtin__.eval"),
        (subprocess.run, (["true"],), "commands.run"),
        (getattr, ("a", "upper"), "__builtin__.getattr"),
        (np.load, ("x",), "numpy.load"),
        (np.array, ([1],), "numpy.array"),
    ],
)
def test_no_name_but_those_of_arrays_is_answered(function: Any, arguments: Any, name: str) -> None:
    """`name` is what Python 2 called it, as protocol 2 writes it."""
    inside = recordings() | {"y": Runs(function, *arguments)}
    assert refusal(as_python_2(inside)) == refused(f"it asks for {name}")


BROKEN = {
    "a type of its own": (
        as_python_2({"y": np.zeros(3, np.complex128)}),
        "array type 'c16'",
    ),
    "an encoding that is none": (
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.",
        "encoding 'zip'",
    ),
    "not a dict of arrays": (as_python_2(1), "'int' object has no attribute 'items'"),
    "cut short": (as_python_2(recordings())[:500], "pickle data was truncated"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(name: str) -> None:
    pickled, reason = BROKEN[name]
    assert refusal(pickled) == refused(reason)


def test_too_few_bytes_for_a_shape() -> None:
    pickled = as_python_2({"y": np.zeros(3)}).replace(b"K\x01K\x03\x85", b"K\x01K\x7f\x85")
    assert refusal(pickled) == refused("buffer is smaller than requested size")


def test_text_instead_of_a_file() -> None:
    with pytest.raises(ModelError, match="x is not the recordings file it should be"):
        read_recordings(b"hello", "x")


# ---- windows and people ------------------------------------------------------------------------------------------


def test_windows_stay_within_a_recording() -> None:
    cut = data.cut(recordings())
    assert cut.x.shape == (4, 6, 128)
    assert cut.x.dtype == np.float32
    assert cut.y.tolist() == [0, 0, 0, 1]
    assert cut.subject.tolist() == [1, 1, 1, 2]
    signal = recordings()["X"][0].astype(np.float32)
    assert np.array_equal(cut.x[1], signal[64:192].T)


def test_no_person_is_in_two_parts_and_scales_come_from_training_alone() -> None:
    read = recordings((200,) * 10)
    loaded = data.load(read)
    assert set(loaded.train.subject) == {1, 2, 3, 4, 5, 6, 7}
    assert set(loaded.test.subject) == {8, 9, 10}
    for axes in (slice(0, 3), slice(3, 6)):
        assert np.sqrt(np.square(loaded.train.x[:, axes]).mean()) == pytest.approx(1, abs=1e-3)
    read["X"][9] = read["X"][9] * 100
    again = data.load(read)
    assert again.units == loaded.units
    assert np.array_equal(again.train.x, loaded.train.x)


def test_the_command_line_gets_its_files(tmp_path: Path) -> None:
    read = recordings((300,) * 10)
    loaded = data.load(read)
    data.save(loaded, tmp_path / "new")
    with np.load(tmp_path / "new" / "test.npz") as file:
        assert np.array_equal(file["x"], loaded.test.x)
        assert np.array_equal(file["y"], loaded.test.y)
    with np.load(tmp_path / "new" / "recording.npz") as file:
        assert np.array_equal(file["x"], read["X"][7].astype(np.float32))
    constants = json.loads((tmp_path / "new" / "stats.json").read_text())
    assert constants["std"] == [loaded.units[0]] * 3 + [loaded.units[1]] * 3
    assert np.array_equal(
        loaded.test.x[0], (read["X"][7][:128].T.astype(np.float32)) / np.float32(constants["std"])[:, None]
    )


# ---- where the file comes from -------------------------------------------------------------------------------------


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No installed package, an empty cache; gives the place of the cached file."""
    monkeypatch.setattr(data, "_installed", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "mcuquant" / "watch_dataset.npy"


def test_a_download_is_checked_and_kept(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    monkeypatch.setattr(data, "_downloaded", lambda: b"recordings")
    with pytest.raises(ModelError) as error:
        data.find_file()
    assert str(error.value) == (
        "seglearn/data/watch_dataset.npy of seglearn==1.2.5 has the SHA-256 "
        f"{hashlib.sha256(b'recordings').hexdigest()}, expected {data.SHA256}: not used"
    )
    assert not nowhere.exists()
    monkeypatch.setattr(data, "SHA256", hashlib.sha256(b"recordings").hexdigest())
    assert data.find_file() == b"recordings"
    monkeypatch.setattr(data, "_downloaded", lambda: pytest.fail("downloaded again"))
    assert data.find_file() == b"recordings"
    nowhere.write_bytes(b"spoilt")
    monkeypatch.setattr(data, "_downloaded", lambda: b"recordings")
    assert data.find_file() == nowhere.read_bytes() == b"recordings"


def test_without_a_network_the_command_to_run_is_said(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    failure = subprocess.CalledProcessError(1, ["pip"], stderr="WARNING: retrying\nERROR: no route to host\n")

    def run(*_: Any, **__: Any) -> None:
        raise failure

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(data.sys, "executable", "python3")
    with pytest.raises(ToolError) as error:
        data.find_file()
    assert str(error.value) == (
        "the demo's recordings could not be downloaded (ERROR: no route to host); with a network, "
        "run: python3 -m pip install --no-deps seglearn==1.2.5"
    )


def test_the_real_recordings() -> None:
    """Installed by the set-up."""
    path = data._installed()
    if path is None or not path.is_file():
        pytest.skip("seglearn is not installed: pip install --no-deps seglearn==1.2.5")
    loaded = data.load()
    assert loaded.classes == ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
    assert (len(loaded.train), len(loaded.test)) == (2460, 1145)
    assert set(loaded.train.y) == set(loaded.test.y) == set(range(7))
    assert loaded.units == pytest.approx((0.7446, 1.75), rel=0.05)
