"""A process killed while it saves a model leaves a model that loads and predicts."""

import pytest
from tests.storage.killing import assert_nothing_lost, kill_while_saving

import thalweg as tw

CHILD = """
import dataclasses, itertools, sys
import numpy as np, thalweg as tw

path, start = sys.argv[1], int(sys.argv[2])
x = np.arange(12.0).reshape(6, 2)
model = tw.fit(tw.Sequential(tw.Linear(64), tw.Tanh(), tw.Linear(1)), x, x[:, 0], epochs=1,
               progress=False).model
for number in itertools.count(start):
    dataclasses.replace(model, record={"number": number}).save(path)
    print(number, flush=True)
"""


def check_kills(folder, kills):
    path = folder / "model.safetensors"

    def read():
        model = tw.load(path)
        assert model.predict([[1.0, 2.0]]).shape == (1,)
        return model.record["number"]

    assert_nothing_lost(kill_while_saving(CHILD, [str(path)], read, kills=kills))


def test_five_kills(tmp_path):
    check_kills(tmp_path, 5)


@pytest.mark.soak
def test_two_hundred_kills(tmp_path):
    check_kills(tmp_path, 200)
