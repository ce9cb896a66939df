"""Canonical Huffman codes of bytes, for constants that the device unpacks; firmware/kernels/plain/mq_huffman.h.

D. A. Huffman, "A Method for the Construction of Minimum-Redundancy Codes" (1952); canonical as in RFC 1951, 3.2.2.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]

LONGEST = 15
"""Maximum length of a code in bits."""


def encode(data: bytes) -> Bytes:
    """Counts of codes by length, symbols, codes: the input of mq_huffman. `data` is not empty."""
    values = np.frombuffer(data, np.uint8)
    lengths = code_lengths(np.bincount(values, minlength=256))
    symbols = np.array(sorted(np.flatnonzero(lengths).tolist(), key=lambda s: (lengths[s], s)), np.uint8)
    counts = np.bincount(lengths, minlength=LONGEST + 1)[1:].astype("<u2")
    bits = _bits(values, lengths, _codes(symbols, lengths))
    return np.concatenate([counts.view(np.uint8), symbols, np.packbits(bits, bitorder="little")])


def code_lengths(counts: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Bits of each value's code, 0 for absent values, at most LONGEST: the counts of rare values are raised until codes
    fit.
    """
    weights = np.asarray(counts, np.int64)
    while True:
        lengths = _unlimited(weights)
        if int(lengths.max()) <= LONGEST:
            return lengths
        weights = np.where(weights > 0, (weights + 1) // 2, 0)


def _unlimited(weights: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    turn = count()
    heap = [(int(w), next(turn), [int(s)]) for s, w in enumerate(weights) if w]
    lengths = np.zeros(len(weights), np.int64)
    if len(heap) == 1:
        lengths[heap[0][2]] = 1
    heapq.heapify(heap)
    while len(heap) > 1:
        (a, _, left), (b, _, right) = heapq.heappop(heap), heapq.heappop(heap)
        lengths[left + right] += 1
        heapq.heappush(heap, (a + b, next(turn), left + right))
    return lengths


def _codes(symbols: Bytes, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The codes by value. Codes of one length are consecutive."""
    codes, code, last = np.zeros(256, np.int64), 0, 0
    for symbol in symbols.tolist():
        code <<= int(lengths[symbol]) - last
        codes[symbol], last = code, int(lengths[symbol])
        code += 1
    return codes


def _bits(values: Bytes, lengths: npt.NDArray[np.int64], codes: npt.NDArray[np.int64]) -> Bytes:
    """Each value's code from its highest bit, one bit per element."""
    each = lengths[values]
    starts = np.cumsum(each) - each
    bits = np.zeros(int(each.sum()), np.uint8)
    for i in range(int(each.max())):
        some = each > i
        bits[starts[some] + i] = codes[values[some]] >> (each[some] - 1 - i) & 1
    return bits
