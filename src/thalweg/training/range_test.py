"""The learning-rate range test: one short run whose rate rises until the loss diverges."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from thalweg.compiler.threads import one_blas_thread
from thalweg.errors import NonFiniteError, SettingError
from thalweg.graph import Array
from thalweg.model.model import Model
from thalweg.nn.layer import Network
from thalweg.nn.losses import Loss
from thalweg.nn.penalties import as_penalty
from thalweg.optim.clipping import as_clipping
from thalweg.optim.decays import Geometric
from thalweg.optim.lbfgs import LBFGS
from thalweg.optim.optimizers import Adam, Optimizer, as_optimizer
from thalweg.training.backends import BACKENDS, check_backend
from thalweg.training.beginning import whole_number
from thalweg.training.executor import Executor, Sums
from thalweg.training.job import Job
from thalweg.training.nonfinite import explain, replay
from thalweg.training.problem import problem, rows_of_a_batch
from thalweg.training.recipe import Recipe, initial_slots
from thalweg.training.step import State

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DIVERGED = 4.0
_MEMORY = 0.8
"""Of the running mean of the losses that decides where the test ends."""

_SLOPE_DECADES = 0.5
"""Standard deviation of the window in which the slope of the loss is taken."""

_WINDOWS = 33.0
"""Standard deviations of the smoothing window that fit in a test: 3 updates of 100."""


@dataclass(frozen=True, eq=False)
class LearningRateTest:
    """What a range test found.

    Attributes:
        rates: learning rates of the updates done, (n,), rising.
        losses: the loss of each update's batch before the update, (n,).
        smoothed: the losses averaged over their neighbours by a Gaussian window, (n,).
        stopped: why the test ended: ``highest rate``, ``diverged`` or ``non-finite``.
    """

    rates: Array
    losses: Array
    smoothed: Array
    stopped: str

    @property
    def suggestion(self) -> float | None:
        """The rate at which the loss falls most steeply over log η, before its minimum.

        The slope at a rate is that of a straight line through the losses around it, in a Gaussian
        window of half a decade. None where the loss never falls.
        """
        lowest = int(np.argmin(self.smoothed))
        if lowest == 0:
            return None
        slopes = _slopes(np.log10(self.rates), _bounded(self.losses))
        return float(self.rates[np.argmin(slopes[: lowest + 1])])

    @property
    def minimum(self) -> float:
        """The rate at which the smoothed loss is least; too high to train with."""
        return float(self.rates[np.argmin(self.smoothed)])

    @property
    def tenth(self) -> float:
        """A tenth of :attr:`minimum`, the other usual choice."""
        return self.minimum / 10.0

    def __repr__(self) -> str:
        found = self.suggestion
        shown = "None" if found is None else f"{found:.3g}"
        return (
            f"LearningRateTest(suggestion={shown}, tenth={self.tenth:.3g}, "
            f"{len(self.rates)} updates, {self.stopped})"
        )

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw the loss over the learning rate, with matplotlib; see :meth:`Schedule.plot`.

        Args:
            path: a file to write; its ending chooses the format (``.svg``, ``.png``, ``.pdf``).

        Raises:
            SettingError: matplotlib is not installed, or the file's ending is of no known format.
            FileError: the file cannot be written.
        """
        from thalweg.optim.plotting import new_figure, write_figure

        with new_figure() as (figure, axis):
            axis.plot(self.rates, self.losses, color="#a9bfd8", lw=1.0, label="loss of a batch")
            axis.plot(self.rates, self.smoothed, color="#1f5a99", lw=1.8, label="smoothed")
            for rate, style, name in self._marks():
                axis.axvline(rate, color="#b5482a", ls=style, lw=1.2, label=f"{name}: {rate:.2g}")
            low, high = float(self.losses.min()), float(self.smoothed.max())
            room = 0.06 * (high - low) or 1.0
            axis.set_ylim(low - room, high + room)
            axis.set_xscale("log")
            axis.set_xlabel("learning rate η (log scale)")
            axis.set_ylabel("training loss")
            axis.set_title("learning-rate range test", loc="left")
            axis.legend(frameon=False, fontsize=9)
            write_figure(figure, path)
        return figure

    def _marks(self) -> list[tuple[float, str, str]]:
        found = [(self.tenth, ":", "minimum / 10")]
        if self.suggestion is not None:
            found.insert(0, (self.suggestion, "--", "steepest descent"))
        return found


def lr_find(
    network: Network,
    x: Any,
    y: Any,
    *,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    loss: str | Loss | Callable[..., Any] | None = None,
    optimizer: str | Optimizer = Adam(),
    batch_size: int | None = None,
    clip: Any = None,
    penalty: Any = None,
    sample_weight: Any = None,
    classes: Sequence[Any] | None = None,
    start: Model | Mapping[str, Any] | None = None,
    seed: int = 0,
    dtype: str = "float32",
    backend: str = "native",
    threads: int | None = None,
) -> LearningRateTest:
    """Find learning rates that suit a problem, by a short run whose rate rises from low to high.

    The rate of update k is low · (high / low)^(k / (steps - 1)). The test ends early once the
    running mean of the loss is above four times its least value, or a value is not finite. The
    network given is not changed: nothing of the run is kept but the losses.

    Args:
        network: a layer such as ``Sequential``, or a function ``(x, scope) -> Tensor``.
        x: inputs, (N, …).
        y: targets, as :func:`fit` takes them.
        low: the first rate, > 0.
        high: the last rate, > low.
        steps: updates, ≥ 10; the rows are gone through again as often as needed.
        loss: as in :func:`fit`.
        optimizer: whose learning rate is looked for; the one that it has is not used. Where it
            holds several rules, as :class:`Groups` and :class:`Muon` do, all take the tested rate.
        batch_size: rows of a batch; a rate is good for the batches it was found with.
        clip: bound of the gradient's global norm, or a clipping.
        penalty: on the weights, as in :func:`fit`; the losses are without it.
        sample_weight: (N,) weights ≥ 0 of the rows in the loss.
        classes: the labels in the order of the outputs, where y may lack some.
        start: a trained model, or arrays by path, to start from.
        seed: of the starting weights, the shuffling and dropout.
        dtype: ``float32`` or ``float64``.
        backend: ``native`` or ``interpreter``.
        threads: the most that the native backend uses.

    Raises:
        SettingError: a setting outside its range, or L-BFGS, which has no rate to look for.
        DataError, ShapeError: data that does not fit.
        NonFiniteError: the very first update already gives a value that is not finite.

    Sources: Smith, "Cyclical learning rates for training neural networks", 2017; Smith and Topin,
    "Super-convergence", 2018.

    >>> import thalweg as tw
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> found = tw.lr_find(tw.Sequential(tw.Linear(1)), x, 3 * x[:, 0], optimizer="sgd")
    >>> found.stopped, 0.01 < found.suggestion < 10
    ('highest rate', True)
    """
    _check_range(low, high, steps)
    check_backend(backend)
    ramp = Geometric(low, high, length=steps - 1)
    rule = _with_rate(as_optimizer(optimizer), ramp)
    most = None if threads is None else whole_number("threads", threads, 1)
    given = problem(
        network, x, y, loss=loss, classes=classes, sample_weight=sample_weight, start=start,
        seed=seed, dtype=dtype,
    )  # fmt: skip
    rows = given.rows
    size = rows_of_a_batch(batch_size, len(rows))
    recipe = Recipe(network, given.code.loss, rule, as_clipping(clip), as_penalty(penalty))
    epochs = -(-steps // -(-len(rows) // size))
    job = Job(recipe, rows, epochs, size, seed, threads=most)
    state = State(given.parameters, initial_slots(recipe, given.parameters), given.states, 0)
    with one_blas_thread():
        raised = _raised(job, BACKENDS[backend](job), state, steps)
    if not raised.losses:
        raise NonFiniteError(explain(replay(job, state), 1))
    rates = ramp(np.arange(len(raised.losses))).numpy()
    smoothed = smooth(raised.losses, steps / _WINDOWS)
    return LearningRateTest(rates, np.array(raised.losses), smoothed, raised.stopped)


def _with_rate(rule: Optimizer, ramp: Geometric) -> Optimizer:
    if isinstance(rule, LBFGS):
        raise SettingError(
            "L-BFGS has no rate to look for: a line search finds the length of each of its steps; "
            "train with it as it is, or look for the rate of another optimizer, such as adam"
        )
    return rule.with_rates(lambda _: ramp)


class _Raised(NamedTuple):
    losses: list[float]
    stopped: str


def _raised(job: Job, executor: Executor, state: State, steps: int) -> _Raised:
    """The losses of single updates, until they diverge."""
    executor.prepare(state)
    executor.load(state)
    losses: list[float] = []
    mean, weight, least = 0.0, 0.0, math.inf
    for step in range(steps):
        stretch = executor.run(range(step, step + 1), Sums(), 0.0)
        if stretch.failed:
            return _Raised(losses, "non-finite")
        loss = (stretch.epochs[0] if stretch.epochs else stretch.sums).mean
        losses.append(loss)
        mean = _MEMORY * mean + (1.0 - _MEMORY) * loss
        weight = _MEMORY * weight + 1.0 - _MEMORY
        least = min(least, mean / weight)
        if mean / weight > least + (_DIVERGED - 1.0) * abs(least):
            return _Raised(losses, "diverged")
    return _Raised(losses, "highest rate")


def smooth(losses: Sequence[float], width: float) -> Array:
    """Losses averaged by a Gaussian window of a standard deviation of ``width`` places.

    Losses far above the first one, where the run diverges, count as four times the first, so that
    they do not reach into their neighbours.

    >>> smooth([1.0, 1.0, 4.0, 1.0], 0.5).round(2)
    array([1.  , 1.32, 3.36, 1.36])
    """
    return _window(np.arange(len(losses)), width) @ _bounded(np.asarray(losses, np.float64))


def _bounded(losses: Array) -> Array:
    return np.minimum(losses, losses[0] + (_DIVERGED - 1.0) * abs(losses[0]))


def _window(places: Array, width: float) -> Array:
    """Weights of all places for each place, (n, n); they add up to 1 for each."""
    weights = np.exp(-0.5 * np.square((places[:, None] - places[None, :]) / width))
    return weights / weights.sum(1, keepdims=True)


def _slopes(decades: Array, losses: Array) -> Array:
    """Slopes of straight lines fitted to the losses around each place, (n,)."""
    span = float(decades[-1] - decades[0])
    weights = _window(decades, min(_SLOPE_DECADES, max(span / 4.0, 1e-12)))
    away = decades[None, :] - (weights @ decades)[:, None]
    return (weights * away) @ losses / (weights * np.square(away)).sum(1)


def _check_range(low: Any, high: Any, steps: Any) -> None:
    whole_number("steps", steps, 10, 100_000)
    for name, rate in (("low", low), ("high", high)):
        if not (isinstance(rate, (int, float, np.number)) and math.isfinite(rate) and rate > 0):
            raise SettingError(f"{name} = {rate!r} must be a learning rate > 0")
    if low >= high:
        raise SettingError(f"low = {low} must be < high, which is {high}")
