"""Clipping against its formulas, at and beyond the bound."""

import numpy as np
import pytest

from thalweg.descriptions import from_plain, members, to_plain
from thalweg.errors import SettingError
from thalweg.graph import Tensor
from thalweg.optim.clipping import ClipNorm, ClipValue, as_clipping, global_norm


def gradients(scale):
    rng = np.random.default_rng(0)
    return {"a": Tensor(scale * rng.normal(size=(3, 2))), "b": Tensor(scale * rng.normal(size=4))}


def flat(values):
    return np.concatenate([value.numpy().ravel() for value in values.values()])


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_the_global_norm_is_bounded_and_the_direction_kept(scale):
    before = gradients(scale)
    after = ClipNorm(2.0)(before)
    norm = np.linalg.norm(flat(before))
    np.testing.assert_allclose(float(global_norm(before)), norm, rtol=1e-12)
    np.testing.assert_allclose(flat(after), flat(before) * min(1.0, 2.0 / norm), rtol=1e-12)


def test_zero_gradients_stay_zero_and_infinite_ones_show():
    assert not flat(ClipNorm(1.0)({"a": Tensor([0.0, 0.0])})).any()
    assert np.isnan(flat(ClipNorm(1.0)({"a": Tensor([np.inf, 1.0])}))).any()


def test_values_are_limited_elementwise():
    after = ClipValue(-0.5, 1.0)({"a": Tensor([-2.0, 0.25, 3.0])})
    np.testing.assert_array_equal(flat(after), np.float32([-0.5, 0.25, 1.0]))


@pytest.mark.parametrize("clipping", [ClipNorm(3.0), ClipValue(-1.0, 2.0)])
def test_clippings_survive_json(clipping):
    assert from_plain("clipping", to_plain(clipping)) == clipping
    assert type(clipping) in members("clipping").values()


def test_a_number_means_a_norm_and_bounds_are_checked():
    assert as_clipping(2.0) == ClipNorm(2.0)
    assert as_clipping(None) is None
    with pytest.raises(SettingError, match=r"ClipNorm.bound = 0 is outside \(0, ∞\)"):
        as_clipping(0)


def test_gradients_whose_squares_overflow_are_clipped_too():
    large = {"w": Tensor(np.float32([3e20, 4e20])), "b": Tensor(np.float32([0.0]))}
    np.testing.assert_allclose(flat(ClipNorm(1.0)(large)), [0.6, 0.8, 0.0], rtol=1e-6)
