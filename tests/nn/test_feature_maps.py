"""Normalisation of feature maps: formulas in float64, PyTorch, and what is refused."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.autodiff.numerical import check_gradients
from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import SettingError, ShapeError
from thalweg.nn.feature_maps import BatchNorm2d, InstanceNorm2d, LocalResponseNorm
from thalweg.nn.layer import apply_network, blueprint, evaluate, initial_states

RNG = np.random.default_rng(0)
SHAPE = (3, 5, 4, 2)


def _affine(channels=SHAPE[1]):
    return {"weight": RNG.normal(1, 0.3, channels), "bias": RNG.normal(size=channels)}


def _states(channels=SHAPE[1]):
    return {"mean": np.zeros(channels), "variance": np.ones(channels)}


def _normalised(x, axes, parameters, eps=1e-5):
    centred = x - x.mean(axes, keepdims=True)
    y = centred / np.sqrt((centred**2).mean(axes, keepdims=True) + eps)
    return y * parameters["weight"][:, None, None] + parameters["bias"][:, None, None]


# ------------------------------------------------------------------ batch and instance


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batch_norm_takes_rows_height_and_width_together(dtype):
    x, parameters = RNG.normal(5, 2, SHAPE).astype(dtype), _affine()
    found = evaluate(BatchNorm2d(), parameters, x, states=_states(), training=True)
    wide = x.astype("float64")
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    wanted = _normalised(wide, (0, 2, 3), parameters)
    np.testing.assert_allclose(found.output.numpy(), wanted, rtol=tolerance, atol=tolerance)
    mean, variance = wide.mean((0, 2, 3)), wide.var((0, 2, 3), ddof=1)
    np.testing.assert_allclose(found.states["mean"].numpy(), 0.1 * mean, rtol=tolerance)
    np.testing.assert_allclose(
        found.states["variance"].numpy(), 0.9 + 0.1 * variance, rtol=tolerance
    )


def test_batch_norm_of_maps_of_one_place_is_that_of_features():
    x, parameters = RNG.normal(size=(6, 3)), _affine(3)
    for training in (True, False):
        one, two = (
            evaluate(layer, parameters, given, states=_states(3), training=training)
            for layer, given in ((tw.BatchNorm1d(), x), (BatchNorm2d(), x[:, :, None, None]))
        )
        np.testing.assert_allclose(one.output.numpy(), two.output.numpy()[:, :, 0, 0], rtol=1e-12)
        np.testing.assert_allclose(one.states["variance"].numpy(), two.states["variance"].numpy())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_instance_norm_takes_height_and_width_of_each_row(dtype):
    x, parameters = RNG.normal(5, 2, SHAPE).astype(dtype), _affine()
    found = apply_network(InstanceNorm2d(scale=True, shift=True), parameters, x)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    wanted = _normalised(x.astype("float64"), (2, 3), parameters)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=tolerance, atol=tolerance)
    assert InstanceNorm2d().summary(SHAPE[1:]).parameters == 0


def test_the_gradient_of_batch_norm_is_the_published_one():
    """dx = γ / (mσ) (m dy - Σ dy - x̂ Σ dy·x̂), sums over the m values of a channel."""
    x, dy, parameters = RNG.normal(size=SHAPE), RNG.normal(size=SHAPE), _affine()
    axes, count = (0, 2, 3), x.size // SHAPE[1]

    def total(z):
        return (
            evaluate(BatchNorm2d(), parameters, z, states=_states(), training=True).output * dy
        ).sum()

    deviation = np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    normal = (x - x.mean(axes, keepdims=True)) / deviation
    sums = dy.sum(axes, keepdims=True) + normal * (dy * normal).sum(axes, keepdims=True)
    wanted = parameters["weight"][:, None, None] / (count * deviation) * (count * dy - sums)
    np.testing.assert_allclose(tw.grad(total)(x).numpy(), wanted, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(
    ("layer", "training"),
    [
        (BatchNorm2d(), True),
        (BatchNorm2d(), False),
        (InstanceNorm2d(scale=True, shift=True), False),
        (tw.GroupNorm(5), False),
        (LocalResponseNorm(3, alpha=0.5), False),
        (LocalResponseNorm(4, alpha=0.5, beta=1.3, k=2.0, squares="sum"), False),
    ],
)
def test_derivatives_agree_with_difference_quotients(layer, training):
    states = _states() if isinstance(layer, BatchNorm2d) else {}
    parameters = {} if isinstance(layer, LocalResponseNorm) else _affine()

    def output(p, x):
        return evaluate(layer, p, x, states=states, training=training).output

    check_gradients(output, parameters, RNG.normal(size=SHAPE), order=2, directions=2)


# ------------------------------------------------------------------ local response


def _local_response(x, layer):
    result, (count, channels) = np.empty_like(x), (layer.size, x.shape[1])
    for c in range(channels):
        low, high = max(c - count // 2, 0), min(c + (count - 1) // 2, channels - 1)
        total = (x[:, low : high + 1] ** 2).sum(1)
        total = total / count if layer.squares == "mean" else total
        result[:, c] = x[:, c] / (layer.k + layer.alpha * total) ** layer.beta
    return result


@pytest.mark.parametrize("shape", [SHAPE, (3, 7), (2, 6, 3)])
@pytest.mark.parametrize(
    "layer",
    [
        LocalResponseNorm(),
        LocalResponseNorm(5, k=2.0, squares="sum"),
        LocalResponseNorm(4, alpha=2.0, beta=0.5),
        LocalResponseNorm(1, alpha=2.0, beta=1.0, k=0.5),
        LocalResponseNorm(30, alpha=2.0),
    ],
)
def test_local_response_is_the_formula(layer, shape):
    x = RNG.normal(2, 2, shape)
    found = apply_network(layer, {}, x).numpy()
    np.testing.assert_allclose(found, _local_response(x, layer), rtol=1e-13)


def test_local_response_of_nothing_is_nothing():
    found = apply_network(LocalResponseNorm(), {}, np.zeros((1, 3, 2, 2))).numpy()
    np.testing.assert_array_equal(found, 0)


# ------------------------------------------------------------------ beside other layers


def test_exact_statistics_are_those_of_all_rows_and_places():
    from thalweg.training.statistics import exact_statistics

    x = RNG.normal(3, 2, (20, 4, 3, 2))
    found = exact_statistics(BatchNorm2d(), _affine(4), _states(4), x)
    np.testing.assert_allclose(found["mean"], x.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found["variance"], x.var((0, 2, 3)), rtol=1e-12)


def test_initialisers_look_past_them():
    for layer in (BatchNorm2d(), InstanceNorm2d(), LocalResponseNorm()):
        net = tw.Sequential(tw.Linear(3), layer, tw.ReLU())
        start = blueprint(net, (2, 4, 3)).parameters["0.weight"]
        assert start.initialiser.choose(start.fans) == tw.He()


# ------------------------------------------------------------------ refusals, JSON


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (BatchNorm2d(), (2, 3), r"BatchNorm2d takes feature maps \(N, C, H, W\), got float64\[2,3"),
        (InstanceNorm2d(), (2, 3, 4), r"InstanceNorm2d takes feature maps \(N, C, H, W\), got"),
        (
            InstanceNorm2d(),
            (2, 3, 1, 1),
            "InstanceNorm2d needs more than one value in each channel",
        ),
        (LocalResponseNorm(), (3,), r"LocalResponseNorm takes inputs \(N, C, H, W\) or \(N, C, …"),
    ],
)
def test_other_inputs_are_refused(layer, shape, message):
    with pytest.raises(ShapeError, match=message):
        evaluate(layer, _affine(3), np.ones(shape), states=_states(3))


def test_one_value_of_each_channel_in_training_is_refused():
    with pytest.raises(ShapeError, match="BatchNorm2d needs more than one value of each channel"):
        evaluate(BatchNorm2d(), _affine(3), np.ones((1, 3, 1, 1)), states=_states(3), training=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LocalResponseNorm(0), r"LocalResponseNorm.size = 0 is outside \[1, 4096\]"),
        (lambda: LocalResponseNorm(k=0.0), r"LocalResponseNorm.k = 0.0 is outside \(0, ∞\)"),
        (lambda: LocalResponseNorm(squares="x"), "squares = 'x' is not one of mean, sum"),
        (lambda: BatchNorm2d(momentum=2.0), r"BatchNorm2d.momentum = 2.0 is outside \[0, 1\]"),
    ],
)
def test_settings_outside_their_range_are_refused(make, message):
    with pytest.raises(SettingError, match=message):
        make()


@pytest.mark.parametrize(
    "layer",
    [
        BatchNorm2d(1e-3, 0.01, shift=False, average="cumulative"),
        InstanceNorm2d(1e-3, scale=True),
        LocalResponseNorm(3, 0.1, 0.5, 2.0, "sum"),
    ],
)
def test_descriptions_survive_json(layer):
    assert from_plain("layer", to_plain(layer)) == layer


# ------------------------------------------------------------------ PyTorch


def _with_torch(judge, x, dy):
    import torch

    given = torch.tensor(x, requires_grad=True)
    wanted = judge(given)
    (wanted * torch.tensor(dy)).sum().backward()
    return wanted.detach().numpy(), given.grad.numpy()


def test_pytorch_agrees_on_batch_norm_in_training_and_use():
    torch = pytest.importorskip("torch")
    judge, parameters = torch.nn.BatchNorm2d(5, dtype=torch.float64), _affine()
    with torch.no_grad():
        judge.weight.copy_(torch.tensor(parameters["weight"]))
        judge.bias.copy_(torch.tensor(parameters["bias"]))
    states = initial_states(blueprint(BatchNorm2d(), SHAPE[1:]), "float64")
    for training in (True, True, False):
        judge.train(training).zero_grad()
        x, dy = RNG.normal(2, 3, SHAPE), RNG.normal(size=SHAPE)
        wanted, slope = _with_torch(judge, x, dy)
        found = evaluate(BatchNorm2d(), parameters, x, states=states, training=training)
        np.testing.assert_allclose(found.output.numpy(), wanted, atol=1e-12)

        def total(p, z, states=states, dy=dy, training=training):
            output = evaluate(BatchNorm2d(), p, z, states=states, training=training).output
            return (output * dy).sum()

        slopes = tw.grad(total, argnums=(0, 1))(parameters, x)
        np.testing.assert_allclose(slopes[1].numpy(), slope, atol=1e-12)
        np.testing.assert_allclose(slopes[0]["weight"].numpy(), judge.weight.grad, atol=1e-11)
        np.testing.assert_allclose(slopes[0]["bias"].numpy(), judge.bias.grad, atol=1e-11)
        states = found.states
        np.testing.assert_allclose(states["variance"].numpy(), judge.running_var, rtol=1e-12)


@pytest.mark.parametrize("size", [1, 3, 4, 5])
def test_pytorch_agrees_on_instance_norm_and_local_response(size):
    torch = pytest.importorskip("torch")
    x, dy = RNG.normal(2, 3, SHAPE), RNG.normal(size=SHAPE)
    pairs = (
        (InstanceNorm2d(), torch.nn.InstanceNorm2d(5, dtype=torch.float64)),
        (
            LocalResponseNorm(size, alpha=0.3, beta=0.6, k=1.5),
            torch.nn.LocalResponseNorm(size, alpha=0.3, beta=0.6, k=1.5),
        ),
    )
    for layer, judge in pairs:
        wanted, slope = _with_torch(judge, x, dy)
        np.testing.assert_allclose(apply_network(layer, {}, x).numpy(), wanted, atol=1e-12)
        found = tw.grad(lambda z, layer=layer: (apply_network(layer, {}, z) * dy).sum())(x)
        np.testing.assert_allclose(found.numpy(), slope, atol=1e-12)
