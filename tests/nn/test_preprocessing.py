"""Layers fitted to rows: what they learn, what they give, what they refuse."""

import json
import re

import numpy as np
import pytest

import thalweg as tw
from thalweg.descriptions import from_plain, to_plain
from thalweg.errors import DataError, DescriptionError, SettingError, ShapeError
from thalweg.nn.layer import evaluate

ROWS = np.random.default_rng(0).normal(size=(40, 4)) * [1.0, 10.0, 0.1, 3.0] + [5.0, -3.0, 0.0, 1e4]
MIXED = ROWS @ np.random.default_rng(1).normal(size=(4, 4))
FRESH = np.random.default_rng(2).normal(size=(7, 4)) * 9
NAN = np.nan


def given(layer, rows, x=None):
    """What a layer gives for x (or for the rows) after learning from rows."""
    states = layer.learn(rows)
    return evaluate(layer, {}, rows if x is None else x, states=states).output.numpy()


# ------------------------------------------------------------------ scaling


def test_min_max_is_its_formula():
    low, high = ROWS.min(0), ROWS.max(0)
    wanted = -2 + 5 * (FRESH - low) / (high - low)
    found = given(tw.MinMax(-2.0, 3.0), ROWS, FRESH)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    clipped = given(tw.MinMax(-2.0, 3.0, clip=True), ROWS, FRESH)
    np.testing.assert_allclose(clipped, np.clip(wanted, -2, 3), rtol=1e-12)
    inside = given(tw.MinMax(), ROWS)
    np.testing.assert_array_equal([inside.min(0), inside.max(0)], [[0.0] * 4, [1.0] * 4])


def test_standardise_is_its_formula():
    wanted = (FRESH - ROWS.mean(0)) / ROWS.std(0)
    np.testing.assert_allclose(given(tw.Standardise(), ROWS, FRESH), wanted, rtol=1e-11)


def test_standardise_by_hand():
    # 2, 4, 4, 4, 5, 5, 7, 9: the textbook sample of mean 5 and standard deviation 2
    rows = np.array([2.0, 4, 4, 4, 5, 5, 7, 9])[:, None]
    states = tw.Standardise().learn(rows)
    assert (states["mean"].item(), states["scale"].item()) == (5.0, 2.0)


def test_constant_columns_become_zero_and_low():
    rows = np.column_stack([np.full(7, 0.1), np.arange(7.0)])
    assert not given(tw.Standardise(), rows)[:, 0].any()
    assert (given(tw.MinMax(-1.0, 1.0), rows)[:, 0] == -1.0).all()
    assert given(tw.Standardise(), rows, np.array([[1.1, 3.0]])).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("size", [1e200, 1e-200, 1.0])
def test_moments_of_huge_and_tiny_numbers(size):
    found = given(tw.Standardise(), size * (ROWS - ROWS.mean(0)))
    np.testing.assert_allclose([found.mean(0), found.std(0)], [[0.0] * 4, [1.0] * 4], atol=1e-12)


def test_moments_far_from_zero():
    rows = 1e9 + np.random.default_rng(3).normal(size=(2000, 1))
    states = tw.Standardise().learn(rows)
    exact = (rows - 1e9).std()
    np.testing.assert_allclose(states["scale"], exact, rtol=1e-9)


def test_rows_of_more_axes_have_moments_for_each_element():
    rows = np.random.default_rng(4).normal(size=(9, 2, 3))
    wanted = (rows - rows.mean(0)) / rows.std(0)
    np.testing.assert_allclose(given(tw.Standardise(), rows), wanted, rtol=1e-11)


# ------------------------------------------------------------------ whitening


def test_pca_whitening_makes_the_covariance_the_identity():
    found = given(tw.PCAWhitening(), MIXED)
    np.testing.assert_allclose(np.cov(found.T), np.eye(4), atol=1e-6)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-9)


def test_principal_components_by_hand():
    # points on the line y = 2x, with a small step off it: directions (1, 2)/√5 and (2, -1)/√5
    along, off = np.array([1.0, 2.0]) / 5**0.5, np.array([2.0, -1.0]) / 5**0.5
    rows = np.array([10.0, 20.0]) + np.stack([3 * along, -3 * along, off, -off])
    layer = tw.PCAWhitening(whiten=False)
    states = layer.learn(rows)
    np.testing.assert_allclose(states["matrix"], np.column_stack([along, off]), atol=1e-12)
    np.testing.assert_allclose(states["mean"], [10.0, 20.0])
    np.testing.assert_allclose(given(layer, rows)[:2], [[3, 0], [-3, 0]], atol=1e-12)


def test_pca_keeps_the_wanted_components_and_share():
    whole = given(tw.PCAWhitening(), MIXED)
    np.testing.assert_allclose(given(tw.PCAWhitening(2), MIXED), whole[:, :2], rtol=1e-9)
    variances = np.linalg.eigvalsh(np.cov(MIXED.T))[::-1]
    shares = np.cumsum(variances) / variances.sum()
    within = given(tw.PCAWhitening(share=float(shares[1]) - 1e-9), MIXED)
    np.testing.assert_allclose(within[:, :2], whole[:, :2], rtol=1e-9)
    assert within.shape == (40, 4)
    assert not within[:, 2:].any()


def test_zca_is_symmetric_and_makes_the_covariance_the_identity():
    layer = tw.ZCAWhitening()
    matrix = layer.learn(MIXED)["matrix"]
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_allclose(np.cov(given(layer, MIXED).T), np.eye(4), atol=1e-6)
    np.testing.assert_allclose(matrix @ np.cov(MIXED.T) @ matrix, np.eye(4), atol=1e-6)


def test_epsilon_is_added_to_each_variance():
    rows = MIXED[:, :2]
    values, vectors = np.linalg.eigh(np.cov(rows.T))
    wanted = vectors @ np.diag(1 / np.sqrt(values + 0.5)) @ vectors.T
    np.testing.assert_allclose(tw.ZCAWhitening(0.5).learn(rows)["matrix"], wanted, rtol=1e-9)


@pytest.mark.parametrize("layer", [tw.PCAWhitening, tw.ZCAWhitening])
@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (MIXED[:4], r"of 4 components needs more than 4 training rows, got 4 rows of 4 columns"),
        (MIXED[:1], r"has 1 row to learn from; a covariance needs at least 2"),
        (MIXED * [1, 0, 1, 1] + [0, 7, 0, 0], r"column 1 is constant \(7\) in the 40 training"),
        (MIXED[:, [0, 1, 0, 2]], r"the 4 columns vary in 3 directions only"),
    ],
)
def test_rows_without_variance_cannot_be_whitened(layer, rows, message):
    with pytest.raises(DataError, match=message):
        layer().learn(rows)
    if len(rows) > 1:
        assert np.isfinite(given(layer(epsilon=1e-3), rows)).all()


def test_fewer_components_need_fewer_rows():
    assert given(tw.PCAWhitening(2), MIXED[:3]).shape == (3, 2)
    with pytest.raises(SettingError, match=r"components = 5 is outside \[0, 4\]"):
        tw.PCAWhitening(5).learn(MIXED)
    with pytest.raises(SettingError, match=r"components = 5 is outside \[0, 4\]"):
        tw.Sequential(tw.PCAWhitening(5), tw.Linear(1)).summary(4)


# ------------------------------------------------------------------ missing values


@pytest.mark.parametrize(
    ("strategy", "fill"),
    [("median", 2.5), ("mean", 3.0), ("most_frequent", 1.0), ("constant", -7.0)],
)
def test_what_stands_in_for_missing_values(strategy, fill):
    rows = np.array([[1.0], [NAN], [4.0], [1.0], [6.0]])
    found = given(tw.Impute(strategy, value=-7.0, indicator=True), rows)
    assert found[:, 0].tolist() == [1.0, fill, 4.0, 1.0, 6.0]
    assert found[:, 1].tolist() == [0.0, 1.0, 0.0, 0.0, 0.0]


def test_ties_go_to_the_smallest_value():
    assert tw.Impute("most_frequent").learn(np.array([[3.0], [2.0], [3.0], [2.0]]))["fill"] == 2.0


def test_a_column_without_values_is_refused():
    rows = np.array([[1.0, NAN], [2.0, NAN]])
    with pytest.raises(DataError, match=r"column 1 has no value in the 2 training rows"):
        tw.Impute().learn(rows)
    assert given(tw.Impute("constant", 5.0), rows)[:, 1].tolist() == [5.0, 5.0]


@pytest.mark.parametrize(
    "layer",
    [tw.MinMax(), tw.Standardise(), tw.PCAWhitening(), tw.ZCAWhitening(), tw.OneHot(40)],
)
def test_missing_values_are_refused_by_name(layer):
    rows = ROWS.copy()
    rows[3, 2] = NAN
    name = type(layer).__name__
    with pytest.raises(
        DataError, match=rf"column 2 is missing \(NaN\) in row 3 .*{name} takes no .*Impute\(\)"
    ):
        layer.learn(rows)


# ------------------------------------------------------------------ categories


def test_one_hot_by_hand():
    rows = np.array([[3.0, 0.0], [7.0, 1.0], [5.0, 0.0]])
    found = given(tw.OneHot(3), rows, np.array([[5.0, 1.0], [4.0, 0.0], [7.0, 2.0]]))
    assert found.tolist() == [[0, 1, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0]]


def test_more_values_than_categories_are_refused():
    with pytest.raises(
        DataError, match=r"column 1 holds 40 different values, more than OneHot\.categories = 3"
    ):
        tw.OneHot(3).learn(np.column_stack([np.zeros(40), np.arange(40)]))


def test_an_unseen_value_is_refused_or_nothing():
    layer = tw.OneHot(2, unseen="error")
    states = layer.learn(np.array([[1.0], [2.0]]))
    layer.check(np.array([[2.0], [1.0]]), states)
    with pytest.raises(DataError, match=r"column 0 holds 3 in row 1 .*known: 1, 2"):
        layer.check(np.array([[2.0], [3.0]]), states)
    found = evaluate(layer, {}, np.array([[2.0], [3.0]]), states=states).output.numpy()
    assert found[0].tolist() == [0.0, 1.0]
    assert np.isnan(found[1]).all()


WEIGHT = np.arange(12.0).reshape(4, 3)


def test_embedding_is_a_row_of_its_matrix():
    layer = tw.Embedding(4, 3)
    for x in (np.array([2, 0, 3]), np.array([[1, 1], [3, 0]]), np.array([[1.0, 3.0]])):
        found = tw.apply_network(layer, {"weight": WEIGHT}, x).numpy()
        np.testing.assert_array_equal(found, WEIGHT[x.astype(int)])
    flat = tw.apply_network(tw.Embedding(4, 3, flatten=True), {"weight": WEIGHT}, [[1, 3]])
    assert flat.numpy().tolist() == [[3, 4, 5, 9, 10, 11]]


def test_gradients_of_an_embedding_add_up_by_category():
    x = np.array([1.0, 3.0, 1.0])
    factors = np.random.default_rng(0).normal(size=(3, 3))

    def loss(parameters):
        return (tw.apply_network(tw.Embedding(4, 3), parameters, x) * factors).sum()

    found = tw.grad(loss)({"weight": WEIGHT})["weight"].numpy()
    wanted = np.zeros((4, 3))
    np.add.at(wanted, [1, 3, 1], factors)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("value", [4, -1, 1.5, 1e30, NAN, np.inf])
def test_an_embedding_of_an_unknown_category(value):
    x = np.array([0.0, value])
    with pytest.raises(
        DataError, match=rf"Embedding got {value:.9g}; .* 0 to 3; correct it".replace("+", r"\+")
    ):
        tw.apply_network(tw.Embedding(4, 3), {"weight": WEIGHT}, x)
    first = tw.apply_network(tw.Embedding(4, 3, unknown="first"), {"weight": WEIGHT}, x)
    assert first.numpy()[1].tolist() == WEIGHT[0].tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_unknown_category_is_nan_where_it_cannot_be_refused(dtype):
    x = np.array([3.0, 4.0, -1.0, 0.5, NAN, 1e30, np.inf], dtype)
    weight = WEIGHT.astype(dtype)
    for unknown, wanted in (("error", np.full(3, NAN)), ("first", WEIGHT[0])):
        layer = tw.Embedding(4, 3, unknown=unknown)
        compiled = tw.compile(lambda w, x: tw.apply_network(layer, {"weight": w}, x))  # noqa: B023
        found = compiled(weight, x)
        np.testing.assert_array_equal(np.asarray(found)[0], WEIGHT[3])
        np.testing.assert_array_equal(np.asarray(found)[1:], np.tile(wanted, (6, 1)))


# ------------------------------------------------------------------ columns


def test_columns_go_through_layers_of_their_own():
    x = np.column_stack([ROWS, np.arange(40) % 3])
    net = tw.Columns(
        tw.Branch((3, 0), tw.Linear(2, bias=False)),
        tw.Branch((1,)),
        tw.Branch([4], tw.Embedding(3, 2)),
    )
    parameters = tw.initialise(net, 5, dtype="float64")
    assert {path: value.shape for path, value in parameters.items()} == {
        "0.weight": (2, 2),
        "2.weight": (3, 2),
    }
    wanted = np.column_stack(
        [x[:, [3, 0]] @ parameters["0.weight"], x[:, 1], parameters["2.weight"][np.arange(40) % 3]]
    )
    np.testing.assert_allclose(tw.apply_network(net, parameters, x).numpy(), wanted, rtol=1e-12)


def test_columns_survive_json():
    net = tw.Sequential(
        tw.Columns(
            tw.Branch((0, 2), tw.Sequential(tw.Impute("mean", indicator=True), tw.Standardise())),
            tw.Branch((1,), tw.Embedding(9, 4, unknown="first")),
        ),
        tw.Linear(1),
    )
    text = json.dumps(to_plain(net))
    assert from_plain("layer", json.loads(text)) == net


@pytest.mark.parametrize("columns", [(), (-1,), (0, 0), (0.5,), 3, "ab", None])
def test_columns_that_are_none_are_refused(columns):
    with pytest.raises(SettingError, match=r"Branch\.columns takes different whole numbers ≥ 0"):
        tw.Branch(columns)


def test_columns_that_are_not_there_are_refused():
    net = tw.Columns(tw.Branch((0,)), tw.Branch((1, 9)))
    with pytest.raises(ShapeError, match=r"branch 1 of Columns takes column 9, .* 4 columns"):
        net.summary(4)
    with pytest.raises(ShapeError, match=r"Columns takes rows \(N, C\)"):
        net.summary((4, 2))
    with pytest.raises(SettingError, match=r"at least one Branch"):
        tw.Columns()
    plain = to_plain(net)
    plain["branches"][0]["columns"] = [-3]
    with pytest.raises(DescriptionError, match=re.escape("Branch.columns takes different")):
        from_plain("layer", plain)


# ------------------------------------------------------------------ judges


def test_scaling_agrees_with_scikit_learn():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    rows = np.column_stack([ROWS, np.full(40, 3.25)])
    fresh = np.column_stack([FRESH, np.arange(7)])
    for ours, theirs in (
        (tw.Standardise(), preprocessing.StandardScaler()),
        (tw.MinMax(), preprocessing.MinMaxScaler()),
        (tw.MinMax(-1.0, 4.0, clip=True), preprocessing.MinMaxScaler((-1, 4), clip=True)),
    ):
        wanted = theirs.fit(rows).transform(fresh)
        np.testing.assert_allclose(given(ours, rows, fresh), wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("whiten", [True, False])
def test_components_agree_with_scikit_learn(whiten):
    decomposition = pytest.importorskip("sklearn.decomposition")
    theirs = decomposition.PCA(3, whiten=whiten, svd_solver="full").fit(MIXED)
    wanted = theirs.transform(FRESH)
    found = given(tw.PCAWhitening(3, whiten=whiten), MIXED, FRESH)
    signs = np.sign((wanted * found).sum(0))
    np.testing.assert_allclose(found * signs, wanted, rtol=1e-6, atol=1e-8)
    share = decomposition.PCA(0.98, svd_solver="full").fit(MIXED).n_components_
    kept = tw.PCAWhitening(share=0.98).learn(MIXED)["matrix"].any(axis=0)
    assert kept.tolist() == [True] * share + [False] * (4 - share)


@pytest.mark.parametrize("strategy", ["median", "mean", "most_frequent", "constant"])
def test_imputing_agrees_with_scikit_learn(strategy):
    impute = pytest.importorskip("sklearn.impute")
    rng = np.random.default_rng(5)
    rows = np.round(rng.normal(size=(60, 3)), 1)
    rows[rng.random(rows.shape) < 0.2] = NAN
    rows[:, 1] = 4.0
    fresh = np.where(rng.random((9, 3)) < 0.3, NAN, 1.5)
    fresh[:, 1] = 2.0
    theirs = impute.SimpleImputer(strategy=strategy, fill_value=3.0, add_indicator=True).fit(rows)
    found = given(tw.Impute(strategy, value=3.0, indicator=True), rows, fresh)
    np.testing.assert_allclose(found[:, [0, 1, 2, 3, 5]], theirs.transform(fresh), rtol=1e-12)
    assert not found[:, 4].any()


def test_one_hot_agrees_with_scikit_learn():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    rng = np.random.default_rng(6)
    rows = np.column_stack([rng.integers(0, 5, 60) * 1.5, rng.integers(0, 3, 60) - 1.0])
    fresh = np.column_stack([rng.integers(0, 7, 20) * 1.5, rng.integers(0, 4, 20) - 1.0])
    theirs = preprocessing.OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(rows)
    layer = tw.OneHot(5)
    known = layer.learn(rows)["known"].reshape(-1) > 0
    np.testing.assert_array_equal(given(layer, rows, fresh)[:, known], theirs.transform(fresh))


def test_embedding_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(7).integers(0, 4, (6, 2))
    factors = np.random.default_rng(8).normal(size=(6, 2, 3))
    theirs = torch.nn.Embedding(4, 3, dtype=torch.float64)
    weight = theirs.weight.detach().numpy().copy()
    wanted = theirs(torch.tensor(x))
    (wanted * torch.tensor(factors)).sum().backward()
    layer = tw.Embedding(4, 3)
    found = tw.apply_network(layer, {"weight": weight}, x)
    np.testing.assert_array_equal(found.numpy(), wanted.detach().numpy())
    loss = tw.grad(lambda p: (tw.apply_network(layer, p, x) * factors).sum())
    gradient = loss({"weight": weight})["weight"].numpy()
    np.testing.assert_allclose(gradient, theirs.weight.grad.numpy(), rtol=1e-12)
