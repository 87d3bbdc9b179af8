"""Losses against scikit-learn, PyTorch, difference quotients and their own promises."""

import math

import msgspec
import numpy as np
import pytest
import sklearn.metrics

from thalweg.autodiff.numerical import check_gradients
from thalweg.autodiff.transforms import grad, value_and_grad
from thalweg.compiler.native.program import NativeProgram
from thalweg.compiler.passes.pipeline import optimise
from thalweg.compiler.trace import trace
from thalweg.descriptions import from_plain, make, members, to_plain
from thalweg.errors import DataError, DescriptionError, DTypeError, SettingError, ShapeError
from thalweg.graph import Tensor, trace_flat
from thalweg.graph.types import TensorType, as_dtype
from thalweg.nn.functional import logistic, softmax
from thalweg.nn.gaussian_units import MaximumAPosteriori
from thalweg.nn.losses import (
    AbsoluteError,
    BinaryBrier,
    BinaryCrossEntropy,
    Brier,
    CrossEntropy,
    CustomLoss,
    Focal,
    GaussianNLL,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    Loss,
    MultiClassHinge,
    MultiClassPerceptronLoss,
    PerceptronLoss,
    PoissonNLL,
    SquaredError,
    TanhCrossEntropy,
    as_loss,
)

RNG = np.random.default_rng(0)
Z = RNG.normal(0, 3, (12, 4))
CLASSES = RNG.integers(0, 4, 12)
SHARES = softmax(RNG.normal(size=(12, 4))).numpy()
LABELS = RNG.integers(0, 2, (12, 4))
NUMBERS = RNG.normal(size=(12, 4))
WEIGHTS = RNG.uniform(0, 2, 12)

COUNTS = RNG.poisson(3, (12, 4))

CASES = {
    "squared_error": (SquaredError(), NUMBERS),
    "squared_error half_sum": (SquaredError("half_sum"), NUMBERS),
    "absolute_error": (AbsoluteError(), NUMBERS),
    "cross_entropy indices": (CrossEntropy(), CLASSES),
    "cross_entropy probabilities": (CrossEntropy(), SHARES),
    "binary_cross_entropy labels": (BinaryCrossEntropy(), LABELS),
    "binary_cross_entropy probabilities": (BinaryCrossEntropy(), SHARES),
    "huber": (Huber(0.7), NUMBERS),
    "log_cosh": (LogCosh(), NUMBERS),
    "gaussian_nll": (GaussianNLL(), NUMBERS[:, :2]),
    "gaussian_nll softplus": (GaussianNLL("softplus", 0.1, full=True), NUMBERS[:, :2]),
    "poisson_nll": (PoissonNLL(), COUNTS),
    "poisson_nll softplus": (PoissonNLL("softplus", full=True), COUNTS),
    "cross_entropy smoothed indices": (CrossEntropy(0.2), CLASSES),
    "cross_entropy smoothed probabilities": (CrossEntropy(0.2), SHARES),
    "cross_entropy shared indices": (CrossEntropy(0.2, "share"), CLASSES),
    "cross_entropy shared probabilities": (CrossEntropy(0.2, "share"), SHARES),
    "binary_cross_entropy smoothed": (BinaryCrossEntropy(0.2), LABELS),
    "binary_cross_entropy shared": (BinaryCrossEntropy(0.2, "share"), LABELS),
    "kl_divergence probabilities": (KLDivergence(), SHARES),
    "kl_divergence indices": (KLDivergence(), CLASSES),
    "focal": (Focal(), CLASSES),
    "focal root": (Focal(0.5), CLASSES),
    "brier indices": (Brier(), CLASSES),
    "brier probabilities": (Brier("mean"), SHARES),
    "binary_brier": (BinaryBrier(), SHARES),
    "hinge": (Hinge(), LABELS),
    "hinge squared": (Hinge(squared=True, margin=2.0), LABELS),
    "perceptron": (PerceptronLoss(), LABELS),
    "tanh_cross_entropy": (TanhCrossEntropy(), LABELS),
    "multi_class_hinge": (MultiClassHinge(), CLASSES),
    "multi_class_hinge sum": (MultiClassHinge("sum", margin=2.0), CLASSES),
    "multi_class_hinge squares": (MultiClassHinge("sum", squared=True), CLASSES),
    "multi_class_perceptron": (MultiClassPerceptronLoss(), CLASSES),
    "maximum_a_posteriori": (MaximumAPosteriori(), CLASSES),
}
every = pytest.mark.parametrize("name", CASES)


def test_every_registered_loss_is_tested_here():
    assert set(members("loss")) == {name.split()[0] for name in CASES}


@every
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_number_a_row_and_their_weighted_mean(name, dtype):
    loss, targets = CASES[name]
    outputs = Z.astype(dtype)
    values = loss.values(outputs, targets)
    assert (values.shape, values.dtype) == ((12,), dtype)
    rtol = 1e-12 if dtype == "float64" else 1e-5
    found = [loss(outputs, targets), loss(outputs, targets, WEIGHTS)]
    assert all((item.shape, item.dtype) == ((), dtype) for item in found)
    wanted = [values.numpy().mean(), np.average(values.numpy(), weights=WEIGHTS)]
    np.testing.assert_allclose([float(item) for item in found], wanted, rtol=rtol)


@every
def test_rows_do_not_see_each_other(name):
    loss, targets = CASES[name]
    alone = [float(loss.values(Z[i : i + 1], targets[i : i + 1])[0]) for i in range(12)]
    np.testing.assert_allclose(loss.values(Z, targets).numpy(), alone, rtol=1e-12)


@every
def test_whole_weights_are_repeated_rows_and_their_scale_does_not_matter(name):
    loss, targets = CASES[name]
    counts = np.array([0, 1, 2, 3] * 3)
    repeated = loss(np.repeat(Z, counts, axis=0), np.repeat(targets, counts, axis=0))
    for weights in (counts, 10.0 * counts):
        np.testing.assert_allclose(float(loss(Z, targets, weights)), float(repeated), rtol=1e-12)


@every
def test_weights_of_nothing_but_zeros_give_zero_loss_and_gradient(name):
    loss, targets = CASES[name]
    zeros = np.zeros(12)
    assert float(loss(Z, targets, zeros)) == 0
    assert not grad(lambda z: loss(z, targets, zeros))(Z).numpy().any()


@every
def test_derivatives_agree_with_difference_quotients(name):
    loss, targets = CASES[name]
    kinked = {"absolute_error", "huber", "hinge squared", "multi_class_hinge squares"}
    order = 1 if name in kinked else 2
    check_gradients(lambda z: loss(z, targets, WEIGHTS), Z, order=order)


@every
def test_large_outputs_give_finite_losses_and_derivatives(name):
    loss, targets = CASES[name]
    outputs = np.where(Z > 0, 1e4, -1e4).astype("float32")
    assert np.isfinite(loss.values(outputs, targets).numpy()).all()
    assert np.isfinite(grad(lambda z: loss(z, targets))(outputs).numpy()).all()


@every
def test_machine_code_gives_the_same_for_outputs_of_every_size(name):
    loss, targets = CASES[name]
    scales = np.logspace(-4, 3, 12)[:, None]

    def risk(z, y):
        return value_and_grad(lambda z: loss(z, y))(z)

    graph = optimise(trace(risk, Z.astype("float32"), targets)).graph
    found = NativeProgram(graph)((Z * scales).astype("float32"), targets)
    wanted = value_and_grad(lambda z: loss(z, targets))(Tensor((Z * scales).astype("float32")))
    for got, exact in zip(found, wanted, strict=True):
        bound = 2e-5 * np.abs(exact.numpy()).max()
        np.testing.assert_allclose(got, exact.numpy(), rtol=2e-5, atol=bound)


@every
def test_nan_in_a_row_makes_its_loss_nan(name):
    loss, targets = CASES[name]
    outputs = Z.copy()
    outputs[3, 1] = math.nan
    assert np.flatnonzero(np.isnan(loss.values(outputs, targets).numpy())).tolist() == [3]


@every
def test_descriptions_survive_json(name):
    loss, _ = CASES[name]
    text = msgspec.json.encode(to_plain(loss))
    assert from_plain("loss", msgspec.json.decode(text)) == loss


@every
def test_traced_and_eager_losses_are_the_same(name):
    loss, targets = CASES[name]
    types = [TensorType(item.shape, as_dtype(item.dtype)) for item in (Z, targets, WEIGHTS)]
    graph, _ = trace_flat(loss, types)
    (result,) = graph(Tensor(Z), Tensor(targets), Tensor(WEIGHTS))
    assert float(result) == float(loss(Z, targets, WEIGHTS))


@every
def test_wrong_numbers_of_weights_are_refused(name):
    loss, targets = CASES[name]
    message = r"sample weights have shape \(5,\), expected one for each of the 12 rows: \(12,\)"
    with pytest.raises(ShapeError, match=message):
        loss(Z, targets, np.ones(5))


# ------------------------------------------------------------------ judges


def test_squared_and_absolute_error_agree_with_scikit_learn():
    found = float(SquaredError()(Z, NUMBERS, WEIGHTS))
    judge = sklearn.metrics.mean_squared_error(NUMBERS, Z, sample_weight=WEIGHTS)
    assert found == pytest.approx(judge, rel=1e-12)
    found = float(AbsoluteError()(Z, NUMBERS, WEIGHTS))
    judge = sklearn.metrics.mean_absolute_error(NUMBERS, Z, sample_weight=WEIGHTS)
    assert found == pytest.approx(judge, rel=1e-12)
    half = float(SquaredError("half_sum")(Z, NUMBERS))
    assert half == pytest.approx(0.5 * np.sum((Z - NUMBERS) ** 2) / 12, rel=1e-12)


def test_cross_entropies_agree_with_scikit_learn():
    loss = CrossEntropy()
    judge = sklearn.metrics.log_loss(
        CLASSES, loss.predict(Z).numpy(), sample_weight=WEIGHTS, labels=range(4)
    )
    assert float(loss(Z, CLASSES, WEIGHTS)) == pytest.approx(judge, rel=1e-12)
    binary = BinaryCrossEntropy()
    judge = sklearn.metrics.log_loss(
        LABELS[:, 0], binary.predict(Z[:, 0]).numpy(), sample_weight=WEIGHTS
    )
    assert float(binary(Z[:, 0], LABELS[:, 0], WEIGHTS)) == pytest.approx(judge, rel=1e-12)


def test_values_and_derivatives_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    nn = torch.nn.functional
    judges = {
        "squared_error": nn.mse_loss,
        "absolute_error": nn.l1_loss,
        "cross_entropy indices": nn.cross_entropy,
        "cross_entropy probabilities": nn.cross_entropy,
        "binary_cross_entropy labels": lambda z, y: (
            4 * nn.binary_cross_entropy_with_logits(z, y.double())
        ),
        "binary_cross_entropy probabilities": lambda z, y: (
            4 * nn.binary_cross_entropy_with_logits(z, y)
        ),
    }
    for name, judge in judges.items():
        loss, targets = CASES[name]
        for factor in (1, 100):
            z = torch.tensor(Z * factor, requires_grad=True)
            wanted = judge(z, torch.tensor(targets))
            wanted.backward()
            assert float(loss(Z * factor, targets)) == pytest.approx(wanted.item(), rel=1e-12), name
            found = grad(lambda x, f=loss, y=targets: f(x, y))(Z * factor).numpy()
            np.testing.assert_allclose(found, z.grad.numpy(), atol=1e-14, err_msg=name)


# ------------------------------------------------------------------ the promised derivatives


def test_derivative_of_cross_entropy_is_prediction_minus_target():
    one_hot = np.eye(4)[CLASSES]
    loss = CrossEntropy()
    for targets, wanted in ((CLASSES, one_hot), (SHARES, SHARES), (one_hot, one_hot)):
        found = grad(lambda z, y=targets: loss.values(z, y).sum())(Z).numpy()
        np.testing.assert_allclose(found, loss.predict(Z).numpy() - wanted, atol=1e-15)


def test_derivative_of_binary_cross_entropy_is_prediction_minus_target_at_zero_too():
    outputs = Z.copy()
    outputs[0] = 0
    loss = BinaryCrossEntropy()
    found = grad(lambda z: loss.values(z, LABELS).sum())(outputs).numpy()
    np.testing.assert_allclose(found, loss.predict(outputs).numpy() - LABELS, atol=1e-15)


def test_derivative_of_half_the_squared_sum_is_the_residual():
    found = grad(lambda z: SquaredError("half_sum").values(z, NUMBERS).sum())(Z).numpy()
    np.testing.assert_allclose(found, Z - NUMBERS, atol=1e-15)


def test_derivative_of_absolute_error_is_zero_at_the_target():
    found = grad(lambda z: AbsoluteError()(z, np.zeros(3)))(np.array([-2.0, 0.0, 2.0])).numpy()
    np.testing.assert_allclose(found, [-1 / 3, 0, 1 / 3])


# ------------------------------------------------------------------ shapes and meanings


@pytest.mark.parametrize("loss", [SquaredError(), AbsoluteError(), BinaryCrossEntropy()], ids=str)
def test_one_output_fits_a_vector_of_targets_either_way(loss):
    outputs, targets = Z[:, 0], LABELS[:, 0]
    wanted = loss.values(outputs, targets).numpy()
    for first in (outputs, outputs[:, None]):
        for second in (targets, targets[:, None]):
            np.testing.assert_array_equal(loss.values(first, second).numpy(), wanted)


def test_rows_of_any_shape_have_one_number():
    outputs, targets = RNG.normal(size=(3, 2, 5)), RNG.normal(size=(3, 2, 5))
    found = SquaredError().values(outputs, targets).numpy()
    np.testing.assert_allclose(found, ((outputs - targets) ** 2).mean((1, 2)))


def test_two_classes_by_either_cross_entropy():
    two = np.stack([np.zeros(12), Z[:, 0]], axis=1)
    np.testing.assert_allclose(
        CrossEntropy().values(two, LABELS[:, 0]).numpy(),
        BinaryCrossEntropy().values(Z[:, 0], LABELS[:, 0]).numpy(),
        rtol=1e-12,
    )


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
def test_class_indices_of_any_integer_type(dtype):
    wanted = CrossEntropy().values(Z, CLASSES).numpy()
    for shape in ((12,), (12, 1)):
        found = CrossEntropy().values(Z, CLASSES.astype(dtype).reshape(shape)).numpy()
        np.testing.assert_array_equal(found, wanted)


def test_booleans_are_labels_and_classes():
    truth = LABELS.astype(bool)
    for loss, outputs, targets in (
        (BinaryCrossEntropy(), Z, LABELS),
        (CrossEntropy(), Z[:, :2], LABELS[:, 0]),
    ):
        given = truth if targets is LABELS else truth[:, 0]
        np.testing.assert_array_equal(
            loss.values(outputs, given).numpy(), loss.values(outputs, targets).numpy()
        )


def test_predictions():
    np.testing.assert_array_equal(CrossEntropy().predict(Z).numpy(), softmax(Z).numpy())
    np.testing.assert_array_equal(BinaryCrossEntropy().predict(Z).numpy(), logistic(Z).numpy())
    for loss in (SquaredError(), AbsoluteError(), CustomLoss(lambda z, y: z - y)):
        np.testing.assert_array_equal(loss.predict(Z).numpy(), Z)
    kinds = {loss.kind for loss in (SquaredError(), CrossEntropy(), BinaryCrossEntropy())}
    assert kinds == {"numbers", "classes", "binary"}


def test_batches_without_rows():
    for loss, targets in CASES.values():
        assert loss.values(Z[:0], targets[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("loss", "outputs", "targets", "message"),
    [
        (
            SquaredError(),
            Z,
            np.zeros(12),
            r"squared_error: outputs float64\[12,4\] and targets float64\[12\] differ in shape; "
            "the last layer should have 1 output for these targets",
        ),
        (
            AbsoluteError(),
            Z[:, :1],
            NUMBERS,
            r"absolute_error: outputs float64\[12,1\] and targets float64\[12,4\] differ in shape; "
            "the last layer should have 4 outputs",
        ),
        (SquaredError(), Z, NUMBERS[:5], "give one target for each row"),
        (SquaredError(), np.float64(1), np.float64(1), r"takes outputs \(N, …\), got float64\[\]"),
        (
            BinaryCrossEntropy(),
            Z,
            LABELS[:, 0],
            r"binary_cross_entropy: outputs float64\[12,4\] and targets int64\[12\] differ",
        ),
        (
            CrossEntropy(),
            Z,
            CLASSES[:5],
            r"cross_entropy: outputs float64\[12,4\] and targets int64\[5\] do not fit; give class "
            r"indices \(12,\) or probabilities \(12, 4\)",
        ),
        (
            CrossEntropy(),
            Z[:, :1],
            CLASSES,
            r"takes outputs \(N, K\) with K ≥ 2 classes, got float64\[12,1\]; for two classes and "
            "one output use binary_cross_entropy",
        ),
        (CrossEntropy(), Z[:, 0], CLASSES, r"K ≥ 2 classes, got float64\[12\]"),
    ],
)
def test_shapes_that_do_not_fit_are_explained(loss, outputs, targets, message):
    with pytest.raises(ShapeError, match=message):
        loss(outputs, targets)


def test_fractional_class_indices_are_refused():
    with pytest.raises(
        DTypeError,
        match=r"class indices of an integer type, got float64\[12\]; "
        r"convert them with astype\('int64'\)",
    ):
        CrossEntropy()(Z, CLASSES.astype(float))


@pytest.mark.parametrize(
    ("loss", "outputs", "wrong", "message"),
    [
        (CrossEntropy(), Z, 4, "cross_entropy: the target 4 in row 2 is no class in 0 … 3"),
        (CrossEntropy(), Z, -1, "cross_entropy: the target -1 in row 2 is no class in 0 … 3"),
        (
            BinaryCrossEntropy(),
            Z[:, 0],
            -1,
            r"binary_cross_entropy: the target -1.0 in row 2 is no probability in \[0, 1\]",
        ),
        (BinaryCrossEntropy(), Z[:, 0], 2, "the target 2.0 in row 2 is no probability"),
    ],
)
def test_targets_that_mean_nothing_are_refused_or_give_nan_where_traced(
    loss, outputs, wrong, message
):
    targets = np.array([0, 1] * 6)
    targets[2] = wrong
    with pytest.raises(DataError, match=message):
        loss(outputs, targets)
    types = [TensorType(item.shape, as_dtype(item.dtype)) for item in (outputs, targets)]
    graph, _ = trace_flat(loss.values, types)
    (found,) = graph(Tensor(outputs), Tensor(targets))
    assert np.flatnonzero(np.isnan(found.numpy())).tolist() == [2]


# ------------------------------------------------------------------ functions as losses


def huber(outputs, targets):
    distance = abs(outputs - targets)
    return (distance * distance).mean(1)


def test_a_function_of_rows_is_a_loss():
    loss = as_loss(huber)
    squares = ((Z - NUMBERS) ** 2).mean(1)
    assert float(loss(Z, NUMBERS)) == pytest.approx(squares.mean(), rel=1e-12)
    found = float(loss(Z, NUMBERS, WEIGHTS))
    assert found == pytest.approx(np.average(squares, weights=WEIGHTS), rel=1e-12)
    np.testing.assert_allclose(loss.values(Z, NUMBERS).numpy(), squares)


def test_a_function_of_the_batch_is_a_loss_without_weights():
    loss = as_loss(lambda outputs, targets: ((outputs - targets) ** 2).mean())
    wanted = ((Z - NUMBERS) ** 2).mean()
    assert float(loss(Z, NUMBERS)) == pytest.approx(wanted, rel=1e-12)
    np.testing.assert_allclose(loss.values(Z, NUMBERS).numpy(), np.full(12, wanted))
    with pytest.raises(
        ShapeError,
        match=r"one number for each row, \(12,\); this one returned one "
        "number for the batch",
    ):
        loss(Z, NUMBERS, WEIGHTS)


def test_a_function_that_returns_another_shape_is_named():
    def squares(outputs, targets):
        return (outputs - targets) ** 2

    with pytest.raises(
        ShapeError,
        match=r"the loss function squares returned float64\[12,4\]; it "
        r"should return one number for each row, \(12,\)",
    ):
        as_loss(squares)(Z, NUMBERS)


def test_a_function_has_no_name_in_a_file():
    with pytest.raises(DescriptionError, match="CustomLoss is not registered"):
        to_plain(as_loss(huber))


def test_losses_by_name():
    for name in members("loss"):
        assert as_loss(name) == make("loss", name)
    assert as_loss(SquaredError("half_sum")) == SquaredError("half_sum")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("crossentropy", "unknown loss 'crossentropy'; did you mean 'cross_entropy'"),
        (CrossEntropy, r"got the class CrossEntropy: write CrossEntropy\(\) with parentheses"),
        (None, "a loss is a name, a Loss or a function of outputs and targets, got None"),
    ],
)
def test_what_is_no_loss_is_explained(spec, message):
    with pytest.raises(SettingError, match=message):
        as_loss(spec)


def test_a_loss_without_values_says_so():
    with pytest.raises(NotImplementedError, match="Loss has no values method"):
        Loss()(Z, Z)
