"""The contents of a .tflite file, in the schema's own terms (tensorflow/compiler/mlir/lite/schema/schema.fbs).

Operators and element types have their schema names ("CONV_2D", "INT8"), so that nothing outside this package needs the
generated bindings. Enumerations inside options stay integers; names of the used ones are below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...ir.elementwise_table import ELEMENTWISE

Option = int | float | bool | str | tuple[int, ...]

PADDING_SAME, PADDING_VALID = 0, 1
TYPE_NUMBERS = {"FLOAT32": 0, "INT32": 2, "INT64": 4, "BOOL": 6, "INT16": 7, "INT8": 9, "UINT32": 15}
"""Element types as options of operators."""
ABSENT = -1
"""Index of an omitted optional input."""


@dataclass(frozen=True, slots=True)
class Quantization:
    """Affine parameters; `axis` has a meaning only with more than one scale."""

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True, slots=True)
class TensorRow:
    """`data` is the buffer's bytes, little endian, None for a tensor without constant value. `signature` is the shape
    with -1 for an axis of unknown length, or empty.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    data: bytes | memoryview | None = None
    quantization: Quantization | None = None
    signature: tuple[int, ...] = ()
    is_variable: bool = False
    is_sparse: bool = False


@dataclass(frozen=True, slots=True)
class OperatorRow:
    """`options` has the fields that `OPTIONS` lists for `code`, or none if the file has no options for the operator."""

    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Option] = field(default_factory=dict)
    version: int = 1


@dataclass(frozen=True, slots=True)
class Subgraph:
    """A subgraph that an operator of the first one refers to. Indices in operators point into `tensors`."""

    tensors: tuple[TensorRow, ...]
    operators: tuple[OperatorRow, ...]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The first subgraph of a model. Indices in operators, `inputs` and `outputs` point into `tensors`."""

    name: str
    tensors: tuple[TensorRow, ...]
    operators: tuple[OperatorRow, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    description: str = ""
    others: tuple[Subgraph, ...] = ()
    """The subgraphs after the first."""
    updates: tuple[tuple[int, int], ...] = ()
    """(state, next value), for the variables of a file whose operators on variables are resolved; states have data."""


_WINDOW = ("padding", "stride_w", "stride_h", "fused_activation_function")
_DILATION = ("dilation_w_factor", "dilation_h_factor")
_ACTIVATION = ("fused_activation_function",)

OPTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "CONV_2D": ("Conv2DOptions", (*_WINDOW, *_DILATION, "quantized_bias_type")),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", (*_WINDOW, *_DILATION, "depth_multiplier")),
    "TRANSPOSE_CONV": ("TransposeConvOptions", (*_WINDOW, "quantized_bias_type")),
    "FULLY_CONNECTED": (
        "FullyConnectedOptions",
        (*_ACTIVATION, "weights_format", "keep_num_dims", "quantized_bias_type"),
    ),
    "BATCH_MATMUL": ("BatchMatMulOptions", ("adj_x", "adj_y")),
    "AVERAGE_POOL_2D": ("Pool2DOptions", (*_WINDOW, "filter_width", "filter_height")),
    "MAX_POOL_2D": ("Pool2DOptions", (*_WINDOW, "filter_width", "filter_height")),
    **{row.tflite: (row.options, tuple(row.attributes.values())) for row in ELEMENTWISE.values() if row.options},
    "ADD": ("AddOptions", (*_ACTIVATION, "pot_scale_int16")),
    "SUB": ("SubOptions", (*_ACTIVATION, "pot_scale_int16")),
    "SOFTMAX": ("SoftmaxOptions", ("beta",)),
    "PAD": ("PadOptions", ()),
    "PADV2": ("PadV2Options", ()),
    "MEAN": ("ReducerOptions", ("keep_dims",)),
    **dict.fromkeys(("REDUCE_MAX", "REDUCE_MIN", "SUM"), ("ReducerOptions", ("keep_dims",))),
    "ARG_MAX": ("ArgMaxOptions", ("output_type",)),
    "ARG_MIN": ("ArgMinOptions", ("output_type",)),
    "CONCATENATION": ("ConcatenationOptions", ("axis", *_ACTIVATION)),
    "SPLIT": ("SplitOptions", ("num_splits",)),
    "SPLIT_V": ("SplitVOptions", ("num_splits",)),
    "PACK": ("PackOptions", ("values_count", "axis")),
    "UNPACK": ("UnpackOptions", ("num", "axis")),
    "SLICE": ("SliceOptions", ()),
    "STRIDED_SLICE": (
        "StridedSliceOptions",
        ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask", "offset"),
    ),
    "RESHAPE": ("ReshapeOptions", ("new_shape",)),
    "SQUEEZE": ("SqueezeOptions", ("squeeze_dims",)),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", ("block_size",)),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", ("block_size",)),
    "SPACE_TO_BATCH_ND": ("SpaceToBatchNDOptions", ()),
    "BATCH_TO_SPACE_ND": ("BatchToSpaceNDOptions", ()),
    "MIRROR_PAD": ("MirrorPadOptions", ("mode",)),
    "REVERSE_V2": ("ReverseV2Options", ()),
    "GATHER": ("GatherOptions", ("axis", "batch_dims")),
    "LOG_SOFTMAX": ("LogSoftmaxOptions", ()),
    "SVDF": ("SVDFOptions", ("rank", *_ACTIVATION)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (
        "UnidirectionalSequenceLSTMOptions",
        (*_ACTIVATION, "cell_clip", "proj_clip", "time_major"),
    ),
    "CALL_ONCE": ("CallOnceOptions", ("init_subgraph_index",)),
    "VAR_HANDLE": ("VarHandleOptions", ("container", "shared_name")),
    "READ_VARIABLE": ("ReadVariableOptions", ()),
    "ASSIGN_VARIABLE": ("AssignVariableOptions", ()),
    "EQUAL": ("EqualOptions", ()),
    "NOT_EQUAL": ("NotEqualOptions", ()),
    "GREATER": ("GreaterOptions", ()),
    "GREATER_EQUAL": ("GreaterEqualOptions", ()),
    "LESS": ("LessOptions", ()),
    "LESS_EQUAL": ("LessEqualOptions", ()),
    "LOGICAL_AND": ("LogicalAndOptions", ()),
    "LOGICAL_OR": ("LogicalOrOptions", ()),
    "LOGICAL_NOT": ("LogicalNotOptions", ()),
    "ADD_N": ("AddNOptions", ()),
    "CUMSUM": ("CumsumOptions", ("exclusive", "reverse")),
    "L2_NORMALIZATION": ("L2NormOptions", _ACTIVATION),
    "L2_POOL_2D": ("Pool2DOptions", (*_WINDOW, "filter_width", "filter_height")),
    "DYNAMIC_UPDATE_SLICE": ("DynamicUpdateSliceOptions", ()),
    "SELECT_V2": ("SelectV2Options", ()),
    "GATHER_ND": ("GatherNdOptions", ()),
    **dict.fromkeys(("REDUCE_ALL", "REDUCE_ANY"), ("ReducerOptions", ("keep_dims",))),
    "CAST": ("CastOptions", ("in_data_type", "out_data_type")),
    "FILL": ("FillOptions", ()),
    "ZEROS_LIKE": ("ZerosLikeOptions", ()),
    "TILE": ("TileOptions", ()),
    "BROADCAST_TO": ("BroadcastToOptions", ()),
    "EXPAND_DIMS": ("ExpandDimsOptions", ()),
    "TRANSPOSE": ("TransposeOptions", ()),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", ("align_corners", "half_pixel_centers")),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", ("align_corners", "half_pixel_centers")),
}
"""Options table of each operator that has one, and the fields read and written."""


CUSTOM = "CUSTOM "
"""Begins the code of an operator that the schema does not name: CUSTOM 'SignalRfft'."""


def custom(name: str) -> str:
    """The code of a custom operator."""
    return f"{CUSTOM}{name!r}"


CUSTOM_OPTIONS: Mapping[str, tuple[str, ...]] = {
    custom("SignalWindow"): ("shift",),
    custom("SignalFftAutoScale"): (),
    custom("SignalRfft"): ("T", "fft_length"),
    custom("SignalIrfft"): ("T", "fft_length"),
    custom("SignalEnergy"): ("end_index", "start_index"),
    custom("SignalFilterBank"): ("num_channels",),
    custom("SignalFilterBankSquareRoot"): (),
    custom("SignalFilterBankSpectralSubtraction"): (
        "alternate_one_minus_smoothing",
        "alternate_smoothing",
        "clamping",
        "min_signal_remaining",
        "num_channels",
        "one_minus_smoothing",
        "smoothing",
        "smoothing_bits",
        "spectral_subtraction_bits",
    ),
    custom("SignalPCAN"): ("snr_shift",),
    custom("SignalFilterBankLog"): ("input_correction_bits", "output_scale"),
    custom("SignalFramer"): ("frame_size", "frame_step", "prefill"),
    custom("SignalOverlapAdd"): ("T", "frame_step"),
    custom("SignalDelay"): ("delay_length",),
    custom("SignalStacker"): ("num_channels", "stacker_left_context", "stacker_right_context", "stacker_step"),
}
"""Custom operators that are read and written, and the integers of their options, a map of FlexBuffers, in the order of
its keys: TensorFlow Lite Micro finds them by place."""


def printable(text: str) -> str:
    """`text` as valid UTF-8 that is safe to print: all other characters become question marks."""
    valid = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() else "?" for c in valid)


def camel(field_name: str) -> str:
    """The generated bindings' spelling of a schema field: stride_w -> StrideW."""
    return "".join(part.capitalize() for part in field_name.split("_"))
