"""Outputs for many rows: batches, kept traces, and any backend below."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.interpreter import Interpreter
from thalweg.model.forward import Forward


@pytest.fixture
def net():
    return tw.Sequential(tw.Linear(3), tw.Tanh())


def test_any_runner_of_graphs_serves(net):
    made = []

    def runner(graph):
        made.append(graph.inputs[-1].shape)
        return Interpreter(graph)

    parameters = tw.initialise(net, 2)
    x = np.random.default_rng(0).normal(size=(2050, 2)).astype("float32")
    expected = np.tanh(x @ parameters["0.weight"] + parameters["0.bias"])
    forward = Forward(net, runner)
    for _ in range(2):
        np.testing.assert_allclose(forward(parameters, {}, x), expected, atol=1e-6)
    assert made == [(1024, 2), (2, 2)]
