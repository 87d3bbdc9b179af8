"""Networks side by side: means of probabilities and numbers, mixtures, votes, ties, refusals."""

import math

import numpy as np
import pytest

import thalweg as tw
from thalweg.compiler.native.program import NativeProgram
from thalweg.compiler.passes.pipeline import optimise
from thalweg.compiler.trace import trace
from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import DataError, SettingError, ShapeError
from thalweg.graph import Tensor
from thalweg.nn import losses
from thalweg.nn.ensemble import KINDS, Ensemble, combined, kind_of
from thalweg.nn.layer import blueprint, evaluate, initialise
from thalweg.training.learning import check_rows, learn_states

RNG = np.random.default_rng(0)
LOSSES = {
    "classes": losses.CrossEntropy(),
    "binary": losses.BinaryCrossEntropy(),
    "tanh": losses.TanhCrossEntropy(),
    "numbers": losses.SquaredError(),
    "rates": losses.PoissonNLL(),
    "soft_rates": losses.PoissonNLL("softplus"),
    "gaussian": losses.GaussianNLL(),
    "soft_gaussian": losses.GaussianNLL("softplus"),
}


def _softmax(z):
    powers = np.exp(z - z.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _sigma(z):
    return 0.5 * (1 + np.tanh(z / 2))


PROBABILITIES = {
    "classes": _softmax,
    "binary": _sigma,
    "tanh": lambda z: (1 + np.tanh(z)) / 2,
    "numbers": lambda z: z,
    "rates": np.exp,
    "soft_rates": lambda z: np.log1p(np.exp(z)),
    "gaussian": lambda z: z[..., :2],
    "soft_gaussian": lambda z: z[..., :2],
}


def _combined(net, combine="mean", kind="classes", weights=None, ties="probability"):
    """The output for members' outputs (K, N, C) that are given."""
    given = np.ones(len(net)) if weights is None else np.asarray(weights, float)
    shaped = given.reshape(-1, *(1,) * (net.ndim - 1)).astype(net.dtype)
    return combined(Tensor(net), Tensor(shaped), combine, kind, ties).numpy()


# ------------------------------------------------------------------ means


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", [None, (1.0, 0.0, 2.5)])
def test_the_loss_turns_the_output_into_the_mean_prediction(kind, weights):
    net = RNG.normal(size=(3, 7, 4)) * 3
    wanted = np.average(PROBABILITIES[kind](net), axis=0, weights=weights)
    for dtype, bound in (("float64", 1e-12), ("float32", 2e-6)):
        found = _combined(net.astype(dtype), kind=kind, weights=weights)
        assert found.dtype == dtype
        assert np.isfinite(found).all()
        predicted = LOSSES[kind].predict(found).numpy()
        np.testing.assert_allclose(predicted, wanted, bound, bound * np.abs(wanted).max())


def test_every_loss_has_its_kind():
    assert {kind: kind_of(loss) for kind, loss in LOSSES.items()} == {kind: kind for kind in KINDS}
    assert kind_of(losses.Hinge()) == "binary"
    assert kind_of(losses.MultiClassHinge()) == "classes"
    assert kind_of(losses.Huber()) == "numbers"

    class Cubes(losses.Loss):
        def predict(self, outputs):
            return outputs**3

    assert kind_of(Cubes()) is None


def test_means_of_extreme_outputs_keep_their_digits():
    net = np.array([[[900.0, 0.0]], [[0.0, 900.0]], [[0.0, 800.0]]])
    np.testing.assert_allclose(_softmax(_combined(net)), [[1 / 3, 2 / 3]], rtol=1e-12)
    sure = np.array([[[-800.0]], [[-700.0]]])  # mean probability ½(e⁻⁸⁰⁰ + e⁻⁷⁰⁰)
    np.testing.assert_allclose(_combined(sure, kind="binary"), [[-700 - math.log(2)]], rtol=1e-12)
    rates = np.array([[[1000.0]], [[1000.0]]])
    np.testing.assert_allclose(_combined(rates, kind="rates"), [[1000.0]], rtol=1e-12)
    tiny = np.array([[[-900.0]], [[-900.0]]])
    assert np.isfinite(_combined(tiny, kind="soft_rates")).all()


def test_a_mixture_of_gaussians_has_its_mean_and_variance():
    mu, raw = RNG.normal(size=(2, 3, 5, 2))
    weights, floor = np.array([1.0, 3.0, 2.0]), 0.01
    mean = np.average(mu, axis=0, weights=weights)
    for link, kind in (("exp", "gaussian"), ("softplus", "soft_gaussian")):
        each = floor + (np.exp(raw) if link == "exp" else np.log1p(np.exp(raw)))
        variance = np.average(each + mu**2, axis=0, weights=weights) - mean**2
        output = _combined(np.concatenate([mu, raw], -1), kind=kind, weights=weights)
        loss = losses.GaussianNLL(link, floor=floor)
        np.testing.assert_allclose(loss.predict(output).numpy(), mean, rtol=1e-12)
        np.testing.assert_allclose(loss.deviation(output).numpy(), np.sqrt(variance), rtol=1e-10)


def test_the_mean_of_outputs_is_the_geometric_mean_of_probabilities():
    net = RNG.normal(size=(4, 6, 3))
    wanted = np.exp(np.log(_softmax(net)).mean(0))
    wanted /= wanted.sum(-1, keepdims=True)
    np.testing.assert_allclose(_softmax(_combined(net, "mean_outputs")), wanted, rtol=1e-12)


# ------------------------------------------------------------------ votes


def _elected(choices, classes, sizes=1.0):
    """Members' outputs (K, 1, classes) in which each prefers its choice."""
    sizes = np.broadcast_to(sizes, len(choices))
    return np.eye(classes)[list(choices)][:, None, :] * sizes[:, None, None]


def test_votes_are_counted():
    shares = _softmax(_combined(_elected((2, 0, 2, 2, 1), 4), "vote"))
    np.testing.assert_allclose(shares, [[0.2, 0.2, 0.6, 0.0]], rtol=1e-12)
    assert shares[0, 3] == 0
    weighted = _combined(_elected((2, 0, 2), 3), "vote", weights=(1, 3, 1))
    np.testing.assert_allclose(_softmax(weighted), [[0.6, 0.0, 0.4]], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_mean_probability_decides_between_equal_votes(dtype):
    net = _elected((0, 0, 1, 1), 3, (1.0, 1.0, 1.0, 2.0)).astype(dtype)
    near = 1e-13 if dtype == "float64" else 1e-5
    for ties, winner in (("probability", 1), ("first", 0)):
        shares = _softmax(_combined(net, "vote", ties=ties))
        np.testing.assert_allclose(shares, [[0.5, 0.5, 0.0]], atol=near)
        assert np.argmax(shares) == winner
    even = _elected((0, 0, 1, 1), 3).astype(dtype)
    assert np.argmax(_softmax(_combined(even, "vote"))) == 0


def test_a_class_that_nobody_votes_for_does_not_win():
    net = np.array([[[5.0, 0.0, 4.9]], [[0.0, 5.0, 4.9]]])  # the mean prefers the last class
    assert np.argmax(_combined(net)) == 2
    assert np.argmax(_combined(net, "vote")) == 0


@pytest.mark.parametrize("kind", ["binary", "tanh"])
def test_votes_on_labels(kind):
    net = np.array([1.0, -2.0, 3.0, 0.5])[:, None, None]
    predict = PROBABILITIES[kind]
    np.testing.assert_allclose(predict(_combined(net, "vote", kind)), [[0.75]], rtol=1e-12)
    assert predict(_combined(np.abs(net), "vote", kind)) == 1.0
    assert predict(_combined(-np.abs(net), "vote", kind)) == 0.0
    for second, above in ((-2.0, False), (-0.5, True)):
        tied = np.array([1.0, second])[:, None, None]
        found = predict(_combined(tied, "vote", kind))
        np.testing.assert_allclose(found, 0.5, atol=1e-13)
        assert (found > 0.5) == above
        assert predict(_combined(tied, "vote", kind, ties="first")) == 0.5


def test_a_hard_vote_of_sklearn_takes_the_first_of_equals():
    voting = pytest.importorskip("sklearn.ensemble")
    base = pytest.importorskip("sklearn.base")

    class Fixed(base.ClassifierMixin, base.BaseEstimator):
        def __init__(self, net=None):
            self.net = net

        def fit(self, x, y):
            self.classes_ = np.unique(y)
            return self

        def predict_proba(self, x):
            return _softmax(self.net)

        def predict(self, x):
            return np.argmax(self.net, -1)

    nets = RNG.normal(size=(4, 60, 3)).round(1) + RNG.uniform(0, 1e-3, size=(4, 60, 3))
    x, y = np.zeros((60, 1)), np.arange(60) % 3
    weights = [1, 2, 1, 1]
    members = [(str(place), Fixed(net)) for place, net in enumerate(nets)]
    for kind, combine in (("hard", "vote"), ("soft", "mean")):
        judge = voting.VotingClassifier(members, voting=kind, weights=weights).fit(x, y)
        found = _combined(nets, combine, weights=weights, ties="first")
        np.testing.assert_array_equal(np.argmax(found, -1), judge.predict(x))
        if kind == "soft":
            np.testing.assert_allclose(_softmax(found), judge.predict_proba(x), rtol=1e-12)


# ------------------------------------------------------------------ the layer


def test_members_are_named_by_their_places_and_start_apart():
    member = tw.Sequential(tw.Linear(3), tw.Tanh(), tw.Linear(2))
    net = Ensemble((member, tw.Linear(2)))
    assert list(initialise(net, 4)) == [
        "0.0.weight", "0.0.bias", "0.2.weight", "0.2.bias", "1.weight", "1.bias",
    ]  # fmt: skip
    assert net.summary(4).parameters == 23 + 10
    twins = initialise(Ensemble((member, member)), 4)
    assert not np.array_equal(twins["0.0.weight"], twins["1.0.weight"])


@pytest.mark.parametrize("combine", ["mean", "vote", "mean_outputs"])
def test_weights_are_inputs_of_the_program(combine):
    net = Ensemble((tw.Linear(3), tw.Linear(3), tw.Linear(3)), combine, weights=(1, 2, 4))
    start = {path: RNG.normal(size=v.shape) for path, v in initialise(net, 2).items()}
    x = RNG.normal(size=(9, 2))

    def output(weights):
        members = (tw.Linear(3),) * 3
        varied = Ensemble(members, combine, weights=tuple(weights[k] for k in range(3)))
        return evaluate(varied, start, x).output

    graph = trace(output, np.array([1.0, 2.0, 4.0]))
    native = NativeProgram(optimise(graph).graph)
    each = [x @ start[f"{k}.weight"] + start[f"{k}.bias"] for k in range(3)]
    for weights in ((1.0, 2.0, 4.0), (3.0, 0.0, 1.0)):
        wanted = _combined(np.stack(each), combine, weights=weights)
        found = native(np.array(weights))[0]
        np.testing.assert_allclose(_softmax(found), _softmax(wanted), rtol=1e-12, atol=1e-15)


def test_an_ensemble_can_be_trained_as_a_whole():
    x = RNG.normal(size=(60, 2))
    y = (x[:, 0] > x[:, 1]).astype(int)
    net = Ensemble((tw.Sequential(tw.Linear(4), tw.Tanh(), tw.Linear(2)), tw.Linear(2)))
    run = tw.fit(net, x, y, epochs=20, optimizer=tw.Adam(0.05), progress=False)
    assert run.history["train_loss"][-1] < 0.6 * run.history["train_loss"][0]


def test_layers_at_the_front_of_members_learn_and_check_rows():
    member = tw.Sequential(tw.Impute(), tw.Standardise(), tw.Linear(1))
    net = Ensemble((member, member), kind="numbers")
    x = np.array([[1.0], [np.nan], [3.0]])
    assert net.takes_missing
    states = learn_states(net, x, {}, "float64")
    assert states["0.1.mean"] == states["1.1.mean"] == 2.0
    mixed = Ensemble((member, tw.Linear(1)), kind="numbers")
    assert not mixed.takes_missing
    codes = Ensemble((tw.Embedding(3, 2), tw.Embedding(2, 2)), kind="numbers")
    check_rows(codes, {}, np.array([[1.0]]))
    with pytest.raises(DataError, match="2"):
        check_rows(codes, {}, np.array([[2.0]]))


def test_an_ensemble_goes_through_json():
    net = Ensemble(
        (tw.Linear(2), tw.Sequential(tw.Linear(2))), "vote", "classes", (0.5, 2.0), "first"
    )
    assert from_plain("layer", to_plain(net)) == net


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"members": ()}, r"Ensemble.members is empty: give at least one network"),
        ({"weights": (1.0,)}, r"holds 1 numbers for 2 members"),
        ({"weights": (0.0, 0.0)}, r"leaves no member"),
        ({"weights": (1.0, -1.0)}, r"Ensemble.weights\[1\] = -1.0 is outside \[0"),
        ({"combine": "median"}, r"'median' is not one of mean, vote, mean_outputs"),
        ({"combine": "vote", "kind": "numbers"}, r"'vote' is for classes, but .* 'numbers'"),
    ],
)
def test_what_makes_no_ensemble_is_refused(fields, message):
    with pytest.raises(SettingError, match=message):
        Ensemble(**{"members": (tw.Linear(2), tw.Linear(2)), **fields})


def test_outputs_of_different_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"member 1 has outputs \(3,\), member 0 has \(2,\)"):
        blueprint(Ensemble((tw.Linear(2), tw.Linear(3))), 4)
    with pytest.raises(ShapeError, match="a mean and a variance for each target"):
        blueprint(Ensemble((tw.Linear(3),), kind="gaussian"), 4)
