"""Arguments and costs that the kernels of audio front ends share."""

from __future__ import annotations

import numpy as np

from ...arithmetic import fft16
from ...ir import Array, ops
from ..variant import CALL, Arg, Blob, Cycles, In, Number, Out, Site, Struct


def window_struct(site: Site) -> Struct:
    x, w, op = *site.ins, site.op
    assert isinstance(op, ops.Window)
    fields = {"rows": x.elements // w.elements, "size": w.elements, "shift": op.shift}
    return Struct("mq_window_samples_t", fields)


def auto_scale_struct(site: Site) -> Struct:
    op = site.op
    assert isinstance(op, ops.FftAutoScale)
    fields = {"count": site.out.elements, "ignores_lowest": int(op.ignores_lowest)}
    return Struct("mq_fft_auto_scale_t", fields)


def transform_tables(length: int, inverse: bool) -> tuple[Blob, Blob, Blob]:
    half = length // 2
    order = Blob("order", fft16.order(half).astype(np.uint16), "element that each place begins with")
    turns = Blob("turns", _int16(fft16.twiddles(half, inverse)), "(cosine, sine) of k / length turns")
    parts = Blob("half_turns", _int16(fft16.half_twiddles(half, inverse)), "likewise, that part the two halves")
    return order, turns, parts


def _int16(values: Array) -> Array:
    return values.astype(np.int16)


def transform_struct(site: Site) -> Struct:
    op = site.op
    assert isinstance(op, ops.Rfft | ops.Irfft)
    return Struct("mq_fft16_t", {"half": op.length // 2, "samples": site.ins[0].elements})


def transform_cycles(butterfly: float) -> Cycles:
    """Cycles of a transform with a quarter as many butterflies in each stage as elements, `butterfly` cycles each."""

    def cycles(site: Site) -> int:
        op = site.op
        assert isinstance(op, ops.Rfft | ops.Irfft)
        half = op.length // 2
        return CALL + round(half * (20 + butterfly * (len(fft16.radices(half)) / 4 + 0.2)))

    return cycles


def energy_struct(site: Site) -> Struct:
    op = site.op
    assert isinstance(op, ops.Energy)
    return Struct("mq_energy_t", {"bins": site.out.elements, "start": op.start, "end": op.end})


def root_args(site: Site) -> tuple[Arg, ...]:
    return Number(site.out.elements), In(0), In(1), Out()
