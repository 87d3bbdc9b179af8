"""``thalweg lr-find``: what it says, what it draws, what it refuses."""

import json
from pathlib import Path

import pytest


def test_a_rate_is_suggested_with_a_curve_and_a_table(thalweg):
    done = thalweg("lr-find", "iris", "--high", 100)
    assert done.code == 0
    for words in (
        "smoothed training loss over the learning rate",
        "learning rate        loss",
        "ended     diverged, after",
        "steepest  0.0",
        "tenth     0.0",
        "--learning-rate 0.0",
    ):
        assert words in done.out, words
    assert not list(Path().iterdir())


def test_numbers_come_as_json_and_a_picture_in_a_file(thalweg, csv):
    pytest.importorskip("matplotlib")
    done = thalweg(
        "lr-find", csv(), "--target", "price", "--steps", 20, "--json", "--out", "test.png"
    )
    assert done.code == 0
    found = json.loads(done.out)
    assert found.keys() >= {"suggestion", "tenth", "minimum", "stopped"}
    assert len(found["rates"]) == len(found["losses"]) == len(found["smoothed"]) <= 20
    assert found["rates"][0] == pytest.approx(1e-7)
    assert Path("test.png").read_bytes().startswith(b"\x89PNG")


def losses(thalweg, file, *words):
    done = thalweg("lr-find", file, "--target", "sold", "--steps", 10, "--json", *words)
    assert done.code == 0, done.err
    return json.loads(done.out)["losses"]


@pytest.fixture(scope="module")
def plain():
    """What a run without further words gives; the first test that asks computes it."""
    return []


@pytest.mark.parametrize(
    "words",
    [
        ("--normalise", "layer_norm"),
        ("--initialiser", "he(distribution=uniform)"),
        ("--network", "sequential(linear(3), tanh, linear(2))"),
        ("--loss", "binary_cross_entropy"),
        ("--penalty", "l2(1000)"),
        ("--categories", "embedding"),
    ],
)
def test_the_network_and_the_loss_are_those_of_training(thalweg, csv, words, plain):
    plain[:] = plain or losses(thalweg, csv())
    assert losses(thalweg, csv(), *words) != plain


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--low", 1, "--high", 0.1], "low = 1.0 must be < high, which is 0.1"),
        (["--steps", 3], "steps = 3 is outside its range"),
        (["--out", "no/such.png"], "the folder no does not exist; make it"),
        (["--out", "test.txt"], "must end in .svg, .png or .pdf"),
        (["--optimizer", "lbfgs"], "L-BFGS has no rate to look for"),
        (["--loss", "squared_error"], "is for numbers, but this is a classification"),
        (["--hidden", "x"], "--hidden takes whole numbers"),
    ],
)
def test_what_cannot_be_is_refused(thalweg, words, message):
    done = thalweg("lr-find", "iris", *words)
    assert done.code == 2
    assert message in done.err


def test_a_target_is_asked_for(thalweg, csv):
    done = thalweg("lr-find", csv())
    assert done.code == 2
    assert "name the column to predict with --target; rows.csv has size, city, sold" in done.err
