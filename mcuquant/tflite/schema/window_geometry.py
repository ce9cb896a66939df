"""Window geometry of the padding words SAME and VALID."""

from __future__ import annotations


def same_length(length: int, stride: int) -> int:
    """Output length of a SAME window: every stride-th input starts one (TensorFlow, `GetWindowedOutputSize`)."""
    return -(-length // stride)


def valid_length(length: int, reach: int, stride: int) -> int:
    """Output length without padding; `reach` is (kernel - 1) * dilation + 1. 0 or less if the window does not fit."""
    return (length - reach) // stride + 1


def padding_needed(length: int, reach: int, stride: int, out_length: int) -> int:
    """Total padding for which `out_length` windows fit `length`."""
    return max(0, (out_length - 1) * stride + reach - length)


def same_padding(length: int, reach: int, stride: int) -> tuple[int, int]:
    """(before, after) of a SAME window; an odd element goes after."""
    total = padding_needed(length, reach, stride, same_length(length, stride))
    return total // 2, total - total // 2
