"""The demo command, as a new user runs it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from mcuquant.cli import main


@pytest.mark.emulator
@pytest.mark.timeout(600)
def test_the_demo_runs_from_recordings_to_a_table(tmp_path: Path) -> None:
    output = tmp_path / "demo"
    result = CliRunner().invoke(main, ["demo", "-o", str(output)])
    assert result.exit_code == 0, result.output
    assert "all 2,009 bytes of output equal the interpreter's and TensorFlow Lite Micro's" in result.output
    rights = [float(part) for part in re.findall(r"([\d.]+) %$", result.output.split("network ")[1], re.MULTILINE)[:4]]
    assert min(rights) > 80, "the network has learned nothing"
    assert rights[2] == rights[3], "board and host disagree"
    assert "not a board's time" in result.output
    assert max(map(len, result.output.partition("4. Results")[2].partition("The demo took")[0].splitlines())) <= 100
    manifest = json.loads((output / "manifest.json").read_text())
    assert [layer["op"] for layer in manifest["layers"]] == [*["Conv2D"] * 4, "Mean", "FullyConnected"]
    *_, compile_node, run_node = (line.split() for line in result.output.strip().splitlines())
    for words in (compile_node, run_node):
        made = CliRunner().invoke(main, words[words.index("mcuquant") + 1 :])
        assert made.exit_code == 0, made.output
    rows = [row.split() for row in made.output.splitlines() if row.strip()]
    decided = [row[2] for row in rows if row[0].isdecimal()]
    assert len(set(decided)) >= 5, "seven exercises one after the other"
    subprocess.run(["make", "-s", "-C", output, "clean"], check=True)
    subprocess.run(["make", "-s", "-C", output], check=True)
    assert (output / "firmware.elf").is_file()


def test_an_output_folder_with_other_content_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    result = CliRunner().invoke(main, ["demo", "-o", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output == (
        f"Error: {tmp_path} exists and is not a project of mcuquant (no manifest.json in it); "
        "choose another folder with -o, or remove it\n"
    )
