"""A whole benchmark, as small as can be, with nothing but thalweg."""

import json
from dataclasses import replace

import pytest

from thalweg.bench import features, running
from thalweg.bench.__main__ import main
from thalweg.bench.cases import Case
from thalweg.bench.keeping import merged
from thalweg.bench.measuring import Measuring
from thalweg.bench.options import Options
from thalweg.bench.population_protocol import FixedWork
from thalweg.bench.protocol import Protocol
from thalweg.bench.results import Report
from thalweg.bench.table import markdown
from thalweg.bench.workers import WorkerError


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

    monkeypatch.setattr(Measuring, "cell", interrupted)
    assert main([]) == 1
    assert "interrupted" in capsys.readouterr().err
    plain = json.loads((small / "benchmarks.json").read_text(encoding="utf-8"))
    assert plain["rows"][0]["rounds"]


@pytest.fixture
def populations(monkeypatch, tmp_path):
    """Three small populations; gives options and the folder."""
    cases = tuple(Case((4, 8, 3), 6, 4, members=members) for members in (2, 3, 5))
    options = Options(
        (), ("thalweg",), (1,), "none", Protocol(), Protocol(), "interpreter", 10, tmp_path,
        features=False, populations=cases,
        population_protocol=FixedWork(rounds=1, least_seconds=0.001, steps=2),
    )  # fmt: skip
    monkeypatch.setattr(running, "measured_peak", lambda options: {1: 1e11})
    monkeypatch.setattr(running, "import_seconds", lambda: 0.2)

    def chosen(given):
        monkeypatch.setattr("thalweg.bench.__main__.parse", lambda words: (given, ()))

    chosen(options)
    return options, chosen


def test_every_case_is_written_and_said_before_the_next_one_begins(
    populations, capsys, monkeypatch
):
    options, _ = populations
    measured, seen = Measuring.population, []

    def watched(self, case):
        place = options.out / "benchmarks.json"
        if seen:
            report = Report.from_plain(json.loads(place.read_text(encoding="utf-8")))
            text = (options.out / "benchmarks.md").read_text(encoding="utf-8")
            said = capsys.readouterr()
            seen[-1] = [row.case for row in report.populations], text, said.out
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(None)
        return measured(self, case)

    monkeypatch.setattr(Measuring, "population", watched)
    assert main([]) == 1
    for number, (cases, text, said) in enumerate(seen, 1):
        assert cases == list(options.populations[:number])
        assert text.count(f"| {cases[-1].name} | 40 |") == 1
        assert said.startswith(f"{cases[-1].name}\n  thalweg")
    plain = json.loads((options.out / "benchmarks.json").read_text(encoding="utf-8"))
    assert [row["case"]["members"] for row in plain["populations"]] == [2, 3]


def test_the_main_case_is_written_before_its_starts(populations, monkeypatch):
    options, chosen = populations
    small = options.populations[1]
    for module in ("running", "measuring", "options", "population_table", "table"):
        monkeypatch.setattr(f"thalweg.bench.{module}.MAIN", small)
    chosen(replace(options, populations=options.populations[:2]))
    place, found, starts = options.out / "benchmarks.json", [], Measuring.main_starts

    def watched(self):
        found.append(Report.from_plain(json.loads(place.read_text(encoding="utf-8"))))
        starts(self)

    monkeypatch.setattr(Measuring, "main_starts", watched)
    assert main([]) == 0
    row = found[0].populations[0]
    assert (row.case, row.status, row.start_again_seconds) == (small, "measured", None)
    after = Report.from_plain(json.loads(place.read_text(encoding="utf-8"))).populations
    assert [one.case for one in after] == [small, options.populations[0]]
    assert after[0].rounds == row.rounds
    assert after[0].start_again_seconds > 0


def test_a_start_that_fails_leaves_the_measured_times(populations, monkeypatch):
    options, chosen = populations
    chosen(replace(options, cases=(Case((4, 8, 3), 6, 4),), populations=()))

    def failing(self, row, start_of):
        raise WorkerError("no answer to open in 600 s")

    monkeypatch.setattr(Measuring, "_start_twice", failing)
    assert main([]) == 0
    row = json.loads((options.out / "benchmarks.json").read_text(encoding="utf-8"))["rows"][0]
    assert row["status"] == "measured"
    assert row["rounds"]
    assert row["note"] == "its start in a fresh process failed (no answer to open in 600 s)"


def test_cases_of_an_earlier_run_are_kept(populations):
    options, chosen = populations
    first, second, third = options.populations
    place = options.out / "benchmarks.json"
    chosen(replace(options, populations=(first, second)))
    assert main([]) == 0
    before = Report.from_plain(json.loads(place.read_text(encoding="utf-8")))
    chosen(replace(options, populations=(second, third), keep=True))
    assert main([]) == 0
    after = Report.from_plain(json.loads(place.read_text(encoding="utf-8")))
    rows = {row.case: row for row in after.populations}
    assert set(rows) == {first, second, third}
    assert rows[first] == before.populations[0]
    assert rows[second].rounds != before.populations[1].rounds
    assert after.kept == [first.name]
    text = (options.out / "benchmarks.md").read_text(encoding="utf-8")
    assert f"Of an earlier run: {first.name}." in text
    chosen(replace(options, populations=(third,)))
    assert main([]) == 0
    assert len(json.loads(place.read_text(encoding="utf-8"))["populations"]) == 1


def test_the_time_left_is_told(populations, capsys):
    main([])
    lines = capsys.readouterr().err.splitlines()
    assert all(line.endswith(" left)") for line in lines)
    assert lines[0].startswith("2 × 4-8-3, batch 6: thalweg, threads: 1 (about ")


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
    both = merged(replace(former, rows=[], features=rows), former)
    assert both.rows == former.rows
    assert both.kept[:1] == ["4-8-3, batch 6"]
    assert "## Features of training" in markdown(both)
    assert "| optimizer adamw | ≤ 1.1 |" in markdown(both)
