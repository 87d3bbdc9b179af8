"""Normalisation within rows: layer, root mean square, group, instance."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.autodiff.numerical import check_gradients
from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import SettingError, ShapeError
from thalweg.nn.layer import apply_network, initialise
from thalweg.nn.normalisation import GroupNorm, InstanceNorm1d, LayerNorm, RMSNorm

RNG = np.random.default_rng(0)
LAYERS = [
    (LayerNorm(), (5, 4)),
    (LayerNorm(eps=0.1, shift=False), (2, 3, 4)),
    (LayerNorm(axes=2), (2, 3, 4)),
    (RMSNorm(), (5, 4)),
    (RMSNorm(axes=2, scale=False), (2, 3, 4)),
    (GroupNorm(2), (5, 4)),
    (GroupNorm(2), (2, 4, 3)),
    (GroupNorm(1, scale=False), (2, 4, 3, 2)),
    (GroupNorm(4), (2, 4, 3)),
    (InstanceNorm1d(), (2, 4, 3)),
    (InstanceNorm1d(scale=True, shift=True), (2, 4, 3)),
]


def _parameters(layer, shape, dtype="float64"):
    return {
        path: RNG.normal(1, 0.5, value.shape).astype(dtype)
        for path, value in initialise(layer, shape[1:]).items()
    }


def _by_hand(layer, x, p):
    if isinstance(layer, (LayerNorm, RMSNorm)):
        rows = x.reshape(*x.shape[: x.ndim - layer.axes], -1)
        layout = x.shape[-layer.axes :]
    else:
        groups = getattr(layer, "groups", x.shape[1])
        rows = x.reshape(x.shape[0], groups, -1)
        layout = (x.shape[1], *(1,) * (x.ndim - 2))
    centre = 0 if isinstance(layer, RMSNorm) else rows.mean(-1, keepdims=True)
    spread = ((rows - centre) ** 2).mean(-1, keepdims=True)
    y = ((rows - centre) / np.sqrt(spread + layer.eps)).reshape(x.shape)
    y = y * p["weight"].reshape(layout) if "weight" in p else y
    return y + p["bias"].reshape(layout) if "bias" in p else y


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_values_are_those_of_the_formula(layer, shape, dtype):
    x = RNG.normal(3, 2, shape).astype(dtype)
    parameters = _parameters(layer, shape, dtype)
    found = apply_network(layer, parameters, x)
    assert found.dtype == dtype
    wide = {path: value.astype("float64") for path, value in parameters.items()}
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    wanted = _by_hand(layer, x.astype("float64"), wide)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_derivatives_agree_with_difference_quotients(layer, shape):
    check_gradients(
        lambda p, x: apply_network(layer, p, x),
        _parameters(layer, shape),
        RNG.normal(size=shape),
        order=2,
        directions=2,
    )


def test_the_gradient_of_layer_norm_is_the_published_one():
    """dx = 1/(Dσ) (D ŷ - Σ ŷ - x̂ Σ ŷ·x̂), ŷ = γ dy."""
    x, dy, parameters = (
        RNG.normal(size=(6, 4)),
        RNG.normal(size=(6, 4)),
        {"weight": RNG.normal(size=4)},
    )
    found = tw.grad(lambda z: (apply_network(LayerNorm(shift=False), parameters, z) * dy).sum())(x)
    deviation = np.sqrt(x.var(1, keepdims=True) + 1e-5)
    normal, slope = (x - x.mean(1, keepdims=True)) / deviation, dy * parameters["weight"]
    sums = slope.sum(1, keepdims=True) + normal * (slope * normal).sum(1, keepdims=True)
    np.testing.assert_allclose(found.numpy(), (4 * slope - sums) / (4 * deviation), rtol=1e-9)


def test_one_group_is_layer_norm_and_a_group_for_each_channel_is_instance_norm():
    x = RNG.normal(3, 2, (2, 4, 3))
    plain = {"scale": False, "shift": False}
    for first, second in (
        (GroupNorm(1, **plain), LayerNorm(axes=2, **plain)),
        (GroupNorm(4, **plain), InstanceNorm1d()),
    ):
        one, two = (apply_network(layer, {}, x).numpy() for layer in (first, second))
        np.testing.assert_allclose(one, two, rtol=1e-12)


def test_rows_do_not_influence_each_other():
    for layer, shape in LAYERS:
        x, parameters = RNG.normal(size=shape), _parameters(layer, shape)
        alone = apply_network(layer, parameters, x[:1]).numpy()
        together = apply_network(layer, parameters, x).numpy()[:1]
        np.testing.assert_allclose(alone, together, rtol=1e-13)


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_scale_starts_at_one_and_shift_at_zero(layer, shape):
    start = initialise(layer, shape[1:])
    assert set(start) == {
        name
        for name, is_there in (("weight", layer.scale), ("bias", getattr(layer, "shift", False)))
        if is_there
    }
    assert all((value == (path == "weight")).all() for path, value in start.items())


@pytest.mark.parametrize("layer", [LayerNorm(), RMSNorm(), GroupNorm(3)])
def test_both_backends_train_it(layer):
    x = RNG.normal(3, 2, (40, 4))
    y = (x[:, 0] > x[:, 1]).astype(int)
    net = tw.Sequential(tw.Linear(6), layer, tw.Tanh(), tw.Linear(2))
    options = {"batch_size": 16, "epochs": 4, "progress": False, "dtype": "float64"}
    one, two = (
        tw.fit(net, x, y, backend=backend, **options) for backend in ("interpreter", "native")
    )
    for path, value in one.model.parameters.items():
        np.testing.assert_allclose(two.model.parameters[path], value, rtol=1e-7, atol=1e-9)
    assert one.history["train_loss"][-1] < one.history["train_loss"][0]


# ------------------------------------------------------------------ refusals, JSON


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            GroupNorm(3),
            (2, 4),
            r"GroupNorm: 3 groups do not divide the 4 channels of float64\[2,4\]",
        ),
        (GroupNorm(3), (2,), r"GroupNorm takes inputs \(N, C\) or \(N, C, …\), got float64\[2\]"),
        (LayerNorm(), (3,), r"LayerNorm\(axes=1\) takes inputs \(N, …, features\), got float64\[3"),
        (RMSNorm(axes=2), (3, 2), r"RMSNorm\(axes=2\) takes inputs \(N, …, features, features\)"),
        (InstanceNorm1d(), (3, 2), r"InstanceNorm1d takes inputs \(N, C, L\) or \(N, C, …\), got"),
        (InstanceNorm1d(), (3, 2, 1), "InstanceNorm1d needs more than one value in each channel"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(layer, shape, message):
    with pytest.raises(ShapeError) as caught:
        apply_network(layer, {}, np.ones(shape))
    assert caught.match(message)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LayerNorm(eps=-1.0), r"LayerNorm.eps = -1.0 is outside \(0, ∞\)"),
        (lambda: LayerNorm(axes=0), r"LayerNorm.axes = 0 is outside \[1, 16\]"),
        (lambda: GroupNorm(0), r"GroupNorm.groups = 0 is outside \[1, "),
        (lambda: RMSNorm(eps=0), r"RMSNorm.eps = 0 is outside \(0, ∞\)"),
    ],
)
def test_settings_outside_their_range_are_refused(build, message):
    with pytest.raises(SettingError, match=message):
        build()


@pytest.mark.parametrize(("layer", "_shape"), LAYERS)
def test_description_survives_json(layer, _shape):
    assert from_plain("layer", to_plain(layer)) == layer


# ------------------------------------------------------------------ PyTorch


def _judge(torch, layer, shape):
    if isinstance(layer, LayerNorm):
        return torch.nn.LayerNorm(shape[-layer.axes :], layer.eps, bias=layer.shift)
    if isinstance(layer, RMSNorm):
        return torch.nn.RMSNorm(shape[-layer.axes :], layer.eps, elementwise_affine=layer.scale)
    if isinstance(layer, GroupNorm):
        return torch.nn.GroupNorm(layer.groups, shape[1], affine=layer.scale)
    return torch.nn.InstanceNorm1d(shape[1], affine=layer.scale)


@pytest.mark.parametrize(
    ("layer", "shape"), [pair for pair in LAYERS if pair[0] != GroupNorm(1, scale=False)]
)
def test_pytorch_agrees(layer, shape):
    torch = pytest.importorskip("torch")
    judge = _judge(torch, layer, shape).double()
    parameters, x, dy = _parameters(layer, shape), RNG.normal(3, 2, shape), RNG.normal(size=shape)
    judge.load_state_dict({path: torch.tensor(value) for path, value in parameters.items()})
    given = torch.tensor(x, requires_grad=True)
    wanted = judge(given)
    (wanted * torch.tensor(dy)).sum().backward()
    found = apply_network(layer, parameters, x).numpy()
    np.testing.assert_allclose(found, wanted.detach().numpy(), atol=1e-12)

    def total(p, z):
        return (apply_network(layer, p, z) * dy).sum()

    slopes = tw.grad(total, argnums=(0, 1))(parameters, x)
    np.testing.assert_allclose(slopes[1].numpy(), given.grad.numpy(), atol=1e-12)
    for path, parameter in judge.named_parameters():
        np.testing.assert_allclose(slopes[0][path].numpy(), parameter.grad, atol=1e-11)
