"""Learned vectors for the categories of a table: built, trained, saved, used on what is new."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.errors import SettingError
from thalweg.tabular import fit_table, prepare_table
from thalweg.tabular.vectors import with_vectors

RNG = np.random.default_rng(0)
TOWNS = [f"town {i}" for i in range(30)]
PLACES = RNG.integers(0, 30, 900)
WORTH = RNG.normal(size=30)
SIZES = RNG.normal(size=900)
COLUMNS = {
    "town": [TOWNS[place] for place in PLACES],
    "size": SIZES.tolist(),
    "kind": RNG.choice(["a", "b", "c"], 900).tolist(),
    "price": (10 * WORTH[PLACES] + 3 * SIZES + 100).tolist(),
}


@pytest.fixture(scope="module")
def run():
    return fit_table(
        COLUMNS, "price", categories="embedding", hidden=(16,), epochs=40, progress=False
    )


def test_the_network_begins_with_a_vector_for_each_category(run):
    front = run.model.network[0]
    assert front.branches[0] == tw.Branch((1,))
    town, kind = (branch.layer for branch in front.branches[1:])
    assert [branch.columns for branch in front.branches[1:]] == [(0,), (2,)]
    assert (town.categories, town.features, town.unknown) == (31, 6, "first")
    assert (kind.categories, kind.features) == (4, 2)
    assert run.model.parameters["0.1.weight"].shape == (31, 6)
    assert run.prepared.x.shape == (900, 3)


def test_it_learns_and_the_baseline_is_that_of_inputs_for_each_category(run):
    assert run.test["r2"] > 0.9
    simple = prepare_table(COLUMNS, "price")
    np.testing.assert_array_equal(run.prepared.simple, simple.x)
    assert run.baselines["linear model"]["r2"] > 0.9


def test_saved_and_loaded_it_predicts_the_same_and_says_what_is_new(run, tmp_path):
    model = tw.load(run.save(tmp_path))
    assert model.network == run.model.network
    assert model.encoder == run.model.encoder
    rows = {name: values[:5] for name, values in COLUMNS.items()}
    assert model.predict(rows).tobytes() == run.model.predict(rows).tobytes()
    new = rows | {"town": ["Atlantis", None, *rows["town"][2:]]}
    inputs, notes = model.inputs(new)
    assert inputs[:2, 0].tolist() == [0.0, 0.0]
    assert any("'Atlantis' was not seen in training" in note.message for note in notes)
    predicted = model.predict(new)
    assert np.isfinite(predicted).all()
    assert predicted[0] != model.predict(rows)[0]
    start = np.abs(model.parameters["0.1.weight"][0]).max()
    assert start < 0.25, "the vector of what is new stays near zero"


def test_a_network_of_ones_own_takes_numbers_and_vectors():
    prepared = prepare_table(COLUMNS, "price", categories="embedding")
    own = tw.Tanh()
    found = with_vectors(own, prepared.encoder)
    assert found.layers[1:] == (own,)
    assert found.summary(3).rows[-1].output_shape == (1 + 6 + 2,)
    plain = prepare_table(COLUMNS, "price")
    assert with_vectors(own, plain.encoder) is own


def test_a_table_of_categories_alone():
    columns = {name: COLUMNS[name] for name in ("town", "kind", "price")}
    run = fit_table(columns, "price", categories="embedding", epochs=2, progress=False)
    assert len(run.model.network[0].branches) == 2


def test_other_words_are_refused_before_the_table_is_read():
    with pytest.raises(SettingError, match="categories = 'codes' is not one of one_hot, embedding"):
        fit_table("no such table", "y", categories="codes")
