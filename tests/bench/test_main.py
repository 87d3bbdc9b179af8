"""A whole benchmark, as small as can be, with nothing but thalweg."""

import json

import pytest

from thalweg.bench import features, running
from thalweg.bench.__main__ import kept, main
from thalweg.bench.cases import Case
from thalweg.bench.options import Options
from thalweg.bench.protocol import Protocol
from thalweg.bench.results import Report
from thalweg.bench.table import markdown


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Options that take a second, in place of those of the command line."""
    case = Case((4, 8, 3), 6, 4)
    brief = Protocol(rounds=1, seconds=0.001, epochs=1, steps=2)
    options = Options(
        (case,), ("thalweg", "jax"), (1,), "small", brief, brief, "interpreter", 10, tmp_path,
        features=False,
    )  # fmt: skip
    monkeypatch.setattr("thalweg.bench.__main__.parse", lambda words: (options, ("thalweg",)))
    monkeypatch.setattr(running, "grid_cases", lambda grid: [Case((3, 3, 3), 2, 2)])
    monkeypatch.setattr(running, "measured_peak", lambda options: {1: 1e11})
    monkeypatch.setattr(running, "import_seconds", lambda: 0.2)
    monkeypatch.setattr(running.all_peers()["jax"].__class__, "missing", lambda self: ["jax"])
    return tmp_path


def test_files_are_written(small, capsys):
    assert main([]) == 0
    said = capsys.readouterr()
    assert "4-8-3, batch 6" in said.out
    assert "not installed: no package jax" in said.out
    assert "cell 1 of 1" in said.err
    plain = json.loads((small / "benchmarks.json").read_text(encoding="utf-8"))
    assert [row["status"] for row in plain["rows"]] == ["measured", "not installed"]
    assert plain["rows"][0]["start_again_seconds"] > 0
    text = (small / "benchmarks.md").read_text(encoding="utf-8")
    assert "## 4-8-3, batch 6" in text


def test_what_was_measured_survives_an_interrupt(small, capsys, monkeypatch):
    def interrupted(*words):
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "grid_cases", interrupted)
    assert main([]) == 1
    assert "interrupted" in capsys.readouterr().err
    plain = json.loads((small / "benchmarks.json").read_text(encoding="utf-8"))
    assert plain["rows"][0]["rounds"]


def test_features_of_training_are_measured_and_kept(small, monkeypatch):
    every = features.features()
    names = [feature.name for feature in every]
    assert len(names) == len(set(names))
    monkeypatch.setattr(features, "CASE", Case((4, 8, 6, 3), 6, 4))
    monkeypatch.setattr(features, "features", lambda: [every[0], every[1]])
    rows = features.measure_features([1], 2, 0.001, lambda line: None)
    assert [len(row.rounds) for row in rows] == [2, 2]
    assert main([]) == 0
    place = small / "benchmarks.json"
    former = Report.from_plain(json.loads(place.read_text(encoding="utf-8")))
    assert markdown(former) == (small / "benchmarks.md").read_text(encoding="utf-8")
    former.rows, former.features = [], rows
    options = Options((), (), (), "", None, None, "", 1, small, keep=True)
    both = kept(former, options)
    assert both.rows
    assert "## Features of training" in markdown(both)
    assert "| optimizer adamw | ≤ 1.1 |" in markdown(both)
