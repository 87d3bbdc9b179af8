"""Native random bits against the reference: published vectors, and thalweg.ops.random."""

import numpy as np
import pytest
from tests.compiler.native.jit import compiled

from thalweg.compiler.native.bits import block_words, fold_in, threefry, word_at
from thalweg.compiler.native.text import I32, I64, POINTER, Module, number, vector
from thalweg.ops.random import key_from_seed, random_bits
from thalweg.ops.random import threefry as reference

KEY = np.array([0x13198A2E, 0x03707344], np.uint32)


def keys_of(f, address):
    return f.load(address, I32, 4), f.load(f.at(address, 1, I32), I32, 4)


def store_pair(f, words, address):
    for place, word in enumerate(words):
        f.store(word, f.at(address, place, word.type), 4)


def threefry_call(width):
    module = Module()
    f = module.function("run", [POINTER, POINTER, POINTER])
    key, counters, result = f.parameters
    type_ = vector(I32, width)
    first, second = (f.load(f.at(counters, place, type_), type_, 4) for place in (0, 1))
    store_pair(f, threefry(f, keys_of(f, key), first, second), result)
    f.leave()
    module.add(f)
    return compiled(str(module), "run")


def test_the_vectors_of_the_authors_are_met():
    cases = (
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((2**32 - 1,) * 2, (2**32 - 1,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    )
    call = threefry_call(1)
    for key, counter, expected in cases:
        result = np.zeros(2, np.uint32)
        call(np.array(key, np.uint32), np.array(counter, np.uint32), result)
        assert tuple(result) == expected


@pytest.mark.parametrize("width", [1, 4, 16])
def test_lanes_are_computed_as_numpy_does(width):
    counters = np.random.default_rng(0).integers(0, 2**32, (2, width), dtype=np.uint32)
    result = np.zeros((2, width), np.uint32)
    threefry_call(width)(KEY, counters, result)
    with np.errstate(over="ignore"):
        expected = np.stack(reference(KEY, *counters))
    np.testing.assert_array_equal(result, expected)


def test_folding_an_epoch_in_gives_the_key_of_the_seed():
    module = Module()
    f = module.function("fold", [POINTER, I64, POINTER])
    key, epoch, result = f.parameters
    store_pair(f, fold_in(f, keys_of(f, key), epoch), result)
    f.leave()
    module.add(f)
    call = compiled(str(module), "fold")
    for epoch in (0, 1, 2**32 - 1, 2**40 + 3):
        result = np.zeros(2, np.uint32)
        call(key_from_seed(5, 1), epoch, result)
        np.testing.assert_array_equal(result, key_from_seed(5, 1, epoch))


@pytest.mark.parametrize("width", [1, 4, 16])
def test_blocks_lie_as_in_random_bits(width):
    module = Module()
    f = module.function("block", [POINTER, I64, POINTER])
    key, block, result = f.parameters
    short = f.convert("trunc", block, I32)
    for lane in range(0, 16, width):
        words = block_words(f, keys_of(f, key), short, lane, width)
        for offset, word in zip((lane, 16 + lane), words, strict=True):
            f.store(word, f.at(result, offset, I32), 4)
    f.leave()
    module.add(f)
    call = compiled(str(module), "block")
    expected = random_bits.evaluate(KEY, shape=(4, 32))
    for place in (0, 3):
        result = np.zeros(32, np.uint32)
        call(KEY, place, result)
        np.testing.assert_array_equal(result, expected[place])


def test_single_words_are_found_at_their_place():
    module = Module()
    f = module.function("words", [POINTER, I64, POINTER])
    key, place, result = f.parameters
    lanes = f.insert(f.splat(place, 2), f.binary("add", place, number(I64, 1)), 1)
    f.store(word_at(f, keys_of(f, key), lanes), result, 4)
    f.leave()
    module.add(f)
    call = compiled(str(module), "words")
    expected = random_bits.evaluate(KEY, shape=(100,))
    for place in range(0, 98):
        result = np.zeros(2, np.uint32)
        call(KEY, place, result)
        np.testing.assert_array_equal(result, expected[place : place + 2])
