"""A PT2E quantizer that describes the device's arithmetic: where a network is rounded in training, and how.

Activations are int8 with one scale and zero point per tensor. Weights have 8, 4 or 2 bits, are symmetric, and have a
scale per output channel. Operations that move stored values share the scale of their input. Softmax, sigmoid and tanh
have the output scale of TFLite's quantization specification. Biases stay float: their unit on the device, input scale
times weight scale, is far finer than necessary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import (
    FakeQuantize,
    FusedMovingAvgObsFakeQuantize,
    MovingAverageMinMaxObserver,
    UniformQuantizationObserverBase,
)
from torchao.quantization.pt2e.quantizer import (
    FixedQParamsQuantizationSpec,
    QuantizationAnnotation,
    QuantizationSpec,
    QuantizationSpecBase,
    Quantizer,
    SharedQuantizationSpec,
)

from ..errors import ModelError
from ..quantization.quantizers import BITS, limits

_CLIPS = torch.linspace(1.0, 0.3, 15)
"""Fractions of a channel's range to try as the clipping limit below 8 bits. The one with the least squared error is
used.
"""
_KEY = "quantization_annotation"

_LAYERS = ("conv1d", "conv2d", "linear")
_RELU = ("relu", "relu_", "relu6", "relu6_")
_HARDTANH = ("hardtanh", "hardtanh_")
_CLAMPS = ((), (-1, 1), (0, 6))
"""Bounds of a hardtanh that the device clamps to at no cost. Without arguments they are -1 and 1."""
_TAKES_RELU = (*_LAYERS, "add", "add_", "sub", "mul", "mul_")
_SHARED = (
    *("max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d", "flatten", "reshape", "view", "permute", "transpose"),
    *("squeeze", "unsqueeze", "contiguous", "clone", "alias", "slice", "select", "dropout", "dropout_", "pad"),
    *("constant_pad_nd", "cat", "maximum", "minimum", "amax"),
)
_FIXED = {"softmax": (1 / 256, -128), "sigmoid": (1 / 256, -128), "tanh": (1 / 128, 0)}


class ClippedObserver(UniformQuantizationObserverBase):  # type: ignore[misc]
    """The symmetric grid of each output channel, from the current weights."""

    def __init__(self, bits: int, **options: Any) -> None:
        low, high = limits(bits)
        super().__init__(
            dtype=torch.int8, qscheme=torch.per_channel_symmetric, quant_min=low, quant_max=high, eps=2.0**-24
        )
        self.ch_axis = 0
        self.steps = 1 << (bits - 1) if bits == BITS[-1] else high
        self.clips = _CLIPS if bits < BITS[0] else _CLIPS[:1]
        self.register_buffer("scale", torch.ones(1))

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        rows = w.detach().flatten(1)
        widest = rows.abs().amax(dim=1).clamp_min(self.eps) / self.steps
        candidates = self.clips.to(w)[:, None] * widest
        scales = candidates[:, :, None]
        values = (rows / scales).round().clamp(self.quant_min, self.quant_max) * scales
        best = (values - rows).square().sum(dim=2).argmin(dim=0)
        self.scale = candidates.gather(0, best[None, :])[0]
        return w

    def calculate_qparams(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.scale, torch.zeros_like(self.scale, dtype=torch.int)


def activation_spec() -> QuantizationSpec:
    rounding = FusedMovingAvgObsFakeQuantize.with_args(observer=MovingAverageMinMaxObserver, eps=2.0**-20)
    return QuantizationSpec(
        dtype=torch.int8,
        observer_or_fake_quant_ctr=rounding,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_affine,
    )


def weight_spec(bits: int) -> QuantizationSpec:
    low, high = limits(bits)
    return QuantizationSpec(
        dtype=torch.int8,
        observer_or_fake_quant_ctr=FakeQuantize.with_args(observer=ClippedObserver, bits=bits),
        quant_min=low,
        quant_max=high,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
    )


@dataclass
class DeviceQuantizer(Quantizer):  # type: ignore[misc]
    """A quantizer for `prepare_qat_pt2e` and `prepare_pt2e`. `bits` of the weights apply to all layers, or per module
    name (8 for the others).
    """

    bits: int | Mapping[str, int] = 8

    def annotate(self, model: GraphModule) -> GraphModule:
        self._check_bits(model)
        for node in model.graph.nodes:
            if _is_computed(node) and _KEY not in node.meta:
                if _name(node) == "batch_norm":
                    raise ModelError(
                        f"batch normalization {_module_name(node)!r} follows no convolution that it alone reads; "
                        "training for integers folds it only there: move it or leave it out"
                    )
                self._annotate(node)
        return model

    def validate(self, model: GraphModule) -> None:
        """Does nothing: the annotations are valid by construction, and the importer reports unsupported operations."""

    def _check_bits(self, model: GraphModule) -> None:
        by_layer = {"": self.bits} if isinstance(self.bits, int) else self.bits
        names = {_module_name(n) for n in model.graph.nodes if _name(n) in _LAYERS}
        for name, bits in by_layer.items():
            if bits not in BITS:
                raise ModelError(f"weights of {bits} bits cannot be stored, expected 8, 4 or 2")
            if name and name not in names:
                known = ", ".join(sorted(names))
                raise ModelError(f"the network has no layer with weights named {name!r}, expected one of: {known}")

    def _bits_of(self, node: Node) -> int:
        return self.bits if isinstance(self.bits, int) else self.bits.get(_module_name(node), BITS[0])

    def _annotate(self, node: Node) -> None:
        chain = [node, *_folded_after(node)]
        for part in chain[1:]:
            part.meta[_KEY] = QuantizationAnnotation(_annotated=True)
        inputs = self._inputs(node)
        node.meta[_KEY] = QuantizationAnnotation(input_qspec_map=inputs, _annotated=True)
        chain[-1].meta[_KEY].output_qspec = _output(node)

    def _inputs(self, node: Node) -> dict[Node, QuantizationSpecBase]:
        """A spec for each operand that is a float tensor."""
        sources = list(_sources(node))
        if _name(node) in _LAYERS:
            return {sources[0]: activation_spec(), sources[1]: weight_spec(self._bits_of(node))}
        specs: dict[Node, QuantizationSpecBase] = {s: activation_spec() for s in sources}
        if _name(node) in _SHARED:
            specs.update({s: SharedQuantizationSpec((sources[0], node)) for s in sources[1:]})
        return specs


def _output(node: Node) -> QuantizationSpecBase:
    name = _name(node)
    if name in _FIXED:
        scale, zero_point = _FIXED[name]
        return FixedQParamsQuantizationSpec(torch.int8, scale, zero_point, -128, 127, torch.per_tensor_affine)
    if name in _SHARED:
        return SharedQuantizationSpec((next(_sources(node)), node))
    return activation_spec()


def _name(node: Node) -> str:
    """The operator's short name: 'conv2d' for torch.ops.aten.conv2d.padding, "" for anything but an operator."""
    target: Any = node.target
    packet: Callable[..., Any] | None = getattr(target, "overloadpacket", None)
    return getattr(packet, "__name__", "") if node.op == "call_function" else ""


def _is_computed(node: Node) -> bool:
    return bool(_name(node)) and _is_float(node) and any(True for _ in _sources(node))


def _is_float(node: Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _sources(node: Node) -> Iterator[Node]:
    """Operands that are float tensors, each once."""
    sources = dict.fromkeys(n for n in node.all_input_nodes if _is_float(n))
    return iter(sources)


def _folded_after(node: Node) -> Iterator[Node]:
    """The batch normalization and activation after `node` that are fused with it."""
    follower = _only_user(node)
    if follower is not None and _name(node) in _LAYERS[:2] and _name(follower) == "batch_norm":
        yield follower
        follower = _only_user(follower)
    if follower is not None and _name(node) in _TAKES_RELU and _is_relu(follower):
        yield follower


def _only_user(node: Node) -> Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _is_relu(node: Node) -> bool:
    return _name(node) in _RELU or (_name(node) in _HARDTANH and tuple(node.args[1:3]) in _CLAMPS)


def _module_name(node: Node) -> str:
    """The name of the module that a node comes from, such as 'features.0'."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path = stack[-1][0] if stack else ""
    return path.removeprefix("L['self'].").replace("_modules['", "").replace("']", "")
