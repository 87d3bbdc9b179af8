"""The float64 judge against difference quotients, and thalweg against the judge."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.bench.architectures import (
    Architecture,
    Average,
    Convolution,
    Dense,
    Flatten,
    Norm,
    Pool,
    ReLU,
    Residual,
)
from thalweg.bench.cases import Case, image_case
from thalweg.bench.peers import all_peers
from thalweg.bench.problem import make_problem, network
from thalweg.bench.reference import Reference, cross_entropy, reference_losses
from thalweg.bench.reference_images import evaluate

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


BRANCH = (Convolution(3, 3, 3, 4, padding=1, bias=False), Norm(3), ReLU())
STRIDED = (Convolution(3, 4, 3, 2, stride=2, padding=1, bias=False), Norm(4))
SHORTCUT = (Convolution(3, 4, 1, 2, stride=2, bias=False),)
AVERAGED = (
    Convolution(2, 3, 3, 4, padding=1), ReLU(), Residual(BRANCH), Residual(STRIDED, SHORTCUT),
    Average(), Dense(4, 3),
)  # fmt: skip
POOLED = (Convolution(2, 3, 2, 4, padding=0), ReLU(), Pool(2), Flatten(), Dense(12, 3))


@pytest.mark.parametrize(("parts", "size"), [(AVERAGED, 4), (POOLED, 5)])
def test_gradients_of_images_are_those_of_difference_quotients(parts, size):
    generator = np.random.default_rng(4)
    x, y = generator.standard_normal((3, 2, size, size)), np.array([0, 2, 1])
    shapes = [shape for part in weighted(parts) for shape in part.shapes]
    values = [generator.standard_normal(shape) for shape in shapes]

    def loss():
        return cross_entropy(evaluate(parts, x, iter(values))[0], y)

    z, back = evaluate(parts, x, iter(values))
    of_x, gradients = back(loss()[1])
    assert z.shape == (3, 3)
    for value, gradient in zip([x, *values], [of_x, *gradients], strict=True):
        assert value.shape == gradient.shape
        for place in list(np.ndindex(value.shape))[::3]:
            kept = value[place]
            value[place] = kept + 1e-6
            above = loss()[0]
            value[place] = kept - 1e-6
            below = loss()[0]
            value[place] = kept
            assert (above - below) / 2e-6 == pytest.approx(gradient[place], abs=2e-8)


def weighted(parts):
    return Architecture("", (0, 0, 0), parts).weighted


@pytest.mark.parametrize("form", ["lenet", "resnet"])
def test_thalweg_has_the_same_losses_on_images(form):
    problem = make_problem(image_case(form, 5, 2))
    session = all_peers("interpreter")["thalweg"].open(problem, "", 1)
    np.testing.assert_allclose(session.train(2).losses, reference_losses(problem, 2), rtol=1e-5)
