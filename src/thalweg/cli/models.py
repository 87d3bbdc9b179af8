"""Models named on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thalweg.model import Model


def load_model(given: str) -> Model:
    """The model in a file, or in a run's folder.

    Raises:
        FileError: no such file, or no undamaged model in it.
    """
    from thalweg.model import load

    return load(model_path(given))


def model_path(given: str) -> Path:
    """The model file for a file or a folder as given."""
    from thalweg.tabular import MODEL_FILE

    path = Path(given)
    return path / MODEL_FILE if path.is_dir() else path
