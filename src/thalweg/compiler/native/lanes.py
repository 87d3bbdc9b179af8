"""Elementwise primitives on lanes: one call writes one primitive for one vector of elements.

Results equal NumPy's bit for bit, but for the functions of :mod:`.functions`, whose bound is
declared with the primitive. Nothing is contracted, reassociated or assumed finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from thalweg.compiler.native.text import F32, F64, I1, I64, Function, Value, number
from thalweg.graph import Tensor, source_of

_ELEMENTS = {
    "bool": I1, "uint8": "i8", "int32": "i32", "uint32": "i32", "int64": "i64", "uint64": "i64",
    "float32": F32, "float64": F64,
}  # fmt: skip


def element(dtype: np.dtype[Any]) -> str:
    """The type of one lane in a register."""
    return _ELEMENTS[dtype.name]


def memory_element(dtype: np.dtype[Any]) -> str:
    """The type of one element in memory: truth values take a byte."""
    return "i8" if dtype.kind == "b" else _ELEMENTS[dtype.name]


class Operation(NamedTuple):
    """What is written: the writer, the node, and its operands' values and types."""

    f: Function
    values: Sequence[Value]
    dtypes: Sequence[np.dtype[Any]]
    result: np.dtype[Any]

    @property
    def kind(self) -> str:
        """NumPy's letter for the kind of the first operand."""
        return self.dtypes[0].kind


def write_elementwise(f: Function, node: Tensor, values: Sequence[Value]) -> Value:
    """Write one elementwise primitive over lanes."""
    primitive, inputs, _ = source_of(node)
    operation = Operation(f, values, [item.dtype for item in inputs], node.dtype)
    writer = _WRITERS.get(primitive.name)
    return writer(operation) if writer else _function(primitive.name, operation)


def _function(name: str, op: Operation) -> Value:
    from thalweg.compiler.native.functions import FUNCTIONS

    return FUNCTIONS[name](op.f, *op.values)


def _same(op: Operation) -> Value:
    return op.values[0]


def _neg(op: Operation) -> Value:
    (x,) = op.values
    return op.f.negated(x) if op.kind == "f" else op.f.binary("sub", number(x.type, 0), x)


def _arithmetic(real: str, whole: str) -> Callable[[Operation], Value]:
    def write(op: Operation) -> Value:
        return op.f.binary(real if op.kind == "f" else whole, *op.values)

    return write


def is_known(value: Value) -> bool:
    """Whether a value is a constant written in the text."""
    return not value.text.startswith("%")


def times(f: Function, index: Value, stride: int) -> Value:
    """An index times a stride; a constant stays one."""
    if is_known(index):
        return number(I64, int(index.text) * stride)
    return f.binary("mul nsw", index, number(I64, stride))


def maximum(f: Function, a: Value, b: Value, kind: str, greatest: bool = True) -> Value:
    """The larger (or smaller) of two values; NaN wins."""
    word = "gt" if greatest else "lt"
    if kind != "f":
        sign = "s" if kind == "i" else "u"
        return f.select(f.compare(f"icmp {sign}{word}", a, b), a, b)
    if is_known(b) and not is_known(a):
        a, b = b, a
    best = f.select(f.compare(f"fcmp o{word}", a, b), a, b)
    return best if is_known(a) else f.select(f.compare("fcmp uno", a, a), a, best)


def _extreme(greatest: bool) -> Callable[[Operation], Value]:
    return lambda op: maximum(op.f, op.values[0], op.values[1], op.kind, greatest)


def _compare(real: str, word: str) -> Callable[[Operation], Value]:
    def write(op: Operation) -> Value:
        if op.kind == "f":
            return op.f.compare(f"fcmp {real}", *op.values)
        sign = "" if word in {"eq", "ne"} else "s" if op.kind == "i" else "u"
        return op.f.compare(f"icmp {sign}{word}", *op.values)

    return write


def _abs(op: Operation) -> Value:
    (x,) = op.values
    if op.kind == "f":
        return op.f.intrinsic("fabs", x.type, x)
    negative = op.f.compare("icmp slt", x, number(x.type, 0))
    return op.f.select(negative, op.f.binary("sub", number(x.type, 0), x), x)


def _sign(op: Operation) -> Value:
    f, (x,) = op.f, op.values
    zero, one, minus = (number(x.type, value) for value in (0, 1, -1))
    if op.kind == "f":
        flat = f.select(f.compare("fcmp oeq", x, zero), zero, x)
        below = f.select(f.compare("fcmp olt", x, zero), minus, flat)
        return f.select(f.compare("fcmp ogt", x, zero), one, below)
    if op.kind == "u":
        return f.select(f.compare("icmp ne", x, zero), one, zero)
    below = f.select(f.compare("icmp slt", x, zero), minus, zero)
    return f.select(f.compare("icmp sgt", x, zero), one, below)


def _intrinsic(name: str) -> Callable[[Operation], Value]:
    return lambda op: op.f.intrinsic(name, op.values[0].type, op.values[0])


def _not(op: Operation) -> Value:
    (x,) = op.values
    return op.f.binary("xor", x, number(x.type, 1 if op.kind == "b" else -1))


def _bits(name: str) -> Callable[[Operation], Value]:
    return lambda op: op.f.binary(name, *op.values)


def _shift_right(op: Operation) -> Value:
    return op.f.binary("ashr" if op.kind == "i" else "lshr", *op.values)


def _select(op: Operation) -> Value:
    return op.f.select(*op.values)


def _cast(op: Operation) -> Value:
    return converted(op.f, op.values[0], op.dtypes[0], op.result)


def converted(f: Function, x: Value, source: np.dtype[Any], target: np.dtype[Any]) -> Value:
    """Lanes in another type, as :func:`thalweg.graph.converted` defines it."""
    if source == target:
        return x
    if target.kind == "b":
        zero = number(x.type, 0)
        return f.compare("fcmp une" if source.kind == "f" else "icmp ne", x, zero)
    if source.kind == "f":
        return _from_float(f, x, source, target)
    wanted = element(target)
    if target.kind == "f":
        return f.convert("sitofp" if source.kind == "i" else "uitofp", x, wanted)
    if source.kind != "b" and source.itemsize >= target.itemsize:
        return x if source.itemsize == target.itemsize else f.convert("trunc", x, wanted)
    return f.convert("sext" if source.kind == "i" else "zext", x, wanted)


def _from_float(f: Function, x: Value, source: np.dtype[Any], target: np.dtype[Any]) -> Value:
    wanted = element(target)
    if target.kind == "f":
        return f.convert("fptrunc" if target.itemsize < source.itemsize else "fpext", x, wanted)
    info = np.iinfo(target)
    low, beyond = number(x.type, float(info.min)), number(x.type, float(info.max + 1))
    over = f.compare("fcmp oge", x, beyond)
    inside = f.select(f.compare("fcmp oge", x, low), x, low)  # NaN becomes the least
    inside = f.select(over, low, inside)
    found = f.convert("fptosi" if target.kind == "i" else "fptoui", inside, wanted)
    found = f.select(over, number(found.type, info.max), found)
    return f.select(f.compare("fcmp uno", x, x), number(found.type, 0), found)


_WRITERS: dict[str, Callable[[Operation], Value]] = {
    "neg": _neg,
    "identity": _same,
    "stop_gradient": _same,
    "cast": _cast,
    "abs": _abs,
    "sign": _sign,
    "floor": _intrinsic("floor"),
    "round": _intrinsic("roundeven"),
    "sqrt": _intrinsic("sqrt"),
    "not": _not,
    "add": _arithmetic("fadd", "add"),
    "sub": _arithmetic("fsub", "sub"),
    "mul": _arithmetic("fmul", "mul"),
    "div": _arithmetic("fdiv", ""),
    "max": _extreme(greatest=True),
    "min": _extreme(greatest=False),
    "eq": _compare("oeq", "eq"),
    "ne": _compare("une", "ne"),
    "lt": _compare("olt", "lt"),
    "le": _compare("ole", "le"),
    "and": _bits("and"),
    "or": _bits("or"),
    "xor": _bits("xor"),
    "shift_left": _bits("shl"),
    "shift_right": _shift_right,
    "select": _select,
}
