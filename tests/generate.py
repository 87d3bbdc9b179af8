"""Random programs over all primitives: what backends and passes are compared on.

``programs()`` is a Hypothesis strategy. A program is a graph with values for its inputs; it holds
empty and 0-dimensional tensors, NaN, infinities and zeros of both signs, repeated numbers,
transposes, and every primitive that is not left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from thalweg.graph import (
    PRIMITIVES,
    Array,
    Graph,
    Tensor,
    TensorType,
    constant,
    placeholder,
    topological,
)

Draw = Callable[[st.SearchStrategy[Any]], Any]

LARGEST = 60
"""The most elements of a tensor in a program."""

DISCONTINUOUS = frozenset(
    {
        "floor",
        "round",
        "sign",
        "eq",
        "ne",
        "lt",
        "le",
        "argmax",
        "cast",
        "max",
        "min",
        "reduce_max",
        "window_max",
        "window_pick",
        "window_place",
    }
)
"""Primitives that may turn an error of one unit in the last place into a large one."""

KEY = TensorType((2,), np.dtype("uint32"))
NUMBERS = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -4.0, 0.3, math.inf, math.nan)


@dataclass(frozen=True)
class Program:
    """A graph, and a value for each of its inputs."""

    graph: Graph
    inputs: tuple[Array, ...]

    def __repr__(self) -> str:
        return f"{self.graph}\ninputs = {self.inputs}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # how Hypothesis shows it
        printer.text(repr(self))


class Maker:
    """Grows a program node by node."""

    def __init__(self, draw: Draw, dtypes: Collection[str]) -> None:
        self.draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**16)))
        self.special = draw(st.booleans())
        kinds = [*dtypes, *dtypes, "int64", "bool", "uint32"]
        types = [TensorType(self.shape(), np.dtype(self.pick(kinds))) for _ in range(self.small(1))]
        types.append(TensorType(self.shape(), np.dtype(self.pick(list(dtypes)))))
        types.append(KEY)
        self.inputs = [placeholder(type_, f"x{n}") for n, type_ in enumerate(types)]
        self.values = [self.array(type_) for type_ in types]
        self.pool = list(self.inputs)

    # -------------------------------------------------------------- choices

    def pick(self, options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def small(self, low: int = 0, high: int = 3) -> int:
        return self.draw(st.integers(low, high))

    def shape(self, most: int = 3) -> tuple[int, ...]:
        length = st.sampled_from([1, 2, 3, 3, 2, 0])
        return tuple(self.draw(st.lists(length, max_size=most)))

    def array(self, type_: TensorType) -> Array:
        if type_.dtype.kind == "f":
            values = np.round(self.rng.normal(size=type_.shape) * 2, 1)
            if self.special and type_.size:
                values.flat[int(self.rng.integers(type_.size))] = self.pick(NUMBERS)
        else:
            values = self.rng.integers(0 if type_.dtype.kind in "bu" else -3, 4, type_.shape)
        return np.asarray(values).astype(type_.dtype)

    def tensor(
        self, kinds: str = "fiub", where: Callable[[Tensor], bool] = lambda _: True
    ) -> Tensor:
        found = [t for t in self.pool if t.dtype.kind in kinds and where(t)]
        return self.pick(found[-6:]) if found else self.fresh(kinds, where)

    def fresh(self, kinds: str, where: Callable[[Tensor], bool]) -> Tensor:
        name = {"f": "float64", "i": "int64", "u": "uint32", "b": "bool"}[kinds[0]]
        for shape in ((2, 3), (3, 2, 2), (1,)):
            tensor = constant(self.array(TensorType(shape, np.dtype(name))))
            if where(tensor):
                return tensor
        raise AssertionError("no shape does")

    def partner(self, type_: TensorType) -> Tensor:
        """A tensor of a type: from the pool, a constant, or one repeated number."""
        same = [t for t in self.pool if t.type == type_]
        way = self.pick(["pool", "pool", "constant", "repeated", "repeated"])
        if way == "pool" and same:
            return self.pick(same)
        if way == "constant":
            return constant(self.array(type_))
        number = np.asarray(self.pick(NUMBERS[:8] if type_.dtype.kind == "f" else (0, 1, 1, 2)))
        scalar = constant(number.astype(type_.dtype))
        return PRIMITIVES["broadcast"](scalar, shape=type_.shape) if type_.shape else scalar

    def axis(self, x: Tensor) -> int:
        return self.pick(range(x.ndim))

    # -------------------------------------------------------------- nodes

    def add(self, name: str) -> None:
        """One more node, unless it would be too large."""
        made = BUILDERS[name](self, name)
        if made.size <= LARGEST:
            self.pool.append(made)

    def program(self) -> Program:
        """The program, whose outputs are all that was made and not used."""
        made = self.pool[len(self.inputs) :] or self.pool
        inner = {id(item) for node in made if node.source for item in node.source.inputs}
        outputs = tuple(node for node in made if id(node) not in inner)
        used = {id(tensor) for tensor in topological(outputs, lambda _: False)}
        kept = [n for n, tensor in enumerate(self.inputs) if id(tensor) in used or n == 0]
        graph = Graph(tuple(self.inputs[n] for n in kept), outputs)
        return Program(graph, tuple(self.values[n] for n in kept))


Builder = Callable[[Maker, str], Tensor]
BUILDERS: dict[str, Builder] = {}


def builder(names: str) -> Callable[[Builder], Builder]:
    def decorate(build: Builder) -> Builder:
        BUILDERS.update(dict.fromkeys(names.split(), build))
        return build

    return decorate


@builder("exp expm1 log log1p sqrt sin cos tanh logistic erf floor round")
def real(make: Maker, name: str) -> Tensor:
    return PRIMITIVES[name](make.tensor("f"))


@builder("neg abs")
def signed(make: Maker, name: str) -> Tensor:
    return PRIMITIVES[name](make.tensor("fi"))


@builder("sign")
def number(make: Maker, name: str) -> Tensor:
    return PRIMITIVES[name](make.tensor("fiu"))


@builder("identity stop_gradient")
def anything(make: Maker, name: str) -> Tensor:
    return PRIMITIVES[name](make.tensor())


@builder("not")
def bits(make: Maker, name: str) -> Tensor:
    return PRIMITIVES[name](make.tensor("biu"))


@builder("cast")
def cast(make: Maker, name: str) -> Tensor:
    x = make.tensor()
    target = make.pick(["float64", "float32", "int64", "int32", "uint32", "uint8", "bool"])
    return PRIMITIVES[name](x, dtype=np.dtype(target))


def _pair(make: Maker, name: str, kinds: str) -> Tensor:
    x = make.tensor(kinds)
    pair = [x, make.partner(x.type)]
    return PRIMITIVES[name](*(pair if make.draw(st.booleans()) else pair[::-1]))


@builder("add sub mul max min lt le")
def arithmetic(make: Maker, name: str) -> Tensor:
    return _pair(make, name, "fiu")


@builder("div pow")
def division(make: Maker, name: str) -> Tensor:
    return _pair(make, name, "f")


@builder("eq ne")
def equality(make: Maker, name: str) -> Tensor:
    return _pair(make, name, "fiub")


@builder("and or xor")
def logic(make: Maker, name: str) -> Tensor:
    return _pair(make, name, "biu")


@builder("shift_left shift_right")
def shift(make: Maker, name: str) -> Tensor:
    x = make.tensor("ui")
    places = constant(make.rng.integers(0, 5, x.shape).astype(x.dtype))
    return PRIMITIVES[name](x, places)


@builder("select")
def select(make: Maker, name: str) -> Tensor:
    x = make.tensor()
    condition = make.partner(TensorType(x.shape, np.dtype("bool")))
    return PRIMITIVES[name](condition, x, make.partner(x.type))


@builder("reduce_sum")
def total(make: Maker, name: str) -> Tensor:
    x = make.tensor("fiu")
    return PRIMITIVES[name](x, axes=tuple(a for a in range(x.ndim) if make.draw(st.booleans())))


@builder("reduce_max")
def largest(make: Maker, name: str) -> Tensor:
    x = make.tensor("fiu")
    axes = [axis for axis in range(x.ndim) if x.shape[axis] and make.draw(st.booleans())]
    return PRIMITIVES[name](x, axes=tuple(axes))


@builder("argmax")
def argmax(make: Maker, name: str) -> Tensor:
    x = make.tensor("fiub", lambda t: any(t.shape))
    return PRIMITIVES[name](x, axis=make.pick([a for a in range(x.ndim) if x.shape[a]]))


@builder("matmul")
def product(make: Maker, name: str) -> Tensor:
    a = make.tensor("f", lambda t: t.ndim >= 2)
    ta, tb = make.draw(st.booleans()), make.draw(st.booleans())
    inner = a.shape[-2 if ta else -1]
    if make.draw(st.booleans()):
        ends = (make.small(1), inner) if tb else (inner, make.small(1))
        b = make.partner(TensorType((*a.shape[:-2], *ends), a.dtype))
    else:
        b, tb = a, not ta
    return PRIMITIVES[name](a, b, transpose_a=ta, transpose_b=tb)


def image(make: Maker) -> Tensor:
    """A tensor of four axes, the first two not empty."""
    x = make.tensor("f", lambda t: t.ndim <= 4 and 0 not in t.shape[:2])
    shape = (*x.shape, *(1,) * (4 - x.ndim))
    order = make.pick([(0, 1, 2, 3), (1, 0, 3, 2)])
    return PRIMITIVES["transpose"](PRIMITIVES["reshape"](x, shape=shape), axes=order)


def window(make: Maker, x: Tensor, least: int) -> tuple[tuple[int, int], dict[str, Any]]:
    """The size of a window that fits, and how it lies; padding leaves it this many elements."""
    taps = make.pick([n for n in (1, 2) if n <= x.shape[0]]), min(make.small(1), x.shape[1])
    widths = [(make.small(0, max(n - least, 0)), make.small(0, max(n - least, 0))) for n in taps]
    stride = make.small(1), make.small(1)
    return taps, {"stride": stride, "padding": tuple(widths), "dilation": (1, 1)}


@builder("convolve convolve_input convolve_weight")
def convolution(make: Maker, name: str) -> Tensor:
    x = image(make)
    taps, where = window(make, x, 0)
    groups = make.pick([n for n in (1, 2, 3) if x.shape[2] % n == 0])
    maps = groups * make.small(1, 2)
    w = make.partner(TensorType((*taps, x.shape[2] // groups, maps), x.dtype))
    where["groups"] = groups
    result = PRIMITIVES["convolve"](x, w, **where)
    if name == "convolve_input":
        return PRIMITIVES[name](result, w, shape=x.shape[:2], **where)
    if name == "convolve_weight":
        return PRIMITIVES[name](x, result, shape=taps, **where)
    return result


@builder("window_max window_pick window_place window_sum window_spread")
def windows(make: Maker, name: str) -> Tensor:
    x = image(make)
    taps, where = window(make, x, 1)
    where["taps"] = taps
    if name in {"window_max", "window_sum"}:
        return PRIMITIVES[name](x, **where)
    if name == "window_pick":
        return PRIMITIVES[name](x, make.partner(x.type), **where)
    total = PRIMITIVES["window_sum"](x, **where)
    result = make.pick([total, make.partner(total.type)])
    if name == "window_place":
        return PRIMITIVES[name](x, result, **where)
    return PRIMITIVES[name](result, shape=x.shape[:2], **where)


@builder("broadcast")
def broadcast(make: Maker, name: str) -> Tensor:
    x = make.tensor()
    more = tuple(make.small(1) for _ in range(make.small(0, 1 if x.ndim > 2 else 2)))
    return PRIMITIVES[name](x, shape=(*more, *(make.small(1) if n == 1 else n for n in x.shape)))


@builder("reshape")
def reshape(make: Maker, name: str) -> Tensor:
    x = make.tensor()
    shapes = [(x.size,), x.shape[::-1], (1, *x.shape), (*x.shape, 1), (x.size, 1)]
    shapes += [tuple(n for n in x.shape if n != 1)]
    return PRIMITIVES[name](x, shape=make.pick(shapes))


@builder("transpose")
def transpose(make: Maker, name: str) -> Tensor:
    x = make.tensor(where=lambda t: t.ndim > 0)
    return PRIMITIVES[name](x, axes=tuple(make.draw(st.permutations(range(x.ndim)))))


@builder("slice")
def cut(make: Maker, name: str) -> Tensor:
    x = make.tensor()
    bounds = [sorted((make.small(0, n), make.small(0, n))) for n in x.shape]
    start, stop = (tuple(bound[side] for bound in bounds) for side in (0, 1))
    step = tuple(make.small(1) for _ in x.shape)
    return PRIMITIVES[name](x, start=start, stop=stop, step=step)


@builder("pad")
def pad(make: Maker, name: str) -> Tensor:
    x = make.tensor()
    low, high, interior = (tuple(make.small(0, 1) for _ in x.shape) for _ in range(3))
    value = make.pick([0.0, -0.0, 1.0, math.nan] if x.type.is_float else [0.0, 1.0])
    return PRIMITIVES[name](x, low=low, high=high, interior=interior, value=value)


@builder("concatenate")
def concatenate(make: Maker, name: str) -> Tensor:
    x = make.tensor(where=lambda t: t.ndim > 0)
    others = [make.partner(x.type) for _ in range(make.small(0, 2))]
    return PRIMITIVES[name](x, *others, axis=make.axis(x))


def _indices(make: Maker, length: int) -> Tensor:
    shape = make.shape(2) if length else (0,)
    dtype = make.pick(["int64", "int32", "uint32"])
    return constant(make.rng.integers(0, max(length, 1), shape).astype(dtype))


@builder("gather")
def gather(make: Maker, name: str) -> Tensor:
    x = make.tensor(where=lambda t: t.ndim > 0)
    axis = make.axis(x)
    return PRIMITIVES[name](x, _indices(make, x.shape[axis]), axis=axis)


@builder("scatter_add")
def scatter(make: Maker, name: str) -> Tensor:
    x = make.tensor("fi", lambda t: t.ndim > 0)
    axis = make.axis(x)
    indices = _indices(make, x.shape[axis])
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    return PRIMITIVES[name](x, indices, make.partner(TensorType(shape, x.dtype)), axis=axis)


@builder("iota")
def iota(make: Maker, name: str) -> Tensor:
    return PRIMITIVES[name](length=make.small(), dtype=np.dtype(make.pick(["int64", "float64"])))


def _key(make: Maker) -> Tensor:
    return make.pick([tensor for tensor in make.pool if tensor.type == KEY])


@builder("random_bits")
def random_bits(make: Maker, name: str) -> Tensor:
    return PRIMITIVES[name](_key(make), shape=make.shape(2))


@builder("fold_in")
def fold_in(make: Maker, name: str) -> Tensor:
    return PRIMITIVES[name](_key(make), make.partner(TensorType((), np.dtype("uint32"))))


@st.composite
def programs(
    draw: Draw,
    most: int = 12,
    exclude: Collection[str] = (),
    dtypes: Collection[str] = ("float64", "float32"),
) -> Program:
    """Programs of at most so many nodes.

    Args:
        draw: given by Hypothesis.
        most: the largest number of nodes made.
        exclude: primitives to leave out (``DISCONTINUOUS`` where rounding may differ).
        dtypes: of floating-point inputs.
    """
    make = Maker(draw, dtypes)
    names = sorted(BUILDERS.keys() - set(exclude))
    for _ in range(draw(st.integers(most // 2, most))):
        make.add(draw(st.sampled_from(names)))
    return make.program()
