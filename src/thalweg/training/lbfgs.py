"""The executor of L-BFGS: one iteration with a line search is one step."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager

import numpy as np

from thalweg.errors import SettingError
from thalweg.graph import Array
from thalweg.model.forward import Forward, native_forward
from thalweg.optim.lbfgs import LBFGS, direction
from thalweg.optim.optimizer import Moment
from thalweg.training.executor import Stretch, Sums, gathered
from thalweg.training.full_batch import FullBatch, Whole
from thalweg.training.job import Chosen, Job
from thalweg.training.recipe import Recipe, Values
from thalweg.training.step import State

CONVERGED = "converged"


class _Silence:
    """SciPy's line search says nothing; the filters are the process's, so it is counted.

    The first of several threads sets them, the last one to leave puts them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = 0
        self._before = warnings.catch_warnings()

    @contextmanager
    def kept(self) -> Generator[None]:
        """No warning inside."""
        with self._lock:
            self._wanted += 1
            if self._wanted == 1:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.simplefilter("ignore", RuntimeWarning)
        try:
            yield
        finally:
            with self._lock:
                self._wanted -= 1
                if self._wanted == 0:
                    self._before.__exit__(None, None, None)


_SILENCE = _Silence()


def check_whole_batch(recipe: Recipe, batch_size: int | None, rows: int) -> int:
    """The batch size of all rows; what needs mini-batches is refused.

    Raises:
        SettingError: naming the setting.
    """
    if batch_size is not None and batch_size != rows:
        raise SettingError(
            f"lbfgs works on all {rows} training rows at once: leave out batch_size = {batch_size}"
        )
    wrong = {
        "clip": recipe.clipping,
        "average": recipe.average,
        "augment": recipe.augmentation,
        "accumulate": recipe.accumulate if recipe.accumulate > 1 else None,
    }
    for name, value in wrong.items():
        if value is not None:
            raise SettingError(f"lbfgs takes no {name}, got {value!r}")
    return rows


class LBFGSExecutor:
    """Runs iterations of L-BFGS; see :class:`thalweg.optim.lbfgs.LBFGS`.

    Args:
        job: what is trained, all rows in one batch.
        backend: what evaluates the risk.
    """

    def __init__(self, job: Job, backend: str) -> None:
        self.job = job
        self.rule = job.recipe.optimizer
        assert isinstance(self.rule, LBFGS)
        self._risk = FullBatch(job, backend)
        network = job.recipe.network
        self._forward = native_forward(network) if backend == "native" else Forward(network)
        self._state: State | None = None
        self._now: Whole | None = None
        self._seen: dict[bytes, Whole] = {}

    def prepare(self, state: State) -> None:
        """Compile the risk."""
        self._risk(state.parameters, state.states)

    def load(self, state: State) -> None:
        """Go on from this state, which is never written to."""
        self._state, self._now = state, None

    def adjust(self, settings: Mapping[str, float]) -> None:
        """There is nothing to change between iterations.

        Raises:
            SettingError: for any setting.
        """
        if settings:
            raise SettingError("lbfgs takes no schedule: its line search finds the step")

    def state(self, last: bool = False) -> State:
        """The state after the last iteration.

        Raises:
            RuntimeError: no state was loaded.
        """
        if self._state is None:
            raise RuntimeError("no state yet: call load() first")
        return self._state

    def evaluate(self, x: Array | Chosen, states: Values | None = None) -> Array:
        """The network's outputs for rows."""
        state = self.state()
        return self._forward(state.parameters, state.states if states is None else states, x)

    def run(self, steps: range, sums: Sums, seconds: float) -> Stretch:
        """Iterate until the time is used up, at least once, or until nothing is left to gain."""
        deadline = time.perf_counter() + seconds
        losses: list[float] = []
        failed, ended = False, ""
        for _ in steps:
            begin = self._begin()
            failed = not _is_finite(begin)
            if failed:
                break
            moved = self._iterate(begin)
            losses.append(begin.loss)
            if not moved:
                ended = CONVERGED
                break
            if time.perf_counter() >= deadline:
                break
        stretch = gathered(self.job, steps.start, losses, sums, failed)
        return stretch._replace(ended=ended)

    def _begin(self) -> Whole:
        state = self.state()
        if self._now is None:
            self._now = self._risk(state.parameters, state.states)
        return self._now

    def _iterate(self, begin: Whole) -> bool:
        """One iteration; whether there was anything to gain."""
        state, rule = self.state(), self.rule
        assert isinstance(rule, LBFGS)
        slope = _flat(begin.gradients)
        moves, changes = _remembered(state.slots)
        if float(np.max(np.abs(slope))) <= rule.tolerance:
            found = None
        else:
            found = self._search(begin, slope, direction(slope, moves, changes), len(moves) == 0)
            if found is None and len(moves):
                moves, changes = moves[:0], changes[:0]
                found = self._search(begin, slope, -slope, True)
        slots = state.slots
        if found is not None:
            place, after = found
            here = _flat({path: state.parameters[path] for path in begin.gradients})
            move, change = place - here, _flat(after.gradients) - slope
            if float(move @ change) > 1e-12 * float(change @ change):
                moves, changes = np.vstack([moves, move]), np.vstack([changes, change])
            slots = _held(state.slots, moves, changes)
            parameters = self._parameters(place)
            self._state = State(parameters, slots, after.states, state.step + 1)
            self._now = after if _same(state.states, after.states) else None
        else:
            self._state = state._replace(step=state.step + 1)
        self._seen.clear()
        return found is not None

    def _search(
        self, begin: Whole, slope: Array, way: Array, is_first: bool
    ) -> tuple[Array, Whole] | None:
        """A lower place along a direction by the strong Wolfe conditions, or any lower one."""
        from scipy.optimize import line_search

        rule, state = self.rule, self.state()
        assert isinstance(rule, LBFGS)
        here = _flat({path: state.parameters[path] for path in begin.gradients})
        if float(way @ slope) >= 0:
            return None
        if is_first:
            longest = float(rule.rate(Moment(state.step)))
            way = way * min(1.0, longest / float(np.linalg.norm(way)))
        with _SILENCE.kept(), np.errstate(all="ignore"):
            share = line_search(
                self._risk_at, self._slope_at, here, way, slope, begin.risk,
                c1=rule.c1, c2=rule.c2, maxiter=rule.evaluations,
            )[0]  # fmt: skip
        trials = [share] if share else [0.5**k for k in range(rule.evaluations)]
        for trial in trials:
            place = here + float(trial) * way
            found = self._at(place)
            if _is_finite(found) and found.risk < begin.risk:
                return place, found
        return None

    def _risk_at(self, place: Array) -> float:
        return _or_infinity(self._at(place).risk)

    def _slope_at(self, place: Array) -> Array:
        return _flat(self._at(place).gradients)

    def _at(self, place: Array) -> Whole:
        key = place.tobytes()
        if key not in self._seen:
            self._seen[key] = self._risk(self._parameters(place), self.state().states)
        return self._seen[key]

    def _parameters(self, place: Array) -> Values:
        """All parameters, the trained ones from a point (D,)."""
        state, begin = self.state(), 0
        parameters = dict(state.parameters)
        for path, old in state.parameters.items():
            if self.job.recipe.is_frozen(path):
                continue
            parameters[path] = place[begin : begin + old.size].reshape(old.shape).astype(old.dtype)
            begin += old.size
        return parameters


def _flat(values: Values) -> Array:
    return np.concatenate([value.reshape(-1).astype(np.float64) for value in values.values()])


def _same(before: Values, after: Values) -> bool:
    """Whether states are as they were; else the risk may be another, even at the same place."""
    return all(np.array_equal(after[path], value) for path, value in before.items())


def _or_infinity(value: float) -> float:
    return value if np.isfinite(value) else float("inf")


def _is_finite(found: Whole) -> bool:
    arrays = (*found.gradients.values(), *found.states.values())
    return bool(np.isfinite(found.risk)) and all(np.isfinite(array).all() for array in arrays)


def _remembered(slots: Values) -> tuple[Array, Array]:
    count = int(slots["lbfgs.count/"])
    return slots["lbfgs.moves/"][:count], slots["lbfgs.changes/"][:count]


def _held(slots: Values, moves: Array, changes: Array) -> Values:
    """The slots with these pairs, the oldest dropped where there are too many."""
    held = {name: np.zeros_like(array) for name, array in slots.items()}
    most = len(slots["lbfgs.moves/"])
    moves, changes = moves[-most:], changes[-most:]
    held["lbfgs.moves/"][: len(moves)] = moves
    held["lbfgs.changes/"][: len(changes)] = changes
    held["lbfgs.count/"] = np.array(float(len(moves)))
    return held
