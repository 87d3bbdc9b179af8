"""Principal components and whitening, fitted to the training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from thalweg.descriptions import flag, register, setting, size
from thalweg.errors import DataError, SettingError, ShapeError
from thalweg.graph import Array, Tensor
from thalweg.nn.front import Fitted, RowSource, column_name, slices
from thalweg.nn.layer import Scope
from thalweg.nn.statistics import extremes, moments


class Principal(NamedTuple):
    """The principal components of N rows of D columns.

    Attributes:
        mean: of each column, (D,).
        variances: λ₁ ≥ λ₂ ≥ … of the components, with N - 1 in the denominator, (D,).
        directions: a component in each column, of length 1, whose element of the largest
            magnitude is positive, (D, D).
    """

    mean: Array
    variances: Array
    directions: Array


def principal(rows: RowSource, who: str) -> Principal:
    """The principal components, from the eigenvectors of the covariance matrix.

    Raises:
        DataError: fewer than two rows, or NaN.
    """
    mean, _ = moments(rows, who)
    if len(rows) < 2:
        raise DataError(f"{who} has {len(rows)} row to learn from; a covariance needs at least 2")
    covariance = np.zeros((len(mean), len(mean)))
    for piece in slices(rows):
        centred = rows[piece].astype(np.float64) - mean
        covariance += centred.T @ centred
    values, vectors = np.linalg.eigh(covariance / (len(rows) - 1))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    largest = np.argmax(np.abs(vectors), axis=0)
    signs = np.where(vectors[largest, np.arange(len(mean))] < 0, -1.0, 1.0)
    return Principal(mean, values, vectors * signs)


def check_whitening(rows: RowSource, found: Principal, wanted: int, who: str) -> None:
    """Refuse rows that have no variance along some of the wanted components.

    Raises:
        DataError: too few rows, a constant column, or columns that depend on each other, with
            numbers.
    """
    remedy = f"or {who}(epsilon=1e-5), which adds to every variance"
    count, wide = len(rows), len(found.mean)
    if count <= wanted:
        raise DataError(
            f"{who} of {wanted} components needs more than {wanted} training rows, got {count} "
            f"rows of {wide} columns; use more rows, fewer components, {remedy}"
        )
    low, high = extremes(rows, who)
    same = np.flatnonzero(low == high)
    if same.size:
        place = int(same[0])
        more = f", and so are {same.size - 1} more" if same.size > 1 else ""
        raise DataError(
            f"{who}: {column_name(rows, (place,))} is constant ({low[place]:g}) in the {count} "
            f"training rows{more}, so that it has no variance to divide by; leave it out, {remedy}"
        )
    least = found.variances[0] * max(count, wide) * np.finfo(np.float64).eps
    rank = int((found.variances > least).sum())
    if rank < wanted:
        raise DataError(
            f"{who}: the {wide} columns vary in {rank} directions only (some are sums of others), "
            f"of {wanted} that are wanted; leave columns out, use components={rank} of "
            f"PCAWhitening, {remedy}"
        )


def _centred(x: Tensor, scope: Scope, who: str) -> Tensor:
    if x.ndim != 2:
        raise ShapeError(f"{who} takes columns (N, C), got {x.type}")
    return x - scope.state("mean", x.shape[1:])


@register("layer", "pca_whitening")
@dataclass(frozen=True)
class PCAWhitening(Fitted):
    """Principal components, each with variance 1 over the training rows.

    y = (x - mean) V diag(1 / √(λ + ε)), where the columns of V are the eigenvectors of the
    covariance matrix Σ (x - mean)ᵀ(x - mean) / (N - 1), and λ₁ ≥ λ₂ ≥ … its eigenvalues. Of ±v
    the one is taken whose element of the largest magnitude is positive. States: ``mean`` (C,) and
    ``matrix`` (C, K).

    Args:
        components: K, how many are kept; 0 for all.
        share: of the variance that is kept: components beyond it are 0 (the shape stays).
        epsilon: ε ≥ 0; more than 0 also takes constant and dependent columns, and few rows.
        whiten: divide by √(λ + ε); without, this is plain principal component analysis (PCA).

    Shape:
        (N, C) → (N, K).

    Raises:
        SettingError: more components than columns.
        DataError: while learning: NaN; or, where ε = 0, not more rows than components, a constant
            column, or columns that depend on each other.

    Source: Pearson, "On lines and planes of closest fit to systems of points in space", 1901;
    Hotelling, "Analysis of a complex of statistical variables into principal components", 1933.

    >>> import numpy as np, thalweg as tw
    >>> rows = np.random.default_rng(0).normal(size=(50, 3)) @ np.diag([1.0, 5.0, 2.0])
    >>> layer = tw.PCAWhitening(2)
    >>> y = tw.evaluate(layer, {}, rows, states=layer.learn(rows)).output.numpy()
    >>> np.cov(y.T).round(9) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """

    components: int = size(0, low=0, help="how many are kept; 0 for all")
    share: float = setting(1.0, low=0, high=1, low_open=True, help="of the variance that is kept")
    epsilon: float = setting(0.0, low=0, help="added to each variance")
    whiten: bool = flag(True, help="divide by the standard deviation")

    def learn(self, rows: RowSource) -> dict[str, Array]:
        """Mean, and the components as columns of a matrix."""
        found = principal(rows, "PCAWhitening")
        wanted = min(self._kept(len(found.mean)), self._within(found.variances))
        if self.whiten and not self.epsilon:
            check_whitening(rows, found, wanted, "PCAWhitening")
        matrix = np.zeros((len(found.mean), self._kept(len(found.mean))))
        matrix[:, :wanted] = found.directions[:, :wanted]
        if self.whiten:
            matrix[:, :wanted] /= np.sqrt(found.variances[:wanted] + self.epsilon)
        return {"mean": found.mean, "matrix": matrix}

    def _kept(self, columns: int) -> int:
        if self.components > columns:
            raise SettingError(
                f"PCAWhitening.components = {self.components} is outside [0, {columns}], as there "
                f"are {columns} columns"
            )
        return self.components or columns

    def _within(self, variances: Array) -> int:
        """How many components have the wanted share of the variance."""
        if self.share >= 1 or not variances.any():
            return len(variances)
        shares = np.cumsum(variances) / variances.sum()
        return min(int(np.searchsorted(shares, self.share)) + 1, len(variances))

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """(x - mean) V diag(1 / √(λ + ε))."""
        centred = _centred(x, scope, "PCAWhitening")
        return centred @ scope.state("matrix", (x.shape[1], self._kept(x.shape[1])))


@register("layer", "zca_whitening")
@dataclass(frozen=True)
class ZCAWhitening(Fitted):
    """Columns made uncorrelated with variance 1, and as near as that allows to what they were.

    y = (x - mean) W, W = V diag(1 / √(λ + ε)) Vᵀ, symmetric; V and λ as in
    :class:`PCAWhitening`. States: ``mean`` (C,) and ``matrix`` (C, C).

    Args:
        epsilon: ε ≥ 0; more than 0 also takes constant and dependent columns, and few rows.

    Shape:
        (N, C) → (N, C).

    Raises:
        DataError: while learning: NaN; or, where ε = 0, not more rows than columns, a constant
            column, or columns that depend on each other.

    Source: Bell and Sejnowski, "The independent components of natural scenes are edge filters",
    1997.

    >>> import numpy as np, thalweg as tw
    >>> rows = np.random.default_rng(0).normal(size=(50, 2)) @ [[1.0, 0.5], [0.0, 2.0]]
    >>> layer = tw.ZCAWhitening()
    >>> y = tw.evaluate(layer, {}, rows, states=layer.learn(rows)).output.numpy()
    >>> np.cov(y.T).round(9) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """

    epsilon: float = setting(0.0, low=0, help="added to each variance")

    def learn(self, rows: RowSource) -> dict[str, Array]:
        """Mean, and W."""
        found = principal(rows, "ZCAWhitening")
        if not self.epsilon:
            check_whitening(rows, found, len(found.mean), "ZCAWhitening")
        matrix = found.directions / np.sqrt(found.variances + self.epsilon) @ found.directions.T
        return {"mean": found.mean, "matrix": (matrix + matrix.T) / 2}

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """(x - mean) W."""
        centred = _centred(x, scope, "ZCAWhitening")
        return centred @ scope.state("matrix", (x.shape[1], x.shape[1]))
