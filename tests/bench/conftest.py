"""Stand-ins for processes that train."""

from __future__ import annotations

import pytest

from thalweg.bench.cases import Case, grid_cases
from thalweg.bench.machine import Machine
from thalweg.bench.results import ABSENT, DIFFERENT, FAILED, Report, Row
from thalweg.bench.workers import WorkerError

CASE = Case((4, 8, 3), 6, 4)


class FakeWorker:
    """Answers at once, as if each step took a given time.

    Args:
        name: for the record of who worked when.
        steps: seconds of a step, one for each timing; the last one stays.
        losses: given when it trains.
        calls: the record.
        fails_at: number of the operation at which it ends.
    """

    def __init__(self, name, steps, losses, calls, fails_at=10**9):
        self.name, self.steps, self.losses = name, list(steps), losses
        self.calls, self.fails_at = calls, fails_at
        self.asked = 0
        self.closed = False

    def ask(self, operation, **fields):
        self.asked += 1
        if self.asked >= self.fails_at:
            raise WorkerError("RuntimeError: no compiler")
        if operation == "open":
            return {"variant": "", "start_seconds": 0.5, "epoch_seconds": 0.1, "import_seconds": 0}
        if operation == "memory":
            return {"peak_bytes": 2**20}
        return self.train(fields)

    def train(self, fields):
        epochs, batches = fields["epochs"], fields.get("batches")
        count = epochs * (batches or CASE.batches)
        checking = batches is not None or epochs == 3
        losses = self.losses["steps" if batches else "epochs"]
        if checking:
            return {
                "losses": losses,
                "seconds": 0.3,
                "cpu_seconds": 0.3,
                "process_seconds": 0.3,
                "steps": count,
            }
        self.calls.append(self.name)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        seconds = step * count
        return {
            "losses": [],
            "seconds": seconds,
            "cpu_seconds": 2 * seconds,
            "process_seconds": 0.0,
            "steps": count,
        }

    def close(self):
        self.closed = True


@pytest.fixture
def fake_worker():
    return FakeWorker


@pytest.fixture
def case():
    return CASE


@pytest.fixture
def report() -> Report:
    """Three libraries that were measured, one each that differed, failed and was absent."""
    case = Case((30, 64, 64, 2), 32, 256)
    rows = [
        Row(case, "thalweg", 1, rounds=[11e-6, 10e-6, 12e-6], cores=1.0, start_seconds=0.1,
            start_again_seconds=0.02, peak_bytes=50 * 2**20),
        Row(case, "thalweg", 2, rounds=[22e-6], cores=1.9, start_seconds=0.1),
        Row(case, "pytorch", 1, rounds=[330e-6, 200e-6, 400e-6], cores=1.0, variant="fused",
            start_seconds=1.0),
        Row(case, "pytorch", 2, rounds=[440e-6], cores=2.0, variant="fused", start_seconds=1.0),
        Row(case, "jax", 1, rounds=[5.5e-6], cores=1.3, start_seconds=0.7),
        Row(case, "sklearn", 1, DIFFERENT, "one logistic output: steps 4.8e-02", rounds=[1e-6],
            cores=0.5, other_cores=0.7),
        Row(case, "pytorch-compiled", 1, FAILED, "RuntimeError: no compiler"),
        Row(case, "keras", 1, ABSENT, "no package keras"),
    ]  # fmt: skip
    cells: list[Row] = []
    for cell in grid_cases("small"):
        own, size = 1e-6 * cell.widths[0], cell.batch_size
        cells += [
            Row(cell, "thalweg", 1, rounds=[own], cores=1.0),
            Row(cell, "thalweg", 2, rounds=[own / (1.8 if size > 64 else 1.0)], cores=1.0),
            Row(cell, "pytorch", 1, rounds=[own * 200 / size], cores=1.0),
            Row(cell, "pytorch", 2, FAILED, "RuntimeError: gone"),
        ]
    machine = Machine(
        "A processor", 2, ["avx2"], 2**34, "Linux x86_64", {"python": "3.11"}, {1: 2e11, 2: 4e11}
    )
    titles = {
        "thalweg": "thalweg", "pytorch": "PyTorch", "jax": "JAX scan", "sklearn": "scikit-learn",
        "pytorch-compiled": "PyTorch compiled", "keras": "Keras",
    }  # fmt: skip
    settings = {"backend": "native", "epochs": 10, "cases": {"rounds": 7, "seconds": 0.5}}
    return Report(machine, settings, rows, cells, titles, dict.fromkeys(titles, "as usual"), 0.2)
