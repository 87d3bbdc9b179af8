"""Batch normalisation: formulas in float64, PyTorch, training and use."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.autodiff.numerical import check_gradients
from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import SettingError, ShapeError
from thalweg.nn.batch_norm import BatchNorm1d
from thalweg.nn.initialisers import He
from thalweg.nn.layer import blueprint, evaluate, initial_states, initialise

RNG = np.random.default_rng(0)
SHAPES = [(6, 3), (4, 3, 5), (2, 3, 2, 4)]


def _parameters(channels=3):
    return {"weight": RNG.normal(1, 0.3, channels), "bias": RNG.normal(size=channels)}


def _states(channels=3):
    return {"mean": np.zeros(channels), "variance": np.ones(channels)}


def _by_hand(x, parameters, mean=None, variance=None, eps=1e-5):
    axes = (0, *range(2, x.ndim))
    layout = (1, -1, *(1,) * (x.ndim - 2))
    mean = x.mean(axes) if mean is None else mean
    variance = x.var(axes) if variance is None else variance
    parts = (mean, variance, parameters["weight"], parameters["bias"])
    mean, variance, weight, bias = (part.reshape(layout) for part in parts)
    return (x - mean) / np.sqrt(variance + eps) * weight + bias


# ------------------------------------------------------------------ values


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_takes_the_batch_s_statistics(shape, dtype):
    x = RNG.normal(5, 2, shape).astype(dtype)
    parameters = {path: value.astype(dtype) for path, value in _parameters().items()}
    states = {path: value.astype(dtype) for path, value in _states().items()}
    found = evaluate(BatchNorm1d(), parameters, x, states=states, training=True)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    wanted = _by_hand(x.astype("float64"), parameters)
    assert found.output.dtype == dtype
    np.testing.assert_allclose(found.output.numpy(), wanted, rtol=tolerance, atol=tolerance)
    axes = (0, *range(2, x.ndim))
    wide = x.astype("float64")
    np.testing.assert_allclose(found.states["mean"].numpy(), 0.1 * wide.mean(axes), rtol=tolerance)
    np.testing.assert_allclose(
        found.states["variance"].numpy(), 0.9 + 0.1 * wide.var(axes, ddof=1), rtol=tolerance
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_use_takes_the_running_statistics_and_keeps_them(shape):
    x, parameters = RNG.normal(5, 2, shape), _parameters()
    states = {"mean": np.array([5.0, 4, 6]), "variance": np.array([4.0, 3, 5])}
    found = evaluate(BatchNorm1d(), parameters, x, states=states)
    wanted = _by_hand(x, parameters, states["mean"], states["variance"])
    np.testing.assert_allclose(found.output.numpy(), wanted, rtol=1e-12)
    assert {path: value.numpy().tolist() for path, value in found.states.items()} == {
        path: value.tolist() for path, value in states.items()
    }


def test_a_feature_far_from_zero_keeps_its_digits():
    x = (1e4 + RNG.normal(size=(128, 2))).astype("float32")
    found = evaluate(
        BatchNorm1d(scale=False, shift=False), {}, x, states=_states(2), training=True
    ).output.numpy()
    wide = x.astype("float64")
    np.testing.assert_allclose(
        found, (wide - wide.mean(0)) / wide.std(0), atol=1e-2
    )  # E[x²] - μ² would be off by 6


@pytest.mark.parametrize("kind", ["unbiased", "biased"])
def test_running_averages_over_several_steps(kind):
    layer = BatchNorm1d(momentum=0.25, running_variance=kind)
    states, mean, variance = _states(), np.zeros(3), np.ones(3)
    for _ in range(4):
        x = RNG.normal(2, 3, (5, 3))
        states = evaluate(layer, _parameters(), x, states=states, training=True).states
        mean = 0.75 * mean + 0.25 * x.mean(0)
        variance = 0.75 * variance + 0.25 * x.var(0, ddof=kind == "unbiased")
    np.testing.assert_allclose(states["mean"].numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(states["variance"].numpy(), variance, rtol=1e-12)


def test_the_cumulative_average_is_the_mean_over_all_batches():
    layer = BatchNorm1d(average="cumulative")
    states = initial_states(blueprint(layer, 3), "float64")
    assert states["batches"] == 0
    batches = RNG.normal(2, 3, (4, 5, 3))
    for x in batches:
        states = evaluate(layer, _parameters(), x, states=states, training=True).states
    np.testing.assert_allclose(states["mean"].numpy(), batches.mean((0, 1)), rtol=1e-12)
    np.testing.assert_allclose(
        states["variance"].numpy(), batches.var(1, ddof=1).mean(0), rtol=1e-12
    )
    assert states["batches"].item() == 4


def test_the_statistics_of_frozen_averages_stay():
    states = evaluate(
        BatchNorm1d(momentum=0.0), _parameters(), RNG.normal(size=(4, 3)), states=_states(),
        training=True,
    ).states  # fmt: skip
    assert states["variance"].numpy().tolist() == [1, 1, 1]


# ------------------------------------------------------------------ derivatives


@pytest.mark.parametrize("shape", [(4, 3), (3, 2, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_derivatives_agree_with_difference_quotients(shape, training):
    states = _states(shape[1])

    def output(p, x):
        return evaluate(BatchNorm1d(), p, x, states=states, training=training).output

    check_gradients(output, _parameters(shape[1]), RNG.normal(size=shape), order=2)


def test_the_gradient_is_the_published_one():
    """dx = γ/(nσ) (n dy - Σ dy - x̂ Σ dy·x̂), the formula of Ioffe and Szegedy put together."""
    x, dy, parameters = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 3)), _parameters()

    def total(z):
        output = evaluate(BatchNorm1d(), parameters, z, states=_states(), training=True).output
        return (output * dy).sum()

    deviation = np.sqrt(x.var(0) + 1e-5)
    normal = (x - x.mean(0)) / deviation
    sums = 6 * dy - dy.sum(0) - normal * (dy * normal).sum(0)
    wanted = parameters["weight"] / (6 * deviation) * sums
    np.testing.assert_allclose(tw.grad(total)(x).numpy(), wanted, rtol=1e-10, atol=1e-13)


# ------------------------------------------------------------------ beside other layers


def test_the_linear_layer_in_front_has_no_bias():
    net = tw.Sequential(tw.Linear(4), BatchNorm1d(), tw.ReLU(), tw.Linear(2))
    assert set(initialise(net, 3)) == {"0.weight", "1.weight", "1.bias", "3.weight", "3.bias"}
    note = "no bias: the normalisation that follows would remove it"
    assert net.summary(3).rows[0].note == note
    assert str(net.summary(3)).splitlines()[3].endswith(f"12        24  {note}")
    assert "note" not in str(tw.Sequential(tw.Linear(4), tw.ReLU()).summary(3))


@pytest.mark.parametrize(
    ("net", "biased"),
    [
        (tw.Sequential(tw.Linear(4), BatchNorm1d()), False),
        (tw.Sequential(tw.Linear(4), BatchNorm1d(shift=False)), False),
        (tw.Sequential(tw.Sequential(tw.Linear(4)), BatchNorm1d()), False),
        (tw.Sequential(tw.Linear(4), tw.Sequential(BatchNorm1d(), tw.ReLU())), False),
        (tw.Sequential(tw.WeightNorm(tw.Linear(4)), BatchNorm1d()), False),
        (tw.Sequential(tw.Linear(4), tw.ReLU(), BatchNorm1d()), True),
        (tw.Sequential(tw.Linear(4), tw.LayerNorm()), True),
        (tw.Sequential(tw.Residual(tw.Linear(3)), BatchNorm1d()), True),
    ],
)
def test_a_bias_is_left_out_only_where_it_would_change_nothing(net, biased):
    found = any(path.startswith("0") and path.endswith("bias") for path in initialise(net, 3))
    assert found == biased


def test_a_linear_layer_along_another_axis_keeps_its_bias():
    assert "0.bias" in initialise(tw.Sequential(tw.Linear(4), BatchNorm1d()), (2, 3))


def test_leaving_out_the_bias_changes_no_output():
    x, weight, bias = RNG.normal(size=(8, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=4)
    found = [
        evaluate(BatchNorm1d(), _parameters(4) | {"weight": np.ones(4)}, z, states=_states(4),
                 training=True).output.numpy()
        for z in (x @ weight, x @ weight + bias)
    ]  # fmt: skip
    shift = found[1].mean(0) - found[0].mean(0)
    np.testing.assert_allclose(found[0] + shift, found[1], atol=1e-12)


def test_initialisers_look_past_it():
    for layers in ((BatchNorm1d(), tw.ReLU()), (tw.LayerNorm(), tw.Dropout(), tw.ReLU())):
        plan = blueprint(tw.Sequential(tw.Linear(4), *layers), 3)
        start = plan.parameters["0.weight"]
        assert start.initialiser.choose(start.fans) == He()


def _net(layer, first):
    order = (layer, tw.Tanh()) if first else (tw.Tanh(), layer)
    return tw.Sequential(tw.Linear(6), *order, tw.Linear(2))


@pytest.mark.parametrize("first", [True, False])
def test_both_backends_train_it_before_and_after_the_activation(first):
    x = RNG.normal(3, 2, (50, 4))
    y = (x[:, 0] > x[:, 1]).astype(int)
    options = {"batch_size": 16, "epochs": 30, "progress": False, "dtype": "float64"}
    options["optimizer"] = tw.Adam(0.02)
    models = [
        tw.fit(_net(BatchNorm1d(), first), x, y, backend=backend, **options).model
        for backend in ("interpreter", "native")
    ]
    for group in ("parameters", "states"):
        one, two = (getattr(model, group) for model in models)
        assert one.keys() == two.keys()
        for path in one:
            np.testing.assert_allclose(one[path], two[path], rtol=1e-7, atol=1e-9)
    assert (models[0].predict(x) == y).mean() > 0.9
    assert np.abs(models[0].states[f"{1 if first else 2}.mean"]).max() > 0.01


# ------------------------------------------------------------------ refusals, JSON


def test_one_row_in_training_is_refused():
    message = r"BatchNorm1d needs more than one value of each channel in training, got float64\[1"
    with pytest.raises(ShapeError, match=message):
        evaluate(BatchNorm1d(), _parameters(), np.ones((1, 3)), states=_states(), training=True)
    evaluate(BatchNorm1d(), _parameters(), np.ones((1, 3, 2)), states=_states(), training=True)


def test_a_last_batch_of_one_row_says_what_to_change():
    with pytest.raises(
        ShapeError, match="choose a batch_size that leaves no last batch of one row"
    ):
        tw.fit(_net(BatchNorm1d(), True), RNG.normal(size=(9, 2)), np.arange(9) % 2, batch_size=4)


def test_inputs_without_channels_are_refused():
    with pytest.raises(ShapeError, match=r"BatchNorm1d takes inputs \(N, C\) or \(N, C, …\), got"):
        evaluate(BatchNorm1d(), {}, np.ones(3), states={})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"momentum": 1.5}, r"BatchNorm1d.momentum = 1.5 is outside \[0, 1\]"),
        ({"eps": 0.0}, r"BatchNorm1d.eps = 0.0 is outside \(0, ∞\)"),
        ({"scale": 1}, "BatchNorm1d.scale must be True or False, got 1"),
        ({"running_variance": "n"}, "BatchNorm1d.running_variance = 'n' is not one of unbiased, b"),
    ],
)
def test_settings_outside_their_range_are_refused(fields, message):
    with pytest.raises(SettingError, match=message):
        BatchNorm1d(**fields)


def test_description_survives_json():
    layer = BatchNorm1d(1e-3, 0.01, shift=False, running_variance="biased", average="cumulative")
    assert from_plain("layer", to_plain(layer)) == layer


# ------------------------------------------------------------------ PyTorch


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5)])
@pytest.mark.parametrize("average", ["exponential", "cumulative"])
def test_pytorch_agrees_after_several_steps(shape, average):
    torch = pytest.importorskip("torch")
    momentum = 0.1 if average == "exponential" else None
    judge = torch.nn.BatchNorm1d(3, momentum=momentum, dtype=torch.float64)
    parameters = _parameters()
    with torch.no_grad():
        judge.weight.copy_(torch.tensor(parameters["weight"]))
        judge.bias.copy_(torch.tensor(parameters["bias"]))
    layer = BatchNorm1d(average=average)
    states = initial_states(blueprint(layer, shape[1:]), "float64")
    for _ in range(3):
        x, dy = RNG.normal(2, 3, shape), RNG.normal(size=shape)
        given = torch.tensor(x, requires_grad=True)
        judge.zero_grad()
        wanted = judge(given)
        (wanted * torch.tensor(dy)).sum().backward()
        found = evaluate(layer, parameters, x, states=states, training=True)
        np.testing.assert_allclose(found.output.numpy(), wanted.detach().numpy(), atol=1e-12)

        def total(p, z, states=states, dy=dy):
            return (evaluate(layer, p, z, states=states, training=True).output * dy).sum()

        slopes = tw.grad(total, argnums=(0, 1))(parameters, x)
        np.testing.assert_allclose(slopes[1].numpy(), given.grad.numpy(), atol=1e-12)
        np.testing.assert_allclose(slopes[0]["weight"].numpy(), judge.weight.grad, atol=1e-11)
        states = found.states
    np.testing.assert_allclose(states["mean"].numpy(), judge.running_mean, rtol=1e-12)
    np.testing.assert_allclose(states["variance"].numpy(), judge.running_var, rtol=1e-12)
    x = RNG.normal(size=shape)
    used = evaluate(layer, parameters, x, states=states).output.numpy()
    wanted = judge.eval()(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(used, wanted, atol=1e-12)
