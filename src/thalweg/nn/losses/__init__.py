"""Losses: how far a network's outputs are from the targets.

A loss gives one number for each row, l_i; the loss of a batch is their weighted mean
Σ w_i l_i / Σ w_i. Symbols: z net inputs (outputs without activation), ŷ predictions, y targets,
N rows, K classes, L labels.
"""

from thalweg.nn.losses.base import Kind, Loss
from thalweg.nn.losses.classes import Brier, CrossEntropy, Focal, KLDivergence
from thalweg.nn.losses.custom import CustomClassLoss, CustomLoss, as_loss
from thalweg.nn.losses.labels import BinaryBrier, BinaryCrossEntropy
from thalweg.nn.losses.margins import (
    Hinge,
    MultiClassHinge,
    MultiClassPerceptronLoss,
    PerceptronLoss,
    TanhCrossEntropy,
)
from thalweg.nn.losses.numbers import (
    AbsoluteError,
    GaussianNLL,
    Huber,
    LogCosh,
    PoissonNLL,
    SquaredError,
)

__all__ = [
    "AbsoluteError",
    "BinaryBrier",
    "BinaryCrossEntropy",
    "Brier",
    "CrossEntropy",
    "CustomClassLoss",
    "CustomLoss",
    "Focal",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "KLDivergence",
    "Kind",
    "LogCosh",
    "Loss",
    "MultiClassHinge",
    "MultiClassPerceptronLoss",
    "PerceptronLoss",
    "PoissonNLL",
    "SquaredError",
    "TanhCrossEntropy",
    "as_loss",
]
