"""Functions traced once give the bits of eager calls."""

import numpy as np

import thalweg as tw
from thalweg.compiler.interpreter import Interpreter
from thalweg.graph import TensorType, constant, trace_flat
from thalweg.optim.schedules import Cosine, WarmUp, rate_at
from thalweg.training.traced import Traced


def test_bits_are_those_of_an_eager_call():
    rate = WarmUp(Cosine(0.05), length=4)
    traced = Traced(lambda step: rate(step, 30, 3))
    for step in range(30):
        value = traced(np.asarray(step, np.int64))
        assert value.tobytes() == rate_at(rate, step, 30, 3).numpy().tobytes()


def test_a_type_is_traced_once():
    traces = []

    def loss(outputs):
        traces.append(outputs.shape)
        return tw.square(outputs).sum()

    traced = Traced(loss)
    for rows in (2, 3, 2, 3):
        assert traced(np.full((rows, 2), 0.5)) == rows * 0.5
    assert traces == [(2, 2), (3, 2)]


def test_what_does_not_depend_on_the_input_is_computed_once():
    table = np.arange(6.0).reshape(2, 3)

    def loss(outputs):
        return (outputs - tw.exp(constant(table)) * 2.0).sum(axis=1) / 3.0

    x = np.random.default_rng(0).normal(size=(2, 3))
    expected = Interpreter(trace_flat(loss, [TensorType((2, 3), x.dtype)])[0])
    traced = Traced(loss)
    for scale in (1.0, 2.0, np.inf):
        assert traced(x * scale).tobytes() == expected(x * scale)[0].tobytes()


def test_values_are_arrays_of_their_own():
    same, fixed = Traced(lambda x: x), Traced(lambda x: constant(np.ones(2)))
    x = np.zeros(2)
    for traced in (same, fixed):
        first = traced(x)
        first += 5
        assert traced(x).max() <= 1
    assert x.tolist() == [0.0, 0.0]


def test_many_elements_have_the_bits_of_few():
    traced = Traced(lambda x: tw.exp(x) * tw.log(x))
    x = np.random.default_rng(0).random(40_000)
    assert traced(x)[:100].tobytes() == traced(x[:100]).tobytes()
