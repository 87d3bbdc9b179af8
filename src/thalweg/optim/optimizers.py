"""The names of all update rules; each is written in a file of its family."""

from __future__ import annotations

from thalweg.optim.adam import Adam, AdaMax, AdamW, Nadam, RAdam
from thalweg.optim.adaptive import AdaDelta, AdaGrad, RMSprop, RMSpropMomentum
from thalweg.optim.decay import DecoupledDecay
from thalweg.optim.descent import SGD, Momentum, Nesterov
from thalweg.optim.groups import Group, Groups
from thalweg.optim.modern import Lion, Muon
from thalweg.optim.optimizer import (
    Moment,
    Optimizer,
    Slot,
    State,
    Values,
    as_optimizer,
)

__all__ = [
    "SGD",
    "AdaDelta",
    "AdaGrad",
    "AdaMax",
    "Adam",
    "AdamW",
    "DecoupledDecay",
    "Group",
    "Groups",
    "Lion",
    "Moment",
    "Momentum",
    "Muon",
    "Nadam",
    "Nesterov",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "RMSpropMomentum",
    "Slot",
    "State",
    "Values",
    "as_optimizer",
]
