"""Where a run is kept: a folder that is there, writable, and not another run's."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from thalweg.errors import FileError, SettingError, ThalwegError

if TYPE_CHECKING:
    from thalweg.model import Model

MODEL, CHECKPOINT = "model.safetensors", "checkpoint.safetensors"
RUNS = Path("runs")
_MOST_RUNS = 10_000


def new_folder(file: str) -> Path:
    """``runs/NAME`` for a table's name, or the first of ``runs/NAME-2``, … that is not there."""
    name = Path(file).name.split(".")[0] or "table"
    for number in range(1, _MOST_RUNS):
        folder = RUNS / (name if number == 1 else f"{name}-{number}")
        if not folder.exists():
            return folder
    raise SettingError(f"{RUNS} holds {_MOST_RUNS:,} runs of {name}; choose a folder with --out")


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of an unfinished run: one, and one for each member of an ensemble."""
    whole = [folder / CHECKPOINT] if (folder / CHECKPOINT).exists() else []
    numbered = (path for path in folder.glob(f"{CHECKPOINT}.*") if path.suffix[1:].isdecimal())
    return whole + sorted(numbered)


@contextlib.contextmanager
def claimed(folder: Path) -> Generator[None]:
    """Make the folder and try to write in it; take it away again if nothing came into it.

    Raises:
        FileError: it cannot be made or written.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = "it is a file" if folder.is_file() else error.strerror or str(error)
            raise FileError(f"cannot make the folder {folder}: {reason}; choose another") from error
        _probe(folder)
        yield
    finally:
        with contextlib.suppress(OSError):
            for place in made:
                place.rmdir()


def _probe(folder: Path) -> None:
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise FileError(
            f"cannot write in the folder {folder}: {error.strerror or error}; choose another"
        ) from error
    for name in (MODEL, CHECKPOINT):
        if (folder / name).is_dir():
            raise FileError(f"{folder / name} is a folder; choose another folder for this run")


def check_former(folder: Path, origin: str, target: str) -> str | None:
    """What is to be said when a folder's model will be replaced; None where there is none.

    Raises:
        SettingError: the folder holds the model of another table or target, or something else.
    """
    path = folder / MODEL
    if not path.exists():
        return None
    remedy = "choose another folder with --out, or allow it with --overwrite"
    model = _former(path)
    if model is None:
        raise SettingError(f"{path} is there already and no model of this program's; {remedy}")
    trained_on = model.record.get("table")
    name = model.target.name if model.target is not None else None
    if (trained_on, name) != (origin, target):
        raise SettingError(f"{path} holds another model ({trained_on}, target {name!r}); {remedy}")
    return f"{path}, an earlier model of the same table and target, will be replaced"


def _former(path: Path) -> Model | None:
    from thalweg.model import load

    try:
        return load(path)
    except ThalwegError:
        return None
