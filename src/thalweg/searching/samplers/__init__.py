"""Samplers: grid, random, quasi-random, tree-structured Parzen estimator, Gaussian process."""

from thalweg.searching.proposals import Known
from thalweg.searching.samplers.gaussian_process import GaussianProcessSampler
from thalweg.searching.samplers.points import GridSampler, QuasiRandomSampler, RandomSampler
from thalweg.searching.samplers.sampler import Sampler, as_sampler
from thalweg.searching.samplers.tpe import TPESampler

__all__ = [
    "GaussianProcessSampler",
    "GridSampler",
    "Known",
    "QuasiRandomSampler",
    "RandomSampler",
    "Sampler",
    "TPESampler",
    "as_sampler",
]
