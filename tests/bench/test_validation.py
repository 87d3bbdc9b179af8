"""Cross-validation beside scikit-learn's, with few folds and epochs."""

import json
import subprocess

import numpy as np
import pytest

from thalweg.bench import validation
from thalweg.bench.validation import (
    ValidationRow,
    Way,
    data,
    main,
    measure_validation,
    own_accuracy,
    scikit_accuracy,
    ways,
)


def measured(threads, rounds, folder):
    chosen = ways(threads)
    rows = [ValidationRow(way.name, way.threads) for way in chosen]
    measure_validation(chosen, rows, rounds, "native", folder, lambda line: None)
    return rows


@pytest.fixture
def small(monkeypatch):
    """Three folds of six epochs."""
    monkeypatch.setattr(validation, "FOLDS", 3)
    monkeypatch.setattr(validation, "EPOCHS", 6)


def test_both_learn_the_same_task(small):
    x, y = data()
    assert x.shape == (569, 30)
    assert sorted(np.bincount(y)) == [212, 357]
    own, other = own_accuracy(x, y, 1, "native"), scikit_accuracy(x, y, 1)
    assert 0.9 < own <= 1
    assert abs(own - other) < 0.04


@pytest.mark.parametrize("library", ["thalweg", "scikit-learn"])
def test_a_process_tells_the_seconds_of_two_calls(small, capsys, library):
    main(library, "1", "native")
    found = json.loads(capsys.readouterr().out)
    assert len(found["seconds"]) == 2
    assert min(found["seconds"]) > 0
    assert found["accuracy"] > 0.9


def test_rounds_follow_one_another_and_caches_are_emptied(monkeypatch, tmp_path):
    asked = []

    def run(command, env, **words):
        cache = tmp_path / f"validation-{command[4]}"
        assert env["XDG_CACHE_HOME"] == str(cache)
        asked.append((command[3], command[4], cache.exists()))
        cache.mkdir(exist_ok=True)
        answer = {"seconds": [len(asked) / 10, 0.1], "accuracy": 0.97}
        return subprocess.CompletedProcess(command, 0, json.dumps(answer), "")

    monkeypatch.setattr(subprocess, "run", run)
    rows = measured((1, 2), 2, tmp_path)
    one_round = [
        (library, count, filled)
        for count in ("1", "2")
        for library, filled in (("thalweg", False), ("thalweg", True), ("scikit-learn", True))
    ]
    assert asked == one_round * 2
    assert [row.name for row in rows[:3]] == [way.name for way in ways((1,))]
    assert rows[0].rounds == [0.1, 0.7]
    assert rows[0].seconds == pytest.approx(0.4)
    assert rows[0].again_seconds == 0.1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (subprocess.CalledProcessError(1, "x", stderr="Traceback\n  …\nOSError: full\n"), "OSErr"),
        (subprocess.CalledProcessError(9, "x", stderr=""), "non-zero exit status 9"),
        (subprocess.TimeoutExpired("x", 600), "no answer in 600 s"),
    ],
)
def test_a_failure_is_a_row_that_says_why(monkeypatch, tmp_path, error, reason):
    calls = []

    def run(*words, **others):
        calls.append(words)
        raise error

    monkeypatch.setattr(subprocess, "run", run)
    rows = measured((1,), 3, tmp_path)
    assert len(calls) == len(rows) == 3
    assert all(reason in row.reason for row in rows)
    assert not any(row.rounds for row in rows)


def test_without_scikit_learn_nothing_is_measured(monkeypatch, tmp_path):
    monkeypatch.setattr(validation, "version_of", lambda name: "")
    told = []
    assert ways((1, 2)) == []
    measure_validation([], [], 1, "native", tmp_path, told.append)
    assert "scikit-learn is not installed" in told[0]


def test_rounds_that_ended_before_an_interrupt_are_in_the_rows(monkeypatch, tmp_path):
    calls = []

    def run(command, **words):
        calls.append(command)
        if len(calls) == 5:
            raise KeyboardInterrupt
        answer = {"seconds": [0.2, 0.1], "accuracy": 0.97}
        return subprocess.CompletedProcess(command, 0, json.dumps(answer), "")

    monkeypatch.setattr(subprocess, "run", run)
    chosen = ways((1,))
    rows = [ValidationRow(way.name, 1) for way in chosen]
    with pytest.raises(KeyboardInterrupt):
        measure_validation(chosen, rows, 3, "native", tmp_path, lambda line: None)
    assert [len(row.rounds) for row in rows] == [2, 1, 1]


def test_the_order_of_a_round():
    assert ways((2,)) == [
        Way("thalweg", 2, "empty"), Way("thalweg", 2, "filled"), Way("scikit-learn", 2),
    ]  # fmt: skip
