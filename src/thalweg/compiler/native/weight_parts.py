"""The end of the gradient for the weights: sums across lanes, and over chunks of lines.

A block's sums are vectors while its lines are walked. Then each vector becomes one number (or
stays, where lanes are maps) in the memory that all threads share; and when all chunks are there,
they are added in order and go to their places among the weights.
"""

from __future__ import annotations

from thalweg.compiler.native.lanes import times
from thalweg.compiler.native.memory import mask_below, read, write
from thalweg.compiler.native.text import I64, POINTER, Function, Module, Value, number
from thalweg.compiler.native.weights_plan import WeightsPlan
from thalweg.compiler.native.written import Written
from thalweg.compiler.passes.views import dense


def across_lanes(f: Function, vectors: list[Value]) -> Value:
    """The sums of as many vectors as there are lanes, one in each lane, by halves."""
    lanes, half = len(vectors), 1
    while len(vectors) > 1:
        first = [lane if not lane & half else lanes + lane - half for lane in range(lanes)]
        second = [lane + half if not lane & half else lanes + lane for lane in range(lanes)]
        vectors = [
            f.binary("fadd", f.shuffle(a, b, first), f.shuffle(a, b, second))
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
        half *= 2
    return vectors[0]


def keep_part(f: Function, plan: WeightsPlan, own: Value, part: Value) -> None:
    """Store the sums of a block, which stand at ``own``, as what is kept of them."""
    size = plan.lanes * plan.node.dtype.itemsize
    at_once = plan.lanes // plan.kept_lanes
    count = plan.sums_of_block
    whole = count // at_once * at_once

    def group(first: Value, length: int) -> None:
        start = f.at(own, first, plan.wide)
        found = [f.load(f.at(start, n, plan.wide), plan.wide, size) for n in range(length)]
        found += [number(plan.wide, 0)] * (at_once - length)
        total = found[0] if at_once == 1 else across_lanes(f, found)
        f.store(total, f.at(part, times(f, first, plan.kept_lanes), plan.type), size // plan.lanes)

    if whole:
        with f.loop(number(I64, 0), number(I64, whole), at_once) as loop:
            group(loop.index, at_once)
    if count > whole:
        group(number(I64, whole), count - whole)


def write_gathering(module: Module, plan: WeightsPlan) -> Written:
    """A function over blocks that adds the chunks of each and stores it among the weights."""
    f = module.function("weights_of_parts", [POINTER, POINTER, I64, I64])
    target, parts, begin, end = f.parameters
    down, across, _, _ = dense(plan.node.shape)
    taps = plan.form.taps[0], plan.across
    with f.loop(begin, end) as loop:
        places = plan.places_of(f, loop.index)
        part = f.at(parts, times(f, loop.index, plan.part_length), plan.type)
        with (
            f.loop(number(I64, 0), number(I64, taps[0])) as line,
            f.loop(number(I64, 0), number(I64, taps[1])) as tap,
        ):
            step = f.binary("add", times(f, line.index, plan.across), tap.index)
            own = f.at(part, times(f, step, plan.tile * plan.kept_lanes), plan.type)
            start = f.at(target, times(f, line.index, down), plan.type)
            _gather(f, plan, places, tap.index, own, start, across)
    f.leave()
    name = module.add(f)
    return Written(name, (plan.node,), plan.blocks, 1, True, shares=True)


def _gather(
    f: Function, plan: WeightsPlan, places: list[Value], tap: Value, own: Value, start: Value,
    across: int,
) -> None:  # fmt: skip
    """The sums of a block at one tap."""
    group, first_tap, first, unit, _ = places
    by_input = dense(plan.node.shape)[2]
    width = plan.lanes if plan.along_maps else 1
    column = f.binary("add", times(f, group, plan.maps), times(f, unit, width))
    maps = plan.block.maps * width
    for number_ in range(plan.block.inputs):
        index = f.binary("add", first, number(I64, number_))
        tap_across, channel = plan.input_of(f, index, f.binary("add", first_tap, tap))
        row = f.binary("add", times(f, tap_across, across), times(f, channel, by_input))
        target = f.at(start, f.binary("add", row, column), plan.type)
        for place in range(0, maps, plan.lanes):
            mask = _mask(f, plan, unit, place)
            _add_chunks(
                f,
                plan,
                f.at(own, number_ * maps + place, plan.type),
                f.at(target, place, plan.type),
                mask,
            )


def _mask(f: Function, plan: WeightsPlan, unit: Value, place: int) -> Value | None:
    """Which lanes hold maps of a block, from a map on; None where all do."""
    if plan.along_maps:
        if plan.maps % plan.lanes == 0:
            return None
        begin = f.binary("add", times(f, unit, plan.lanes), number(I64, place))
        return mask_below(f, f.binary("sub", number(I64, plan.maps), begin), plan.lanes)
    left = plan.block.maps - place
    return None if left >= plan.lanes else mask_below(f, number(I64, left), plan.lanes)


def _add_chunks(
    f: Function, plan: WeightsPlan, own: Value, target: Value, mask: Value | None
) -> None:
    dtype = plan.node.dtype
    step = plan.blocks * plan.part_length
    found = [
        read(f, f.at(own, chunk * step, plan.type), dtype, plan.lanes, 1, mask)
        for chunk in range(plan.chunks)
    ]
    total = found[0]
    for value in found[1:]:
        total = f.binary("fadd", total, value)
    write(f, total, target, dtype, 1, mask)
