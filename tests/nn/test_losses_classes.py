"""Losses of classes and labels: smoothing, divergences, scores, against formulas and judges."""

import math

import numpy as np
import pytest
import sklearn.metrics

from thalweg.autodiff.transforms import grad
from thalweg.compiler.trace import trace
from thalweg.descriptions import from_plain, settings_of, to_plain
from thalweg.descriptions.spec import parse_spec, spec_of
from thalweg.errors import DataError, DTypeError, SettingError, ShapeError
from thalweg.nn.functional import logistic, softmax
from thalweg.nn.losses import (
    BinaryBrier,
    BinaryCrossEntropy,
    Brier,
    CrossEntropy,
    Focal,
    KLDivergence,
    MultiClassHinge,
)

RNG = np.random.default_rng(2)
Z = RNG.normal(0, 3, (15, 5))
CLASSES = RNG.integers(0, 5, 15)
ONE_HOT = np.eye(5)[CLASSES]
SHARES = softmax(RNG.normal(size=(15, 5))).numpy()
LABELS = RNG.integers(0, 2, (15, 5))
LOGS = Z - np.log(np.exp(Z).sum(1, keepdims=True))
PROBABILITIES = np.exp(LOGS)


# ------------------------------------------------------------------ label smoothing


@pytest.mark.parametrize("epsilon", [0.05, 0.3, 0.99])
@pytest.mark.parametrize("convention", ["uniform", "share"])
def test_smoothed_targets_are_those_of_the_formula(epsilon, convention):
    loss = CrossEntropy(epsilon, convention)
    for targets, dense in ((CLASSES, ONE_HOT), (SHARES, SHARES)):
        others = epsilon / 5 if convention == "uniform" else (1 - dense) * epsilon / 4
        smooth = (1 - epsilon) * dense + others
        np.testing.assert_allclose(smooth.sum(1), 1)
        found = loss.values(Z, targets).numpy()
        np.testing.assert_allclose(found, -(smooth * LOGS).sum(1), rtol=1e-12)
        slope = grad(lambda z, y=targets: loss.values(z, y).sum())(Z).numpy()
        np.testing.assert_allclose(slope, PROBABILITIES - smooth, atol=1e-14)


def test_the_true_class_and_the_others_share_all():
    found = CrossEntropy(0.1, "share").smoothed(CrossEntropy(0.1).predict(np.eye(4) * 1e3), 4)
    np.testing.assert_allclose(found.numpy()[0], [0.9, 0.1 / 3, 0.1 / 3, 0.1 / 3], rtol=1e-6)


@pytest.mark.parametrize("convention", ["uniform", "share"])
def test_smoothed_labels_are_those_of_two_classes(convention):
    two = np.stack([np.zeros(15), Z[:, 0]], axis=1)
    np.testing.assert_allclose(
        BinaryCrossEntropy(0.2, convention).values(Z[:, 0], LABELS[:, 0]).numpy(),
        CrossEntropy(0.2, convention).values(two, LABELS[:, 0]).numpy(),
        rtol=1e-12,
    )
    moved = {"uniform": (0.1, 0.9), "share": (0.2, 0.8)}[convention]
    smooth = np.where(LABELS == 1, moved[1], moved[0])
    found = BinaryCrossEntropy(0.2, convention).values(Z, LABELS).numpy()
    wanted = BinaryCrossEntropy().values(Z, smooth).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("kind", [CrossEntropy, BinaryCrossEntropy])
def test_smoothing_is_one_number_or_none(kind):
    assert kind(0) == kind(0.0) == kind(()) == kind()
    assert kind(0.1) == kind((0.1,)) == kind([0.1]) == kind(np.float64(0.1))
    assert settings_of(kind()) == {}
    assert settings_of(kind(0.1)) == {"label_smoothing.0": 0.1}
    for loss in (kind(), kind(0.1), kind(0.1, "share")):
        assert from_plain("loss", to_plain(loss)) == loss
        assert parse_spec("loss", spec_of(loss)) == loss
    name = spec_of(kind()).split("(")[0]
    assert parse_spec("loss", f"{name}(label_smoothing=0.1)") == kind(0.1)


def test_without_smoothing_the_program_has_no_trace_of_it():
    def text(loss):
        return str(trace(loss, np.zeros((3, 4)), np.zeros(3, np.int64)))

    assert text(CrossEntropy(0.0, "share")) == text(CrossEntropy())
    assert text(CrossEntropy(0.1)) != text(CrossEntropy())


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.0, r"label_smoothing\[0\] = 1.0 is outside \[0, 1\)"),
        (-0.1, r"label_smoothing\[0\] = -0.1 is outside \[0, 1\)"),
        (math.nan, r"label_smoothing\[0\] = nan is outside \[0, 1\)"),
        ((0.1, 0.2), r"label_smoothing takes one number, got \(0.1, 0.2\)"),
        (True, "label_smoothing must be a tuple of numbers, got True"),
        ("much", "label_smoothing must be a tuple of numbers, got 'much'"),
    ],
)
def test_smoothing_outside_its_range_is_refused(value, message):
    for kind in (CrossEntropy, BinaryCrossEntropy):
        with pytest.raises(SettingError, match=f"{kind.__name__}.{message}"):
            kind(value)


def test_an_unknown_convention_is_refused():
    with pytest.raises(SettingError, match="'equal' is not one of uniform, share"):
        CrossEntropy(0.1, "equal")


# ------------------------------------------------------------------ divergence, focal, scores


def test_divergence_is_cross_entropy_without_the_entropy():
    found = KLDivergence().values(Z, SHARES).numpy()
    np.testing.assert_allclose(found, (SHARES * (np.log(SHARES) - LOGS)).sum(1), rtol=1e-12)
    np.testing.assert_allclose(KLDivergence().values(LOGS, PROBABILITIES).numpy(), 0, atol=1e-15)
    for targets in (CLASSES, ONE_HOT):
        same = KLDivergence().values(Z, targets).numpy()
        np.testing.assert_allclose(same, CrossEntropy().values(Z, CLASSES).numpy(), rtol=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_focal_loss_is_its_formula(gamma):
    chosen = PROBABILITIES[np.arange(15), CLASSES]
    wanted = -((1 - chosen) ** gamma) * np.log(chosen)
    found = Focal(gamma).values(Z, CLASSES).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-11)


def test_focal_loss_of_a_sure_row_has_a_finite_slope():
    net = np.array([[1e4, 0.0], [60.0, 0.0], [-1e4, 0.0]], np.float32)
    for gamma in (0.0, 0.5, 2.0):
        loss = Focal(gamma)
        values = loss.values(net, np.zeros(3, np.int64)).numpy()
        np.testing.assert_allclose(values, [0, 0, 1e4], rtol=1e-6, atol=1e-20)
        slope = grad(lambda z, f=loss: f(z, np.zeros(3, np.int64)))(net).numpy()
        assert np.isfinite(slope).all()
        assert slope[2, 0] == pytest.approx(-1 / 3)


def test_brier_score_is_its_formula_and_scikit_learns():
    wanted = ((PROBABILITIES - ONE_HOT) ** 2).sum(1)
    for targets in (CLASSES, ONE_HOT):
        np.testing.assert_allclose(Brier().values(Z, targets).numpy(), wanted, rtol=1e-12)
        np.testing.assert_allclose(Brier("mean").values(Z, targets).numpy(), wanted / 5, rtol=1e-12)
    weights = RNG.uniform(0, 1, 15)
    judge = sklearn.metrics.brier_score_loss(
        LABELS[:, 0], logistic(Z[:, 0]).numpy(), sample_weight=weights
    )
    found = float(BinaryBrier()(Z[:, 0], LABELS[:, 0], weights))
    assert found == pytest.approx(judge, rel=1e-12)
    two = np.stack([np.zeros(15), Z[:, 0]], axis=1)
    assert float(Brier("mean")(two, LABELS[:, 0], weights)) == pytest.approx(judge, rel=1e-12)


def test_squares_of_probabilities_hardly_learn_where_they_are_sure_and_wrong():
    net = np.array([[12.0, 0.0]])
    slopes = {
        loss: np.abs(grad(lambda z, f=loss: f(z, [1]))(net).numpy()).max()
        for loss in (Brier(), CrossEntropy())
    }
    assert slopes[CrossEntropy()] > 0.99
    assert slopes[Brier()] < 1e-4
    wrong = np.array([[12.0]])
    assert abs(float(grad(lambda z: BinaryBrier()(z, [0]))(wrong)[0, 0])) < 1e-4
    assert float(grad(lambda z: BinaryCrossEntropy()(z, [0]))(wrong)[0, 0]) > 0.99


# ------------------------------------------------------------------ what does not fit


@pytest.mark.parametrize("loss", [Focal(), MultiClassHinge()], ids=str)
def test_losses_of_one_true_class_take_no_probabilities(loss):
    with pytest.raises(ShapeError, match=r"give class indices \(15,\)$"):
        loss(Z, SHARES)


@pytest.mark.parametrize(("loss", "other"), [(Brier(), "binary_brier"), (Focal(), "binary_cross")])
def test_two_classes_with_one_output_have_losses_of_their_own(loss, other):
    with pytest.raises(ShapeError, match=f"for two classes and one output use {other}"):
        loss(Z[:, :1], CLASSES)


@pytest.mark.parametrize("loss", [Brier(), Focal(), KLDivergence(), MultiClassHinge()], ids=str)
def test_what_is_no_class_is_refused(loss):
    with pytest.raises(DataError, match="the target 5 in row 3 is no class in 0 … 4"):
        loss(Z, np.where(np.arange(15) == 3, 5, CLASSES))
    with pytest.raises(DTypeError, match="takes class indices of an integer type"):
        loss(Z, CLASSES.astype(float))


def test_what_is_no_probability_is_refused():
    with pytest.raises(DataError, match=r"binary_brier: the target 2.0 in row 0 is no probability"):
        BinaryBrier()(Z[:, 0], np.full(15, 2))


# ------------------------------------------------------------------ PyTorch and Keras


def test_classes_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    nn = torch.nn.functional
    judges = [
        *(
            (CrossEntropy(e), y, lambda z, y, e=e: nn.cross_entropy(z, y, label_smoothing=e))
            for e in (0.1, 0.7)
            for y in (CLASSES, SHARES)
        ),
        (
            KLDivergence(),
            SHARES,
            lambda z, y: nn.kl_div(z.log_softmax(1), y, reduction="batchmean"),
        ),
        (
            Brier("mean"),
            ONE_HOT,
            lambda z, y: nn.mse_loss(z.softmax(1), y),
        ),
    ]
    for loss, targets, judge in judges:
        z = torch.tensor(Z, requires_grad=True)
        wanted = judge(z, torch.tensor(targets))
        wanted.backward()
        assert float(loss(Z, targets)) == pytest.approx(wanted.item(), rel=1e-12), loss
        found = grad(lambda x, f=loss, y=targets: f(x, y))(Z).numpy()
        np.testing.assert_allclose(found, z.grad.numpy(), atol=1e-14, err_msg=str(loss))


def test_smoothed_labels_agree_with_keras():
    keras = pytest.importorskip("keras")
    outputs = Z.astype("float32")
    for epsilon in (0.1, 0.6):
        judge = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=epsilon)
        found = float(BinaryCrossEntropy(epsilon)(outputs, LABELS)) / 5
        assert found == pytest.approx(float(judge(LABELS.astype("float32"), outputs)), rel=1e-5)
        judge = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=epsilon)
        found = float(CrossEntropy(epsilon)(outputs, CLASSES))
        assert found == pytest.approx(float(judge(ONE_HOT.astype("float32"), outputs)), rel=1e-5)
