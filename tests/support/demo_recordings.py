"""Recordings as the demo's file holds them, of random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np


def recordings(lengths: tuple[int, ...] = (300, 128, 127)) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "X": [rng.normal(0, 1, (n, 6)) for n in lengths],
        "y": np.arange(len(lengths)) % 7,
        "subject": np.arange(1, len(lengths) + 1),
        "side": np.ones(len(lengths)),
        "y_labels": ["PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW"],
        "X_labels": ["ax", "ay", "az", "wx", "wy", "wz"],
    }
