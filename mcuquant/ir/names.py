"""Names as people read them."""

from __future__ import annotations


def clip(text: str, most: int = 24) -> str:
    """At most so many characters. Names of converted models are long and begin alike: the end is kept."""
    return text if len(text) <= most else "…" + text[1 - most :]
