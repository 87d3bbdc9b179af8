"""Batch normalisation: mean 0 and variance 1 of each feature over the rows of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from thalweg.descriptions import flag, option, register, setting
from thalweg.errors import ShapeError
from thalweg.graph import Shape, Tensor
from thalweg.nn.layer import Layer, Scope
from thalweg.nn.normalisation import (
    channel_layout,
    inverse_deviation,
    laid_out,
    scale_parameter,
    shift_parameter,
)
from thalweg.ops.functions import mean, square


@dataclass(frozen=True)
class BatchNormalisation(Layer):
    """What batch normalisation does, for inputs of any number of axes behind the channels."""

    transparent: ClassVar[bool] = True
    has_statistics: ClassVar[bool] = True

    eps: float = setting(1e-5, low=0, low_open=True, help="added to the variance")
    momentum: float = setting(0.1, low=0, high=1, help="share of the batch in the averages")
    scale: bool = flag(True, help="learn a scale")
    shift: bool = flag(True, help="learn a shift")
    running_variance: str = option(
        "unbiased", options=("unbiased", "biased"), help="divided by n - 1, or by n"
    )
    average: str = option(
        "exponential", options=("exponential", "cumulative"), help="how batches are averaged"
    )

    @property
    def removes_bias(self) -> bool:
        """True: μ contains whatever is added to a whole channel."""
        return True

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """γ (x - μ) / √(σ² + ε) + β."""
        layout = self._layout(x)
        lengths = layout[:1]
        average, spread = scope.state("mean", lengths), scope.state("variance", lengths, 1.0)
        if self.average == "cumulative":
            scope.state("batches", ())
        if scope.training:
            centred, variance = self._centred(x, average, spread, scope)
        else:
            centred, variance = x - laid_out(average, layout), spread
        factor = laid_out(inverse_deviation(variance, self.eps), layout)
        if self.scale:
            factor = scale_parameter(scope, lengths, layout) * factor
        result = centred * factor
        return result + shift_parameter(scope, lengths, layout) if self.shift else result

    def _centred(
        self, x: Tensor, average: Tensor, spread: Tensor, scope: Scope
    ) -> tuple[Tensor, Tensor]:
        """X - μ and σ² of the batch; μ and σ² go into the running averages."""
        count = x.size // x.shape[1]
        if count < 2:
            raise ShapeError(
                f"{type(self).__name__} needs more than one value of each channel in training, got "
                f"{x.type}: choose a batch_size that leaves no last batch of one row"
            )
        axes = (0, *range(2, x.ndim))
        found = mean(x, axes)
        centred = x - laid_out(found, self._layout(x))
        again = x - laid_out(found, self._layout(x))
        variance = mean(square(again), axes)
        unbiased = count / (count - 1) if self.running_variance == "unbiased" else 1.0
        share = self._share(scope)
        scope.update("mean", average + share * (found - average))
        scope.update("variance", spread + share * (variance * unbiased - spread))
        return centred, variance

    def _share(self, scope: Scope) -> Any:
        """What the batch counts in the running averages."""
        if self.average == "exponential":
            return self.momentum
        batches = scope.state("batches", ()) + 1.0
        scope.update("batches", batches)
        return 1.0 / batches

    def _layout(self, x: Tensor) -> Shape:
        """The shape in which one number for each channel meets x."""
        return channel_layout(x, type(self).__name__)


@register("layer", "batch_norm")
@dataclass(frozen=True)
class BatchNorm1d(BatchNormalisation):
    """Batch normalisation: y = γ (x - μ) / √(σ² + ε) + β, with μ and σ² of each feature.

    In training μ and σ² are those of the batch, and running averages of them are kept as the
    states ``mean`` and ``variance``; in use they are the running averages, or the exact statistics
    of the training set (:func:`thalweg.training.statistics.exact_statistics`). A Linear directly
    in front of this layer leaves out its bias, which μ would take away again.

    Conventions are PyTorch's: running ← (1 - momentum) running + momentum · batch, momentum 0.1,
    ε = 10⁻⁵, and the running variance is divided by n - 1, not n. Keras multiplies the old value
    by its momentum: its 0.99 is 0.01 here; its ε is 10⁻³ and its running variance biased.

    Args:
        eps: ε > 0.
        momentum: share of the batch in the running averages, in [0, 1].
        scale: whether γ is learned, starting at 1 (else it is 1).
        shift: whether β is learned, starting at 0 (else it is 0); PyTorch's ``affine=False`` is
            neither.
        running_variance: ``unbiased`` (n - 1) or ``biased`` (n); inputs are always divided by the
            biased one.
        average: ``exponential``, or ``cumulative``: the mean over all batches so far, which needs
            no momentum (PyTorch's ``momentum=None``).

    Shape:
        (N, C) or (N, C, …) → the same; μ and σ² are taken over all axes but C.

    Raises:
        ShapeError: an input without channels, or one value for each channel in training.

    Source: Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing
    internal covariate shift", 2015.

    >>> import thalweg as tw
    >>> net = tw.Sequential(tw.Linear(3), tw.BatchNorm1d(), tw.ReLU())
    >>> sorted(tw.initialise(net, 2))
    ['0.weight', '1.bias', '1.weight']
    """
