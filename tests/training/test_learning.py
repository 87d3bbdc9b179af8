"""What front layers learn from training rows, in which order, and where they may stand."""

import numpy as np
import pytest
from tests.training.problems import same_bits

import thalweg as tw
from thalweg.errors import DataError, SettingError
from thalweg.nn import front
from thalweg.nn.batch_norm import BatchNorm1d
from thalweg.nn.layer import blueprint, evaluate, initial_states
from thalweg.training.job import Chosen
from thalweg.training.learning import front_takes_missing, learn_states

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(60, 3)) * [1.0, 50.0, 0.2] + [3.0, -100.0, 0.0]
HOLES = np.where(RNG.random((60, 3)) < 0.2, np.nan, ROWS)
NAN = np.nan


def table(rows=90, seed=1):
    """Two numbers of very different size, one with holes, a category, and a target of them."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 2)) * [1000.0, 0.01] + [5e4, 0.0]
    kinds = rng.integers(0, 4, rows)
    y = (numbers[:, 0] - 5e4) / 1000 + 100 * numbers[:, 1] + np.array([0, 2, -1, 5])[kinds]
    numbers[rng.random(rows) < 0.1, 0] = NAN
    return np.column_stack([numbers, kinds]), y


def mixed(unknown="error"):
    """Numbers filled and standardised, categories embedded."""
    return tw.Sequential(
        tw.Columns(
            tw.Branch((0, 1), tw.Sequential(tw.Impute("mean"), tw.Standardise())),
            tw.Branch((2,), tw.Embedding(5, 3, unknown=unknown)),
        ),
        tw.Linear(8),
        tw.Tanh(),
        tw.Linear(1),
    )


# ------------------------------------------------------------------ learning


def test_layers_learn_from_what_those_in_front_give():
    net = tw.Sequential(tw.Impute("mean"), tw.Sequential(tw.Standardise(), tw.PCAWhitening(2)))
    net = tw.Sequential(net, tw.Linear(1))
    states = learn_states(net, HOLES, {}, "float64")
    filled = np.where(np.isnan(HOLES), np.nanmean(HOLES, axis=0), HOLES)
    standard = (filled - filled.mean(0)) / filled.std(0)
    np.testing.assert_allclose(states["0.0.fill"], np.nanmean(HOLES, axis=0), rtol=1e-12)
    np.testing.assert_allclose(states["0.1.0.mean"], filled.mean(0), rtol=1e-12)
    np.testing.assert_allclose(states["0.1.0.scale"], filled.std(0), rtol=1e-12)
    values = np.linalg.eigvalsh(np.cov(standard.T))[::-1]
    lengths = np.linalg.norm(states["0.1.1.matrix"], axis=0)
    np.testing.assert_allclose(lengths, 1 / np.sqrt(values[:2]), rtol=1e-9)


def test_states_have_the_shapes_and_types_that_the_network_asks_for():
    net = tw.Sequential(
        tw.Columns(
            tw.Branch((0,), tw.OneHot(4)),
            tw.Branch((1, 2), tw.Sequential(tw.Impute(indicator=True), tw.MinMax())),
        ),
        tw.Sequential(tw.Standardise(), tw.ZCAWhitening(1e-3)),
        tw.Linear(2),
    )
    rows = HOLES.copy()
    rows[:, 0] = np.arange(60) % 3
    plan = blueprint(net, 3, "float32")
    states = learn_states(net, rows, initial_states(plan), "float32")
    assert {path: value.shape for path, value in states.items()} == {
        path: state.shape for path, state in plan.states.items()
    }
    assert all(value.dtype == "float32" for value in states.values())
    output = evaluate(tw.Sequential(*net.layers[:2]), {}, rows.astype("float32"), states=states)
    assert np.isfinite(output.output.numpy()).all()


def test_rows_are_read_piece_by_piece_with_the_same_result(monkeypatch):
    net = tw.Sequential(tw.Impute("mean"), tw.Standardise(), tw.PCAWhitening(), tw.Linear(1))
    whole = learn_states(net, HOLES, {}, "float64")
    base = np.concatenate([HOLES * 7, HOLES])
    monkeypatch.setattr(front, "BLOCK", 20)
    monkeypatch.setattr(front, "_KEPT", 0)
    pieces = learn_states(net, Chosen(base, np.arange(60, 120)), {}, "float64")
    for path, value in whole.items():
        np.testing.assert_allclose(pieces[path], value, rtol=1e-9, atol=1e-12, err_msg=path)


def test_rows_are_taken_in_the_type_of_the_network():
    rows = np.array([[0.1], [0.3]])
    net = tw.Sequential(tw.OneHot(2), tw.Linear(1))
    states = learn_states(net, rows, {})
    given = evaluate(
        tw.OneHot(2),
        {},
        rows.astype("float32"),
        states={"values": states["0.values"], "known": states["0.known"]},
    )
    np.testing.assert_array_equal(given.output.numpy(), np.eye(2))


def test_a_layer_without_parameters_may_stand_before():
    net = tw.Sequential(tw.Dropout(0.5), tw.ReLU(), tw.Standardise(), tw.Linear(1))
    states = learn_states(net, ROWS, {}, "float64")
    np.testing.assert_allclose(states["2.mean"], np.maximum(ROWS, 0).mean(0), rtol=1e-12)


def test_states_that_came_with_a_start_are_kept():
    net = tw.Sequential(tw.MinMax(), tw.Standardise(), tw.Linear(1))
    start = {"0.minimum": np.zeros(3), "0.range": np.full(3, 10.0)}
    states = learn_states(net, ROWS, start, "float64", known=start)
    assert states["0.range"].tolist() == [10.0] * 3
    np.testing.assert_allclose(states["1.mean"], ROWS.mean(0) / 10, rtol=1e-12)


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    "net",
    [
        tw.Sequential(tw.Linear(3), tw.Standardise(), tw.Linear(1)),
        tw.Sequential(tw.Sequential(tw.Linear(3)), tw.Sequential(tw.Standardise()), tw.Linear(1)),
        tw.Sequential(tw.Columns(tw.Branch((0,), tw.Linear(1))), tw.Standardise()),
        tw.Sequential(BatchNorm1d(), tw.Standardise(), tw.Linear(1)),
        lambda x, scope: scope.apply("out", tw.Linear(1), scope.apply("in", tw.Standardise(), x)),
    ],
)
def test_behind_a_trained_layer_there_is_nothing_to_learn_from(net):
    with pytest.raises(
        SettingError,
        match=r"layer .* \(Standardise\) is fitted to the training rows, so it must stand at the",
    ):
        learn_states(net, ROWS, {})


def test_missing_values_are_named_where_nothing_takes_them():
    rows = ROWS.copy()
    rows[7, 2] = NAN
    columns = tw.Columns(tw.Branch((0,), tw.Impute()), tw.Branch((1, 2), tw.Standardise()))
    for net in (tw.Sequential(tw.Standardise()), columns, tw.Sequential(columns)):
        with pytest.raises(DataError, match=r"column 2 is missing \(NaN\) in row 7"):
            learn_states(tw.Sequential(net, tw.Linear(1)), rows, {})
    bare = tw.Columns(tw.Branch((0,), tw.Impute()), tw.Branch((1, 2)))
    with pytest.raises(DataError, match=r"column 2 is missing .* layer Identity at 0\.1"):
        learn_states(tw.Sequential(bare, tw.Linear(1)), rows, {})
    aside = tw.Columns(tw.Branch((0, 1), tw.Sequential(tw.Impute(), tw.Standardise())))
    learn_states(tw.Sequential(aside, tw.Linear(1)), rows, {})


def test_mixtures_are_named_by_their_layer():
    net = tw.Sequential(tw.PCAWhitening(), tw.OneHot(5), tw.Linear(1))
    with pytest.raises(DataError, match=r"column 0 of the output of layer 0 holds 60 different"):
        learn_states(net, ROWS, {}, "float64")


def test_what_the_type_cannot_hold_is_refused():
    rows = np.array([[3e38], [-3e38]], "float32")
    with pytest.raises(DataError, match=r"layer 0 \(MinMax\) learned a range that float32 cannot"):
        learn_states(tw.Sequential(tw.MinMax(), tw.Linear(1)), rows, {})


@pytest.mark.parametrize(
    ("net", "takes"),
    [
        (tw.Impute(), True),
        (tw.Sequential(tw.Sequential(tw.Impute()), tw.Linear(1)), True),
        (tw.Sequential(tw.Columns(tw.Branch((0,)), tw.Branch((1,), tw.Impute()))), True),
        (tw.Sequential(tw.Embedding(3, 2, unknown="first")), True),
        (tw.Sequential(tw.Embedding(3, 2)), False),
        (tw.Sequential(tw.Standardise(), tw.Impute()), False),
        (tw.Sequential(), False),
        (lambda x, scope: x, False),
    ],
)
def test_who_takes_missing_values(net, takes):
    assert front_takes_missing(net) is takes


# ------------------------------------------------------------------ fit


def test_fit_learns_from_training_rows_alone():
    x, y = table()
    x[80:, :2] *= 1000
    run = tw.fit(
        mixed(),
        x[:80],
        y[:80],
        epochs=2,
        validation=(x[80:], y[80:]),
        dtype="float64",
        progress=False,
    )
    numbers = np.where(np.isnan(x[:80, :2]), np.nanmean(x[:80, :2], axis=0), x[:80, :2])
    states = run.model.states
    np.testing.assert_allclose(states["0.0.1.mean"], numbers.mean(0), rtol=1e-9)
    np.testing.assert_allclose(states["0.0.1.scale"], numbers.std(0), rtol=1e-9)


def test_a_trained_model_keeps_its_preprocessing(tmp_path):
    x, y = table(300)
    run = tw.fit(mixed(), x, y, epochs=150, batch_size=32, optimizer=tw.Adam(0.02), progress=False)
    error = np.mean((run.model.predict(x) - y) ** 2) / y.var()
    assert error < 0.15
    run.model.save(tmp_path / "model.safetensors")
    loaded = tw.load(tmp_path / "model.safetensors")
    assert loaded.network == run.model.network
    assert same_bits(dict(loaded.states), dict(run.model.states))
    assert loaded.predict(x).tobytes() == run.model.predict(x).tobytes()


@pytest.mark.parametrize(
    "net",
    [
        tw.Sequential(tw.MinMax(-1.0, 1.0, clip=True), tw.PCAWhitening(2), tw.Linear(1)),
        tw.Sequential(tw.Standardise(), tw.ZCAWhitening(1e-6), tw.Linear(1)),
        tw.Sequential(tw.Columns(tw.Branch((2, 0), tw.Standardise())), tw.Linear(1)),
    ],
)
def test_training_sees_what_the_front_gives(net):
    y = ROWS @ [1.0, 0.02, 3.0]
    run = tw.fit(net, ROWS, y, epochs=3, batch_size=20, dtype="float64", progress=False)
    first = net.layers[:-1]
    states = learn_states(net, ROWS, {}, "float64")
    given = evaluate(tw.Sequential(*first), {}, ROWS, states=states).output.numpy()
    bare = tw.Sequential(*[tw.Identity()] * len(first), tw.Linear(1))
    place = f"{len(first)}.weight"
    start = {place: run_start(net, place)}
    again = tw.fit(
        bare, given, y, epochs=3, batch_size=20, dtype="float64", progress=False, start=start
    )
    found, wanted = run.model.parameters[place], again.model.parameters[place]
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


def run_start(net, path):
    """The starting value of a parameter."""
    return tw.initialise(net, 3, dtype="float64")[path]


def test_fit_and_predict_refuse_what_the_front_does_not_take():
    x, y = table()
    model = tw.fit(mixed(), x, y, epochs=1, progress=False).model
    wrong = x[:3].copy()
    wrong[1, 2] = 7
    with pytest.raises(DataError, match=r"column 2 holds 7 in row 1 .*from 0 to 4; correct it"):
        model.predict(wrong)
    wrong[1, 2] = NAN
    with pytest.raises(DataError, match=r"column 2 is missing \(NaN\) in row 1"):
        model.predict(wrong)
    with pytest.raises(DataError, match=r"column 2 is missing \(NaN\) in row 1"):
        tw.fit(mixed(), wrong, y[:3], epochs=1, progress=False)
    first = tw.fit(mixed("first"), x, y, epochs=1, progress=False).model
    wrong[:, 2] = [NAN, 7, 0]
    zeros = wrong.copy()
    zeros[:, 2] = 0
    assert first.predict(wrong).tobytes() == first.predict(zeros).tobytes()


def test_an_unseen_category_of_validation_rows_is_refused():
    x, y = table()
    x[85, 2] = 9
    with pytest.raises(DataError, match=r"column 2 holds 9 in row 5"):
        tw.fit(mixed(), x[:80], y[:80], validation=(x[80:], y[80:]), epochs=1, progress=False)
