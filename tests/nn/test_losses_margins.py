"""Losses of margins against their formulas, the perceptron algorithm, scikit-learn and PyTorch."""

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.metrics

from thalweg.autodiff.transforms import grad
from thalweg.errors import DataError, SettingError, ShapeError
from thalweg.graph import Tensor, trace_flat
from thalweg.graph.types import TensorType, as_dtype
from thalweg.nn.losses import (
    BinaryCrossEntropy,
    Hinge,
    MultiClassHinge,
    MultiClassPerceptronLoss,
    PerceptronLoss,
    TanhCrossEntropy,
)

RNG = np.random.default_rng(3)
Z = RNG.normal(0, 2, (18, 4))
CLASSES = RNG.integers(0, 4, 18)
LABELS = RNG.integers(0, 2, (18, 4))
SIGNS = 2 * LABELS - 1
WEIGHTS = RNG.uniform(0, 2, 18)
BINARY = [Hinge(), Hinge(squared=True), PerceptronLoss(), TanhCrossEntropy()]
MULTIPLE = [
    MultiClassHinge(),
    MultiClassHinge("sum"),
    MultiClassHinge(squared=True),
    MultiClassPerceptronLoss(),
]


# ------------------------------------------------------------------ two classes


@pytest.mark.parametrize("margin", [0.5, 1.0, 3.0])
def test_hinges_and_perceptrons_are_their_formulas(margin):
    short = np.maximum(0, margin - SIGNS * Z)
    for squared in (False, True):
        found = Hinge(squared, margin).values(Z, LABELS).numpy()
        np.testing.assert_allclose(found, (short ** (1 + squared)).sum(1), rtol=1e-12)
    found = PerceptronLoss().values(Z, LABELS).numpy()
    np.testing.assert_allclose(found, np.maximum(0, -SIGNS * Z).sum(1), rtol=1e-12)


def test_the_tanh_form_is_the_likelihood_of_a_tanh_output():
    outputs = np.tanh(Z)
    wanted = -np.log(0.5 * (1 + SIGNS * outputs)).sum(1)
    loss = TanhCrossEntropy()
    np.testing.assert_allclose(loss.values(Z, LABELS).numpy(), wanted, rtol=1e-9)
    slope = grad(lambda z: loss.values(z, LABELS).sum())(Z).numpy()
    np.testing.assert_allclose(slope, outputs - SIGNS, atol=1e-14)
    np.testing.assert_allclose(loss.predict(Z).numpy(), 0.5 * (1 + outputs), atol=1e-15)
    twice = BinaryCrossEntropy().values(2 * Z, LABELS).numpy()
    np.testing.assert_allclose(loss.values(Z, LABELS).numpy(), twice, rtol=1e-12)


@pytest.mark.parametrize("loss", BINARY, ids=str)
def test_labels_are_zero_and_one_or_signs_or_booleans(loss):
    wanted = loss.values(Z, LABELS).numpy()
    for targets in (SIGNS, LABELS.astype(bool), LABELS.astype("float32"), SIGNS.astype("int8")):
        np.testing.assert_array_equal(loss.values(Z, targets).numpy(), wanted)


@pytest.mark.parametrize("loss", BINARY, ids=str)
def test_what_is_no_label_is_refused_or_gives_nan_where_traced(loss):
    targets = LABELS[:, 0].astype(float)
    targets[5] = 0.5
    name = {Hinge: "hinge", PerceptronLoss: "perceptron"}.get(type(loss), "tanh_cross_entropy")
    with pytest.raises(DataError, match=f"{name}: the target 0.5 in row 5 is no label"):
        loss(Z[:, 0], targets)
    with pytest.raises(DataError, match=f"{name}: the target 2 in row 0 is no label"):
        loss.check_targets(np.array([2, 0]))
    types = [TensorType(item.shape, as_dtype(item.dtype)) for item in (Z[:, 0], targets)]
    graph, _ = trace_flat(loss.values, types)
    (found,) = graph(Tensor(Z[:, 0]), Tensor(targets))
    assert np.flatnonzero(np.isnan(found.numpy())).tolist() == [5]


def test_at_the_edge_the_slope_is_that_of_the_wrong_side():
    edges = np.array([1.0, -1.0])
    slope = grad(lambda z: Hinge().values(z, np.array([1, 0])).sum())(edges).numpy()
    np.testing.assert_array_equal(slope, [-1, 1])
    zeros = np.zeros(2)
    slope = grad(lambda z: PerceptronLoss().values(z, np.array([1, 0])).sum())(zeros).numpy()
    np.testing.assert_array_equal(slope, [-1, 1])


def test_gradient_steps_from_zero_are_the_perceptron_algorithm():
    x = RNG.normal(size=(60, 3))
    labels = (x @ [1.0, -2.0, 0.5] > 0.1).astype(int)
    weights, bias = np.zeros((3, 1)), np.zeros(1)
    risk = grad(lambda w, b, row, y: PerceptronLoss()(row @ w + b, y), (0, 1))
    for _ in range(5):
        for row, label in zip(x, labels, strict=True):
            change = risk(weights, bias, row[None], np.array([label]))
            weights, bias = weights - change[0].numpy(), bias - change[1].numpy()
    judge = sklearn.linear_model.Perceptron(max_iter=5, tol=None, shuffle=False).fit(x, labels)
    np.testing.assert_allclose(weights[:, 0], judge.coef_[0], rtol=1e-12)
    np.testing.assert_allclose(bias, judge.intercept_, rtol=1e-12)


# ------------------------------------------------------------------ K classes


def _others(form):
    leads = 1 + Z - Z[np.arange(18), CLASSES][:, None]
    leads = np.where(np.eye(4, dtype=bool)[CLASSES], -np.inf, leads)
    return leads.max(1) if form == "largest" else leads


@pytest.mark.parametrize("squared", [False, True])
def test_hinges_of_classes_are_their_formulas(squared):
    power = 1 + squared
    largest = np.maximum(0, _others("largest")) ** power
    found = MultiClassHinge(squared=squared).values(Z, CLASSES).numpy()
    np.testing.assert_allclose(found, largest, rtol=1e-12)
    total = (np.maximum(0, _others("sum")) ** power).sum(1)
    found = MultiClassHinge("sum", squared=squared).values(Z, CLASSES).numpy()
    np.testing.assert_allclose(found, total, rtol=1e-12)


def test_the_perceptron_of_classes_is_its_formula():
    wanted = Z.max(1) - Z[np.arange(18), CLASSES]
    found = MultiClassPerceptronLoss().values(Z, CLASSES).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    zeros = np.zeros((1, 4))
    slope = grad(lambda z: MultiClassPerceptronLoss()(z, [2]))(zeros).numpy()
    np.testing.assert_allclose(slope, [[0.25, 0.25, -0.75, 0.25]])


def test_two_classes_by_either_hinge():
    two = np.stack([np.zeros(18), Z[:, 0]], axis=1)
    for binary, multiple in (
        (Hinge(), MultiClassHinge()),
        (Hinge(squared=True), MultiClassHinge("sum", squared=True)),
        (PerceptronLoss(), MultiClassPerceptronLoss()),
    ):
        np.testing.assert_allclose(
            binary.values(Z[:, 0], LABELS[:, 0]).numpy(),
            multiple.values(two, LABELS[:, 0]).numpy(),
            rtol=1e-12,
        )


def test_predictions_keep_the_order_of_the_net_inputs():
    for loss in BINARY:
        found = loss.predict(Z).numpy()
        np.testing.assert_array_equal(found >= 0.5, Z >= 0)
    for loss in MULTIPLE:
        found = loss.predict(Z).numpy()
        np.testing.assert_allclose(found.sum(1), 1)
        np.testing.assert_array_equal(found.argsort(1), Z.argsort(1))


@pytest.mark.parametrize("margin", [0.0, -1.0])
def test_a_margin_is_positive(margin):
    for kind in (Hinge, MultiClassHinge):
        with pytest.raises(SettingError, match=rf"margin = {margin} is outside \(0, ∞\)"):
            kind(margin=margin)


def test_shapes_that_do_not_fit_are_explained():
    with pytest.raises(ShapeError, match=r"hinge: outputs .* differ in shape"):
        Hinge()(Z, LABELS[:, 0])
    with pytest.raises(ShapeError, match="one output use perceptron"):
        MultiClassPerceptronLoss()(Z[:, :1], CLASSES)


# ------------------------------------------------------------------ judges


def test_hinges_agree_with_scikit_learn():
    judge = sklearn.metrics.hinge_loss(SIGNS[:, 0], Z[:, 0], sample_weight=WEIGHTS)
    found = float(Hinge()(Z[:, 0], LABELS[:, 0], WEIGHTS))
    assert found == pytest.approx(judge, rel=1e-12)
    judge = sklearn.metrics.hinge_loss(CLASSES, Z, labels=range(4), sample_weight=WEIGHTS)
    assert float(MultiClassHinge()(Z, CLASSES, WEIGHTS)) == pytest.approx(judge, rel=1e-12)


def test_margins_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    nn = torch.nn.functional
    signs = torch.tensor(SIGNS[:, 0], dtype=torch.float64)
    judges = [
        *(
            (
                MultiClassHinge("sum", squared=p == 2, margin=m),
                (Z, CLASSES),
                lambda z, y, p=p, m=m: 4 * nn.multi_margin_loss(z, y, p=p, margin=m),
            )
            for p in (1, 2)
            for m in (1.0, 2.5)
        ),
        (
            TanhCrossEntropy(),
            (Z[:, 0], LABELS[:, 0]),
            lambda z, _: nn.soft_margin_loss(2 * z, signs),
        ),
        (Hinge(), (Z[:, 0], LABELS[:, 0]), lambda z, _: (1 - signs * z).clamp(min=0).mean()),
    ]
    for loss, (outputs, targets), judge in judges:
        z = torch.tensor(outputs, requires_grad=True)
        wanted = judge(z, torch.tensor(targets))
        wanted.backward()
        assert float(loss(outputs, targets)) == pytest.approx(wanted.item(), rel=1e-12), loss
        found = grad(lambda x, f=loss, y=targets: f(x, y))(outputs).numpy()
        np.testing.assert_allclose(found, z.grad.numpy(), atol=1e-14, err_msg=str(loss))


def test_hinges_agree_with_keras():
    keras = pytest.importorskip("keras")
    for judge, squared in ((keras.losses.hinge, False), (keras.losses.squared_hinge, True)):
        wanted = np.mean(np.asarray(judge(SIGNS.astype("float32"), Z.astype("float32"))))
        assert float(Hinge(squared)(Z, LABELS)) / 4 == pytest.approx(float(wanted), rel=1e-5)
