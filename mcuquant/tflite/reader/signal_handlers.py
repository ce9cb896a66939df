"""The custom operators of TensorFlow Lite Micro's signal library: audio front ends, in integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ...ir import DType, Role, Shape, Tensor, ops
from ..schema.rows import CUSTOM_OPTIONS, custom
from .operator_node import Node

_INT16_NUMBER = 7


def _outputs(node: Node, count: int) -> tuple[Tensor, ...]:
    for name in CUSTOM_OPTIONS[node.row.code]:
        node.option(name)
    return tuple(node.output(k) for k in range(count))


def _row(node: Node, t: Tensor, what: str) -> Tensor:
    return node.rank(t, 1, what)


def _int16(node: Node) -> None:
    if node.integer("T") != _INT16_NUMBER:
        raise node.unsupported(f"has the element type {node.integer('T')}, expected INT16 ({_INT16_NUMBER})")


def _window(node: Node) -> None:
    node.expect(range(2, 3))
    x, w = node.input(0), node.constant(1, "weights")
    (y,) = _outputs(node, 1)
    node.emit(ops.Window(inputs=(x.id, w.id), outputs=(y.id,), shift=node.integer("shift", 0, 15)))


def _fft_auto_scale(node: Node) -> None:
    node.expect(range(1, 2), outputs=2)
    x = _row(node, node.input(0), "an input")
    y, shift = _outputs(node, 2)
    node.emit(ops.FftAutoScale(inputs=(x.id,), outputs=(y.id, shift.id)))


def _rfft(node: Node) -> None:
    node.expect(range(1, 2))
    x = _row(node, node.input(0), "an input")
    (y,) = _outputs(node, 1)
    _int16(node)
    node.emit(ops.Rfft(inputs=(x.id,), outputs=(y.id,), length=node.integer("fft_length", 1, 1 << 16)))


def _irfft(node: Node) -> None:
    node.expect(range(1, 2))
    x = _row(node, node.input(0), "an input")
    (y,) = _outputs(node, 1)
    _int16(node)
    node.emit(ops.Irfft(inputs=(x.id,), outputs=(y.id,), length=node.integer("fft_length", 1, 1 << 16)))


def _energy(node: Node) -> None:
    node.expect(range(1, 2))
    x = _row(node, node.input(0), "an input")
    (y,) = _outputs(node, 1)
    node.emit(
        ops.Energy(inputs=(x.id,), outputs=(y.id,), start=node.integer("start_index"), end=node.integer("end_index"))
    )


def _filter_bank(node: Node) -> None:
    node.expect(range(6, 7))
    names = ("weights", "unweights", "first bins", "first weights", "widths")
    constants = [_row(node, node.constant(k, name), name) for k, name in enumerate(names, 1)]
    x = node.input(0)
    (y,) = _outputs(node, 1)
    node.shaped(y, (node.integer("num_channels", 1, 1 << 15),))
    node.emit(ops.FilterBank(inputs=(x.id, *(t.id for t in constants)), outputs=(y.id,)))


def _square_root(node: Node) -> None:
    node.expect(range(2, 3))
    x, shift = _row(node, node.input(0), "an input"), node.input(1)
    (y,) = _outputs(node, 1)
    node.emit(ops.FilterBankSquareRoot(inputs=(x.id, shift.id), outputs=(y.id,)))


def _state(node: Node, like: Tensor, shape: Shape, next_value: int) -> Tensor:
    """Zeros before the first inference."""
    data = np.zeros(shape, like.dtype.numpy)
    state = node.translation.add(replace(like, shape=shape, role=Role.STATE, data=data, name=f"{like.name}/state"))
    return node.translation.add_state(state, next_value)


def _subtraction(node: Node) -> None:
    node.expect(range(1, 2), outputs=2)
    x = _row(node, node.input(0), "an input")
    y, noise = _outputs(node, 2)
    before = _state(node, noise, noise.shape, noise.id)
    node.emit(
        ops.SpectralSubtraction(
            inputs=(x.id, before.id),
            outputs=(y.id, noise.id),
            smoothing=node.integer("smoothing"),
            one_minus_smoothing=node.integer("one_minus_smoothing"),
            alternate_smoothing=node.integer("alternate_smoothing"),
            alternate_one_minus_smoothing=node.integer("alternate_one_minus_smoothing"),
            smoothing_bits=node.integer("smoothing_bits"),
            min_signal_remaining=node.integer("min_signal_remaining"),
            bits=node.integer("spectral_subtraction_bits"),
            clamping=bool(node.integer("clamping")),
        )
    )


def _pcan(node: Node) -> None:
    node.expect(range(3, 4))
    x, noise, table = node.input(0), node.input(1), node.constant(2, "table of gains")
    (y,) = _outputs(node, 1)
    node.emit(ops.Pcan(inputs=(x.id, noise.id, table.id), outputs=(y.id,), snr_shift=node.integer("snr_shift")))


def _log(node: Node) -> None:
    node.expect(range(1, 2))
    x = _row(node, node.input(0), "an input")
    (y,) = _outputs(node, 1)
    scale, bits = node.integer("output_scale"), node.integer("input_correction_bits")
    node.emit(ops.FilterBankLog(inputs=(x.id,), outputs=(y.id,), output_scale=scale, correction_bits=bits))


def _overlap_add(node: Node) -> None:
    """One frame after the other is added to the tail of those before."""
    node.expect(range(1, 2))
    x = node.rank(node.input(0), 2, "an input")
    (y,) = _outputs(node, 1)
    _int16(node)
    frames, size = x.shape
    step = node.integer("frame_step", 1, size - 1)
    node.shaped(y, (frames * step,))
    tails = [node.temporary(x, (size - step,)) for _ in range(frames)]
    before, parts = _state(node, x, (size - step,), tails[-1].id), []
    for i in range(frames):
        frame = _frame(node, x, i)
        part = y if frames == 1 else node.temporary(y, (step,))
        node.emit(ops.OverlapAdd(inputs=(frame.id, before.id), outputs=(part.id, tails[i].id), step=step))
        before = tails[i]
        parts.append(part.id)
    if frames > 1:
        node.emit(ops.Concat(inputs=tuple(parts), outputs=(y.id,), axis=0))


def _frame(node: Node, x: Tensor, i: int) -> Tensor:
    """Row `i` of two axes as one axis."""
    flat = node.temporary(x, (x.shape[1],))
    row = x
    if x.shape[0] > 1:
        row = node.temporary(x, (1, x.shape[1]))
        node.emit(ops.Slice(inputs=(x.id,), outputs=(row.id,), begin=(i, 0), step=(1, 1)))
    node.emit(ops.Reshape(inputs=(row.id,), outputs=(flat.id,)))
    return flat


def _delay(node: Node) -> None:
    """The samples from `delay_length` before: what is kept enters in front of the new ones."""
    node.expect(range(1, 2))
    x = node.input(0)
    (y,) = _outputs(node, 1)
    node.shaped(y, x.shape)
    axis, rank = len(x.shape) - 1, len(x.shape)
    length = node.integer("delay_length", 1, 1 << 16)
    kept, size = (*x.shape[:-1], length), x.shape[-1]
    newest = node.temporary(x, kept)
    before, line = _state(node, x, kept, newest.id), node.temporary(x, (*x.shape[:-1], length + size))
    zeros, ones = (0,) * rank, (1,) * rank
    node.emit(ops.Concat(inputs=(before.id, x.id), outputs=(line.id,), axis=axis))
    node.emit(ops.Slice(inputs=(line.id,), outputs=(y.id,), begin=zeros, step=ones))
    node.emit(ops.Slice(inputs=(line.id,), outputs=(newest.id,), begin=(*zeros[:-1], size), step=ones))


def _stacker(node: Node) -> None:
    """The newest rows, side by side. Copies of the first row come before it; a state says whether there was one."""
    node.expect(range(1, 2), outputs=2)
    x = node.rank(node.input(0), 1, "an input")
    for name in CUSTOM_OPTIONS[node.row.code]:
        node.option(name)
    y = node.output()
    sides = (node.integer(f"stacker_{side}_context", 0, 1 << 10) for side in ("left", "right"))
    rows, channels, step = sum(sides), node.integer("num_channels", 1, 1 << 16), node.integer("stacker_step")
    if step != 1:
        raise node.unsupported(f"has a step of {step} rows, expected 1: other steps give no output of each inference")
    if x.elements != channels:
        raise node.error(f"has an input of {x.elements} elements and {channels} channels, expected as many")
    node.shaped(y, ((rows + 1) * channels,))
    if not rows:
        node.emit(ops.Reshape(inputs=(x.id,), outputs=(y.id,)))
        return
    row, before, line = (node.temporary(x, (n, channels)) for n in (1, rows, rows + 1))
    newest = node.temporary(x, (rows, channels))
    kept, has_row = _state(node, x, (rows, channels), newest.id), _has_row(node)
    node.emit(ops.Reshape(inputs=(x.id,), outputs=(row.id,)))
    node.emit(ops.Select(inputs=(has_row.id, kept.id, row.id), outputs=(before.id,)))
    node.emit(ops.Concat(inputs=(before.id, row.id), outputs=(line.id,), axis=0))
    node.emit(ops.Slice(inputs=(line.id,), outputs=(newest.id,), begin=(1, 0), step=(1, 1)))
    node.emit(ops.Reshape(inputs=(line.id,), outputs=(y.id,)))


def _has_row(node: Node) -> Tensor:
    """A state that is false in the first inference alone."""
    true = node.new_constant(np.array([[True]]), DType.BOOL)
    after = node.temporary(true, true.shape)
    node.emit(ops.Slice(inputs=(true.id,), outputs=(after.id,), begin=(0, 0), step=(1, 1)))
    return _state(node, after, after.shape, after.id)


def _framer(node: Node) -> None:
    """Frames of the newest samples. Without `prefill` their number at first is no whole frame: zeros stand for it."""
    node.expect(range(1, 2), outputs=2)
    x = node.rank(node.input(0), 1, "an input")
    for name in CUSTOM_OPTIONS[node.row.code]:
        node.option(name)
    y = node.output()
    step = node.integer("frame_step", 1, 1 << 16)
    size = node.integer("frame_size", step, 1 << 16)
    count, rest = divmod(x.elements, step)
    if rest:
        raise node.error(f"has {x.elements} samples in steps of {step}, expected a multiple")
    node.shaped(y, (count, size))
    line = _line(node, x, size - step if node.integer("prefill") else -(-size // step) * step - step)
    frames = [node.temporary(x, (size,)) for _ in range(count)]
    for i, frame in enumerate(frames):
        node.emit(ops.Slice(inputs=(line.id,), outputs=(frame.id,), begin=(i * step,), step=(1,)))
    flat = frames[0] if count == 1 else node.temporary(x, (count * size,))
    if count > 1:
        node.emit(ops.Concat(inputs=tuple(t.id for t in frames), outputs=(flat.id,), axis=0))
    node.emit(ops.Reshape(inputs=(flat.id,), outputs=(y.id,)))


def _line(node: Node, x: Tensor, kept: int) -> Tensor:
    """`x` behind the `kept` samples before it."""
    if not kept:
        return x
    line, newest = node.temporary(x, (kept + x.elements,)), node.temporary(x, (kept,))
    before = _state(node, x, (kept,), newest.id)
    node.emit(ops.Concat(inputs=(before.id, x.id), outputs=(line.id,), axis=0))
    node.emit(ops.Slice(inputs=(line.id,), outputs=(newest.id,), begin=(x.elements,), step=(1,)))
    return line


HANDLERS: Mapping[str, Callable[[Node], None]] = {
    custom("SignalWindow"): _window,
    custom("SignalFftAutoScale"): _fft_auto_scale,
    custom("SignalRfft"): _rfft,
    custom("SignalIrfft"): _irfft,
    custom("SignalEnergy"): _energy,
    custom("SignalFilterBank"): _filter_bank,
    custom("SignalFilterBankSquareRoot"): _square_root,
    custom("SignalFilterBankSpectralSubtraction"): _subtraction,
    custom("SignalPCAN"): _pcan,
    custom("SignalFilterBankLog"): _log,
    custom("SignalOverlapAdd"): _overlap_add,
    custom("SignalDelay"): _delay,
    custom("SignalFramer"): _framer,
    custom("SignalStacker"): _stacker,
}
