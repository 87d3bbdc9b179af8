"""``thalweg train --categories``: vectors for categories from the command line."""

import thalweg as tw

SHORT = ("--target", "sold", "--out", "here", "--epochs", 2, "--hidden", 4)


def test_categories_get_vectors(thalweg, csv):
    done = thalweg("train", csv(), *SHORT, "--categories", "embedding")
    assert done.code == 0
    model = tw.load("here/model.safetensors")
    vectors = model.network[0].branches[1].layer
    assert (vectors.categories, vectors.features) == (4, 2)
    assert thalweg("predict", "here", csv(city=["Rom"] * 40), "--out", "p.csv").code == 0


def test_the_default_is_an_input_for_each(thalweg, csv):
    assert thalweg("train", csv(), *SHORT).code == 0
    assert isinstance(tw.load("here/model.safetensors").network[0], tw.Linear)


def test_another_word_is_refused(thalweg, csv):
    done = thalweg("train", csv(), *SHORT, "--categories", "codes")
    assert done.code == 2
    assert "categories = 'codes' is not one of one_hot, embedding" in done.err
