"""What LeNet-5 of 1998 was made of: scaled tanh, trainable subsampling, sparse connections of maps.

Its output units are in :mod:`thalweg.nn.gaussian_units`.

Source of all of them: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to
document recognition", 1998.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from thalweg.descriptions import flag, part, register, setting, size
from thalweg.errors import SettingError, ShapeError
from thalweg.graph import Array, Shape, Tensor, as_tensor
from thalweg.nn import functional
from thalweg.nn.activations import Activation
from thalweg.nn.initialisers import Auto, Constant, Fans, Initialiser, LeCun
from thalweg.nn.layer import Layer, Scope
from thalweg.nn.linear import needs_bias
from thalweg.nn.normalisation import laid_out
from thalweg.nn.padding import Padding, check_images, checked_padding, laid
from thalweg.nn.receptive import Receptive
from thalweg.nn.windows import convolution, sum_in_windows
from thalweg.ops.functions import pad, reshape, take


@register("initialiser", "inverse_fan_in")
@dataclass(frozen=True)
class InverseFanIn(Initialiser):
    """U(-r, r) with r = bound / M for M inputs of a unit.

    Early networks started so, LeNet-5 with 2.4. The variance falls with M², not with M as in
    :class:`LeCun`: signals of wide layers start small.

    Args:
        bound: r · M, ≥ 0.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", 1998, appendix A.

    >>> weights = InverseFanIn().sample(np.random.default_rng(0), (120, 84), Fans(120, 84))
    >>> round(float(np.abs(weights).max()), 3)
    0.02
    """

    bound: float = setting(2.4, low=0, help="largest magnitude times the inputs")

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """Uniform numbers."""
        limit = self.bound / max(fans.inputs, 1)
        return rng.uniform(-limit, limit, shape)


@register("layer", "scaled_tanh")
@dataclass(frozen=True)
class ScaledTanh(Activation):
    """A · tanh(S x), which is ±1 at ±1 with the default A = 1.7159 and S = 2/3.

    Targets of ±1 then lie where the curvature is largest and not where the function saturates.
    Range (-A, A). Saturates on both sides.

    Args:
        amplitude: A > 0.
        slope: S > 0.

    Source: LeCun, Bottou, Orr and Müller, "Efficient BackProp", 1998.

    >>> import thalweg as tw
    >>> tw.apply_network(tw.ScaledTanh(), {}, [[-1.0, 0.0, 1.0, 9.0]]).numpy().round(3)
    array([[-1.   ,  0.   ,  1.   ,  1.716]], dtype=float32)
    """

    output_range = (-1.7159, 1.7159)
    saturates = "both"
    start = LeCun()

    amplitude: float = setting(1.7159, low=0, low_open=True, help="limit for large inputs")
    slope: float = setting(2 / 3, low=0, low_open=True, help="factor of the input")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """A · tanh(S x)."""
        return self.amplitude * functional.tanh(self.slope * x)


@register("layer", "subsample2d")
@dataclass(frozen=True)
class Subsample2d(Layer):
    """Trainable subsampling: y_c = w_c · Σ x_c over windows of size × size side by side, + b_c.

    Average pooling with a learned coefficient and a learned bias for each map: parameters
    ``weight`` (C,) and ``bias`` (C,). An activation should follow. What does not fill a window at
    the lower and right edge is left out.

    Args:
        size: side of a window, ≥ 1.
        weight: initialiser of w; None starts at 1 / size², the average.
        bias_start: initialiser of b, zeros by default.

    Shape:
        (N, C, H, W) → (N, C, ⌊H / size⌋, ⌊W / size⌋).

    Raises:
        ShapeError: other inputs, or a window larger than the maps.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", 1998.

    >>> import thalweg as tw
    >>> tw.Subsample2d(2).summary((6, 28, 28)).rows[0].output_shape
    (6, 14, 14)
    """

    size: int = size(2, high=4096, help="side of a window")
    weight: Initialiser | None = part(
        None, family="initialiser", optional=True, help="start of the coefficients"
    )
    bias_start: Initialiser = part(Constant(0.0), family="initialiser", help="start of the bias")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """W Σ x + b."""
        check_images(x, "Subsample2d")
        layout, taps = (x.shape[1], 1, 1), (self.size, self.size)
        window = laid("Subsample2d", x, taps, self.size, 0)
        fans, start = (self.size**2, 1), self.weight or Constant(1.0 / self.size**2)
        weight = scope.parameter("weight", layout[:1], start, fans)
        bias = scope.parameter("bias", layout[:1], self.bias_start, fans)
        total = sum_in_windows(x, taps, window)
        return total * laid_out(weight, layout) + laid_out(bias, layout)

    def receptive(self) -> Receptive:
        """The window of an output."""
        return Receptive((self.size, self.size), (self.size, self.size))


# ------------------------------------------------------------------ sparse connections of maps

C3_CONNECTIONS: tuple[tuple[int, ...], ...] = (
    *((k, (k + 1) % 6, (k + 2) % 6) for k in range(6)),
    *((k, (k + 1) % 6, (k + 2) % 6, (k + 3) % 6) for k in range(6)),
    *((k, (k + 1) % 6, (k + 3) % 6, (k + 4) % 6) for k in range(3)),
    (0, 1, 2, 3, 4, 5),
)
"""Which of the six maps of S2 each of the sixteen maps of C3 sees (table I of the publication)."""


@dataclass(frozen=True, eq=False)
class _Kernels(Initialiser):
    """Kernels of connections, each map's drawn for its own number of inputs."""

    of: Initialiser
    counts: tuple[int, ...]

    def sample(self, rng: np.random.Generator, shape: Shape, fans: Fans) -> Array:
        """(kh, kw, connections), those of map 0 first."""
        owners = np.repeat(np.arange(len(self.counts)), self.counts)
        result = np.zeros(shape)
        for count in sorted(set(self.counts)):
            maps = [place for place, found in enumerate(self.counts) if found == count]
            inputs = shape[0] * shape[1] * count
            near = Fans(inputs, fans.outputs, fans.following)
            drawn = self.of.sample(rng, (*shape[:2], count, len(maps)), near)
            for place, owner in enumerate(maps):
                result[:, :, owners == owner] = drawn[..., place]
        return result


@register("layer", "masked_conv2d")
@dataclass(frozen=True)
class MaskedConv2d(Layer):
    """Convolution whose maps see chosen channels: z_k = Σ_c w_kc ⋆ x_c + b_k, c connected to k.

    ⋆ is cross-correlation (the kernel is not flipped). Only connected kernels are parameters:
    ``weight`` (kernel_size, kernel_size, connections), those of map 0 first, and ``bias`` (maps,).
    The weights of a map are drawn for the number of its own inputs.

    Args:
        connections: for each map the channels that it sees, counted from 0; LeNet-5's are
            ``thalweg.nn.lenet.C3_CONNECTIONS``.
        kernel_size: side of the kernels, ≥ 1.
        padding: zeros around the maps: ``"same"``, ``"valid"``, a number, (rows, columns) or
            ((above, below), (left, right)).
        bias: whether there is a b; in front of batch normalisation there is none.
        weight: initialiser of w; by default chosen from the activation that follows.
        bias_start: initialiser of b, zeros by default.

    Shape:
        (N, C, H, W) → (N, maps, H + padding - kernel_size + 1, W + padding - kernel_size + 1).

    Raises:
        SettingError: no maps, a map without channels, channels that are none or occur twice, or
            padding that is none.
        ShapeError: other inputs, a channel beyond them, or a kernel larger than the padded maps.

    Source: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
    recognition", 1998.

    >>> import thalweg as tw
    >>> layer = tw.MaskedConv2d(((0, 1), (2,)), kernel_size=3)
    >>> {path: value.shape for path, value in tw.initialise(layer, (3, 8, 8)).items()}
    {'weight': (3, 3, 3), 'bias': (2,)}
    """

    connections: tuple[tuple[int, ...], ...]
    kernel_size: int = size(5, high=4096, help="side of the kernels")
    padding: Padding = 0
    bias: bool = flag(True, help="add a bias")
    weight: Initialiser = part(Auto(), family="initialiser", help="start of the weights")
    bias_start: Initialiser = part(Constant(0.0), family="initialiser", help="start of the bias")

    def __post_init__(self) -> None:
        """Check connections and padding."""
        super().__post_init__()
        checked_padding(self)
        given: Any = self.connections
        maps: list[Any] = list(given) if isinstance(given, (tuple, list)) else []
        checked = tuple(_channels(place, item) for place, item in enumerate(maps))
        if not checked:
            raise SettingError(
                f"MaskedConv2d.connections holds a tuple of channels for each map, got {given!r}"
            )
        object.__setattr__(self, "connections", checked)

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """W ⋆ x + b."""
        check_images(x, "MaskedConv2d")
        counts = tuple(map(len, self.connections))
        taps = self.kernel_size**2
        fans = (taps * max(counts), taps * max(round(sum(counts) / x.shape[1]), 1))
        shape = (self.kernel_size, self.kernel_size, sum(counts))
        kernels = scope.parameter("weight", shape, _Kernels(self.weight, counts), fans)
        scope.note(f"{sum(counts):,} of {x.shape[1] * len(counts):,} connections")
        window = laid("MaskedConv2d", x, shape[:2], 1, self.padding)
        result = convolution(x, self._dense(kernels, x), window)
        if not (self.bias and needs_bias(scope)):
            return result
        layout = (len(counts), 1, 1)
        return result + laid_out(scope.parameter("bias", layout[:1], self.bias_start, fans), layout)

    def receptive(self) -> Receptive:
        """The window of an output."""
        return Receptive((self.kernel_size, self.kernel_size), (1, 1))

    def _dense(self, kernels: Tensor, x: Tensor) -> Tensor:
        """(kh, kw, C, maps) with zeros where there is no connection."""
        channels, count = x.shape[1], kernels.shape[-1]
        places = np.full((channels, len(self.connections)), count)
        number = 0
        for unit, seen in enumerate(self.connections):
            if max(seen) >= channels:
                raise ShapeError(
                    f"MaskedConv2d connects map {unit} to channel {max(seen)}, but {x.type} has "
                    f"{channels} channels, counted from 0"
                )
            places[list(seen), unit] = range(number, number + len(seen))
            number += len(seen)
        padded = pad(kernels, ((0, 0), (0, 0), (0, 1)))
        taken = take(padded, as_tensor(places.ravel()), -1)
        return reshape(taken, (*kernels.shape[:2], *places.shape))


def _channels(place: int, given: Any) -> tuple[int, ...]:
    items: list[Any] = list(given) if isinstance(given, (tuple, list)) else []
    whole = all(type(item) is int and item >= 0 for item in items)
    if not items or not whole or len(set(items)) < len(items):
        raise SettingError(
            f"MaskedConv2d.connections[{place}] holds different channels, counted from 0, got "
            f"{given!r}"
        )
    return tuple(items)
