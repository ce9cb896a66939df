"""The pytest plugin as a user meets it: pytest inside pytest, on an emulated board and on one that is a socket."""

from __future__ import annotations

import json
import socket
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from plugin_runs import prepared, run

import mcuquant as mq
from mcuquant.device.fake import FakeBoard, FakeFirmware
from mcuquant.device.wire import TensorInfo
from mcuquant.project.project import Project
from mcuquant.testing.hil import difference

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.emulator


@pytest.fixture
def port(desk: Project, tmp_path: Path) -> Iterator[str]:
    """A socket with a board behind it that runs the firmware of the project and gives the answers of the host."""
    graph = mq.load(desk.directory / "model.tflite")
    (x,), (y,) = desk.inputs, desk.outputs

    def network(inputs: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
        sample = np.frombuffer(inputs[0], x.dtype.numpy).reshape(x.shape)
        return [(mq.run(graph, [sample])[0].tobytes(),)]

    firmware = FakeFirmware(
        (TensorInfo(x.dtype.value, x.nbytes),),
        (TensorInfo(y.dtype.value, y.nbytes),),
        1,
        network,
        digest=desk.firmware.digest,
        ticks=8000,
    )
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "port"))
        listener.listen(4)
        threading.Thread(target=serve, args=(listener, FakeBoard(firmware)), daemon=True).start()
        yield f"unix:{tmp_path / 'port'}"


def serve(listener: socket.socket, board: FakeBoard) -> None:
    """One connection after the other, until the listener is closed."""
    try:
        while True:
            connection, _ = listener.accept()
            with connection:
                while data := connection.recv(4096):
                    board.write(data)
                    connection.sendall(board.read(0))
    except OSError:
        return


def test_without_firmware_tests_are_skipped_with_a_reason(pytester: pytest.Pytester, emulated: Project) -> None:
    prepared(pytester, emulated)
    result = run(pytester)
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*no firmware to test: --mq-firmware DIR names a project made by mcuquant compile"])


def test_on_an_emulated_board(pytester: pytest.Pytester, emulated: Project) -> None:
    prepared(pytester, emulated)
    result = run(pytester, "--mq-firmware", emulated.directory, "--mq-record", "r.json", "--junit-xml", "j.xml")
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.fnmatch_lines(["*needs a board on the desk, and qemu-mps2-an386 is emulated"])
    answers, latency, skipped = json.loads((pytester.path / "r.json").read_text())["runs"]
    reason = "needs a board on the desk, and qemu-mps2-an386 is emulated"
    assert (skipped["outcome"], skipped["reason"]) == ("skipped", reason)
    assert (answers["board"], answers["port"], answers["selected_by"]) == ("qemu-mps2-an386", "emulated", "emulated")
    assert (answers["digest"], answers["firmware"]) == (emulated.firmware.digest, str(emulated.directory))
    assert (answers["outcome"], answers["measurements"]) == ("passed", [])
    assert latency["test"].endswith("::test_latency")
    (measured,) = latency["measurements"]
    assert measured["digest"] == emulated.firmware.digest
    cases = {case.get("name"): case for case in ET.parse(pytester.path / "j.xml").iter("testcase")}
    properties = {p.get("name"): p.get("value") for p in cases["test_latency"].iter("property")}
    assert properties["mcuquant.board"] == "qemu-mps2-an386"
    assert properties["mcuquant.digest"] == emulated.firmware.digest
    assert properties["mcuquant.counter"] == measured["counter"]
    assert properties["mcuquant.latency_us"] == str(measured["latency_us"])


def test_the_record_is_whole_under_xdist(pytester: pytest.Pytester, emulated: Project) -> None:
    prepared(pytester, emulated)
    run(pytester, "--mq-firmware", emulated.directory, "--mq-record", "r.json", "-n", "2").assert_outcomes(
        passed=2, skipped=1
    )
    runs = json.loads((pytester.path / "r.json").read_text())["runs"]
    assert sorted(entry["test"].partition("::")[2] for entry in runs) == [
        "test_answers",
        "test_latency",
        "test_on_the_desk",
    ]


def test_on_a_board_behind_a_port(pytester: pytest.Pytester, desk: Project, port: str) -> None:
    prepared(pytester, desk)
    result = run(pytester, "--mq-firmware", desk.directory, "--mq-port", port, "--mq-record", "r.json")
    result.assert_outcomes(passed=3)
    _, latency, last = json.loads((pytester.path / "r.json").read_text())["runs"]
    assert (latency["port"], latency["selected_by"], last["flashed"]) == (port, "--mq-port", None)
    (measured,) = latency["measurements"]
    assert (measured["counter"], measured["cycles"], measured["latency_us"]) == ("cycles (DWT CYCCNT)", 8000, 100.0)


def test_the_map_of_a_lab_leads_to_the_board(pytester: pytest.Pytester, desk: Project, port: str) -> None:
    prepared(pytester, desk)
    (pytester.path / "map.yml").write_text(f"- {{connected: true, platform: nucleo_f411re, serial: '{port}'}}\n")
    run(pytester, "--mq-firmware", desk.directory, "--mq-hardware-map", "map.yml").assert_outcomes(passed=3)


def test_failures_show_both_sides(pytester: pytest.Pytester, desk: Project, port: str) -> None:
    prepared(pytester, desk, max_us=99.5)
    wrong = np.load(pytester.path / "y.npy")
    right = int(wrong[1].reshape(-1)[2])
    wrong[1].reshape(-1)[2] ^= 1
    np.save(pytester.path / "y.npy", wrong)
    result = run(pytester, "--mq-firmware", desk.directory, "--mq-port", port)
    result.assert_outcomes(failed=2, passed=1)
    index = [1, *(int(i) for i in np.unravel_index(2, wrong.shape[1:]))]
    told = f"{index}: {right} on the board, {right ^ 1} expected"
    said = result.stdout.str()
    assert f"AssertionError: nucleo-f411re, output 0: 1 of {wrong.size} elements differ: {told}" in said
    assert (
        "AssertionError: one inference takes 100.0 µs on nucleo-f411re (measured at 80 MHz), "
        "at most 99.5 µs were expected"
    ) in said


def test_a_board_that_is_not_there_skips(pytester: pytest.Pytester, desk: Project) -> None:
    prepared(pytester, desk)
    pytester.makeconftest("import mcuquant.device.plugged as p\np.plugged = lambda: ()\n")
    result = run(pytester, "--mq-firmware", desk.directory)
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*no nucleo-f411re is plugged in, and no --mq-port or hardware map names one"])


def test_a_port_that_is_not_there_skips(pytester: pytest.Pytester, emulated: Project) -> None:
    prepared(pytester, emulated)
    options = ("--mq-firmware", emulated.directory, "--mq-port", "unix:none")
    result = run(pytester, *options, "--mq-record", "r.json")
    result.assert_outcomes(skipped=3)
    reason = "unix:none: cannot be opened: No such file or directory"
    result.stdout.fnmatch_lines([f"*{reason}"])
    runs = json.loads((pytester.path / "r.json").read_text())["runs"]
    assert [(entry["outcome"], entry["reason"]) for entry in runs] == [("skipped", reason)] * 3
    demanded = run(pytester, *options, "--mq-require", "--mq-record", "r.json")
    demanded.assert_outcomes(errors=3)
    demanded.stdout.fnmatch_lines([f"{reason} (--mq-require)"])
    runs = json.loads((pytester.path / "r.json").read_text())["runs"]
    assert [(entry["outcome"], entry["reason"]) for entry in runs] == [("error", f"{reason} (--mq-require)")] * 3


def test_firmware_can_be_demanded(pytester: pytest.Pytester, emulated: Project) -> None:
    prepared(pytester, emulated)
    result = run(pytester, "--mq-require")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["no firmware to test: --mq-firmware DIR names a project * (--mq-require)"])


def test_failures_name_what_they_ran_on(pytester: pytest.Pytester, emulated: Project) -> None:
    prepared(pytester, emulated, max_us=0.001)
    result = run(pytester, "--mq-firmware", emulated.directory)
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            f"ran on qemu-mps2-an386 (emulated, selected by emulated), firmware {emulated.directory}, "
            f"digest {emulated.firmware.digest[:12]}"
        ]
    )


BY_NAME = """
import pytest

@pytest.fixture
def board(request):
    return request.getfixturevalue("mq_dut")

def test_in_a_fixture(board):
    board.bench()

def test_in_the_body(request):
    assert request.getfixturevalue("mq_dut").bench() is None

def test_that_skips(request):
    request.getfixturevalue("mq_dut")
    pytest.skip("not today")
"""


def test_a_board_that_is_asked_for_by_name_is_recorded(pytester: pytest.Pytester, emulated: Project) -> None:
    pytester.makepyfile(BY_NAME)
    result = run(pytester, "--mq-firmware", emulated.directory, "--mq-record", "r.json")
    result.assert_outcomes(passed=1, failed=1, skipped=1)
    result.stdout.fnmatch_lines([f"ran on qemu-mps2-an386 * firmware {emulated.directory}, *"])
    runs = json.loads((pytester.path / "r.json").read_text())["runs"]
    assert [(entry["outcome"], entry["digest"], len(entry["measurements"])) for entry in runs] == [
        ("passed", emulated.firmware.digest, 1),
        ("failed", emulated.firmware.digest, 1),
        ("skipped", emulated.firmware.digest, 0),
    ]
    assert runs[2]["reason"] == "not today"


def test_another_plugins_dut_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(other="import pytest\n@pytest.fixture\ndef dut():\n    return 'theirs'\n")
    pytester.makepyfile("def test_theirs(dut):\n    assert dut == 'theirs'\n")
    pytester.syspathinsert()
    run(pytester, "-p", "other").assert_outcomes(passed=1)


def test_nothing_heavy_is_imported_where_no_test_asks(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import sys\ndef test_light():\n    assert not {'numpy', 'serial', 'click', 'tflite'} & set(sys.modules)\n"
    )
    run(pytester).assert_outcomes(passed=1)


def test_both_sides_of_a_difference() -> None:
    a = np.arange(12, dtype=np.int8).reshape(3, 4)
    assert difference(a, a) == ""
    assert difference(a, a.astype(np.int16)) == ("the board gave int8 of shape (3, 4), expected int16 of shape (3, 4)")
    told = "; ".join(f"[{i // 4}, {i % 4}]: {i} on the board, {i + 1} expected" for i in range(5))
    assert difference(a, a + np.int8(1)) == f"12 of 12 elements differ: {told}; ..."
