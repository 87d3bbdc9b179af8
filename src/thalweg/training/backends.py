"""The backends that a run can have."""

from __future__ import annotations

from collections.abc import Callable

from thalweg.errors import SettingError
from thalweg.training.executor import Executor, InterpreterExecutor
from thalweg.training.job import Job
from thalweg.training.native import NativeExecutor

BACKENDS: dict[str, Callable[[Job], Executor]] = {
    "native": NativeExecutor,
    "interpreter": InterpreterExecutor,
}
"""By the name that ``fit`` takes: what makes the executor of a job."""


def check_backend(name: str) -> None:
    """Refuse a name that is no backend's.

    Raises:
        SettingError: with the names that there are.
    """
    if name not in BACKENDS:
        raise SettingError(f"backend {name!r} is not one of {', '.join(BACKENDS)}")
