"""``thalweg predict``: a model's predictions for a table, as CSV, or for images."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thalweg.cli.console import tell_notes
from thalweg.cli.models import load_model, model_path
from thalweg.errors import DataError, SettingError

if TYPE_CHECKING:
    from thalweg.model import Model

_BLOCK = 10_000  # rows of CSV text made at a time
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def predict(
    model: Annotated[str, typer.Argument(help="Model file, or the folder of a run.")],
    file: Annotated[
        list[str],
        typer.Argument(
            help="Table to predict: CSV, TSV, Parquet, or a built-in name. For a model of images: "
            "image files, folders of them, or files of arrays."
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", help="CSV file to write; standard output without it."),
    ] = None,
    resize: Annotated[
        bool, typer.Option("--resize", help="Bring images of another size or mode to the model's.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON line for each image.")] = False,
) -> None:
    """Predict every row of a table, or every image.

    Of a table, rows stay in order and columns are found by name. The CSV has a column `prediction`,
    which holds the class or the value, and for classes a column `probability_CLASS` for each
    class. What was noticed about the table is told on standard error.

    Of images, path, class and probability are printed, a line for each image; --out writes a CSV.
    """
    check_order(model, file[0])
    chosen = load_model(model)
    for given in file:
        check_out(out, given, model)
    if chosen.images is not None:
        from thalweg.cli.image_predictions import predict_images

        predict_images(chosen, file, out=out, resize=resize, json=json)
        return
    if len(file) > 1 or resize or json:
        what = "several files are" if len(file) > 1 else f"{'--resize' if resize else '--json'} is"
        raise SettingError(f"{what} for models of images; this model takes one table")
    header, rows = predictions(chosen, file[0])
    write_csv(out, header, rows)


def write_csv(out: str | None, header: list[str], columns: list[list[Any]]) -> None:
    """Write a CSV to a file, atomically, or to standard output."""
    if out is None:
        for chunk in csv_text(header, columns):
            sys.stdout.write(chunk)
        return
    from thalweg.storage.atomic import write_atomically

    write_atomically(out, (chunk.encode() for chunk in csv_text(header, columns)))


def check_order(model: str, file: str) -> None:
    """Refuse a model in the place of a table, and a table in the place of the model.

    Raises:
        SettingError: the arguments are swapped.
    """
    first, second = (
        model_path(given).suffix == ".safetensors" and model_path(given).is_file()
        for given in (model, file)
    )
    if second and not first:
        raise SettingError(
            f"{file} is the model, and {model} is none: the model comes first, as in "
            f"thalweg predict {shlex.join((file, model))}"
        )


def check_out(out: str | None, file: str, model: str) -> None:
    """Refuse to write over what is read.

    Raises:
        SettingError: the file of predictions is the model, or what is predicted.
    """
    if out is None or not Path(out).exists():
        return
    for given in (Path(file), model_path(model)):
        if given.exists() and given.samefile(out):
            raise SettingError(f"--out {out} would replace {given}, which is read; name another")


def predictions(model: Model, source: Any) -> tuple[list[str], list[list[Any]]]:
    """The header, and a list of cells for each column; notes on the table are told.

    Raises:
        DataError: the model was not trained on a table, or the table does not fit it.
    """
    from thalweg.tabular import open_table

    if model.encoder is None:
        raise DataError(
            "this model was trained on arrays, so that it knows no columns; load it in Python: "
            "thalweg.load(path).predict(x)"
        )
    inputs, notes = model.inputs(open_table(source))
    tell_notes(notes)
    predicted = model.predictions(model.outputs(inputs))
    header, columns = ["prediction"], [cells(model.decide(predicted))]
    if model.classes is not None:
        header += [f"probability_{label}" for label in model.classes]
        columns += [cells(column) for column in model.spread(predicted).T]
    return header, columns


def cells(values: Any) -> list[Any]:
    """Numbers in the shortest form that reads back the same, text made safe for spreadsheets."""
    if values.dtype.kind == "f":
        return [str(value) for value in values]
    return [safe_text(value) if isinstance(value, str) else value for value in values.tolist()]


def safe_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula: a ' in front where it could; numbers stay.

    >>> safe_text("=1+1"), safe_text("-1"), safe_text("yes")
    ("'=1+1", '-1', 'yes')
    """
    if not text.startswith(_FORMULA_STARTS):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def csv_text(header: list[str], columns: list[list[Any]]) -> Iterator[str]:
    """The CSV in pieces of some thousand rows."""
    import csv
    import io

    for start in range(0, max(len(columns[0]), 1), _BLOCK):
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        if not start:
            writer.writerow(header)
        block = [column[start : start + _BLOCK] for column in columns]
        writer.writerows(zip(*block, strict=True))
        yield buffer.getvalue()
