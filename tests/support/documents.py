"""The project's documents as tests read them: text, code blocks, headings, links, code spans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def documents() -> list[Path]:
    """Every Markdown file of the project."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md") if (ROOT / name).is_file()]
    return [*top, *sorted(DOCS.rglob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md"))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block. `info` is the text after the fence, "toml" or "python title=a.py"; `line` is its first."""

    language: str
    info: str
    text: str
    line: int


_FENCE = re.compile(r"^( *)```(.*)$")


def blocks(text: str) -> Iterator[Block]:
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        if (start := _FENCE.match(line)) is None:
            continue
        indent, info = len(start[1]), start[2].strip()
        body = []
        for _, inner in lines:
            if inner.strip() == "```":
                break
            body.append(inner[indent:])
        yield Block(info.partition(" ")[0], info, "\n".join(body) + "\n", number + 1)


def prose(text: str) -> str:
    """Without code blocks and code spans; every line stays where it is."""
    lines, inside = [], False
    for line in text.splitlines():
        is_fence = _FENCE.match(line) is not None
        lines.append("" if inside or is_fence or line.startswith("    ") else line)
        inside ^= is_fence
    return re.sub(r"`[^`\n]*`", "`", "\n".join(lines))


def spans(text: str) -> list[str]:
    """Code spans outside of code blocks."""
    outside, inside = [], False
    for line in text.splitlines():
        is_fence = _FENCE.match(line) is not None
        outside.append("" if inside or is_fence else line)
        inside ^= is_fence
    return re.findall(r"`([^`\n]+)`", "\n".join(outside))


def anchors(text: str) -> set[str]:
    """The fragments of its headings, as GitHub and mkdocs make them."""
    headings = [line.lstrip("#").strip() for line in prose_lines(text) if re.match(r"#{1,6} ", line)]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def prose_lines(text: str) -> Iterator[str]:
    inside = False
    for line in text.splitlines():
        is_fence = _FENCE.match(line) is not None
        if not inside and not is_fence:
            yield line.replace("`", "")
        inside ^= is_fence


def links(text: str) -> list[str]:
    """Targets of links and images outside of code."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(text))


def missing_targets(path: Path) -> list[str]:
    """Links of a document to files of the project, or headings in them, that do not exist."""
    missing = []
    for link in links(path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+://|mailto:", link):
            continue
        file, _, fragment = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        is_known = target.is_file() and (not fragment or fragment in anchors(target.read_text(encoding="utf-8")))
        if not is_known:
            missing.append(link)
    return missing
