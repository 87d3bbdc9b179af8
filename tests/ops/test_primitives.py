"""Every primitive of the registry: its declaration, its value, what it refuses.

The tests know the primitives only by their declarations; the judges beside them are written with
other means (Python's ``math``, loops, ``einsum``).
"""

import itertools
import math

import numpy as np
import pytest
import scipy.special
from tests.ops.judges import JUDGES

from thalweg.compiler.interpreter import interpret
from thalweg.errors import DTypeError, ShapeError, ThalwegError
from thalweg.graph import PRIMITIVES, TensorType, as_array, constant, trace_flat, verify
from thalweg.ops import functions as ops

KINDS = {"elementwise", "reduction", "product", "layout", "index", "random", "window"}
ANYTHING_GOES = {"identity", "stop_gradient"}
SAMPLES = [
    pytest.param(primitive, sample, id=f"{name}-{number}")
    for name, primitive in PRIMITIVES.items()
    for number, sample in enumerate(primitive.samples())
]
FAILURES = [
    pytest.param(primitive, sample, id=f"{name}-{number}")
    for name, primitive in PRIMITIVES.items()
    for number, sample in enumerate(primitive.failures())
]


def run(primitive, sample, inputs=None):
    arrays = sample.inputs if inputs is None else inputs
    return primitive(*map(constant, arrays), **sample.parameters)


# ------------------------------------------------------------------ completeness


@pytest.mark.parametrize("name", PRIMITIVES)
def test_a_declaration_is_complete(name):
    primitive = PRIMITIVES[name]
    assert primitive.name == name
    assert primitive.kind in KINDS
    assert primitive.ulp >= 0.5
    assert primitive.samples()
    assert primitive.failures() or name in ANYTHING_GOES
    assert name in JUDGES
    assert primitive.transpose is None or primitive.tangent is not None


def test_every_judge_has_a_primitive():
    assert set(JUDGES) == set(PRIMITIVES)


@pytest.mark.parametrize("name", [n for n, p in PRIMITIVES.items() if p.samples()[0].inputs])
def test_samples_are_of_every_sort(name):
    primitive = PRIMITIVES[name]
    if primitive.kind == "random":
        return
    inputs = [array for sample in primitive.samples() for array in sample.inputs]
    assert any(array.size == 0 for array in inputs), "none is empty"
    assert any(not array.flags.c_contiguous for array in inputs), "none is non-contiguous"
    assert any(array.ndim >= 2 for array in inputs), "none is a matrix"
    if primitive.kind == "elementwise":
        assert any(array.ndim == 0 for array in inputs), "none is 0-dimensional"


# ------------------------------------------------------------------ values


def agree(result, expected, ulp):
    """Equal within some units in the last place of the result's type; NaN equals NaN."""
    assert result.shape == np.shape(expected)
    if result.dtype.kind != "f":
        np.testing.assert_array_equal(result, expected)
        return
    with np.errstate(all="ignore"):
        expected = np.asarray(expected, result.dtype)
        close = np.abs(result - expected) <= ulp * np.spacing(np.abs(expected))
    same = (result == expected) | (np.isnan(result) & np.isnan(expected)) | close
    assert same.all(), f"{result} is not {expected}"


def in_type(sample, dtype):
    return [array.astype(dtype) if array.dtype.kind == "f" else array for array in sample.inputs]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("primitive", "sample"), SAMPLES)
def test_the_value_is_the_judges(primitive, sample, dtype):
    inputs = in_type(sample, dtype)
    result = run(primitive, sample, inputs)
    wide = [array.astype("float64") if array.dtype.kind == "f" else array for array in inputs]
    expected = JUDGES[primitive.name](*wide, **sample.parameters)
    if primitive.kind == "product" or primitive.name in {"window_sum", "window_spread"}:
        scale = JUDGES[primitive.name](*map(np.abs, wide), **sample.parameters)
        length = 1 + max(array.size for array in inputs)
        error = np.abs(result.numpy() - expected)
        assert (error <= length * np.finfo(dtype).eps * scale).all()
    else:
        agree(result.numpy(), expected, 2 * primitive.ulp)


@pytest.mark.parametrize(("primitive", "sample"), SAMPLES)
def test_eager_traced_and_copied_agree_bit_for_bit(primitive, sample):
    eager = run(primitive, sample).numpy()
    types = [TensorType(array.shape, array.dtype) for array in sample.inputs]
    graph, _ = trace_flat(lambda *inputs: primitive(*inputs, **sample.parameters), types)
    verify(graph)
    (interpreted,) = interpret(graph, *sample.inputs)
    (copied,) = interpret(graph, *[np.array(array, order="C") for array in sample.inputs])
    for other in (interpreted, copied):
        assert other.dtype == eager.dtype == graph.outputs[0].dtype
        assert other.shape == eager.shape == graph.outputs[0].shape
        assert other.tobytes() == eager.tobytes()


@pytest.mark.parametrize(("primitive", "sample"), SAMPLES)
def test_inputs_are_left_as_they_are(primitive, sample):
    kept = [array.copy() for array in sample.inputs]
    run(primitive, sample)
    for array, before in zip(sample.inputs, kept, strict=True):
        np.testing.assert_array_equal(array, before)


# ------------------------------------------------------------------ failures


@pytest.mark.parametrize(("primitive", "sample"), FAILURES)
def test_what_does_not_fit_is_refused_in_words(primitive, sample):
    with pytest.raises((ShapeError, DTypeError)) as caught:
        run(primitive, sample._replace(inputs=tuple(map(as_array, sample.inputs))))
    assert isinstance(caught.value, ThalwegError)
    text = str(caught.value)
    assert text.startswith(primitive.name) or "tensors cannot hold complex64" in text


@pytest.mark.parametrize(("primitive", "sample"), FAILURES)
def test_what_does_not_fit_is_refused_when_tracing(primitive, sample):
    types = [TensorType(array.shape, array.dtype) for array in sample.inputs]
    needs_values = {"gather": ([3], [-1]), "scatter_add": ([3],)}.get(primitive.name, ())
    if any(sample.inputs[1].tolist() == indices for indices in needs_values):
        graph, _ = trace_flat(lambda *x: primitive(*x, **sample.parameters), types)
        with pytest.raises(ShapeError, match=f"top forward: {primitive.name}: index"):
            interpret(graph, *sample.inputs)
        return
    with pytest.raises((ShapeError, DTypeError)):
        trace_flat(lambda *inputs: primitive(*inputs, **sample.parameters), types)


def test_every_elementwise_primitive_counts_its_inputs():
    for name, inputs in {"exp": 1, "neg": 1, "add": 2, "lt": 2, "xor": 2}.items():
        tensors = [constant(np.ones(2, "int64"))] * (inputs + 1)
        with pytest.raises(ShapeError, match=f"{name} takes {inputs} tensors, got {inputs + 1}"):
            PRIMITIVES[name](*tensors)


def test_scipy_and_numpy_agree_on_the_error_function_and_the_logistic():
    x = np.linspace(-9, 9, 1001)
    exact = np.array([math.erf(value) for value in x])
    np.testing.assert_allclose(ops.erf(x).numpy(), exact, rtol=1e-15)
    stable = np.exp(np.minimum(x, 0)) / (np.exp(-np.abs(x)) + 1)
    np.testing.assert_allclose(ops.logistic(x).numpy(), stable, rtol=1e-15)
    np.testing.assert_array_equal(ops.erf(x).numpy(), scipy.special.erf(x))


def test_every_pair_of_values_of_a_bit_is_computed():
    pairs = np.array(list(itertools.product([False, True], repeat=2)))
    first, second = constant(pairs[:, 0].copy()), constant(pairs[:, 1].copy())
    assert (first & second).numpy().tolist() == [False, False, False, True]
    assert (first | second).numpy().tolist() == [False, True, True, True]
    assert (first ^ second).numpy().tolist() == [False, True, True, False]
    assert (~first).numpy().tolist() == [True, True, False, False]
