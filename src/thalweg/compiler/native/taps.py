"""Which taps of a kernel meet which places of an axis, as tables that a program reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from thalweg.compiler.native.text import I64, Function, Module, Value, number
from thalweg.ops.convolution import Form

Meeting = tuple[int, int]
"""A tap and the place that it meets."""


def meetings(form: Form, axis: int, of_input: bool) -> list[list[Meeting]]:
    """For each result along an axis, the taps that count and what they read, in order of taps.

    Args:
        form: sizes.
        axis: 0 (down) or 1 (across).
        of_input: results are places of the input (which read results of the convolution), not
            the other way round.
    """
    by, gap = form.window.stride[axis], form.window.dilation[axis]
    low = form.window.padding[axis][0]
    found: list[list[Meeting]] = [
        [] for _ in range(form.size[axis] if of_input else form.places[axis])
    ]
    for tap in range(form.taps[axis]):
        for place in range(form.places[axis]):
            read = place * by + tap * gap - low
            if 0 <= read < form.size[axis]:
                found[read if of_input else place].append((tap, place if of_input else read))
    return found


class Taps(NamedTuple):
    """One axis's meetings as tables.

    Attributes:
        first: where the meetings of each result begin; one more at the end.
        weight: for each meeting, how far into the weights the tap lies.
        source: for each meeting, how far into the operand the place lies.
    """

    first: Value
    weight: Value
    source: Value

    def bounds(self, f: Function, place: Value) -> tuple[Value, Value]:
        """Where the meetings of a result begin and end."""
        begin = f.at(self.first, place, I64)
        return f.load(begin, I64, 8), f.load(f.at(begin, 1, I64), I64, 8)

    def steps(self, f: Function, index: Value) -> tuple[Value, Value]:
        """How far into the weights and the operand a meeting leads."""
        weight = f.load(f.at(self.weight, index, I64), I64, 8)
        return weight, f.load(f.at(self.source, index, I64), I64, 8)


def tables(module: Module, found: list[list[Meeting]], by_tap: int, by_place: int) -> Taps:
    """Write an axis's meetings into a module.

    Args:
        module: takes the tables.
        found: from :func:`meetings`.
        by_tap: elements of the weights from tap to tap.
        by_place: elements of the operand from place to place.
    """
    first = [0]
    for each in found:
        first.append(first[-1] + len(each))
    flat = [meeting for each in found for meeting in each]
    return Taps(
        module.table(first),
        module.table([tap * by_tap for tap, _ in flat] or [0]),
        module.table([place * by_place for _, place in flat] or [0]),
    )


def walk(
    f: Function, axis: Taps, bounds: tuple[Value, Value], carried: list[Value],
    turn: Callable[[Value, Value, list[Value]], list[Value]],
) -> list[Value]:  # fmt: skip
    """A loop over meetings; ``turn`` takes weight and source steps and what is carried."""
    with f.loop(*bounds, 1, carried) as loop:
        weight, source = axis.steps(f, loop.index)
        loop.next(turn(weight, source, loop.values))
    return loop.results


def zero() -> Value:
    """The number 0, for places."""
    return number(I64, 0)
