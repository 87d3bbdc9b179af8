"""Bayesian optimisation by a Gaussian process, asked for a batch of trials at once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from thalweg.descriptions import register, size
from thalweg.searching.proposals import Known, chance, losses
from thalweg.searching.samplers.points import QuasiRandomSampler, sobol
from thalweg.searching.samplers.sampler import Sampler
from thalweg.searching.spaces.choices import Choice
from thalweg.searching.spaces.space import Settings, Space

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor

Floats = NDArray[np.float64]

_SPREADS = (0.01, 0.03, 0.1)
"""How far candidates lie from the best trials, as parts of each axis."""
_APART = 0.05
"""How far trials of one batch lie apart, as a part of some axis."""
_BEST = 5
_NEAR_BEST = 32


@register("sampler", "gaussian_process")
@dataclass(frozen=True)
class GaussianProcessSampler(Sampler):
    """Proposes where a Gaussian process expects the most: max E[max(b − y, 0)].

    The process has a Matérn kernel (ν = 5/2) with a length for each name, and noise; b is the
    lowest mean at a trial. Of a batch, each proposal is then taken to have given its mean (the
    kriging believer), so that the next one looks elsewhere, at least a twentieth of some axis away
    while there is such a place. Choices are axes of their own, one a
    value. Values above the median are compressed by a logarithm, so that trials that went wrong do
    not hide differences between good ones. Before there are ``startup`` trials, points are
    quasi-random.

    Args:
        startup: trials before anything is learned from them.
        candidates: points over the whole space among which the best is sought, beside those near
            the best trials.
        most: trials that the process takes in at most: the best half of them and the last ones.

    Source: Donald R. Jones, Matthias Schonlau, William J. Welch, Efficient global optimization of
    expensive black-box functions, 1998; David Ginsbourger, Rodolphe Le Riche, Laurent Carraro,
    Kriging is well-suited to parallelize optimization, 2010. The process is scikit-learn's.

    >>> from thalweg.searching.spaces.ranges import Range
    >>> space = Space({"rate": Range(0.0, 1.0)})
    >>> known = [Known(n, {"rate": n / 15}, (n - 5.3) ** 2) for n in range(16)]
    >>> round(GaussianProcessSampler().propose(space, 0, 16, 1, known)[0]["rate"], 2)
    0.35
    """

    startup: int = size(8, low=2, help="trials before anything is learned from them")
    candidates: int = size(1024, high=2**17, help="points among which the best is sought")
    most: int = size(200, low=4, high=2000, help="trials that the process takes in")

    def _propose(
        self, space: Space, seed: int, first: int, count: int, known: Sequence[Known]
    ) -> list[Settings]:
        if len(known) < self.startup or all(one.failed for one in known):
            return QuasiRandomSampler().propose(space, seed, first, count)
        from threadpoolctl import threadpool_limits

        with (
            threadpool_limits(1),
            warnings.catch_warnings(),
        ):  # the same sums on any machine's cores
            warnings.simplefilter("ignore")
            return _Batch(self, space, chance(seed, first), known).proposals(count)


class _Batch:
    """One batch: a process fitted to what is known, and proposals that it believes in."""

    def __init__(
        self,
        sampler: GaussianProcessSampler,
        space: Space,
        random: np.random.Generator,
        known: Sequence[Known],
    ) -> None:
        self._space, self._random, self._sampler = space, random, sampler
        worst = max(losses(known, -np.inf))
        values = compressed(np.array(losses(known, worst)))
        kept = _kept(values, sampler.most)
        self._values = values[kept]
        self._settings = [known[place].settings for place in kept]
        self._inputs = features(space, self._settings)
        self._taken = {_key(one.settings) for one in known}
        self._begun = len(kept)
        self._fitted = _process(self._inputs.shape[1])
        self._fitted.set_params(random_state=int(random.integers(2**31)))
        self._fitted.fit(self._inputs, self._values)

    def proposals(self, count: int) -> list[Settings]:
        """Settings with the largest expected improvement, one after the other."""
        everywhere = self._candidates()
        found = list[Settings]()
        process = self._fitted
        for _ in range(count):
            best = float(_predicted(process, self._inputs)[0].min())
            chosen = self._best(process, everywhere, best)
            around = [chosen, *self._different(self._near(np.array(self._space.point(chosen))))]
            chosen = self._best(process, around, best)
            found.append(chosen)
            self._taken.add(_key(chosen))
            process = self._believed(process, chosen)
        return found

    def _best(
        self, process: GaussianProcessRegressor, candidates: list[Settings], best: float
    ) -> Settings:
        new = [one for one in candidates if _key(one) not in self._taken] or candidates
        inputs = features(self._space, new)
        mean, deviation = _predicted(process, inputs)
        gain = expected_improvement(mean, deviation, best)
        apart = self._apart(inputs)
        return new[int(np.argmax(np.where(apart, gain, -1.0) if apart.any() else gain))]

    def _apart(self, inputs: Floats) -> NDArray[np.bool_]:
        """Which points are no near copies of what this batch holds already."""
        batch = self._inputs[self._begun :]
        distances = np.abs(inputs[:, None] - batch).max(axis=2, initial=0.0)
        return (distances >= _APART).all(axis=1)

    def _believed(
        self, process: GaussianProcessRegressor, chosen: Settings
    ) -> GaussianProcessRegressor:
        """The process with the mean of one more trial as its value, and the same kernel."""
        inputs = features(self._space, [chosen])
        mean, _ = _predicted(process, inputs)
        self._inputs = np.vstack([self._inputs, inputs])
        self._values = np.append(self._values, mean)
        believed = _process(inputs.shape[1])
        believed.set_params(kernel=self._fitted.kernel_, optimizer=None)
        return believed.fit(self._inputs, self._values)

    def _candidates(self) -> list[Settings]:
        """Points of the whole space and near the best trials, each once."""
        axes = len(self._space.varying)
        everywhere = sobol(axes, int(self._random.integers(2**31)), 0, self._sampler.candidates)
        places = np.argsort(self._values, kind="stable")[:_BEST]
        near = [self._near(np.array(self._space.point(self._settings[place]))) for place in places]
        return self._different(np.vstack([everywhere, *near]))

    def _different(self, points: Floats) -> list[Settings]:
        settings = {_key(one): one for one in map(self._space.settings, points.tolist())}
        return list(settings.values())

    def _near(self, point: Floats) -> Floats:
        """Points about one, of which each axis is moved or not."""
        shape = (len(_SPREADS), _NEAR_BEST, len(point))
        moves = self._random.normal(size=shape) * np.array(_SPREADS)[:, None, None]
        moved = self._random.random(shape) < 0.5
        return np.clip(point + moves * moved, 0, 1).reshape(-1, len(point))


def _key(settings: Any) -> str:
    return repr(sorted(settings.items(), key=lambda pair: pair[0]))


def _kept(values: Floats, most: int) -> list[int]:
    """The places of the best half of as many trials as are taken in, and of the last ones."""
    order = np.argsort(values, kind="stable")[: most // 2]
    best = set(order.tolist())
    rest = [place for place in range(len(values)) if place not in best]
    return sorted([*best, *rest[-(most - len(best)) :]])


def _process(axes: int) -> GaussianProcessRegressor:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    lengths: Any = np.full(axes, 0.5)
    matern = Matern(lengths, (0.05, 20.0), nu=2.5)
    noise = WhiteKernel(1e-3, (1e-8, 1.0))
    kernel = ConstantKernel(1.0, (0.01, 100.0)) * matern + noise
    return GaussianProcessRegressor(kernel, alpha=1e-10, normalize_y=True)


def _predicted(process: GaussianProcessRegressor, inputs: Floats) -> tuple[Floats, Floats]:
    """Mean and deviation of the process, noise left out."""
    predicted: Any = process.predict(inputs, return_std=True)
    return np.asarray(predicted[0]), np.asarray(predicted[1])


def features(space: Space, settings: Sequence[Any]) -> Floats:
    """Settings as numbers, of shape (trials, axes): places in [0, 1]; of a choice one axis a value.

    The axes of what is not active hold ½, those of a choice 0.
    """
    columns = list[Floats]()
    for name in space.varying:
        domain = space[name]
        if isinstance(domain, Choice):
            block = np.zeros((len(settings), domain.count))
            for row, one in enumerate(settings):
                if name in one:
                    block[row, domain.number(one[name])] = np.sqrt(0.5)
        else:
            places = [domain.place(one[name]) if name in one else 0.5 for one in settings]
            block = np.array(places)[:, None]
        columns.append(block)
    return np.hstack(columns)


def compressed(values: Floats) -> Floats:
    """Values with those above the median m compressed: m + s log(1 + (y − m) / s).

    s is the median less the lowest value.


    >>> compressed(np.array([1.0, 2.0, 3.0, 1e6])).round(3).tolist()
    [1.0, 2.0, 2.932, 22.615]
    """
    middle, lowest = float(np.median(values)), float(values.min())
    scale = middle - lowest
    if scale <= 0:
        scale = float(np.std(values)) or 1.0
    above = np.log1p(np.maximum(values - middle, 0) / scale) * scale
    return np.where(values > middle, middle + above, values)


def expected_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    """E[max(b − y, 0)] = (b − μ) Φ(z) + σ φ(z) with z = (b − μ) / σ, for y normal about μ.

    Args:
        mean: μ, of any shape.
        deviation: σ ≥ 0, of the same shape; where it is 0 the gain is max(b − μ, 0).
        best: b.

    >>> expected_improvement(np.array([0.0, 1.0]), np.array([1.0, 0.0]), 0.0).round(4).tolist()
    [0.3989, 0.0]
    """
    from scipy.special import ndtr

    gain = best - mean
    safe = np.where(deviation > 0, deviation, 1.0)
    z = gain / safe
    density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    return np.where(deviation > 0, gain * ndtr(z) + safe * density, np.maximum(gain, 0.0))
