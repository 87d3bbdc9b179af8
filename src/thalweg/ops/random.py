"""Counter-based random bits: the same key and position give the same bits, in any order.

The generator is Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random
numbers: as easy as 1, 2, 3", 2011): a keyed bijection of two 32-bit words. A key is ``uint32[2]``.

Layout of ``random_bits``: elements come in blocks of 32; block k holds the first output words of
counters (16k … 16k + 15, 0), then their second words, so that vector code writes whole vectors.
``fold_in(key, n)`` is the output of counter (n, 1) as a new key.
"""

from __future__ import annotations

import math
import operator

import numpy as np

from thalweg.errors import SettingError, ShapeError
from thalweg.graph import DTYPES, Array, Primitive, Sample, Shape, TensorType, register

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)
_BLOCK = 16
_MASK = 0xFFFFFFFF


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
    if key.shape != (2,) or key.dtype != DTYPES["uint32"]:
        raise ShapeError(f"{name}: a key is uint32[2], got {key}")


def _bits_type(key: TensorType, shape: Shape) -> TensorType:
    _key_check("random_bits", key)
    if min(shape, default=0) < 0:
        raise ShapeError(f"random_bits: shape {shape} has a negative length")
    if math.prod(shape) > 2**33:
        raise ShapeError(f"random_bits: shape {shape} exhausts the counter")
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
        failures=lambda: [
            Sample((np.zeros(2),), {"shape": (3,)}),
            Sample((np.zeros(3, "uint32"),), {"shape": (3,)}),
            Sample((np.zeros(2, "uint32"),), {"shape": (-3,)}),
            Sample((np.zeros(2, "uint32"),), {"shape": (2**17, 2**17)}),
        ],
    )
)


def _fold_type(key: TensorType, number: TensorType) -> TensorType:
    _key_check("fold_in", key)
    right = number.shape == () and number.dtype == DTYPES["uint32"]
    if not right:
        raise ShapeError(f"fold_in: takes a uint32 number, got {number}")
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
        failures=lambda: [
            Sample((np.array([7, 9], "uint32"), np.asarray(3))),
            Sample((np.array([7, 9], "uint32"), np.zeros(1, "uint32"))),
            Sample((np.array([7, 9]), np.asarray(3, "uint32"))),
        ],
    )
)


def key_from_seed(*numbers: int) -> Array:
    """A key from a seed and further whole numbers (an epoch, a site), as an array.

    Each number is split in two 32-bit words, which are folded in one after the other.

    Args:
        numbers: of at most 64 bits, signed or not (-1 and 2⁶⁴ - 1 have the same bits).

    Raises:
        SettingError: for a number that is not whole, or has more than 64 bits.

    >>> key_from_seed(0, 1)
    array([2077675668, 3527550608], dtype=uint32)
    """
    key = (0, 0)
    for number in numbers:
        value = _seed(number)
        key = _fold_words(_fold_words(key, value & _MASK), value >> 32 & _MASK)
    return np.array(key, np.uint32)


def _seed(number: int) -> int:
    try:
        value = operator.index(number)
    except TypeError as error:
        raise SettingError(f"a seed is a whole number, got {number!r}") from error
    if not -(2**63) <= value < 2**64:
        raise SettingError(f"a seed has at most 64 bits, got one of {value.bit_length()}")
    return value


def _fold_words(key: tuple[int, int], number: int) -> tuple[int, int]:
    """As :func:`_fold_value`, on Python's integers: thirty times as fast for a single number."""
    keys = (*key, key[0] ^ key[1] ^ int(_PARITY))
    x0, x1 = (number + keys[0]) & _MASK, (1 + keys[1]) & _MASK
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x0 = (x0 + x1) & _MASK
            x1 = ((x1 << rotation | x1 >> (32 - rotation)) & _MASK) ^ x0
        x0 = (x0 + keys[(group + 1) % 3]) & _MASK
        x1 = (x1 + keys[(group + 2) % 3] + group + 1) & _MASK
    return x0, x1


def permutation(key: Array, count: int) -> Array:
    """A random order of ``0 … count - 1``: the order that sorts 64 random bits for each."""
    words = _bits_value(key, (2, count)).astype(np.uint64)
    return np.argsort((words[0] << np.uint64(32)) | words[1], kind="stable")
