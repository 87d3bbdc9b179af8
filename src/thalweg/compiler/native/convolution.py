"""Convolutions as products of registers, without any copy of the input.

At each place of the result a convolution is a small matrix product for each tap: maps × channels
of the weights times channels × rows of the input, which lie side by side as they stand in memory.
So a convolution is a batch of products (one for each place) whose inner axis runs over the taps
that lie inside the input, and over channels; padding costs nothing. What fusion has put behind it
(bias, activation, mask) is computed on the registers, as behind every product.

The gradient for the input is the same with maps and channels exchanged: a tap reads the result of
the convolution where that has read the place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from thalweg.compiler.native.lanes import memory_element
from thalweg.compiler.native.product import Matrix, Operand, Product
from thalweg.compiler.native.taps import meetings, tables, walk
from thalweg.compiler.native.text import I64, Value, number
from thalweg.compiler.passes.kernels import reads_of
from thalweg.graph import Tensor, source_of
from thalweg.ops.convolution import form_of_node

_WRITTEN_OUT = 4
"""Channels of a tap that one turn of the inner loop handles at most."""


class Convolution(Product):
    """A convolution, or its gradient for the input, being written."""

    def _take_operands(self) -> None:
        self.form = form = form_of_node(self.node)
        self.of_input = source_of(self.node).primitive.name == "convolve_input"
        source, weights = reads_of(self.node)
        channels, maps = form.channels // form.groups, form.maps // form.groups
        self.rows, self.inner = (channels, maps) if self.of_input else (maps, channels)
        self.columns = form.rows
        self.batch = (*self.node.shape[:2], form.groups)
        down, across, by_channel, by_row = source.access.strides
        groups = (0, 0, self.inner * by_channel)
        self.b = Matrix(source.base, source.access.offset, groups, by_channel, by_row)
        tap_down, tap_across, by_input, by_map = weights.access.strides
        groups = (0, 0, maps * by_map)
        ways = (by_input, by_map) if self.of_input else (by_map, by_input)
        self.a = Matrix(weights.base, weights.access.offset, groups, *ways)
        self.axes = [
            tables(self.module, meetings(form, axis, self.of_input), by_tap, by_place)
            for axis, by_tap, by_place in ((0, tap_down, down), (1, tap_across, across))
        ]
        self.turned = False

    def _laid(self, base: Tensor, offset: int, strides: tuple[int, ...]) -> Matrix:
        """The axis of channels is one of groups and one of what is in a group."""
        down, across, by_channel, by_row = strides
        batch = (down, across, self.rows * by_channel)
        return Matrix(base, offset, batch, by_channel, by_row)

    @property
    def _depth(self) -> int:
        return self.inner * math.prod(self.form.taps)

    def _turn_where_better(self) -> None:
        """Lanes run over maps where there are few rows."""
        if 2 * self.columns < self.lanes and self.rows > self.columns:
            self._turn_round()
            self.turned = True

    def _open(self, parameters: Sequence[Value], batch: Sequence[Value] = ()) -> None:
        super()._open(parameters, batch)
        self.bounds = [
            axis.bounds(self.f, place) for axis, place in zip(self.axes, batch, strict=False)
        ]

    def _summed(
        self, a: Operand, b: Operand, totals: list[Value], height: int, vectors: int,
        mask: Value | None,
    ) -> list[Value]:  # fmt: skip
        """A product for each tap that lies inside."""
        down, across = self.axes

        def line(weight: Value, source: Value, totals: list[Value]) -> list[Value]:
            row = self._moved(a, b, weight, source)

            def tap(weight: Value, source: Value, totals: list[Value]) -> list[Value]:
                place = self._moved(*row, weight, source)
                return self._channels(*place, totals, height, vectors, mask)

            return walk(self.f, across, self.bounds[1], totals, tap)

        return walk(self.f, down, self.bounds[0], totals, line)

    def _channels(
        self, a: Operand, b: Operand, totals: list[Value], height: int, vectors: int,
        mask: Value | None,
    ) -> list[Value]:  # fmt: skip
        """The product of one tap; several turns are written out, since it is short."""
        turns = max(count for count in range(1, _WRITTEN_OUT + 1) if self.inner % count == 0)
        if turns == 1:
            return Product._summed(self, a, b, totals, height, vectors, mask)
        with self.f.loop(number(I64, 0), number(I64, self.inner), turns, totals) as loop:
            sums = loop.values
            for turn in range(turns):
                sums = self._turn(a, b, loop.index, turn, sums, height, vectors, mask)
            loop.next(sums)
        return loop.results

    def _moved(
        self, a: Operand, b: Operand, weight: Value, source: Value
    ) -> tuple[Operand, Operand]:
        type_ = memory_element(self.node.dtype)
        by_a, by_b = (source, weight) if self.turned else (weight, source)
        return (
            Operand(self.f.at(a.pointer, by_a, type_), a.down, a.across),
            Operand(self.f.at(b.pointer, by_b, type_), b.down, b.across),
        )
