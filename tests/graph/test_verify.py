"""The verifier finds each kind of broken graph and names it."""

import dataclasses

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import GraphError
from thalweg.graph import Source, TensorType, constant, placeholder, verify
from thalweg.ops import binary, unary


def sound():
    return tw.trace(lambda x, y: tw.exp(x * y) + np.arange(3.0), np.ones(3), np.ones(3))


def broken(**parts):
    graph = sound()
    for name, change in parts.items():
        object.__setattr__(graph, name, tuple(change(graph)))
    return graph


def test_a_sound_graph_passes():
    verify(sound())


def rename(graph):
    node = graph.nodes[0]
    stranger = dataclasses.replace(binary.mul)
    node.source = Source(stranger, node.source.inputs, {})
    return graph.nodes


def retype(graph):
    graph.nodes[1].type = TensorType((4,), np.dtype("float64"))
    return graph.nodes


def misuse(graph):
    x, y = graph.inputs
    graph.nodes[0].source = Source(unary.exp, (x, y), {})
    return graph.nodes


def overload(graph):
    graph.nodes[0].source = Source(binary.mul, graph.inputs, {"axis": 0})
    return graph.nodes


def misfit(graph):
    graph.inputs[0].type = TensorType((2,), np.dtype("float64"))
    return graph.nodes


def orphan(graph):
    graph.nodes[1].source = None
    return graph.nodes


def unlike(graph):
    graph.constants[0].type = TensorType((3,), np.dtype("float32"))
    return graph.constants


def valueless(graph):
    graph.constants[0].value = None
    return graph.constants


def given(graph):
    graph.inputs[0].value = np.ones(3)
    return graph.inputs


SPARE = constant(np.ones(3))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"inputs": lambda g: (*g.inputs, g.inputs[0])}, "an input or constant occurs twice"),
        ({"constants": lambda g: (*g.constants, *g.inputs)}, "an input or constant occurs twice"),
        ({"inputs": given}, r"input Tensor\(.*\) is not a placeholder"),
        ({"constants": valueless}, r"constant Tensor\(.*\) has no value"),
        ({"constants": unlike}, r"a constant says float32\[3\], its value is float64\[3\]"),
        ({"constants": lambda g: (*g.constants, SPARE)}, "a constant leads to no output"),
        ({"nodes": orphan}, r"node 1 \(Tensor\(.*\)\) has no source"),
        ({"nodes": lambda g: (*g.nodes, g.nodes[0])}, r"node 3 \(mul\) is defined twice"),
        ({"nodes": lambda g: reversed(g.nodes)}, r"node 0 \(add\) uses .* before it is defined"),
        ({"nodes": lambda g: g.nodes[1:]}, r"node 0 \(exp\) uses .* before it is defined"),
        ({"nodes": rename}, r"node 0 \(mul\) is not a registered primitive"),
        ({"nodes": retype}, r"node 1 \(exp\) says float64\[4\], its rule derives float64\[3\]"),
        ({"nodes": misfit}, r"node 0 \(mul\) breaks its type rule: mul takes tensors of one shape"),
        (
            {"nodes": lambda g: (*g.nodes, g.inputs[0] * g.inputs[1])},
            r"node 3 leads to no output",
        ),
        (
            {"outputs": lambda g: (placeholder(g.inputs[0].type, "z"),)},
            r"output Tensor\(z: float64\[3\]\) is not defined by the graph",
        ),
    ],
)
def test_a_broken_graph_is_found(parts, message):
    with pytest.raises(GraphError, match=message):
        verify(broken(**parts))


def test_a_node_with_more_than_its_primitive_takes_is_found():
    with pytest.raises(
        GraphError, match=r"node 0 \(exp\) breaks its type rule: exp takes 1 tensors"
    ):
        verify(broken(nodes=misuse))
    with pytest.raises(
        GraphError, match=r"node 0 \(mul\) breaks its type rule: .*unexpected keyword"
    ):
        verify(broken(nodes=overload))
