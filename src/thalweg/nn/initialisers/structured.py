"""Initialisers of whole matrices: orthogonal, identity, sparse."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from thalweg.compiler.threads import one_blas_thread
from thalweg.descriptions import register, setting, size
from thalweg.errors import ShapeError
from thalweg.graph import Array, Shape
from thalweg.nn.initialisers.base import Fans, Initialiser


def _matrix_shape(name: str, shape: Shape) -> tuple[int, int]:
    """A weight's shape as (inputs, outputs): all axes but the last together."""
    if len(shape) < 2:
        raise ShapeError(
            f"{name} fills weights of two axes or more, got the shape {shape}; use it for weight=, "
            "not for bias_start="
        )
    return math.prod(shape[:-1]), shape[-1]


@register("initialiser", "orthogonal")
@dataclass(frozen=True)
class Orthogonal(Initialiser):
    """W with WᵀW = gain² I, or WWᵀ = gain² I where there are fewer inputs than outputs.

    All orthogonal matrices are equally likely: W is Q of the QR decomposition of a Gaussian matrix,
    with signs such that R has a positive diagonal. Signals keep their length through linear
    layers however deep. Gains of 1 for tanh and √2 for rectifiers are usual.

    Args:
        gain: factor, ≥ 0.

    Shape:
        two axes or more; all but the last are taken together as inputs.

    Raises:
        ShapeError: a parameter of one axis, such as a bias.

    Source: Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks", 2014; Mezzadri, "How to generate random matrices from the
    classical compact groups", 2007.

    >>> weights = Orthogonal().sample(np.random.default_rng(0), (5, 3), Fans(5, 3))
    >>> bool(np.allclose(weights.T @ weights, np.eye(3)))
    True
    """

    gain: float = setting(1.0, low=0, help="factor on the orthogonal matrix")

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Orthonormal columns, or rows, times the gain."""
        inputs, outputs = _matrix_shape("orthogonal", shape)
        gaussian = rng.normal(size=(max(inputs, outputs), min(inputs, outputs)))
        with one_blas_thread():  # starting weights must not depend on the number of threads
            q, r = np.linalg.qr(gaussian)
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return self.gain * (q if inputs >= outputs else q.T).reshape(shape)


@register("initialiser", "identity")
@dataclass(frozen=True)
class IdentityMatrix(Initialiser):
    """W = gain · I: at first each unit passes on its own input, and those beyond the square are 0.

    Nothing is random: units that get equal gradients would stay equal, but here no two have equal
    inputs.

    Args:
        gain: the number on the diagonal.

    Raises:
        ShapeError: not two axes.

    Source: Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of rectified
    linear units", 2015.

    >>> IdentityMatrix().sample(np.random.default_rng(0), (2, 3), Fans(2, 3))
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """

    gain: float = setting(1.0, help="number on the diagonal")

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """The diagonal, and zeros."""
        if len(shape) != 2:
            raise ShapeError(f"identity fills weights of two axes, got the shape {shape}")
        return self.gain * np.eye(*shape)


@register("initialiser", "sparse")
@dataclass(frozen=True)
class Sparse(Initialiser):
    """Each unit starts with k inputs of weight N(0, std²), chosen at random; the others are 0.

    So the sum that enters a unit does not grow with the layer's width, and units differ more. The
    zeros are trained like other weights; :class:`SparseLinear` keeps them 0. PyTorch's ``sparse_``
    takes the share of zeros in place of k.

    Args:
        inputs: k ≥ 1; all inputs where there are no more than k.
        std: standard deviation of the others, ≥ 0.

    Shape:
        two axes or more; all but the last are taken together as inputs.

    Raises:
        ShapeError: a parameter of one axis, such as a bias.

    Source: Martens, "Deep learning via Hessian-free optimization", 2010.

    >>> weights = Sparse(2).sample(np.random.default_rng(0), (6, 4), Fans(6, 4))
    >>> (weights != 0).sum(0)
    array([2, 2, 2, 2])
    """

    inputs: int = size(15, help="k, inputs of a unit with a weight")
    std: float = setting(1.0, low=0, help="standard deviation of those weights")

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Gaussian numbers at k places of each column."""
        inputs, outputs = _matrix_shape("sparse", shape)
        places = rng.random((inputs, outputs)).argsort(0)[: self.inputs]
        result = np.zeros((inputs, outputs))
        np.put_along_axis(result, places, rng.normal(0.0, self.std, places.shape), 0)
        return result.reshape(shape)
