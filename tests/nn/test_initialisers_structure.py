"""Truncated, orthogonal, identity and sparse starts: exact properties, moments, and judges."""

import math

import numpy as np
import pytest
import scipy.stats

from thalweg.compiler.threads import one_blas_thread
from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import SettingError, ShapeError
from thalweg.nn.initialisers import (
    Fans,
    He,
    IdentityMatrix,
    LeCun,
    Orthogonal,
    Sparse,
    TruncatedNormal,
    VarianceScaling,
    Xavier,
)
from thalweg.nn.initialisers.fixed import truncated_deviation
from thalweg.nn.layer import apply_network, initialise
from thalweg.nn.linear import Linear

FANS = Fans(250, 400)


def _draw(initialiser, shape=(250, 400), seed=7):
    return initialiser.sample(np.random.default_rng(seed), shape, FANS)


# ------------------------------------------------------------------ truncated


@pytest.mark.parametrize("bound", [0.001, 0.5, 1.0, 2.0, 3.0, 50.0])
def test_truncated_numbers_have_the_truncated_distribution(bound):
    judge = scipy.stats.truncnorm(-bound, bound, loc=1.0, scale=0.3)
    drawn = _draw(TruncatedNormal(0.3, 1.0, bound))
    assert np.abs(drawn - 1.0).max() <= 0.3 * bound * (1 + 1e-12)
    assert scipy.stats.kstest(drawn.ravel(), judge.cdf).pvalue > 1e-3
    assert truncated_deviation(bound) == pytest.approx(judge.std() / 0.3, rel=1e-4)


@pytest.mark.parametrize("bound", [0.5, 2.0, 4.0])
def test_corrected_numbers_have_the_deviation_that_is_asked_for(bound):
    drawn = _draw(TruncatedNormal(0.3, 1.0, bound, corrected=True))
    assert drawn.std() == pytest.approx(0.3, rel=0.01)
    assert abs(drawn.mean() - 1.0) < 5 * 0.3 / math.sqrt(drawn.size)
    plain = _draw(TruncatedNormal(0.3, 1.0, bound))
    ratio = (drawn - 1.0) / (plain - 1.0)
    np.testing.assert_allclose(ratio, 1 / truncated_deviation(bound), rtol=1e-9)


@pytest.mark.parametrize("mode", ["inputs", "outputs", "average"])
def test_truncated_scaling_keeps_the_variance(mode):
    width = {"inputs": 250, "outputs": 400, "average": 325}[mode]
    drawn = _draw(VarianceScaling(2.0, mode))
    assert drawn.var() == pytest.approx(2 / width, rel=0.02)
    assert np.abs(drawn).max() <= 2 * math.sqrt(2 / width) / 0.8796


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_named_starts_are_cases_of_the_general_form(distribution):
    for named, general in (
        (LeCun(distribution), VarianceScaling(1.0, "inputs", distribution)),
        (He(distribution), VarianceScaling(2.0, "inputs", distribution)),
        (He(distribution, "outputs"), VarianceScaling(2.0, "outputs", distribution)),
        (Xavier(distribution, gain=4.0), VarianceScaling(16.0, "average", distribution)),
    ):
        np.testing.assert_allclose(_draw(named), _draw(general), rtol=1e-14)


# ------------------------------------------------------------------ orthogonal


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (3, 5, 4), (1, 1), (0, 3), (3, 0)])
def test_columns_or_rows_are_orthonormal(shape):
    drawn = _draw(Orthogonal(3.0), shape)
    assert drawn.shape == shape
    flat = drawn.reshape(math.prod(shape[:-1]), shape[-1])
    product = flat.T @ flat if flat.shape[0] >= flat.shape[1] else flat @ flat.T
    np.testing.assert_allclose(product, 9 * np.eye(len(product)), atol=1e-12)


def test_large_orthogonal_matrices_are_orthogonal():
    drawn = _draw(Orthogonal(), (300, 300))
    np.testing.assert_allclose(drawn.T @ drawn, np.eye(300), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(drawn @ np.ones(300)), math.sqrt(300), rtol=1e-12)


def test_orthogonal_matrices_are_uniformly_distributed():
    rng = np.random.default_rng(3)
    with one_blas_thread():
        drawn = np.stack([Orthogonal().sample(rng, (3, 3), FANS) for _ in range(4000)])
    signs = np.sign(np.linalg.det(drawn))
    assert abs(signs.mean()) < 4 / math.sqrt(4000)
    corners = scipy.stats.uniform(-1, 2)  # each element of a random rotation in space
    for row, column in ((0, 0), (1, 2), (2, 2)):
        assert scipy.stats.kstest(drawn[:, row, column], corners.cdf).pvalue > 1e-3
    traces = np.trace(drawn, axis1=1, axis2=2)
    assert abs(traces.mean()) < 4 / math.sqrt(4000)
    assert traces.var() == pytest.approx(1.0, rel=0.1)


def test_signals_keep_their_length_through_deep_linear_networks():
    import thalweg as tw

    net = tw.Sequential([Linear(48, bias=False, weight=Orthogonal()) for _ in range(50)])
    x = np.random.default_rng(0).normal(size=(4, 48))
    output = apply_network(net, initialise(net, 48, dtype="float64"), x).numpy()
    np.testing.assert_allclose(np.linalg.norm(output, axis=1), np.linalg.norm(x, axis=1), rtol=1e-5)


# ------------------------------------------------------------------ identity, sparse


def test_identity_passes_inputs_on():
    for shape in ((4, 4), (3, 5), (5, 3)):
        np.testing.assert_array_equal(_draw(IdentityMatrix(0.5), shape), 0.5 * np.eye(*shape))


@pytest.mark.parametrize("shape", [(40, 30), (4, 10, 30), (3, 7)])
def test_sparse_units_have_k_inputs(shape):
    drawn = _draw(Sparse(6, 0.2), shape)
    flat = drawn.reshape(-1, shape[-1])
    np.testing.assert_array_equal((flat != 0).sum(0), min(6, len(flat)))


def test_sparse_places_and_numbers_are_random():
    drawn = _draw(Sparse(15, 0.2))
    numbers = drawn[drawn != 0]
    assert scipy.stats.kstest(numbers, scipy.stats.norm(0, 0.2).cdf).pvalue > 1e-3
    uses = (drawn != 0).sum(1)
    judge = scipy.stats.binom(400, 15 / 250)
    assert uses.mean() == pytest.approx(judge.mean())
    assert uses.std() == pytest.approx(judge.std(), rel=0.2)


# ------------------------------------------------------------------ what does not fit


@pytest.mark.parametrize(
    ("initialiser", "message"),
    [
        (Orthogonal(), r"orthogonal fills weights of two axes or more, got the shape \(3,\)"),
        (Sparse(), r"sparse fills weights of two axes or more, got the shape \(3,\)"),
        (IdentityMatrix(), r"identity fills weights of two axes, got the shape \(3,\)"),
    ],
)
def test_a_bias_is_no_matrix(initialiser, message):
    with pytest.raises(ShapeError, match=message):
        _draw(initialiser, (3,))


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: TruncatedNormal(bound=0.0), r"TruncatedNormal.bound = 0.0 is outside \(0, ∞\)"),
        (lambda: Orthogonal(-1.0), r"Orthogonal.gain = -1.0 is outside \[0, ∞\)"),
        (lambda: Sparse(0), r"Sparse.inputs = 0 is outside \[1, 2147483647\]"),
        (lambda: VarianceScaling(mode="fan_in"), "'fan_in' is not one of inputs, outputs, average"),
    ],
)
def test_settings_outside_their_range_are_refused(make_it, message):
    with pytest.raises(SettingError, match=message):
        make_it()


@pytest.mark.parametrize(
    "initialiser",
    [TruncatedNormal(corrected=True), Orthogonal(2.0), IdentityMatrix(), Sparse(3),
     VarianceScaling(2.0, "average", "uniform")],
    ids=str,
)  # fmt: skip
def test_descriptions_survive_json(initialiser):
    assert from_plain("initialiser", to_plain(initialiser)) == initialiser


# ------------------------------------------------------------------ judges


def _same_distribution(ours, theirs):
    assert scipy.stats.ks_2samp(ours.ravel(), np.asarray(theirs).ravel()).pvalue > 1e-3


def test_distributions_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    start = torch.nn.init

    def judged(fill, **options):
        weight = torch.empty(400, 250, dtype=torch.float64)  # (outputs, inputs)
        return fill(weight, **options).numpy()

    _same_distribution(
        _draw(TruncatedNormal(0.3)), judged(start.trunc_normal_, std=0.3, a=-0.6, b=0.6)
    )
    _same_distribution(_draw(Xavier()), judged(start.xavier_uniform_))
    _same_distribution(_draw(Xavier("normal", gain=4.0)), judged(start.xavier_normal_, gain=4.0))
    _same_distribution(_draw(He()), judged(start.kaiming_normal_, nonlinearity="relu"))
    _same_distribution(
        _draw(He("uniform", "outputs")),
        judged(start.kaiming_uniform_, mode="fan_out", nonlinearity="relu"),
    )
    _same_distribution(_draw(Orthogonal(2.0)), judged(start.orthogonal_, gain=2.0))
    theirs = judged(start.sparse_, sparsity=0.9, std=0.2)
    ours = _draw(Sparse(25, 0.2))
    assert (theirs != 0).mean() == pytest.approx((ours != 0).mean())
    _same_distribution(ours[ours != 0], theirs[theirs != 0])


def test_distributions_agree_with_keras():
    keras = pytest.importorskip("keras")
    start = keras.initializers

    def judged(initialiser):
        return np.asarray(initialiser((250, 400)))

    _same_distribution(_draw(TruncatedNormal(0.3)), judged(start.TruncatedNormal(0, 0.3, seed=1)))
    for mode, name in (("inputs", "fan_in"), ("outputs", "fan_out"), ("average", "fan_avg")):
        for distribution, theirs in (
            ("truncated_normal", "truncated_normal"),
            ("normal", "untruncated_normal"),
            ("uniform", "uniform"),
        ):
            judge = start.VarianceScaling(2.0, name, theirs, seed=1)
            _same_distribution(_draw(VarianceScaling(2.0, mode, distribution)), judged(judge))
    _same_distribution(_draw(VarianceScaling(1.0, "average")), judged(start.GlorotNormal(seed=1)))
    _same_distribution(_draw(VarianceScaling(2.0)), judged(start.HeNormal(seed=1)))
    _same_distribution(_draw(VarianceScaling()), judged(start.LecunNormal(seed=1)))
