"""A process killed while it saves leaves a readable file, never older than its last save."""

import pytest
from tests.storage.killing import Kill, assert_nothing_lost, kill_while_saving

from thalweg.storage.container import read_container, write_container

CHILD = """
import itertools, sys
import numpy as np
from thalweg.storage.container import write_container

path, start = sys.argv[1], int(sys.argv[2])
for number in itertools.count(start):
    arrays = {"weight": np.full(30_000, number, np.float32), "step": np.array(number)}
    write_container(path, arrays, {"step": number}, format="thalweg-checkpoint", version=1)
    print(number, flush=True)
"""


def check_kills(folder, kills):
    path = folder / "checkpoint.safetensors"

    def read():
        found = read_container(path, format="thalweg-checkpoint")
        number = found.document["step"]
        assert (found.arrays["weight"] == number).all()
        assert found.arrays["step"] == number
        return number

    report = kill_while_saving(CHILD, [str(path)], read, kills=kills)
    assert_nothing_lost(report)
    assert len(list(folder.iterdir())) <= 3  # the file, one temporary, one second name
    write_container(path, {}, {}, format="thalweg-checkpoint", version=1)
    assert list(folder.iterdir()) == [path]


def test_twelve_kills(tmp_path):
    check_kills(tmp_path, 12)


@pytest.mark.soak
def test_two_hundred_kills(tmp_path):
    check_kills(tmp_path, 200)


def test_a_lost_save_would_be_noticed():
    assert_nothing_lost([Kill(finished=5, found=5), Kill(finished=5, found=6)])
    with pytest.raises(AssertionError, match="found=4"):
        assert_nothing_lost([Kill(finished=5, found=4)])


def test_a_child_that_ends_by_itself_would_be_noticed():
    with pytest.raises(AssertionError, match="ended by itself: 3"):
        kill_while_saving("raise SystemExit(3)", [], lambda: 0, kills=1)
