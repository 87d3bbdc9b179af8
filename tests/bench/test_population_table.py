"""Populations and cross-validation in the report."""

import json
from dataclasses import replace

import pytest

from thalweg.bench import running
from thalweg.bench.cases import Case, image_case
from thalweg.bench.keeping import merged
from thalweg.bench.options import Options
from thalweg.bench.population_protocol import FixedWork
from thalweg.bench.population_table import (
    peak_share,
    peak_text,
    population_section,
    population_targets,
    share_of,
    validation_ratio,
    validation_section,
)
from thalweg.bench.populations import MAIN, POPULATION_TARGETS, population_case
from thalweg.bench.protocol import Protocol
from thalweg.bench.results import DIFFERENT, FAILED, Report, Row, targets
from thalweg.bench.table import markdown
from thalweg.bench.terminal import terminal
from thalweg.bench.validation import ValidationRow, Way

FEW, WIDE = population_case(8), population_case(64, (30, 128, 128, 2))
LENET = replace(image_case("lenet", 64, 4), members=16)


@pytest.fixture
def many(report):
    """The report with populations and a cross-validation."""
    report.titles |= {"torch-vmap": "torch.func vmap", "joblib": "scikit-learn, joblib"}
    report.populations = [
        Row(LENET, "thalweg", 2, rounds=[1e-3], cores=2.0),
        Row(LENET, "torch-vmap", 1, rounds=[8e-4], cores=1.0),
        Row(MAIN, "thalweg", 1, rounds=[8e-6, 9e-6, 8.5e-6], cores=1.0, start_seconds=0.5),
        Row(MAIN, "thalweg", 2, rounds=[4e-6], cores=2.0, start_seconds=0.25),
        Row(MAIN, "torch-vmap", 1, rounds=[64e-6], cores=1.0, start_seconds=1.0, variant="vmap"),
        Row(MAIN, "torch-vmap", 2, rounds=[40e-6], cores=2.0, start_seconds=1.0, variant="vmap"),
        Row(MAIN, "pytorch", 1, rounds=[240e-6], cores=1.0, start_seconds=1.0),
        Row(MAIN, "jax", 1, DIFFERENT, "relative error: epochs 1.0e-01", rounds=[1e-6], cores=1.0),
        Row(WIDE, "thalweg", 2, rounds=[9e-6], cores=2.0),
        Row(FEW, "thalweg", 2, rounds=[5e-6], cores=2.0),
        Row(FEW, "joblib", 2, FAILED, "OSError: no memory"),
    ]
    report.validations = [
        ValidationRow("thalweg, empty cache", 1, [0.75, 0.5, 0.6], [0.1] * 3, 0.975),
        ValidationRow("thalweg, filled cache", 1, [0.2] * 3, [0.1] * 3, 0.975),
        ValidationRow("thalweg, filled cache", 2, [0.1] * 3, [0.05] * 3, 0.975),
        ValidationRow("scikit-learn", 1, [3.0] * 3, [2.9] * 3, 0.974),
        ValidationRow("scikit-learn", 2, reason="OSError: no memory"),
    ]
    return report


def line_with(text, *words):
    found = [line for line in text.splitlines() if all(word in line for word in words)]
    assert len(found) == 1, words
    return [cell.strip() for cell in found[0].strip("|").split("|")]


def test_ratios_are_to_each_library_at_its_best(many):
    reached = dict(targets(many.populations, POPULATION_TARGETS))
    assert [round(value, 6) if value else None for value in reached.values()] == [
        10.0, None, 60.0, None,
    ]  # fmt: skip
    assert targets(many.rows, POPULATION_TARGETS) == []
    text = markdown(many)
    name = "256 × 30-64-64-2: times faster than torch.func vmap"
    assert line_with(text, name)[1:] == ["≥ 8", "10.0", "yes"]


def test_the_share_of_the_peak_is_that_of_all_threads(many):
    assert peak_share(many) == pytest.approx(1_056_768 / 4e-6 / 4e11)
    assert peak_share(many, FEW) == pytest.approx(1_056_768 / 5e-6 / 4e11)
    assert peak_share(many, population_case(3)) is None
    assert population_targets(many)[0][1:] == ("≥ 60%", "66%", True)
    many.machine.peak.clear()
    assert population_targets(many)[0][1:] == ("≥ 60%", "–", None)
    many.populations[3].peak = 8e11
    assert population_targets(many)[0][1:] == ("≥ 60%", "33%", False)


def test_one_line_for_each_case_in_order(many):
    text, details = population_section(many).split("Start is what the first call takes")
    lines = [line for line in text.splitlines() if line.startswith("| ") and "×" in line]
    assert [line.split(" | ")[0][2:] for line in lines] == [
        "8 × 30-64-64-2, batch 32", "256 × 30-64-64-2, batch 32", "64 × 30-128-128-2, batch 32",
        "16 × LeNet-5, batch 64",
    ]  # fmt: skip
    header = line_with(text, "| case |")
    own = dict(zip(header, line_with(text, "| 256 × "), strict=True))
    assert own["thalweg"] == "4.00 µs (2)"
    assert (own["GFLOP/s"], own["of the peak"]) == ("264", "66%")
    assert own["torch.func vmap"] == "10.0"
    assert own["JAX scan"] == "–"
    assert dict(zip(header, line_with(text, "LeNet"), strict=True))["torch.func vmap"] == "**0.80**"
    assert "threads: 2: failed (OSError: no memory)." in details


def test_every_timed_row_is_in_the_details_and_a_shortened_one_says_so(many):
    many.populations[0].steps = 32
    short = many.populations[1]
    short.steps, short.start_seconds, short.steady_seconds = 20, 1.5, 7e-4
    short.note = "trained 20 of 32 steps of each network"
    _, details = population_section(many).split("Start is what the first call takes")
    assert details.count("\n| 256 × 30-64-64-2 |") == 6
    assert line_with(details, "16 × LeNet-5", "torch.func vmap", "|")[2:] == [
        "1", "20", "800 µs", "700 µs", "1.50 s", "equal",
    ]  # fmt: skip
    assert line_with(details, "| 256 × 30-64-64-2 | JAX scan |")[-1] == "differ"
    name = "16 × LeNet-5, batch 64, torch.func vmap, threads: 1"
    assert f"- {name}: trained 20 of 32 steps of each network." in details
    assert "trained 20 of 32 steps of each network" in terminal(many)
    main_one = many.populations[4]
    main_one.note = "trained 5 of 9 steps"
    assert "- torch.func vmap, threads: 1: trained 5 of 9 steps." in markdown(many)


def test_the_share_is_of_all_cores_in_the_rows_own_run(many):
    row = many.populations[2]
    assert share_of(many, row) == pytest.approx(row.rate / 4e11)
    assert share_of(many, replace(row, peak=2e11)) == pytest.approx(row.rate / 2e11)
    many.machine.peak.clear()
    assert share_of(many, row) is None
    assert peak_text(many, row) == "–"


def test_the_main_case_has_a_table_of_its_own(many):
    text = markdown(many)
    assert text.count("## 256 × 30-64-64-2, batch 32") == 1
    assert "## 8 × 30-64-64-2" not in text
    part = text.split("## 256 × 30-64-64-2, batch 32")[1].split("\n## ")[0]
    own = line_with(part, "| thalweg | 2 |")
    assert own[5] == "66%"
    assert own[10] == "2.87 s"  # 0.25 s and 10 epochs of 256 batches of 256 members
    assert line_with(part, "| torch.func vmap (vmap) | 2 |")[3] == "10.0"
    assert "relative error: epochs" in part


def test_cross_validation_is_compared_where_accuracies_are_close(many):
    assert validation_ratio(many.validations, "empty") == 5.0
    assert validation_ratio(many.validations, "filled") == pytest.approx(30.0)
    names = [name for name, *_ in population_targets(many)]
    assert len(names) == 3
    assert [met for *_, met in population_targets(many)[1:]] == [False, True]
    text = validation_section(many)
    assert line_with(text, "| thalweg, empty cache | 1 |")[2:] == ["600 ms", "100 ms", "0.975"]
    assert line_with(text, "| scikit-learn | 2 |")[2:] == ["–", "–", "OSError: no memory"]
    many.validations[3].accuracy = 0.9
    assert validation_ratio(many.validations, "filled") is None
    assert validation_ratio([], "empty") is None


def test_the_terminal_tells_of_both(many):
    text = terminal(many)
    assert "256 × 30-64-64-2, batch 32" in text
    assert "share of the peak, all threads: aim ≥ 60%, reached 66%" in text
    assert "10 folds, thalweg, filled cache" in text
    assert "OSError: no memory" in text


def test_the_report_survives_json_and_what_is_not_measured_now_is_kept(many):
    plain = json.loads(json.dumps(many.plain()))
    assert plain["populations"][2]["gflops"] == pytest.approx(1.056768 / 8.5e-3)
    again = Report.from_plain(plain)
    assert again.populations == many.populations
    assert again.validations == many.validations
    assert markdown(again) == markdown(many)
    now = replace(many, populations=[], validations=[], titles={"thalweg": "thalweg"})
    both = merged(now, again)
    assert both.kept == [
        *dict.fromkeys(row.case.name for row in again.populations),
        "cross-validation",
    ]
    assert markdown(replace(both, kept=[])) == markdown(many)


def test_a_report_without_them_has_no_sections(report):
    assert population_section(report) == validation_section(report) == ""
    assert population_targets(report) == []
    assert "Populations" not in markdown(report)


def test_populations_are_measured_in_processes(report, tmp_path, monkeypatch):
    case = Case((4, 6, 3), 6, 2, members=3)
    brief = Protocol(rounds=1, seconds=0.001, epochs=1, steps=0)
    options = Options(
        (), ("thalweg", "sklearn"), (1,), "none", brief, brief, "interpreter", 10, None,
        features=False, populations=(case,), validation=True,
        population_protocol=FixedWork(rounds=1, least_seconds=0.001, steps=0),
    )  # fmt: skip
    report.populations = []
    report.machine.peak.clear()
    monkeypatch.setattr(running, "ways", lambda threads: [Way("thalweg", 1, "empty")])
    monkeypatch.setattr(
        running, "measure_validation", lambda ways, rows, *words: rows[0].rounds.append(0.5)
    )
    running.fill(report, options, (), tmp_path, lambda line: None)
    assert [(row.case, row.peer, row.status) for row in report.populations] == [
        (case, "thalweg", "measured")
    ]
    assert 0 < report.populations[0].step_seconds < 1
    assert report.validations == [ValidationRow("thalweg, empty cache", 1, [0.5])]
