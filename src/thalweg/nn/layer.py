"""What a layer is, and where it finds its parameters.

A layer is a frozen description with a pure function ``forward(x, scope)``. The scope gives it
parameters by name, state, random keys and its sublayers; whether these are being described,
initialised, traced or run is the scope's affair, so a layer is written once::

    @dataclass(frozen=True)
    class Residual(Layer):
        inner: Layer = part(family="layer")

        def forward(self, x: Tensor, scope: Scope) -> Tensor:
            return x + scope.apply("inner", self.inner, x)

A plain function ``network(x, scope)`` serves as a network too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from thalweg.descriptions import Description, check_class, family
from thalweg.errors import DTypeError, GraphError, ShapeError
from thalweg.graph import (
    Array,
    Graph,
    Shape,
    Tensor,
    TensorType,
    as_dtype,
    as_tensor,
    labelled,
    placeholder,
)
from thalweg.nn.initialisers import Fans, Initialiser
from thalweg.nn.paths import is_frozen
from thalweg.ops.functions import astype, fold_in, stop_gradient
from thalweg.ops.random import keys_of_texts

if TYPE_CHECKING:
    from thalweg.nn.summary import Summary


@family("layer")
@dataclass(frozen=True)
class Layer(Description):
    """A function of one tensor with named parameters, as a description.

    Attributes:
        transparent: whether initialisers look past this layer for the activation that follows.
        has_statistics: whether it keeps the running mean and variance of what it is given.
    """

    transparent: ClassVar[bool] = False
    has_statistics: ClassVar[bool] = False

    @property
    def removes_bias(self) -> bool:
        """Whether a number added to a whole channel in front of this layer changes nothing."""
        return False

    @property
    def preferred_initialiser(self) -> Initialiser | None:
        """What weights in front of this layer should be drawn from; None: no wish."""
        return None

    def forward(self, x: Tensor, scope: Scope) -> Tensor:
        """The layer's output for input x, batch axis first."""
        raise NotImplementedError(f"{type(self).__name__} has no forward method")

    def summary(self, input_shape: int | Shape) -> Summary:
        """Layers, shapes, parameters and floating-point operations for one input row.

        Args:
            input_shape: the shape of one row, without the batch axis.
        """
        from thalweg.nn.summary import summarise

        return summarise(self, input_shape)


Network = Layer | Callable[[Tensor, "Scope"], Tensor]
"""A layer, or a function that is written like a layer's ``forward``."""


class Parameter(NamedTuple):
    """What a layer says of one of its parameters."""

    path: str
    shape: Shape
    initialiser: Initialiser
    fans: Fans


class StateValue(NamedTuple):
    """A value that training updates without a gradient, and what it starts from."""

    path: str
    shape: Shape
    start: float | Initialiser


@dataclass
class _Store:
    """What all scopes of one evaluation share."""

    dtype: np.dtype[Any]
    training: bool
    key: Tensor | None = None
    values: Mapping[str, Tensor] | None = None
    states: Mapping[str, Tensor] | None = None
    declared: dict[str, Parameter] = field(default_factory=dict[str, Parameter])
    declared_states: dict[str, StateValue] = field(default_factory=dict[str, StateValue])
    found: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    updates: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    notes: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    applied: list[Applied] = field(default_factory=list["Applied"])
    frozen: tuple[str, ...] = ()
    sites: int = 0


class Applied(NamedTuple):
    """One use of a layer inside a network; the network itself has an empty path."""

    path: str
    layer: Any
    input_shape: Shape
    output_shape: Shape


class Scope:
    """A layer's view of its parameters, state, randomness and sublayers.

    Attributes:
        path: the layer's place in the network, names joined by dots.
        following: the next layer that is not transparent (initialisers look at it).
        successor: the layer that takes this one's output, and nothing else does.
    """

    def __init__(
        self,
        store: _Store,
        path: str = "",
        following: Layer | None = None,
        successor: Layer | None = None,
    ) -> None:
        self._store = store
        self.path = path
        self.following = following
        self.successor = successor

    @property
    def training(self) -> bool:
        """Whether the layer is being trained (dropout acts) or used; frozen layers are used."""
        store = self._store
        return store.training and not is_frozen(store.frozen, self.path, store.values or ())

    def _name(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def parameter(
        self, name: str, shape: Shape, initialiser: Initialiser, fans: tuple[int, int] | None = None
    ) -> Tensor:
        """A trained tensor of this layer.

        Args:
            name: unique within the layer.
            shape: its shape.
            initialiser: what it starts from.
            fans: inputs and outputs of a unit, where they are not the last two lengths.

        Raises:
            ShapeError: when the network's parameters hold another shape under this name.
        """
        path, store = self._name(name), self._store
        if store.values is None:
            if path in store.declared and store.declared[path].shape != shape:
                raise ShapeError(f"parameter {path} is declared twice with different shapes")
            both = fans or (shape[0] if shape else 1, shape[-1] if shape else 1)
            store.declared[path] = Parameter(path, shape, initialiser, Fans(*both, self.following))
            if path not in store.found:
                store.found[path] = placeholder(TensorType(shape, store.dtype), path)
            return store.found[path]
        return _checked(store.values, path, shape, "parameter")

    def state(self, name: str, shape: Shape, start: float | Initialiser = 0.0) -> Tensor:
        """A tensor that training changes by :meth:`update` and not by gradients.

        An initialiser's random numbers depend on the path alone.
        """
        path, store = self._name(name), self._store
        if store.states is None:
            store.declared_states[path] = StateValue(path, shape, start)
            if path not in store.found:
                store.found[path] = placeholder(TensorType(shape, store.dtype), path)
            return store.found[path]
        updated = store.updates.get(path)
        return _checked(store.states, path, shape, "state") if updated is None else updated

    def update(self, name: str, value: Tensor) -> None:
        """Set the value that a state has from the next step on.

        Raises:
            GraphError: the layer has not asked for the state with :meth:`state` before.
            ShapeError: the value has another shape than the state.
        """
        path, store = self._name(name), self._store
        state = (store.found if store.states is None else store.states).get(path)
        if state is None:
            raise GraphError(f"state {path} is updated before the layer declares it with state()")
        if value.shape != state.shape:
            raise ShapeError(f"state {path} has shape {state.shape}, its update {value.shape}")
        store.updates[path] = stop_gradient(astype(value, state.dtype))

    def note(self, text: str) -> None:
        """Say something about this layer that the network's summary shows."""
        notes = self._store.notes.setdefault(self.path, [])
        if text not in notes:
            notes.append(text)

    def random_key(self) -> Tensor:
        """A key ``uint32[2]`` of its own for each use in a step; new in each step.

        Raises:
            GraphError: when the network is evaluated without a random key.
        """
        store = self._store
        if store.key is None:
            raise GraphError(
                f"layer {self.path or 'top'} draws random numbers; pass a key to evaluate it in "
                "training mode"
            )
        store.sites += 1
        return fold_in(store.key, store.sites)

    def apply(
        self,
        name: str,
        layer: Network,
        x: Tensor,
        following: Layer | None = None,
        successor: Layer | None = None,
    ) -> Tensor:
        """The output of a sublayer, whose parameters get this name in front of theirs.

        A name that is used twice means the same parameters twice (shared weights).

        Raises:
            ShapeError, DTypeError: naming the sublayer.
        """
        inner = Scope(self._store, self._name(name), following, successor)
        kind = layer_kind(layer)
        with labelled(layer=f"{inner.path} ({kind})"):
            try:
                result = as_tensor(_call(layer, x, inner))
            except (ShapeError, DTypeError) as error:
                if str(error).startswith("layer "):
                    raise
                message = f"layer {inner.path} ({kind}), input {x.type}: {error}"
                raise type(error)(message) from error
        self._store.applied.append(Applied(inner.path, layer, x.shape, result.shape))
        return result


def layer_kind(layer: Network) -> str:
    """What messages call a layer: its class, or the function's name."""
    if isinstance(layer, Layer):
        return type(layer).__name__
    return getattr(layer, "__name__", type(layer).__name__)


def _call(network: Network, x: Tensor, scope: Scope) -> Tensor:
    if not isinstance(network, Layer):
        return network(x, scope)
    check_class(type(network))
    return network.forward(x, scope)


def _checked(values: Mapping[str, Tensor], path: str, shape: Shape, what: str) -> Tensor:
    found = values.get(path)
    if found is None:
        raise ShapeError(f"the network's {what}s hold no {path!r}")
    if found.shape != shape:
        raise ShapeError(
            f"{what} {path} has shape {found.shape}, the layer expects {shape}: "
            "was the network initialised for another input size?"
        )
    return found


class Blueprint(NamedTuple):
    """What a network is for one input shape: its parameters, state, layers and graph."""

    parameters: dict[str, Parameter]
    states: dict[str, StateValue]
    applied: tuple[Applied, ...]
    graph: Graph
    output_shape: Shape
    notes: dict[str, str]


def row_shape(shape: int | Shape) -> Shape:
    """The shape of one row, given as a number or a tuple.

    Raises:
        ShapeError: when a length is not a positive whole number.
    """
    given: tuple[Any, ...] = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if any(not isinstance(item, (int, np.integer)) or item < 1 for item in given):
        raise ShapeError(f"an input shape has positive whole lengths, got {shape!r}")
    return tuple(int(item) for item in given)


def blueprint(
    network: Network, input_shape: int | Shape, dtype: Any = "float32", batch: int = 1
) -> Blueprint:
    """Trace a network on an input without a value; nothing is allocated.

    Args:
        network: a layer or function.
        input_shape: the shape of one row.
        dtype: of input, parameters and output.
        batch: rows in the traced input.
    """
    kind = as_dtype(dtype)
    store = _Store(kind, training=False)
    x = placeholder(TensorType((batch, *row_shape(input_shape)), kind), "x")
    result = as_tensor(_call(network, x, Scope(store)))
    if not result.shape or result.shape[0] != batch:
        raise ShapeError(
            f"a network keeps the batch axis: {batch} rows in, but its output is {result.type}"
        )
    graph = Graph((x, *store.found.values()), (result,))
    store.applied.append(Applied("", network, x.shape, result.shape))
    return Blueprint(
        store.declared,
        store.declared_states,
        tuple(store.applied),
        graph,
        result.shape[1:],
        {path: "; ".join(notes) for path, notes in store.notes.items()},
    )


def initialise(
    network: Network, input_shape: int | Shape, seed: int = 0, dtype: Any = "float32"
) -> dict[str, Array]:
    """The starting parameters of a network, by path.

    Each parameter has random numbers of its own, which depend on the seed and its path alone.
    """
    return initial_parameters(blueprint(network, input_shape, as_dtype(dtype)), seed, dtype)


def initial_parameters(plan: Blueprint, seed: int = 0, dtype: Any = "float32") -> dict[str, Array]:
    """The starting parameters of a network that is traced already, by path."""
    kind = as_dtype(dtype)
    generators = _generators(seed, tuple(plan.parameters))
    return {
        path: parameter.initialiser.sample(generator, parameter.shape, parameter.fans).astype(kind)
        for (path, parameter), generator in zip(plan.parameters.items(), generators, strict=False)
    }


def initial_states(plan: Blueprint, dtype: Any = "float32") -> dict[str, Array]:
    """The starting states of a network, by path."""
    return {
        path: _state_start(state).astype(as_dtype(dtype)) for path, state in plan.states.items()
    }


def _state_start(state: StateValue) -> Array:
    if isinstance(state.start, Initialiser):
        return state.start.sample(next(_generators(0, (state.path,))), state.shape, Fans(1, 1))
    return np.full(state.shape, state.start, np.float64)


def _generators(seed: int, paths: tuple[str, ...]) -> Iterator[np.random.Generator]:
    """A generator for each path, of seed and path alone; the next one ends the one before."""
    bits = np.random.Philox(key=0)
    state = bits.state
    for key in keys_of_texts(seed, paths):
        state["state"]["key"][0] = key
        bits.state = state
        yield np.random.Generator(bits)


class Evaluated(NamedTuple):
    """A network's output, and its states after the evaluation."""

    output: Tensor
    states: dict[str, Tensor]


def evaluate(
    network: Network,
    parameters: Mapping[str, Any],
    x: Any,
    *,
    states: Mapping[str, Any] | None = None,
    training: bool = False,
    key: Any = None,
    frozen: tuple[str, ...] = (),
) -> Evaluated:
    """A network's output for a batch: a pure function of all its arguments.

    Args:
        network: a layer or function.
        parameters: by path, as :func:`initialise` gives them.
        x: inputs, batch axis first.
        states: by path; needed where the network has states.
        training: whether dropout and its kin act.
        key: ``uint32[2]``, needed for random layers in training.
        frozen: patterns of layers that are used as they are while the others are trained.

    Returns:
        The output, and the states with their updates.
    """
    tensor = as_tensor(x)
    values = {path: as_tensor(value) for path, value in parameters.items()}
    kept = {path: as_tensor(value) for path, value in (states or {}).items()}
    store = _Store(
        tensor.dtype, training, None if key is None else as_tensor(key), values, kept, frozen=frozen
    )
    output = as_tensor(_call(network, tensor, Scope(store)))
    return Evaluated(output, {**kept, **store.updates})


def apply_network(network: Network, parameters: Mapping[str, Any], x: Any) -> Tensor:
    """A network's output for a batch, in use (not in training)."""
    return evaluate(network, parameters, x).output
