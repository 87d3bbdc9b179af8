"""What targets mean for each loss: training by it, on both backends, and predicting."""

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.svm

import thalweg as tw
from thalweg.errors import DataError, ShapeError
from thalweg.nn.losses import CustomLoss
from thalweg.training.targets import fit_targets, loss_name

RNG = np.random.default_rng(6)
X = RNG.normal(size=(240, 4))
ANGLES = np.arctan2(X[:, 1], X[:, 0])
NAMES = np.array(["east", "north", "west"])[(np.abs(ANGLES) * 3 / np.pi).astype(int)]
RIGHT = np.where(X[:, 0] + X[:, 1] > 0, "yes", "no")
SLOPES = np.array([0.8, -0.5, 0.3, 0.0])


def _fit(loss, y, outputs, **options):
    net = tw.Sequential(tw.Linear(16), tw.Tanh(), tw.Linear(outputs))
    settings = {"epochs": 25, "batch_size": 30, "optimizer": tw.Adam(0.03), "progress": False}
    return tw.fit(net, X, y, loss=loss, **{**settings, **options}).model


# ------------------------------------------------------------------ classes


@pytest.mark.parametrize(
    "loss",
    [
        tw.CrossEntropy(0.1),
        tw.CrossEntropy(0.1, "share"),
        tw.KLDivergence(),
        tw.Focal(),
        tw.Brier(),
        tw.MultiClassHinge(),
        tw.MultiClassHinge("sum", squared=True),
        tw.MultiClassPerceptronLoss(),
    ],
    ids=str,
)
def test_every_loss_of_classes_learns_names(loss, tmp_path):
    model = _fit(loss, NAMES, 3, validation=0.2)
    assert np.mean(model.predict(X) == NAMES) > 0.85
    shares = model.predict_proba(X)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(np.array(model.classes)[shares.argmax(1)], model.predict(X))
    model.save(tmp_path / "model")
    again = tw.load(tmp_path / "model")
    assert again.loss == loss
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.parametrize(
    "loss",
    [
        tw.BinaryCrossEntropy(0.1),
        tw.BinaryBrier(),
        tw.Hinge(),
        tw.Hinge(squared=True),
        tw.PerceptronLoss(),
        tw.TanhCrossEntropy(),
    ],
    ids=str,
)
def test_every_loss_of_two_classes_learns_names(loss):
    model = _fit(loss, RIGHT, 1)
    assert np.mean(model.predict(X) == RIGHT) > 0.95
    shares = model.predict_proba(X)
    assert shares.shape == (240, 2)
    np.testing.assert_array_equal(np.array(["no", "yes"])[shares.argmax(1)], model.predict(X))


def test_labels_may_be_signs():
    signs = np.where(RIGHT == "yes", 1, -1)
    model = _fit("hinge", signs, 1)
    assert model.classes == (-1, 1)
    assert np.mean(model.predict(X) == signs) > 0.95


@pytest.mark.parametrize("loss", ["hinge", "perceptron", "tanh_cross_entropy", "binary_brier"])
def test_several_labels_a_row(loss):
    labels = np.stack([X[:, 0] > 0, X[:, 1] > 0], axis=1)
    model = _fit(loss, labels, 2)
    assert np.mean(model.predict(X) == labels) > 0.95


def test_a_linear_hinge_with_l2_is_a_support_vector_machine():
    # labels that overlap, so that the margin is soft
    labels = (X @ SLOPES + RNG.normal(0, 0.5, 240) > 0).astype(int)
    strength = 0.05
    run = tw.fit(
        tw.Sequential(tw.Linear(1)), X, labels, loss=tw.Hinge(squared=True), batch_size=240,
        optimizer=tw.SGD(0.2), penalty=strength, epochs=300, dtype="float64", progress=False,
    )  # fmt: skip
    wide = np.concatenate([X, np.full((240, 1), 1e3)], axis=1)  # a bias that is hardly penalised
    judge = sklearn.svm.LinearSVC(C=2 / (2 * strength * 240), fit_intercept=False, tol=1e-10)
    judge.fit(wide, labels)
    weights = run.model.parameters["0.weight"][:, 0]
    np.testing.assert_allclose(weights, judge.coef_[0, :4], rtol=1e-3, atol=1e-4)


# ------------------------------------------------------------------ numbers


@pytest.mark.parametrize("loss", [tw.Huber(0.5), tw.LogCosh()], ids=str)
def test_robust_losses_withstand_outliers(loss):
    y = X @ SLOPES + 1.0
    wild = y.copy()
    wild[::12] += 50.0
    model = _fit(loss, wild, 1, epochs=40)
    assert np.median(np.abs(model.predict(X) - y)) < 0.25
    squared = _fit("squared_error", wild, 1, epochs=40)
    assert np.median(np.abs(squared.predict(X) - y)) > 1.0


def test_poisson_regression_is_scikit_learns():
    counts = RNG.poisson(np.exp(X @ SLOPES + 0.5))
    run = tw.fit(
        tw.Sequential(tw.Linear(1)), X, counts, loss="poisson_nll", batch_size=240,
        optimizer=tw.SGD(0.1), epochs=600, dtype="float64", progress=False,
    )  # fmt: skip
    judge = sklearn.linear_model.PoissonRegressor(alpha=0, tol=1e-12, max_iter=1000)
    judge.fit(X, counts)
    weights = run.model.parameters["0.weight"][:, 0]
    np.testing.assert_allclose(weights, judge.coef_, rtol=1e-4)
    np.testing.assert_allclose(run.model.predict(X), judge.predict(X), rtol=1e-4)


def test_a_variance_is_learned_with_the_mean():
    x = RNG.uniform(-1, 1, (2000, 1))
    spread = np.where(x[:, 0] > 0, 1.0, 0.1)
    y = 2 * x[:, 0] + RNG.normal(size=2000) * spread
    run = tw.fit(
        tw.Sequential(tw.Linear(24), tw.Tanh(), tw.Linear(2)), x, y, loss="gaussian_nll",
        epochs=60, optimizer=tw.Adam(0.01), progress=False,
    )  # fmt: skip
    model = run.model
    points = np.array([[-0.5], [0.5]])
    mean = model.predict(points)
    assert mean.shape == (2,)
    np.testing.assert_allclose(mean, [-1, 1], atol=0.2)
    deviation = model.loss.deviation(model.outputs(points)).numpy()
    np.testing.assert_allclose(deviation[:, 0], [0.1, 1.0], rtol=0.3)


def test_several_means_and_variances():
    y = np.stack([X @ SLOPES, X[:, 0]], axis=1)
    model = _fit("gaussian_nll", y, 4)
    assert model.predict(X).shape == (240, 2)
    assert np.abs(model.predict(X) - y).mean() < 0.2
    column = _fit("gaussian_nll", y[:, :1], 2, epochs=1)
    assert column.predict(X).shape == (240,)


# ------------------------------------------------------------------ what does not fit


@pytest.mark.parametrize(
    ("loss", "y", "outputs", "message"),
    [
        (
            "gaussian_nll",
            X[:, 0],
            1,
            r"y has shape \(240,\) and loss gaussian_nll takes 2 outputs for each number, but the "
            r"network has \(1,\) outputs a row: end it with Linear\(2\)",
        ),
        ("gaussian_nll", X[:, :2], 2, r"y has shape \(240, 2\) .* end it with Linear\(4\)"),
        ("hinge", RIGHT, 3, r"loss hinge of labels \(N,\) needs one output, the network has \(3,"),
        ("huber", X[:, 0], 2, r"one number a row, but the network has \(2,\) outputs"),
        ("multi_class_hinge", np.full((240, 3), 1 / 3), 3, "give class indices"),
    ],
)
def test_outputs_that_do_not_fit_the_targets_are_explained(loss, y, outputs, message):
    with pytest.raises(ShapeError, match=message):
        _fit(loss, y, outputs)


@pytest.mark.parametrize(
    ("loss", "y", "outputs", "message"),
    [
        ("poisson_nll", np.where(np.arange(240) == 7, -1, 2), 1, "poisson_nll: .* -1.0 in row 7"),
        ("hinge", np.full((240, 2), 0.5), 2, "hinge: the target 0.5 in row 0 is no label"),
        ("binary_cross_entropy", np.full((240, 2), 3), 2, "no probability in"),
    ],
)
def test_targets_that_mean_nothing_to_the_loss_are_refused_before_training(
    loss, y, outputs, message
):
    with pytest.raises(DataError, match=message):
        _fit(loss, y, outputs)


def test_a_loss_is_called_by_its_name():
    assert loss_name(tw.Hinge()) == "hinge"
    assert loss_name(CustomLoss(lambda z, y: z - y)) == "CustomLoss"


def test_a_code_of_two_outputs_takes_one_number():
    code = fit_targets(np.arange(5.0), "gaussian_nll", (2,), np.dtype("float32"))
    assert (code.single, code.shape, code.classes) == (True, (1,), None)
    assert code.encode(np.arange(5.0)).shape == (5, 1)
