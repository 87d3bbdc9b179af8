import itertools

import numpy as np
import pytest
from scipy import stats
from scipy.stats import qmc

import thalweg as tw
from thalweg.errors import SettingError
from thalweg.searching.proposals import chance
from thalweg.searching.samplers import as_sampler

SPACE = tw.Space({
    "rate": tw.Range(1e-5, 1e-1, log=True),
    "momentum": tw.Range(0.0, 0.99),
    "width": tw.Whole(8, 64),
    "seed": 3,
})  # fmt: skip


@pytest.mark.parametrize("sampler", [tw.RandomSampler(), tw.QuasiRandomSampler()])
def test_each_trial_is_a_function_of_seed_and_number_alone(sampler):
    whole = sampler.propose(SPACE, 5, 0, 40)
    assert sampler.propose(SPACE, 5, 0, 40) == whole
    assert [sampler.propose(SPACE, 5, n, 1)[0] for n in range(40)] == whole
    assert sampler.propose(SPACE, 5, 16, 8) == whole[16:24]
    assert sampler.propose(SPACE, 6, 0, 40) != whole
    assert all(one["seed"] == 3 for one in whole)
    assert sampler.propose(SPACE, 5, 0, 0) == []


def test_random_draws_follow_the_ranges_and_are_independent():
    drawn = tw.RandomSampler().propose(SPACE, 0, 0, 2000)
    rates = np.array([one["rate"] for one in drawn])
    momenta = np.array([one["momentum"] for one in drawn])
    widths = np.array([one["width"] for one in drawn])
    assert stats.kstest(rates, stats.loguniform(1e-5, 1e-1).cdf).pvalue > 0.01
    assert stats.kstest(momenta, stats.uniform(0, 0.99).cdf).pvalue > 0.01
    assert stats.chisquare(np.bincount(widths - 8, minlength=57)).pvalue > 0.01
    assert abs(stats.spearmanr(rates, momenta).statistic) < 0.06
    assert abs(stats.spearmanr(momenta[1:], momenta[:-1]).statistic) < 0.06


def test_quasi_random_points_are_those_of_scipy():
    sequence = qmc.Sobol(3, scramble=True, rng=chance(5))
    expected = [SPACE.settings(point) for point in sequence.random(32).tolist()]
    assert tw.QuasiRandomSampler().propose(SPACE, 5, 0, 32) == expected


def test_quasi_random_points_fill_the_space_more_evenly():
    unit = tw.Space({name: tw.Range(0.0, 1.0) for name in "abc"})

    def discrepancy(sampler, seed):
        points = [list(one.values()) for one in sampler.propose(unit, seed, 0, 64)]
        return qmc.discrepancy(np.array(points))

    even = [discrepancy(tw.QuasiRandomSampler(), seed) for seed in range(5)]
    chance_ = [discrepancy(tw.RandomSampler(), seed) for seed in range(5)]
    assert max(even) < 0.5 * min(chance_)


def test_the_grid_is_every_combination_once_and_then_ends():
    space = tw.Space({"a": [1, 2, 3], "b": tw.Range(0, 1), "c": 5})
    expected = [{"a": a, "b": b, "c": 5} for a, b in itertools.product([1, 2, 3], [0, 0.5, 1])]
    sampler = tw.GridSampler(points=3)
    assert sampler.propose(space, 0, 0, 100) == expected
    assert sampler.propose(space, 0, 0, 4) == expected[:4]
    assert sampler.propose(space, 9, 4, 4) == expected[4:8]
    assert sampler.propose(space, 0, 8, 4) == expected[8:]
    assert sampler.propose(space, 0, 9, 4) == []


@pytest.mark.parametrize(
    ("call", "said"),
    [((-1, 0, 1), "seed"), ((0, -1, 1), "first"), ((0, 0, -1), "count"), ((0.5, 0, 1), "seed")],
)
def test_bad_calls_are_refused(call, said):
    with pytest.raises(SettingError, match=f"{said} must be a whole number ≥ 0"):
        tw.RandomSampler().propose(SPACE, *call)


def test_samplers_by_name():
    assert as_sampler("grid(3)") == tw.GridSampler(3)
    assert as_sampler("tpe") == tw.TPESampler()
    assert as_sampler(tw.RandomSampler()) == tw.RandomSampler()
    with pytest.raises(SettingError, match="did you mean 'random'"):
        as_sampler("randm")
    with pytest.raises(SettingError, match="a sampler or its text is needed"):
        as_sampler(3)
