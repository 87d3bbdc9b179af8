"""Gaussian output units and their loss: formulas in float64, the drawings, what is refused."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.autodiff.numerical import check_gradients
from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import DataError, DTypeError, SettingError, ShapeError
from thalweg.nn.gaussian_units import GaussianUnits, MaximumAPosteriori, digit_prototypes
from thalweg.nn.layer import apply_network, initialise

RNG = np.random.default_rng(0)


# ------------------------------------------------------------------ prototypes


def test_the_drawings_are_ten_different_digits_of_7_by_12():
    drawn = digit_prototypes()
    assert drawn.shape == (10, 84)
    assert set(np.unique(drawn)) == {-1.0, 1.0}
    apart = ((drawn[:, None] - drawn) ** 2).sum(-1) + 1e9 * np.eye(10)
    assert apart.min() >= 24  # at least six points
    assert (drawn.reshape(10, 12, 7)[:, [0, -1]] == -1).all()


def test_the_drawing_of_seven():
    rows = digit_prototypes()[7].reshape(12, 7)
    assert ["".join(".#"[int(point > 0)] for point in row) for row in rows[1:6]] == [
        "#######",
        ".....##",
        ".....##",
        "....##.",
        "....##.",
    ]


def test_random_prototypes_depend_on_the_seed_alone():
    x, same = RNG.normal(size=(2, 30)), GaussianUnits(5, "random", seed=3)
    found = [
        apply_network(units, {}, x).numpy()
        for units in (same, same, GaussianUnits(5, "random", seed=4))
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).all()
    start = initialise(GaussianUnits(400, "random", learned=True), 30)["prototypes"]
    assert set(np.unique(start)) == {-1.0, 1.0}
    assert abs(start.mean()) < 0.03


# ------------------------------------------------------------------ values


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outputs_are_squared_distances(dtype):
    x = RNG.normal(size=(5, 84)).astype(dtype)
    wanted = ((x[:, None].astype("float64") - digit_prototypes()) ** 2).sum(-1)
    distances = apply_network(GaussianUnits(10, outputs="distances"), {}, x)
    assert distances.dtype == dtype
    rtol = 1e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(distances.numpy(), wanted, rtol=rtol)
    logits = apply_network(GaussianUnits(4), {}, x).numpy()
    np.testing.assert_array_equal(logits, -distances.numpy()[:, :4])


def test_a_prototype_is_at_distance_zero_from_itself():
    found = apply_network(GaussianUnits(), {}, digit_prototypes()).numpy()
    np.testing.assert_array_equal(np.diag(found), 0)
    np.testing.assert_array_equal(found.argmax(1), np.arange(10))


def test_learned_prototypes_start_as_the_drawings_and_have_gradients():
    units, x, dy = GaussianUnits(learned=True), RNG.normal(size=(3, 84)), RNG.normal(size=(3, 10))
    start = initialise(units, 84, dtype="float64")
    np.testing.assert_array_equal(start["prototypes"], digit_prototypes().T)
    found = tw.grad(lambda p: (apply_network(units, p, x) * dy).sum())(start)["prototypes"]
    away = x[:, :, None] - digit_prototypes().T
    np.testing.assert_allclose(found.numpy(), (2 * away * dy[:, None]).sum(0), rtol=1e-12)
    check_gradients(lambda p, x: apply_network(units, p, x), start, x, order=2, directions=2)


# ------------------------------------------------------------------ the loss


@pytest.mark.parametrize("j", [0.5, 3.0])
def test_the_loss_is_equation_9(j):
    distances, classes = RNG.uniform(0, 5, (6, 4)), np.arange(6) % 4
    wanted = distances[np.arange(6), classes] + np.log(np.exp(-j) + np.exp(-distances).sum(1))
    loss = MaximumAPosteriori(j)
    np.testing.assert_allclose(loss.values(-distances, classes).numpy(), wanted, rtol=1e-12)
    check_gradients(lambda z: loss(z, classes), -distances, order=2, directions=2)


def test_its_derivative_is_a_softmax_with_one_class_more():
    net, classes = RNG.normal(size=(3, 4)), np.array([0, 3, 1])
    found = tw.grad(lambda z: MaximumAPosteriori(2.0).values(z, classes).sum())(net).numpy()
    weights = np.exp(np.concatenate([net, np.full((3, 1), -2.0)], 1))
    shares = weights / weights.sum(1, keepdims=True)
    np.testing.assert_allclose(found, shares[:, :4] - np.eye(4)[classes], rtol=1e-10, atol=1e-14)


def test_far_prototypes_do_not_overflow():
    found = MaximumAPosteriori(1.0).values(np.array([[-1e4, -2e4]], "float32"), [0]).numpy()
    np.testing.assert_allclose(found, [1e4 - 1.0])


def test_its_predictions_are_those_of_cross_entropy():
    net = RNG.normal(size=(3, 4))
    found, wanted = (
        loss.predict(net).numpy() for loss in (MaximumAPosteriori(), tw.CrossEntropy())
    )
    np.testing.assert_array_equal(found, wanted)


# ------------------------------------------------------------------ refusals, JSON


@pytest.mark.parametrize(
    ("units", "shape", "message"),
    [
        (GaussianUnits(11), 84, "up to 10 classes and 84 features, not 11 classes"),
        (GaussianUnits(), 85, r"not 10 classes and float32\[1,85\]; take prototypes='random'"),
        (GaussianUnits(), (), r"GaussianUnits takes inputs \(N, …, features\), got float32\[1\]"),
    ],
)
def test_other_inputs_are_refused(units, shape, message):
    with pytest.raises(ShapeError, match=message):
        units.summary(shape)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GaussianUnits(0), r"GaussianUnits.classes = 0 is outside \[1, 1048576\]"),
        (lambda: GaussianUnits(prototypes="x"), "prototypes = 'x' is not one of digits, random"),
        (lambda: MaximumAPosteriori(0.0), r"MaximumAPosteriori.j = 0.0 is outside \(0, ∞\)"),
    ],
)
def test_settings_that_are_none_are_refused(make, message):
    with pytest.raises(SettingError, match=message):
        make()


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        ([0, 2], DataError, "target 2 in row 1 is no class in 0 … 1"),
        ([0.0, 1.0], DTypeError, "maximum_a_posteriori takes class indices"),
        ([[1.0, 0.0], [0.0, 1.0]], ShapeError, r"give class indices \(2,\)"),
    ],
)
def test_targets_that_are_no_classes_are_refused(targets, error, message):
    with pytest.raises(error, match=message):
        MaximumAPosteriori()(np.zeros((2, 2)), np.array(targets))


def test_descriptions_survive_json():
    units = GaussianUnits(7, "random", learned=True, outputs="distances", seed=5)
    assert from_plain("layer", to_plain(units)) == units
    assert from_plain("loss", to_plain(MaximumAPosteriori(2.5))) == MaximumAPosteriori(2.5)
