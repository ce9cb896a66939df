"""Matrix products for pixels that are not whole words and for groups; firmware/kernels/dsp/mq_conv2d_rows.h."""

from __future__ import annotations

from functools import partial

from ...ir.ops import Conv2D
from ..shared.conv_fields import is_ungrouped, line_window
from ..shared.estimates import TWICE
from ..shared.folded import is_int8
from ..shared.overlap import windows
from ..shared.plain_estimates import by_core
from ..variant import CALL, Arg, Blob, In, Out, Scratch, Shared, Site, Variant
from .dot_products import gather_cycles, weight_rows
from .gemm import FORMS, PIXELS, Form, pack_rows, pairs_fit


def takes(site: Site, form: Form) -> bool:
    """Layers outside the kernels of whole words, with at least two outputs per group."""
    x, w = site.ins[:2]
    is_whole_words = is_ungrouped(site) and x.shape[3] % 4 == 0
    if not site.core.dsp or is_whole_words or not is_int8(site) or w.shape[0] // _groups(site) < 2:
        return False
    return pairs_fit(weight_rows(site)) and form.constants(site) is not None


def _groups(site: Site) -> int:
    return site.ins[0].shape[3] // site.ins[1].shape[3]


def _window_words(site: Site) -> int:
    return int(weight_rows(site).shape[1]) // 4


def _args(site: Site, form: Form) -> tuple[Arg, ...]:
    stream = pack_rows(site, form, weight_rows(site), _groups(site))
    w = Blob("weights", stream, "packed in pairs of outputs, see mq_gemm.h")
    return line_window(site), In(), w, Scratch("int32_t"), Out()


def _scratch_bytes(site: Site) -> int:
    """Scratch: a block, a window, and the outputs of a block of a group."""
    outputs = site.out.shape[3] // _groups(site)
    return 4 * ((2 * PIXELS + 1) * _window_words(site) + -(-PIXELS * outputs // 4))


def _overlap_offsets(site: Site) -> tuple[int | None, ...]:
    """A group's windows are gathered before its outputs are written, but not the next group's."""
    return windows(site, buffered=is_ungrouped(site), block=PIXELS)


def _cycles(site: Site, form: Form) -> int:
    words, groups, outputs = _window_words(site), _groups(site), site.out.shape[3]
    pixels = site.out.elements // outputs
    pair = 39 + 25 * words + 6 * ((words - 1) // 8) + (TWICE if form.words > 1 else 0)
    pairs = -(-outputs // groups // 2)
    block = 60 + pairs * pair + PIXELS * (gather_cycles(site) + 20 + 6 * words)
    return CALL + round(-(-pixels // PIXELS) * (150 + groups * block))


VARIANTS = tuple(
    Variant(
        f"conv2d_rows_{form.name}_s8",
        "mq_conv2d_rows.h",
        Conv2D,
        partial(takes, form=form),
        partial(_args, form=form),
        _scratch_bytes,
        overlap_offsets=_overlap_offsets,
        cycles=by_core(partial(_cycles, form=form), mve=0.8),
        step_bytes=900,
        shared_bytes=1300,
        shared=(Shared(f"mq_gemm_{form.name}", 814 + 92 * (form.words > 1)), Shared("mq_gemm_expand", 200)),
    )
    for form in FORMS
)
