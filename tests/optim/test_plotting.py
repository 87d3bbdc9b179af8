"""Pictures of schedules: what is on them, the same bytes again, what cannot be drawn."""

import sys

import numpy as np
import pytest

from thalweg.errors import FileError, SettingError
from thalweg.optim.plotting import sampled
from thalweg.optim.schedules import ConstantRate, Cosine, Geometric, WarmUp


def test_a_long_run_is_sampled_from_end_to_end():
    steps, rates = sampled(Cosine(1.0), 100_000, most=500)
    assert (steps[0], steps[-1], len(steps)) == (0, 99_999, 500)
    np.testing.assert_allclose(rates, 0.5 * (1 + np.cos(np.pi * steps / 100_000)), atol=1e-15)
    steps, rates = sampled(ConstantRate(0.5), 7)
    assert steps.tolist() == list(range(7))
    assert rates.tolist() == [0.5] * 7


def test_the_picture_shows_the_rates(tmp_path):
    pytest.importorskip("matplotlib")
    schedule = WarmUp(Cosine(0.1), length=4)
    figure = schedule.plot(20, 5, tmp_path / "one.svg")
    line = figure.axes[0].lines[0]
    assert line.get_xdata()[:-1].tolist() == list(range(20))
    np.testing.assert_array_equal(line.get_ydata()[:-1], schedule.rates(20, 5))
    text = (tmp_path / "one.svg").read_text(encoding="utf-8")
    for words in ("updates", "epochs", "learning rate η", "warm_up(then=cosine(initial=0.1)"):
        assert words in text, words
    schedule.plot(20, 5, tmp_path / "two.svg")
    assert (tmp_path / "two.svg").read_bytes() == (tmp_path / "one.svg").read_bytes()
    schedule.plot(20, path=str(tmp_path / "one.png"))
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_a_steep_rate_has_a_logarithmic_scale():
    pytest.importorskip("matplotlib")
    assert Geometric(1e-7, final=10.0).plot(50).axes[0].get_yscale() == "log"
    assert Cosine(0.1).plot(50).axes[0].get_yscale() == "linear"
    assert ConstantRate(0.0).plot(50).axes[0].get_ylim() == (0.0, 1.0)


def test_what_cannot_be_drawn_is_refused(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(SettingError, match=r"the ending '\.doc' is not one of .*\.png.*\.svg"):
        Cosine().plot(5, path=tmp_path / "one.doc")
    with pytest.raises(FileError, match=r"cannot write .*absent.*: No such file"):
        Cosine().plot(5, path=tmp_path / "absent" / "one.svg")
    with pytest.raises(SettingError, match=r"WarmUp\.length = 100 updates is longer"):
        WarmUp(0.1, length=100).plot(50)
    with pytest.raises(SettingError, match="total_steps must be a whole number"):
        Cosine().plot(0)


def test_without_matplotlib_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingError, match="drawing needs matplotlib: pip install matplotlib"):
        Cosine().plot(5)
