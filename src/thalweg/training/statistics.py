"""The exact statistics of batch normalisation: over all training rows, when training has ended.

Running averages lag behind the weights and count the last batches most. What a layer is given
depends on the layers before it, so they are computed one layer after the other::

    for each layer with statistics, in the order in which data passes them:
        pass all rows through the network as it is used, up to this layer
        its mean and variance ← those of what reached it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from thalweg.errors import DataError
from thalweg.graph import Array, Tensor
from thalweg.model.forward import BATCH, Forward, Sliceable, native_forward
from thalweg.nn.layer import Layer, Network, Scope, blueprint, layer_kind
from thalweg.nn.paths import is_frozen
from thalweg.ops.functions import concatenate, reshape


class Moments(NamedTuple):
    """Number, mean and sum of squared deviations of each channel so far, in float64.

    >>> first, second = Moments.of(np.array([[[1.0]], [[2.0]]])), Moments.of(np.array([[[6.0]]]))
    >>> both = first.joined(second)
    >>> both.mean, both.squares / both.number
    (array([3.]), array([4.66666667]))
    """

    number: int
    mean: Array
    squares: Array

    @classmethod
    def of(cls, rows: Array) -> Moments:
        """Those of rows (N, C, places)."""
        values = rows.astype(np.float64)
        mean = values.mean((0, 2))
        return cls(values.shape[0] * values.shape[2], mean, _squares(values, mean))

    def joined(self, other: Moments) -> Moments:
        """Those of both together.

        Source: Chan, Golub and LeVeque, "Algorithms for computing the sample variance: analysis
        and recommendations", 1983.
        """
        count = self.number + other.number
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.number / count)
        between = apart**2 * (self.number * other.number / count)
        return Moments(count, mean, self.squares + other.squares + between)


def _squares(values: Array, mean: Array) -> Array:
    return ((values - mean[:, None]) ** 2).sum((0, 2))


def exact_statistics(
    network: Network,
    parameters: Mapping[str, Array],
    states: Mapping[str, Array],
    x: Sliceable,
    frozen: tuple[str, ...] = (),
    forward: Callable[[Network], Forward] = native_forward,
) -> dict[str, Array]:
    """The states with the exact mean and variance of every batch normalisation over all rows.

    The variance is divided by the count. A layer that is used several times gets the statistics of
    all that reaches it.

    Args:
        network: a layer or function.
        parameters: by path.
        states: by path, as training left them.
        x: training rows (N, …); read 1024 at a time, once for each such layer.
        frozen: patterns of layers whose statistics stay as they are.
        forward: makes a network ready to run; machine code by default.

    Returns:
        All states; those of other layers are as given.

    Raises:
        DataError: no rows.

    >>> import thalweg as tw
    >>> x = np.array([[1.0], [3.0]])
    >>> states = {"mean": np.zeros(1), "variance": np.ones(1)}
    >>> parameters = {"weight": np.ones(1), "bias": np.zeros(1)}
    >>> exact_statistics(tw.BatchNorm1d(), parameters, states, x)
    {'mean': array([2.]), 'variance': array([1.])}
    """
    return ExactStatistics(network, x, frozen, forward)(parameters, states)


class ExactStatistics:
    """:func:`exact_statistics` of one network and its rows, made ready once for many parameters.

    Args:
        network: a layer or function.
        x: training rows (N, …).
        frozen: patterns of layers whose statistics stay as they are.
        forward: makes a network ready to run.

    Attributes:
        layers: the paths of the layers whose statistics are computed, in the order of the data.

    Raises:
        DataError: no rows.
    """

    def __init__(
        self,
        network: Network,
        x: Sliceable,
        frozen: tuple[str, ...] = (),
        forward: Callable[[Network], Forward] = native_forward,
    ) -> None:
        if not len(x):
            raise DataError("exact statistics need at least one row")
        plan = blueprint(network, x[:1].shape[1:])
        paths = [item.path for item in plan.applied if getattr(item.layer, "has_statistics", False)]
        self.layers = tuple(
            path for path in dict.fromkeys(paths) if not is_frozen(frozen, path, plan.parameters)
        )
        self._x = x
        self._fronts = {path: forward(_front(network, path)) for path in self.layers}

    def __call__(
        self, parameters: Mapping[str, Array], states: Mapping[str, Array]
    ) -> dict[str, Array]:
        """All states; those of other layers are as given."""
        found = dict(states)
        for path, front in self._fronts.items():
            moments = _moments(front, parameters, found, self._x)
            values = {"mean": moments.mean, "variance": moments.squares / moments.number}
            for name, value in values.items():
                key = f"{path}.{name}" if path else name
                found[key] = value.astype(np.asarray(states[key]).dtype)
        return found


def _moments(
    front: Forward, parameters: Mapping[str, Array], states: Mapping[str, Array], x: Sliceable
) -> Moments:
    total: Moments | None = None
    for start in range(0, len(x), BATCH):
        part = Moments.of(front(parameters, states, x[start : start + BATCH]))
        total = part if total is None else total.joined(part)
    assert total is not None
    return total


def _front(network: Network, path: str) -> Network:
    """A network up to a layer: what reaches the layer, as (N, C, places)."""

    def front(x: Tensor, scope: Scope) -> Tensor:
        given: list[Tensor] = []
        _called(network, x, _Watching(scope, path, given))
        return concatenate([reshape(item, (*item.shape[:2], -1)) for item in given], 2)

    return front


class _Watching(Scope):
    """A scope that notes what reaches the layer at a path.

    Args:
        scope: what it stands for.
        wanted: the path.
        given: takes the layer's inputs.
    """

    def __init__(self, scope: Scope, wanted: str, given: list[Tensor]) -> None:
        super().__init__(scope._store, scope.path, scope.following, scope.successor)
        self._wanted, self._given = wanted, given

    def meet(self, x: Tensor) -> None:
        """Note the input of the layer whose scope this is, if it is the wanted one."""
        if self.path == self._wanted:
            self._given.append(x)

    def apply(
        self,
        name: str,
        layer: Network,
        x: Tensor,
        following: Layer | None = None,
        successor: Layer | None = None,
    ) -> Tensor:
        """The output of a sublayer, which is watched too."""

        def watched(x: Tensor, scope: Scope) -> Tensor:
            return _called(layer, x, _Watching(scope, self._wanted, self._given))

        watched.__name__ = layer_kind(layer)
        return super().apply(name, watched, x, following, successor)


def _called(network: Network, x: Tensor, scope: _Watching) -> Tensor:
    scope.meet(x)
    return network.forward(x, scope) if isinstance(network, Layer) else network(x, scope)
