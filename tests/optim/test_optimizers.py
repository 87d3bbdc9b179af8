"""Update rules against float64 formulas over many steps, and against PyTorch where installed."""

import numpy as np
import pytest

import thalweg.optim.schedules  # noqa: F401 - registers the schedules
from thalweg.descriptions import constraints, from_plain, members, to_plain
from thalweg.errors import SettingError
from thalweg.graph import Tensor, as_tensor
from thalweg.optim.optimizers import SGD, Adam, Moment, Momentum, Nesterov, as_optimizer

STEPS = 50
RNG = np.random.default_rng(3)
START = RNG.normal(size=(4, 3))
GRADIENTS = RNG.normal(size=(STEPS, 4, 3))


def run(optimizer, dtype="float64"):
    parameters = {"w": Tensor(START.astype(dtype))}
    state = {slot: {"w": as_tensor(np.zeros_like(START, dtype))} for slot in optimizer.slots}
    path = []
    for step, gradient in enumerate(GRADIENTS):
        now = {"w": Tensor(gradient.astype(dtype))}
        parameters, state = optimizer.update(now, state, parameters, Moment(step, STEPS))
        path.append(parameters["w"].numpy())
    return np.array(path)


def sgd(rate):
    return START - rate * np.cumsum(GRADIENTS, axis=0)


def momentum(rate, rho):
    theta, v, path = START, np.zeros_like(START), []
    for g in GRADIENTS:
        v = rho * v + g
        theta = theta - rate * v
        path.append(theta)
    return np.array(path)


def nesterov(rate, rho):
    theta, v, path = START, np.zeros_like(START), []
    for g in GRADIENTS:
        v = rho * v + g
        theta = theta - rate * (g + rho * v)
        path.append(theta)
    return np.array(path)


def adam(rate, b1, b2, eps):
    theta, m, v, path = START, np.zeros_like(START), np.zeros_like(START), []
    for t, g in enumerate(GRADIENTS, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        theta = theta - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        path.append(theta)
    return np.array(path)


CASES = [
    (SGD(0.1), sgd(0.1)),
    (Momentum(0.1, momentum=0.8), momentum(0.1, 0.8)),
    (Nesterov(0.1, momentum=0.8), nesterov(0.1, 0.8)),
    (Adam(0.05, 0.8, 0.99, 1e-4), adam(0.05, 0.8, 0.99, 1e-4)),
]


@pytest.mark.parametrize(("optimizer", "expected"), CASES, ids=lambda v: type(v).__name__)
def test_every_rule_follows_its_formula(optimizer, expected):
    np.testing.assert_allclose(run(optimizer), expected, rtol=1e-12, atol=1e-12)
    single = run(optimizer, "float32")
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=2e-4, atol=2e-5)


def test_every_registered_optimizer_has_a_case():
    assert {type(optimizer) for optimizer, _ in CASES} == set(members("optimizer").values())


@pytest.mark.parametrize(("optimizer", "expected"), CASES, ids=lambda v: type(v).__name__)
def test_every_rule_equals_pytorch(optimizer, expected):
    torch = pytest.importorskip("torch")
    theta = torch.nn.Parameter(torch.tensor(START))
    make = {
        "SGD": lambda: torch.optim.SGD([theta], 0.1),
        "Momentum": lambda: torch.optim.SGD([theta], 0.1, momentum=0.8),
        "Nesterov": lambda: torch.optim.SGD([theta], 0.1, momentum=0.8, nesterov=True),
        "Adam": lambda: torch.optim.Adam([theta], 0.05, betas=(0.8, 0.99), eps=1e-4),
    }
    judge = make[type(optimizer).__name__]()
    for gradient in GRADIENTS:
        theta.grad = torch.tensor(gradient)
        judge.step()
    np.testing.assert_allclose(run(optimizer)[-1], theta.detach().numpy(), rtol=1e-10)


def test_textbook_momentum_equals_the_default_for_a_constant_rate():
    np.testing.assert_allclose(
        run(Momentum(0.1, momentum=0.8, rate_inside=True)),
        run(Momentum(0.1, momentum=0.8)),
        rtol=1e-12,
        atol=1e-13,
    )


@pytest.mark.parametrize("name", sorted(members("optimizer")))
def test_descriptions_survive_json_and_refuse_values_out_of_range(name):
    cls = members("optimizer")[name]
    assert from_plain("optimizer", to_plain(cls())) == cls()
    with pytest.raises(SettingError, match=r"learning_rate = -1 is outside \[0, ∞\)"):
        cls(learning_rate=-1)
    for field, constraint in constraints(cls).items():
        if constraint.role == "setting" and constraint.high == 1:
            with pytest.raises(SettingError, match=r"outside \[0, 1\)"):
                cls(**{field: 1.0})


def test_names_stand_for_optimizers_and_near_names_are_offered():
    assert as_optimizer("adam") == Adam()
    with pytest.raises(SettingError, match="did you mean 'adam'"):
        as_optimizer("adem")
    with pytest.raises(SettingError, match="must be a name or an optimiser, got 3"):
        as_optimizer(3)
