"""The direction of L-BFGS against dense algebra."""

import numpy as np
import pytest

from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import SettingError
from thalweg.optim.lbfgs import LBFGS, direction


def dense(gradient, moves, changes):
    """-H g with H updated pair by pair as a matrix (the BFGS formula)."""
    s, y = moves[-1], changes[-1]
    inverse = np.eye(len(gradient)) * (s @ y) / (y @ y)
    for s, y in zip(moves, changes, strict=True):
        share = 1 / (s @ y)
        left = np.eye(len(s)) - share * np.outer(s, y)
        inverse = left @ inverse @ left.T + share * np.outer(s, s)
    return -inverse @ gradient


def test_the_direction_is_that_of_the_bfgs_matrix():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6))
    curvature = root @ root.T + np.eye(6)
    moves = rng.normal(size=(4, 6))
    changes = moves @ curvature
    gradient = rng.normal(size=6)
    expected = dense(gradient, moves, changes)
    np.testing.assert_allclose(direction(gradient, moves, changes), expected, rtol=1e-10)
    np.testing.assert_array_equal(direction(gradient, moves[:0], changes[:0]), -gradient)


def test_settings_are_checked_and_written():
    rule = LBFGS(memory=4, c2=0.5)
    assert from_plain("optimizer", to_plain(rule)) == rule
    with pytest.raises(SettingError, match=r"c2 = 0.1 must be > c1, which is 0.2"):
        LBFGS(c1=0.2, c2=0.1)
    with pytest.raises(SettingError, match=r"c1 = 0 is outside \(0, 1\)"):
        LBFGS(c1=0)
    with pytest.raises(SettingError, match="through fit"):
        LBFGS().update({}, {}, {}, None)
