"""Weight and spectral normalisation: formulas in float64, PyTorch, training."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.autodiff.numerical import check_gradients
from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import GraphError, SettingError
from thalweg.nn.initialisers import Constant, He, Normal, Xavier
from thalweg.nn.layer import Layer, apply_network, blueprint, evaluate, initial_states, initialise
from thalweg.nn.reparametrisation import SpectralNorm, WeightNorm

RNG = np.random.default_rng(0)


class _Kernels(Layer):
    """A layer whose weight (units, 2, 2) has its units first, as a convolution's kernels."""

    unit_axis = 0

    def forward(self, x, scope):
        kernels = scope.parameter("weight", (3, 2, 2), Normal(1.0), (4, 3))
        return x @ kernels.reshape(3, 4).transpose()


# ------------------------------------------------------------------ weight normalisation


def test_weights_are_length_times_direction():
    x, v, g, b = (RNG.normal(size=shape) for shape in ((5, 3), (3, 4), 4, 4))
    parameters = {"weight": v, "weight_g": g, "bias": b}
    found = apply_network(WeightNorm(tw.Linear(4)), parameters, x).numpy()
    np.testing.assert_allclose(found, x @ (g * v / np.linalg.norm(v, axis=0)) + b, rtol=1e-12)


def test_units_may_lie_along_the_first_axis():
    x, v, g = (RNG.normal(size=shape) for shape in ((5, 4), (3, 2, 2), 3))
    found = apply_network(WeightNorm(_Kernels()), {"weight": v, "weight_g": g}, x).numpy()
    rows = v.reshape(3, 4)
    wanted = x @ (g[:, None] * rows / np.linalg.norm(rows, axis=1, keepdims=True)).T
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_directions_get_gradients_across_them():
    """∂L/∂g = ∇w·v/‖v‖ and ∂L/∂v = g/‖v‖ (∇w - (∇w·v)v/‖v‖²), as published."""
    x, dy = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 4))
    parameters = {"weight": RNG.normal(size=(3, 4)), "weight_g": RNG.normal(size=4)}
    layer = WeightNorm(tw.Linear(4, bias=False))
    slopes = tw.grad(lambda p: (apply_network(layer, p, x) * dy).sum())(parameters)
    v, g, dw = parameters["weight"], parameters["weight_g"], x.T @ dy
    length = np.linalg.norm(v, axis=0)
    along = (dw * v).sum(0)
    np.testing.assert_allclose(slopes["weight_g"].numpy(), along / length, rtol=1e-11)
    wanted = g / length * (dw - along * v / length**2)
    np.testing.assert_allclose(slopes["weight"].numpy(), wanted, rtol=1e-9, atol=1e-13)
    check_gradients(lambda p: apply_network(layer, p, x), parameters, order=2, directions=2)


@pytest.mark.parametrize("start", [Xavier(), He(), Normal(2.0), Constant(0.3)])
def test_it_starts_as_a_layer_without_it(start):
    layer = WeightNorm(tw.Linear(2000, weight=start))
    found = initialise(layer, 30)
    lengths = np.linalg.norm(found["weight"].astype("float64"), axis=0)
    np.testing.assert_allclose(found["weight_g"].mean(), lengths.mean(), rtol=0.01)
    np.testing.assert_allclose(found["weight_g"].std(), lengths.std(), rtol=0.1, atol=1e-5)


def test_the_activation_that_follows_chooses_the_start():
    plan = blueprint(tw.Sequential(WeightNorm(tw.Linear(4)), tw.ReLU()), 3)
    start = plan.parameters["0.weight"]
    assert start.initialiser.choose(start.fans) == He()


# ------------------------------------------------------------------ spectral normalisation


def _spectral(weight, u, rounds):
    for _ in range(rounds):
        v = weight @ u
        v /= np.linalg.norm(v)
        u = weight.T @ v
        u /= np.linalg.norm(u)
    return u, v


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_step_does_rounds_of_power_iteration(rounds):
    x, w, u = (RNG.normal(size=shape) for shape in ((5, 3), (3, 4), 4))
    u /= np.linalg.norm(u)
    layer = SpectralNorm(tw.Linear(4, bias=False), iterations=rounds)
    found = evaluate(layer, {"weight": w}, x, states={"weight_u": u}, training=True)
    u, v = _spectral(w, u, rounds)
    np.testing.assert_allclose(found.states["weight_u"].numpy(), u, rtol=1e-12)
    np.testing.assert_allclose(found.output.numpy(), x @ w / (v @ w @ u), rtol=1e-11)


@pytest.mark.parametrize("inner", [tw.Linear(4, bias=False), _Kernels()])
def test_the_largest_singular_value_becomes_one(inner):
    shape = (3, 4) if isinstance(inner, tw.Linear) else (3, 2, 2)
    w = RNG.normal(size=shape)
    layer = SpectralNorm(inner, iterations=300)
    inputs = 3 if isinstance(inner, tw.Linear) else 4
    states = initial_states(blueprint(layer, inputs), "float64")
    assert np.ptp(states["weight_u"]) > 0
    states = evaluate(layer, {"weight": w}, np.eye(inputs), states=states, training=True).states
    used = evaluate(layer, {"weight": w}, np.eye(inputs), states=states)
    assert np.linalg.norm(used.output.numpy(), 2) == pytest.approx(1, rel=1e-9)
    np.testing.assert_array_equal(used.states["weight_u"].numpy(), states["weight_u"].numpy())


def test_gradients_hold_the_singular_vectors_fixed():
    """∂/∂W of W/σ with σ = vᵀWu: (dy' - ⟨dy', W/σ⟩ vuᵀ)/σ, where dy' = xᵀdy."""
    x, dy, w, u = (RNG.normal(size=shape) for shape in ((5, 3), (5, 4), (3, 4), 4))
    u /= np.linalg.norm(u)
    layer = SpectralNorm(tw.Linear(4, bias=False))

    def total(p):
        found = evaluate(layer, p, x, states={"weight_u": u}, training=True)
        return (found.output * dy).sum()

    slope = tw.grad(total)({"weight": w})["weight"].numpy()
    u, v = _spectral(w, u, 1)
    sigma, inner = v @ w @ u, x.T @ dy
    wanted = (inner - (inner * w).sum() / sigma * np.outer(v, u)) / sigma
    np.testing.assert_allclose(slope, wanted, rtol=1e-10)


# ------------------------------------------------------------------ both


@pytest.mark.parametrize("kind", [WeightNorm, SpectralNorm])
def test_both_backends_train_it(kind):
    x = RNG.normal(size=(40, 4))
    y = (x[:, 0] > x[:, 1]).astype(int)
    net = tw.Sequential(kind(tw.Linear(6)), tw.Tanh(), kind(tw.Linear(2)))
    options = {"batch_size": 16, "epochs": 4, "progress": False, "dtype": "float64"}
    options["optimizer"] = tw.Adam(0.02)
    one, two = (
        tw.fit(net, x, y, backend=backend, **options) for backend in ("interpreter", "native")
    )
    for group in ("parameters", "states"):
        for path, value in getattr(one.model, group).items():
            found = getattr(two.model, group)[path]
            np.testing.assert_allclose(found, value, rtol=1e-7, atol=1e-9)
    assert one.history["train_loss"][-1] < one.history["train_loss"][0]


@pytest.mark.parametrize("kind", [WeightNorm, SpectralNorm])
def test_a_layer_without_the_parameter_is_refused(kind):
    with pytest.raises(GraphError, match="Norm: Tanh has no parameter 'weight' of its own; wrap"):
        initialise(kind(tw.Tanh()), 3)
    with pytest.raises(GraphError, match="Linear has no parameter 'kernel' of its own"):
        initialise(kind(tw.Linear(3), name="kernel"), 3)
    with pytest.raises(SettingError, match=r"Norm\.name must be a name, got 'a\.b'"):
        kind(tw.Linear(3), name="a.b")


@pytest.mark.parametrize(
    "layer", [WeightNorm(tw.Linear(3), name="weight"), SpectralNorm(tw.Linear(3), iterations=2)]
)
def test_description_survives_json(layer):
    assert from_plain("layer", to_plain(layer)) == layer


# ------------------------------------------------------------------ PyTorch


def test_pytorch_weight_norm_agrees():
    torch = pytest.importorskip("torch")
    judge = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 4).double())
    x, v, g, b = (RNG.normal(size=shape) for shape in ((5, 3), (3, 4), 4, 4))
    with torch.no_grad():
        judge.parametrizations.weight.original0.copy_(torch.tensor(g)[:, None])
        judge.parametrizations.weight.original1.copy_(torch.tensor(v.T))
        judge.bias.copy_(torch.tensor(b))
    wanted = judge(torch.tensor(x))
    (wanted**2).sum().backward()
    layer, parameters = WeightNorm(tw.Linear(4)), {"weight": v, "weight_g": g, "bias": b}
    np.testing.assert_allclose(
        apply_network(layer, parameters, x).numpy(), wanted.detach(), rtol=1e-10
    )
    slopes = tw.grad(lambda p: (apply_network(layer, p, x) ** 2).sum())(parameters)
    judged = judge.parametrizations.weight
    np.testing.assert_allclose(slopes["weight_g"].numpy(), judged.original0.grad[:, 0], rtol=1e-9)
    np.testing.assert_allclose(slopes["weight"].numpy(), judged.original1.grad.T, rtol=1e-8)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_pytorch_spectral_norm_agrees_over_several_steps():
    torch = pytest.importorskip("torch")
    plain = torch.nn.Linear(3, 4).double()
    w, b = (RNG.normal(size=shape) for shape in ((3, 4), 4))
    with torch.no_grad():
        plain.weight.copy_(torch.tensor(w.T))
        plain.bias.copy_(torch.tensor(b))
    judge = torch.nn.utils.spectral_norm(plain)  # begins a round with v, as the paper
    states = {"weight_u": judge.weight_u.numpy().copy()}
    layer, parameters = SpectralNorm(tw.Linear(4)), {"weight": w, "bias": b}
    for _ in range(3):
        x = RNG.normal(size=(5, 3))
        wanted = judge(torch.tensor(x))
        found = evaluate(layer, parameters, x, states=states, training=True)
        np.testing.assert_allclose(found.output.numpy(), wanted.detach(), rtol=1e-10)
        judge.zero_grad()
        (wanted**2).sum().backward()

        def total(p, x=x, states=states):
            return (evaluate(layer, p, x, states=states, training=True).output ** 2).sum()

        slope = tw.grad(total)(parameters)["weight"].numpy()
        np.testing.assert_allclose(slope, judge.weight_orig.grad.T, rtol=1e-8)
        states = found.states
        np.testing.assert_allclose(states["weight_u"].numpy(), judge.weight_u, rtol=1e-10)
    for _ in range(200):
        states = evaluate(layer, parameters, x, states=states, training=True).states
        judge(torch.tensor(x))
    used = evaluate(layer, parameters, x, states=states).output.numpy()
    np.testing.assert_allclose(used, judge.eval()(torch.tensor(x)).detach(), rtol=1e-9)
