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
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from thalweg.errors import SettingError, ShapeError
from thalweg.graph import DTYPES, Array, Primitive, Sample, Shape, TensorType, register

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY_BITS = 0x1BD11BDA
_PARITY = np.uint32(_PARITY_BITS)
_BLOCK = 16
_MASK = 0xFFFFFFFF
_LANE = 64


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
    if not numbers:
        return np.zeros(2, np.uint32)
    first, *rest = (_seed(number) for number in numbers)
    key = _begun(first)
    for value in rest:
        key = _folded(key, value)
    return np.array(key, np.uint32)


def keys_of_texts(seed: int, texts: tuple[str, ...]) -> list[int]:
    """The keys ``key_from_seed(seed, *text.encode())`` of texts, first word first, as 64 bits.

    All texts go through the rounds at once, as lanes of one long integer.

    Args:
        seed: as :func:`key_from_seed` takes it.
        texts: such as the paths of parameters.

    >>> words = key_from_seed(7, *b"0.weight").tolist()
    >>> keys_of_texts(7, ("1.bias", "0.weight"))[1] == words[0] << 32 | words[1]
    True
    """
    k0, k1 = _begun(_seed(seed))
    packed = _packed(texts)
    k0, k1 = k0 * packed.ones, k1 * packed.ones
    keys = [0] * len(texts)
    places = iter(packed.order)
    for lanes, ended, number in packed.levels:
        for lane in ended:
            shift = _LANE * lane
            keys[next(places)] = (k0 >> shift & _MASK) << 32 | k1 >> shift & _MASK
        ones = packed.ones & ((1 << _LANE * lanes) - 1)
        mask = ones * _MASK
        k0, k1 = _fold_lanes(k0 & mask, k1 & mask, number, mask, ones)
        k0, k1 = _fold_lanes(k0, k1, 0, mask, ones)
    return keys


class _Packed(NamedTuple):
    """Texts as lanes of long integers, the longest in the lowest lane.

    Attributes:
        ones: 1 in each lane.
        order: the places of the texts in the order in which they end.
        levels: for each byte, and after the last one: the lanes that go on, those that have ended,
            the highest first, and the bytes of the former.
    """

    ones: int
    order: tuple[int, ...]
    levels: tuple[tuple[int, range, int], ...]


@lru_cache(maxsize=64)
def _packed(texts: tuple[str, ...]) -> _Packed:
    encoded = [text.encode() for text in texts]
    longest = sorted(range(len(texts)), key=lambda place: -len(encoded[place]))
    lanes = len(texts)
    levels: list[tuple[int, range, int]] = []
    for level in range(len(encoded[longest[0]]) + 1 if texts else 0):
        going = sum(len(text) > level for text in encoded)
        number = sum(encoded[place][level] << _LANE * i for i, place in enumerate(longest[:going]))
        levels.append((going, range(lanes - 1, going - 1, -1), number))
        lanes = going
    ones = sum(1 << _LANE * lane for lane in range(len(texts)))
    return _Packed(ones, tuple(reversed(longest)), tuple(levels))


@lru_cache(maxsize=256)
def _begun(seed: int) -> tuple[int, int]:
    """The key of a seed alone, from which all keys of a run go on."""
    return _folded((0, 0), seed)


def _folded(key: tuple[int, int], value: int) -> tuple[int, int]:
    """A key with the two words of a number folded in."""
    for word in (value & _MASK, value >> 32 & _MASK):
        key = _fold_lanes(*key, word, _MASK, 1)
    return key


def _seed(number: int) -> int:
    try:
        value = operator.index(number)
    except TypeError as error:
        raise SettingError(f"a seed is a whole number, got {number!r}") from error
    if not -(2**63) <= value < 2**64:
        raise SettingError(f"a seed has at most 64 bits, got one of {value.bit_length()}")
    return value


def _fold_lanes(k0: int, k1: int, number: int, mask: int, ones: int) -> tuple[int, int]:
    """As :func:`_fold_value`, on Python's integers: fast for one number, or a few side by side.

    Args:
        k0: first words of the keys, in the low halves of lanes of 64 bits.
        k1: second words.
        number: what is folded into each.
        mask: 2³² - 1 in each lane.
        ones: 1 in each lane.
    """
    keys = (k0, k1, k0 ^ k1 ^ _PARITY_BITS * ones)
    x0, x1 = number + k0, (ones + k1) & mask
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x0 += x1  # its carries stay in the high half until the end
            x1 = ((x1 << rotation | x1 >> 32 - rotation) ^ x0) & mask
        x0 += keys[(group + 1) % 3]
        x1 = (x1 + keys[(group + 2) % 3] + (group + 1) * ones) & mask
    return x0 & mask, x1


def permutation(key: Array, count: int) -> Array:
    """A random order of ``0 … count - 1``: the order that sorts 64 random bits for each."""
    words = _bits_value(key, (2, count)).astype(np.uint64)
    return np.argsort((words[0] << np.uint64(32)) | words[1], kind="stable")
