"""Losses of numbers against their formulas, PyTorch and SciPy."""

import math

import numpy as np
import pytest
import scipy.stats

from thalweg.autodiff.transforms import grad
from thalweg.errors import DataError, SettingError, ShapeError
from thalweg.graph import Tensor, trace_flat
from thalweg.graph.types import TensorType, as_dtype
from thalweg.nn.losses import GaussianNLL, Huber, LogCosh, PoissonNLL, SquaredError

RNG = np.random.default_rng(1)
OUTPUTS = RNG.normal(0, 3, (20, 3))
NUMBERS = RNG.normal(0, 2, (20, 3))
COUNTS = RNG.poisson(4, (20, 3))
RESIDUALS = OUTPUTS - NUMBERS


# ------------------------------------------------------------------ robust errors


@pytest.mark.parametrize("delta", [0.1, 1.0, 2.5, 1e3])
def test_huber_is_squares_near_and_lines_far(delta):
    size = np.abs(RESIDUALS)
    wanted = np.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta)).mean(1)
    np.testing.assert_allclose(Huber(delta).values(OUTPUTS, NUMBERS).numpy(), wanted, rtol=1e-12)
    slope = grad(lambda z: Huber(delta).values(z, NUMBERS).sum())(OUTPUTS).numpy()
    np.testing.assert_allclose(slope, np.clip(RESIDUALS, -delta, delta) / 3, rtol=1e-12)


def test_huber_joins_without_a_kink():
    ends = np.nextafter(1.0, [0.0, 2.0])
    slopes = grad(lambda z: Huber(1.0).values(z, np.zeros(2)).sum())(ends).numpy()
    np.testing.assert_allclose(slopes, 1.0, rtol=1e-15)


def test_a_wide_huber_is_half_the_squared_error():
    wide = Huber(1e6).values(OUTPUTS, NUMBERS).numpy()
    np.testing.assert_allclose(wide, 0.5 * SquaredError().values(OUTPUTS, NUMBERS).numpy())


def test_log_cosh_keeps_its_digits_near_zero_and_far_away():
    errors = np.array([0.0, 1e-9, -1e-4, 0.5, -0.999, 1.001, 5.0, -30.0, 1e4])
    found = LogCosh().values(errors, np.zeros(9)).numpy()
    wanted = [0, 5e-19, 5e-9 - 1e-16 / 12, *np.log(np.cosh(errors[3:8])), 1e4 - math.log(2)]
    np.testing.assert_allclose(found, wanted, rtol=1e-14)
    slopes = grad(lambda z: LogCosh().values(z, np.zeros(9)).sum())(errors).numpy()
    np.testing.assert_allclose(slopes, np.tanh(errors), rtol=1e-14)
    short = LogCosh().values(np.float32([1e-4, 3.0]), np.zeros(2, np.float32)).numpy()
    np.testing.assert_allclose(short, [5e-9, math.log(math.cosh(3.0))], rtol=3e-7)


# ------------------------------------------------------------------ likelihoods


def _normal(outputs, targets, variance):
    return -scipy.stats.norm.logpdf(targets, outputs, np.sqrt(variance)).mean(1)


def test_gaussian_likelihood_is_that_of_the_normal_distribution():
    raw = RNG.normal(size=(20, 3))
    outputs = np.concatenate([OUTPUTS, raw], axis=1)
    for link, variance in (("exp", np.exp(raw)), ("softplus", np.log1p(np.exp(raw)))):
        loss = GaussianNLL(link, floor=1e-3, full=True)
        wanted = _normal(OUTPUTS, NUMBERS, variance + 1e-3)
        np.testing.assert_allclose(loss.values(outputs, NUMBERS).numpy(), wanted, rtol=1e-12)
        shorter = GaussianNLL(link, floor=1e-3).values(outputs, NUMBERS).numpy()
        np.testing.assert_allclose(shorter, wanted - 0.5 * math.log(2 * math.pi), rtol=1e-12)
        np.testing.assert_array_equal(loss.predict(outputs).numpy(), OUTPUTS)
        deviation = loss.deviation(outputs).numpy()
        np.testing.assert_allclose(deviation, np.sqrt(variance + 1e-3), rtol=1e-12)


def test_the_least_variance_bounds_the_loss_and_leaves_a_slope():
    loss = GaussianNLL(floor=1e-4)
    outputs = np.array([[0.0, -1e4], [0.1, -20.0], [0.0, 1e4]], np.float32)
    found = loss.values(outputs, np.zeros(3)).numpy()
    variance = 1e-4 + math.exp(-20)
    row = 0.5 * (math.log(variance) + 0.01 / variance)
    np.testing.assert_allclose(found, [0.5 * math.log(1e-4), row, 5e3], rtol=1e-3)
    slope = grad(lambda z: loss.values(z, np.zeros(3)).sum())(outputs).numpy()
    assert np.isfinite(slope).all()
    assert slope[1, 1] < 0, "a variance too small for the error grows"


def test_gaussian_likelihood_is_least_at_the_true_variance():
    errors = RNG.normal(0, 2.0, 1000)
    logs = np.linspace(0, 3, 61)
    losses = [
        float(GaussianNLL()(np.stack([errors, np.full(1000, s)], 1), np.zeros(1000))) for s in logs
    ]
    assert logs[np.argmin(losses)] == pytest.approx(math.log(np.mean(errors**2)), abs=0.05)


def test_targets_of_one_number_are_a_vector_or_a_column():
    outputs = np.stack([OUTPUTS[:, 0], OUTPUTS[:, 1]], axis=1)
    for targets in (NUMBERS[:, 0], NUMBERS[:, :1]):
        found = GaussianNLL(full=True).values(outputs, targets).numpy()
        wanted = _normal(outputs[:, :1], NUMBERS[:, :1], np.exp(outputs[:, 1:]) + 1e-6)
        np.testing.assert_allclose(found, wanted, rtol=1e-9)


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        (OUTPUTS, NUMBERS, r"takes outputs \(N, 2M\), .* got float64\[20,3\]; .* Linear\(2\)"),
        (OUTPUTS[:, 0], NUMBERS[:, 0], r"takes outputs \(N, 2M\)"),
        (OUTPUTS[:, :2], NUMBERS, r"hold means \(20, 1\), but the targets are float64\[20,3\]"),
    ],
)
def test_two_outputs_for_each_target(outputs, targets, message):
    with pytest.raises(ShapeError, match=message):
        GaussianNLL().values(outputs, targets)


def test_poisson_likelihood_is_that_of_the_poisson_distribution():
    rate = np.exp(OUTPUTS)
    found = PoissonNLL().values(OUTPUTS, COUNTS).numpy()
    exact = -scipy.stats.poisson.logpmf(COUNTS, rate)
    log_factorial = scipy.special.gammaln(COUNTS + 1)
    np.testing.assert_allclose(found, (exact - log_factorial).mean(1), rtol=1e-12)
    full = PoissonNLL(full=True).values(OUTPUTS, COUNTS).numpy()
    assert np.max(np.abs(full - exact.mean(1))) < 0.05, "Stirling's approximation"
    soft = np.log1p(np.exp(OUTPUTS))
    found = PoissonNLL("softplus").values(OUTPUTS, COUNTS).numpy()
    np.testing.assert_allclose(found, (soft - COUNTS * np.log(soft + 1e-8)).mean(1), rtol=1e-12)
    np.testing.assert_allclose(PoissonNLL().predict(OUTPUTS).numpy(), rate, rtol=1e-12)
    np.testing.assert_allclose(PoissonNLL("softplus").predict(OUTPUTS).numpy(), soft, rtol=1e-12)


def test_rates_beyond_all_bounds_go_on_as_a_line():
    net = np.array([69.0, 71.0, 100.0, 1e4], np.float32)
    found = PoissonNLL().values(net, np.zeros(4)).numpy()
    edge = math.exp(70)
    wanted = [math.exp(69), edge * 2, edge * 31, edge * 9931]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    slope = grad(lambda z: PoissonNLL().values(z, np.zeros(4)).sum())(net).numpy()
    np.testing.assert_allclose(slope, [math.exp(69), edge, edge, edge], rtol=1e-5)


def test_negative_counts_are_refused_or_give_nan_where_traced():
    counts = COUNTS.copy()
    counts[4, 1] = -1
    with pytest.raises(DataError, match=r"poisson_nll: the target -1.0 in row 4 is no count"):
        PoissonNLL()(OUTPUTS, counts)
    types = [TensorType(item.shape, as_dtype(item.dtype)) for item in (OUTPUTS, counts)]
    graph, _ = trace_flat(PoissonNLL().values, types)
    (found,) = graph(Tensor(OUTPUTS), Tensor(counts))
    assert np.flatnonzero(np.isnan(found.numpy())).tolist() == [4]


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: Huber(0.0), r"Huber.delta = 0.0 is outside \(0, ∞\)"),
        (lambda: GaussianNLL(floor=0), r"GaussianNLL.floor = 0 is outside \(0, ∞\)"),
        (lambda: PoissonNLL("log"), "PoissonNLL.link = 'log' is not one of exp, softplus"),
    ],
)
def test_settings_outside_their_range_are_refused(make_it, message):
    with pytest.raises(SettingError, match=message):
        make_it()


# ------------------------------------------------------------------ PyTorch


def _agree(torch, loss, judge, outputs, targets):
    """Values and derivatives of the mean are the judge's."""
    z = torch.tensor(outputs, requires_grad=True)
    wanted = judge(z, torch.tensor(targets, dtype=torch.float64))
    wanted.backward()
    assert float(loss(outputs, targets)) == pytest.approx(wanted.item(), rel=1e-12)
    found = grad(lambda x: loss(x, targets))(outputs).numpy()
    np.testing.assert_allclose(found, z.grad.numpy(), rtol=1e-10, atol=1e-14)


def test_numbers_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    nn = torch.nn.functional
    for delta in (0.3, 1.0, 4.0):
        _agree(
            torch,
            Huber(delta),
            lambda z, y, d=delta: nn.huber_loss(z, y, delta=d),
            OUTPUTS,
            NUMBERS,
        )
        _agree(
            torch,
            Huber(delta),
            lambda z, y, d=delta: nn.smooth_l1_loss(z, y, beta=d) * d,
            OUTPUTS,
            NUMBERS,
        )
    outputs = np.concatenate([OUTPUTS, RNG.normal(size=(20, 3))], axis=1)
    for full in (False, True):
        _agree(
            torch,
            GaussianNLL(floor=1e-30, full=full),
            lambda z, y, f=full: nn.gaussian_nll_loss(z[:, :3], y, z[:, 3:].exp(), full=f),
            outputs,
            NUMBERS,
        )
        _agree(
            torch,
            PoissonNLL(full=full),
            lambda z, y, f=full: nn.poisson_nll_loss(z, y, full=f),
            OUTPUTS,
            COUNTS,
        )
        _agree(
            torch,
            PoissonNLL("softplus", full=full),
            lambda z, y, f=full: nn.poisson_nll_loss(
                nn.softplus(z, threshold=1e3), y, log_input=False, full=f
            ),
            OUTPUTS,
            COUNTS,
        )
