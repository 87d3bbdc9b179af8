"""The native order of rows is exactly that of thalweg.ops.random.permutation."""

from functools import cache

import numpy as np
import pytest
from tests.compiler.native.jit import compiled

from thalweg.compiler.native.shuffle import scratch_bytes, write_shuffle
from thalweg.compiler.native.text import Module
from thalweg.ops.random import key_from_seed, permutation, random_bits

GUARD = 64


@cache
def shuffle_call(lanes):
    module = Module()
    name = write_shuffle(module, lanes)
    assert write_shuffle(module, lanes) == name
    return compiled(str(module), name)


def order(key, count, lanes=16):
    """The order; fails where something beyond order or scratch was written."""
    result = np.full(count + GUARD, -7, np.int64)
    scratch = np.full(scratch_bytes(count) + GUARD, 77, np.uint8)
    shuffle_call(lanes)(key, count, result, scratch)
    assert (result[count:] == -7).all()
    assert (scratch[-GUARD:] == 77).all()
    return result[:count]


def check(count, seed, lanes=16):
    key = key_from_seed(seed, count)
    np.testing.assert_array_equal(order(key, count, lanes), permutation(key, count))


@pytest.mark.parametrize("lanes", [1, 4, 8, 16, 32])
def test_small_counts(lanes):
    for count in (*range(70), 127, 128, 129, 569, 1000):
        check(count, lanes, lanes)


@pytest.mark.parametrize("count", [4095, 4097, 7000, 8191, 8192, 8193, 20001, 65536])
def test_counts_around_the_sizes_of_tables(count):
    for seed in range(3):
        check(count, seed)


def test_equal_leading_words_are_decided_by_the_others():
    count, key = 300_001, key_from_seed(8)
    leading = random_bits.evaluate(key, shape=(2, count))[0]
    assert count - len(np.unique(leading)) >= 5
    np.testing.assert_array_equal(order(key, count), permutation(key, count))


def test_scratch_grows_with_the_rows():
    assert scratch_bytes(0) < 64
    assert 8_000_000 < scratch_bytes(1_000_000) < 8_100_000
    assert scratch_bytes(2**31) < 9 * 2**31


@pytest.mark.soak
def test_many_counts_and_keys():
    chance = np.random.default_rng(1)
    for count in chance.integers(0, 40_000, 400):
        check(int(count), int(chance.integers(2**40)))


@pytest.mark.soak
@pytest.mark.parametrize("count", [1_000_000, 2**20, 2**20 + 1, 5_000_000])
def test_a_million_rows(count):
    check(count, 4)
