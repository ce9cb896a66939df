"""The documents: what they list is what the code has, what they name exists, and their English is plain."""

from __future__ import annotations

import importlib
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
import yaml
from documents import DOCS, ROOT, anchors, blocks, documents, missing_targets, name_of, prose, spans

import mcuquant
from mcuquant.boards import board
from mcuquant.boards.chip_families import FAMILIES
from mcuquant.cli import main
from mcuquant.ir import ops
from mcuquant.ir.ops import Op

EVERY = pytest.mark.parametrize("path", documents(), ids=name_of)
COMMANDS = main.commands if isinstance(main, click.Group) else {}


def options(command: click.Command) -> set[str]:
    """The options of a command and of its subcommands."""
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return {name for p in command.params for name in p.opts}.union(*(options(each) for each in below))


def rows(text: str, heading: str) -> list[list[str]]:
    """Cells of the tables below a heading, without those of the next one."""
    section = text.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    return [[c.strip() for c in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| ")]


def test_every_operation_is_in_the_table() -> None:
    text = (DOCS / "ops.md").read_text()
    kinds = [getattr(ops, name) for name in ops.__all__]
    operations = [k for k in kinds if isinstance(k, type) and issubclass(k, Op)]
    bases = {base for k in operations for base in k.__mro__[1:]}
    listed = {
        name for line in text.splitlines() if line.startswith("|") for name in line.split("|")[1].strip().split(", ")
    }
    assert {k.__name__ for k in operations if k not in bases} - listed == set()


def test_readme_describes_every_command_in_five_words() -> None:
    text = (ROOT / "README.md").read_text()
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^|`]+) \|$", text, re.M))
    assert set(listed) == set(COMMANDS)
    assert {name: purpose for name, purpose in listed.items() if len(purpose.split()) > 5} == {}


def test_readme_has_the_two_commands_on_its_first_screen() -> None:
    first = (ROOT / "README.md").read_text().splitlines()[:12]
    assert "git clone <this repository> && cd mcuquant" in first
    assert "make demo" in first


def test_every_folder_is_in_the_architecture() -> None:
    text = (DOCS / "architecture.md").read_text()
    listed = {row[0].strip("`/") for row in rows(text, "## Folders")[1:]}
    package = {f"mcuquant/{p.name}" for p in (ROOT / "mcuquant").iterdir() if (p / "__init__.py").is_file()}
    firmware = {f"firmware/{p.name}" for p in (ROOT / "firmware").iterdir() if p.is_dir()}
    assert listed == package | firmware | {"templates", "boards", "benchmarks", "tests"}


def test_values_of_the_architecture_are_where_it_says() -> None:
    text = (DOCS / "architecture.md").read_text()
    for names, places, _ in rows(text, "## Values")[1:]:
        for name, place in zip(names.split(", "), places.split(", "), strict=True):
            source = (ROOT / place.strip("`")).read_text()
            assert re.search(rf"^class {name.strip('`')}\b", source, re.M), f"{name} is not defined in {place}"


def profile_keys(cls: type, prefix: str = "") -> Iterator[str]:
    tables = {"flash": board.Region, "ram": board.Region, "uart": board.Uart, "qemu": board.Qemu}
    tables |= {"usb": board.Usb, "flashing": board.Flashing}
    for f in fields(cls):  # type: ignore[arg-type]
        if not prefix and f.name in tables:
            yield from profile_keys(tables[f.name], f"{f.name}.")
        elif f.name != "name":
            yield f"{prefix}{f.name}{'.*' if f.name == 'chip' else ''}"


def test_every_key_of_a_board_profile_is_described() -> None:
    table = rows((DOCS / "boards.md").read_text(), "## Keys of a profile")
    described = {key for row in table for key in re.findall("`(.+?)`", row[0])}
    assert set(profile_keys(board.Board)) - described == set()


def test_every_board_is_in_the_table() -> None:
    text = (DOCS / "boards.md").read_text()
    listed = {
        f"{'qemu-mps2-' if name.startswith('an') else ''}{name}"
        for heading in ("## Boards emulated by QEMU", "## Physical boards")
        for row in rows(text, heading)
        for name in re.findall("`(.+?)`", row[0])
    }
    assert listed == set(board.board_names())


def test_chip_keys_of_every_family_are_described() -> None:
    table = rows((DOCS / "boards.md").read_text(), "## Keys of a profile")
    families = {
        family: set(re.findall("`(.+?)`", row[1]))
        for row in table
        for family in re.findall("`(.+?)`", row[0])
        if (ROOT / "firmware" / "port" / family / "mq_chip.c").is_file()
    }
    meanings = {key for row in table for key in re.findall("`(.+?)`", row[0])}
    for name, family in FAMILIES.items():
        assert families[name] == {key.name for key in family.keys}, name
        assert families[name] <= meanings
    assert set(families) == {p.parent.name for p in (ROOT / "firmware" / "port").glob("*/mq_chip.c")}


@EVERY
def test_blocks_in_lists_are_indented_for_both_renderers(path: Path) -> None:
    """GitHub takes three spaces or four; Python-Markdown begins a new list after a block with less than four."""
    fences = re.findall(r"^( *)```", path.read_text(encoding="utf-8"), re.M)
    assert {len(fence) for fence in fences} <= {0, 4}


@EVERY
def test_links_lead_somewhere(path: Path) -> None:
    assert missing_targets(path) == []


def test_every_page_is_in_the_site() -> None:
    """mkdocs.yml lists each document once; pages from outside of docs/ are those that its hook adds."""
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    listed = [page for section in site["nav"] for pages in section.values() for page in _pages(pages)]
    (line,) = re.findall(r"^OUTSIDE = \((.*)\)$", (DOCS / "site" / "hooks.py").read_text(), re.M)
    outside = re.findall(r'"(.+?)"', line)
    pages = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]
    assert sorted(listed) == sorted([*pages, *outside])
    assert site["theme"]["font"] is False


def _pages(entry: str | list[dict[str, str]]) -> list[str]:
    return [entry] if isinstance(entry, str) else [page for item in entry for page in item.values()]


def test_the_changelog_has_each_section_once() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    for version in text.split("\n## ")[1:]:
        sections = re.findall(r"^### (\w+)", version, re.M)
        assert len(sections) == len(set(sections)), f"merge the sections of one name: {', '.join(sections)}"


NO_ATTRIBUTES = {"mq.c", "mcuquant.digest", "mcuquant.board", "mcuquant.latency_us"}
"""A file's name, and properties in JUnit reports."""


@EVERY
def test_paths_and_names_of_the_project_exist(path: Path) -> None:
    """Code spans such as mcuquant/flow.py, mcuquant.compression.prune and mq.compile."""
    folders = "mcuquant|firmware|templates|boards|benchmarks|tests|docs"
    for span in spans(path.read_text(encoding="utf-8")):
        if re.fullmatch(rf"(?:{folders})/[\w./*-]*", span):
            assert list(ROOT.glob(span)), f"{span} does not exist"
        name = re.match(r"(?:mcuquant|mq)((?:\.\w+)+)(?!/)", span)
        if name and path.name != "CHANGELOG.md" and span not in NO_ATTRIBUTES:
            assert_resolves(name[1].strip(".").split("."), span)


def assert_resolves(parts: list[str], span: str) -> None:
    value: object = mcuquant
    for i, part in enumerate(parts):
        try:
            value = getattr(value, part)
        except AttributeError:
            value = importlib.import_module(".".join(("mcuquant", *parts[: i + 1])))
    assert value is not None, span


@EVERY
def test_commands_in_code_blocks_exist(path: Path) -> None:
    """Every `mcuquant COMMAND --option` of a block is a command with that option."""
    for block in blocks(path.read_text(encoding="utf-8")):
        for line in block.text.replace("\\\n", " ").splitlines():
            if (call := re.match(r"\s*(?:\$ )?mcuquant (\w+)(.*)", line)) is None or block.language == "python":
                continue
            assert call[1] in COMMANDS, line
            known = options(COMMANDS[call[1]]) | {"--help"}
            used = set(re.findall(r"(?<!\S)--?[a-z][\w-]*", call[2].partition(" #")[0]))
            assert used - known == set(), line


# --- English ---------------------------------------------------------------------------------------------------------

BANNED = (
    r"answers? [\d.,]+ ?% \w+ly",
    r"\brightly\b",
    r"\bpart of right answers\b",
    r"\bright answers\b",
    r"\bno other beats\b",
    r"\bthat came of it\b",
    r"\bwhat came of\b",
    r"\bwhat for\b",
    r"\bonce more\b",
    r"\banew\b(?! = true)",
    r"\bheld against\b",
    r"\bis none\b",
    r"\bare none\b",
    r"\bso far as\b",
    r"\bas it were\b",
    r"\bthe like\b",
    r"\ban? (?:weight|pixel|channel|byte|bit|layer|entry|product|value|tensor|code|output) a (?!time)",
    r"\b(?:cycles|bytes|bits|byte|bit|multiplier|scale|value|codebook|one) an? (?:weight|pixel|channel|layer|entry)\b",
    r"\b(?:cycles|bytes|bits|byte|bit|multiplier|scale|value|one) an? (?:product|value|tensor|output|clock)\b",
    r"\bso many\b",
    r"\bbesides\b",
    r"\bmore(?:over)? than that of\b",
    r"\bof our own\b",
    r"\bis said\b",
    r"\bare said\b",
    r"\btold apart\b",
    r"\bbegins? that\b",
    r"\bmade good\b",
    r"\bgoes? on from\b",
    r"\bkeep(?:s|ing)? (?:its|their) promise\b",
    r"\bwith all it\b",
    r"\bthat is why\b",
    r"\bwhatever is aimed at\b",
    r"\bno word for\b",
    r"\bhas no measure\b",
    r"\bin silence\b",
    r"\bstand(?:s)? beside\b",
    r"\blie(?:s)? beside\b",
    r"\blet(?:s)? (?:Optuna )?look for\b",
    r"\bwhat is left\b",
    r"\bsaid plainly\b",
    r"\bfor itself\b",
    r"\bas ever\b",
    r"\bbe had with\b",
    r"\bgone\b",
)
"""Word orders of another language, riddles and mannered phrases; plain forms are in the documents around them."""


@EVERY
def test_documents_have_no_mannered_phrases(path: Path) -> None:
    assert mannered(prose(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_has_no_mannered_phrases(command: str) -> None:
    assert mannered(COMMANDS[command].get_help(click.Context(COMMANDS[command], info_name=command))) == []


FRAGMENT = re.compile(r"(?:Of|What|Whose|Those|That|Whatever|of|what) ")
"""Beginnings of docstrings and comments that leave out their noun."""


def python_prose(text: str) -> Iterator[str]:
    """Docstrings, comments, and the strings below constants."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string.lstrip("# ")
        elif token.type == tokenize.STRING and token.line[: token.start[1]].strip() == "":
            yield token.string.removeprefix("r").strip('" \n') if '"""' in token.string[:4] else ""


def c_prose(text: str) -> Iterator[str]:
    return (m[0].strip("/* ") for m in re.finditer(r"/\*.*?\*/", text, re.DOTALL))


def objections(comments: Iterable[str]) -> list[str]:
    """ "none" may end a sentence in code, where None is a value."""
    banned = [phrase for text in comments for phrase in mannered(text) if not phrase.lower().endswith("none")]
    return banned + [text[:60] for text in comments if FRAGMENT.match(text)]


def test_docstrings_and_comments_are_plain() -> None:
    sources = dict.fromkeys((ROOT / "mcuquant").rglob("*.py"), python_prose)
    sources |= {path: c_prose for folder in ("firmware", "templates") for path in (ROOT / folder).rglob("*.[chj]*")}
    assert len(sources) > 500
    problems = {p.name: objections(list(of(p.read_text(encoding="utf-8")))) for p, of in sources.items()}
    assert {name: found for name, found in problems.items() if found} == {}


def test_objections_to_comments() -> None:
    assert list(python_prose('x = 1  # of it\n"""Of a row."""\ny = "Of"\n')) == ["of it", "Of a row."]
    assert list(c_prose("int x; /* of a row */\n/* Words.\n * More. */")) == ["of a row", "Words.\n * More."]
    assert objections(["Of a row.", "The row is read anew.", "None if there is none."]) == ["anew", "Of a row."]


def mannered(text: str) -> list[str]:
    joined = " ".join(text.split())
    return [m[0] for pattern in BANNED for m in re.finditer(pattern, joined, re.IGNORECASE)]


def test_spelling() -> None:
    """American spelling in documents; misspelt words nowhere. "Modelled" is what the command line prints."""
    ignore = "modelled,normalise,Insufficent,Synopsys,modle,ABD,te"
    common = [sys.executable, "-m", "codespell_lib", "--ignore-words-list", ignore, "--builtin"]
    british = subprocess.run(
        [*common, "clear,rare,en-GB_to_en-US", *map(str, documents())], capture_output=True, text=True, check=False
    )
    assert british.stdout + british.stderr == ""
    code = [ROOT / name for name in ("mcuquant", "firmware", "templates", "boards", "benchmarks")]
    words = subprocess.run([*common, "clear", *map(str, code)], capture_output=True, text=True, check=False)
    assert words.stdout + words.stderr == ""


def test_anchors_are_those_of_github() -> None:
    assert anchors("# The `mq_dut` fixture\n\n```\n# no heading\n```\n## A, b: c\n") == {"the-mq_dut-fixture", "a-b-c"}
