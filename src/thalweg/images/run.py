"""What training on images leaves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thalweg.data.metrics import Metrics
from thalweg.data.table import Note, plural
from thalweg.errors import FileError
from thalweg.images.judging import ClassFigures, class_figures, class_table, confusion_text
from thalweg.images.preparing import PreparedImages
from thalweg.model import Model
from thalweg.tabular.judging import comparison
from thalweg.tabular.run import MODEL_FILE
from thalweg.training.history import History, Timing


@dataclass(frozen=True, eq=False, repr=False)
class ImageRun:
    """A network trained on images, with its results on images held out.

    Attributes:
        model: predicts image files and arrays; is saved and loaded.
        history: numbers by epoch.
        timing: seconds, updates.
        prepared: the images as it was trained on.
        test: metrics on the test images.
        baselines: the same metrics of simple models, by name.
        confusion: test images by true class (row) and predicted class (column).
        stop_reason: why training ended.
        best_epoch: whose weights the model has; None where they are the last.
    """

    model: Model
    history: History
    timing: Timing
    prepared: PreparedImages
    test: Metrics
    baselines: Mapping[str, Metrics]
    confusion: NDArray[np.int64]
    stop_reason: str
    best_epoch: int | None

    def __repr__(self) -> str:
        scores = ", ".join(f"{name} {value:.4f}" for name, value in self.test.items())
        return f"ImageRun({self.model!r}, test: {scores or 'none'})"

    @property
    def notes(self) -> tuple[Note, ...]:
        """All that was decided or met while reading the images."""
        return self.prepared.notes

    @property
    def classes(self) -> list[ClassFigures]:
        """Precision, recall and F1 of each class on the test images."""
        return class_figures(self.confusion, self.prepared.classes)

    def report(self) -> str:
        """The results on the test images beside the baseline, by class, and the confusions."""
        if not self.test:
            return "no images were held out for a test"
        tested = plural(len(self.prepared.split.test), "test image")
        parts = [
            f"Results on {tested} that no training saw",
            comparison({"network": self.test, **self.baselines}),
            class_table(self.classes),
            confusion_text(self.confusion, self.prepared.classes),
        ]
        return "\n\n".join(parts)

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
