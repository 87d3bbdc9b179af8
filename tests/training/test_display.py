"""What shows a run: in a terminal, in a log, to a program."""

import io
import json
import math
import os
import sys

import numpy as np
import pytest

import thalweg as tw
from thalweg.training.display import (
    JsonDisplay,
    LineDisplay,
    LiveDisplay,
    clock,
    closing,
    duration,
    losses,
    terminal_display,
    write_json_line,
)
from thalweg.training.history import Display, Progress

X = np.linspace(-1, 1, 40)[:, None]
Y = 2 * X[:, 0]


def progress(epoch=3, epochs=10, best=2, **latest):
    values = latest or {"train_loss": 0.25, "validation_loss": 0.5, "learning_rate": 0.01}
    return Progress(epoch, epochs, epoch * 5, epochs * 5, 0.25, values, best, 1.5, 4.0)


class Terminal(io.StringIO):
    """A text stream that claims to be a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    return Terminal()


def fit(display, **options):
    net = tw.Sequential(tw.Linear(1))
    return tw.fit(net, X, Y, epochs=20, batch_size=8, progress=display, **options)


def test_a_stream_that_is_no_terminal_is_left_alone():
    stream = io.StringIO()
    assert type(terminal_display(always=False, stream=stream)) is Display
    assert isinstance(terminal_display(always=True, stream=stream), LineDisplay)


def test_a_terminal_gets_the_live_display(terminal):
    assert isinstance(terminal_display(always=False, stream=terminal), LiveDisplay)


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(terminal_display(always=True, stream=terminal), LineDisplay)
    assert type(terminal_display(always=False, stream=terminal)) is Display


def test_lines_come_about_ten_times_and_at_the_end():
    stream = io.StringIO()
    fit(LineDisplay(stream), validation=0.25, early_stopping=100)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 12
    assert lines[0].startswith("epoch 1/20: training loss ")
    assert lines[-2].startswith("epoch 20/20: training loss ")
    assert ", validation " in lines[1]
    assert ", best epoch " in lines[1]
    assert lines[-1].startswith("trained 20 epochs in ")


def test_the_live_display_draws_bar_and_figures_and_leaves_one_line(terminal):
    display = terminal_display(always=False, stream=terminal)
    display.start(10, "training")
    display.update(progress())
    drawn = terminal.getvalue()
    assert "epoch 4/10" in drawn
    assert "≤ 0:04 left" in drawn
    assert "training loss 0.25, validation 0.5, best epoch 2" in drawn
    display.finish(progress(epoch=10), "epochs")
    assert terminal.getvalue().endswith("trained 10 epochs in 1.5 s, weights of epoch 2 kept\n")


def test_the_second_line_leaves_room_for_what_ctrl_c_writes(terminal):
    display = LiveDisplay(console(terminal))
    display.start(10, "training")
    display.update(progress(train_loss=0.123456, validation_loss=1.23456e-300))
    lines = [line for line in terminal.getvalue().splitlines() if "training loss" in line]
    assert lines
    assert all(len(line) <= 60 - 4 + len("\x1b[2K") for line in lines)
    display.close()


def console(stream):
    from rich.console import Console

    return Console(file=stream, force_terminal=True, width=60, highlight=False, color_system=None)


def test_the_cursor_is_shown_and_streams_are_given_back_after_an_error(terminal):
    before = sys.stdout, sys.stderr

    def break_down(epoch):
        raise RuntimeError("broken callback")

    with pytest.raises(RuntimeError, match="broken callback"):
        fit(terminal_display(always=False, stream=terminal), callbacks=[break_down])
    assert (sys.stdout, sys.stderr) == before
    text = terminal.getvalue()
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")


def test_the_cursor_is_never_hidden_for_longer_than_the_start(terminal):
    display = terminal_display(always=False, stream=terminal)
    display.start(10, "training")
    text = terminal.getvalue()
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")
    display.close()


def test_closing_twice_or_before_the_start_does_no_harm(terminal):
    display = terminal_display(always=False, stream=terminal)
    display.close()
    display.start(1, "training")
    display.close()
    display.close()
    display.update(progress())


def test_a_slow_terminal_is_not_flooded(terminal):
    display = terminal_display(always=False, stream=terminal)
    display.start(10, "training")
    for epoch in range(50):
        display.update(progress(epoch))
    display.close()
    assert terminal.getvalue().count("training loss") < 10


def test_json_gives_one_strict_object_an_epoch():
    stream = io.StringIO()
    run = fit(JsonDisplay(stream), validation=0.25)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, 21))
    assert [row["train_loss"] for row in rows] == run.history["train_loss"].tolist()
    assert [row["validation_loss"] for row in rows] == run.history["validation_loss"].tolist()
    assert {"learning_rate", "seconds"} <= rows[0].keys()
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds)


def test_json_writes_what_is_not_finite_as_null():
    stream = io.StringIO()
    write_json_line(stream, {"loss": math.nan, "more": [math.inf, 1.0], "deep": {"x": -math.inf}})
    assert json.loads(stream.getvalue()) == {"loss": None, "more": [None, 1.0], "deep": {"x": None}}


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("epochs", "trained 3 epochs in 1.5 s, weights of epoch 2 kept"),
        (
            "early stopping",
            "trained 3 epochs in 1.5 s: no improvement since epoch 2, whose",
        ),
        ("interrupted", "trained 3 epochs in 1.5 s: interrupted, weights of epoch 2 kept"),
        ("callback", "trained 3 epochs in 1.5 s: stopped by a callback, weights of epoch 2 kept"),
        ("non-finite", "trained 3 epochs in 1.5 s: stopped, as a value was not finite"),
        ("anything", "trained 3 epochs in 1.5 s: anything"),
    ],
)
def test_the_last_line_says_why_training_ended(reason, text):
    assert closing(progress(), reason).startswith(text)


def test_the_last_line_counts_one_epoch():
    assert closing(progress(epoch=1, best=0), "epochs") == "trained 1 epoch in 1.5 s"


def test_figures_that_are_not_known_are_dashes():
    unknown = Progress(0, 5, 0, 50, math.nan, {}, 0, 0.0, math.nan)
    assert losses(unknown) == "training loss –"
    assert clock(math.nan) == "?"


def test_times_are_short():
    assert [clock(0), clock(61), clock(3600)] == ["0:00", "1:01", "1:00:00"]
    assert [duration(0.04), duration(59.96), duration(600)] == ["0.0 s", "1:00", "10:00"]


def everything_written(leader):
    """What the terminal received; one read may give a part only, and the end is an error."""
    pieces = []
    try:
        while piece := os.read(leader, 65536):
            pieces.append(piece)
    except OSError:
        pass
    finally:
        os.close(leader)
    return b"".join(pieces).decode()


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are a Unix thing")
def test_in_a_real_pseudo_terminal_the_bar_is_drawn_and_taken_away():
    import pty

    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as stream:
        run = fit(terminal_display(always=False, stream=stream))
    drawn = everything_written(leader)
    assert len(run.history.rows) == 20
    assert "trained 20 epochs in " in drawn
