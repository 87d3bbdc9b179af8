"""Window primitives as work on views: the same values, NaN and ties included."""

import numpy as np
import pytest

from thalweg.compiler.interpreter import Interpreter
from thalweg.compiler.passes.windows import WINDOWS, without_windows
from thalweg.graph import PRIMITIVES, TensorType, source_of, trace_flat

NAMES = ["window_max", "window_pick", "window_place", "window_sum", "window_spread"]


@pytest.mark.parametrize("kind", ["plain", "ties", "nan"])
@pytest.mark.parametrize("name", NAMES)
def test_views_give_the_primitives_values(name, kind):
    primitive = PRIMITIVES[name]
    for sample in primitive.samples():
        inputs = [np.array(array, order="C") for array in sample.inputs]
        if kind != "plain":
            inputs = [np.round(array) for array in inputs]
        if kind == "nan" and inputs[0].size:
            inputs[0].flat[1::7] = np.nan
        types = [TensorType(array.shape, array.dtype) for array in inputs]
        graph, _ = trace_flat(lambda *given, s=sample: primitive(*given, **s.parameters), types)
        expanded = without_windows(graph)
        assert all(source_of(node).primitive.kind != "window" for node in expanded.nodes)
        got, expected = Interpreter(expanded)(*inputs)[0], Interpreter(graph)(*inputs)[0]
        np.testing.assert_allclose(got, expected, rtol=1e-14, equal_nan=True)


def test_each_primitive_has_its_rule():
    windows = {name for name, p in PRIMITIVES.items() if p.kind == "window"}
    assert {name for rule in WINDOWS for name in rule.primitives} == windows == set(NAMES)


def test_windows_side_by_side_write_each_element_once():
    shapes = [(8, 8, 2, 16), (4, 4, 2, 16)]
    types = [TensorType(shape, np.dtype("float32")) for shape in shapes]
    where = {"taps": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    graph, _ = trace_flat(lambda x, o: PRIMITIVES["window_place"](x, o, **where), types)
    names = without_windows(graph).operations()
    assert "pad" not in names
    assert "concatenate" not in names
