"""The float64 judge against difference quotients, and thalweg against the judge."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.bench.cases import Case
from thalweg.bench.problem import make_problem, network
from thalweg.bench.reference import Reference, reference_losses

CASE = Case((5, 7, 6, 3), 9, 4, seed=3)


def test_gradients_are_those_of_difference_quotients():
    problem = make_problem(CASE)
    reference = Reference(problem)
    x, y = problem.x[:9].astype("float64"), problem.y[:9]
    _, gradients = reference.gradients(x, y)
    for value, gradient in zip(reference.values, gradients, strict=True):
        for place in list(np.ndindex(value.shape))[::5]:
            kept = value[place]
            value[place] = kept + 1e-6
            above, _ = reference.gradients(x, y)
            value[place] = kept - 1e-6
            below, _ = reference.gradients(x, y)
            value[place] = kept
            assert (above - below) / 2e-6 == pytest.approx(gradient[place], abs=1e-8)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 1e-4)])
def test_thalweg_has_the_same_losses(dtype, tolerance):
    problem = make_problem(CASE)
    run = tw.fit(
        network(CASE), problem.x, problem.y, loss="cross_entropy", optimizer=tw.Adam(1e-3),
        batch_size=9, epochs=5, shuffle=False, seed=3, dtype=dtype, progress=False,
    )  # fmt: skip
    if dtype == "float64":  # its float64 starting weights round to those of the problem
        weight = tw.initialise(network(CASE), (5,), 3, "float64")["0.weight"]
        np.testing.assert_allclose(weight, problem.weights[0][0], rtol=1e-6)
    expected = reference_losses(problem, 5)
    np.testing.assert_allclose(run.history["train_loss"], expected, rtol=max(tolerance, 1e-6))


def test_a_problem_is_the_same_each_time_and_its_classes_are_even():
    one, two = make_problem(CASE), make_problem(CASE)
    np.testing.assert_array_equal(one.x, two.x)
    np.testing.assert_array_equal(one.weights[1][0], two.weights[1][0])
    assert one.x.dtype == np.float32
    assert np.bincount(one.y).tolist() == [12, 12, 12]
