"""Learning-rate schedules: the learning rate as a function of the step.

The names of all schedules; they are defined in ``decays``, ``cycles``, ``composing``, ``plateau``.
"""

from thalweg.optim.composing import ScaledSchedule, ScheduleProduct, ScheduleSequence, WarmUp
from thalweg.optim.cycles import CosineRestarts, OneCycle, Triangular
from thalweg.optim.decays import (
    ConstantRate,
    Cosine,
    ExponentialDecay,
    Geometric,
    InverseRootDecay,
    InverseTimeDecay,
    LinearDecay,
    NaturalExponentialDecay,
    PiecewiseConstant,
    PolynomialDecay,
    StepDecay,
)
from thalweg.optim.plateau import ReduceOnPlateau, plateaus
from thalweg.optim.schedule import UNITS, Rate, Schedule, rate_at

__all__ = [
    "UNITS",
    "ConstantRate",
    "Cosine",
    "CosineRestarts",
    "ExponentialDecay",
    "Geometric",
    "InverseRootDecay",
    "InverseTimeDecay",
    "LinearDecay",
    "NaturalExponentialDecay",
    "OneCycle",
    "PiecewiseConstant",
    "PolynomialDecay",
    "Rate",
    "ReduceOnPlateau",
    "ScaledSchedule",
    "Schedule",
    "ScheduleProduct",
    "ScheduleSequence",
    "StepDecay",
    "Triangular",
    "WarmUp",
    "plateaus",
    "rate_at",
]
