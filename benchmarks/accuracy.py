"""Accuracy of MLPerf Tiny's networks on its accuracy sets beside constants and cycles: the section of results.md.

    python -m benchmarks.accuracy [--network kws] [--device 10]

The folder that MCUQUANT_MLPERF_TINY names holds the networks and the sets. The official int8 networks are judged on
all samples. The float networks are quantized by mcuquant with 100 calibration samples, selected by seed 0, and judged
on all others; the 200 images of IC are judged in two halves, each by the network that the other half calibrated. All
samples run through the C of the project on this computer; the first `--device` samples also run on the emulated
Cortex-M4, as firmware of --app mlperf, and every byte must be equal.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

import mcuquant as mq
from mcuquant.arithmetic import interpreter
from mcuquant.errors import DeviceError
from mcuquant.ir import Array, Graph
from mcuquant.project.project import Project
from mcuquant.quantization.weight_scales import WEIGHTED

from .accuracy_sets import NETWORKS, Network, Split

BOARD = "qemu-mps2-an386"
RESULTS = Path(__file__).parent / "results.md"
HEADING = "## Accuracy"
WAYS = ("8 bits", "4 bits", "4 and 2 bits", "2 bits")


@dataclass(frozen=True, slots=True)
class Row:
    """One form of one network."""

    network: str
    form: str
    judged: int
    """Number of samples: files of AD, else inputs."""
    accuracy: float
    """Share of correct classes; AD: area under the curve."""
    constant_bytes: int | None = None
    cycles: int | None = None
    device_samples: int = 0


@click.command()
@click.option("--network", "names", multiple=True, type=click.Choice([*NETWORKS]), help="[all four]")
@click.option("--device", default=10, show_default=True, help="Inputs that also run on the emulated board.")
def main(names: tuple[str, ...], device: int) -> None:
    """Measure and write the section of results.md; with --network only print."""
    rows = []
    for name in names or NETWORKS:
        for row in rows_of(NETWORKS[name], device):
            click.echo(" ".join(cells(row)))
            rows.append(row)
    if not names:
        RESULTS.write_text(with_section(RESULTS.read_text(encoding="utf-8"), section(rows)), encoding="utf-8")
        click.echo(f"Wrote the section {HEADING!r} of {RESULTS.name}.")


def rows_of(network: Network, device: int) -> Iterator[Row]:
    real, splits = network.real(), network.splits()
    everything = [Split(np.array([], int), np.arange(network.count))]
    yield _float_row(network, real, splits)
    yield _row(network, "official int8", [network.official()], everything, device)
    for way in WAYS:
        graphs = [quantized(real, network.calibration(split), way) for split in splits]
        yield _row(network, way, graphs, splits, device)


def quantized(real: Graph, samples: Array, way: str) -> Graph:
    """By the default settings of that many bits; 4 and 2 bits take at most half of the bytes of 8 bits."""
    weights = mq.Weights(bits=int(way[0]))
    if way == "4 and 2 bits":
        count = sum(real[op.inputs[1]].elements for op in real.ops if isinstance(op, WEIGHTED))
        weights = mq.Weights(most_bytes=count // 2)
    return mq.quantize(real, samples, channels_first=False, weights=weights)


def _float_row(network: Network, real: Graph, splits: Sequence[Split]) -> Row:
    scores = [network.scores(split, lambda x: interpreter.first_outputs(real, x)) for split in splits]
    return Row(network.name, "float", *network.judge(splits, scores))


def _row(network: Network, form: str, graphs: Sequence[Graph], splits: Sequence[Split], device: int) -> Row:
    with tempfile.TemporaryDirectory(prefix="mq-accuracy-") as folder:
        projects = [mq.compile(g, BOARD, Path(folder) / str(i), app="mlperf") for i, g in enumerate(graphs)]
        scores = [
            network.scores(split, lambda x, p=project: _on_host(p, x))  # type: ignore[misc]
            for project, split in zip(projects, splits, strict=True)
        ]
        cycles = _on_board(projects[0], network.inputs(splits[0].judged)[:device])
        first = projects[0].manifest["constant_bytes"]
        return Row(network.name, form, *network.judge(splits, scores), first, cycles, device)


def _on_host(project: Project, x: Array) -> Array:
    (port,), (out, *_) = project.inputs, project.outputs
    return out.dequantize(project.run_host(port.quantize(x.reshape(-1, *port.sample)))[0])


def _on_board(project: Project, x: Array) -> int:
    """Cycles of one inference. Raises DeviceError if an output of the board differs from the host's."""
    (port,) = project.inputs
    stored = port.quantize(x.reshape(-1, *port.sample))
    with project.connect() as dut:
        if len(stored) and not np.array_equal(dut.run(stored), project.run_host(stored)[0]):
            raise DeviceError(f"{BOARD}: outputs differ from those of the same C on this computer")
        return dut.bench().count


def cells(row: Row) -> list[str]:
    accuracy = f"{row.accuracy:.4f}" if row.network == "AD" else f"{100 * row.accuracy:.1f} %"
    numbers = ["" if n is None else f"{n:,}" for n in (row.constant_bytes, row.cycles)]
    return [row.network, row.form, f"{row.judged:,}", accuracy, *numbers]


def section(rows: Sequence[Row]) -> str:
    """Markdown, from the heading on."""
    table = "\n".join(f"| {' | '.join(cells(row))} |" for row in rows)
    device = min(row.device_samples for row in rows if row.cycles is not None)
    return f"""{HEADING}

`python -m benchmarks.accuracy` writes this section. The accuracy of IC, KWS and VWW is the share of correct classes,
that of AD the area under the curve over the files, each with the mean error of all its windows. The official int8
networks are judged on all samples. mcuquant quantizes the float networks with 100 calibration samples (AD: 98 windows
of 10 normal files), selected by seed 0, and judges them on the other samples, like the float networks; the images of IC
in two halves, each by the network that the other half calibrated. Settings are the default ones; "4 and 2 bits" is
`--weight-bytes` of half of the bytes that 8 bits take, which may leave layers at 8 bits. The float network of KWS is
MLPerf Tiny's file with float activations and 8-bit weights. Constants and modelled cycles are those of `--optimize
balanced` on the emulated Cortex-M4. All samples run through the C of the project on the host; the first {device} inputs
of each integer network also on the emulated board, with equal outputs.

| network | weights | judged | accuracy | constants | cycles |
| --- | --- | --: | --: | --: | --: |
{table}
"""


def section_of(text: str) -> str:
    """The section of a document, "" without one."""
    found = _SECTION.search(text)
    return f"{found[0].rstrip()}\n" if found else ""


def with_section(text: str, new: str) -> str:
    """The document with the section before the first other one, in place of an older one."""
    rest = _SECTION.sub("", text)
    if not new:
        return rest
    first = rest.find("\n## ") + 1 or len(rest)
    return "\n\n".join(part.strip() for part in (rest[:first], new, rest[first:]) if part.strip()) + "\n"


_SECTION = re.compile(rf"^{HEADING}\n.*?(?=^## |\Z)", re.M | re.S)


if __name__ == "__main__":
    main()
