"""Number of bits for each layer's weights: measures the effect on the outputs and selects the best choice within a
limit.

A layer is sensitive if its weights at few bits, with everything else float, change the network's outputs. Noises of
several layers are assumed to add, as independent small errors do: Y. Zhou et al., "Adaptive Quantization for Deep
Neural Network" (AAAI 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..arithmetic.interpreter import evaluate, trace
from ..errors import BudgetError, CalibrationError
from ..ir import Array, Graph, Op
from .quantizers import BITS, Quantizer
from .samples import single, spread_evenly
from .weight_scales import WEIGHTED, channel_axis, from_rows, weight_rows

MOST_SAMPLES = 32


@dataclass(frozen=True, slots=True)
class LayerBits:
    """One layer with weights: bytes and noise for each number of bits. Sequences are in the order
    of `BITS`: 8, 4, 2.
    """

    output: int
    """Its output tensor."""
    name: str
    weights: int
    noise: tuple[float, ...]
    """Mean squared error of the network's outputs relative to their mean square."""

    def nbytes(self, bits: int) -> int:
        """Bytes of the packed weights, without biases and scales."""
        return -(-self.weights * bits // 8)


def layer_bits(graph: Graph, bits: int | Mapping[str, int]) -> dict[int, int]:
    """Bits of each weighted operation by its output tensor. Raises CalibrationError for numbers other than 8, 4, 2."""
    names = {op.output: graph.out(op).name for op in graph.ops if isinstance(op, WEIGHTED)}
    by_layer = dict.fromkeys(names.values(), bits) if isinstance(bits, int) else dict(bits)
    for name, n in by_layer.items():
        if n not in BITS:
            raise CalibrationError(f"weights of {n} bits (layer {name!r}) cannot be stored, expected 8, 4 or 2")
        if name not in names.values():
            layer_names = ", ".join(names.values())
            raise CalibrationError(
                f"{graph.name} has no layer with weights named {name!r}, expected one of: {layer_names}"
            )
    return {output: by_layer.get(name, BITS[0]) for output, name in names.items()}


def sensitivity(graph: Graph, samples: tuple[Array, ...], quantizer: Quantizer) -> tuple[LayerBits, ...]:
    """Every layer with weights of a float graph, measured on at most 32 of `samples` ((N, ...) for each input)."""
    exact = [trace(graph, x) for x in single(spread_evenly(samples, MOST_SAMPLES))]
    layers = [(i, op) for i, op in enumerate(graph.ops) if isinstance(op, WEIGHTED)]
    return tuple(
        LayerBits(
            op.output,
            graph.out(op).name,
            graph[op.inputs[1]].elements,
            tuple(_noise(graph, i, _weights_at(graph, op, quantizer, bits), exact) for bits in BITS),
        )
        for i, op in layers
    )


def bits_within(layers: Sequence[LayerBits], most_bytes: int) -> dict[int, int]:
    """Output tensor -> bits: all weights within `most_bytes` with little noise. Raises BudgetError if 2 bits exceed the
    limit.

    Starting from 8 bits for all, the reduction that adds the least noise per saved byte is applied until all fit. Then
    each layer, the noisiest first, gets more bits if there is room.
    """
    place = dict.fromkeys((layer.output for layer in layers), 0)
    least = sum(layer.nbytes(BITS[-1]) for layer in layers)
    if least > most_bytes:
        raise BudgetError(f"the weights take {least:,} bytes at 2 bits each, more than the {most_bytes:,} allowed")
    while _total(layers, place) > most_bytes:
        steps = [(_price(layer, place[layer.output], to), layer.output, to) for layer, to in _down(layers, place)]
        _, output, to = min(steps)
        place[output] = to
    for layer in sorted(layers, key=lambda layer: -layer.noise[place[layer.output]]):
        better = [to for to in range(place[layer.output]) if _fits(layers, place, layer, to, most_bytes)]
        place[layer.output] = min(better, default=place[layer.output])
    return {output: BITS[to] for output, to in place.items()}


def _down(layers: Sequence[LayerBits], place: Mapping[int, int]) -> list[tuple[LayerBits, int]]:
    return [(layer, to) for layer in layers for to in range(place[layer.output] + 1, len(BITS))]


def _price(layer: LayerBits, now: int, to: int) -> float:
    """Added noise per saved byte; infinite for a layer that saves nothing."""
    saved = layer.nbytes(BITS[now]) - layer.nbytes(BITS[to])
    return (layer.noise[to] - layer.noise[now]) / saved if saved else np.inf


def _fits(layers: Sequence[LayerBits], place: Mapping[int, int], layer: LayerBits, to: int, most_bytes: int) -> bool:
    return _total(layers, {**place, layer.output: to}) <= most_bytes


def _total(layers: Sequence[LayerBits], place: Mapping[int, int]) -> int:
    return sum(layer.nbytes(BITS[place[layer.output]]) for layer in layers)


def _weights_at(graph: Graph, op: Op, quantizer: Quantizer, bits: int) -> Array:
    rows = weight_rows(graph, op)
    values = quantizer.meaning(quantizer.fit(rows, bits), rows)
    return from_rows(values, graph[op.inputs[1]], channel_axis(op)).astype(np.float32)


def _noise(graph: Graph, index: int, weights: Array, exact: Sequence[Mapping[int, Array]]) -> float:
    """Effect on the outputs of `weights` in place of those of operation `index`: squared error over square, all
    samples.
    """
    error = square = 0.0
    for values in exact:
        changed = _outputs(graph, index, weights, values)
        for i in graph.outputs:
            error += float(np.square(changed.get(i, values[i]).astype(np.float64) - values[i]).sum())
            square += float(np.square(values[i].astype(np.float64)).sum())
    return error / square if square else error


def _outputs(graph: Graph, index: int, weights: Array, values: Mapping[int, Array]) -> dict[int, Array]:
    """The values of all tensors that differ from `values`."""
    first = graph.ops[index]
    x, _, *bias = (values[i] for i in first.inputs)
    changed = {first.output: evaluate(graph, first, [x, weights, *bias])}
    for op in graph.ops[index + 1 :]:
        if not changed.keys().isdisjoint(op.inputs):
            changed[op.output] = evaluate(graph, op, [changed.get(i, values[i]) for i in op.inputs])
    return changed


def precision_note(layers: Sequence[LayerBits], bits: Mapping[int, int]) -> str:
    """A note with the number of layers per number of bits, and the total bytes."""
    counts = ", ".join(f"{list(bits.values()).count(n)} at {n} bits" for n in BITS if n in bits.values())
    total = sum(layer.nbytes(bits[layer.output]) for layer in layers)
    return f"weights take {total:,} bytes; layers: {counts}"
