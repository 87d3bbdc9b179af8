"""Learning rates for other batch sizes."""

import math

import pytest

from thalweg.errors import SettingError
from thalweg.optim.scaling import linear_scaling


def test_the_rate_grows_with_the_batch_or_its_root():
    assert linear_scaling(0.1, 256, 8192) == pytest.approx(3.2)
    assert linear_scaling(0.1, 256, 64) == pytest.approx(0.025)
    assert linear_scaling(0.1, 100, 200, rule="root") == pytest.approx(0.1 * math.sqrt(2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((0.0, 1, 2), r"learning_rate = 0\.0 is outside \(0, ∞\)"),
        ((math.inf, 1, 2), r"learning_rate = inf is outside"),
        ((0.1, 0, 2), r"from_batch = 0 must be a whole number of at least 1"),
        ((0.1, 1, 2.5), r"to_batch = 2\.5 must be a whole number"),
    ],
)
def test_what_is_no_batch_is_refused(given, message):
    with pytest.raises(SettingError, match=message):
        linear_scaling(*given)


def test_an_unknown_rule_is_refused():
    with pytest.raises(SettingError, match="rule = 'cubic' is not one of linear, root"):
        linear_scaling(0.1, 1, 2, rule="cubic")
