"""Counter-based random bits: the same key and position give the same bits, in any order.

The generator is Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random
numbers: as easy as 1, 2, 3", 2011): a keyed bijection of two 32-bit words. A key is ``uint32[2]``.

Layout of ``random_bits``: elements come in blocks of 32; block k holds the first output words of
counters (16k … 16k + 15, 0), then their second words, so that vector code writes whole vectors.
``fold_in(key, n)`` is the output of counter (n, 1) as a new key.
"""

from __future__ import annotations

import math

import numpy as np

from thalweg.graph import DTYPES, Array, Primitive, Sample, Shape, TensorType, register
from thalweg.ops.declare import require

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)
_BLOCK = 16


def threefry(key: Array, first: Array, second: Array) -> tuple[Array, Array]:
    """Threefry-2x32-20 of counters (first, second) under one key, elementwise in uint32."""
    k0, k1 = np.uint32(key[0]), np.uint32(key[1])
    keys = (k0, k1, k0 ^ k1 ^ _PARITY)
    x0, x1 = first + k0, second + k1
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = (x1 << np.uint32(rotation)) | (x1 >> np.uint32(32 - rotation))
            x1 ^= x0
        x0 = x0 + keys[(group + 1) % 3]
        x1 = x1 + (keys[(group + 2) % 3] + np.uint32(group + 1))
    return x0, x1


def _key_check(name: str, key: TensorType) -> None:
    require(
        key.shape == (2,) and key.dtype == DTYPES["uint32"], name, f"a key is uint32[2], got {key}"
    )


def _bits_type(key: TensorType, shape: Shape) -> TensorType:
    _key_check("random_bits", key)
    require(math.prod(shape) < 2**37, "random_bits", f"shape {shape} exhausts the counter")
    return TensorType(shape, DTYPES["uint32"])


def _bits_value(key: Array, shape: Shape) -> Array:
    count = math.prod(shape)
    blocks = -(-count // (2 * _BLOCK))
    counters = np.arange(blocks * _BLOCK, dtype=np.uint32)
    with np.errstate(over="ignore"):
        words = threefry(key, counters, np.zeros_like(counters))
    pairs = np.stack([word.reshape(blocks, _BLOCK) for word in words], axis=1)
    return pairs.reshape(-1)[:count].reshape(shape)


def _key_samples() -> list[Sample]:
    key = np.array([7, 9], "uint32")
    return [Sample((key,), {"shape": shape}) for shape in ((), (0,), (5,), (3, 40))]


random_bits = register(
    Primitive(
        "random_bits",
        "random",
        _bits_type,
        _bits_value,
        samples=_key_samples,
        failures=lambda: [Sample((np.zeros(2),), {"shape": (3,)})],
    )
)


def _fold_type(key: TensorType, number: TensorType) -> TensorType:
    _key_check("fold_in", key)
    right = number.shape == () and number.dtype == DTYPES["uint32"]
    require(right, "fold_in", f"takes a uint32 number, got {number}")
    return key


def _fold_value(key: Array, number: Array) -> Array:
    with np.errstate(over="ignore"):
        words = threefry(key, number.reshape(1), np.ones(1, np.uint32))
    return np.concatenate(words)


fold_in_bits = register(
    Primitive(
        "fold_in",
        "random",
        _fold_type,
        _fold_value,
        samples=lambda: [Sample((np.array([7, 9], "uint32"), np.asarray(3, "uint32")))],
        failures=lambda: [Sample((np.array([7, 9], "uint32"), np.asarray(3)))],
    )
)


def key_from_seed(*numbers: int) -> Array:
    """A key from a seed and further whole numbers (an epoch, a site), as an array.

    Each number is split in 32-bit words, which are folded in one after the other.

    >>> key_from_seed(0, 1).shape
    (2,)
    """
    key = np.zeros(2, np.uint32)
    for number in numbers:
        words = (number & 0xFFFFFFFF, (number >> 32) & 0xFFFFFFFF)
        for word in words:
            key = _fold_value(key, np.asarray(word, np.uint32))
    return key


def permutation(key: Array, count: int) -> Array:
    """A random order of ``0 … count - 1``: the order that sorts 64 random bits for each."""
    words = _bits_value(key, (2, count)).astype(np.uint64)
    return np.argsort((words[0] << np.uint64(32)) | words[1], kind="stable")
