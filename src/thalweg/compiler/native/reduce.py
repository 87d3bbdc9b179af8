"""Sums and maxima in lanes: what they start from, how they take a value in, how lanes meet."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.compiler.native.lanes import element, maximum, memory_element
from thalweg.compiler.native.memory import widened
from thalweg.compiler.native.text import I64, Function, Value, number, vector, width_of
from thalweg.compiler.native.written import Parts
from thalweg.graph import Tensor, source_of


def name_of(node: Tensor) -> str:
    """The name of a node's primitive."""
    return source_of(node).primitive.name


def start(node: Tensor, type_: str) -> Value:
    """What a reduction starts from: 0 for sums, the least number for maxima."""
    if name_of(node) == "reduce_sum":
        return number(type_, 0)
    dtype: np.dtype[Any] = source_of(node).inputs[0].dtype
    if dtype.kind == "f":
        return number(type_, -np.inf)
    return number(type_, int(np.iinfo(dtype).min) if dtype.kind in "iu" else 0)


def accumulated(f: Function, node: Tensor, total: Value, value: Value) -> Value:
    """A total that has taken in one more value (in each lane)."""
    kind = source_of(node).inputs[0].dtype.kind
    wide = widened(f, value, width_of(total.type))
    if name_of(node) == "reduce_sum":
        return f.binary("fadd" if kind == "f" else "add", total, wide)
    return maximum(f, total, wide, kind)


def across(f: Function, node: Tensor, value: Value) -> Value:
    """One number from all lanes, by halves."""
    width = width_of(value.type)
    while width > 1:
        width //= 2
        low, high = (
            f.shuffle(value, value, list(range(first, first + width)))
            if width > 1
            else f.extract(value, first)
            for first in (0, width)
        )
        value = accumulated(f, node, low, high)
    return value


def is_better(f: Function, value: Value, best: Value, kind: str) -> Value:
    """Where a value beats the best so far: it is greater, or the first NaN."""
    if kind == "b":
        return f.binary("and", value, f.binary("xor", best, number(best.type, 1)))
    if kind != "f":
        return f.compare(f"icmp {'s' if kind == 'i' else 'u'}gt", value, best)
    greater = f.compare("fcmp ogt", value, best)
    value_nan = f.compare("fcmp uno", value, value)
    best_known = f.compare("fcmp ord", best, best)
    first_nan = f.binary("and", value_nan, best_known)
    return f.binary("and", f.binary("or", greater, first_nan), best_known)


def add_parts(
    f: Function, result: Tensor, parts: Value, count: int, form: Parts, target: Value
) -> None:
    """Add up the parts of each number of a reduction, in order, and store the result."""
    type_ = memory_element(result.dtype)
    wide = vector(element(result.dtype), form.lanes) if form.lanes > 1 else element(result.dtype)
    stored = vector(type_, form.lanes) if form.lanes > 1 else type_
    with f.loop(number(I64, 0), number(I64, result.size)) as each:
        own = f.at(parts, f.binary("mul", each.index, number(I64, form.lanes)), type_)
        with f.loop(number(I64, 0), number(I64, count), 1, [start(result, wide)]) as loop:
            place = f.at(own, f.binary("mul", loop.index, number(I64, form.elements)), type_)
            part = f.load(place, stored, result.dtype.itemsize)
            loop.next([accumulated(f, result, loop.values[0], part)])
        total = across(f, result, loop.results[0])
        f.store(total, f.at(target, each.index, type_), result.dtype.itemsize)
