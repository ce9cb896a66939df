"""Creates one HTML file from a project folder. It needs no network and no script, and has light and dark colors."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2

from ... import _assets
from ...codegen.application import LIBRARY
from ...errors import OutputError
from ...project.project import Project
from ...version import __version__
from ..compare import load_measurement
from ..details import DETAILS, load_details
from ..node_quality import load_quality
from ..record import RECORDS, Record, load_records
from .decisions_section import decisions
from .sections import Section, layers, memory, networks, sensitivity, weights

BENCH = "bench.json"
VALIDATION = "validation.json"
NODE_QUALITY = "node.json"


@dataclass(frozen=True, slots=True)
class Tile:
    """A number at the top of the page; `note` explains it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Build:
    """A project with its measurement, in the form of `Measurement.to_json`."""

    project: Project
    measured: Mapping[str, Any] | None
    name: str = ""
    """A label that distinguishes it from other builds of one report; by default the name of the folder."""

    @property
    def label(self) -> str:
        return f"{self.project.manifest['title']} ({self.name or self.project.directory.name})"

    @property
    def record(self) -> Record:
        """The record of the build for comparison with others: from its folder, with its measurements and label."""
        manifest = self.project.manifest
        built = manifest.get("firmware", {})
        validation = validation_of(self.project)
        record = Record(
            label=self.label,
            weight_bytes=manifest["weight_bytes"],
            macs=manifest["macs"],
            constant_bytes=manifest["constant_bytes"],
            arena_bytes=manifest["arena_bytes"],
            flash_bytes=built.get("flash_bytes"),
            ram_bytes=built.get("ram_bytes"),
            board=self.project.board.name,
        )
        record = replace(next((r for r in self.records if is_of(record, r)), record), label=self.label)
        if self.measured is not None and "cycles" in self.measured:
            record = replace(record, cycles=self.measured["cycles"], cycles_source=self.measured["counter"])
        if validation is not None:
            record = replace(record, accuracy=validation["accuracy"], accuracy_source=validation["source"])
        return record

    @property
    def records(self) -> tuple[Record, ...]:
        """The records in the folder: of the build itself, if present, and of the networks that it was derived from."""
        path = self.project.directory / RECORDS
        return load_records(path) if path.is_file() else ()


def is_of(build: Record, record: Record) -> bool:
    """Whether `record` is of that build: the flash sizes on the same board are equal."""
    return build.flash_bytes is not None and (record.flash_bytes, record.board) == (build.flash_bytes, build.board)


def measured_before(project: Project) -> Mapping[str, Any] | None:
    """The measurement in the project's folder, if it is of the present firmware."""
    path = project.directory / BENCH
    if not path.is_file():
        return None
    measurement = load_measurement(path)
    built = project.manifest.get("firmware", {})
    return measurement if measurement.get("digest") == built.get("digest") else None


def validation_of(project: Project) -> Mapping[str, Any] | None:
    """The result of `mcuquant validate --json` in the folder, if it is of the present firmware."""
    path = project.directory / VALIDATION
    if not path.is_file():
        return None
    try:
        validation = json.loads(path.read_text(encoding="utf-8"))
        accuracy, source, digest = float(validation["accuracy"]), str(validation["source"]), validation["digest"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"{path} is not what mcuquant validate --json writes; remove it, or validate again"
        ) from error
    built = project.manifest.get("firmware", {})
    return {"accuracy": accuracy, "source": source} if digest == built.get("digest") else None


def decisions_of(project: Project) -> Mapping[str, Any] | None:
    """The result of `mcuquant node --json` in the folder, if it is of the present firmware."""
    path = project.directory / NODE_QUALITY
    if not path.is_file():
        return None
    quality = load_quality(path)
    built = project.manifest.get("firmware", {})
    return quality["networks"] or None if quality["digest"] == built.get("digest") else None


def records_of(builds: Sequence[Build], files: Sequence[Path]) -> tuple[Record, ...]:
    """The builds, the records in their folders, and those of `files`, without duplicates.

    Equal labels of several networks are followed by the folder or file of the network.
    """
    own = [build.record for build in builds]
    others: dict[Record, str] = {}
    for build, record in zip(builds, own, strict=True):
        others |= {r: build.name or build.project.directory.name for r in build.records if not is_of(record, r)}
    others |= {r: str(path) for path in files for r in load_records(path) if not any(is_of(b, r) for b in own)}
    labels = Counter(record.label for record in others)
    named = (replace(r, label=f"{r.label} ({name})") if labels[r.label] > 1 else r for r, name in others.items())
    return tuple(dict.fromkeys([*own, *named]))


def distinct_names(directories: Sequence[Path]) -> tuple[str, ...]:
    """The names of folders, or their paths if two have the same name."""
    count = Counter(directory.name for directory in directories)
    return tuple(str(d) if count[d.name] > 1 else d.name for d in directories)


def page(builds: Sequence[Build], files: Sequence[Path] = ()) -> str:
    """The HTML about the first of `builds`, in comparison with the others and the records in `files`."""
    first = builds[0]
    project, manifest = first.project, first.project.manifest
    where = project.directory
    details = load_details(where / DETAILS)
    names = [layer["name"] for layer in manifest["layers"]]
    kernels = [layer["kernel"] for layer in manifest["layers"]]
    sections = (
        networks(records_of(builds, files), str(where)),
        layers(first.measured, kernels, _how_to_measure(project)),
        memory(details, manifest["arena_bytes"], names),
        weights(details),
        sensitivity(details.sensitivity, _HOW_TO_COMPARE),
        *((decisions(quality),) if (quality := decisions_of(project)) else ()),
    )
    return render(str(manifest["title"]), _subtitle(project), _tiles(first), sections, tuple(manifest["notes"]))


_HOW_TO_COMPARE = (
    "It was not measured. It needs the float network (a .pt2 file, or a .tflite file of floats) and calibration data:",
    "mcuquant compile FLOAT_NETWORK --calibration X.npz --snr -o DIR",
)


def _how_to_measure(project: Project) -> tuple[str, str]:
    where = project.directory
    if project.manifest["app"] == LIBRARY:
        return "A library is measured in firmware: compile the same network as such.", "mcuquant compile MODEL -o DIR"
    if "firmware" not in project.manifest:
        return "The firmware is not built.", f"make -C {where}"
    port = "" if project.board.is_emulated else " --port P"
    return "The firmware was not measured.", f"mcuquant bench {where}{port} --json {where / BENCH}"


def _subtitle(project: Project) -> str:
    return f"{project.board.title}, {project.board.cpu}; int8 firmware made by mcuquant {project.manifest['mcuquant']}"


def _tiles(build: Build) -> tuple[Tile, ...]:
    project, manifest, measured = build.project, build.project.manifest, build.measured
    tiles = [Tile("MACs", f"{manifest['macs']:,}", f"{manifest['parameters']:,} parameters")]
    if measured is not None:
        unit = measured["counter"].partition(" ")[0]
        per_mac = f"{measured[unit] / measured['macs']:.2f} per MAC" if measured["macs"] else ""
        tiles.append(Tile(unit, f"{measured[unit]:,}", per_mac))
        tiles.append(Tile("one inference", _time(measured["latency_us"]), measured["latency_source"]))
    if "firmware" in manifest:
        built, board = manifest["firmware"], project.board
        tiles.append(Tile("flash", f"{built['flash_bytes']:,} B", f"of {board.flash.bytes:,} B"))
        tiles.append(Tile("RAM", f"{built['ram_bytes']:,} B", f"of {board.ram.bytes:,} B, stack included"))
    tiles.append(Tile("arena", f"{manifest['arena_bytes']:,} B", "activations and scratch"))
    tiles.append(Tile("weights", f"{manifest['weight_bytes']:,} B", "with biases"))
    tiles.append(Tile("constants", f"{manifest['constant_bytes']:,} B", "in flash: weights and tables"))
    if build.record.accuracy is not None:
        tiles.append(Tile("accuracy", f"{100 * build.record.accuracy:.2f} %", build.record.accuracy_source))
    return tuple(tiles)


def _time(us: float) -> str:
    return f"{us:,.1f} µs" if us < 10_000 else f"{us / 1000:,.1f} ms"


def render(title: str, subtitle: str, tiles: Sequence[Tile], sections: Sequence[Section], notes: Sequence[str]) -> str:
    """Escapes every text: names come from model files and may contain anything."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_assets.folder("templates")),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["n"] = lambda value: f"{value:.1f}".removesuffix(".0")
    template = environment.get_template("report.html.j2")
    return template.render(
        version=__version__, title=title, subtitle=subtitle, tiles=tiles, sections=sections, notes=notes
    )
