"""A manifest of microWakeWord becomes a node that hears its word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import mcuquant as mq
from mcuquant.cli.app import main
from mcuquant.codegen.decision_rules import WakeRule
from mcuquant.errors import ModelError
from mcuquant.features.wake_word import WakeWord

MODELS = Path(pytest.importorskip("pymicro_wakeword").__file__).parent / "models"


def test_every_word_of_the_package_is_read() -> None:
    words = [WakeWord.load(path) for path in sorted(MODELS.glob("*.json"))]
    assert [(w.name, w.cutoff, w.average) for w in words] == [
        ("Alexa", 0.9, 5),
        ("Hey Jarvis", 0.97, 5),
        ("Hey Mycroft", 0.95, 5),
        ("Okay Nabu", 0.85, 5),
    ]
    assert all(w.model.is_file() and w.front_end.step == 160 for w in words)


def test_a_manifest_makes_a_node(tmp_path: Path) -> None:
    command = ["compile", str(MODELS / "okay_nabu.json"), "--app", "node", "--no-build", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    node = mq.Project.open(tmp_path / "out").node
    assert (node.window, node.channels, node.stride, node.rate_hz) == (800, 1, 480, 16000)
    assert isinstance(node.rule, WakeRule)
    # Scores are above 5 * (0.85 * 256 - 128), a second is 33 inferences.
    assert (node.rule.average, node.rule.limit, node.rule.debounce, node.rule.cool_down) == (5, 448, 1, 33)
    (normal,) = node.normals
    assert normal.multiplier == 1 << normal.shift


def test_options_replace_what_a_manifest_says(tmp_path: Path) -> None:
    options = ["--threshold", "0.5", "--average", "3", "--cool-down", "7", "--debounce", "2", "--stride", "960"]
    command = ["compile", str(MODELS / "okay_nabu.json"), "--app", "node", "--no-build", "-o", str(tmp_path / "out")]
    assert CliRunner().invoke(main, [*command, *options]).exit_code == 0
    node = mq.Project.open(tmp_path / "out").node
    assert isinstance(node.rule, WakeRule)
    assert (node.stride, node.rule.average, node.rule.limit) == (960, 3, 0)
    assert (node.rule.debounce, node.rule.cool_down) == (2, 7)


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"wake_word": "x", "micro": {}})])
def test_a_file_that_is_no_manifest(text: str, tmp_path: Path) -> None:
    (tmp_path / "word.json").write_text(text)
    with pytest.raises(ModelError) as error:
        WakeWord.load(tmp_path / "word.json")
    assert str(error.value) == (
        f"{tmp_path / 'word.json'} is no manifest of microWakeWord: expected JSON with wake_word, model, and micro "
        "with probability_cutoff and sliding_window_size"
    )
