"""The page: whole and harmless whatever a model is called, pictures in proportion, and what is missing said."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from small_nets import separable

from mcuquant import flow
from mcuquant.cli import main
from mcuquant.errors import OutputError
from mcuquant.project.project import Project
from mcuquant.quantization import snr_report
from mcuquant.reporting.details import Place, WeightHistogram
from mcuquant.reporting.html.arena_chart import memory_map, overlaps
from mcuquant.reporting.html.bar_chart import Bar, bars
from mcuquant.reporting.html.histogram_chart import histogram
from mcuquant.reporting.html.marks import ticks
from mcuquant.reporting.html.page import Build, distinct_names, page, records_of
from mcuquant.reporting.html.scatter_chart import scatter
from mcuquant.reporting.record import Record, records_text

HOSTILE = """<script>alert(1)</script>"'><img src=x onerror=alert(1)>&amp;"""
VOID = {"meta", "link", "br", "img", "input"}


class Page(HTMLParser):
    """Elements of a page; fails on one that is not closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Compiled, not built, its float source and losses known, and every name in it hostile."""
    torch.manual_seed(0)
    x = torch.randn(8, 1, 9, 7)
    source = flow.from_torch(separable().eval(), x[:1])
    graph = flow.quantize(source, x.numpy(), channels_first=True)
    named = graph.with_(
        name=HOSTILE, tensors={i: replace(t, name=f"{HOSTILE}{i}") for i, t in graph.tensors.items()}, notes=(HOSTILE,)
    )
    snr = snr_report(source, named, x.numpy()[:2], channels_first=True)
    folder = tmp_path_factory.mktemp("html") / "net"
    return flow.compile(named, output=folder, build_firmware=False, source=source, snr=snr)


def measurement(project: Project) -> dict[str, Any]:
    layers = [
        {
            "name": HOSTILE,
            "op": row["op"],
            "shape": row["shape"],
            "macs": row["macs"],
            "cycles": 100 + i,
            "latency_us": 4.0,
        }
        for i, row in enumerate(project.manifest["layers"])
    ]
    sizes = {"flash_bytes": 10_000, "ram_bytes": 5_000, "arena_bytes": 4_000, "stack_bytes": 500}
    head = {"board": "qemu-mps2-an386", "core": "cortex-m4", "digest": "d", "counter": "cycles (modelled)"}
    return {
        **head,
        **sizes,
        "cycles": 2000,
        "clock_hz": 25_000_000,
        "latency_us": 80.0,
        "latency_source": "modelled",
        "macs": 9,
        "layers": layers,
    }


RECORDS = (
    Record(label=HOSTILE, weight_bytes=1000, accuracy=0.9, cycles=50, cycles_source="modelled", board="a"),
    Record(label="small", weight_bytes=500, accuracy=0.8, cycles=60, cycles_source="modelled", board="a"),
    Record(label="estimated", weight_bytes=700, accuracy=0.7, cycles=9, cycles_source="estimated", board="a"),
)


@pytest.fixture
def whole(project: Project, tmp_path: Path) -> str:
    """The page with everything on it."""
    path = tmp_path / "records.json"
    path.write_text(records_text(RECORDS))
    return page([Build(project, measurement(project))], [path])


def test_names_are_text_and_nothing_else(whole: str) -> None:
    found = Page(whole)
    assert {"script", "img", "iframe", "object", "link"} & {tag for tag, _ in found.elements} == set()
    assert [name for _, attributes in found.elements for name in attributes if name.startswith("on")] == []
    assert found.text.count("<script>alert(1)</script>") > 20


def test_the_page_needs_nothing_else(whole: str) -> None:
    found = Page(whole)
    (policy,) = [a["content"] for a in found.of("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    addresses = [a[name] or "" for _, a in found.elements for name in ("src", "href", "data", "action") if name in a]
    anchors = {a.get("id") for a in found.of("section")}
    assert {address.removeprefix("#") for address in addresses} == anchors
    assert not re.search(r"url\(|@import|https?:", whole)


def test_pictures_have_titles_and_words(whole: str) -> None:
    found = Page(whole)
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    pictures = [a for a in found.of("svg") if a.get("role") == "img"]
    assert len(pictures) == 3 + 1 + 1 + 4 + 1
    assert all(set((a["aria-labelledby"] or "").split()) <= set(ids) for a in pictures)
    assert all(a.get("aria-hidden") == "true" for a in found.of("svg") if a not in pictures)
    assert len(found.of("table")) == 5


def test_counts_of_different_sources_are_not_in_one_picture(whole: str) -> None:
    text = Page(whole).text
    assert text.count("Accuracy and cycles on a") == 2 * 2
    assert "Networks: 1; Pareto-optimal: 1." in text


def test_instructions_are_not_called_cycles(project: Project) -> None:
    measured = measurement(project)
    for row in (measured, *measured["layers"]):
        row["instructions"] = row.pop("cycles")
    measured["counter"] = "instructions (counted in QEMU)"
    text = Page(page([Build(project, measured)])).text
    assert "Instructions by layer" in text
    assert "Counted: instructions (counted in QEMU)." in text
    assert "Cycles by layer" not in text


def test_the_same_page_twice(project: Project, whole: str, tmp_path: Path) -> None:
    assert page([Build(project, measurement(project))], [tmp_path / "records.json"]) == whole


def test_what_is_missing_is_said_with_the_command(project: Project) -> None:
    text = Page(page([Build(project, None)])).text
    assert f"make -C {project.directory}" in text
    where = project.directory
    assert f"mcuquant validate {where} --data X.npz --json {where}/validation.json" in text


def test_a_library_is_not_to_be_measured(project: Project) -> None:
    library = replace(project, manifest={**project.manifest, "app": "library"})
    assert "A library is measured in firmware: compile the same network as such." in page([Build(library, None)])


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def test_the_command_writes_the_page(project: Project, tmp_path: Path) -> None:
    result = run(project.directory, "-o", tmp_path / "net.html")
    assert result.exit_code == 0, result.output
    data = (tmp_path / "net.html").read_bytes()
    wrote = f"Wrote {tmp_path / 'net.html'} ({len(data):,} B). Open it in a browser.\n"
    assert result.stdout == f"{wrote}\nNext: mcuquant inspect {project.directory}\n"
    assert data.startswith(b"<!DOCTYPE html>")
    missing = run(tmp_path)
    assert missing.exit_code == 1
    assert missing.stderr.startswith(f"Error: {tmp_path} is not a compiled project")


def test_measurements_of_another_build_are_left_out(project: Project, tmp_path: Path) -> None:
    from mcuquant.reporting.html.page import measured_before, validation_of

    manifest = {**project.manifest, "firmware": {"digest": "d", "flash_bytes": 1, "ram_bytes": 1}}
    built = replace(project, manifest=manifest, directory=tmp_path)
    assert measured_before(built) is None
    assert validation_of(built) is None
    (tmp_path / "bench.json").write_text(json.dumps(measurement(project)))
    (tmp_path / "validation.json").write_text(json.dumps({"accuracy": 0.5, "source": "8 samples", "digest": "d"}))
    assert measured_before(built) == measurement(project)
    assert Build(built, None).record.accuracy == 0.5
    other = replace(built, manifest={**manifest, "firmware": {**manifest["firmware"], "digest": "e"}})
    assert measured_before(other) is None
    assert validation_of(other) is None
    (tmp_path / "validation.json").write_text("[]")
    with pytest.raises(OutputError) as error:
        validation_of(built)
    assert str(error.value) == (
        f"{tmp_path / 'validation.json'} is not what mcuquant validate --json writes; remove it, or validate again"
    )


def test_a_build_in_its_own_records_is_listed_once(project: Project, tmp_path: Path) -> None:
    manifest = {**project.manifest, "firmware": {"digest": "d", "flash_bytes": 900, "ram_bytes": 1}}
    built = Build(replace(project, manifest=manifest, directory=tmp_path), measurement(project))
    mine = replace(RECORDS[0], label="pruned", flash_bytes=900, board=project.board.name)
    (tmp_path / "records.json").write_text(records_text([RECORDS[1], mine]))
    first, second = records_of([built], [])
    assert (first.label, first.accuracy, first.cycles) == (built.label, 0.9, 2000)
    assert second == RECORDS[1]


def test_networks_of_one_label_are_listed_with_their_folders(project: Project, tmp_path: Path) -> None:
    float_net = replace(RECORDS[1], label="float")
    for folder, weight_bytes in (("a", 100), ("b", 200)):
        (tmp_path / folder).mkdir()
        pruned = replace(RECORDS[0], label="pruned", weight_bytes=weight_bytes)
        (tmp_path / folder / "records.json").write_text(records_text([float_net, pruned]))
    folders = [tmp_path / "a", tmp_path / "b"]
    names = distinct_names(folders)
    builds = [
        Build(replace(project, directory=f, manifest={**project.manifest, "parameters": i}), None, name)
        for i, (f, name) in enumerate(zip(folders, names, strict=True))
    ]
    title = project.manifest["title"]
    labels = [record.label for record in records_of(builds, [])]
    assert labels == [f"{title} (a)", f"{title} (b)", "float", "pruned (a)", "pruned (b)"]
    assert distinct_names([Path("x/net"), Path("y/net"), Path("z")]) == ("x/net", "y/net", "z")


def test_bars_are_in_proportion_and_negative_ones_go_left() -> None:
    rows = [Bar("", "a", value, "", "", "") for value in (10.0, 40.0, -10.0, None)]
    made = bars("", "", rows)
    widths = [rect.width for rect in made.rects]
    assert widths[1] == pytest.approx(4 * widths[0])
    assert widths[3] == 0
    assert made.rects[2].x + made.rects[2].width == pytest.approx(made.rects[0].x)


def place(name: str, offset: int, size: int, first: int, last: int) -> Place:
    return Place(name, "activation", (size,), offset, size, first, last)


def test_the_memory_map_shows_bytes_steps_and_what_is_shared() -> None:
    a, b, c = place("a", 0, 100, -1, 0), place("b", 60, 100, 0, 1), place("c", 0, 40, 1, 2)
    assert list(overlaps((a, b, c))) == [(a, b)]
    made = memory_map((a, b, c), 160, ("one", "two"))
    first, second, _, shared = made.rects
    assert second.height == pytest.approx(first.height)
    assert second.y < first.y
    assert first.width == pytest.approx(2 * shared.width)
    assert shared.height == pytest.approx(0.4 * first.height)
    assert shared.title == "40 bytes shared by activation a and activation b"
    assert [style for style, _ in made.legend] == ["arena-activation", "arena-shared"]
    assert first.title == "activation a 100: 100 bytes at 0 to 100, from before the first step to step 0"


def test_histograms_draw_both_networks() -> None:
    stored, source = (0, 5, 10), (5, 5, 5)
    w = WeightHistogram(0, "conv", "Conv2D", 8, 15, 0, 15, 1.5, stored, source)
    made = histogram(w)
    assert len(made.rects) == 2
    assert made.rects[1].height == pytest.approx(2 * made.rects[0].height)
    assert made.rects[0].title == "-0.5 to 0.5: 5 weights, 5 in the float network"
    assert [line.style for line in made.lines] == ["grid", "weights-before"]
    assert [line.style for line in histogram(replace(w, source=None)).lines] == ["grid"]


def test_points_lie_where_their_numbers_say() -> None:
    made = scatter("", "", "weight_bytes", dict(enumerate(RECORDS, start=1)))
    at = {dot.title.partition(" ")[0]: dot for dot in made.dots}
    assert at["2"].x < at["3"].x < at["1"].x
    assert at["3"].y > at["2"].y > at["1"].y
    assert [at[n].style for n in "123"] == ["point best", "point best", "point"]


def test_numbers_do_not_lie_on_each_other() -> None:
    same = {n: replace(RECORDS[1], label=str(n)) for n in range(1, 4)}
    made = scatter("", "", "weight_bytes", same)
    assert [text.text for text in made.texts if text.style == "number"] == ["1"]
    assert len(made.dots) == 3


@settings(deadline=None, max_examples=200)
@given(st.floats(0, 1e9), st.floats(0.01, 10))
def test_ticks_cover_a_span_in_few_round_steps(low: float, part: float) -> None:
    high = low + max(1.0, low) * part
    marks = ticks(low, high)
    assert 2 <= len(marks) <= 12
    assert list(marks) == sorted(set(marks))
    slack = (marks[1] - marks[0]) * 1e-6
    assert marks[0] <= low + slack
    assert marks[-1] >= high - slack
