"""The report as text: every row is there, targets beside what was reached."""

import json

from thalweg.bench.cases import Target, image_case
from thalweg.bench.results import Report, Row, fastest, reached, targets
from thalweg.bench.table import grid_ratios, markdown, thread_ratios, unsteady_cells
from thalweg.bench.terminal import terminal


def line_with(text, *words):
    found = [line for line in text.splitlines() if all(word in line for word in words)]
    assert len(found) == 1, words
    return [cell.strip() for cell in found[0].strip("|").split("|")]


def test_every_row_that_was_timed_is_in_the_table(report):
    text = markdown(report)
    own = line_with(text, "| thalweg | 1 |")
    assert own[2] == "11.0 µs"
    assert own[5] == "48%"  # 1,056,768 operations in 11 µs are 96 GFLOP/s of 200
    assert own[8:10] == ["100 ms", "20.0 ms"]
    assert own[11:] == ["50 MiB", "equal"]
    assert line_with(text, "| PyTorch (fused) | 1 |")[3] == "30.0"
    assert line_with(text, "| JAX scan | 1 |")[3] == "**0.50**"
    assert line_with(text, "| scikit-learn | 1 |")[3] == "–"


def test_what_was_not_compared_says_why(report):
    text = markdown(report)
    assert "- scikit-learn, threads: 1: losses differ (one logistic output: steps 4.8e-02)." in text
    assert "- PyTorch compiled, threads: 1: failed (RuntimeError: no compiler)." in text
    assert "- Keras, threads: 1: not installed (no package keras)." in text
    assert "- JAX scan, threads: 1: used 1.30 cores although told to use one." in text
    assert "- PyTorch, threads: 1: unsteady, rounds from 200 µs to 400 µs." in text
    assert "- The machine was busy: other programs used up to 0.7 cores" in text


def test_targets_take_the_number_of_threads_that_serves_each_best(report):
    case = report.rows[0].case
    assert fastest(report.rows, case, "pytorch").threads == 1
    assert dict(targets(report.rows))[Target("30-64-64-2", "pytorch", 25.0)] == 30.0
    assert reached(report.rows, Target("30-64-64-2", "sklearn", 1.0)) is None
    assert reached(report.rows, Target("784-256-128-10", "jax", 1.0)) is None
    text = markdown(report)
    assert line_with(text, "faster than PyTorch")[1:] == ["≥ 25", "30.0", "yes"]
    assert line_with(text, "faster than JAX scan")[1:] == ["≥ 4", "0.50", "**no**"]
    assert line_with(text, "empty cache")[1:] == ["≤ 0.4 s", "100 ms", "yes"]
    assert line_with(text, "`import thalweg` |")[1:] == ["≤ 0.3 s", "200 ms", "yes"]


def test_the_grid_keeps_losing_cells(report):
    ratios = grid_ratios(report, "pytorch", 1)
    assert ratios[8, 1] == 200.0
    assert ratios[1024, 1024] < 1
    assert set(grid_ratios(report, "pytorch", 2).values()) == {None}
    text = markdown(report, "benchmarks.svg")
    assert "![Ratio by width and batch size](benchmarks.svg)" in text
    assert "thalweg is at least as fast in 20 of 30 cells" in text  # batches 1, 4, 16 and 64
    assert "thalweg is at least as fast in 0 of 0 cells" in text
    assert text.count("| **0.20** |") == 5
    assert "threads: 2: failed (RuntimeError: gone)." in text


def test_unsteady_cells_are_marked(report):
    cell = next(row for row in report.cells if row.peer == "pytorch" and row.threads == 1)
    cell.rounds[:] = [cell.rounds[0], 3 * cell.rounds[0], cell.rounds[0]]
    assert unsteady_cells(report, "pytorch", 1) == {(8, 1)}
    assert unsteady_cells(report, "pytorch", 2) == set()
    assert "| 8 | 200? | 50.0 |" in markdown(report)


def test_one_thread_beside_all(report):
    ratios = thread_ratios(report)
    assert ratios[8, 1] == 1.0
    assert round(ratios[8, 1024], 6) == 1.8
    assert "## One thread and 2" in markdown(report)


def test_the_terminal_shows_rows_and_targets(report):
    text = terminal(report)
    assert "not installed: no package keras" in text
    assert "MISSED" in line_with(text, "jax", "≥ 4")[0]
    assert "ratio   0.50" in text


def test_a_report_without_rows_is_text_too(report):
    report.rows.clear()
    report.cells.clear()
    assert "## Targets" in markdown(report)
    assert terminal(report) == ""


def test_json_holds_everything(report):
    plain = json.loads(json.dumps(report.plain()))
    assert len(plain["rows"]) == 8
    assert plain["rows"][0]["step_seconds"] == 11e-6
    assert plain["rows"][6]["reason"] == "RuntimeError: no compiler"
    assert plain["machine"]["peak"] == {"1": 2e11, "2": 4e11}


def test_images_have_tables_and_targets_by_batch(report):
    small, large = image_case("lenet", 1, 4), image_case("lenet", 64, 4)
    report.rows += [
        Row(small, "thalweg", 1, rounds=[1e-5]),
        Row(small, "pytorch", 1, rounds=[1e-3]),
        Row(large, "thalweg", 1, rounds=[1e-3]),
        Row(large, "pytorch", 1, "measured", variant="fused", rounds=[5e-3]),
    ]
    found = {target.name: value for target, value in targets(report.rows) if value is not None}
    assert found["LeNet-5, batch 64"] == 5.0
    text = markdown(report)
    assert "## LeNet-5, batch 1\n\nImages 1×28×28, 61,706 parameters; 4 batches" in text
    assert line_with(text, "| LeNet-5, batch 64: times faster than PyTorch")[1:] == [
        "≥ 6", "5.00", "**no**",
    ]  # fmt: skip
    assert "LeNet-5, batch 64" in terminal(report)
    again = Report.from_plain(json.loads(json.dumps(report.plain())))
    assert markdown(again) == text
