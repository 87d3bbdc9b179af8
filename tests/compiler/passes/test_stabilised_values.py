"""Naive programs after stabilisation: judged exactly at the ends, with NaN, and at random."""

import decimal
from collections import Counter
from decimal import Decimal
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.generate import DISCONTINUOUS, programs
from tests.naive import FORMS, NAIVE, traced

import thalweg as tw
from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.passes.pipeline import optimise
from thalweg.compiler.passes.stabilise import STABLE
from thalweg.graph import PRIMITIVES, TensorType, source_of, trace_flat, verify

NAMES = {rule.name for rule in STABLE}
ROWS = np.array([[1000, -1000, 3], [-1000, -1000, -999], [2**-30, -(2**-30), 0.5], [-40, 40, 2]])

DIFFERENCES = {"log softmax", "log of softmax", "cross entropy", "entropy"}
"""What is a difference of large numbers in its stable form too."""

UNSEEN = {("picked", "gradient")}
"""What no rule sees yet: the derivative of a gather stands between 1/p and p."""


def points(name, dtype):
    """Rows that hold large and small numbers, the same in both types; larger ones for roots."""
    far = {"float64": 2.0**600, "float32": 2.0**90}[dtype] if name == "root of square" else 1.0
    return (ROWS * far).astype(dtype)


# ------------------------------------------------------------------ the judge: decimals


EXACT = {
    "log": lambda x: _each(Decimal.ln, x),
    "log1p": lambda x: _each(Decimal.ln, 1 + x),
    "exp": lambda x: _each(Decimal.exp, x),
    "sqrt": lambda x: _each(Decimal.sqrt, x),
    "logistic": lambda x: 1 / (1 + _each(Decimal.exp, -x)),
    "cast": lambda x, dtype: _decimals(x.astype(dtype)),
}


def _each(function, array):
    return np.vectorize(function, otypes=[object])(array)


def _decimals(array):
    array = np.asarray(array)
    return _each(lambda number: Decimal(float(number)), array) if array.dtype.kind == "f" else array


def exactly(graph, x, digits):
    """The graph's result with decimals of so many digits in every node."""
    values = {id(t): _decimals(t.numpy()) for t in graph.constants}
    values[id(graph.inputs[0])] = _decimals(x)
    with decimal.localcontext() as context:
        context.prec = digits
        for node in graph.nodes:
            primitive, given, parameters = source_of(node)
            evaluate = EXACT.get(primitive.name, primitive.evaluate)
            arrays = [values[id(t)] for t in given]
            values[id(node)] = np.asarray(evaluate(*arrays, **parameters))
    return values[id(graph.outputs[0])].astype("float64")


@cache
def exactly_at(points, name, form):
    x = np.array(points).reshape(ROWS.shape)
    return exactly(traced(name, form, "float64"), x, 900)


def run(graph, *inputs):
    with np.errstate(all="ignore"):
        (result,) = Interpreter(graph)(*inputs)
    return result


def is_right(found, wanted, is_difference, x):
    """Within a few units in the last place; differences in those of the largest number."""
    facts = np.finfo(found.dtype)
    room = 40 * facts.eps * np.abs(wanted) + 4 * facts.tiny
    if is_difference:
        room = room + 4 * facts.eps * max(np.abs(x).max(), np.abs(wanted).max())
    with np.errstate(invalid="ignore"):
        return bool(((found == wanted) | (np.abs(found - wanted) <= room)).all())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NAIVE)
def test_naive_programs_are_right_at_the_ends(name, dtype):
    x = points(name, dtype)
    sound = []
    for form in FORMS:
        graph = traced(name, form, dtype)
        stable = optimise(graph).graph
        verify(stable)
        wanted = exactly_at(tuple(x.ravel().tolist()), name, form)
        is_difference = form == "gradient" or name in DIFFERENCES
        sound.append(is_right(run(graph, x), wanted, is_difference, x))
        if (name, form) not in UNSEEN:
            assert is_right(run(stable, x), wanted, is_difference, x), (
                form,
                run(stable, x),
                wanted,
            )
    assert not all(sound)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAIVE)
def test_both_agree_where_the_naive_program_is_sound(name, form, rng):
    graph = traced(name, form, "float64")
    stable = optimise(graph).graph
    for width in (0.5, 3.0):
        x = rng.normal(size=(4, 3)) * width
        before = run(graph, x)
        room = 1e-13 * np.abs(before).max()
        np.testing.assert_allclose(run(stable, x), before, rtol=1e-12, atol=room)
        np.testing.assert_allclose(run(graph, x), exactly(graph, x, 50), rtol=1e-11, atol=10 * room)


# ------------------------------------------------------------------ NaN and infinity

INF, NAN = np.inf, np.nan
LIMITS = [
    ("log of power", [[-INF, INF, NAN]], [[-INF, INF, NAN]]),
    ("logsumexp", [[INF, 0], [-INF, 0], [-INF, -INF], [NAN, 0], [NAN, INF], [INF, -INF]],
     [INF, 0, -INF, NAN, NAN, INF]),
    ("log of a mean", [[INF, 0], [-INF, -INF], [NAN, 0]], [INF, -INF, NAN]),
    ("softmax", [[-INF, 0], [NAN, 0], [-INF, -INF], [INF, 0]],
     [[0, 1], [NAN, NAN], [NAN, NAN], [NAN, 0]]),
    ("softmax mean", [[NAN, 0], [1, 1]], [NAN, 1]),
    ("log softmax", [[-INF, 0], [NAN, 0], [-INF, -INF]], [[-INF, 0], [NAN, NAN], [NAN, NAN]]),
    ("log of softmax", [[-INF, 0], [NAN, 0], [-INF, -INF]], [[-INF, 0], [NAN, NAN], [NAN, NAN]]),
    ("logistic", [[INF, -INF, NAN]], [[1, 0, NAN]]),
    ("logistic of powers", [[INF, -INF, NAN]], [[1, 0, NAN]]),
    ("one of two", [[INF, -INF, NAN]], [[1, 0, NAN]]),
    ("softplus", [[INF, -INF, NAN]], [[INF, 0, NAN]]),
    ("softplus, log1p", [[INF, -INF, NAN]], [[INF, 0, NAN]]),
    ("log of logistic", [[INF, -INF, NAN]], [[0, -INF, NAN]]),
    ("log of the rest", [[INF, -INF, NAN]], [[-INF, 0, NAN]]),
    ("log of one plus", [[INF, NAN]], [[INF, NAN]]),
    ("power minus one", [[INF, -INF, NAN]], [[INF, -1, NAN]]),
    ("one minus power", [[INF, NAN]], [[1, NAN]]),
    ("root of square", [[INF, -INF, NAN, -0.0]], [[INF, INF, NAN, 0]]),
    ("tanh", [[INF, -INF, NAN]], [[1, -1, NAN]]),
    ("tanh, twice", [[INF, -INF, NAN]], [[1, -1, NAN]]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "x", "wanted"), LIMITS)
def test_limits(name, x, wanted):
    x = np.array(x, "float64")
    graph = optimise(traced(name, "value", "float64", x.shape)).graph
    np.testing.assert_array_equal(run(graph, x), np.array(wanted, "float64"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NAIVE)
def test_nan_stays(name, form):
    x = np.ones((4, 3))
    x[1, 0] = NAN
    graph = traced(name, form, "float64")
    np.testing.assert_array_equal(np.isnan(run(optimise(graph).graph, x)), np.isnan(run(graph, x)))


# ------------------------------------------------------------------ random programs

FEW = settings(max_examples=60, suppress_health_check=list(HealthCheck))
SOAK = settings(FEW, max_examples=10_000, derandomize=False)
WINDOWS = {name for name in PRIMITIVES if name.startswith(("convolve", "window"))}
SMOOTH = {*DISCONTINUOUS, *WINDOWS, "pow", "scatter_add"}


def elements(formula):
    """A formula of matrices for a tensor of any shape."""
    return lambda x: formula(x.reshape(-1, x.shape[-1] if x.ndim and x.shape[-1] else 1))


@st.composite
def naive_programs(draw):
    """A random program, some of whose results go through naive formulas, or derivatives of it."""
    program = draw(programs(most=5, exclude=SMOOTH, dtypes=("float64",)))
    names = [
        name
        for name in NAIVE
        if name not in {"picked", "log of one minus", "cross entropy of classes"}
    ]
    chosen = [draw(st.sampled_from(names)) for _ in program.graph.outputs]
    is_derived = draw(st.booleans())
    numbers = tuple(n for n, t in enumerate(program.graph.inputs) if t.type.is_float)

    def outputs(*inputs):
        results = program.graph(*inputs)
        pairs = zip(chosen, results, strict=True)
        return [elements(NAIVE[name])(t) for name, t in pairs if t.type.is_float and t.size]

    def derivatives(*inputs):
        def loss(*inputs):
            return sum((t.sum() for t in outputs(*inputs)), start=inputs[numbers[0]].sum() * 0)

        return tw.grad(loss, numbers)(*inputs)

    function = derivatives if is_derived and numbers else outputs
    types = [TensorType(array.shape, array.dtype) for array in program.inputs]
    return trace_flat(function, types)[0], program.inputs


def noisy(graph, inputs, rng):
    """The graph's results with every number changed a little; None where one overflows."""
    values = {id(t): a for t, a in zip(graph.inputs, inputs, strict=True)}
    values |= {id(t): t.numpy() for t in graph.constants}
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            primitive, given, parameters = source_of(node)
            array = primitive.evaluate(*[values[id(t)] for t in given], **parameters)
            if node.type.is_float and primitive.kind != "layout":
                array = array * (1 + 1e-12 * rng.uniform(-1, 1, node.shape))
                if not np.isfinite(array).all():
                    return None
            values[id(node)] = np.asarray(array, node.dtype)
    return [values[id(t)] for t in graph.outputs]


def check_program(program, seen):
    graph, inputs = program
    verify(graph)
    found = optimise(graph)
    verify(found.graph)
    rng = np.random.default_rng(0)
    shaken = [noisy(graph, inputs, rng) for _ in range(3)]
    if any(results is None for results in shaken):
        return
    seen.update(name for name in found.fired if name in NAMES)
    for place, (old, new) in enumerate(
        zip(Interpreter(graph)(*inputs), Interpreter(found.graph)(*inputs), strict=True)
    ):
        assert (old.shape, old.dtype) == (new.shape, new.dtype)
        with np.errstate(all="ignore"):
            if old.dtype.kind != "f":
                np.testing.assert_array_equal(new, old)
                continue
            error = np.max([np.abs(results[place] - old) for results in shaken], axis=0)
            room = 1e3 * error + 1e-9 * np.abs(old) + 1e-9
            assert ((np.abs(new - old) <= room) | ~np.isfinite(room)).all(), (old, new, error)


def check_programs(how):
    seen = Counter()

    @given(naive_programs())
    @how
    def check(program):
        check_program(program, seen)

    check()
    return seen


def test_random_programs_compute_the_same():
    assert len(check_programs(FEW)) > len(NAMES) / 2


@pytest.mark.soak
def test_soak_random_programs():
    assert set(check_programs(SOAK)) >= NAMES - {"log-of-picked", "cancel-picked"}


def test_random_graphs_without_formulas_compute_the_same():
    @given(programs(exclude=SMOOTH, dtypes=("float64",)))
    @FEW
    def check(program):
        check_program((program.graph, program.inputs), Counter())

    check()
