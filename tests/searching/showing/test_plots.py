"""Pictures of a search, and what they are computed from."""

import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from thalweg.errors import FileError, SettingError
from thalweg.searching.showing.axes import Axis, axes_of, places, value_text
from thalweg.searching.showing.importance import importances, ranked
from thalweg.searching.showing.plots import (
    Shown,
    draw_history,
    draw_importance,
    draw_parallel,
    draw_slices,
)
from thalweg.searching.spaces.space import Choice, Range, Space, Whole

SPACE = Space(
    {
        "rate": Range(1e-4, 1e-1, log=True),
        "depth": Whole(1, 4),
        "width": Whole(16, 256, log=True),
        "activation": ["relu", "tanh", "leaky_relu(0.2)"],
        "normalise": ["none", "batch_norm"],
        "momentum": Range(0.5, 0.99, when={"normalise": ["batch_norm"]}),
        "seed": 3,
    }
)
AXES = axes_of(SPACE)
DRAWN = [draw_history, draw_parallel, draw_importance, draw_slices]


def trials(count, seed=0, failing=0.1):
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        settings = SPACE.settings(rng.random(len(SPACE.varying)).tolist())
        off = np.log10(settings["rate"]) + 2.5
        value = 0.3 + 0.1 * off**2 + 0.05 * (settings["activation"] == "tanh")
        state = "failed" if rng.random() < failing else ("stopped", "finished")[number % 2]
        value = None if state == "failed" else float(value + 0.001 * rng.normal())
        found.append(SimpleNamespace(number=number, settings=settings, value=value, state=state))
    return found


def shown(count, **options):
    return Shown(trials(count, **options), AXES, "validation_loss")


# ------------------------------------------------------------------ axes


def test_places_are_even_in_the_logarithm_where_the_range_is():
    axis = Axis("rate", 1e-4, 1e-1, log=True)
    found = [axis.place(value) for value in (1e-4, 1e-3, 10**-2.5, 1e-1)]
    np.testing.assert_allclose(found, [0, 1 / 3, 0.5, 1], atol=1e-12)
    assert np.isnan(axis.place(0.0))
    assert axis.fraction(axis.own(1e-3)) == pytest.approx(1 / 3)


def test_each_varying_name_has_an_axis_and_inactive_settings_no_place():
    assert [axis.name for axis in AXES] == list(SPACE.varying)
    some = trials(50)
    where = places(AXES, some)
    column = [axis.name for axis in AXES].index("momentum")
    absent = ["momentum" not in trial.settings for trial in some]
    assert 0 < sum(absent) < 50
    np.testing.assert_array_equal(np.isnan(where[:, column]), absent)
    rest = np.delete(where, column, axis=1)
    assert ((rest >= 0) & (rest <= 1)).all()


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_marks_hold_both_ends_and_lie_between_them(axis):
    numbers = [number for number, _ in axis.marks()]
    assert (numbers[0], numbers[-1]) == (axis.low, axis.high)
    assert numbers == sorted(set(numbers))
    if axis.whole:
        assert all(number == round(number) for number in numbers)


def test_none_is_found_among_categories():
    axis = next(axis for axis in AXES if axis.name == "normalise")
    assert axis.labels == ("none", "batch_norm")
    assert (axis.place(None), axis.place("batch_norm")) == (0.0, 1.0)
    assert value_text((64, 32)) == "64,32"


# ------------------------------------------------------------------ what mattered


def test_failed_trials_rank_last_and_equal_values_share_their_rank():
    some = [SimpleNamespace(number=n, settings={}, value=v, state="") for n, v in
            enumerate([0.5, None, 0.1, 0.5, float("nan")])]  # fmt: skip
    assert ranked(some).tolist() == [1.5, 3.5, 0.0, 1.5, 3.5]
    assert ranked(some, maximise=True).tolist() == [0.5, 3.5, 2.0, 0.5, 3.5]


def test_what_decides_the_value_is_the_most_important():
    shares = importances(AXES, trials(200))
    assert list(shares)[:2] == ["rate", "activation"]
    assert shares["rate"] > 0.6
    assert sum(shares.values()) == pytest.approx(1)
    assert max(shares[name] for name in ("depth", "width", "momentum")) < 0.1


def test_one_diverged_trial_does_not_decide_the_importance():
    some = trials(120, failing=0.0)
    some[0].value = 1e6
    shares = importances(AXES, some)
    assert list(shares)[:2] == ["rate", "activation"]


def test_shares_are_the_same_each_time_and_with_the_sign_turned():
    some = trials(60)
    turned = [SimpleNamespace(**{**vars(t), "value": t.value and -t.value}) for t in some]
    first = importances(AXES, some)
    assert importances(AXES, some) == importances(AXES, turned, maximise=True) == first


@pytest.mark.parametrize("some", [trials(7), trials(40, failing=1.0)], ids=["few", "all failed"])
def test_nothing_is_said_where_nothing_can_be(some):
    assert importances(AXES, some) == {}


# ------------------------------------------------------------------ pictures


@pytest.mark.parametrize("draw", DRAWN)
@pytest.mark.parametrize(
    "some",
    [shown(1), shown(5, failing=1.0), Shown([], AXES, "accuracy", maximise=True)],
    ids=["one", "all failed", "none"],
)
def test_pictures_are_drawn_of_any_number_of_trials(draw, some, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(some, tmp_path / "picture.svg")
    text = (tmp_path / "picture.svg").read_text(encoding="utf-8")
    assert text.count("</svg>") == 1


def test_two_thousand_trials_stay_small_as_a_file(tmp_path):
    some = shown(2000)
    draw_slices(some, tmp_path / "slices.svg")
    draw_parallel(some, tmp_path / "parallel.svg")
    assert (tmp_path / "slices.svg").stat().st_size < 2_000_000
    assert (tmp_path / "parallel.svg").stat().st_size < 4_000_000


def test_the_same_trials_give_the_same_bytes(tmp_path):
    for name in ("a.svg", "b.svg"):
        draw_parallel(shown(20), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("maximise", [False, True])
def test_the_history_shows_every_value_and_the_best_so_far(maximise):
    some = Shown(trials(40), AXES, "validation_loss", maximise=maximise)
    axis = draw_history(some).axes[0]
    values = np.concatenate([p.get_offsets()[:, 1] for p in axis.collections[:2]])
    assert sorted(values) == sorted(trial.value for trial in some.trials if trial.value)
    line = axis.lines[0].get_ydata()
    best = max if maximise else min
    running = [best(some.values[: n + 1]) for n in range(len(some.values))]
    np.testing.assert_array_equal(line, [*running, running[-1]])
    failed = sum(trial.value is None for trial in some.trials)
    assert len(axis.collections[2].get_offsets()) == failed > 0
    assert re.search(f"40 trials, .*{failed} failed, best validation loss", axis.get_title("left"))


def test_a_diverged_trial_does_not_flatten_the_others():
    some = trials(40, failing=0.0)
    some[3].value = 1e3
    assert draw_history(Shown(some, AXES, "loss")).axes[0].get_yscale() == "log"
    some[3].value = 5.0
    low, high = draw_history(Shown(some, AXES, "loss")).axes[0].get_ylim()
    assert high < 3.0
    assert low < min(trial.value for trial in some)


def test_slices_have_a_logarithmic_scale_where_the_range_has_one():
    axes = draw_slices(shown(30)).axes
    scales = {axis.get_xlabel(): axis.get_xscale() for axis in axes if axis.get_xlabel()}
    assert scales["rate"] == scales["width"] == "log"
    assert scales["depth"] == scales["activation"] == "linear"
    marks = {axis.get_xlabel(): [t.get_text() for t in axis.get_xticklabels()] for axis in axes}
    assert marks["normalise"] == ["none", "batch_norm"]
    assert marks["rate"] == ["0.0001", "0.001", "0.01", "0.1"]


def test_few_trials_say_how_many_an_importance_needs(tmp_path):
    draw_importance(shown(3), tmp_path / "importance.svg")
    assert "8 trials are needed, there are 3" in (tmp_path / "importance.svg").read_text()


@pytest.mark.parametrize("draw", DRAWN)
def test_what_cannot_be_written_is_refused(draw, tmp_path):
    with pytest.raises(SettingError, match=r"\.zip"):
        draw(shown(2), tmp_path / "picture.zip")
    with pytest.raises(FileError, match="cannot write"):
        draw(shown(2), tmp_path / "missing" / "picture.svg")


def test_a_space_of_choices_only_has_axes():
    found = axes_of(Space({"hidden": Choice("8", "8,8"), "rate": [0.1, 0.2, True]}))
    assert [axis.labels for axis in found] == [("8", "8,8"), ("0.1", "0.2", "true")]
