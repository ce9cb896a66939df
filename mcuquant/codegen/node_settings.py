"""The user's settings of a sensor node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..ir import Array


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Settings of `compile(app="node")`. `mean`, `std` and `lsb` are one number, or one for each channel.

    The network was trained on (value - mean) / std, and a value is a raw count times `lsb`: for an accelerometer of
    +-8 g with 16 bits and a network trained on g, lsb is 8 / 32768. `stride` is in samples, half a window where it
    is None. `sensor` holds the driver's files, texts by their path, or the text of a single one. `rate_hz` is the
    rate of samples that the network was trained with: recordings of another rate are refused, and the duty cycle
    follows from it.

    `decision` is "class", "anomaly", "wake", "value" or "forecast"; None selects by the output's shape. What each uses:

    - class: `threshold`, the smallest real score of a class (None: any); `debounce`.
    - anomaly: `threshold`, the real score of an alarm, or the `quantile` of the scores over `normal`, recordings of raw
      counts (T, channels) of normal operation; `error` "squared" or "absolute"; `smooth`, the weight of the newest
      score; `hysteresis`, the share of the threshold by which the score must fall below it to end an alarm; `debounce`.
    - wake: `threshold`, the real score that the mean of the last `average` scores exceeds at a wake word; `debounce`;
      `cool_down`, inferences after a wake word that are ignored.
    - value: `output_scale`, `output_offset` and `output_unit` (value = output * scale + offset); `smooth`; `low` and
      `high`, limits in that unit; `hysteresis`, in that unit; `debounce`.
    - forecast: `error`.
    """

    mean: Sequence[float] | float
    std: Sequence[float] | float
    lsb: Sequence[float] | float = 1.0
    stride: int | None = None
    threshold: float | None = None
    debounce: int = 1
    average: int = 1
    cool_down: int = 0
    sensor: Mapping[str, str] | str | None = None
    rate_hz: float | None = None
    decision: str | None = None
    error: str = "squared"
    smooth: float = 1.0
    hysteresis: float = 0.0
    normal: Sequence[Array] = ()
    quantile: float = 0.995
    output_unit: str = ""
    output_scale: float = 1.0
    output_offset: float = 0.0
    low: float | None = None
    high: float | None = None

    @property
    def sensor_files(self) -> Mapping[str, str] | None:
        """The files of the driver; None for the sensor that replays samples from the serial port."""
        return {"node_sensor.c": self.sensor} if isinstance(self.sensor, str) else self.sensor
