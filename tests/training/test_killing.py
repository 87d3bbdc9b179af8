"""A training process killed again and again ends, resumed, with the bits of one never stopped."""

import random
import subprocess

import pytest
from tests.storage.killing import run_python
from tests.training.test_resume import assert_same, fit

CHILD = """
import sys
from tests.training.test_resume import fit

print("ready", flush=True)
fit(sys.argv[1], resume=True, epochs=EPOCHS, early_stopping=None)
"""


def check_kills(folder, kills, epochs):
    options = {"epochs": epochs, "early_stopping": None}
    whole = fit(folder / "whole.checkpoint", **options)
    path = folder / "run.checkpoint"
    chance = random.Random(0)
    killed = 0
    for _ in range(kills):
        with run_python(["-c", CHILD.replace("EPOCHS", str(epochs)), str(path)]) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            try:
                process.wait(timeout=chance.uniform(0.01, 0.12))
            except subprocess.TimeoutExpired:
                process.kill()
                killed += 1
    assert killed > 0
    assert_same(fit(path, resume=True, **options), whole)


def test_four_kills(tmp_path):
    check_kills(tmp_path, 4, 100)


@pytest.mark.soak
def test_fifty_kills(tmp_path):
    check_kills(tmp_path, 50, 1000)
