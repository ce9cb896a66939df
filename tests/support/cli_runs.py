"""The commands as a person types them, and a small network for them to work on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from click.testing import CliRunner, Result

from mcuquant import flow
from mcuquant.cli import main
from mcuquant.tflite.writer.to_tflite import to_tflite

SHAPE = (3, 12)
"""Channels and length of one input of the network below."""


@dataclass(frozen=True)
class Files:
    """A small network and its data."""

    pt2: Path
    tflite: Path
    calibration: Path


def make_files(folder: Path) -> Files:
    made = Files(folder / "net.pt2", folder / "net_int8.tflite", folder / "x.npz")
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv1d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(48, 5)
    ).eval()
    x = torch.randn(40, *SHAPE)
    torch.export.save(torch.export.export(net, (x[:1],)), made.pt2)
    np.savez(made.calibration, x=x.numpy())
    made.tflite.write_bytes(to_tflite(flow.quantize(flow.load(made.pt2), x.numpy())))
    return made


def make_project(files: Files, folder: Path) -> Path:
    """Compiled and built."""
    result = mcuquant("compile", files.tflite, "-o", folder)
    assert result.exit_code == 0, result.output
    return folder


def mcuquant(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], prog_name="mcuquant")


def check_fails(result: Result, code: int, message: str) -> None:
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.endswith(f"Error: {message}\n")


def check_width(text: str) -> None:
    assert max(map(len, text.splitlines())) <= 100
