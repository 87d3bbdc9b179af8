"""The learning rate that the history notes: traced once for all optimisers of a structure."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.descriptions import replace_settings, settings_of
from thalweg.optim.optimizers import Moment
from thalweg.training.rates import TracedRate

RATES = [
    (tw.Adam(0.02), True),
    (tw.SGD(tw.Cosine(0.1)), False),
    (tw.SGD(tw.WarmUp(0.1, length=4)), False),
    (tw.Adam(tw.ReduceOnPlateau(0.3)), True),
]


@pytest.mark.parametrize(("optimizer", "is_constant"), RATES)
def test_rates_have_the_bits_of_the_optimisers_own(optimizer, is_constant):
    rate = TracedRate(optimizer, 1, (30, 3))
    assert rate.is_constant == is_constant
    for scale in (1.0, 0.7):
        numbers = {path: scale * value for path, value in settings_of(optimizer).items()}
        own = replace_settings(optimizer, numbers)
        for step in (0, 1, 7, 29):
            expected = float(own.rate(Moment(np.float64(step), 30, 3)).numpy())
            assert rate(step, list(numbers.values())) == expected


def test_members_have_rates_of_their_own():
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    rates = np.array([0.1, 0.01, 0.001])
    options = {"epochs": 3, "progress": False}
    for make in (tw.Adam, lambda rate: tw.SGD(tw.Cosine(rate))):
        run = tw.fit(tw.Linear(1), x, x[:, 0], members=3, optimizer=make(rates), **options)
        for member, rate in enumerate(rates):
            one = tw.fit(tw.Linear(1), x, x[:, 0], optimizer=make(rate), **options)
            expected = one.history["learning_rate"]
            assert run.history["learning_rate"][member].tolist() == expected.tolist()
            assert len(set(expected)) == (1 if make is tw.Adam else 3)
            assert expected[0] == rate or make is not tw.Adam
