"""Functions traced once give the bits of eager calls."""

import numpy as np

import thalweg as tw
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
