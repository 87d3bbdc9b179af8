"""Random graphs over all primitives: every way to run them gives the same."""

from collections import Counter

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tests.generate import BUILDERS, DISCONTINUOUS, LARGEST, programs

import thalweg as tw
from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.passes.simplify import simplify
from thalweg.errors import GraphError
from thalweg.graph import PRIMITIVES, Tensor, TensorType, as_tensor, trace_flat, verify
from thalweg.ops import functions as ops

SLOW = settings(max_examples=200, suppress_health_check=list(HealthCheck))
SOAK = settings(SLOW, max_examples=10_000, derandomize=False)


def same(left, right):
    """Equal in type and bits; any NaN equals any NaN."""
    for one, other in zip(left, right, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        if one.dtype.kind != "f":
            np.testing.assert_array_equal(one, other)
            continue
        bits = f"u{one.dtype.itemsize}"
        equal = np.ascontiguousarray(one).view(bits) == np.ascontiguousarray(other).view(bits)
        nan = np.isnan(one) & np.isnan(other)
        assert (equal.reshape(one.shape) | nan).all(), f"{one!r}\n{other!r}"


def eager(graph, inputs):
    return [tensor.numpy() for tensor in graph(*map(as_tensor, inputs))]


def check_values(program):
    graph = program.graph
    verify(graph)
    expected = Interpreter(graph)(*program.inputs)
    same(eager(graph, program.inputs), expected)
    simple = simplify(graph).graph
    verify(simple)
    assert simple.inputs == graph.inputs
    assert [output.type for output in simple.outputs] == [output.type for output in graph.outputs]
    same(Interpreter(simple)(*program.inputs), expected)
    return simple


def reverse(graph):
    """The inputs' derivatives of a weighted sum of the outputs, as a function."""
    numbers = tuple(n for n, tensor in enumerate(graph.inputs) if tensor.type.is_float)

    def loss(*inputs):
        total = as_tensor(np.float64(0.0))
        for number, output in enumerate(graph(*inputs)):
            if output.type.is_float:
                weights = 1.0 + np.arange(output.size).reshape(output.shape) % 3 + number
                total = total + (output.astype("float64") * weights).sum()
        return total

    return lambda *inputs: tw.grad(loss, numbers)(*inputs) if numbers else ()


def forward(graph):
    numbers = [n for n, tensor in enumerate(graph.inputs) if tensor.type.is_float]

    def slopes(*inputs):
        def function(*chosen):
            filled = list(inputs)
            for number, tensor in zip(numbers, chosen, strict=True):
                filled[number] = tensor
            return graph(*filled)

        points = [inputs[number] for number in numbers]
        return tw.jvp(function, points, [ops.ones(p.shape, p.dtype) for p in points])[1]

    return slopes


def check_derivatives(program, transform):
    derivative = transform(program.graph)
    types = [TensorType(array.shape, array.dtype) for array in program.inputs]
    try:
        graph, _ = trace_flat(derivative, types)
    except GraphError as error:
        raise AssertionError(str(error)) from error
    verify(graph)
    expected = Interpreter(graph)(*program.inputs)
    direct = derivative(*map(Tensor, program.inputs))
    same([tensor.numpy() for tensor in direct], expected)
    simple = simplify(graph).graph
    verify(simple)
    same(Interpreter(simple)(*program.inputs), expected)


def test_every_primitive_is_generated():
    assert set(BUILDERS) == set(PRIMITIVES)
    assert set(PRIMITIVES) >= DISCONTINUOUS


def test_programs_are_of_every_sort():
    seen = Counter()

    @given(programs())
    @SLOW
    def look(program):
        seen.update(program.graph.operations())
        tensors = [*program.graph.nodes, *program.graph.inputs]
        seen["empty"] += any(tensor.size == 0 for tensor in tensors)
        seen["0-dimensional"] += any(tensor.shape == () for tensor in tensors)
        seen["NaN"] += any(np.isnan(array).any() for array in program.inputs)
        seen["deep"] += len(program.graph.nodes) > 5
        assert all(tensor.size <= LARGEST for tensor in tensors)

    look()
    missing = [name for name in (*PRIMITIVES, "empty", "0-dimensional", "NaN", "deep")
               if not seen[name]]  # fmt: skip
    assert not missing


@given(programs())
@SLOW
def test_eager_interpreted_and_simplified_values_agree(program):
    check_values(program)


@given(programs())
@SLOW
def test_simplifying_again_changes_nothing(program):
    once = simplify(program.graph).graph
    again = simplify(once)
    assert not {name for name in again.fired if name != "merge-equal"}
    assert str(again.graph) == str(once)


@given(programs(most=8))
@SLOW
def test_gradients_agree(program):
    check_derivatives(program, reverse)


@given(programs(most=8))
@SLOW
def test_tangents_agree(program):
    check_derivatives(program, forward)


@given(programs(most=8))
@settings(SLOW, max_examples=100)
def test_the_verifier_passes_with_any_rule_left_out(program):
    from thalweg.compiler.passes.rules import RULES
    from thalweg.compiler.passes.simplify import PASSES

    names = [rule.name for rule in RULES] + list(PASSES)
    expected = Interpreter(program.graph)(*program.inputs)
    for name in names:
        found = simplify(program.graph, disabled=[name])
        verify(found.graph)
        assert name not in found.fired
        same(Interpreter(found.graph)(*program.inputs), expected)
    bare = simplify(program.graph, disabled=names)
    assert not bare.fired
    assert bare.graph.operations() == program.graph.operations()


@pytest.mark.soak
@given(programs(most=20))
@SOAK
def test_soak_values(program):
    check_values(program)


@pytest.mark.soak
@given(programs(most=12))
@SOAK
def test_soak_gradients(program):
    check_derivatives(program, reverse)
    check_derivatives(program, forward)


def test_the_settings_are_what_they_say():
    assert SLOW.max_examples == 200
    assert hypothesis.settings.default is not None
