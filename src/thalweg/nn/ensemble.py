"""Several networks as one: their predictions averaged, or their votes counted.

Symbols: K members, z_k what member k gives for a row, w_k ≥ 0 its weight, v_k = w_k / Σ w its
share, p_k what a loss makes of z_k: probabilities or numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.descriptions import numbers, option, parts, register
from thalweg.errors import SettingError, ShapeError
from thalweg.graph import Tensor, as_tensor
from thalweg.nn.front import FrontContainer, FrontRows, Visit, has_front, join, takes_missing, walk
from thalweg.nn.functional import log_softmax, softmax, softplus
from thalweg.nn.layer import Layer, Scope
from thalweg.nn.losses import Loss
from thalweg.ops import functions as ops

COMBINATIONS = ("mean", "vote", "mean_outputs")
_VOTED = ("classes", "binary", "tanh")
_NEVER = -800.0
"""Stands for log 0: e to it is 0 in every type, and sums with it stay finite."""

# ------------------------------------------------------------------ means of predictions


def _log_mean(values: Tensor, shares: Tensor) -> Tensor:
    """Log Σ_k v_k e^x_k over the first axis."""
    some = shares > 0
    logarithms = ops.where(some, ops.log(ops.where(some, shares, 1.0)), -np.inf)
    return ops.logsumexp(values + logarithms, 0)


def _mean(values: Tensor, shares: Tensor) -> Tensor:
    return (values * shares).sum(0)


def _mean_of_classes(net: Tensor, shares: Tensor) -> Tensor:
    return _log_mean(log_softmax(net), shares)


def _mean_of_labels(net: Tensor, shares: Tensor) -> Tensor:
    """Log odds of the mean probability."""
    return _log_mean(-softplus(-net), shares) - _log_mean(-softplus(net), shares)


def _mean_of_halves(net: Tensor, shares: Tensor) -> Tensor:
    return 0.5 * _mean_of_labels(2.0 * net, shares)


def _least(values: Tensor) -> float:
    return float(np.finfo(values.dtype).tiny)


def _inverse_softplus(values: Tensor) -> Tensor:
    some = ops.maximum(values, _least(values))
    return some + ops.log(-ops.expm1(-some))


def _mean_of_soft_rates(net: Tensor, shares: Tensor) -> Tensor:
    return _inverse_softplus(_mean(softplus(net), shares))


def _mixture(net: Tensor, shares: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean of the means, how far they spread around it (squared), and what gives variances."""
    half = net.shape[-1] // 2
    if net.ndim < 3 or net.shape[-1] % 2:
        raise ShapeError(
            f"a mean and a variance for each target are due, got outputs of {net.shape[1:]}"
        )
    means, raw = net[..., :half], net[..., half:]
    centre = _mean(means, shares)
    return centre, _mean(ops.square(means - centre), shares), raw


def _mixture_of_gaussians(net: Tensor, shares: Tensor) -> Tensor:
    centre, spread, raw = _mixture(net, shares)
    between = ops.log(ops.maximum(spread, _least(spread)))
    variance = ops.logsumexp(ops.stack((_log_mean(raw, shares), between)), 0)
    return ops.concatenate((centre, variance), -1)


def _mixture_of_soft_gaussians(net: Tensor, shares: Tensor) -> Tensor:
    centre, spread, raw = _mixture(net, shares)
    variance = _inverse_softplus(_mean(softplus(raw), shares) + spread)
    return ops.concatenate((centre, variance), -1)


_MEANS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "classes": _mean_of_classes,
    "binary": _mean_of_labels,
    "tanh": _mean_of_halves,
    "numbers": _mean,
    "rates": _log_mean,
    "soft_rates": _mean_of_soft_rates,
    "gaussian": _mixture_of_gaussians,
    "soft_gaussian": _mixture_of_soft_gaussians,
}
KINDS = tuple(_MEANS)

_PREDICTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "classes": softmax,
    "binary": ops.logistic,
    "tanh": lambda net: ops.logistic(2.0 * net),
    "numbers": lambda net: net,
    "rates": ops.exp,
    "soft_rates": softplus,
    "gaussian": lambda net: net[:, : net.shape[1] // 2],
    "soft_gaussian": lambda net: net[:, : net.shape[1] // 2],
}
_SAMPLE = np.array([[-2.0, 0.5, 0.25, 3.0], [1.0, -0.5, 2.0, 0.0]])


def kind_of(loss: Loss) -> str | None:
    """What a loss makes of outputs, as :class:`Ensemble` calls it; None where it is none of these.

    >>> from thalweg.nn.losses import CrossEntropy, PoissonNLL
    >>> kind_of(CrossEntropy()), kind_of(PoissonNLL())
    ('classes', 'rates')
    """
    found = as_tensor(loss.predict(as_tensor(_SAMPLE))).numpy()
    soft = "soft_" if getattr(loss, "link", "") == "softplus" else ""
    wanted = {
        "classes": ("classes",),
        "binary": ("binary", "tanh"),
        "numbers": ("numbers", "rates", "soft_rates", f"{soft}gaussian"),
    }[loss.kind]
    if loss.outputs_per_number == 2:
        wanted = wanted[-1:]
    for kind in wanted:
        given = _PREDICTIONS[kind](as_tensor(_SAMPLE)).numpy()
        if given.shape == found.shape and np.allclose(given, found, 1e-6, 1e-9):
            return kind
    return None


# ------------------------------------------------------------------ votes


def _closeness(net: Tensor) -> float:
    """How near sums may be that count as equal; what decides between them is twice as much."""
    return 16.0 * float(np.finfo(net.dtype).eps)


def _log_share(votes: Tensor) -> Tensor:
    some = votes > 0
    return ops.where(some, ops.log(ops.where(some, votes, 1.0)), _NEVER)


def _voted_classes(net: Tensor, weights: Tensor, ties: str) -> Tensor:
    """Logarithms of the shares of votes for each class."""
    count, near = net.shape[-1], _closeness(net)
    hits = ops.one_hot(ops.argmax(net), count, net.dtype)
    votes = (hits * weights).sum(0) / weights.sum(0)
    if ties == "first":
        return _log_share(votes)
    tops = votes > votes.max(-1, keepdims=True) * (1.0 - near)
    means = ops.where(tops, _mean_of_classes(net, weights / weights.sum(0)), -np.inf)
    best = means > means.max(-1, keepdims=True) - 2.0 * near
    chosen = ops.one_hot(ops.argmax(best.astype("int64")), count, net.dtype)
    several = tops.astype(net.dtype).sum(-1, keepdims=True) > 1.5
    return _log_share(votes) + ops.where(several, chosen * (2.0 * near), 0.0)


def _voted_labels(net: Tensor, weights: Tensor, ties: str) -> Tensor:
    """Log odds of the share of votes for 1."""
    near = _closeness(net)
    ayes = (net > 0).astype(net.dtype)
    total = weights.sum(0)
    for_, against = ((vote * weights).sum(0) / total for vote in (ayes, 1.0 - ayes))
    odds = _log_share(for_) - _log_share(against)
    if ties == "first":
        return odds
    lead = _mean_of_labels(net, weights / total)
    tied = (ops.absolute(for_ - against) < near) & (ops.absolute(lead) > near)
    return odds + ops.where(tied, ops.sign(lead) * (4.0 * near), 0.0)


def combined(
    net: Tensor, weights: Tensor, combine: str, kind: str, ties: str = "probability"
) -> Tensor:
    """The output of an ensemble from those of its members.

    Args:
        net: (K, N, …), what each member gives.
        weights: that broadcast to it: of each member, or of each member for each row.
        combine: as :class:`Ensemble` takes it.
        kind: as :class:`Ensemble` takes it.
        ties: as :class:`Ensemble` takes it.
    """
    if combine != "vote":
        rule = _mean if combine == "mean_outputs" else _MEANS[kind]
        return rule(net, weights / weights.sum(0))
    if kind == "tanh":
        return 0.5 * _voted_labels(2.0 * net, weights, ties)
    vote = _voted_classes if kind == "classes" else _voted_labels
    return vote(net, weights, ties)


# ------------------------------------------------------------------ the layer


@register("layer", "ensemble")
@dataclass(frozen=True)
class Ensemble(FrontContainer):
    """Networks side by side whose predictions are combined: p = Σ v_k p_k, or shares of votes.

    The output is what the loss turns into the combined prediction: for classes log Σ v_k p_k, for
    two classes the log odds of Σ v_k p_k, for numbers Σ v_k z_k, for Gaussian outputs the mean and
    the variance of the mixture. So a model of an ensemble predicts like any other.

    With ``vote`` each member counts v_k for the class of its largest output, and the ensemble's
    probabilities are the shares of votes. Of classes with equally many votes the one of the larger
    mean probability wins, by some 10⁻⁶ of a share (10⁻¹⁴ in float64); ``ties="first"`` takes the
    first of them, as scikit-learn's ``VotingClassifier(voting="hard")`` does. Its soft voting is
    ``mean``. With ``mean_outputs`` net inputs are averaged, so that probabilities have their
    geometric mean.

    Args:
        members: one network or more, named by their positions.
        combine: ``mean``, ``vote`` or ``mean_outputs``.
        kind: what outputs mean: net inputs of ``classes`` or of ``binary`` labels (``tanh``: of a
            tanh unit), ``numbers``, logarithms of ``rates`` (``soft_rates``: net inputs of a
            softplus), or ``gaussian`` means and variances.
        weights: w_k of each member; without any all count alike.
        ties: what decides between classes of equally many votes.

    Shape:
        any → that of each member's output.

    Raises:
        SettingError: no members, weights that do not fit them, or votes on numbers.
        ShapeError: outputs of different shapes.

    Source: Breiman, "Bagging predictors", 1996; for Gaussian outputs Lakshminarayanan, Pritzel and
    Blundell, "Simple and scalable predictive uncertainty estimation using deep ensembles", 2017.

    >>> import numpy as np, thalweg as tw
    >>> net = tw.Ensemble((tw.Linear(2), tw.Linear(2)))
    >>> p = {"0.weight": [[0.0, 0.0]], "0.bias": [0.0, 0.0],
    ...      "1.weight": [[1.0, 0.0]], "1.bias": [0.0, 0.0]}
    >>> tw.softmax(tw.apply_network(net, p, np.ones((1, 1)))).numpy().round(3)
    array([[0.616, 0.384]])
    """

    members: tuple[Layer, ...] = parts(family="layer", help="the networks")
    combine: str = option("mean", options=COMBINATIONS, help="how they make one prediction")
    kind: str = option("classes", options=KINDS, help="what their outputs mean")
    weights: tuple[float, ...] = numbers((), low=0, help="w, what each counts; none: all alike")
    ties: str = option("probability", options=("probability", "first"), help="equally many votes")

    def __post_init__(self) -> None:
        """Check that there are members, and that weights and votes fit them."""
        super().__post_init__()
        if not self.members:
            raise SettingError("Ensemble.members is empty: give at least one network")
        if self.weights and len(self.weights) != len(self.members):
            raise SettingError(
                f"Ensemble.weights holds {len(self.weights)} numbers for {len(self.members)} "
                "members; give one for each, or none"
            )
        given: tuple[Any, ...] = self.weights
        if given and all(isinstance(w, (int, float, np.number)) and w == 0 for w in given):
            raise SettingError(f"Ensemble.weights = {self.weights} leaves no member: all are 0")
        if self.combine == "vote" and self.kind not in _VOTED:
            raise SettingError(
                f"Ensemble.combine = 'vote' is for classes, but Ensemble.kind = {self.kind!r}; "
                "numbers have a mean"
            )

    @property
    def takes_missing(self) -> bool:
        """Whether every member takes NaN."""
        return all(takes_missing(member) for member in self.members)

    def walk(self, path: str, rows: FrontRows, visit: Visit) -> FrontRows | None:
        """Lead rows to the front of every member; what leaves an ensemble has been trained."""
        for place, member in enumerate(self.members):
            if has_front(member):
                walk(member, join(path, str(place)), rows, visit)
        return None

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The combined output."""
        outputs = [scope.apply(str(place), member, x) for place, member in enumerate(self.members)]
        for place, output in enumerate(outputs):
            if output.shape != outputs[0].shape:
                raise ShapeError(
                    f"Ensemble: member {place} has outputs {output.shape[1:]}, member 0 has "
                    f"{outputs[0].shape[1:]}"
                )
        net = ops.stack(outputs)
        given: tuple[Any, ...] = self.weights or (1.0,) * len(self.members)
        weights = ops.stack([as_tensor(weight).astype(net.dtype) for weight in given])
        weights = weights.reshape(len(given), *(1,) * (net.ndim - 1))
        return combined(net, weights, self.combine, self.kind, self.ties)


__all__ = ["COMBINATIONS", "KINDS", "Ensemble", "combined", "kind_of"]
