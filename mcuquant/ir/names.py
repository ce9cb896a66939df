"""Names for readers."""

from __future__ import annotations


def clip(text: str, most: int = 24) -> str:
    """A name shortened to a number of characters. Names of converted models are long and begin alike, so the end is
    kept.
    """
    return text if len(text) <= most else "…" + text[1 - most :]
