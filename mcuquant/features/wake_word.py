"""Wake words of microWakeWord: a manifest beside a .tflite, as the package pymicro-wakeword and ESPHome have them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError
from .micro_frontend import MicroFrontend

COOL_DOWN_S = 1.0
"""Time after a wake word in which no other one is reported."""


@dataclass(frozen=True, slots=True)
class WakeWord:
    """The content of a manifest. The word is spoken where the mean of `average` scores exceeds `cutoff`.

    `step_ms` is the time from one row of features to the next.
    """

    name: str
    model: Path
    cutoff: float
    average: int
    step_ms: int

    @classmethod
    def load(cls, path: Path) -> WakeWord:
        """ModelError for a file that is no manifest of microWakeWord."""
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
            micro: dict[str, Any] = row["micro"]
            return cls(
                str(row["wake_word"]),
                path.parent / str(row["model"]),
                float(micro["probability_cutoff"]),
                int(micro["sliding_window_size"]),
                int(micro.get("feature_step_size", 10)),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"{path} is no manifest of microWakeWord: expected JSON with wake_word, model, and micro with "
                "probability_cutoff and sliding_window_size"
            ) from error

    @property
    def front_end(self) -> MicroFrontend:
        front = MicroFrontend()
        return MicroFrontend(step=front.rate_hz * self.step_ms // 1000)

    def cool_down(self, samples: int) -> int:
        """Inferences in `COOL_DOWN_S`, which are `samples` apart."""
        return round(COOL_DOWN_S * self.front_end.rate_hz / samples)
