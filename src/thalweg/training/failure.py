"""Why a run ended at a value that is not finite."""

from __future__ import annotations

from functools import cached_property

from thalweg.errors import NonFiniteError
from thalweg.training.job import Job
from thalweg.training.nonfinite import explain, replay
from thalweg.training.step import State


class Failure:
    """A loss, gradient or parameter that became NaN or infinite; its text says which.

    Args:
        job: what was trained.
        state: before the step that failed.

    Attributes:
        step: the number of the step that failed, from 1.
        epoch: the epoch that it belongs to, from 1.
    """

    def __init__(self, job: Job, state: State) -> None:
        self.step = state.step + 1
        self.epoch = state.step // job.steps_per_epoch + 1
        self._job = job
        self._state = state

    @cached_property
    def explanation(self) -> str:
        """Step, layer, direction and a likely cause: the step is run again, value by value."""
        whole = self._job.recipe.optimizer.whole_batch
        return explain(replay(self._job, self._state), self.step, whole)

    def __str__(self) -> str:
        return self.explanation

    def __getstate__(self) -> dict[str, object]:
        """What copies and other processes get: the text in place of the data that explain it."""
        return {"step": self.step, "epoch": self.epoch, "explanation": self.explanation}

    def __repr__(self) -> str:
        return f"Failure(step {self.step}, epoch {self.epoch})"

    def error(self) -> NonFiniteError:
        """As an error."""
        return NonFiniteError(self.explanation)
