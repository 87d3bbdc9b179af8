"""Schedulers: how the time of a search is shared among its trials (family ``scheduler``)."""

from thalweg.searching.schedulers.asha import Asha
from thalweg.searching.schedulers.every import EveryTrial
from thalweg.searching.schedulers.halving import Bracket, Hyperband, SuccessiveHalving
from thalweg.searching.schedulers.population_based import PopulationBased
from thalweg.searching.schedulers.scheduler import (
    Candidate,
    Copy,
    Scheduler,
    Standing,
    Wave,
    as_scheduler,
)

__all__ = [
    "Asha",
    "Bracket",
    "Candidate",
    "Copy",
    "EveryTrial",
    "Hyperband",
    "PopulationBased",
    "Scheduler",
    "Standing",
    "SuccessiveHalving",
    "Wave",
    "as_scheduler",
]
