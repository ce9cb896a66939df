"""`make bench` on a small network: what it counts, what it compares, and what stops it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mlperf
import numpy as np
import pytest
import torch

import mcuquant as mq
from benchmarks import __main__ as bench
from benchmarks import accuracy, cases
from benchmarks.accuracy import Row
from benchmarks.accuracy_sets import NETWORKS, area_under_curve
from benchmarks.cases import Case, run_case
from benchmarks.peers import TFLM
from benchmarks.tables import results
from mcuquant.errors import DeviceError
from mcuquant.firmware_build import linkmap
from mcuquant.planner.objective import Objective
from mcuquant.project.project import Project
from mcuquant.tflite.writer.to_tflite import to_tflite

M4 = "qemu-mps2-an386"
M55 = "qemu-mps3-an547"
SPEED = Objective.SPEED


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Under the name of one of MLPerf Tiny's, so that it stands beside its peer."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64, 3)
    ).eval()
    x = torch.randn(8, 2, 4, 4)
    path = tmp_path_factory.mktemp("bench") / "kws_int8.tflite"
    path.write_bytes(to_tflite(mq.quantize(mq.from_torch(net, x[:1]), x.numpy(), channels_first=True)))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("built")


@pytest.fixture(scope="module")
def measured(model: Path, folder: Path) -> tuple[Case, Case]:
    return run_case(model, M4, SPEED, folder), run_case(model, M55, SPEED, folder)


@pytest.mark.emulator
def test_a_case_counts_and_compares(measured: tuple[Case, Case]) -> None:
    m4, m55 = measured
    assert (m4.model, m4.board, m4.macs) == ("kws_int8", M4, 16 * 4 * 18 + 64 * 3)
    assert m4.compared_bytes == m55.compared_bytes == cases.SAMPLES * 3
    assert m4.is_equal_to_tflm
    assert m4.measurement.counter.unit == "cycles"
    assert m55.measurement.counter.unit == "instructions"
    assert m4.measurement.count > m4.instructions > m4.macs / 4


@pytest.mark.emulator
def test_the_map_accounts_for_the_firmware(measured: tuple[Case, Case], folder: Path) -> None:
    """To the padding between its sections."""
    project = Project.open(folder / f"kws_int8-{M4}-speed")
    found = linkmap.sizes(project.directory / "build" / "firmware.map", 0, project.board.flash.end)
    assert 0 <= project.firmware.flash_bytes - sum(found.values()) < 200
    assert measured[0].weight_bytes + measured[0].code_bytes == found["build/mq_model.o"] + found["build/mq.o"]


@pytest.mark.emulator
def test_other_answers_and_other_counts_stop_it(
    model: Path, folder: Path, measured: tuple[Case, Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project.open(folder / f"kws_int8-{M4}-speed")
    monkeypatch.setattr(cases.mq, "compile", lambda *_, **__: project)
    counted = [replace(measured[0].measurement, count=n) for n in (1000, 1001)]
    with monkeypatch.context() as patch:
        patch.setattr(cases, "_measured", lambda _: counted.pop(0))
        with pytest.raises(DeviceError) as error:
            run_case(model, M4, SPEED, folder)
    assert str(error.value) == f"kws_int8.tflite on {M4}: two runs count 1,000 and 1,001"
    monkeypatch.setattr(cases.mq, "run", lambda graph, _: [np.zeros((1, 3), np.int8)])
    with pytest.raises(DeviceError) as error:
        run_case(model, M4, SPEED, folder)
    assert str(error.value) == f"kws_int8.tflite on {M4}: the outputs are not those of the interpreter"


@pytest.mark.emulator
def test_the_document_sets_ours_beside_theirs(measured: tuple[Case, Case]) -> None:
    m4, m55 = measured
    text = results(measured, ("gcc 12", "QEMU 7"))
    assert "- gcc 12\n- QEMU 7\n" in text
    assert f"| kws_int8 | speed | 1,344 | {m4.measurement.count:,} |" in text
    peer = TFLM["kws_int8"]
    ratio = f"{peer.cycles / m4.measurement.count:.2f}x"
    assert f"| kws_int8 | cycles | {peer.cycles:,} | {m4.measurement.count:,} | {ratio} |  |  |  |  |\n" in text
    assert f"| kws_int8 | Cortex-M55: instructions | {peer.m55_instructions:,} | {m55.instructions:,} |" in text
    assert "## Where kws_int8's cycles go on the Cortex-M4, for speed\n" in text
    alone = results((replace(m4, model="other"),), ())
    assert "| other | speed | 1,344 |" in alone
    assert "TFLM" not in alone


def test_missing_models_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ad_int8.tflite").touch()
    monkeypatch.setenv("MCUQUANT_MLPERF_TINY", str(tmp_path))
    assert bench.main([]) == 1
    assert capsys.readouterr().err == (
        f"Error: {tmp_path} holds no ic_int8.tflite, kws_int8.tflite, vww_int8.tflite; they are MLPerf Tiny's "
        "reference models (mlcommons/tiny): MCUQUANT_MLPERF_TINY names the folder that has them\n"
    )


# Accuracy.


def test_the_section_of_accuracy_is_replaced_and_kept() -> None:
    rows = [
        Row("AD", "float", 238, 0.89558),
        Row("KWS", "4 bits", 900, 0.9044, constant_bytes=17_646, cycles=4_397_417, device_samples=7),
    ]
    new = accuracy.section(rows)
    assert "| AD | float | 238 | 0.8956 |  |  |\n| KWS | 4 bits | 900 | 90.4 % | 17,646 | 4,397,417 |\n" in new
    assert "the first 7 inputs" in new
    text = "# Results\n\nIntroduction.\n\n## Cortex-M4\n\nTable.\n"
    once = accuracy.with_section(text, new)
    assert once.startswith("# Results\n\nIntroduction.\n\n## Accuracy\n")
    assert once.endswith("\n\n## Cortex-M4\n\nTable.\n")
    assert accuracy.section_of(once) == new
    assert accuracy.with_section(once, new) == once
    assert accuracy.with_section(text, accuracy.section_of(text)) == text


def test_equal_scores_count_half_of_the_area() -> None:
    rng = np.random.default_rng(0)
    scores, bad = rng.integers(0, 6, 40).astype(float), rng.random(40) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[bad] for b in scores[~bad]]
    assert area_under_curve(bad, scores) == pytest.approx(np.mean(pairs))
    assert area_under_curve(bad, bad.astype(float)) == 1.0


@pytest.mark.parametrize("name", NETWORKS)
def test_no_judged_sample_calibrates(name: str) -> None:
    network = NETWORKS[name]
    mlperf.path(network.data)
    splits = network.splits()
    for split in splits:
        assert not set(split.calibrating) & set(split.judged)
        assert len(split.calibrating) + len(split.judged) == network.count
        assert 95 <= len(network.calibration(split)) <= 100
    judged = np.concatenate([split.judged for split in splits])
    assert len(set(judged)) == len(judged)
    again = network.splits()
    assert all(np.array_equal(a.judged, b.judged) for a, b in zip(splits, again, strict=True))
