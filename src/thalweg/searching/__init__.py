"""Search of hyperparameters: spaces, samplers, schedulers, the engine, and the journal.

Range, Whole, Choice          the values of one hyperparameter
Space                         several of them by name, with conditions between them
Sampler                       proposes settings from what finished trials gave
Scheduler                     shares the time among trials, by what they have reached
search                        trains trials wave by wave, and gives a SearchRun
Journal                       an append-only file of what has happened
"""

from thalweg.searching.journal import Journal, read_journal
from thalweg.searching.result import SearchRun
from thalweg.searching.samplers import (
    GaussianProcessSampler,
    GridSampler,
    QuasiRandomSampler,
    RandomSampler,
    Sampler,
    TPESampler,
)
from thalweg.searching.schedulers import Asha, Hyperband, PopulationBased, SuccessiveHalving
from thalweg.searching.search import search
from thalweg.searching.showing.display import SearchDisplay
from thalweg.searching.spaces.choices import Choice
from thalweg.searching.spaces.ranges import Range, Whole
from thalweg.searching.spaces.space import Space
from thalweg.searching.spaces.toml import read_space, space_toml
from thalweg.searching.stacked import stacked
from thalweg.searching.tables import TableSearchRun, search_table
from thalweg.searching.trial import Trial

__all__ = [
    "Asha",
    "Choice",
    "GaussianProcessSampler",
    "GridSampler",
    "Hyperband",
    "Journal",
    "PopulationBased",
    "QuasiRandomSampler",
    "RandomSampler",
    "Range",
    "Sampler",
    "SearchDisplay",
    "SearchRun",
    "Space",
    "SuccessiveHalving",
    "TPESampler",
    "TableSearchRun",
    "Trial",
    "Whole",
    "read_journal",
    "read_space",
    "search",
    "search_table",
    "space_toml",
    "stacked",
]
