"""The pytest plugin's options, limits and mistakes: pytest inside pytest."""

from __future__ import annotations

import json
import shutil

import pytest
from plugin_runs import prepared, run

from mcuquant.project.project import Project

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.emulator


EXPECTATIONS = """
import numpy as np
import pytest

def test_limits(mq_dut):
    m = mq_dut.bench()
    assert mq_dut.expect_cycles(m.count).count == m.count
    assert mq_dut.expect_ram(m.ram_bytes) == m.ram_bytes
    assert mq_dut.expect_flash(m.flash_bytes) == m.flash_bytes
    with pytest.raises(AssertionError) as caught:
        mq_dut.expect_cycles(m.count - 1)
    assert str(caught.value) == (
        f"one inference takes {m.count:,} {m.counter.value} on qemu-mps2-an386, at most {m.count - 1:,} were expected")
    with pytest.raises(AssertionError) as caught:
        mq_dut.expect_flash(m.flash_bytes - 1)
    assert str(caught.value) == (
        f"the firmware takes {m.flash_bytes:,} bytes of flash on qemu-mps2-an386, "
        f"at most {m.flash_bytes - 1:,} were expected")
    with pytest.raises(AssertionError) as caught:
        mq_dut.expect_ram(m.ram_bytes - 1)
    assert str(caught.value) == (
        f"the firmware takes {m.ram_bytes:,} bytes of RAM on qemu-mps2-an386, "
        f"at most {m.ram_bytes - 1:,} were expected")

def test_nothing_is_compared(mq_dut):
    with pytest.raises(AssertionError) as caught:
        mq_dut.expect_equal(np.load("x.npy")[:0], np.load("y.npy")[:0])
    assert str(caught.value) == "expect_equal was given 0 samples: nothing was compared"
    for name, expect in (
        ("max_us", mq_dut.expect_latency),
        ("max_cycles", mq_dut.expect_cycles),
        ("max_bytes", mq_dut.expect_ram),
        ("max_bytes", mq_dut.expect_flash),
        ("min_accuracy", lambda limit: mq_dut.expect_accuracy(np.load("x.npy"), [0, 1], limit)),
    ):
        for limit in (float("nan"), float("inf"), 0, -1, True, None, "5000", [1]):
            with pytest.raises(AssertionError) as caught:
                expect(limit)
            assert str(caught.value) == f"{name} is {limit!r}, expected a finite number above 0"
"""


def test_expectations(pytester: pytest.Pytester, emulated: Project) -> None:
    prepared(pytester, emulated)
    pytester.makepyfile(EXPECTATIONS)
    run(pytester, "--mq-firmware", emulated.directory).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--mq-firmware", "."], "* is not a compiled project (no readable manifest.json); make one: *"),
        (["--mq-hardware-map", "none.yml"], "*none.yml: the hardware map cannot be read: No such file or directory"),
        (["--mq-board", "pico"], "--mq-board says pico, but the firmware is for qemu-mps2-an386; compile it for pico"),
        (
            ["--mq-probe", "0661"],
            "--mq-probe names a board on the desk, but the firmware is for qemu-mps2-an386, which is *",
        ),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str], sentence: str, pytester: pytest.Pytester, emulated: Project
) -> None:
    prepared(pytester, emulated)
    result = run(pytester, "--mq-firmware", emulated.directory, *arguments, "-k", "answers")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([sentence])
    assert result.stdout.str().count(sentence.strip("* ").split(";")[0].replace("*", "")) == 1
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--mq-board", "NAME"),
        ("--mq-port", "P"),
        ("--mq-probe", "UID"),
        ("--mq-firmware", "DIR"),
        ("--mq-hardware-map", "FILE"),
        ("--mq-record", "FILE"),
    ],
)
def test_an_option_without_a_value_is_refused(
    option: str, value: str, pytester: pytest.Pytester, emulated: Project
) -> None:
    prepared(pytester, emulated)
    result = run(pytester, "--mq-firmware", emulated.directory, option, "")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {option} is empty, expected {value}; leave the option out or give its value"])


def test_a_fixture_that_gives_no_folder_is_told_so(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import pytest\n@pytest.fixture\ndef mq_firmware():\n    pass\ndef test_none(mq_dut):\n    pass\n"
    )
    result = run(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["the fixture mq_firmware gave None, expected the folder of a project"])


def test_a_test_that_changes_the_folder_runs_the_same_firmware(
    pytester: pytest.Pytester, emulated: Project, desk: Project
) -> None:
    """Relative paths begin where pytest began, also if the other folder has a project of that name."""
    shutil.copytree(emulated.directory, pytester.path / "net")
    shutil.copytree(desk.directory, pytester.mkdir("other") / "net")
    pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.fixture(scope="session", autouse=True)
        def elsewhere():
            os.chdir("other")

        def test_there(mq_dut):
            assert mq_dut.is_emulated
        """
    )
    run(pytester, "--mq-firmware", "net", "--mq-record", "r.json").assert_outcomes(passed=1)
    (entry,) = json.loads((pytester.path / "r.json").read_text())["runs"]
    assert entry["digest"] == emulated.firmware.digest


def test_the_variable_says_which_board(
    pytester: pytest.Pytester, emulated: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCUQUANT_BOARD", "pico")
    prepared(pytester, emulated)
    result = run(pytester, "--mq-firmware", emulated.directory, "-k", "answers")
    result.stdout.fnmatch_lines(
        ["MCUQUANT_BOARD says pico, but the firmware is for qemu-mps2-an386; compile it for pico"]
    )
    run(
        pytester, "--mq-firmware", emulated.directory, "--mq-board", "qemu-mps2-an386", "-k", "answers"
    ).assert_outcomes(passed=1)
