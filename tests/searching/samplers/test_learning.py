"""Samplers that learn from earlier trials: TPE and the Gaussian process."""

import math
import warnings

import numpy as np
import optuna
import pytest
from scipy import stats

import thalweg as tw
from thalweg.searching.proposals import Known
from thalweg.searching.samplers.gaussian_process import compressed, expected_improvement, features

SPACE = tw.Space({
    "rate": tw.Range(1e-5, 1.0, log=True),
    "momentum": tw.Range(0.0, 1.0),
    "width": tw.Whole(8, 256, log=True),
    "activation": ["relu", "tanh", tw.ELU()],
    "dropout": tw.Range(0.0, 0.5, step=0.1, when={"activation": ["relu"]}),
    "seed": 3,
})  # fmt: skip
LEARNING = [tw.TPESampler(), tw.GaussianProcessSampler()]


def loss(settings):
    kind = settings["activation"]
    return (
        (math.log10(settings["rate"]) + 2.5) ** 2
        + 2 * (settings["momentum"] - 0.9) ** 2
        + 0.2 * math.log2(settings["width"] / 64) ** 2
        + (0.5 if kind == "tanh" else 0)
        + 5 * (settings.get("dropout", 0.2) - 0.2) ** 2
    )


def search(sampler, seed, trials=48, batch=16, value=loss):
    known = []
    while len(known) < trials:
        for settings in sampler.propose(SPACE, seed, len(known), batch, known):
            known.append(Known(len(known), settings, value(settings)))
    return known


def best(sampler, seed):
    return min(one.value for one in search(sampler, seed))


@pytest.mark.parametrize("sampler", LEARNING)
def test_what_is_learned_beats_chance(sampler):
    learned = [best(sampler, seed) for seed in range(3)]
    chance = [best(tw.RandomSampler(), seed) for seed in range(9)]
    assert np.median(learned) < 0.6 * np.median(chance)


@pytest.mark.parametrize("sampler", LEARNING)
def test_proposals_are_a_pure_function_of_what_is_known(sampler):
    known = search(sampler, 3, trials=32, batch=16)
    first = sampler.propose(SPACE, 3, 32, 5, known)
    optuna.create_study().ask()
    np.random.default_rng(0).random(3)
    assert sampler.propose(SPACE, 3, 32, 5, known) == first
    assert sampler.propose(SPACE, 3, 32, 5, list(known)) == first
    assert sampler.propose(SPACE, 4, 32, 5, known) != first
    assert sampler.propose(SPACE, 3, 33, 5, known) != first
    other = [*known[:-1], Known(31, known[-1].settings, 0.0)]
    assert sampler.propose(SPACE, 3, 32, 5, other) != first


@pytest.mark.parametrize("sampler", LEARNING)
def test_proposals_lie_in_the_space_and_differ_within_a_batch(sampler):
    known = search(sampler, 1, trials=32)
    proposals = sampler.propose(SPACE, 1, 32, 16, known)
    assert len(proposals) == 16
    for settings in proposals:
        assert SPACE.read_settings(SPACE.plain_settings(settings)) == settings
        assert ("dropout" in settings) == (settings["activation"] == "relu")
        assert settings["seed"] == 3
    assert len({str(one) for one in proposals}) == 16


@pytest.mark.parametrize("sampler", LEARNING)
def test_before_anything_is_known_points_are_quasi_random(sampler):
    expected = tw.QuasiRandomSampler().propose(SPACE, 7, 0, 16)
    assert sampler.propose(SPACE, 7, 0, 16) == expected
    failed = [Known(n, one, None if n % 2 else math.nan) for n, one in enumerate(expected)]
    assert sampler.propose(SPACE, 7, 16, 4, failed) == tw.QuasiRandomSampler().propose(
        SPACE, 7, 16, 4
    )


@pytest.mark.parametrize("sampler", LEARNING)
def test_where_trials_fail_few_are_proposed(sampler):
    def value(settings):
        return None if settings["rate"] > 1e-2 else loss(settings)

    early, late = [], []
    for seed in range(3):
        failed = [one.failed for one in search(sampler, seed, trials=48, value=value)]
        early += failed[:16]
        late += failed[32:]
    assert np.mean(early) > 0.3
    assert np.mean(late) < 0.7 * np.mean(early)


@pytest.mark.parametrize("sampler", LEARNING)
def test_a_small_space_that_is_all_known_is_proposed_again(sampler):
    space = tw.Space({"a": [1, 2], "b": tw.Whole(0, 3)})
    known = [
        Known(n, one, float(n)) for n, one in enumerate(list(space.grid(9)) * 2)
    ]  # each of the 8 twice
    proposals = sampler.propose(space, 0, 16, 4, known)
    assert all(one in list(space.grid(9)) for one in proposals)
    assert len(proposals) == 4


def test_optuna_is_left_as_it_was():
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    known = search(tw.RandomSampler(), 0, trials=16)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        tw.TPESampler().propose(SPACE, 0, 16, 2, known)
    assert heard == []
    assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_the_expected_improvement_is_its_integral():
    mean, deviation, top = 0.3, 0.7, 0.1
    y = np.linspace(mean - 12 * deviation, top, 200_001)
    integral = np.trapezoid((top - y) * stats.norm(mean, deviation).pdf(y), y)
    got = expected_improvement(np.array([mean]), np.array([deviation]), top)
    assert got[0] == pytest.approx(integral, rel=1e-8)
    without = expected_improvement(np.array([0.3, -0.2]), np.zeros(2), 0.1)
    np.testing.assert_allclose(without, [0.0, 0.3], atol=1e-15)


def test_the_process_proposes_the_largest_expected_improvement():
    """On one axis the first proposal is where a fine grid has the largest gain."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    space = tw.Space({"a": tw.Range(0.0, 1.0)})
    places = np.array([0.0, 0.15, 0.3, 0.5, 0.65, 0.8, 1.0])
    values = np.cos(7 * places) + places
    known = [Known(n, {"a": places[n]}, float(values[n])) for n in range(7)]
    [proposal] = tw.GaussianProcessSampler(startup=7).propose(space, 0, 7, 1, known)
    kernel = ConstantKernel(1.0, (0.01, 100)) * Matern([0.5], (0.05, 20), nu=2.5)
    process = GaussianProcessRegressor(
        kernel + WhiteKernel(1e-3, (1e-8, 1)), alpha=1e-10, normalize_y=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        process.fit(places[:, None], compressed(values))
    grid = np.linspace(0, 1, 10_001)[:, None]
    gain = expected_improvement(
        *process.predict(grid, return_std=True), process.predict(places[:, None]).min()
    )
    assert proposal["a"] == pytest.approx(grid[gain.argmax(), 0], abs=2e-3)


def test_one_bad_trial_does_not_hide_the_others():
    values = np.array([1.0, 1.1, 1.2, 1.3, 1e9])
    got = compressed(values)
    np.testing.assert_array_equal(got[:3], values[:3])
    assert np.all(np.diff(got) > 0)
    assert got[-1] < 6
    np.testing.assert_array_equal(compressed(np.ones(4)), np.ones(4))


def test_choices_are_axes_of_their_own_for_the_process():
    rows = [
        {"rate": 1.0, "momentum": 0.5, "width": 256, "activation": "tanh"},
        {"rate": 1e-5, "momentum": 0.0, "width": 8, "activation": "relu", "dropout": 0.0},
    ]
    got = features(SPACE, rows)
    half = math.sqrt(0.5)
    np.testing.assert_allclose(got[0], [1, 0.5, got[0, 2], 0, half, 0, 0.5])
    np.testing.assert_allclose(got[1], [0, 0, got[1, 2], half, 0, 0, 1 / 12])
    assert np.linalg.norm(got[0, 3:6] - got[1, 3:6]) == pytest.approx(1)


def test_no_batch_of_the_process_holds_near_copies():
    space = tw.Space({"a": tw.Range(0.0, 1.0)})
    known = [Known(n, {"a": n / 8}, (n / 8 - 0.4) ** 2) for n in range(9)]
    batch = [one["a"] for one in tw.GaussianProcessSampler().propose(space, 0, 9, 4, known)]
    assert np.diff(sorted(batch)).min() >= 0.05


@pytest.mark.parametrize("sampler", [tw.TPESampler(), tw.GaussianProcessSampler()])
def test_samplers_learn_from_eight_trials_on(sampler):
    space = tw.Space({"a": tw.Range(0.0, 1.0)})
    known = [Known(n, {"a": (n + 0.5) / 8}, float(n)) for n in range(8)]
    plain = tw.QuasiRandomSampler().propose(space, 0, 7, 1)
    assert sampler.propose(space, 0, 7, 1, known[:7]) == plain
    assert sampler.propose(space, 0, 8, 1, known)[0]["a"] < 0.4
