import math

import numpy as np
import pytest
from scipy import stats

import thalweg as tw
from thalweg.errors import SettingError
from thalweg.searching.spaces.values import canonical, plain_value, settled, value_text

PLACES = np.linspace(0, 1, 1001)[:-1] + 0.0005

DOMAINS = [
    tw.Range(-2.0, 3.0),
    tw.Range(1e-6, 10.0, log=True),
    tw.Range(0, 0.7, step=0.1),
    tw.Range(1000, 1000.5, step=0.05),
    tw.Whole(-3, 9),
    tw.Whole(1, 4096, log=True),
    tw.Whole(16, 256, step=16),
    tw.Choice("elu", None, 3, 0.5, True, (64, 64), tw.ReLU()),
]


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_places_to_values_and_back(domain):
    for place in (*PLACES, 0.0, 1.0):
        value = domain.at(float(place))
        back = domain.at(domain.place(value))
        assert back == pytest.approx(value, rel=1e-12) if type(value) is float else back == value
        assert domain.read(plain_value(value)) == value


EVEN = [one for one in DOMAINS if one.count and not getattr(one, "log", False)]


@pytest.mark.parametrize("domain", EVEN, ids=repr)
def test_equal_parts_of_the_unit_interval_hold_equally_many_values(domain):
    places = (np.arange(40 * domain.count) + 0.5) / (40 * domain.count)
    found = [canonical(domain.at(float(place))) for place in places]
    assert {found.count(text) for text in set(found)} == {40}
    assert len(set(found)) == domain.count


def test_logarithmic_draws_follow_the_closed_form(rng):
    low, high = 1e-5, 1e-1
    domain = tw.Range(low, high, log=True)
    drawn = [domain.at(float(place)) for place in rng.random(4000)]
    assert stats.kstest(drawn, stats.loguniform(low, high).cdf).pvalue > 0.01
    even = [tw.Range(low, high).at(float(place)) for place in rng.random(4000)]
    assert stats.kstest(even, stats.uniform(low, high - low).cdf).pvalue > 0.01
    assert stats.kstest(even, stats.loguniform(low, high).cdf).pvalue < 1e-6


def test_logarithmic_whole_numbers_follow_the_closed_form():
    domain = tw.Whole(1, 50, log=True)
    counts = np.bincount([domain.at(float(place)) for place in np.linspace(0, 1, 100_001)[:-1]])[1:]
    numbers = np.arange(1, 51)
    expected = np.log((numbers + 0.5) / (numbers - 0.5)) / math.log(50.5 / 0.5)
    np.testing.assert_allclose(counts / 100_000, expected, atol=2e-5)


def test_steps_are_the_numbers_that_people_write():
    assert tw.Range(0, 1, step=0.1).grid(99) == [n / 10 for n in range(11)]
    assert tw.Range(0.05, 0.35, step=0.05).grid(99) == [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35]
    assert tw.Range(0, 1, step=0.1).read(0.1 + 0.2) == 0.3


def test_grids():
    assert tw.Range(0, 1).grid(5) == [0, 0.25, 0.5, 0.75, 1]
    assert tw.Range(0, 1).grid(1) == [0.5]
    assert tw.Range(1e-4, 1, log=True).grid(5) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])
    assert tw.Range(1e-4, 1, log=True).grid(5)[0] == 1e-4
    assert tw.Whole(1, 4).grid(9) == [1, 2, 3, 4]
    assert tw.Whole(0, 100).grid(3) == [0, 50, 100]
    assert tw.Whole(1, 100, log=True).grid(3) == [1, 10, 100]
    assert tw.Choice(4, 2).grid(1) == [4, 2]


def test_edges():
    log = tw.Range(1e-4, 1.0, log=True)
    assert log.edge(10**-3.93) == "lowest"
    assert log.edge(10**-3.9) is None
    assert log.edge(0.9) == "highest"
    assert tw.Range(0, 100).edge(2) == "lowest"
    assert tw.Range(0, 100).edge(2.1) is None
    assert [tw.Whole(2, 5).edge(n) for n in (2, 3, 5)] == ["lowest", None, "highest"]
    assert [tw.Range(0, 3, step=1).edge(n) for n in (0.0, 1.0, 3.0)] == ["lowest", None, "highest"]
    assert tw.Choice(1, 2).edge(1) is None


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: tw.Range(0.1, 0.1), "Range(low=0.1, high=0.1) is empty: low must be below high"),
        (lambda: tw.Range(1, 0), "exchange low and high"),
        (lambda: tw.Whole(4, 4), "write 4 for a constant"),
        (lambda: tw.Range(0, 1, log=True), "needs low > 0, got 0.0"),
        (lambda: tw.Whole(0, 9, log=True), "needs low > 0, got 0"),
        (lambda: tw.Range(0, 1, step=0.3), "in a whole number of steps, here 3.33333"),
        (lambda: tw.Range(0, 1, step=0), "step=0.0"),
        (lambda: tw.Range(0, 1, step=-0.5), "step must be above 0"),
        (lambda: tw.Whole(1, 10, step=2), "in a whole number of steps, here 4.5"),
        (lambda: tw.Whole(1, 10, step=3, log=True), "log and step do not go together"),
        (lambda: tw.Range("a", 1), "low must be a finite number, got 'a'"),
        (lambda: tw.Range(True, 2), "low must be a finite number, got True"),
        (lambda: tw.Range(0, math.inf), "high must be a finite number, got inf"),
        (lambda: tw.Range(0, 10**400), "high must be a finite number"),
        (lambda: tw.Range(math.nan, 1), "low must be a finite number, got nan"),
        (lambda: tw.Range(-1.7e308, 1.7e308), "too wide"),
        (lambda: tw.Whole(1.5, 3), "low must be a whole number, got 1.5"),
        (lambda: tw.Whole(0, 2**60), "beyond ±2⁵³"),
        (lambda: tw.Range(1, 2, log="yes"), "log must be True or False, got 'yes'"),
        (lambda: tw.Choice(), "Choice is empty"),
        (lambda: tw.Choice(16, 32, 16), "Choice holds 16 twice"),
        (lambda: tw.Choice(None, "none"), "Choice holds none twice"),
        (lambda: tw.Choice(object()), "a value of Choice must be a finite number, a text"),
        (lambda: tw.Choice(math.nan), "got nan"),
        (lambda: tw.Range(0, 1, when=["a"]), "when must map names to lists of values"),
        (lambda: tw.Range(0, 1, when={"a": 3}), "when['a'] must be a list"),
        (lambda: tw.Range(0, 1, when={"a": []}), "at least one value"),
    ],
)
def test_bad_ranges_are_refused_with_their_values(make, said):
    with pytest.raises(SettingError) as caught:
        make()
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (tw.Range(0, 1), 1.5),
        (tw.Range(0, 1), "half"),
        (tw.Range(0, 1), True),
        (tw.Range(0, 1, step=0.25), 0.3),
        (tw.Whole(1, 9), 2.0),
        (tw.Whole(1, 9, step=4), 3),
        (tw.Choice(1, 2), 1.0),
        (tw.Choice(1, 2), True),
    ],
)
def test_values_outside_are_not_read(domain, value):
    with pytest.raises(SettingError, match="is not in"):
        domain.read(value)


def test_values_as_data_and_text():
    assert settled(np.float32(0.5)) == 0.5
    assert settled({"a": [1, "none"]}) == {"a": (1, None)}
    assert plain_value({"a": (1, tw.Adam(0.1)), "b": math.inf}) == {
        "a": [1, "adam(learning_rate=0.1)"],
        "b": "inf",
    }
    assert [value_text(v) for v in (tw.Tanh(), "x", 1e-5)] == ["tanh", "x", "1e-05"]
    assert canonical(1) != canonical(1.0)
    assert canonical(1) != canonical(True)


def test_ranges_are_frozen_values():
    assert tw.Range(0, 1) == tw.Range(0.0, 1.0)
    assert len({tw.Range(0, 1), tw.Range(0, 1), tw.Whole(0, 1)}) == 2
    with pytest.raises(AttributeError):
        tw.Range(0, 1).low = 3
