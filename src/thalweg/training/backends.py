"""The backends that a run can have."""

from __future__ import annotations

from collections.abc import Callable

from thalweg.errors import SettingError
from thalweg.optim.lbfgs import LBFGS
from thalweg.training.executor import Executor, InterpreterExecutor
from thalweg.training.job import Job
from thalweg.training.lbfgs import LBFGSExecutor
from thalweg.training.native import NativeExecutor

BACKENDS: dict[str, Callable[[Job], Executor]] = {
    "native": NativeExecutor,
    "interpreter": InterpreterExecutor,
}
"""By the name that ``fit`` takes: what makes the executor of a job."""


def executor_of(job: Job, backend: str) -> Executor:
    """What runs the steps of a job: the backend's executor, or the optimiser's own."""
    if isinstance(job.recipe.optimizer, LBFGS):
        return LBFGSExecutor(job, backend)
    return BACKENDS[backend](job)


def check_backend(name: str) -> None:
    """Refuse a name that is no backend's.

    Raises:
        SettingError: with the names that there are.
    """
    if name not in BACKENDS:
        raise SettingError(f"backend {name!r} is not one of {', '.join(BACKENDS)}")
