"""The options of ``thalweg train``: names, choices and help; defaults come from TableSettings.

SPEC is a description as text, such as ``adam`` or ``adam(0.01, beta2=0.99)``.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from thalweg.data.builtin import BUILTIN_NAMES
from thalweg.data.encoding import CATEGORIES
from thalweg.data.images import MODES
from thalweg.descriptions import members
from thalweg.models import MODELS
from thalweg.tabular.choices import normalisation_names
from thalweg.tabular.settings import ENSEMBLES, TableSettings, activation_names
from thalweg.training.finishing import STATISTICS

OF_IMAGES = ("model", "labels", "resize", "mode", "strict", "standardise")
"""Parameters that are for images alone."""

OF_TABLES = (
    "target", "task", "kind", "drop", "categories", "hidden", "activation", "initialiser",
    "normalise", "dropout", "members", "ensemble",
)  # fmt: skip
"""Parameters that are for tables alone."""

TASKS = ("auto", "classification", "regression")
_NETWORK = "The network"
_TRAINING = "Training"
_IMAGES = "Images"
_SPEC = "SPEC"
_NUMBER = "NUMBER|SPEC"


def _option(name: str, text: str, metavar: str = _SPEC, panel: str = _TRAINING) -> Any:
    return typer.Option(name, metavar=metavar, help=text, rich_help_panel=panel)


def _names(family: str) -> str:
    return ", ".join(name for name in members(family) if name != "early")


_DEFAULTS = TableSettings()
HIDDEN = ",".join(map(str, _DEFAULTS.hidden))
ACTIVATION = str(_DEFAULTS.activation)
EPOCHS = _DEFAULTS.epochs
PATIENCE = 20
OPTIMIZER = str(_DEFAULTS.optimizer)

File = Annotated[
    str,
    typer.Argument(
        help=f"Table: CSV, TSV or Parquet, or one of the built-in {', '.join(BUILTIN_NAMES)}; or "
        "images: a folder with a folder for each class, or IDX, .npz, .npy."
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
Categories = Annotated[
    str,
    typer.Option(
        "--categories",
        metavar="|".join(CATEGORIES),
        help="How categories reach the network: an input for each, or a learned vector for each.",
    ),
]
Hidden = Annotated[str, _option("--hidden", "Units of each hidden layer.", "SIZES", _NETWORK)]
Activation = Annotated[
    str,
    _option(
        "--activation",
        f"After each hidden layer: {', '.join(activation_names())}, as in leaky_relu(0.2).",
        panel=_NETWORK,
    ),
]
Initialiser = Annotated[
    str | None,
    _option(
        "--initialiser",
        f"Of the hidden layers' weights: {_names('initialiser')}; by default what the activation "
        "prefers.",
        panel=_NETWORK,
    ),
]
Normalise = Annotated[
    str | None,
    _option(
        "--normalise",
        f"Of each hidden layer, before the activation: {', '.join(normalisation_names())}.",
        panel=_NETWORK,
    ),
]
Dropout = Annotated[
    float | None,
    _option(
        "--dropout",
        "Share of hidden units left out; by default 0.1 or 0.2.",
        "SHARE",
        _NETWORK,
    ),
]
Network = Annotated[
    str | None,
    _option(
        "--network",
        "The whole network in place of the options above, as in sequential(linear(8), tanh, "
        "linear(3)), with an output for each class, or one for a number.",
        panel=_NETWORK,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME",
        help=f"Named network: {', '.join(MODELS)}, as in resnet(blocks=3); lenet5 by default.",
        rich_help_panel=_IMAGES,
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        help="Labels of a file of images; by default the file beside it with labels in its name.",
        rich_help_panel=_IMAGES,
    ),
]
Resize = Annotated[
    str | None,
    typer.Option(
        "--resize",
        metavar="WxH",
        help="Bring all images of a folder to this size, such as 32x32.",
        rich_help_panel=_IMAGES,
    ),
]
Mode = Annotated[
    str | None,
    typer.Option(
        "--mode",
        metavar="|".join(MODES),
        help="Bring all images of a folder to grey (L) or colours (RGB).",
        rich_help_panel=_IMAGES,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse files of a folder that are no whole images, instead of leaving them out.",
        rich_help_panel=_IMAGES,
    ),
]
Standardise = Annotated[
    bool,
    typer.Option(
        "--standardise",
        help="Give each channel mean 0 and deviation 1 instead of scaling to 0 to 1.",
        rich_help_panel=_IMAGES,
    ),
]
Loss = Annotated[
    str | None,
    _option(
        "--loss",
        f"What is minimised: {_names('loss')}; by default cross entropy for classes, squared "
        "error for numbers.",
    ),
]
Epochs = Annotated[
    int,
    _option(
        "--epochs",
        "Passes over the training rows at most; of images 20 to 100, by their number.",
        "N",
    ),
]
Patience = Annotated[
    int,
    _option(
        "--early-stopping",
        "Stop after so many epochs without a lower validation loss; 0 never stops, and "
        "keeps the best epoch. Of images 10 by default.",
        "EPOCHS",
    ),
]
Stop = Annotated[
    str | None,
    _option("--stop", f"Another rule that ends training: {_names('stopping')}."),
]
BatchSize = Annotated[
    int | None, _option("--batch-size", "Rows of a batch; by default 16 to 128.", "N")
]
Accumulate = Annotated[
    int, _option("--accumulate", "Batches whose gradients make one update.", "N")
]
Optimizer = Annotated[str, _option("--optimizer", f"Update rule: {_names('optimizer')}.")]
LearningRate = Annotated[
    str | None,
    _option(
        "--learning-rate",
        f"A constant rate, or a schedule: {_names('schedule')}; by default one that falls to 0.",
        _NUMBER,
    ),
]
Penalty = Annotated[
    str | None,
    _option(
        "--penalty",
        f"On the weights: {_names('penalty')}; a number is the factor of l2, 0 for none; by "
        "default 0.002 for classes, 0.0005 for numbers and for images.",
        _NUMBER,
    ),
]
Clip = Annotated[
    str | None,
    _option(
        "--clip",
        f"Bound on the gradient: {_names('clipping')}; a number is the bound of its norm.",
        _NUMBER,
    ),
]
ClassWeight = Annotated[
    str | None,
    _option(
        "--class-weight",
        "balanced, so that all classes count alike, or weights by class, as in {yes: 2, no: 1}.",
        "WEIGHTS",
    ),
]
Average = Annotated[
    str | None,
    _option(
        "--average",
        f"Of the weights, used in place of the last ones: {_names('averaging')}; a number is the "
        "decay of ema.",
        _NUMBER,
    ),
]
Augment = Annotated[
    str | None,
    _option("--augment", f"Random change of training batches: {_names('augmentation')}."),
]
Statistics = Annotated[
    str,
    _option(
        "--statistics",
        "What batch normalisation uses afterwards: running averages, or exact statistics of the "
        "training rows.",
        "|".join(STATISTICS),
    ),
]
Members = Annotated[
    int | None,
    _option("--members", "Networks to train and combine; by default 5 with --ensemble.", "K"),
]
Ensemble = Annotated[
    str | None,
    _option(
        "--ensemble",
        "How several networks differ and are combined: the mean or vote of networks with seeds of "
        "their own, bagging on samples of the rows, or snapshots of one run, which has no early "
        "stopping and cannot be resumed.",
        "|".join(ENSEMBLES),
    ),
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
