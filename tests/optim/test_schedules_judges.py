"""Schedules beside those of PyTorch and Optax, over every step of a run."""

import numpy as np
import pytest

from thalweg.optim.schedules import (
    Cosine,
    CosineRestarts,
    ExponentialDecay,
    Geometric,
    LinearDecay,
    OneCycle,
    PiecewiseConstant,
    PolynomialDecay,
    Schedule,
    StepDecay,
    Triangular,
    WarmUp,
)

STEPS = 120


def torch_rates(build, steps=STEPS, initial=0.3):
    """The learning rate of each update under a scheduler of PyTorch."""
    torch = pytest.importorskip("torch")
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=initial, momentum=0.9)
    scheduler = build(torch.optim.lr_scheduler, optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def cyclic(**options):
    return lambda lr, o: lr.CyclicLR(o, 0.1, 0.6, step_size_up=7, cycle_momentum=False, **options)


def described(value):
    """The id of a test: a schedule's text; functions have none that stays the same."""
    return "" if callable(value) and not isinstance(value, Schedule) else str(value)


TORCH = [
    (
        CosineRestarts(0.3, 10, final=0.01, per="update"),
        lambda lr, o: lr.CosineAnnealingWarmRestarts(o, T_0=10, eta_min=0.01),
    ),
    (
        CosineRestarts(0.3, 7, 2, per="update"),
        lambda lr, o: lr.CosineAnnealingWarmRestarts(o, T_0=7, T_mult=2),
    ),
    (OneCycle(0.5, length=STEPS), lambda lr, o: lr.OneCycleLR(o, 0.5, total_steps=STEPS)),
    (
        OneCycle(0.5, rise=0.25, divide=10, final_divide=100, curve="linear"),
        lambda lr, o: lr.OneCycleLR(
            o,
            0.5,
            total_steps=STEPS,
            pct_start=0.25,
            anneal_strategy="linear",
            div_factor=10,
            final_div_factor=100,
        ),
    ),
    (
        OneCycle(0.5, three_phases=True),
        lambda lr, o: lr.OneCycleLR(o, 0.5, total_steps=STEPS, three_phase=True),
    ),
    (Triangular(0.6, 7, 0.1), cyclic(mode="triangular")),
    (Triangular(0.6, 7, 0.1, shrink=0.5), cyclic(mode="triangular2")),
    (Triangular(0.6, 7, 0.1, fade=0.98), cyclic(mode="exp_range", gamma=0.98)),
    (
        PolynomialDecay(0.3, length=90, exponent=1.7),
        lambda lr, o: lr.PolynomialLR(o, total_iters=90, power=1.7),
    ),
    (ExponentialDecay(0.3, 0.96, per="update"), lambda lr, o: lr.ExponentialLR(o, 0.96)),
    (
        PiecewiseConstant(0.3, (10, 50, 80), (0.2, 0.2, 0.2), per="update"),
        lambda lr, o: lr.MultiStepLR(o, [10, 50, 80], gamma=0.2),
    ),
    (StepDecay(0.3, 13, 0.5, per="update"), lambda lr, o: lr.StepLR(o, 13, 0.5)),
    (
        LinearDecay(0.3, length=90, final=0.03),
        lambda lr, o: lr.LinearLR(o, 1.0, 0.1, total_iters=90),
    ),
    (
        WarmUp(LinearDecay(0.3, length=50), length=10),
        lambda lr, o: lr.SequentialLR(
            o,
            [
                lr.LinearLR(o, 0.1, 1.0, total_iters=9),
                lr.LinearLR(o, 1.0, 0.0, total_iters=50),
            ],
            [10],
        ),
    ),
]


@pytest.mark.parametrize(("schedule", "build"), TORCH, ids=described)
@pytest.mark.filterwarnings("ignore")
def test_pytorch_gives_the_same_rates(schedule, build):
    np.testing.assert_allclose(schedule.rates(STEPS), torch_rates(build), rtol=1e-9, atol=1e-12)


def optax_rates(build):
    optax = pytest.importorskip("optax")
    jax = pytest.importorskip("jax")
    rule = build(optax)
    with jax.enable_x64(True):
        return [float(rule(step)) for step in range(STEPS)]


OPTAX = [
    (
        Cosine(0.3, length=90, final=0.03),
        lambda optax: optax.cosine_decay_schedule(0.3, 90, alpha=0.1),
    ),
    (
        PolynomialDecay(0.3, length=90, exponent=3, final=0.01),
        lambda optax: optax.polynomial_schedule(0.3, 0.01, 3, 90),
    ),
    (
        PiecewiseConstant(0.3, (10, 50), (0.5, 0.2), per="update"),
        lambda optax: optax.piecewise_constant_schedule(0.3, {10: 0.5, 50: 0.2}),
    ),
    (
        ExponentialDecay(0.3, 0.96, per="update"),
        lambda optax: optax.exponential_decay(0.3, 1, 0.96),
    ),
    (
        Geometric(0.3, final=0.003, length=90),
        lambda optax: optax.exponential_decay(0.3, 90, 0.01, end_value=0.003),
    ),
]


@pytest.mark.parametrize(("schedule", "build"), OPTAX, ids=described)
def test_optax_gives_the_same_rates(schedule, build):
    np.testing.assert_allclose(schedule.rates(STEPS), optax_rates(build), rtol=1e-9)
