"""Pictures in one self-contained SVG file, with light and dark colors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from .marks import Picture

_STYLE = """
svg { --page: #ffffff; --ink: #1c2430; --soft: #566273; --rule: #d5dbe3; --dense: #2e7d5b; --other: #67717f; }
@media (prefers-color-scheme: dark) {
  svg { --page: #12161c; --ink: #e6ebf2; --soft: #a3b0c0; --rule: #364150; --dense: #57b88b; --other: #98a4b3; }
}
text { font: 11px system-ui, sans-serif; fill: var(--soft); }
text.title { font-size: 13px; font-weight: 600; fill: var(--ink); }
text.number { fill: var(--page); font-size: 10px; font-weight: 600; }
polyline { fill: none; stroke: var(--rule); }
.front { stroke: var(--dense); stroke-width: 2; }
.point { fill: var(--other); stroke: var(--page); }
.point.best { fill: var(--dense); }
.page { fill: var(--page); }
"""
_HEAD = 24.0
"""Height of a picture's title."""


def standalone(pictures: Sequence[Picture]) -> str:
    """Pictures of lines, dots and texts, one above the other."""
    width, height = max(p.width for p in pictures), sum(p.height + _HEAD for p in pictures)
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', f"<style>{_STYLE}</style>"]
    parts.append(f'<rect class="page" width="{width:g}" height="{height:g}"/>')
    top = 0.0
    for picture in pictures:
        parts += [f'<g transform="translate(0 {top:g})">', *_marks(picture), "</g>"]
        top += picture.height + _HEAD
    return "\n".join([*parts, "</svg>"]) + "\n"


def _marks(p: Picture) -> Iterator[str]:
    yield f'<text class="title" x="8" y="16">{escape(p.title)}</text>'
    yield f'<g transform="translate(0 {_HEAD:g})"><desc>{escape(p.summary)}</desc>'
    for line in p.lines:
        yield f'<polyline class="{line.style}" points="{line.points}"/>'
    for dot in p.dots:
        circle = f'<circle class="{dot.style}" cx="{dot.x:.1f}" cy="{dot.y:.1f}" r="{dot.radius:g}">'
        yield f"{circle}<title>{escape(dot.title)}</title></circle>"
    for t in p.texts:
        where = f'x="{t.x:.1f}" y="{t.y:.1f}" text-anchor="{t.anchor}"'
        yield f'<text class="{t.style}" {where}>{escape(t.text)}</text>'
    yield "</g>"
