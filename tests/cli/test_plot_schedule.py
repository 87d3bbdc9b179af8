"""``thalweg plot-schedule``: curves in the terminal and pictures in files."""

from pathlib import Path

import pytest

from thalweg.cli.curves import curve_text

NESTED = "warm_up(then=cosine_restarts(0.1, length=10), length=5)"


def test_a_schedule_is_drawn_in_the_terminal(thalweg):
    done = thalweg("plot-schedule", "linear(0.4)", "--steps", 4)
    assert done.code == 0
    assert done.out.splitlines()[0] == "learning rate: linear(0.4)"
    assert "  0.4 |*\n" in done.out
    assert "  0.1 |   *\n" in done.out
    assert "first     0.4\n" in done.out
    assert "last      0.1\n" in done.out


def test_schedules_stand_inside_each_other_and_count_epochs(thalweg):
    done = thalweg("plot-schedule", NESTED, "--steps", 300, "--per-epoch", 10)
    assert done.code == 0
    assert "300 updates, 30 epochs" in done.out
    assert "largest   0.1 before update 4" in done.out


def test_a_picture_is_written(thalweg):
    pytest.importorskip("matplotlib")
    done = thalweg("plot-schedule", NESTED, "--steps", 300, "--out", "rate.svg")
    assert done.code == 0
    assert done.out == "plot      rate.svg\n"
    assert NESTED in Path("rate.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["cosin(0.1)"], "did you mean 'cosine'?"),
        (["cosine(-1)"], "Cosine.initial = -1 is outside [0, ∞)"),
        (["cosine_restarts(0.1, length=0)"], "length = 0 is outside (0, ∞)"),
        (["warm_up(0.1, length=50)", "--steps", 20], "= 50 updates is longer than the run of 20"),
        (["cosine(0.1)", "--steps", 0], "--steps must be at least 1, got 0"),
        (["cosine(0.1)", "--per-epoch", 0], "--per-epoch must be at least 1, got 0"),
        (["cosine(0.1)", "--out", "rate.jpg"], "--out rate.jpg must end in .svg, .png or .pdf"),
        (["cosine(0.1)", "--out", "no/rate.svg"], "the folder no does not exist; make it"),
    ],
)
def test_what_cannot_be_drawn_is_refused(thalweg, words, message):
    done = thalweg("plot-schedule", *words)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


def test_help_names_the_schedules(thalweg):
    done = thalweg("plot-schedule", "-h")
    assert done.code == 0
    for name in ("cosine_restarts", "one_cycle", "triangular", "reduce_on_plateau"):
        assert name in done.out


def test_curves_show_every_value_of_a_column():
    text = curve_text([0.0] * 50 + [1.0] + [0.0] * 49, "0", "100", width=10, height=3)
    assert text.splitlines()[0] == "  1 |     *"
    assert text.splitlines()[2] == "  0 |**********"


def test_a_constant_and_a_logarithmic_curve_have_labels():
    flat = curve_text([0.5, 0.5], "0", "2", height=3).splitlines()
    assert [line.count("*") for line in flat] == [0, 0, 2, 0, 0]
    text = curve_text([1e-4, 1e-2, 1.0], "a", "b", log=True, height=3)
    assert [line.split(" |")[0].strip() for line in text.splitlines()[:3]] == [
        "1",
        "0.01",
        "0.0001",
    ]
