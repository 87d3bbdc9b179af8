"""The gradient of a convolution for its weights.

An element of it is a sum over all places and rows of an input times a result. A block of it, some
inputs (a channel at a tap across) times some maps, stays in registers while a line of places is
walked; for the taps down, which read the same lines, there is a block each, kept in memory
meanwhile. Lanes run over the rows of the batch and meet at the end; where there are few rows, they
run over maps.
"""

from __future__ import annotations

from dataclasses import replace

from thalweg.compiler.native.lanes import times
from thalweg.compiler.native.memory import mask_below, read
from thalweg.compiler.native.results_line import ResultsLine
from thalweg.compiler.native.taps import meetings, tables
from thalweg.compiler.native.text import I64, POINTER, Module, Value, number
from thalweg.compiler.native.weight_parts import keep_part, write_gathering
from thalweg.compiler.native.weights_plan import WeightsPlan
from thalweg.compiler.native.written import Written
from thalweg.compiler.passes.kernels import Kernel

_UNROLLED = 4
"""Vectors of rows up to which a place is written out."""


def write_weights(module: Module, kernel: Kernel, vector_bytes: int, registers: int) -> Written:
    """Write the gradient for the weights: sums over chunks of lines, then the sum of these."""
    plan = WeightsPlan(kernel, vector_bytes, registers)
    before = _Weights(module, kernel, plan).write()
    done = write_gathering(module, plan)
    return replace(done, before=before, shared_bytes=plan.parts_bytes)


class _Weights:
    """The sums over chunks being written."""

    def __init__(self, module: Module, kernel: Kernel, plan: WeightsPlan) -> None:
        self.module = module
        self.kernel = kernel
        self.plan = plan
        self.node, self.form = plan.node, plan.form
        self.x, self.o = plan.x, plan.o
        self.type, self.wide = plan.type, plan.wide

    def write(self) -> Written:
        """The function: its outermost loop runs over work items, chunks times blocks."""
        plan, bases = self.plan, tuple(self.kernel.reads)
        self.f = f = self.module.function("weights", [POINTER] * (len(bases) + 2) + [I64, I64])
        *_, self.sums, self.parts, begin, end = f.parameters
        pointers = {id(base): p for base, p in zip(bases, f.parameters, strict=False)}
        self.input = f.at(pointers[id(self.x.base)], self.x.offset, self.type)
        size = plan.together * plan.sums_of_block * plan.lanes * self.node.dtype.itemsize
        if plan.held:
            self.results = ResultsLine(f, self.kernel, plan, pointers)
            self.result = f.at(self.sums, size, "i8")
            self.by_place, self.by_map, self.by_row = plan.place_elements, plan.kept_rows, 1
        else:
            self.result = f.at(pointers[id(self.o.base)], self.o.offset, self.type)
            self.by_place, self.by_map, self.by_row = self.o.strides[1:]
        self.lines = tables(self.module, meetings(self.form, 0, False), 1, self.x.strides[0])
        self.bounds = self._bounds()
        blocks = number(I64, plan.blocks)
        last = f.binary("add", end, number(I64, plan.blocks - 1))
        chunks = f.binary("udiv", begin, blocks), f.binary("udiv", last, blocks)
        with f.loop(*chunks) as chunk:
            first = times(f, chunk.index, plan.blocks)
            after = f.intrinsic("smin", I64, f.binary("add", first, blocks), end)
            first = f.intrinsic("smax", I64, first, begin)
            edge = f.at(self.module.table(plan.edges), chunk.index, I64)
            lines = f.load(edge, I64, 8), f.load(f.at(edge, 1, I64), I64, 8)
            if plan.held > 1:
                with f.loop(*lines) as line:
                    self.results.fill(line.index, self._own_line(line.index, lines[0]))
            with f.loop(first, after, plan.together) as loop:
                following = f.binary("add", loop.index, number(I64, plan.together))
                following = f.intrinsic("smin", I64, following, after)
                self._blocks(chunk.index, loop.index, following, lines)
        f.leave()
        size += plan.held * plan.line_bytes
        name = self.module.add(f)
        return Written(name, bases, plan.chunks * plan.blocks, 1, True, scratch_bytes=size)

    def _bounds(self) -> tuple[Value, Value]:
        """For each tap across, from where to where it reads inside, as tables."""
        found = meetings(self.form, 1, False)
        inside: list[list[int]] = [[] for _ in range(self.form.taps[1])]
        for place, each in enumerate(found):
            for tap, _ in each:
                inside[tap].append(place)
        first = [places[0] if places else 0 for places in inside]
        after = [places[-1] + 1 if places else 0 for places in inside]
        return self.module.table(first), self.module.table(after)

    # -------------------------------------------------------------- blocks

    def _own_line(self, line: Value, first: Value) -> Value:
        """Where a line of results stands, of which the chunk's first is ``first``."""
        f, plan = self.f, self.plan
        if plan.held == 1:
            return self.result
        if not plan.held:
            return f.at(self.result, times(f, line, self.o.strides[0]), self.type)
        step = f.binary("sub", line, first)
        return f.at(self.result, times(f, step, plan.line_elements), self.type)

    def _blocks(self, chunk: Value, begin: Value, end: Value, lines: tuple[Value, Value]) -> None:
        """Some items of a chunk, whose sums stand in memory: line after line for all of them."""
        f, sums = self.f, self.plan.sums_of_block
        count = f.binary("sub", end, begin)
        first = f.binary("sub", begin, times(f, chunk, self.plan.blocks))
        with f.loop(number(I64, 0), times(f, count, sums)) as loop:
            self._keep(number(self.wide, 0), f.at(self.sums, loop.index, self.wide))
        with f.loop(*lines) as line:
            own = self._own_line(line.index, lines[0])
            if self.plan.held == 1:
                self.results.fill(line.index, own)
            with f.loop(number(I64, 0), count) as loop:
                places = self.plan.places_of(f, f.binary("add", first, loop.index))
                self._line_of_block(places, self._own(loop.index), line.index, own)
        start = f.at(self.parts, times(f, begin, self.plan.part_length), self.type)
        with f.loop(number(I64, 0), count) as loop:
            part = f.at(start, times(f, loop.index, self.plan.part_length), self.type)
            keep_part(f, self.plan, self._own(loop.index), part)

    def _own(self, number_: Value) -> Value:
        """Where the sums of a block stand."""
        return self.f.at(self.sums, times(self.f, number_, self.plan.sums_of_block), self.wide)

    def _line_of_block(self, places: list[Value], own: Value, line: Value, results: Value) -> None:
        """Add what a line of results gives to the sums of a block, strip after strip."""
        f, wide = self.f, self.form.places[1]
        with f.loop(number(I64, 0), number(I64, wide), self.plan.strip) as strip:
            after = f.binary("add", strip.index, number(I64, self.plan.strip))
            after = f.intrinsic("smin", I64, after, number(I64, wide))
            with f.loop(*self.lines.bounds(f, line)) as tap:
                down, source = self.lines.steps(f, tap.index)
                with f.loop(number(I64, 0), number(I64, self.plan.across)) as across:
                    self._take_inputs(places, across.index)
                    result = f.at(results, self.first_map, self.type)
                    inputs = [f.at(pointer, source, self.type) for pointer in self.starts]
                    step = f.binary("add", times(f, down, self.plan.across), across.index)
                    sums = f.at(own, times(f, step, self.plan.tile), self.wide)
                    tap_across = f.binary("add", places[1], across.index)
                    self._line(sums, inputs, result, (strip.index, after), tap_across)

    def _take_inputs(self, places: list[Value], across: Value) -> None:
        """Where each input of the block begins (place 0, row 0), and how far its tap leads."""
        f = self.f
        group, tap, first, unit, of_maps = places
        tap = f.binary("add", tap, across)
        by_row, by_channel = self.x.strides[1:3]
        (left, _), gap = self.form.window.padding[1], self.form.window.dilation[1]
        start = f.at(self.input, times(f, group, self.plan.channels * by_channel), self.type)
        self.starts: list[Value] = []
        self.shifts: list[Value] = []
        for number_ in range(self.plan.block.inputs):
            index = f.binary("add", first, number(I64, number_))
            own, channel = self.plan.input_of(f, index, tap)
            shift = f.binary("sub", times(f, own, gap), number(I64, left))
            place = f.binary("add", times(f, channel, by_channel), times(f, shift, by_row))
            self.starts.append(f.emit(POINTER, f"getelementptr {self.type}, {start}, {place}"))
            self.shifts.append(shift)
        if self.plan.held:
            of_block = self.form.places[1] * self.plan.place_elements
            self.first_map = times(f, of_maps, of_block)
        else:
            unit_step = self.by_map * (self.plan.lanes if self.plan.along_maps else 1)
            of_group = times(f, group, self.plan.maps * self.by_map)
            self.first_map = f.binary("add", of_group, times(f, unit, unit_step))
        self.map_mask = self._mask_of_maps(unit)

    def _mask_of_maps(self, unit: Value) -> list[Value | None]:
        """Which lanes hold maps, for each vector of the block."""
        if not self.plan.along_maps or self.plan.maps % self.plan.lanes == 0:
            return [None] * self.plan.block.maps
        f, masks = self.f, list[Value | None]()
        for v in range(self.plan.block.maps):
            begin = times(f, f.binary("add", unit, number(I64, v)), self.plan.lanes)
            masks.append(
                mask_below(f, f.binary("sub", number(I64, self.plan.maps), begin), self.plan.lanes)
            )
        return masks

    # -------------------------------------------------------------- a line of places

    def _line(
        self, sums: Value, inputs: list[Value], result: Value, strip: tuple[Value, Value],
        tap: Value,
    ) -> None:  # fmt: skip
        """Add what a strip of a line gives to the sums of one tap."""
        f = self.f
        by = self.form.window.stride[1]
        size = self.plan.lanes * self.node.dtype.itemsize
        values = [
            f.load(f.at(sums, place, self.wide), self.wide, size) for place in range(self.plan.tile)
        ]
        for first, after, is_whole in (
            self._parts() if self.plan.joins_taps else self._part(strip, tap)
        ):
            if first.text == after.text:
                continue
            with f.loop(first, after, 1, values) as loop:
                own = times(f, loop.index, by * self.x.strides[1])
                at = [f.emit(POINTER, f"getelementptr {self.type}, {p}, {own}") for p in inputs]
                target = f.at(result, times(f, loop.index, self.by_place), self.type)
                inside = None if is_whole else self._inside(loop.index)
                loop.next(self._place(at, target, loop.values, inside))
            values = loop.results
        for place, value in enumerate(values):
            self._keep(value, f.at(sums, place, self.wide))

    def _part(self, strip: tuple[Value, Value], tap: Value) -> list[tuple[Value, Value, bool]]:
        """The places of a strip where a tap reads inside."""
        f = self.f
        first, after = (f.load(f.at(table, tap, I64), I64, 8) for table in self.bounds)
        begin = f.intrinsic("smax", I64, strip[0], first)
        return [(begin, f.intrinsic("smin", I64, strip[1], after), True)]

    def _parts(self) -> list[tuple[Value, Value, bool]]:
        """Places across, and whether all inputs lie inside there: edges, and what is between."""
        wide, cover = self.form.places[1], self.form.window.extent(self.form.taps)[1]
        left, right = self.form.window.padding[1]
        by, size = self.form.window.stride[1], self.form.size[1]
        full = min(-(-left // by), wide)
        last = max(min((size + left - cover) // by + 1, wide), full)
        if not left and not right:
            full, last = 0, wide
        begin, whole, rest, end = (number(I64, value) for value in (0, full, last, wide))
        return [(begin, whole, False), (whole, rest, True), (rest, end, False)]

    def _inside(self, place: Value) -> list[Value]:
        """Whether each input lies inside."""
        f, size = self.f, number(I64, self.form.size[1])
        start = times(f, place, self.form.window.stride[1])
        return [f.compare("icmp ult", f.binary("add", start, shift), size) for shift in self.shifts]

    def _place(
        self, inputs: list[Value], result: Value, sums: list[Value], inside: list[Value] | None
    ) -> list[Value]:
        """All rows of the batch at one place."""
        f, rows = self.f, self.form.rows
        step = 1 if self.plan.along_maps else self.plan.lanes
        whole = rows // step * step
        if not self.plan.along_maps and whole <= _UNROLLED * step:
            for row in range(0, whole, step):
                sums = self._turn(inputs, result, number(I64, row), sums, inside, None)
        elif whole:
            with f.loop(number(I64, 0), number(I64, whole), step, sums) as loop:
                loop.next(self._turn(inputs, result, loop.index, loop.values, inside, None))
            sums = loop.results
        if rows > whole:
            mask = mask_below(f, number(I64, rows - whole), self.plan.lanes)
            sums = self._turn(inputs, result, number(I64, whole), sums, inside, mask)
        return sums

    def _turn(
        self, inputs: list[Value], result: Value, row: Value, sums: list[Value],
        inside: list[Value] | None, mask: Value | None,
    ) -> list[Value]:  # fmt: skip
        f, dtype = self.f, self.node.dtype
        target = f.at(result, times(f, row, self.by_row), self.type)
        right: list[Value] = []
        for v in range(self.plan.block.maps):
            if self.plan.along_maps:
                start = f.at(target, v * self.plan.lanes * self.by_map, self.type)
                lanes, stride = self.plan.lanes, self.by_map
                right.append(read(f, start, dtype, lanes, stride, self.map_mask[v]))
            else:
                right.append(self._result(f.at(target, v * self.by_map, self.type), mask))
        found: list[Value] = []
        for number_, pointer in enumerate(inputs):
            ok = None if inside is None else inside[number_]
            left = self._input(pointer, row, ok, mask)
            part = sums[number_ * self.plan.block.maps : (number_ + 1) * self.plan.block.maps]
            found += [f.multiply_add(left, b, s) for b, s in zip(right, part, strict=True)]
        return found

    def _result(self, address: Value, mask: Value | None) -> Value:
        """A vector of rows of a result; what was put in order is filled up with zeros."""
        if self.plan.held:
            return self.f.load(address, self.wide, self.plan.lanes * self.node.dtype.itemsize)
        return read(self.f, address, self.node.dtype, self.plan.lanes, 1, mask)

    def _input(self, pointer: Value, row: Value, ok: Value | None, mask: Value | None) -> Value:
        """An input in all lanes; zeros where it lies outside."""
        f, dtype = self.f, self.node.dtype
        offset = times(f, row, self.x.strides[3])
        address = pointer
        if offset.text != "0":
            address = f.emit(POINTER, f"getelementptr {self.type}, {pointer}, {offset}")
        if self.plan.along_maps:
            if ok is not None:
                address = f.emit(POINTER, f"select {ok}, {address}, ptr {self._nothing().text}")
            return f.splat(read(f, address, dtype, 1, 1), self.plan.lanes)
        if ok is None:
            return read(f, address, dtype, self.plan.lanes, 1, mask)
        allowed = f.splat(ok, self.plan.lanes) if self.plan.lanes > 1 else ok
        if self.plan.lanes == 1:
            address = f.emit(POINTER, f"select {ok}, {address}, ptr {self._nothing().text}")
            return read(f, address, dtype, 1, 1)
        if mask is not None:
            allowed = f.binary("and", allowed, mask)
        return read(f, address, dtype, self.plan.lanes, 1, allowed)

    def _nothing(self) -> Value:
        """The address of a zero."""
        return self.module.table([0])

    def _keep(self, value: Value, address: Value) -> None:
        self.f.store(value, address, self.plan.lanes * self.node.dtype.itemsize)
