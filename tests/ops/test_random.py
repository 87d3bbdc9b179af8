"""Random bits: known answers, the documented layout, uniformity, independence of order."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from tests.ops import judges

import thalweg as tw
from thalweg.compiler.interpreter import interpret
from thalweg.errors import DTypeError, SettingError, ShapeError
from thalweg.ops import functions as ops
from thalweg.ops.random import key_from_seed, keys_of_texts, permutation, threefry

WORDS = st.integers(0, 2**32 - 1)


def words(*numbers):
    return np.array(numbers, np.uint32)


# Random123's known answers for threefry2x32 with 20 rounds.
@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_known_answers(key, counter, expected):
    with np.errstate(over="ignore"):
        first, second = threefry(words(*key), words(counter[0]), words(counter[1]))
    assert (int(first[0]), int(second[0])) == expected
    assert tuple(judges.threefry(key, counter)) == expected


@given(WORDS, WORDS, st.integers(0, 200))
def test_the_layout_of_blocks_is_the_documented_one(k0, k1, place):
    bits = ops.random_bits(words(k0, k1), (230,)).numpy()
    block, offset = divmod(place, 32)
    counter = (16 * block + offset % 16, 0)
    assert int(bits[place]) == judges.threefry((k0, k1), counter)[offset // 16]


def test_more_bits_begin_with_the_same():
    key = key_from_seed(3)
    long = ops.random_bits(key, 1000).numpy()
    for count in (0, 1, 31, 32, 33, 999):
        np.testing.assert_array_equal(ops.random_bits(key, count).numpy(), long[:count])
    np.testing.assert_array_equal(ops.random_bits(key, (10, 100)).numpy().ravel(), long)


def test_traced_bits_are_the_same():
    key = key_from_seed(5)
    graph = tw.trace(lambda k: ops.uniform(ops.fold_in(k, 7), (3, 5)), key)
    expected = ops.uniform(ops.fold_in(key, 7), (3, 5)).numpy()
    np.testing.assert_array_equal(interpret(graph, key)[0], expected)


def test_numbers_are_uniform():
    numbers = ops.uniform(key_from_seed(0), 200_000).numpy()
    assert numbers.dtype == np.float32
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.bincount((numbers * 256).astype(int), minlength=256)
    assert 1e-3 < scipy.stats.chisquare(counts).pvalue < 1 - 1e-3
    assert scipy.stats.kstest(numbers, "uniform").pvalue > 1e-3
    assert (ops.uniform(key_from_seed(0), 10, "float64").numpy() == numbers[:10]).all()


def test_every_bit_is_fair_and_uncorrelated():
    bits = ops.random_bits(key_from_seed(1), 50_000).numpy()
    table = (bits[:, None] >> np.arange(32, dtype=np.uint32)) & 1
    assert np.abs(table.mean(0) - 0.5).max() < 5 * 0.5 / np.sqrt(50_000)
    between = np.corrcoef(table.T) - np.eye(32)
    assert np.abs(between).max() < 5 / np.sqrt(50_000)
    following = np.corrcoef(bits[:-1] / 2**32, bits[1:] / 2**32)[0, 1]
    assert abs(following) < 5 / np.sqrt(50_000)


def test_streams_of_neighbouring_keys_and_steps_are_unrelated():
    key = key_from_seed(2)
    streams = [ops.uniform(ops.fold_in(key, step), 10_000).numpy() for step in range(6)]
    streams += [ops.uniform(key_from_seed(seed), 10_000).numpy() for seed in range(6)]
    between = np.corrcoef(streams) - np.eye(12)
    assert np.abs(between).max() < 5 / np.sqrt(10_000)


# ------------------------------------------------------------------ keys


@given(WORDS, WORDS, st.integers(0, 2**32 - 1))
def test_folding_in_is_one_block_of_the_cipher(k0, k1, number):
    expected = judges.threefry((k0, k1), (number, 1))
    assert ops.fold_in(words(k0, k1), number).numpy().tolist() == expected


@given(st.lists(st.integers(-(2**63), 2**64 - 1), max_size=4))
def test_a_key_folds_in_both_halves_of_each_number(numbers):
    key = [0, 0]
    for number in numbers:
        for word in (number & 0xFFFFFFFF, (number >> 32) & 0xFFFFFFFF):
            key = judges.threefry(key, (word, 1))
    assert key_from_seed(*numbers).tolist() == key
    assert key_from_seed(*numbers).dtype == np.uint32


def test_keys_differ_and_stay():
    keys = [tuple(key_from_seed(*numbers)) for numbers in ((), (0,), (1,), (0, 0), (0, 1), (1, 0))]
    keys += [tuple(key_from_seed(seed)) for seed in (2**32, -1, 2**63)]
    assert len(set(keys)) == len(keys)
    assert key_from_seed(np.int32(-1)).tolist() == key_from_seed(-1).tolist()
    assert key_from_seed(np.uint64(2**63)).tolist() == key_from_seed(2**63).tolist()
    assert key_from_seed(42).tolist() == [1653913087, 2729614577]


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (1.5, "a seed is a whole number, got 1.5"),
        ("7", "a seed is a whole number, got '7'"),
        (None, "a seed is a whole number, got None"),
        (2**64, "a seed has at most 64 bits, got one of 65"),
        (-(2**63) - 1, "a seed has at most 64 bits"),
    ],
)
def test_what_is_no_seed_is_refused(seed, message):
    with pytest.raises(SettingError, match=message):
        key_from_seed(seed)


def test_what_is_no_key_is_refused():
    for key in (np.zeros(2), np.zeros(3, "uint32"), 5):
        with pytest.raises((ShapeError, DTypeError), match=r"a key is uint32\[2\], got"):
            ops.random_bits(key, 3)
    with pytest.raises(ShapeError, match="exhausts the counter"):
        tw.trace(lambda key: ops.random_bits(key, (2**20, 2**14)), key_from_seed(0))


# ------------------------------------------------------------------ permutations


@given(st.integers(0, 2**32), st.integers(0, 300))
def test_a_permutation_is_one(seed, count):
    assert sorted(permutation(key_from_seed(seed), count).tolist()) == list(range(count))


def test_permutations_are_fair():
    counts = np.zeros((5, 5))
    for seed in range(2000):
        counts[np.arange(5), permutation(key_from_seed(seed), 5)] += 1
    assert scipy.stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_a_permutation_depends_on_its_key_alone():
    first = permutation(key_from_seed(1), 50).tolist()
    permutation(key_from_seed(2), 1000)
    assert permutation(key_from_seed(1), 50).tolist() == first
    assert permutation(key_from_seed(2), 50).tolist() != first


@given(
    st.integers(-(2**63), 2**64 - 1),
    st.lists(st.text("01.weightbiasé", max_size=9), max_size=7).map(tuple),
)
def test_texts_side_by_side_have_the_keys_that_each_has_alone(seed, texts):
    expected = [key_from_seed(seed, *text.encode()).tolist() for text in texts]
    assert [[key >> 32, key & 0xFFFFFFFF] for key in keys_of_texts(seed, texts)] == expected


def test_a_texts_key_is_its_bytes_folded_in():
    for texts in [("0.weight",), ("0.bias", "", "10.weight"), tuple("abcdefgh" * 5)]:
        for text, found in zip(texts, keys_of_texts(3, texts), strict=True):
            key = [0, 0]
            for number in (3, *text.encode()):
                key = judges.threefry(judges.threefry(key, (number, 1)), (0, 1))
            assert found == key[0] << 32 | key[1]
