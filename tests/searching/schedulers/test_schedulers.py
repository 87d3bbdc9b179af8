"""Schedulers against plain computations of what they should decide."""

import math
from itertools import pairwise

import numpy as np
import pytest

from thalweg.errors import SettingError
from thalweg.searching.schedulers import (
    Asha,
    Candidate,
    EveryTrial,
    Hyperband,
    PopulationBased,
    Standing,
    SuccessiveHalving,
    as_scheduler,
)


def simulate(scheduler, curves, epochs, population, failing=(), ahead=False):
    """Work waves off as the engine does, with scores (trials, epochs); lower is better.

    Returns the epochs that each trial was trained, and the waves.
    """
    scores, ended, waves = [], [], []
    failed = [False] * len(curves)
    while True:
        candidates = [
            Candidate(number, held, ended[number], failed[number])
            for number, held in enumerate(scores)
        ]
        open_ = len(curves) - len(scores)
        wave = scheduler.wave(Standing(candidates, epochs, population, open_, 0, ahead))
        fresh = range(len(scores), len(scores) + wave.new)
        for _ in fresh:
            scores.append({})
            ended.append(False)
        tasks = [*wave.tasks, *((number, wave.until) for number in fresh)]
        if not tasks:
            return [max(held, default=0) for held in scores], waves
        waves.append(wave)
        for number, until in tasks:
            assert not ended[number] or any(copy.number == number for copy in wave.copies)
            assert until > max(scores[number], default=0)
            scores[number][until] = curves[number][until - 1]
            failed[number] = number in failing
            ended[number] = until == epochs or failed[number]


def curves(trials, epochs, seed=0):
    return np.random.default_rng(seed).random((trials, epochs))


# ------------------------------------------------------------------ every trial


def test_every_trial_is_trained_to_its_end():
    reached, waves = simulate(EveryTrial(), curves(20, 5), 5, population=8)
    assert reached == [5] * 20
    assert [wave.new for wave in waves] == [8, 8, 4]


def test_a_sampler_that_learns_nothing_is_asked_ahead():
    _, waves = simulate(EveryTrial(), curves(300, 2), 2, population=8, ahead=True)
    assert [wave.new for wave in waves] == [256, 44]


# ------------------------------------------------------------------ successive halving


def halved(values, rungs, factor):
    """The epochs of each trial of one bracket, by the definition."""
    alive = list(range(len(values)))
    reached = [0] * len(values)
    for place, rung in enumerate(rungs):
        for number in alive:
            reached[number] = rung
        keep = max(1, len(values) // factor ** (place + 1))
        alive = sorted(alive, key=lambda number: (values[number][rung - 1], number))[:keep]
    return reached


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("factor", "rungs"), [(3, (1, 3, 9, 27)), (2, (1, 2, 4, 8, 16, 27))])
def test_each_rung_keeps_exactly_the_best(factor, rungs, seed):
    scheduler = SuccessiveHalving(factor=factor)
    size = scheduler.bracket(27, 6).size
    values = curves(2 * size, 27, seed)
    reached, _ = simulate(scheduler, values, 27, population=6)
    for start in (0, size):
        part = values[start : start + size]
        assert reached[start : start + size] == halved(part, rungs, factor)


def test_a_bracket_that_is_cut_short_keeps_its_own_share():
    values = curves(10, 9)
    reached, _ = simulate(SuccessiveHalving(), values, 9, population=6)
    assert reached[:9] == halved(values[:9], (1, 3, 9), 3)
    assert reached[9] == 9  # alone in its bracket, it is the best of it


def test_all_rungs_cost_the_same():
    reached, waves = simulate(SuccessiveHalving(), curves(27, 27), 27, population=6)
    counts = [sum(epochs >= rung for epochs in reached) for rung in (1, 3, 9, 27)]
    assert counts == [27, 9, 3, 1]
    assert len(waves) == 4


def test_the_next_bracket_begins_while_the_last_trials_are_trained():
    _, waves = simulate(SuccessiveHalving(), curves(54, 27), 27, population=6)
    # 9 trials fill a population of 6; the 3 after them do not.
    assert [(len(wave.tasks), wave.new) for wave in waves] == [
        (0, 27), (9, 0), (3, 27), (1 + 9, 0), (3, 0), (1, 0),
    ]  # fmt: skip


def test_failed_trials_come_last_and_never_go_on():
    values = curves(9, 9)
    values[:7] = 0.0
    reached, _ = simulate(SuccessiveHalving(), values, 9, population=3, failing=range(7))
    assert reached[:7] == [1] * 7
    assert sorted(reached[7:]) == [3, 9]


def test_equal_scores_go_by_number():
    reached, _ = simulate(SuccessiveHalving(), np.zeros((9, 9)), 9, population=3)
    assert reached == [9, 3, 3, 1, 1, 1, 1, 1, 1]


# ------------------------------------------------------------------ Hyperband

TABLE_1 = {
    4: [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    3: [(34, 3), (11, 9), (3, 27), (1, 81)],
    2: [(15, 9), (5, 27), (1, 81)],
    1: [(8, 27), (2, 81)],
    0: [(5, 81)],
}
"""Trials and epochs at each rung of each bracket, for R = 81 and a factor of 3 (Li et al. 2018)."""


def test_brackets_are_those_of_the_paper():
    brackets = Hyperband().brackets(81)
    for s, bracket in zip((4, 3, 2, 1, 0), brackets, strict=True):
        counts = [bracket.size, *(bracket.kept(k, bracket.size) for k in range(s))]
        assert list(zip(counts, bracket.rungs, strict=True)) == TABLE_1[s]


@pytest.mark.parametrize(
    ("epochs", "lowest", "factor"), [(50, 1, 3), (100, 2, 4), (7, 1, 2), (5, 5, 3)]
)
def test_brackets_follow_the_formula(epochs, lowest, factor):
    most = 0
    while lowest * factor ** (most + 1) <= epochs:
        most += 1
    brackets = Hyperband(lowest, factor).brackets(epochs)
    assert len(brackets) == most + 1
    for s, bracket in zip(range(most, -1, -1), brackets, strict=True):
        assert bracket.size == math.ceil((most + 1) / (s + 1) * factor**s - 1e-9)
        assert bracket.rungs == tuple(epochs // factor ** (s - i) for i in range(s + 1))
        assert bracket.rungs[0] >= lowest
        assert bracket.rungs[-1] == epochs


def test_brackets_follow_each_other_and_halve_as_the_table_says():
    total = 81 + 34 + 15 + 8 + 5
    values = curves(total, 81)
    reached, _ = simulate(Hyperband(), values, 81, population=16)
    start = 0
    for s in (4, 3, 2, 1, 0):
        size = TABLE_1[s][0][0]
        part = reached[start : start + size]
        for count, epochs in TABLE_1[s]:
            assert sum(item >= epochs for item in part) == count
        rungs = [epochs for _, epochs in TABLE_1[s]]
        assert part == halved(values[start : start + size], rungs, 3)
        start += size


# ------------------------------------------------------------------ ASHA


@pytest.mark.parametrize("seed", range(5))
def test_asha_promotes_only_the_best_third(seed):
    values = curves(60, 27, seed)
    reached, _ = simulate(Asha(), values, 27, population=8)
    rungs = (1, 3, 9, 27)
    for here, above in pairwise(rungs):
        at = [number for number in range(60) if reached[number] >= here]
        on = [number for number in at if reached[number] >= above]
        # At the end every promotion that the rule allows has been made, and nobody below the
        # best third has gone on after the last trial came.
        best = sorted(at, key=lambda number: (values[number][here - 1], number))
        assert set(best[: len(at) // 3]) <= set(on)
        assert len(at) // 3 <= len(on) <= len(at)


def test_asha_promotes_what_is_in_the_best_third_when_it_is_asked():
    values = curves(40, 9, 3)
    _, waves = simulate(Asha(), values, 9, population=4)
    seen = 0
    done = {1: [], 3: []}
    for wave in waves:
        for number, until in wave.tasks:
            here = {3: 1, 9: 3}[until]
            scores = sorted(values[other][here - 1] for other in done[here])
            assert values[number][here - 1] <= scores[len(scores) // 3 - 1]
        for number, until in wave.tasks:
            if until in done:
                done[until].append(number)
        done[1] += range(seen, seen + wave.new)
        seen += wave.new
        assert len(wave.tasks) + wave.new <= 4


def test_asha_brings_at_least_one_trial_to_its_end():
    reached, _ = simulate(Asha(), curves(4, 27), 27, population=4)
    assert sorted(reached)[-1] == 27
    assert sorted(reached)[:-1] == [1, 1, 1]


def test_asha_never_promotes_failed_trials():
    reached, _ = simulate(Asha(), curves(12, 9), 9, population=4, failing=range(11))
    assert reached[:11] == [1] * 11
    assert reached[11] == 9


# ------------------------------------------------------------------ population-based training


def test_the_weakest_take_over_the_strongest():
    scheduler = PopulationBased(every=2, share=0.25)
    values = np.tile(np.arange(8.0)[:, None], (1, 6))
    _, waves = simulate(scheduler, values, 6, population=8)
    assert [wave.until or wave.tasks[0][1] for wave in waves] == [2, 4, 6]
    for wave, epoch in zip(waves[1:], (2, 4), strict=True):
        assert [copy.number for copy in wave.copies] == [6, 7]
        assert all(copy.parent in {0, 1} and copy.epoch == epoch for copy in wave.copies)
        assert len(wave.tasks) == 8


def test_failed_members_are_replaced_beside_the_weakest():
    members = [Candidate(n, {1: float(n)}, ended=n == 3, failed=n == 3) for n in range(6)]
    copies = PopulationBased(share=0.2).exploited(members, 1, seed=0)
    assert [copy.number for copy in copies] == [3, 5] or [copy.number for copy in copies] == [3]
    assert {copy.parent for copy in copies} == {0}


def test_draws_depend_on_the_seed_and_the_epoch_alone():
    members = [Candidate(n, {1: float(n), 2: float(n)}) for n in range(40)]
    rule = PopulationBased()
    first = rule.exploited(members, 1, seed=0)
    assert first == rule.exploited(list(members), 1, seed=0)
    assert first != rule.exploited(members, 1, seed=1)
    assert [copy.parent for copy in first] != [
        copy.parent for copy in rule.exploited(members, 2, seed=0)
    ]


def test_populations_follow_each_other():
    reached, waves = simulate(PopulationBased(every=2), curves(10, 4), 4, population=4)
    assert reached == [4] * 10
    assert [wave.new for wave in waves] == [4, 0, 4, 0, 2, 0]


# ------------------------------------------------------------------ names and bad input


def test_schedulers_by_name():
    assert as_scheduler(None) == EveryTrial()
    assert as_scheduler("asha(factor=4)") == Asha(factor=4)
    assert as_scheduler(Hyperband()) == Hyperband()
    with pytest.raises(SettingError, match="did you mean 'hyperband'"):
        as_scheduler("hyperbnad")
    with pytest.raises(SettingError, match="must be None, a name or a scheduler, got 3"):
        as_scheduler(3)


@pytest.mark.parametrize("scheduler", [SuccessiveHalving, Hyperband, Asha])
def test_a_first_rung_behind_the_last_epoch_is_refused(scheduler):
    with pytest.raises(SettingError, match=r"lowest = 30 is beyond the 20 epochs"):
        scheduler(lowest=30).check(20)
    scheduler(lowest=20).check(20)
    with pytest.raises(SettingError, match=r"factor = 1 is outside \[2"):
        scheduler(factor=1)
