"""From a graph to the text of a program: kernels written, called in order, memory planned.

The program's entry is ``@main(ptr table, ptr arena, ptr notes)``. The table holds the addresses of
inputs, then of constants, then of outputs. ``notes`` is an ``i32`` that becomes 1 where an index
was outside its axis. Where several threads gain, ``@part(table, arena, notes, thread, threads,
barrier)`` is the same program for one of several threads that meet after each kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from thalweg.compiler.native.barrier import write_wait
from thalweg.compiler.native.lanes import times
from thalweg.compiler.native.movement import write_movement
from thalweg.compiler.native.nest_lines import write_loop
from thalweg.compiler.native.product import write_product
from thalweg.compiler.native.reduce import add_parts
from thalweg.compiler.native.target import Target
from thalweg.compiler.native.text import I64, POINTER, Function, Module, Value, number
from thalweg.compiler.native.weights import write_weights
from thalweg.compiler.native.written import Parts, Written
from thalweg.compiler.passes.cost import THREADS_SECONDS, is_split, seconds
from thalweg.compiler.passes.fuse import fuse
from thalweg.compiler.passes.kernels import Kernel, is_number, remembering
from thalweg.compiler.passes.memory import ALIGNMENT, plan_memory
from thalweg.compiler.passes.prepare import prepare
from thalweg.compiler.passes.repeat import repeated
from thalweg.compiler.passes.schedule import Schedule, schedule
from thalweg.compiler.passes.windows import without_windows
from thalweg.graph import Graph, Tensor

MOST_THREADS = 16
"""Threads that a program has memory for."""


@dataclass
class Lowered:
    """A graph as a program's text.

    Attributes:
        module: functions, with ``main``.
        graph: as it was prepared.
        plan: kernels in order.
        offsets: where intermediate results stand in the arena.
        arena_bytes: the size of the arena.
        threaded: whether there is a version for several threads.
    """

    module: Module
    graph: Graph
    plan: Schedule
    offsets: dict[int, int]
    arena_bytes: int
    threaded: bool


def captured(graph: Graph) -> list[Tensor]:
    """The constants that a program takes from memory; numbers stand in its text."""
    return [tensor for tensor in graph.constants if not is_number(tensor)]


def lower(graph: Graph, target: Target, given: Mapping[int, int] | None = None) -> Lowered:
    """Write the program of a simplified graph.

    Args:
        graph: what to compute.
        target: the machine.
        given: by the number of an output, the number of the input whose memory it takes.
    """
    with remembering():
        return _lowered(without_windows(graph), target, given or {})


def _lowered(graph: Graph, target: Target, given: Mapping[int, int]) -> Lowered:
    prepared = prepare(repeated(graph))
    plan = schedule(prepared, fuse(prepared), given)
    late = {id(prepared.outputs[number]) for number in given} - set(plan.in_place)
    elsewhere = {id(tensor) for tensor in prepared.outputs} - late
    arena = plan_memory(plan.kernels, elsewhere, late)
    total = sum(seconds(kernel) for kernel in plan.kernels)
    lowered = Lowered(
        Module(target.has_fma), prepared, plan, arena.offsets, arena.size, total >= THREADS_SECONDS
    )
    _Program(lowered, target, captured(graph), given).write()
    return lowered


class _Program:
    """The functions that call the kernels."""

    def __init__(
        self, lowered: Lowered, target: Target, constants: list[Tensor], given: Mapping[int, int]
    ) -> None:
        self.lowered = lowered
        self.target = target
        graph = lowered.graph
        tensors = (*graph.inputs, *constants, *graph.outputs)
        self.places = {id(tensor): place for place, tensor in enumerate(tensors)}
        self.late = [
            (graph.outputs[output], graph.inputs[place])
            for output, place in given.items()
            if id(graph.outputs[output]) not in lowered.plan.in_place
        ]
        self.known: dict[int, Value] = {}

    def write(self) -> None:
        """Write every kernel, and the functions that call them."""
        module = self.lowered.module
        calls = [call for kernel in self.lowered.plan.kernels for call in self._prepared(kernel)]
        self._take_scratch([call.done for call in calls])
        self._open(module.function("main", [POINTER] * 3))
        self.thread = number(I64, 0)
        for call in calls:
            call.write(self, number(I64, 0), number(I64, call.extent))
            call.finish(self)
        self._close()
        if self.lowered.threaded:
            self._write_part(calls)

    def _write_part(self, calls: list[_Call]) -> None:
        """The program for one of several threads: shares of large kernels, the rest for one."""
        f = self._open(self.lowered.module.function("part", [POINTER] * 3 + [I64, I64, POINTER]))
        thread, threads, barrier = f.parameters[3:]
        self.thread = thread
        is_first = f.compare("icmp eq", thread, number(I64, 0))
        wait = write_wait(self.lowered.module)
        alone = False
        for place, call in enumerate(calls):
            if call.is_split:
                begin, end = _share(f, call, thread, threads)
                call.write(self, begin, end)
            else:
                with f.when(is_first):
                    self.known = {}
                    call.write(self, number(I64, 0), number(I64, call.extent))
                    call.finish(self)
                self.known = {}
            alone = not call.is_split
            following = calls[place + 1] if place + 1 < len(calls) else None
            if not alone or following is None or following.is_split:
                f.do(f"call void @{wait}({barrier}, {threads})")
            if call.is_split and call.totals:
                with f.when(is_first):
                    self.known = {}
                    call.finish(self)
                self.known = {}
                f.do(f"call void @{wait}({barrier}, {threads})")
        self._close(is_first)

    def _open(self, f: Function) -> Function:
        self.f = f
        self.table, self.memory, self.notes = f.parameters[:3]
        self.known = {}
        return f

    def _close(self, condition: Value | None = None) -> None:
        if condition is None:
            self._copy_late()
        elif self.late:
            with self.f.when(condition):
                self._copy_late()
        self.f.leave()
        self.lowered.module.add(self.f, shared=False)

    def _copy_late(self) -> None:
        """Results that could not be written over an input while it was read."""
        self.known = {}
        for result, taken in self.late:
            size = number(I64, result.type.bytes)
            target = self._slot(taken)
            source = self.address(result)
            no = Value("false", "i1")
            self.f.run("llvm.memcpy.p0.p0.i64", target, source, size, no)

    def _take_scratch(self, written: Sequence[Written]) -> None:
        """Room in the arena for the copies that large products make."""
        own = _aligned(max((done.scratch_bytes for done in written), default=0))
        shared = _aligned(max((done.shared_bytes for done in written), default=0))
        self.own_bytes = own
        self.shared_at = self.lowered.arena_bytes
        self.own_at = self.shared_at + shared
        threads = MOST_THREADS if self.lowered.threaded else 1
        self.lowered.arena_bytes = self.own_at + own * threads

    def _prepared(self, kernel: Kernel) -> list[_Call]:
        module, wide = self.lowered.module, self.target.vector_bytes
        if kernel.kind == "loop":
            done = write_loop(module, kernel, wide, self.target.has_estimates)
        elif kernel.kind == "product":
            done = write_product(module, kernel, wide, self.target.registers)
        elif kernel.kind == "convolve_weight":
            done = write_weights(module, kernel, wide, self.target.registers)
        else:
            done = write_movement(module, kernel, wide)
        if done.parts is not None:
            return [_Chunked(kernel, done, done.parts, self._take(done, done.parts))]
        calls = [_Call(kernel, done)]
        return [_Call(kernel, done.before), *calls] if done.before else calls

    def _take(self, done: Written, parts: Parts) -> dict[int, int]:
        """Room in the arena for the parts of each sum."""
        count = -(-done.extent // parts.length)
        offsets: dict[int, int] = {}
        for result in done.totals:
            offsets[id(result)] = self.lowered.arena_bytes
            self.lowered.arena_bytes += _aligned(count * parts.elements * result.dtype.itemsize)
        return offsets

    # -------------------------------------------------------------- addresses

    def call(self, done: Written, begin: Value, end: Value, pointers: list[Value]) -> None:
        """Call a kernel."""
        extra = [self.notes] if done.checks else []
        if done.scratch_bytes:
            mine = self.f.binary("mul", self.thread, number(I64, self.own_bytes))
            extra.append(self.f.at(self.f.at(self.memory, self.own_at, "i8"), mine, "i8"))
        if done.scratch_bytes or done.shares:
            extra.append(self.f.at(self.memory, self.shared_at, "i8"))
        arguments = ", ".join(map(str, (*pointers, *extra, begin, end)))
        self.f.do(f"call void @{done.name}({arguments})")

    def address(self, tensor: Tensor) -> Value:
        """Where a tensor stands."""
        if id(tensor) not in self.known:
            self.known[id(tensor)] = self._found(tensor)
        return self.known[id(tensor)]

    def _found(self, tensor: Tensor) -> Value:
        if id(tensor) in self.lowered.offsets:
            return self.f.at(self.memory, self.lowered.offsets[id(tensor)], "i8")
        return self._slot(self.lowered.plan.in_place.get(id(tensor), tensor))

    def _slot(self, tensor: Tensor) -> Value:
        place = self.places[id(tensor)]
        return self.f.load(self.f.at(self.table, place, POINTER), POINTER, 8)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


class _Call:
    """A kernel, called for all of it or for a share."""

    totals: tuple[Tensor, ...] = ()

    def __init__(self, kernel: Kernel, done: Written) -> None:
        self.kernel = kernel
        self.done = done
        self.extent = done.extent
        self.grain = done.grain
        self.is_split = done.splits and is_split(kernel) and done.extent > done.grain

    def write(self, program: _Program, begin: Value, end: Value) -> None:
        """Call it from ``begin`` to ``end``."""
        pointers = [program.address(base) for base in self.done.bases]
        program.call(self.done, begin, end, pointers)

    def finish(self, program: _Program) -> None:
        """What one thread does after all shares are done."""


class _Chunked(_Call):
    """A kernel whose totals are computed in parts of fixed length, which are added in order."""

    def __init__(
        self, kernel: Kernel, done: Written, parts: Parts, offsets: dict[int, int]
    ) -> None:
        super().__init__(kernel, done)
        self.offsets = offsets
        self.parts = parts
        self.count = -(-done.extent // parts.length)
        self.length = done.extent
        self.extent, self.grain = self.count, 1
        self.totals = done.totals
        self.is_split = is_split(kernel)

    def write(self, program: _Program, begin: Value, end: Value) -> None:
        f = program.f
        fixed = {id(base): program.address(base) for base in self.done.bases}
        for result in self.totals:
            fixed[id(result)] = f.at(program.memory, self.offsets[id(result)], "i8")
        with f.loop(begin, end) as loop:
            first = f.binary("mul", loop.index, number(I64, self.parts.length))
            last = f.binary("add", first, number(I64, self.parts.length))
            last = f.intrinsic("smin", I64, last, number(I64, self.length))
            pointers = [
                self._moved(f, fixed[id(base)], base, loop.index) for base in self.done.bases
            ]
            program.call(self.done, first, last, pointers)

    def _moved(self, f: Function, pointer: Value, base: Tensor, index: Value) -> Value:
        if all(base is not result for result in self.totals):
            return pointer
        step = times(f, index, self.parts.elements)
        return f.at(pointer, step, f"i{8 * base.dtype.itemsize}")

    def finish(self, program: _Program) -> None:
        for result in self.totals:
            parts = program.f.at(program.memory, self.offsets[id(result)], "i8")
            target = program.address(result)
            add_parts(program.f, result, parts, self.count, self.parts, target)


def _share(f: Function, call: _Call, thread: Value, threads: Value) -> tuple[Value, Value]:
    """From where to where one thread computes: whole grains, as even as they go."""
    grains = number(I64, -(-call.extent // call.grain))
    edges: list[Value] = []
    for place in (thread, f.binary("add", thread, number(I64, 1))):
        part = f.binary("udiv", f.binary("mul", grains, place), threads)
        edge = f.binary("mul", part, number(I64, call.grain))
        edges.append(f.intrinsic("smin", I64, edge, number(I64, call.extent)))
    return edges[0], edges[1]
