"""Output units that measure the distance to a prototype, as LeNet-5 of 1998 had them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.descriptions import flag, option, register, setting, size
from thalweg.errors import ShapeError
from thalweg.graph import Array, Shape, Tensor, as_tensor
from thalweg.nn.functional import softmax
from thalweg.nn.initialisers import Fans, Initialiser
from thalweg.nn.layer import Layer, Scope
from thalweg.nn.losses.base import Loss, float_outputs, nan_unless
from thalweg.nn.losses.classes import check_classes, class_hits
from thalweg.ops.functions import concatenate, logsumexp, random_bits, square, where, zeros
from thalweg.ops.random import key_from_seed

_DIGITS = """
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
..###.. ...##.. .#####. .#####. ....##. ####### ..####. ####### .#####. .#####.
.##.##. ..###.. ##...## ##...## ...###. ##..... .##.... .....## ##...## ##...##
##...## .####.. .....## .....## ..####. ##..... ##..... .....## ##...## ##...##
##...## ...##.. .....## .....## .##.##. ##..... ##..... ....##. ##...## ##...##
##...## ...##.. ....##. ..####. ##..##. ######. ######. ....##. .#####. .######
##...## ...##.. ...##.. .....## ##..##. .....## ##...## ...##.. ##...## .....##
##...## ...##.. ..##... .....## ####### .....## ##...## ...##.. ##...## .....##
##...## ...##.. .##.... .....## ....##. .....## ##...## ..##... ##...## .....##
.##.##. ...##.. ##..... ##...## ....##. ##...## ##...## ..##... ##...## ....##.
..###.. .###### ####### .#####. ....##. .#####. .#####. ..##... .#####. .####..
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""


def digit_prototypes() -> Array:
    """Drawings of the digits 0 … 9, 7 wide and 12 high, as (10, 84) of +1 (ink) and -1.

    >>> for row in digit_prototypes()[4].reshape(12, 7)[1:8]:
    ...     print("".join("-#"[int(point > 0)] for point in row))
    ----##-
    ---###-
    --####-
    -##-##-
    ##--##-
    ##--##-
    #######
    """
    rows = [line.split() for line in _DIGITS.split("\n") if line]
    drawn = ["".join(row[digit] for row in rows) for digit in range(10)]
    return np.array([[1.0 if point == "#" else -1.0 for point in digit] for digit in drawn])


@dataclass(frozen=True, eq=False)
class _Given(Initialiser):
    """An array as it is."""

    values: Array

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """The array."""
        return self.values.reshape(shape).astype(np.float64)


@register("layer", "gaussian_units")
@dataclass(frozen=True)
class GaussianUnits(Layer):
    """Euclidean radial basis functions: y_k = Σ_i (x_i - w_ik)², the distance to prototype k.

    y_k is, up to a constant, minus the logarithm of a Gaussian of variance ½ around w_k. Outputs
    are net inputs -y_k by default, so that softmax of them is the probability of class k under
    equally likely Gaussians, and losses of classes apply. Prototypes hold -1 and +1; parameter
    ``prototypes`` (features, classes) where they are learned.

    Args:
        classes: number of units, ≥ 1.
        prototypes: ``digits``: drawings of 0 … 9, 7 × 12 points, for up to ten classes and 84
            features; ``random``: -1 or +1 with equal chances, for any number of both.
        learned: whether they are trained; in the publication they were fixed at first.
        outputs: ``logits``, -y_k, or ``distances``, y_k.
        seed: of random prototypes, ≥ 0.

    Shape:
        (N, …, features) → (N, …, classes).

    Raises:
        ShapeError: digits for more than ten classes or other than 84 features.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", 1998.

    >>> import thalweg as tw
    >>> units = tw.GaussianUnits(10, outputs="distances")
    >>> three = tw.digit_prototypes()[3:4]
    >>> tw.apply_network(units, {}, three).numpy()[0, [3, 8, 1]]
    array([  0.,  44., 164.])
    """

    classes: int = size(10, high=2**20, help="number of units")
    prototypes: str = option("digits", options=("digits", "random"), help="what they are")
    learned: bool = flag(False, help="train the prototypes")
    outputs: str = option("logits", options=("logits", "distances"), help="-y or y")
    seed: int = size(0, low=0, help="of random prototypes")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """-Σ (x - w)², or without the sign."""
        if x.ndim < 2:
            raise ShapeError(f"GaussianUnits takes inputs (N, …, features), got {x.type}")
        start = self._start(x)
        if self.learned:
            centres = scope.parameter("prototypes", start.shape, _Given(start))
        else:
            centres = as_tensor(start, x.dtype)
        distances = square(x[..., None] - centres).sum(-2)
        return distances if self.outputs == "distances" else -distances

    def _start(self, x: Tensor) -> Array:
        """The prototypes, (features, classes)."""
        features = x.shape[-1]
        if self.prototypes == "random":
            words = random_bits(key_from_seed(self.seed), (features, self.classes)).numpy()
            return np.where(words >> 31, 1.0, -1.0)
        drawn = digit_prototypes()
        if self.classes > len(drawn) or features != drawn.shape[1]:
            raise ShapeError(
                f"GaussianUnits: drawings of digits are for up to {len(drawn)} classes and "
                f"{drawn.shape[1]} features, not {self.classes} classes and {x.type}; take "
                "prototypes='random'"
            )
        return drawn[: self.classes].T


@register("loss", "maximum_a_posteriori")
@dataclass(frozen=True)
class MaximumAPosteriori(Loss):
    """l = y_D + log(e^-j + Σ_k e^-y_k), with distances y = -z and the right class D.

    Cross entropy with one class more, "none of these", at the fixed distance j: it pulls y_D down
    and pushes others up only as long as they are near j or below, so learned prototypes do not all
    become one.

    Args:
        j: the distance of the further class, > 0.

    Shape:
        outputs z (N, K), K ≥ 2, as :class:`GaussianUnits` gives them; targets: class indices
        0 … K-1, (N,) of an integer type.

    Raises:
        ShapeError: the shapes do not fit.
        DTypeError: class indices that are not of an integer type.
        DataError: an index that is no class.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", 1998, eq. 9.

    >>> round(float(MaximumAPosteriori(j=1.0)([[-2.0, -5.0]], [0])), 4)
    1.3266
    """

    kind = "classes"

    j: float = setting(1.0, low=0, low_open=True, help="distance of the class none of these")

    def values(self, outputs: Any, targets: Any) -> Tensor:
        """The loss of each row, (N,)."""
        net, wanted = float_outputs("maximum_a_posteriori", outputs), as_tensor(targets)
        check_classes("maximum_a_posteriori", net, wanted, indices_only=True)
        hits, valid = class_hits(net, wanted)
        none = zeros((net.shape[0], 1), net.dtype) - as_tensor(self.j, net.dtype)
        total = logsumexp(concatenate((net, none), 1), 1)
        return total - where(hits, net, 0.0).sum(1) + nan_unless(valid, net.dtype)

    def predict(self, outputs: Any) -> Tensor:
        """softmax(z), (N, K): the classes alone."""
        return softmax(outputs)
