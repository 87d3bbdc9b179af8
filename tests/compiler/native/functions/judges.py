"""Exact values with more digits than what is judged, and the points where they are asked for."""

import numpy as np

WIDE = {np.dtype(np.float32): np.float64, np.dtype(np.float64): np.longdouble}


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _erf(x: np.ndarray) -> np.ndarray:
    """By the series ``erf x = (2/√π) e^(-x²) Σ 2^n x^(2n+1) / (2n+1)!!`` of positive terms."""
    size = np.minimum(np.abs(x), 7)
    term = total = size
    for n in range(1, 250):
        term = term * (2 * size * size) / (2 * n + 1)
        total = total + term
    pi = np.longdouble(np.pi) + np.longdouble(1.2246467991473532e-16)
    return np.copysign(2 / np.sqrt(pi) * np.exp(-size * size) * total, x).astype(x.dtype)


EXACT = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sin": np.sin,
    "cos": np.cos, "tanh": np.tanh, "logistic": _logistic, "erf": _erf, "sqrt": np.sqrt,
    "pow": np.power,
}  # fmt: skip

# Where most of the values lie that are neither 0 nor infinite: for float32, and for float64.
RANGES = {
    "exp": ((-105, 90), (-750, 715)), "expm1": ((-20, 90), (-40, 715)), "log": ((0, 4), (0, 4)),
    "log1p": ((-1, 4), (-1, 4)), "sin": ((-900, 900), (-900, 900)), "cos": ((-900, 900),) * 2,
    "tanh": ((-10, 10), (-20, 20)), "logistic": ((-105, 20), (-750, 40)),
    "erf": ((-4.2, 4.2), (-6.2, 6.2)), "sqrt": ((0, 10), (0, 10)),
}  # fmt: skip


def exact(name: str, *arrays: np.ndarray) -> np.ndarray:
    """Values of more digits: float64 for float32, the machine's long double for float64."""
    wide = WIDE[arrays[0].dtype]
    with np.errstate(all="ignore"):
        return EXACT[name](*[array.astype(wide) for array in arrays])


def any_floats(rng: np.random.Generator, dtype: np.dtype, count: int) -> np.ndarray:
    """Random bits: every exponent alike, subnormal numbers, infinities and NaN among them."""
    whole = np.uint32 if dtype == np.float32 else np.uint64
    bits = rng.integers(0, np.iinfo(whole).max, count, dtype=whole, endpoint=True)
    return bits.view(dtype)


def points(name: str, dtype: np.dtype, count: int) -> tuple[np.ndarray, ...]:
    """Operands all over the range, in the range that matters, near 0 and near 1."""
    rng = np.random.default_rng(len(name))
    part = count // 4
    if name == "pow":
        return _power_points(rng, dtype, part)
    low, high = RANGES[name][dtype == np.float64]
    chosen = [
        any_floats(rng, dtype, part), rng.uniform(low, high, part), rng.uniform(-1, 1, part),
        1 + 0.5 * rng.normal(size=part) ** 3,
    ]  # fmt: skip
    return (np.concatenate([array.astype(dtype) for array in chosen]),)


def _power_points(rng: np.random.Generator, dtype: np.dtype, part: int) -> tuple[np.ndarray, ...]:
    """Any operands; ordinary ones; results of every size; negative bases and whole exponents."""
    end = 105 if dtype == np.float32 else 750
    bases = [
        any_floats(rng, dtype, part), rng.uniform(0, 3, part),
        np.exp(rng.normal(size=part) * rng.choice([1e-5, 1e-2, 1, 15], part)),
        -np.exp(rng.normal(size=part) * 3),
    ]  # fmt: skip
    bases = [array.astype(dtype) for array in bases]
    with np.errstate(divide="ignore"):
        spread = rng.uniform(-end, end, part) / np.log(bases[2].astype(np.float64))
    limit = np.float64(np.finfo(dtype).max)
    exponents = [
        any_floats(rng, dtype, part), rng.uniform(-60, 60, part), np.clip(spread, -limit, limit),
        rng.integers(-40, 40, part) + 0.5 * rng.integers(0, 2, part),
    ]  # fmt: skip
    with np.errstate(over="ignore"):
        exponents = [array.astype(dtype) for array in exponents]
    return np.concatenate(bases), np.concatenate(exponents)
