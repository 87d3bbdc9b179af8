"""How layers are wired: skip connections, branches side by side, changes of shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from thalweg.descriptions import option, part, parts, register
from thalweg.errors import SettingError, ShapeError
from thalweg.graph import Tensor
from thalweg.nn.containers import followers
from thalweg.nn.initialisers import Initialiser
from thalweg.nn.layer import Layer, Scope
from thalweg.ops.functions import concatenate, reshape

_AXES = ("last", "channels")
_AXIS = "where features stand: the last axis, or axis 1 as in images"


def _joined(tensors: Sequence[Tensor], axis: str) -> Tensor:
    return concatenate(tensors, -1 if axis == "last" else 1)


def _added(x: Tensor, other: Tensor, message: str) -> Tensor:
    """The sum of two tensors of one shape; nothing is repeated to make shapes fit."""
    if x.shape != other.shape:
        raise ShapeError(f"{message.format(x.shape, other.shape)}")
    return x + other


# ------------------------------------------------------------------ over one layer


@register("layer", "residual")
@dataclass(frozen=True)
class Residual(Layer):
    """A residual connection: y = x + f(x), or y = P(x) + f(x) with a projection P.

    The identity lets signals and gradients pass by f unchanged. Where f changes the shape, P (such
    as a Linear without activation) brings x to it. Each block adds the variance of f to that of x,
    so that it doubles from block to block where f keeps it: normalise inside f, or let f start
    small, in networks of more than a few blocks.

    Args:
        inner: f, often a Sequential.
        projection: P; None is the identity.

    Shape:
        any → that of f's output.

    Raises:
        ShapeError: f(x) and what is added to it have different shapes.

    Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2016.

    >>> import thalweg as tw
    >>> block = tw.Residual(tw.Sequential(tw.ReLU(), tw.Linear(3)), projection=tw.Linear(3))
    >>> block.summary(2).parameters
    18
    """

    inner: Layer = part(family="layer", help="f")
    projection: Layer | None = part(None, family="layer", optional=True, help="P")

    @property
    def preferred_initialiser(self) -> Initialiser | None:
        """What f prefers."""
        return self.inner.preferred_initialiser

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X + f(x)."""
        result = scope.apply("inner", self.inner, x, scope.following)
        if self.projection is None:
            hint = "give a projection, such as Linear, or keep the shape"
            return _added(x, result, f"Residual adds x of shape {{}} to f(x) of shape {{}}: {hint}")
        past = scope.apply("projection", self.projection, x, scope.following)
        return _added(past, result, "Residual adds P(x) of shape {} to f(x) of shape {}")


@register("layer", "concatenated")
@dataclass(frozen=True)
class Concatenated(Layer):
    """A skip connection by concatenation: y = (x, f(x)), so that what follows sees both.

    Args:
        inner: f.
        axis: along which they are joined: ``last``, or ``channels`` (axis 1, as in images).

    Shape:
        (N, …, features) → (N, …, features + f's features).

    Raises:
        ShapeError: x and f(x) differ along another axis.

    Source: Huang, Liu, van der Maaten and Weinberger, "Densely connected convolutional networks",
    2017.

    >>> import thalweg as tw
    >>> tw.Sequential(tw.Concatenated(tw.Linear(3)), tw.Linear(1)).summary(2).rows[-1].parameters
    6
    """

    inner: Layer = part(family="layer", help="f")
    axis: str = option("last", options=_AXES, help=_AXIS)

    @property
    def preferred_initialiser(self) -> Initialiser | None:
        """What f prefers."""
        return self.inner.preferred_initialiser

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X and f(x) side by side."""
        return _joined((x, scope.apply("inner", self.inner, x, scope.following)), self.axis)


@register("layer", "parallel")
@dataclass(frozen=True)
class Parallel(Layer):
    """Branches that take the same input, and whose outputs are joined.

    Args:
        branches: one layer or more, named by their positions.
        combine: ``sum``, ``mean`` or ``concatenate``.
        axis: along which outputs are concatenated: ``last`` or ``channels``.

    Shape:
        any → that of the branches; concatenated, their features add up.

    Raises:
        SettingError: no branches.
        ShapeError: the branches' outputs do not fit.

    Source: Szegedy and others, "Going deeper with convolutions", 2015.

    >>> import numpy as np, thalweg as tw
    >>> net = tw.Parallel((tw.Linear(3), tw.Linear(2)), combine="concatenate")
    >>> tw.apply_network(net, tw.initialise(net, 4), np.zeros((2, 4))).shape
    (2, 5)
    """

    branches: tuple[Layer, ...] = parts(family="layer", help="the branches")
    combine: str = option("sum", options=("sum", "mean", "concatenate"), help="how they are joined")
    axis: str = option("last", options=_AXES, help=_AXIS)

    def __post_init__(self) -> None:
        """Check the branches."""
        super().__post_init__()
        if not self.branches:
            raise SettingError("Parallel needs at least one branch")

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The branches' outputs, joined."""
        outputs = [
            scope.apply(str(place), branch, x, scope.following)
            for place, branch in enumerate(self.branches)
        ]
        if self.combine == "concatenate":
            return _joined(outputs, self.axis)
        total = outputs[0]
        for place, output in enumerate(outputs[1:], 1):
            message = f"Parallel adds the first branch's output {{}} to {{}} of branch {place}"
            total = _added(total, output, message)
        return total * (1.0 / len(outputs)) if self.combine == "mean" else total


# ------------------------------------------------------------------ over several layers

Link = tuple[int, int, str]
"""From which place to which, and ``sum`` or ``concatenate``."""


@register("layer", "skip_sequential")
@dataclass(frozen=True)
class SkipSequential(Layer):
    """Layers one after the other, with connections that skip some of them.

    Place 0 is the input, place k what leaves the k-th layer, counted from 1. A link
    ``(i, j, "sum")`` adds what is at place i to place j > i; ``(i, j, "concatenate")`` puts it in
    front of it. What a link brings to place j goes to the next layer, and on along links from j.
    Several links to a place are taken in order.

    Args:
        layers: named by their positions from 0, as in Sequential.
        links: the connections.
        axis: along which features are concatenated: ``last`` or ``channels``.

    Shape:
        any → that of the last place.

    Raises:
        SettingError: a link that is none, or leads backwards or nowhere.
        ShapeError: a sum of different shapes.

    >>> import thalweg as tw
    >>> layers = (tw.Linear(4), tw.Tanh(), tw.Linear(4), tw.Tanh(), tw.Linear(1))
    >>> net = tw.SkipSequential(layers, links=((2, 4, "sum"), (0, 4, "concatenate")))
    >>> tw.initialise(net, 3)["4.weight"].shape
    (7, 1)
    """

    layers: tuple[Layer, ...] = parts(family="layer", help="the layers")
    links: tuple[Link, ...] = ()
    axis: str = option("last", options=_AXES, help=_AXIS)

    def __post_init__(self) -> None:
        """Check layers and links."""
        super().__post_init__()
        links = tuple(_checked_link(item, len(self.layers)) for item in self.links)
        object.__setattr__(self, "links", links)

    @property
    def preferred_initialiser(self) -> Initialiser | None:
        """What the first layer that is not transparent prefers."""
        first = next((layer for layer in self.layers if not layer.transparent), None)
        return None if first is None else first.preferred_initialiser

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """What is at the last place."""
        following = followers(self.layers, scope.following)
        successors = (*self.layers[1:], scope.successor)
        linked = {place for link in self.links for place in link[:2]}
        places = [x]
        for place, layer in enumerate(self.layers):
            successor = None if place + 1 in linked else successors[place]
            result = scope.apply(str(place), layer, places[-1], following[place], successor)
            places.append(self._with_links(result, places))
        return places[-1]

    def _with_links(self, x: Tensor, before: list[Tensor]) -> Tensor:
        for start, end, how in self.links:
            if end != len(before):
                continue
            if how == "concatenate":
                x = _joined((before[start], x), self.axis)
            else:
                message = (
                    f"SkipSequential link ({start}, {end}, sum) adds shape {{}} to {{}}: "
                    "make them equal, or concatenate"
                )
                x = _added(before[start], x, message)
        return x


def _checked_link(given: Any, layers: int) -> Link:
    """A link of whole places i < j and a way of joining."""
    link: tuple[Any, ...] = tuple(given) if isinstance(given, (tuple, list)) else ()
    whole = len(link) == 3 and all(type(item) is int for item in link[:2])
    if not whole or link[2] not in ("sum", "concatenate"):
        raise SettingError(
            f'a link of SkipSequential is (i, j, "sum") or (i, j, "concatenate"), got {given!r}'
        )
    if not 0 <= link[0] < link[1] <= layers:
        raise SettingError(
            f"link {link} of SkipSequential must have 0 ≤ i < j ≤ {layers}, the number of layers"
        )
    return cast("Link", link)


# ------------------------------------------------------------------ changes of shape


@register("layer", "flatten")
@dataclass(frozen=True)
class Flatten(Layer):
    """Each row's numbers in one line, as fully connected layers take them.

    Shape:
        (N, …) → (N, features), the last axis running fastest.

    >>> import thalweg as tw
    >>> tw.Flatten().summary((2, 3)).rows[-1].output_shape
    (6,)
    """

    transparent: ClassVar[bool] = True

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X as a matrix."""
        return reshape(x, (x.shape[0], x.size // max(x.shape[0], 1)))


@register("layer", "reshape")
@dataclass(frozen=True)
class Reshape(Layer):
    """Each row's numbers in another shape.

    Args:
        shape: lengths without the batch axis; one may be -1 and is computed.

    Shape:
        (N, …) → (N, *shape).

    Raises:
        SettingError: a length that is no positive whole number, or more than one -1.
        ShapeError: a row has another number of elements.

    >>> import thalweg as tw
    >>> tw.Reshape((2, -1)).summary(6).rows[-1].output_shape
    (2, 3)
    """

    transparent: ClassVar[bool] = True

    shape: tuple[int, ...] = (-1,)

    def __post_init__(self) -> None:
        """Check the lengths."""
        super().__post_init__()
        given: Any = self.shape
        lengths: list[Any] = list(given) if isinstance(given, (tuple, list)) else [None]
        right = all(type(item) is int and (item > 0 or item == -1) for item in lengths)
        if not right or lengths.count(-1) > 1:
            raise SettingError(
                f"Reshape.shape has positive whole lengths, of which one may be -1, got {given!r}"
            )
        object.__setattr__(self, "shape", tuple(lengths))

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """X in the shape."""
        return reshape(x, (x.shape[0], *self.shape))
