"""Networks that PyTorch quantized: what `convert_pt2e` writes is taken to the integer, or refused in a sentence."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflm
import torch
from pt2e_samples import stored
from torch import Tensor, nn
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.testing.pt2e._xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config

from mcuquant import flow
from mcuquant.arithmetic import interpreter
from mcuquant.errors import UnsupportedOpError
from mcuquant.ir import Array, DType, Graph, Level, ops
from mcuquant.ir.verify import verify
from mcuquant.tflite.writer.to_tflite import to_tflite
from mcuquant.torch_import.from_torch import from_torch

Q = torch.ops.quantized_decomposed


def answers(graph: Graph, x: Tensor) -> Array:
    """Stored outputs for every sample."""
    return np.concatenate([interpreter.run(graph, stored(graph, x[i : i + 1]))[0] for i in range(len(x))])


def steps_off(graph: Graph, net: Callable[[Tensor], Tensor], x: Tensor) -> int:
    """Most that an output differs from that of PyTorch's network, in units of the output."""
    y = graph[graph.outputs[0]]
    with torch.no_grad():
        wanted = torch.cat([net(x[i : i + 1]) for i in range(len(x))]).numpy()
    return int(np.abs(answers(graph, x).reshape(wanted.shape) - (np.rint(wanted / y.scale) + y.zero_point)).max())


# ---- a network quantized by someone else's quantizer ---------------------------------------------------------------


@pytest.fixture(scope="module")
def foreign() -> nn.Module:
    """Quantized after training by XNNPACK's quantizer, which knows nothing of us."""
    torch.manual_seed(3)
    net = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)),
    ).eval()
    x = torch.randn(16, 1, 14, 14)
    with pytest.warns(UserWarning, match="deprecated"):
        chosen = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(torch.export.export(net, (x[:1],)).module(), chosen)
    for i in range(len(x)):
        prepared(x[i : i + 1])
    return convert_pt2e(prepared)  # type: ignore[no-any-return]


def test_a_network_quantized_elsewhere_is_taken_as_integers(foreign: nn.Module, tmp_path: Path) -> None:
    x = torch.randn(40, 1, 14, 14, generator=torch.Generator().manual_seed(1))
    torch.export.save(torch.export.export(foreign, (x[:1],)), tmp_path / "net.pt2")
    graph = flow.load(tmp_path / "net.pt2")
    verify(graph, Level.LOWERABLE)
    assert [op.kind for op in graph.ops] == ["Conv2D", "MaxPool2D", "Conv2D", "Mean", "Reshape", "FullyConnected"]
    assert steps_off(graph, foreign, x) <= 2
    for i in range(4):
        (theirs,) = tflm.run(to_tflite(graph), stored(graph, x[i : i + 1]))
        assert np.array_equal(interpreter.run(graph, stored(graph, x[i : i + 1]))[0], theirs)


def test_its_weights_and_scales_are_those_of_pytorch(foreign: nn.Module) -> None:
    graph = flow.from_torch(foreign, torch.zeros(1, 1, 14, 14))
    buffers = dict(foreign.named_buffers())
    weights = sorted((t for n, t in buffers.items() if n.startswith("_frozen")), key=Tensor.numel)
    ours = sorted(
        (t for t in graph.tensors.values() if t.is_constant and t.dtype is DType.INT8), key=lambda t: t.elements
    )
    assert len(weights) == len(ours) == 3
    for theirs, mine in zip(weights, ours, strict=True):
        assert mine.q is not None
        assert sorted(theirs.flatten().tolist()) == sorted(mine.data.ravel().tolist())  # type: ignore[union-attr]
        assert any(torch.equal(torch.tensor(mine.q.scale), t) for n, t in buffers.items() if n.startswith("_scale"))


# ---- hand-made programs ---------------------------------------------------------------------------------------------


class Rounded(nn.Module):
    """A linear layer between roundings; each part may be replaced."""

    def __init__(self, **parts: Any) -> None:
        super().__init__()
        self.parts = parts
        generator, top = torch.Generator().manual_seed(5), parts.get("top", 127)
        self.register_buffer("w", torch.randint(-top, top + 1, (3, 4), generator=generator, dtype=torch.int8))
        self.register_buffer("scales", torch.tensor([0.01, 0.02, 0.003]))
        self.register_buffer("zeros", torch.zeros(3, dtype=torch.int64))
        self.register_buffer("b", torch.tensor([0.5, -0.25, 1.0]))

    def forward(self, x: Tensor) -> Tensor:
        x = self.parts.get("into", into())(x)
        y = self.parts.get("layer", linear)(self, x)
        return self.parts.get("out", into(0.05, -3))(y)  # type: ignore[no-any-return]


def into(scale: float = 0.02, zero: int = 5, low: int = -128, high: int = 127, dtype: Any = torch.int8) -> Any:
    def rounded(x: Tensor) -> Tensor:
        q = Q.quantize_per_tensor(x, scale, zero, low, high, dtype)
        return Q.dequantize_per_tensor(q, scale, zero, low, high, dtype)  # type: ignore[no-any-return]

    return rounded


def weights(net: Rounded) -> Tensor:
    return Q.dequantize_per_channel(net.w, net.scales, net.zeros, 0, -127, 127, torch.int8)  # type: ignore[no-any-return]


def linear(net: Rounded, x: Tensor) -> Tensor:
    return nn.functional.linear(x, weights(net), net.b)


X = torch.randn(30, 4, generator=torch.Generator().manual_seed(2))


def taken(**parts: Any) -> tuple[Graph, Rounded]:
    net = Rounded(**parts).eval()
    graph = flow.from_torch(net, X[:1])
    verify(graph, Level.LOWERABLE)
    return graph, net


def test_a_layer_between_roundings() -> None:
    graph, net = taken()
    assert steps_off(graph, net, X) <= 1
    (op,) = graph.ops
    x, w, b = graph.ins(op)
    assert (x.scale, x.zero_point) == (float(np.float32(0.02)), 5)
    assert np.array_equal(w.data, net.w.numpy())  # type: ignore[arg-type]
    assert w.q is not None
    assert w.q.scale == tuple(net.scales.tolist())
    assert (graph.out(op).scale, graph.out(op).zero_point) == (float(np.float32(0.05)), -3)
    assert np.allclose(b.data * np.array(b.q.scale), net.b, atol=1e-3)  # type: ignore[operator, union-attr]


def test_unsigned_activations_are_moved_by_128() -> None:
    graph, net = taken(into=into(0.02, 133, 0, 255, torch.uint8), out=into(0.05, 125, 0, 255, torch.uint8))
    signed, _ = taken()
    assert str(graph) == str(signed)
    assert steps_off(graph, net, X) <= 1


def test_16_bit_activations() -> None:
    wide = into(2e-4, 0, -32768, 32767, torch.int16)
    graph, net = taken(into=wide, out=wide)
    assert {t.dtype for t in graph.tensors.values() if not t.is_constant} == {DType.INT16}
    assert steps_off(graph, net, X) <= 1


def test_weights_that_are_rounded_in_the_program() -> None:
    def layer(net: Rounded, x: Tensor) -> Tensor:
        q = Q.quantize_per_channel(net.w * 0.01, net.scales, net.zeros, 0, -127, 127, torch.int8)
        w = Q.dequantize_per_channel(q, net.scales, net.zeros, 0, -127, 127, torch.int8)
        return nn.functional.linear(x, w, net.b)

    graph, net = taken(layer=layer)
    assert steps_off(graph, net, X) <= 1


@pytest.mark.parametrize(("low", "bits"), [(-127, 8), (-7, 4), (-8, 4)])
def test_the_range_of_weights_tells_their_bits(low: int, bits: int) -> None:
    def layer(net: Rounded, x: Tensor) -> Tensor:
        w = Q.dequantize_per_channel(net.w, net.scales, net.zeros, 0, low, -low - (low == -8), torch.int8)
        return nn.functional.linear(x, w)

    graph, net = taken(layer=layer, top=7 if bits == 4 else 127)
    assert [t.bits for t in graph.tensors.values() if t.dtype is DType.INT8 and t.is_constant] == [bits]
    assert steps_off(graph, net, X) <= 1


def test_a_bias_that_is_rounded_too() -> None:
    def layer(net: Rounded, x: Tensor) -> Tensor:
        units, top = net.scales * 0.02, 2**31 - 1
        q = Q.quantize_per_channel(net.b, units, net.zeros, 0, -top - 1, top, torch.int32)
        return nn.functional.linear(
            x, weights(net), Q.dequantize_per_channel(q, units, net.zeros, 0, -top - 1, top, torch.int32)
        )

    graph, _ = taken(layer=layer)
    assert str(graph).replace("'b'", "'linear.bias'") == str(taken()[0]).replace("'b'", "'linear.bias'")


def test_a_value_that_is_rounded_twice_is_rescaled() -> None:
    """Rescaling int8 rounds twice, as TFLite does, so it may be a step off: less than a step of this coarse output."""
    graph, net = taken(layer=lambda net, x: linear(net, into(0.0931, 0)(x)), out=into(0.8, 0))
    assert [op.kind for op in graph.ops] == ["Quantize", "FullyConnected"]
    assert steps_off(graph, net, X) <= 1


def test_values_that_are_only_moved_need_no_rounding() -> None:
    graph, net = taken(layer=lambda net, x: linear(net, x.reshape(2, 2).t().reshape(1, 4)))
    assert steps_off(graph, net, X) <= 1


def test_outputs_with_a_scale_of_their_own_are_rescaled() -> None:
    graph, net = taken(layer=lambda net, x: linear(net, into(0.01, -100)(x.sigmoid())))
    assert [op.kind for op in graph.ops] == ["Logistic", "Quantize", "FullyConnected"]
    assert graph.out(graph.ops[0]).scale == 1 / 256
    assert steps_off(graph, net, X) <= 1


def test_parts_that_are_joined_get_one_scale() -> None:
    def layer(net: Rounded, x: Tensor) -> Tensor:
        return into(0.04, 1)(torch.cat([into(0.03, 2)(linear(net, x)), x], dim=1))

    graph, net = taken(layer=layer, out=lambda y: y)
    assert [op.kind for op in graph.ops] == ["FullyConnected", "Quantize", "Quantize", "Concat"]
    assert steps_off(graph, net, X) <= 1


def test_constants_that_are_added_keep_their_values() -> None:
    graph, net = taken(layer=lambda net, x: into(0.03, 0)(x) + torch.tensor([1.0, -2.0, 0.5, 3.0]))
    assert [op.kind for op in graph.ops] == ["Quantize", "Add"]
    assert steps_off(graph, net, X) <= 1


def test_a_float_graph_with_roundings_computes_what_pytorch_does() -> None:
    net = Rounded().eval()
    graph = from_torch(net, X[:1])
    verify(graph, Level.FLOAT)
    (y,) = interpreter.run(graph, [X[:1].numpy()])
    assert np.allclose(y, net(X[:1]).numpy(), atol=1e-6)


def refused(**parts: Any) -> str:
    with pytest.raises(UnsupportedOpError) as error:
        flow.from_torch(Rounded(**parts).eval(), X[:1])
    return str(error.value).splitlines()[-1].strip()


ELSE = "annotate it in the quantizer, or quantize the float network with calibration data"


def test_what_is_not_rounded_is_refused() -> None:
    assert refused(into=lambda x: x) == f"Rounded: input 'x' is not quantized; {ELSE}"
    assert refused(out=lambda y: y) == f"Rounded: the output of FullyConnected 'linear' is not quantized; {ELSE}"
    float_weights = lambda net, x: nn.functional.linear(x, net.w * net.scales[:, None])  # noqa: E731
    assert refused(layer=float_weights) == (
        f"Rounded: the weights of FullyConnected 'linear' are not symmetric integers of at most 8 bits; {ELSE}"
    )
    between = lambda net, x: into()(linear(net, x * 2 + x))  # noqa: E731
    assert refused(layer=between) == f"Rounded: the output of Mul 'mul' is not quantized; {ELSE}"


def test_roundings_that_the_device_does_not_know_are_refused() -> None:
    def last(text: str) -> str:
        return text.rpartition("`: ")[2]

    assert last(refused(into=into(low=0))) == "its activations are within 0..127; use all of -128..127"
    assert last(refused(into=into(low=-(2**31), high=2**31 - 1, dtype=torch.int32))) == (
        "its activations are int32; quantize them to int8"
    )

    def by_channel(x: Tensor) -> Tensor:
        scales, zeros = torch.tensor([0.1]), torch.tensor([0])
        q = Q.quantize_per_channel(x, scales, zeros, 0, -128, 127, torch.int8)
        return Q.dequantize_per_channel(q, scales, zeros, 0, -128, 127, torch.int8)  # type: ignore[no-any-return]

    assert (
        last(refused(into=by_channel)) == "its activations have a scale for each channel; quantize them with one scale"
    )

    def across(net: Rounded, x: Tensor) -> Tensor:
        scales, zeros = torch.ones(4), torch.zeros(4, dtype=torch.int64)
        return nn.functional.linear(x, Q.dequantize_per_channel(net.w, scales, zeros, 1, -127, 127, torch.int8))

    assert last(refused(layer=across)) == "its weights have scales along axis 1; expected 0, the output channels"

    def dynamic(x: Tensor) -> Tensor:
        scale, zero = Q.choose_qparams(x, -128, 127, 1e-6, torch.int8)
        q = Q.quantize_per_tensor(x, scale, zero, -128, 127, torch.int8)
        return Q.dequantize_per_tensor(q, scale, zero, -128, 127, torch.int8)  # type: ignore[no-any-return]

    assert "use static quantization, whose scales are known before the network runs" in refused(into=dynamic)


def test_an_exported_program_is_saved_and_loaded_alike(tmp_path: Path) -> None:
    net = Rounded().eval()
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(net, (X[:1],)), buffer)
    (tmp_path / "n.pt2").write_bytes(buffer.getvalue())
    assert str(flow.load(tmp_path / "n.pt2")) == str(flow.from_torch(net, X[:1]))
    assert isinstance(flow.load(tmp_path / "n.pt2").ops[0], ops.FullyConnected)
