"""Labels: nodes know their layer and direction."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.graph import Label, Tensor, current_label, labelled, source_of


def test_labels_nest_and_come_back():
    assert current_label() == Label("", "forward")
    with labelled("0 (Linear)"):
        with labelled(direction="backward"):
            assert current_label() == Label("0 (Linear)", "backward")
            assert Tensor(1.0).label == Label("0 (Linear)", "backward")
        assert current_label() == Label("0 (Linear)", "forward")
    assert current_label() == Label()


def test_an_error_does_not_leave_a_label():
    with pytest.raises(KeyError), labelled("broken"):
        raise KeyError
    assert current_label() == Label()


def test_a_label_in_words():
    assert str(Label()) == "top forward"
    assert str(Label("2 (ReLU)", "backward")) == "2 (ReLU) backward"


def _labels(graph):
    return {(source_of(node).primitive.name, *node.label) for node in graph.nodes}


def test_derivatives_carry_the_layer_of_what_they_belong_to():
    def function(x):
        with labelled("inner"):
            y = tw.exp(x)
        with labelled("outer"):
            return tw.tanh(y * 2.0).sum()

    graph = tw.trace(tw.grad(function), np.ones(3))
    found = _labels(graph)
    assert ("exp", "inner", "forward") in found
    assert ("tanh", "outer", "forward") in found
    assert ("mul", "inner", "backward") in found
    assert ("mul", "outer", "backward") in found
    assert ("sub", "outer", "backward") in found
    assert not {name for name, layer, _ in found if layer not in {"inner", "outer"}} - {"identity"}


def test_calling_a_graph_keeps_labels():
    def function(x):
        with labelled("inner"):
            return tw.exp(x)

    graph = tw.trace(function, 1.0)
    again = tw.trace(lambda x: graph(x)[0], 1.0)
    assert _labels(again) == {("exp", "inner", "forward")}
