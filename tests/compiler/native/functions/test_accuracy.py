"""Every function against more digits, and its special values against NumPy."""

import numpy as np
import pytest
from tests.compiler.native.functions.harness import ELEMENTS, OPERANDS, Compiled, ulp_errors
from tests.compiler.native.functions.judges import exact, points

from thalweg.compiler.native.functions import FUNCTIONS

BOUND = 2.0
EXTENDED = np.finfo(np.longdouble).nmant >= 63

FEW = 20_000
MANY = 1_000_000


@pytest.fixture(scope="module", params=ELEMENTS)
def compiled(request: pytest.FixtureRequest) -> Compiled:
    return Compiled(request.param, 8)


def worst(compiled: Compiled, name: str, count: int) -> float:
    if compiled.dtype == np.float64 and not EXTENDED:
        pytest.skip("this machine's long double has no more digits than float64")
    operands = points(name, compiled.dtype, count)
    return ulp_errors(compiled(name, *operands), exact(name, *operands)).max()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_stay_below_the_bound(compiled: Compiled, name: str) -> None:
    assert worst(compiled, name, FEW) <= (0.5 if name == "sqrt" else BOUND)


@pytest.mark.soak
@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_stay_below_the_bound_at_a_million_points(compiled: Compiled, name: str) -> None:
    assert worst(compiled, name, MANY) <= BOUND


@pytest.mark.soak
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if OPERANDS[name] == 1])
def test_errors_stay_below_the_bound_at_every_61st_float32(name: str) -> None:
    compiled = Compiled("float", 16, names=[name])
    for bits in np.array_split(np.arange(0, 2**32, 61, dtype=np.uint32), 32):
        x = bits.view(np.float32)
        assert ulp_errors(compiled(name, x), exact(name, x)).max() <= BOUND


def special(dtype: np.dtype) -> np.ndarray:
    limits = np.finfo(dtype)
    edges = [0, 1, 0.5, 2, 2.5, 3, limits.max, limits.smallest_subnormal, limits.tiny, np.inf]
    return np.array([*edges, *[-edge for edge in edges], np.nan], dtype)


def agrees(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """NaN, infinities and zeros alike, sign included; other values within the bound."""
    close = np.abs(found - expected) <= 2 * np.spacing(np.abs(expected))
    same = (found == expected) & (np.signbit(found) == np.signbit(expected))
    nan = np.isnan(found) & np.isnan(expected)
    return np.where((expected == 0) | ~np.isfinite(expected), same | nan, close)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values_are_those_of_numpy(compiled: Compiled, name: str) -> None:
    operands = np.meshgrid(*[special(compiled.dtype)] * OPERANDS[name])
    operands = [array.ravel() for array in operands]
    with np.errstate(all="ignore"):
        expected = exact(name, *operands).astype(compiled.dtype)
        right = agrees(compiled(name, *operands), expected)
    assert right.all(), [array[~right] for array in operands]


@pytest.mark.parametrize("name", ["expm1", "log1p", "sin", "tanh", "erf"])
def test_odd_functions_keep_tiny_numbers_and_the_sign_of_zero(
    compiled: Compiled, name: str
) -> None:
    tiny = np.finfo(compiled.dtype).smallest_subnormal
    x = np.array([0.0, -0.0, tiny, -tiny, 3 * tiny, -(2**20) * tiny], compiled.dtype)
    expected = np.round(exact(name, x / tiny * compiled.dtype.type(2.0**-80)) / 2.0**-80) * tiny
    found = compiled(name, x)
    assert np.array_equal(found, expected.astype(compiled.dtype))
    assert np.array_equal(np.signbit(found), np.signbit(x))


def test_powers_of_whole_numbers_are_exact(compiled: Compiled) -> None:
    base, exponent = (array.ravel() for array in np.meshgrid(np.arange(-9.0, 10), np.arange(7.0)))
    assert np.array_equal(compiled("pow", base, exponent), base**exponent)


def test_parity_of_large_exponents(compiled: Compiled) -> None:
    whole = 2.0 ** np.finfo(compiled.dtype).nmant
    exponents = [whole - 1, whole - 0.5, whole, whole + 1, 2 * whole - 1, 2 * whole, 4 * whole]
    found = compiled("pow", np.full(7, -1.0), np.array(exponents))
    assert np.array_equal(found, [-1, np.nan, 1, -1, -1, 1, 1], equal_nan=True)


def test_angles_next_to_multiples_of_half_pi(compiled: Compiled) -> None:
    if compiled.dtype == np.float64 and not EXTENDED:
        pytest.skip("this machine's long double has no more digits than float64")
    multiples = np.rint(np.geomspace(1, 1e9, 4000)) * (np.pi / 2)
    x = np.concatenate([multiples, -multiples, 2.0 ** np.arange(-30.0, 127)])
    x = np.concatenate([x, np.array([6381956970095103 * 2.0**797, 2.0**1023, 1e22])])
    with np.errstate(over="ignore"):
        x = x.astype(compiled.dtype)
    for name in ("sin", "cos"):
        assert ulp_errors(compiled(name, x), exact(name, x)).max() <= BOUND
