"""Random graphs that the variants for cores with MVE take, like `fast_graphs`: named after the variant."""

from __future__ import annotations

from functools import partial

import product_graphs
from graphs import Generator

from mcuquant.ops import Activation

_products = product_graphs._products
_NO_PADS = ((0, 0), (0, 0))
_SAME = ((1, 1), (1, 1))
_pointwise = partial(_products, window=(1, 1), pads=_NO_PADS)


def _forms(name: str, of: Generator, **form: object) -> dict[str, Generator]:
    """Few and many channels, whole vectors and not, one output and more."""
    return {
        name: partial(of, layers=2, **form),
        f"{name}_vectors": partial(of, channels=16, outputs=8, **form),
        f"{name}_many_vectors": partial(of, channels=80, outputs=12, **form),
        f"{name}_many": partial(of, channels=93, outputs=13, **form),
        f"{name}_few_outputs": partial(of, outputs=3, **form),
        f"{name}_batch": partial(of, batch=2, **form),
    }


GENERATORS: dict[str, Generator] = {
    **_forms("pointwise_mve_above", _pointwise, zero_point=-128),
    **_forms("pointwise_mve_signed", _pointwise, zero_point=11),
    **_forms("pointwise_mve_clamped", _pointwise, zero_point=-20, activation=Activation.RELU),
    "pointwise_mve_above_by_two": partial(_pointwise, zero_point=-128, stride=(2, 2)),
    "pointwise_mve_signed_across": partial(_pointwise, zero_point=4, stride=(1, 3), channels=16),
    "pointwise_mve_above_one_pixel": partial(_pointwise, zero_point=-128, size=(1, 1)),
    **_forms("conv2d_mve_above", _products, zero_point=-128),
    **_forms("conv2d_mve_signed", _products, zero_point=-100),
    **_forms("conv2d_mve_clamped", _products, zero_point=-90, activation=Activation.RELU6),
    "conv2d_mve_above_same": partial(_products, zero_point=-128, window=(3, 3), pads=_SAME, channels=16, layers=2),
    "conv2d_mve_above_image": partial(
        _products, zero_point=-128, window=(3, 3), stride=(2, 2), channels=3, size=(9, 9)
    ),
    "conv2d_mve_signed_by_two": partial(_products, zero_point=0, window=(2, 3), stride=(1, 2), channels=13),
    "conv2d_mve_above_dilated": partial(_products, zero_point=-128, window=(2, 3), dilation=(2, 3), size=(9, 11)),
    "conv2d_mve_above_tall": partial(
        _products, zero_point=-128, window=(10, 4), stride=(2, 2), channels=1, size=(19, 9)
    ),
}
