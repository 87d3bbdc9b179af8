"""Categories as numbers: which numbers, what training did not have, JSON there and back."""

import copy
import json

import numpy as np
import pytest

from thalweg.data.codes import MAX_CODES
from thalweg.data.encoding import TableEncoder
from thalweg.data.inference import infer_schema
from thalweg.data.reading import table_from_frame
from thalweg.errors import DescriptionError, SettingError

TRAIN = {
    "age": [20.0, 30.0, 25.0, 50.0, 60.0, 20.0],
    "sex": ["m", "f", "m", None, "f", "m"],
    "job": ["cook", "nurse", "cook", "smith", "nurse", "cook"],
}


def fitted(columns=None, **changes):
    table = table_from_frame((columns or TRAIN) | changes)
    return TableEncoder.fit(table, infer_schema(table), categories="embedding")


def codes(encoder, columns):
    encoded = encoder.transform(table_from_frame(columns))
    places = list(encoder.codes)
    return encoded.values[:, places].astype(int).tolist(), encoded.notes


def test_categories_are_numbered_from_one_in_order():
    encoder = fitted()
    assert encoder.feature_names == ("age", "sex (category)", "job (category)")
    assert encoder.codes == {1: 4, 2: 4}
    found, notes = codes(encoder, TRAIN)
    assert found == [[2, 1], [1, 2], [2, 1], [3, 3], [1, 2], [2, 1]]
    assert notes == ()


def test_what_training_did_not_have_is_zero_and_said():
    changed = TRAIN | {"sex": ["m", "x", None, "m", "f", "m"], "job": [None, "poet"] + ["cook"] * 4}
    found, notes = codes(fitted(), changed)
    assert found == [[2, 0], [0, 0], [3, 1], [2, 1], [1, 1], [2, 1]]
    said = [note.message for note in notes]
    assert "column 'sex', row 1: 'x' was not seen in training (1 such category in 1 row)" in said[0]
    assert "'poet' was not seen in training" in said[1]
    assert "column 'job', row 0: missing (1 cell), though training had none" in said[2]


def test_rare_categories_share_a_number():
    names = [f"k{i:04}" for i in range(MAX_CODES + 200)]
    values = names + names[:MAX_CODES] * 4
    columns = {"k": values, "x": list(np.linspace(0, 1, len(values)))}
    encoder = fitted(columns)
    assert encoder.codes == {0: MAX_CODES + 2}
    found, _ = codes(encoder, {"k": [names[0], names[-1], "new"], "x": [0.0, 0.0, 0.0]})
    assert found == [[1], [MAX_CODES + 1], [MAX_CODES + 1]]


def test_the_encoder_survives_json():
    encoder = fitted()
    again = TableEncoder.from_plain(json.loads(json.dumps(encoder.to_plain())))
    assert again == encoder
    assert again.codes == encoder.codes
    damaged = copy.deepcopy(encoder.to_plain())
    damaged["columns"][1]["levels"] = "m"
    with pytest.raises(DescriptionError, match=r"table\.columns\[1\]\.levels"):
        TableEncoder.from_plain(damaged)


def test_other_words_are_refused():
    table = table_from_frame(TRAIN)
    with pytest.raises(SettingError, match="categories = 'ordinal' is not one of one_hot, embed"):
        TableEncoder.fit(table, infer_schema(table), categories="ordinal")
    assert TableEncoder.fit(table, infer_schema(table)).codes == {}
