"""What training on a table leaves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from thalweg.data.inference import Schema
from thalweg.data.metrics import Metrics
from thalweg.data.table import Note, plural
from thalweg.errors import FileError
from thalweg.model import Model
from thalweg.tabular.judging import comparison, verdict
from thalweg.tabular.preparing import PreparedTable
from thalweg.training.ensemble_run import EnsembleRun
from thalweg.training.history import History, Timing

MODEL_FILE = "model.safetensors"
"""The name of the model in a run's folder."""


@dataclass(frozen=True, eq=False, repr=False)
class TableRun:
    """A network trained on a table, with its results on rows held out.

    Attributes:
        model: predicts tables with the same columns; is saved and loaded.
        history: numbers by epoch.
        timing: seconds, updates.
        prepared: the table as it was trained on.
        test: metrics on the test rows.
        baselines: the same metrics of simple models, by name.
        stop_reason: why training ended.
        best_epoch: whose weights the model has; None where they are the last.
        ensemble: the members and their scores, where several networks are combined.
    """

    model: Model
    history: History
    timing: Timing
    prepared: PreparedTable
    test: Metrics
    baselines: Mapping[str, Metrics]
    stop_reason: str
    best_epoch: int | None
    ensemble: EnsembleRun | None = None

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {value:.4f}" for name, value in self.test.items())
        return f"TableRun({self.model!r}, test: {scores or 'none'})"

    @property
    def schema(self) -> Schema:
        """What each column was taken for."""
        return self.prepared.schema

    @property
    def notes(self) -> tuple[Note, ...]:
        """All that was decided or met while reading and encoding the table."""
        return self.prepared.notes

    def report(self) -> str:
        """The results on the test rows beside the baselines, as text."""
        if not self.test:
            return "no rows were held out for a test"
        results = {"network": self.test, **self.baselines}
        tested = plural(len(self.prepared.split.test), "test row")
        text = f"Results on {tested} that no training saw\n\n{comparison(results)}"
        doubt = verdict(self.test, self.baselines)
        return f"{text}\n\n{doubt}" if doubt else text

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``model.safetensors`` into a folder, atomically; the folder is made if need be.

        Returns:
            The path of the model file.

        Raises:
            FileError: the folder or the file cannot be written; a former file stays as it was.
        """
        place = Path(folder)
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"cannot make the folder {place}: {error.strerror or error}") from error
        self.model.save(place / MODEL_FILE)
        return place / MODEL_FILE
