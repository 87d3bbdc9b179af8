"""Initialisers: measured moments and ranges against the formulas, and the automatic choice."""

import math

import msgspec
import numpy as np
import pytest
import scipy.stats

from thalweg.descriptions import from_plain, make, members, to_plain
from thalweg.errors import SettingError
from thalweg.nn.activations import (
    ELU,
    GELU,
    HardLogistic,
    HardTanh,
    LeakyReLU,
    Logistic,
    Maxout,
    PReLU,
    ReLU,
    Softmax,
    Softplus,
    Swish,
    Tanh,
)
from thalweg.nn.containers import Sequential
from thalweg.nn.dropout import Dropout
from thalweg.nn.initialisers import (
    Auto,
    Constant,
    Fans,
    He,
    IdentityMatrix,
    Initialiser,
    LeCun,
    Normal,
    Orthogonal,
    Sparse,
    TruncatedNormal,
    Uniform,
    VarianceScaling,
    Xavier,
    Zeros,
)
from thalweg.nn.layer import apply_network, blueprint, initialise
from thalweg.nn.lenet import InverseFanIn
from thalweg.nn.linear import Linear

FANS = Fans(250, 400)
SHAPE = (250, 400)  # 10⁵ draws: the variance is known to ±0.5 % (normal), ±0.3 % (uniform)


def _draw(initialiser, fans=FANS):
    return initialiser.sample(np.random.default_rng(7), SHAPE, fans)


VARIANCES = [
    (Normal(0.3), 0.09),
    (Normal(2.0, mean=5.0), 4.0),
    (Uniform(0.6), 0.12),
    (Xavier(), 2 / 650),
    (Xavier("normal"), 2 / 650),
    (Xavier(gain=4.0), 32 / 650),
    (Xavier("normal", gain=0.5), 0.5 / 650),
    (He(), 2 / 250),
    (InverseFanIn(), (2.4 / 250) ** 2 / 3),
    (He("uniform"), 2 / 250),
    (He(mode="outputs"), 2 / 400),
    (LeCun(), 1 / 250),
    (LeCun("uniform"), 1 / 250),
    (VarianceScaling(3.0, "inputs", "normal"), 3 / 250),
    (VarianceScaling(3.0, "outputs", "normal"), 3 / 400),
    (VarianceScaling(3.0, "average", "normal"), 3 / 325),
    (VarianceScaling(0.5, "average", "uniform"), 0.5 / 325),
    (Auto(), 2 / 650),
]


@pytest.mark.parametrize(("initialiser", "variance"), VARIANCES)
def test_mean_variance_and_distribution(initialiser, variance):
    draw = _draw(initialiser)
    mean = getattr(initialiser, "mean", 0.0)
    assert draw.dtype == "float64"
    assert abs(draw.mean() - mean) < 5 * math.sqrt(variance / draw.size)
    assert draw.var() == pytest.approx(variance, rel=0.02)
    uniform = isinstance(initialiser, (Uniform, Auto, InverseFanIn)) or (
        getattr(initialiser, "distribution", "") == "uniform"
    )
    bound = math.sqrt(3 * variance)
    judge = (
        scipy.stats.uniform(-bound, 2 * bound)
        if uniform
        else scipy.stats.norm(mean, math.sqrt(variance))
    )
    assert scipy.stats.kstest(draw.ravel(), judge.cdf).pvalue > 1e-3
    if uniform:
        assert bound * 0.999 < np.abs(draw).max() <= bound


def test_zeros_and_constants():
    assert not _draw(Zeros()).any()
    assert (_draw(Constant(0.01)) == 0.01).all()
    assert Constant(1).sample(np.random.default_rng(0), (2,), FANS).dtype == "float64"


def test_no_random_number_is_spent_where_none_is_needed():
    rng = np.random.default_rng(1)
    Zeros().sample(rng, (3,), FANS)
    Constant(2.0).sample(rng, (3,), FANS)
    assert rng.random() == np.random.default_rng(1).random()


def test_a_unit_without_inputs_has_no_weights():
    for name in members("initialiser"):
        fields = {"value": 1.0} if name == "constant" else {}
        assert make("initialiser", name, **fields).sample(
            np.random.default_rng(0), (0, 3), Fans(0, 0)
        ).shape == (0, 3)


@pytest.mark.parametrize(
    "initialiser", [item for item, _ in VARIANCES] + [Zeros(), Constant(0.5)], ids=str
)
def test_descriptions_survive_json(initialiser):
    text = msgspec.json.encode(to_plain(initialiser))
    assert from_plain("initialiser", msgspec.json.decode(text)) == initialiser


def test_every_registered_initialiser_is_measured_here():
    elsewhere = {Zeros, Constant, TruncatedNormal, Orthogonal, IdentityMatrix, Sparse}
    measured = {type(item) for item, _ in VARIANCES} | elsewhere
    assert set(members("initialiser").values()) == measured


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: Normal(-1.0), r"Normal.std = -1.0 is outside \[0, ∞\)"),
        (lambda: Xavier("gaussian"), "'gaussian' is not one of uniform, normal"),
        (lambda: He(mode="fan_in"), "He.mode = 'fan_in' is not one of inputs, outputs"),
        (lambda: Constant(math.inf), r"Constant.value = inf is outside \(-∞, ∞\)"),
    ],
)
def test_settings_outside_their_range_are_refused(make_it, message):
    with pytest.raises(SettingError, match=message):
        make_it()


def test_an_initialiser_without_a_sample_method_says_so():
    with pytest.raises(NotImplementedError, match="Initialiser has no sample method"):
        Initialiser().sample(np.random.default_rng(0), (1,), FANS)


# ------------------------------------------------------------------ the automatic choice

RECTIFIERS = [
    ReLU(),
    LeakyReLU(),
    PReLU(),
    ELU(),
    Softplus(),
    Swish(),
    GELU(),
    Maxout(2),
    Maxout(2, 3),
]
CHOICES = [
    *((layer, He()) for layer in RECTIFIERS),
    (Tanh(), Xavier()),
    (HardTanh(), Xavier()),
    (Logistic(), Xavier(gain=4.0)),
    (HardLogistic(), Xavier(gain=4.0)),
    (Softmax(), Xavier()),
    (Linear(3), Xavier()),
    (Dropout(), Xavier()),
    (None, Xavier()),
]


@pytest.mark.parametrize(("following", "wanted"), CHOICES, ids=str)
def test_the_choice_follows_the_activation(following, wanted):
    assert Auto().choose(Fans(3, 4, following)) == wanted
    drawn = _draw(Auto(), FANS._replace(following=following))
    np.testing.assert_array_equal(drawn, _draw(wanted))


def _choices(network):
    plan = blueprint(network, 5)
    return {
        path: Auto().choose(parameter.fans)
        for path, parameter in plan.parameters.items()
        if path.endswith("weight")
    }


def test_a_network_chooses_for_each_layer():
    net = Sequential(Linear(4), ReLU(), Linear(4), Tanh(), Linear(4), Logistic(), Linear(2))
    assert _choices(net) == {
        "0.weight": He(),
        "2.weight": Xavier(),
        "4.weight": Xavier(gain=4.0),
        "6.weight": Xavier(),
    }


def test_dropout_between_weights_and_activation_is_looked_past():
    net = Sequential(Linear(4), Dropout(0.1), Dropout(0.2), ReLU(), Linear(2), Dropout(0.1))
    assert _choices(net) == {"0.weight": He(), "4.weight": Xavier()}


def test_the_choice_looks_into_and_out_of_nested_sequences():
    net = Sequential(
        Sequential(Linear(4), Dropout(0.1)),
        Sequential(Dropout(0.1), Sequential(ReLU(), Linear(3))),
        Sequential(),
    )
    assert _choices(net) == {"0.0.weight": He(), "1.1.1.weight": Xavier()}


def test_measured_start_of_a_rectifier_layer():
    weights = initialise(Sequential(Linear(400), ReLU()), 250)["0.weight"]
    assert weights.dtype == "float32"
    assert weights.var() == pytest.approx(2 / 250, rel=0.02)


def _signal(start, activation):
    """The mean square after 20 layers; median over starts."""
    layers = [layer for _ in range(20) for layer in (Linear(96, weight=start), activation)]
    net = Sequential(layers)
    x = np.random.default_rng(0).normal(size=(32, 96)).astype("float32")
    outputs = (apply_network(net, initialise(net, 96, seed), x).numpy() for seed in range(5))
    return np.median([np.mean(output**2) for output in outputs])


def test_signals_neither_vanish_nor_explode_with_depth():
    assert 0.2 < _signal(Auto(), ReLU()) < 5
    assert _signal(Xavier(), ReLU()) < 2**-15  # halved by each layer
    assert 0.01 < _signal(Auto(), Tanh()) < 1
    assert _signal(Normal(0.01), Tanh()) < 1e-20
