"""Native against the interpreter: every sample of every primitive, and random programs."""

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.compiler.test_generated_graphs import reverse
from tests.generate import DISCONTINUOUS, programs

from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.native.program import NativeProgram
from thalweg.compiler.native.target import limited
from thalweg.compiler.passes.prepare import prepare
from thalweg.compiler.passes.simplify import simplify
from thalweg.errors import SettingError, ShapeError
from thalweg.graph import (
    PRIMITIVES,
    Graph,
    defer,
    placeholder,
    source_of,
    trace_flat,
    type_of,
    verify,
)

ADDING = {"matmul", "reduce_sum", "convolve", "convolve_input", "convolve_weight"}
"""Primitives whose result depends on the order in which numbers are added."""

QUICK = settings(max_examples=60, suppress_health_check=list(HealthCheck))
SOAK = settings(QUICK, max_examples=10_000, derandomize=False)


def single(name, inputs, parameters):
    """A graph of one node."""
    formal = tuple(placeholder(type_of(array), f"x{n}") for n, array in enumerate(inputs))
    return Graph(formal, (defer(PRIMITIVES[name], formal, dict(parameters)),))


def in_ulp(got, expected):
    """The largest difference in units of the last place of the expected value."""
    with np.errstate(all="ignore"):
        apart = np.abs(got.astype(np.longdouble) - expected.astype(np.longdouble))
        unit = np.spacing(np.abs(expected)).astype(np.longdouble)
        off = np.where(got == expected, 0, apart / unit)
    return float(np.nanmax(off, initial=0.0))


def agree(name, got, expected, inputs):
    """Equal in type and shape; in bits, in units of the last place, or up to the order of sums."""
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(got, expected)
        return
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    ulp = PRIMITIVES[name].ulp
    if name in ADDING:
        terms = max(array.size for array in inputs) / max(expected.size, 1) + 1
        scale = np.abs(np.concatenate([np.ravel(array) for array in inputs])).max(initial=0.0)
        bound = terms * np.finfo(expected.dtype).eps * max(scale, scale**2) * terms
        np.testing.assert_allclose(got, expected, rtol=0, atol=bound)
    elif ulp > 0.5:  # the interpreter's own functions are within one
        assert in_ulp(got, expected) <= ulp + 1
    else:
        np.testing.assert_array_equal(got, expected)


def cases():
    for name, primitive in PRIMITIVES.items():
        for number, _ in enumerate(primitive.samples()):
            yield pytest.param(name, number, id=f"{name}-{number}")


@pytest.mark.parametrize(("name", "number"), list(cases()))
def test_every_sample_of_every_primitive(name, number):
    sample = PRIMITIVES[name].samples()[number]
    for kind in ("float64", "float32"):
        inputs = [np.asarray(array) for array in sample.inputs]
        inputs = [a.astype(kind) if a.dtype == np.float64 else a for a in inputs]
        graph = simplify(single(name, inputs, sample.parameters)).graph
        verify(prepare(graph))
        got = NativeProgram(graph)(*inputs)
        agree(name, got[0], Interpreter(graph)(*inputs)[0], inputs)


SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-40, -1e-310, 5e-324, 1e308, -3.5, 2.5]
UNARY = sorted(
    name
    for name, primitive in PRIMITIVES.items()
    if primitive.kind == "elementwise" and len(primitive.samples()[0].inputs) == 1
)
BINARY = ["add", "sub", "mul", "div", "max", "min", "eq", "ne", "lt", "le", "pow"]


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in UNARY if name not in {"not", "cast"}])
def test_special_values(name, kind):
    with np.errstate(all="ignore"):
        x = np.array(SPECIAL * 3).astype(kind)
    graph = single(name, [x], {})
    agree(name, NativeProgram(graph)(x)[0], Interpreter(graph)(x)[0], [x])


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("name", BINARY)
def test_special_pairs(name, kind):
    with np.errstate(all="ignore"):
        values = np.array(SPECIAL).astype(kind)
    a, b = np.repeat(values, len(values)), np.tile(values, len(values))
    graph = single(name, [a, b], {})
    agree(name, NativeProgram(graph)(a, b)[0], Interpreter(graph)(a, b)[0], [a, b])


@pytest.mark.parametrize("target", ["bool", "uint8", "int32", "uint32", "int64", "float32"])
@pytest.mark.parametrize("source", ["bool", "uint8", "int32", "uint64", "float32", "float64"])
def test_casts_saturate_and_wrap_as_defined(source, target):
    with np.errstate(all="ignore"):
        numbers = np.array([0, 1, -1, 255, 256, 3e9, -3e9, 1e19, -1e19, 2.7, -2.7, np.nan, np.inf])
        x = numbers.astype(source)
    graph = single("cast", [x], {"dtype": np.dtype(target)})
    np.testing.assert_array_equal(NativeProgram(graph)(x)[0], Interpreter(graph)(x)[0])


@pytest.mark.parametrize("name", ["gather", "scatter_add"])
@pytest.mark.parametrize("wrong", [-1, 4, 2**40])
def test_an_index_outside_its_axis_is_refused(name, wrong):
    x, indices = np.arange(8.0).reshape(4, 2), np.array([0, wrong, 1])
    inputs = [x, indices] if name == "gather" else [x, indices, np.ones((3, 2))]
    program = NativeProgram(single(name, inputs, {"axis": 0}))
    with pytest.raises(ShapeError, match=f"{name}: index {wrong} is outside an axis of 4"):
        program(*inputs)
    inputs[1] = np.array([3, 3, 0])
    np.testing.assert_array_equal(program(*inputs)[0], Interpreter(program.graph)(*inputs)[0])


def test_running_numbers_may_be_moved():
    def f(x):
        number = PRIMITIVES["iota"](length=4, dtype=np.dtype("float64"))
        places = PRIMITIVES["iota"](length=4, dtype=np.dtype("int64"))
        pad = PRIMITIVES["pad"](number, low=(1,), high=(2,), interior=(1,), value=0.5)
        added = PRIMITIVES["scatter_add"](number, places, x, axis=0)
        return [PRIMITIVES["concatenate"](number, x, axis=0), pad, added]

    x = np.array([1.0, 2.0, 4.0, 8.0])
    graph = simplify(trace_flat(f, [type_of(x)])[0]).graph
    for got, wanted in zip(NativeProgram(graph)(x), Interpreter(graph)(x), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(("rows", "count", "width"), [(48, 4, 2), (48, 20, 3), (40, 8, 4)])
def test_a_gather_and_a_sum_of_the_same_table(rows, count, width):
    """Their loops have sizes of which one divides the other, but the gather's rows cross it."""

    def f(table, places):
        return [PRIMITIVES["gather"](table, places, axis=0) * 2.0, (table * table).sum()]

    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(count, width)), rng.integers(0, count, (rows, 1))]
    graph = simplify(trace_flat(f, [type_of(item) for item in inputs])[0]).graph
    for got, wanted in zip(NativeProgram(graph)(*inputs), Interpreter(graph)(*inputs), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-13)


# ------------------------------------------------------------------ random programs


def check(program, target=None):
    """Each node of a random program against the interpreter, on the interpreter's own inputs.

    So an error of one unit in the last place cannot grow from node to node.
    """
    graph = simplify(program.graph).graph
    values = {}
    inputs = list(program.inputs)
    for tensor, array in zip(graph.inputs, inputs, strict=True):
        values[id(tensor)] = array
    for tensor in graph.constants:
        values[id(tensor)] = tensor.numpy()
    Interpreter(graph).run(inputs, lambda node, value: values.__setitem__(id(node), value.copy()))
    got = NativeProgram(graph, target=target, cached=False)(*inputs)
    for tensor, array in zip(graph.outputs, got, strict=True):
        expected = values[id(tensor)]
        assert (array.shape, array.dtype) == (expected.shape, expected.dtype)
        if array.dtype.kind != "f":
            np.testing.assert_array_equal(array, expected)
            continue
        np.testing.assert_array_equal(np.isnan(array), np.isnan(expected))
        finite = np.abs(expected[np.isfinite(expected)])
        scale = finite.max(initial=0.0)
        np.testing.assert_allclose(array, expected, rtol=1e-9, atol=1e-12 * min(scale, 1e300))


STEEP = {"sin", "cos", *DISCONTINUOUS}
"""Primitives left out: they turn an error in the last place of a large number into any number."""


@QUICK
@given(programs(most=14, exclude=STEEP, dtypes=("float64",)))
def test_random_programs(program):
    verify(prepare(simplify(program.graph).graph))
    check(program)


def check_derivative(program):
    """The derivatives of a random program, with room for what its largest number cancels to."""
    graph, _ = trace_flat(reverse(program.graph), [type_of(array) for array in program.inputs])
    graph = simplify(graph).graph
    verify(prepare(graph))
    largest = [1.0]

    def look(node, value):
        if value.dtype.kind == "f":
            largest.append(np.abs(value[np.isfinite(value)]).max(initial=0.0))

    with np.errstate(all="ignore"):
        expected = Interpreter(graph).run(program.inputs, look)
    hypothesis.assume(max(largest) < 1e6)
    for got, wanted in zip(NativeProgram(graph, cached=False)(*program.inputs), expected,
                           strict=True):  # fmt: skip
        assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12 * max(largest))


@QUICK
@given(programs(most=8, exclude=STEEP, dtypes=("float64",)))
def test_derivatives_of_random_programs(program):
    check_derivative(program)


@pytest.mark.soak
@SOAK
@given(programs(most=12, exclude=STEEP, dtypes=("float64",)))
def test_derivatives_of_many_random_programs(program):
    check_derivative(program)


@pytest.mark.soak
@SOAK
@given(programs(most=20, exclude=STEEP, dtypes=("float64",)))
def test_many_random_programs(program):
    verify(prepare(simplify(program.graph).graph))
    check(program)


def whole(program):
    """Whether all numbers of a program are whole, and stay so."""
    return all(
        source_of(node).primitive.kind in {"layout", "index", "random"}
        or source_of(node).primitive.name in EXACT
        for node in program.graph.nodes
    )


EXACT = {
    *("neg", "identity", "stop_gradient", "cast", "abs", "sign", "floor", "round", "not", "add"),
    *("sub", "mul", "max", "min", "eq", "ne", "lt", "le", "and", "or", "xor", "shift_left"),
    *("shift_right", "select", "reduce_max", "argmax"),
}
"""Primitives whose results are the same bits however they are computed."""


@QUICK
@given(
    programs(
        most=14,
        exclude=set(PRIMITIVES)
        - EXACT
        - {
            "broadcast",
            "reshape",
            "transpose",
            "slice",
            "pad",
            "concatenate",
            "gather",
            "scatter_add",
            "iota",
            "random_bits",
            "fold_in",
        },
    )
)
def test_exact_programs_give_the_same_bits(program):
    hypothesis.assume(whole(program))
    graph = simplify(program.graph).graph
    got = NativeProgram(graph, cached=False)(*program.inputs)
    for one, other in zip(got, Interpreter(graph)(*program.inputs), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse"])
def test_random_programs_on_narrower_vectors(name):
    try:
        target = limited(name)
    except SettingError as error:
        pytest.skip(str(error))

    @settings(QUICK, max_examples=15)
    @given(programs(most=10, exclude=STEEP, dtypes=("float64", "float32")))
    def run(program):
        hypothesis.assume(all(t.dtype != np.float32 for t in program.graph.nodes))
        check(program, target)

    run()
