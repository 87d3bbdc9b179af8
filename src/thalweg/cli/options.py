"""The options of ``thalweg train``: names, choices and help; defaults come from TableSettings."""

from __future__ import annotations

from typing import Annotated

import typer

from thalweg.data.builtin import BUILTIN_NAMES
from thalweg.descriptions import members
from thalweg.tabular.settings import TableSettings, activation_names

TASKS = ("auto", "classification", "regression")

_DEFAULTS = TableSettings()
HIDDEN = ",".join(map(str, _DEFAULTS.hidden))
ACTIVATION = str(_DEFAULTS.activation)
EPOCHS = _DEFAULTS.epochs
PATIENCE = 20
OPTIMIZER = str(_DEFAULTS.optimizer)

File = Annotated[
    str,
    typer.Argument(
        help=f"Table: CSV, TSV or Parquet, or one of the built-in {', '.join(BUILTIN_NAMES)}."
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="COLUMN", help='Column to predict; built-in tables have "target".'
    ),
]
Task = Annotated[
    str, typer.Option("--task", metavar="TASK", help=f"What to learn: {', '.join(TASKS)}.")
]
Kinds = Annotated[
    list[str] | None,
    typer.Option(
        "--kind", metavar="COLUMN=KIND", help="Overrule a column's kind, as in zip=category."
    ),
]
Drop = Annotated[
    list[str] | None,
    typer.Option("--drop", metavar="COLUMN", help="Leave a column out; give it repeatedly."),
]
Hidden = Annotated[
    str, typer.Option("--hidden", metavar="SIZES", help="Units of each hidden layer.")
]
Activation = Annotated[
    str,
    typer.Option("--activation", metavar="NAME", help=f"One of {', '.join(activation_names())}."),
]
Dropout = Annotated[
    float | None,
    typer.Option(
        "--dropout", metavar="SHARE", help="Share of hidden units left out; by default 0.1 or 0.2."
    ),
]
Epochs = Annotated[int, typer.Option("--epochs", help="Passes over the training rows at most.")]
Patience = Annotated[
    int,
    typer.Option(
        "--early-stopping",
        metavar="EPOCHS",
        help="Stop after so many epochs without a lower validation loss; 0 never stops, and "
        "keeps the best epoch.",
    ),
]
BatchSize = Annotated[
    int | None, typer.Option("--batch-size", help="Rows of a batch; by default 16 to 128.")
]
LearningRate = Annotated[
    float | None,
    typer.Option("--learning-rate", help="A constant rate; by default one that falls to 0."),
]
Optimizer = Annotated[
    str,
    typer.Option("--optimizer", metavar="NAME", help=f"One of {', '.join(members('optimizer'))}."),
]
Clip = Annotated[
    float | None, typer.Option("--clip", metavar="NORM", help="Bound of the gradient's norm.")
]
Seed = Annotated[int, typer.Option("--seed", help="Of split, weights, shuffling and dropout.")]
Out = Annotated[
    str | None,
    typer.Option("--out", metavar="DIR", help="Folder of the run; by default a new runs/NAME."),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace another table's model in --out.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the unfinished run in --out.")]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON line for each epoch, and one for the results.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but warnings.")]
