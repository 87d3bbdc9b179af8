"""Reading and writing lanes: whole vectors, strided ones, with and without a mask."""

from __future__ import annotations

from typing import Any

import numpy as np

from thalweg.compiler.native.lanes import element, memory_element
from thalweg.compiler.native.text import (
    I1,
    I32,
    I64,
    POINTER,
    Function,
    Value,
    lanes,
    number,
    suffix,
    vector,
    width_of,
)


def widened(f: Function, value: Value, width: int) -> Value:
    """A value in every lane; constants stay constants."""
    if width == 1 or value.type.startswith("<"):
        return value
    if not value.text.startswith("%"):
        return Value(f"splat ({value.type} {value.text})", vector(value.type, width))
    return f.splat(value, width)


def lane_numbers(width: int, stride: int = 1, element: str = I32) -> Value:
    """0, stride, 2·stride, … as a constant."""
    return lanes(vector(element, width), [lane * stride for lane in range(width)])


def mask_below(f: Function, count: Value, width: int) -> Value:
    """Which lanes are below a count (an ``i64``)."""
    short = f.convert("trunc", count, I32)
    return f.compare("icmp slt", lane_numbers(width), f.splat(short, width))


def read(
    f: Function,
    address: Value,
    dtype: np.dtype[Any],
    width: int,
    stride: int,
    mask: Value | None = None,
) -> Value:
    """Elements ``address[0], address[stride], …`` in lanes; one scalar where the stride is 0."""
    type_, align = memory_element(dtype), dtype.itemsize
    if stride == 0 or width == 1:
        return _truth(f, f.load(address, type_, align), dtype)
    wide = vector(type_, width)
    if stride == 1 and mask is None:
        return _truth(f, f.load(address, wide, align), dtype)
    nothing = number(wide, 0)
    if stride == 1:
        assert mask is not None
        pointer = Value(f"align {align} {address.text}", POINTER)
        found = f.intrinsic(
            "masked.load", wide, pointer, mask, nothing, overloads=f"{suffix(wide)}.p0"
        )
        return _truth(f, found, dtype)
    pointers = _spread(f, address, type_, width, stride)
    aligned = Value(f"align {align} {pointers.text}", pointers.type)
    allowed = mask if mask is not None else number(vector(I1, width), 1)
    name = f"{suffix(wide)}.{suffix(pointers.type)}"
    found = f.intrinsic("masked.gather", wide, aligned, allowed, nothing, overloads=name)
    return _truth(f, found, dtype)


def read_at(f: Function, pointers: Value, dtype: np.dtype[Any], mask: Value | None) -> Value:
    """Elements at a vector of addresses."""
    type_ = memory_element(dtype)
    width = width_of(pointers.type)
    wide = vector(type_, width)
    aligned = Value(f"align {dtype.itemsize} {pointers.text}", pointers.type)
    allowed = mask if mask is not None else number(vector(I1, width), 1)
    name = f"{suffix(wide)}.{suffix(pointers.type)}"
    found = f.intrinsic("masked.gather", wide, aligned, allowed, number(wide, 0), overloads=name)
    return _truth(f, found, dtype)


def write(
    f: Function,
    value: Value,
    address: Value,
    dtype: np.dtype[Any],
    stride: int,
    mask: Value | None = None,
) -> None:
    """Store lanes at ``address[0], address[stride], …``."""
    width, align = width_of(value.type), dtype.itemsize
    if dtype.kind == "b":
        value = f.convert("zext", value, "i8")
    if width == 1 or (stride == 1 and mask is None):
        f.store(value, address, align)
    elif stride == 1:
        assert mask is not None
        pointer = Value(f"align {align} {address.text}", POINTER)
        f.run(f"llvm.masked.store.{suffix(value.type)}.p0", value, pointer, mask)
    else:
        pointers = _spread(f, address, memory_element(dtype), width, stride)
        aligned = Value(f"align {align} {pointers.text}", pointers.type)
        allowed = mask if mask is not None else number(vector(I1, width), 1)
        name = f"llvm.masked.scatter.{suffix(value.type)}.{suffix(pointers.type)}"
        f.run(name, value, aligned, allowed)


def _spread(f: Function, address: Value, type_: str, width: int, stride: int) -> Value:
    places = lane_numbers(width, stride, I64 if stride * width >= 2**31 else I32)
    pointers = vector(POINTER, width)
    return f.emit(pointers, f"getelementptr inbounds {type_}, {address}, {places}")


def _truth(f: Function, value: Value, dtype: np.dtype[Any]) -> Value:
    if dtype.kind != "b":
        return value
    return f.compare("icmp ne", value, number(value.type, 0))


def lane_type(dtype: np.dtype[Any], width: int) -> str:
    """The type of ``width`` lanes of a data type in registers."""
    return vector(element(dtype), width)
