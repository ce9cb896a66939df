"""`mcuquant demo monitor`: an alarm for the injected fault, equal decisions on board and computer."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from demo_recordings import recordings

from mcuquant.cli import main
from mcuquant.demo import monitor


@pytest.mark.emulator
def test_the_demo_raises_an_alarm_for_each_fault(tmp_path: Path) -> None:
    output = tmp_path / "monitor"
    result = CliRunner().invoke(main, ["demo", "monitor", "-o", str(output)])
    assert result.exit_code == 0, result.output
    starts = [int(n.replace(",", "")) for n in re.findall(r"sample ([\d,]+) \(", result.stdout)]
    alarms = [int(n.replace(",", "")) for n in re.findall(r"([\d,]+)   alarm ", result.stdout)]
    assert len(starts) == len(alarms) == 2
    assert all(0 < alarm - start < 5 * monitor.RATE_HZ for start, alarm in zip(starts, alarms, strict=True))
    assert "equal this machine's" in result.stdout
    networks = json.loads((output / "node.json").read_text())["networks"]
    assert list(networks) == ["float", "qemu-mps2-an386"]
    assert all(column["AUC"] > 0.98 for column in networks.values())


LENGTHS = (300, 200, 200, 200, 200, 200, 200, 128, 4000)
"""Samples of a recording of each of nine people."""


def test_data_of_different_people_and_a_marked_fault() -> None:
    data = monitor.load(recordings(LENGTHS))
    assert data.train.shape[1:] == (3, 64)
    assert np.allclose(data.train.mean(axis=(0, 2)), 0, atol=1e-4)
    assert [len(x) for x in data.normal] == [128]
    assert len(data.recording) == len(data.labels) == 4000
    assert all(x.dtype == np.int16 and x.shape[1] == 3 for x in (*data.normal, data.recording))
    assert len(data.fault_starts) == 2


def test_the_fault_changes_one_axis_inside_its_labels() -> None:
    x = np.zeros((4000, 3))
    changed, labels = monitor.faulty(x)
    assert labels.sum() == 2 * monitor.FAULT_SECONDS * monitor.RATE_HZ
    assert np.all(changed[:, [0, 2]] == 0)
    assert np.all(changed[labels == 0] == 0)
    assert changed.max() == pytest.approx(monitor.FAULT_G, rel=0.06)
    assert np.all(x == 0)


def test_the_same_seed_gives_the_same_autoencoder() -> None:
    data = monitor.load(recordings(LENGTHS))
    nets = [monitor.train(data, 5, lambda _: None, epochs=1) for _ in range(2)]
    same = [torch.equal(a, b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True)]
    assert all(same)
    x = torch.from_numpy(data.train[:2])
    assert torch.equal(monitor.rows(x)[0, :3], x[0, :, 0])
    assert nets[0](x).shape == (2, 192)
