"""Update rules beside those of PyTorch, Optax and Keras, over every step."""

import numpy as np
import pytest
from tests.optim.rules import GRADIENTS, START, STEPS, moved

from thalweg.graph import Tensor
from thalweg.optim.modern import orthogonalised
from thalweg.optim.optimizers import (
    SGD,
    AdaDelta,
    AdaGrad,
    Adam,
    AdaMax,
    AdamW,
    DecoupledDecay,
    Lion,
    Momentum,
    Muon,
    Nadam,
    Nesterov,
    RAdam,
    RMSprop,
    RMSpropMomentum,
)
from thalweg.optim.schedules import ExponentialDecay, InverseRootDecay

DECAYING = ExponentialDecay(0.1, 0.98, per="update")


SINGLE = {"rtol": 1e-6, "atol": 1e-6}
"""For judges that compute some number of the step in single precision."""


def compare(optimizer, judged, rtol=1e-9, atol=1e-11):
    for ours, theirs in zip(moved(optimizer), judged, strict=True):
        for path, value in ours.items():
            np.testing.assert_allclose(value, theirs[path], rtol=rtol, atol=atol)


# ------------------------------------------------------------------ PyTorch


def by_torch(build, rate=None):
    torch = pytest.importorskip("torch")
    values = {path: torch.nn.Parameter(torch.tensor(value)) for path, value in START.items()}
    judge = build(torch.optim)(list(values.values()))
    found = []
    for t, gradients in enumerate(GRADIENTS, 1):
        for path, value in values.items():
            value.grad = torch.tensor(gradients[path])
        if rate is not None:
            judge.param_groups[0]["lr"] = rate(t)
        judge.step()
        found.append({path: value.detach().numpy().copy() for path, value in values.items()})
    return found


def tolerance(optimizer):
    """PyTorch keeps the product of Nadam's momenta in single precision."""
    return SINGLE if isinstance(getattr(optimizer, "then", optimizer), Nadam) else {}


def decaying(t):
    return 0.1 * 0.98 ** (t - 1)


def torch_rule(name, *args, **options):
    return lambda optim: lambda values: getattr(optim, name)(values, *args, **options)


MEMORIES = {"betas": (0.8, 0.99), "eps": 1e-4}
TORCH = {
    "sgd": (SGD(0.1), torch_rule("SGD", 0.1)),
    "momentum": (Momentum(0.1, 0.8), torch_rule("SGD", 0.1, momentum=0.8)),
    "nesterov": (Nesterov(0.1, 0.8), torch_rule("SGD", 0.1, momentum=0.8, nesterov=True)),
    "adagrad": (AdaGrad(0.1, 1e-4), torch_rule("Adagrad", 0.1, eps=1e-4)),
    "rmsprop": (RMSprop(0.01, 0.8, 1e-4), torch_rule("RMSprop", 0.01, alpha=0.8, eps=1e-4)),
    "rmsprop centered": (
        RMSprop(0.01, 0.8, 1e-4, centered=True),
        torch_rule("RMSprop", 0.01, alpha=0.8, eps=1e-4, centered=True),
    ),
    "rmsprop momentum": (
        RMSpropMomentum(0.01, 0.8, 1e-4, momentum=0.7),
        torch_rule("RMSprop", 0.01, alpha=0.8, eps=1e-4, momentum=0.7),
    ),
    "rmsprop centered momentum": (
        RMSpropMomentum(0.01, 0.8, 1e-4, centered=True, momentum=0.7),
        torch_rule("RMSprop", 0.01, alpha=0.8, eps=1e-4, momentum=0.7, centered=True),
    ),
    "adadelta": (AdaDelta(0.7, 0.8, 1e-4), torch_rule("Adadelta", 0.7, rho=0.8, eps=1e-4)),
    "adam": (Adam(0.05, 0.8, 0.99, 1e-4), torch_rule("Adam", 0.05, **MEMORIES)),
    "adam amsgrad": (
        Adam(0.05, 0.8, 0.99, 1e-4, amsgrad=True),
        torch_rule("Adam", 0.05, amsgrad=True, **MEMORIES),
    ),
    "adamw": (
        AdamW(0.05, 0.8, 0.99, 1e-4, weight_decay=0.3),
        torch_rule("AdamW", 0.05, weight_decay=0.3, **MEMORIES),
    ),
    "adamw by decoupled decay": (
        DecoupledDecay(Adam(0.05, 0.8, 0.99, 1e-4), 0.3, biases=True),
        torch_rule("AdamW", 0.05, weight_decay=0.3, **MEMORIES),
    ),
    "nadam": (
        Nadam(0.05, 0.8, 0.99, 1e-4, momentum_decay=0.1),
        torch_rule("NAdam", 0.05, momentum_decay=0.1, **MEMORIES),
    ),
    "nadam defaults": (Nadam(), torch_rule("NAdam")),
    "nadam decoupled": (
        DecoupledDecay(Nadam(0.05), 0.3, biases=True),
        torch_rule("NAdam", 0.05, weight_decay=0.3, decoupled_weight_decay=True),
    ),
    "radam": (RAdam(0.05, 0.8, 0.99, 1e-4), torch_rule("RAdam", 0.05, **MEMORIES)),
    "radam defaults": (RAdam(), torch_rule("RAdam")),
    "adamax": (AdaMax(0.05, 0.8, 0.99, 1e-4), torch_rule("Adamax", 0.05, **MEMORIES)),
    "adamax defaults": (AdaMax(), torch_rule("Adamax")),
    "adamw defaults": (AdamW(), torch_rule("AdamW")),
    "adadelta defaults": (AdaDelta(), torch_rule("Adadelta")),
    "adagrad defaults": (AdaGrad(), torch_rule("Adagrad")),
}


@pytest.mark.parametrize(("optimizer", "build"), TORCH.values(), ids=TORCH)
def test_every_rule_equals_pytorch(optimizer, build):
    compare(optimizer, by_torch(build), **tolerance(optimizer))


CHANGING = {
    "momentum": (Momentum(DECAYING, 0.8), torch_rule("SGD", 0.1, momentum=0.8)),
    "nesterov": (Nesterov(DECAYING, 0.8), torch_rule("SGD", 0.1, momentum=0.8, nesterov=True)),
    "adamw": (AdamW(DECAYING, weight_decay=0.3), torch_rule("AdamW", 0.1, weight_decay=0.3)),
    "nadam": (Nadam(DECAYING), torch_rule("NAdam", 0.1)),
    "rmsprop": (
        RMSpropMomentum(DECAYING, momentum=0.7),
        torch_rule("RMSprop", 0.1, alpha=0.9, momentum=0.7),
    ),
}


@pytest.mark.parametrize(("optimizer", "build"), CHANGING.values(), ids=CHANGING)
def test_changing_rates_equal_pytorch(optimizer, build):
    compare(optimizer, by_torch(build, decaying), **tolerance(optimizer))


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize(("scale", "named"), [("shape", "original"), ("adam", "match_rms_adamw")])
def test_muon_is_near_pytorch_whose_iteration_has_eight_bits(nesterov, scale, named):
    torch = pytest.importorskip("torch")
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this PyTorch has no Muon")
    weight = torch.nn.Parameter(torch.tensor(START["w"].T.copy()))  # (outputs, inputs) there
    judge = torch.optim.Muon([weight], 0.05, 0.2, 0.9, nesterov, adjust_lr_fn=named)
    only = [{"w": gradients["w"]} for gradients in GRADIENTS[:20]]
    rule = Muon(0.05, 0.9, 0.2, nesterov, scale=scale)
    ours = moved(rule, gradients=only, start={"w": START["w"]})
    for gradients, mine in zip(only, ours, strict=True):
        weight.grad = torch.tensor(gradients["w"].T.copy())
        judge.step()
        np.testing.assert_allclose(mine["w"], weight.detach().numpy().T, atol=0.03)


# ------------------------------------------------------------------ Optax


def by_optax(build, start=START):
    optax = pytest.importorskip("optax")
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        values = {path: jax.numpy.asarray(value) for path, value in start.items()}
        judge = build(optax)
        state, found = judge.init(values), []
        step = jax.jit(judge.update)
        for gradients in GRADIENTS:
            given = {path: jax.numpy.asarray(gradients[path]) for path in start}
            updates, state = step(given, state, values)
            values = optax.apply_updates(values, updates)
            found.append({path: np.asarray(value) for path, value in values.items()})
    return found


OPTAX = {
    "sgd": (SGD(0.1), lambda o: o.sgd(0.1)),
    "momentum": (Momentum(0.1, 0.8), lambda o: o.sgd(0.1, 0.8)),
    "nesterov": (Nesterov(0.1, 0.8), lambda o: o.sgd(0.1, 0.8, nesterov=True)),
    "adagrad": (
        AdaGrad(0.1, 0.1 + 1e-3, epsilon_inside=True),
        lambda o: o.adagrad(0.1, 0.1, 1e-3),
    ),
    "rmsprop": (
        RMSprop(0.01, 0.8, 1e-3, epsilon_inside=True),
        lambda o: o.rmsprop(0.01, 0.8, 1e-3),
    ),
    "rmsprop, all": (
        RMSpropMomentum(
            DECAYING, 0.8, 1e-3, centered=True, epsilon_inside=True, momentum=0.7, rate_inside=True
        ),
        lambda o: o.rmsprop(
            o.exponential_decay(0.1, 1, 0.98), 0.8, 1e-3, centered=True, momentum=0.7
        ),
    ),
    "adadelta": (AdaDelta(0.7, 0.8, 1e-4), lambda o: o.adadelta(0.7, 0.8, 1e-4)),
    "adam": (Adam(0.05, 0.8, 0.99, 1e-4), lambda o: o.adam(0.05, 0.8, 0.99, 1e-4)),
    "adam, inside": (
        Adam(0.05, 0.8, 0.99, 1e-3, epsilon_inside=True),
        lambda o: o.adam(0.05, 0.8, 0.99, eps=0.0, eps_root=1e-3),
    ),
    "adamw": (
        AdamW(DECAYING, weight_decay=0.3),
        lambda o: o.adamw(o.exponential_decay(0.1, 1, 0.98), weight_decay=0.3),
    ),
    "adamw, weights only": (
        AdamW(0.05, weight_decay=0.3, biases=False),
        lambda o: o.adamw(0.05, weight_decay=0.3, mask={"w": True, "b": False}),
    ),
    "nadam": (
        Nadam(0.05, 0.8, 0.99, 1e-4, momentum_decay=1e6),
        lambda o: o.nadam(0.05, 0.8, 0.99, 1e-4),
    ),
    "adamax": (AdaMax(0.05, 0.8, 0.99, 1e-4), lambda o: o.adamax(0.05, 0.8, 0.99, 1e-4)),
    "radam, no epsilon": (
        RAdam(0.05, 0.8, 0.99, 0.0),
        lambda o: o.radam(0.05, 0.8, 0.99, 0.0),
    ),
    "lion": (
        Lion(0.01, 0.8, 0.95, weight_decay=0.2),
        lambda o: o.lion(0.01, 0.8, 0.95, weight_decay=0.2),
    ),
}


@pytest.mark.parametrize(("optimizer", "build"), OPTAX.values(), ids=OPTAX)
def test_every_rule_equals_optax(optimizer, build):
    scheduled = optimizer.chosen_rate is DECAYING  # Optax computes schedules in single precision
    compare(optimizer, by_optax(build), **(SINGLE if scheduled else {}))


@pytest.mark.parametrize("scale", [None, 0.2])
def test_muon_without_nesterov_equals_optax(scale):
    rule = Muon(
        0.05, 0.9, 0.2, nesterov=False, scale="shape" if scale is None else "adam",
        others=AdamW(0.05, weight_decay=0.0),
    )  # fmt: skip

    def build(optax):
        return optax.contrib.muon(
            0.05, beta=0.9, eps=1e-12, weight_decay=0.2, nesterov=False, consistent_rms=scale,
            adam_weight_decay=0.0,
        )  # fmt: skip

    pytest.importorskip("optax.contrib")
    judged = by_optax(build)
    for ours, theirs in zip(moved(rule), judged, strict=True):
        np.testing.assert_allclose(ours["w"], theirs["w"], rtol=1e-8, atol=1e-10)


def test_orthogonalised_matrices_equal_those_of_optax():
    contrib = pytest.importorskip("optax.contrib._muon")
    jax = pytest.importorskip("jax")
    matrix = GRADIENTS[0]["w"]
    with jax.enable_x64(True):
        theirs = contrib.orthogonalize_via_newton_schulz(
            jax.numpy.asarray(matrix), jax.numpy.asarray([3.4445, -4.7750, 2.0315]), 5, eps=0.0
        )
    ours = orthogonalised(Tensor(matrix), 5).numpy()
    np.testing.assert_allclose(ours, np.asarray(theirs), rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------ Keras


KERAS = {
    "momentum": (Momentum(0.1, 0.8, rate_inside=True), lambda o: o.SGD(0.1, 0.8)),
    "nesterov": (
        Nesterov(0.1, 0.8, rate_inside=True),
        lambda o: o.SGD(0.1, 0.8, nesterov=True),
    ),
    "adagrad": (
        AdaGrad(0.1, 0.1 + 1e-3, epsilon_inside=True),
        lambda o: o.Adagrad(0.1, 0.1, epsilon=1e-3),
    ),
    "rmsprop": (
        RMSpropMomentum(0.01, 0.8, 1e-3, epsilon_inside=True, momentum=0.7, rate_inside=True),
        lambda o: o.RMSprop(0.01, 0.8, 0.7, 1e-3),
    ),
    "adadelta": (AdaDelta(0.7, 0.8, 1e-4), lambda o: o.Adadelta(0.7, 0.8, 1e-4)),
    "adam": (
        Adam(0.05, 0.8, 0.99, 1e-2, epsilon_corrected=True),
        lambda o: o.Adam(0.05, 0.8, 0.99, 1e-2),
    ),
    "adam, amsgrad": (
        Adam(0.05, 0.8, 0.9, 1e-2, amsgrad=True, epsilon_corrected=True),
        lambda o: o.Adam(0.05, 0.8, 0.9, 1e-2, amsgrad=True),
    ),
    "nadam": (
        Nadam(0.05, 0.8, 0.99, 1e-3, momentum_decay=1.0),
        lambda o: o.Nadam(0.05, 0.8, 0.99, 1e-3),
    ),
    "lion": (Lion(0.01, 0.8, 0.95), lambda o: o.Lion(0.01, 0.8, 0.95)),
}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(("optimizer", "build"), KERAS.values(), ids=KERAS)
def test_every_rule_equals_keras_in_single_precision(optimizer, build):
    keras = pytest.importorskip("keras")
    values = {path: keras.Variable(value, dtype="float32") for path, value in START.items()}
    judge = build(keras.optimizers)
    judge.build(list(values.values()))
    judged = []
    for gradients in GRADIENTS:
        given = [keras.ops.convert_to_tensor(gradients[path], "float32") for path in values]
        judge.apply(given, list(values.values()))
        judged.append(
            {path: np.asarray(keras.ops.convert_to_numpy(v)) for path, v in values.items()}
        )
    assert len(judged) == STEPS
    compare(optimizer, judged, rtol=2e-3, atol=2e-4)


def test_a_rate_like_one_over_root_makes_adagrad_of_pytorch_the_mean_form():
    rule = AdaGrad(InverseRootDecay(0.1, 1.0), 0.0, form="mean")
    compare(rule, by_torch(torch_rule("Adagrad", 0.1, eps=0.0)))
