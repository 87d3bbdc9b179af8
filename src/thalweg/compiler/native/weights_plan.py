"""Sizes of the gradient of a convolution for its weights: blocks of sums, chunks of lines, strips.

A work item is a chunk of the lines of places times a block of sums. Items are numbered by chunks
first, so that several threads share the lines before they share the blocks of a line. How many
chunks there are depends on the convolution alone, and their sums are added in order.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

from thalweg.compiler.native.lanes import element, memory_element, times
from thalweg.compiler.native.text import I64, Function, Value, number, vector
from thalweg.compiler.native.tiles import ADDS, LATENCY, LOADS
from thalweg.compiler.passes.fuse import LONGEST_LINE
from thalweg.compiler.passes.kernels import Kernel, reads_of
from thalweg.ops.convolution import form_of_node

_MOST_INPUTS, _MOST_MAPS = 12, 12

_NEAR_BYTES, _FAR_BYTES = 64 << 10, 256 << 10
"""Most bytes of the sums of a block, and of all blocks that share a line."""

_STRIP_BYTES = 32 << 10
"""Bytes from the first place of a strip to its end."""

_WAY_BYTES, _FEW_WAYS = 4 << 10, 8
"""Places that lie a multiple of so many bytes apart share the ways of a cache: so many are few."""

_HELD_BYTES = 768 << 10
"""Most bytes of the lines of results that are put in order for all blocks of a chunk."""

_MOST_CHUNKS, _FEW_BLOCKS, _MANY_LINES = 4, 4, 16
"""Chunks where blocks are few, and from how many lines on."""


class Block(NamedTuple):
    """How many inputs and how many (vectors of) maps are summed at once."""

    inputs: int
    maps: int


class WeightsPlan:
    """What is decided about the gradient before it is written.

    Attributes:
        counts: groups, parts of the taps across, and blocks of inputs and of maps.
        is_computed: whether the results are computed by the same kernel.
        blocks: all blocks.
        chunks: parts of the lines, each with sums of its own.
        edges: the line with which each chunk begins, and the end.
        tile: sums of a block at one tap.
        across: taps across that a block covers.
        together: blocks that share a line.
        strip: places of a line that are walked for all taps before the next.
        map_blocks: blocks of maps into which a line of results is cut.
        kept_rows: rows of a map in order, filled up with zeros.
        place_elements: elements from place to place of a block in order.
        held: lines of results in order at a time.
        along_maps: whether lanes run over maps.
        joins_taps: whether a block's inputs are channels at several taps across.
    """

    def __init__(self, kernel: Kernel, vector_bytes: int, registers: int) -> None:
        self.node = kernel.nodes[-1]
        self.is_computed = len(kernel.nodes) > 1
        self.form = form = form_of_node(self.node)
        self.x, self.o = (item.access for item in reads_of(self.node))
        self.lanes = vector_bytes // self.node.dtype.itemsize
        self.type = memory_element(self.node.dtype)
        self.wide = vector(element(self.node.dtype), self.lanes)
        self.channels, self.maps = form.channels // form.groups, form.maps // form.groups
        self.along_maps = 2 * form.rows < self.lanes and self.maps > form.rows
        self.joins_taps = self.channels < 4 and form.taps[1] > 1
        self.inputs = self.channels * (form.taps[1] if self.joins_taps else 1)
        self.units = -(-self.maps // (self.lanes if self.along_maps else 1))
        self.block = _choose(self.inputs, self.units, registers)
        self.tile = self.block.inputs * self.block.maps
        bytes_across = self.tile * form.taps[0] * vector_bytes * form.taps[1]
        self.across = 1 if self.joins_taps or bytes_across > _NEAR_BYTES else form.taps[1]
        self.counts = (
            form.groups,
            1 if self.joins_taps else form.taps[1] // self.across,
            -(-self.inputs // self.block.inputs),
            -(-self.units // self.block.maps),
        )
        self.blocks = math.prod(self.counts)
        self.sums_of_block = self.tile * form.taps[0] * self.across
        fitting = _FAR_BYTES // (self.sums_of_block * vector_bytes)
        self.together = max(min(fitting, self.blocks), 1)
        self.map_blocks = form.groups * self.counts[3]
        self.kept_rows = -(-form.rows // self.lanes) * self.lanes
        self.place_elements = self.block.maps * self.kept_rows
        self.strip = self._strip()
        self.edges = self._edges()
        self.chunks = len(self.edges) - 1
        self.held = self._held()

    def _strip(self) -> int:
        wide, size = self.form.places[1], self.node.dtype.itemsize
        if self.joins_taps:
            return wide
        step = max(self.x.strides[1], 1) * size
        if self.along_maps:
            pixel = max(step, self.o.strides[1] * size)
            most = max(_STRIP_BYTES // pixel, 4)
        else:
            pixel = (self.block.inputs + self.block.maps) * self.kept_rows * size
            most = max(_STRIP_BYTES // pixel, 4)
            if step % _WAY_BYTES == 0:
                most = min(most, _FEW_WAYS)
        strips = -(-wide // most)
        return -(-wide // strips)

    def _held(self) -> int:
        """Lines of results that are put in order at a time; 0 where they are read as they are."""
        is_near = self.o.strides[1] * self.node.dtype.itemsize % _WAY_BYTES != 0
        is_little_use = (self.joins_taps and is_near) or self.line_bytes > LONGEST_LINE
        if self.along_maps or (is_little_use and not self.is_computed):
            return 0
        lines = max(after - first for first, after in itertools.pairwise(self.edges))
        is_repeated = self.together < self.blocks
        return lines if is_repeated and lines * self.line_bytes <= _HELD_BYTES else 1

    @property
    def line_elements(self) -> int:
        """Elements of a line of results in order."""
        return self.map_blocks * self.form.places[1] * self.place_elements

    @property
    def line_bytes(self) -> int:
        """Bytes of a line of results in order."""
        return self.line_elements * self.node.dtype.itemsize

    def first_map(self, f: Function, block: Value) -> Value:
        """The first map of one of the blocks into which a line is cut."""
        count = number(I64, self.counts[3])
        group, place = f.binary("udiv", block, count), f.binary("urem", block, count)
        last = number(I64, self.units - self.block.maps)
        start = f.intrinsic("smin", I64, times(f, place, self.block.maps), last)
        return f.binary("add", times(f, group, self.maps), start)

    def _edges(self) -> list[int]:
        """Chunks of equal length; one where that cannot be and there are blocks to share."""
        lines = self.form.places[0]
        is_few = self.blocks < _FEW_BLOCKS
        chunks = _MOST_CHUNKS if is_few and lines >= _MANY_LINES else 2
        if lines % chunks and not is_few and lines < _MANY_LINES:
            chunks = 1
        chunks = min(chunks, lines)
        return [lines * chunk // chunks for chunk in range(chunks + 1)]

    # -------------------------------------------------------------- parts in memory

    @property
    def kept_lanes(self) -> int:
        """Elements that are kept of a sum's vector: all where lanes are maps, else their sum."""
        return self.lanes if self.along_maps else 1

    @property
    def part_length(self) -> int:
        """Elements from the sums of one block to the next block's: whole vectors."""
        return -(-self.sums_of_block * self.kept_lanes // self.lanes) * self.lanes

    @property
    def parts_bytes(self) -> int:
        """Memory for the sums of all chunks."""
        return self.chunks * self.blocks * self.part_length * self.node.dtype.itemsize

    def places_of(self, f: Function, block: Value) -> list[Value]:
        """Group, first tap across, first input and map (or vector of maps), and block of maps."""
        found = list[Value]()
        for count in reversed(self.counts):
            found.append(f.binary("urem", block, number(I64, count)))
            block = f.binary("udiv", block, number(I64, count))
        group, tap, first, unit = reversed(found)
        sizes = (self.inputs, self.block.inputs), (self.units, self.block.maps)
        starts = [
            f.intrinsic(
                "smin", I64, times(f, place, length), number(I64, whole - length)
            )
            for place, (whole, length) in zip((first, unit), sizes, strict=True)
        ]  # fmt: skip
        of_maps = f.binary("add", times(f, group, self.counts[3]), unit)
        return [group, times(f, tap, self.across), *starts, of_maps]

    def input_of(self, f: Function, index: Value, tap: Value) -> tuple[Value, Value]:
        """The tap across and the channel of an input."""
        if not self.joins_taps:
            return tap, index
        channels = number(I64, self.channels)
        return f.binary("udiv", index, channels), f.binary("urem", index, channels)


def _choose(inputs: int, units: int, registers: int) -> Block:
    """The block with the least estimated cycles."""
    best, least = Block(1, 1), math.inf
    for high in range(1, min(inputs, _MOST_INPUTS) + 1):
        for wide in range(1, min(units, _MOST_MAPS) + 1):
            sums = high * wide
            if sums + wide + 1 > registers:
                break
            turn = max(sums / ADDS, (high + wide) / LOADS, LATENCY)
            blocks = -(-inputs // high) * -(-units // wide)
            cycles = blocks * (turn + 0.5 + 0.05 * (high + wide))
            if cycles < least:
                best, least = Block(high, wide), cycles
    return best
