"""The native executor: a run's steps as machine code, with the state in its own memory."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from typing import Any, NamedTuple

import numpy as np

from thalweg.compiler.native.barrier import BYTES as BARRIER_BYTES
from thalweg.compiler.native.driver import Driver
from thalweg.compiler.native.program import NativeProgram
from thalweg.compiler.native.shuffle import scratch_bytes
from thalweg.descriptions import structure_of
from thalweg.graph import Array
from thalweg.model.forward import BATCH, Forward, Ready, native_forward
from thalweg.training.executor import Stretch, Sums, gathered
from thalweg.training.job import Chosen, Job
from thalweg.training.memory import Memory
from thalweg.training.recipe import AVERAGE, Values
from thalweg.training.snapshot import Snapshot
from thalweg.training.step import State
from thalweg.training.thread_choice import ThreadChoice

_MOST_STEPS = 1 << 16
"""Steps of one call at most: their losses are noted."""

_TRIAL_SECONDS = 0.015
"""How long each number of threads is tried, after a first call of as long that does not count."""


class _Compiled(NamedTuple):
    """A program of a step, with all that runs need to know of it.

    Attributes:
        program: the machine code.
        main: the address of its version for one thread.
        part: of that for several, 0 where there is none.
        constants: the addresses of the arrays that it holds.
        wide: whether the loss is float64.
    """

    program: NativeProgram
    main: int
    part: int
    constants: list[int]
    wide: bool


class _Ready(NamedTuple):
    """The program for one length of batches, bound to its memory."""

    compiled: _Compiled
    table: Array
    arena: Array


class NativeExecutor:
    """Steps run by a compiled program, as many in one call as fit in a stretch.

    Args:
        job: what is trained.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._driver = job.programs.once("driver", Driver)
        self._arrays: list[Array] = []
        self._ready: list[_Ready] = []
        self._places: dict[str, int] = {}
        self._threads = ThreadChoice()
        self._borrowed: list[tuple[object, Array]] = []
        self._rate = 0.0
        self._step = 0

    @cached_property
    def _forward(self) -> Forward:
        network = self.job.recipe.network
        key = ("forward", "native", structure_of(network))
        return native_forward(network, self.job.programs.once(key, Ready))

    # -------------------------------------------------------------- before the first step

    def prepare(self, state: State) -> None:
        """Trace and compile the step for each length of a batch, and take all memory."""
        self.__dict__.pop("_judged", None)
        compiled = [self._compiled(state, length) for length in self.job.lengths]
        self._own(state)
        self._take_rows()
        self._take_numbers(state, compiled[0].wide)
        self._ready = [self._bound(item) for item in compiled]
        self._fields = self._job_fields()
        threaded = all(item.program.facts.threaded for item in compiled)
        self._threads.allow(threaded, self.job.threads, compiled[0].program.key)
        self._snapshot = Snapshot([memory.bytes for memory in self._memories])

    def _compiled(self, state: State, length: int) -> _Compiled:
        graph = self.job.graph(state, length).graph

        def make() -> _Compiled:
            count = sum(len(group) for group in state[:3])
            program = NativeProgram(graph, {place: place for place in range(count)})
            part = program.code.address("part") if program.facts.threaded else 0
            constants = [array.ctypes.data for array in program.constants]
            wide = graph.outputs[-1].dtype == np.float64
            return _Compiled(program, program.code.address("main"), part, constants, wide)

        return self.job.programs.once(("native", id(graph)), make, graph)

    def _own(self, state: State) -> None:
        """Memory for everything that a step changes; a model keeps no slots but its averages."""
        self._groups = (list(state.parameters), list(state.slots), list(state.states))
        given = [
            (array, 0 if group is not state.slots else 1 + (not path.startswith(f"{AVERAGE}/")))
            for group in (state.parameters, state.slots, state.states)
            for path, array in group.items()
        ]
        self._memories = [
            Memory([(array.shape, array.dtype) for array, sort in given if sort == wanted])
            for wanted in range(3)
        ]
        own = [iter(zip(item.arrays, item.addresses, strict=True)) for item in self._memories]
        found = [next(own[sort]) for _, sort in given]
        self._arrays = [array for array, _ in found]
        self._addresses = [address for _, address in found]

    def _take_rows(self) -> None:
        """The user's rows, in place where each is in one piece, and room for a batch of each."""
        given = [item for item in self.job.rows if item is not None]
        rows = [item.base if isinstance(item, Chosen) else item for item in given]
        self._maps = [item.places.ctypes.data if isinstance(item, Chosen) else 0 for item in given]
        self._rows = [item if _has_whole_rows(item) else item.copy(order="C") for item in rows]
        length = self.job.batch_size
        self._batch = Memory([((length, *item.shape[1:]), item.dtype) for item in self._rows])

    def _take_numbers(self, state: State, wide: bool) -> None:
        """Memory for what steps read beside the state, and for what they leave."""
        job = self.job
        settings = job.graph(state, job.batch_size).numbers
        count, feeds = len(job.rows), len(self._rows)
        kinds: dict[str, tuple[int, Any]] = {
            "settings": (len(settings), np.float64),
            "numbers": (3, np.int64),
            "dropout": (2, np.uint32),
            "key": (4, np.uint32),
            "notes": (16, np.int32),
            "results": (2, np.float64 if wide else np.float32),
            "feeds": (5 * feeds, np.int64),
            "barrier": (BARRIER_BYTES, np.uint8),
            "losses": (min(_MOST_STEPS, job.total_steps), np.float64),
            "order": (count, np.int64),
            "scratch": (scratch_bytes(count) if job.shuffle else 1, np.uint8),
        }
        memory = Memory([((length,), np.dtype(kind)) for length, kind in kinds.values()])
        self._own_numbers = dict(zip(kinds, memory.arrays, strict=True))
        self._at = dict(zip(kinds, memory.addresses, strict=True))
        self._places = {path: place for place, path in enumerate(settings)}
        own = self._own_numbers
        own["settings"][:] = list(settings.values())
        own["numbers"][:] = (0, job.run.total_steps, job.run.steps_per_epoch)
        own["dropout"][:] = job.run.key
        own["key"][:2], own["key"][2:] = job.shuffle_key, 0
        own["notes"][:] = own["results"][:] = 0
        own["order"][:] = np.arange(count)
        _make_barrier(own["barrier"])
        sizes = [item.nbytes // max(len(item), 1) for item in self._batch.arrays]
        strides = [item.strides[0] for item in self._rows]
        sources = [item.ctypes.data for item in self._rows]
        own["feeds"][:] = [*sources, *self._batch.addresses, *sizes, *strides, *self._maps]

    def _bound(self, compiled: _Compiled) -> _Ready:
        """A program with the addresses that it reads: of inputs, constants and results."""
        at, results = self._at, self._own_numbers["results"]
        settings = [at["settings"] + 8 * place for place in range(len(self._places))]
        numbers = [at["numbers"] + 8 * place for place in range(3)]
        table = [
            *self._addresses, *settings, *numbers, at["dropout"], *self._batch.addresses,
            *compiled.constants, *self._addresses, at["results"], at["results"] + results.itemsize,
        ]  # fmt: skip
        return _Ready(compiled, np.array(table, np.uint64), self._arena(compiled.program))

    def _arena(self, program: NativeProgram) -> Array:
        """Memory that steps use and leave nothing in: runs that are never at once share it."""
        key = ("arena", program)
        arena = self.job.programs.take(key, program.new_arena)
        self._borrowed.append((key, arena))
        return arena

    def release(self) -> None:
        """Give back what others may use; no step follows."""
        self.__dict__.pop("_judged", None)
        while self._borrowed:
            self.job.programs.give(*self._borrowed.pop())

    def _job_fields(self) -> Array:
        job, at, feeds = self.job, self._at, 8 * len(self._rows)
        full, rest = self._ready[0], self._ready[-1]
        results = self._own_numbers["results"]
        return self._driver.fields(
            main=full.compiled.main,
            part=full.compiled.part,
            table=full.table.ctypes.data,
            arena=full.arena.ctypes.data,
            rest_main=rest.compiled.main,
            rest_part=rest.compiled.part,
            rest_table=rest.table.ctypes.data,
            rest_arena=rest.arena.ctypes.data,
            notes=at["notes"],
            threads=1,
            barrier=at["barrier"],
            per_epoch=job.steps_per_epoch,
            batch=job.batch_size,
            rest=job.lengths[1] if len(job.lengths) > 1 else 0,
            order=at["order"],
            rows=len(job.rows),
            shuffles=int(job.shuffle),
            key=at["key"],
            scratch=at["scratch"],
            ordered=-1,
            feeds=len(self._rows),
            sources=at["feeds"],
            targets=at["feeds"] + feeds,
            sizes=at["feeds"] + 2 * feeds,
            strides=at["feeds"] + 3 * feeds,
            maps=at["feeds"] + 4 * feeds,
            number=at["numbers"],
            loss=at["results"],
            probe=at["results"] + results.itemsize,
            wide=int(full.compiled.wide),
            losses=at["losses"],
        )

    def load(self, state: State) -> None:
        """Go on from this state, which is copied into the program's own memory."""
        arrays = [*state.parameters.values(), *state.slots.values(), *state.states.values()]
        for own, given in zip(self._arrays, arrays, strict=True):
            np.copyto(own, given)
        own_arrays = iter(self._arrays)
        for group in (state.parameters, state.slots, state.states):
            group.update({path: next(own_arrays) for path in group})
        self._step = state.step
        self._snapshot.take(self._step)

    def adjust(self, settings: Mapping[str, float]) -> None:
        """Change numeric settings for later steps, by path."""
        if not settings:
            return
        self.job.adjust(settings)
        for path, value in settings.items():
            self._own_numbers["settings"][self._places[path]] = value
        self._snapshot.take(self._step)

    def state(self, last: bool = False) -> State:
        """The state after the last good step, copied unless it is the last."""
        copies = iter([array if last else array.copy() for array in self._arrays])
        groups = [{path: next(copies) for path in names} for names in self._groups]
        return State(groups[0], groups[1], groups[2], self._step)

    def evaluate(self, x: Array | Chosen, states: Values | None = None) -> Array:
        """The network's outputs for rows."""
        if states is None and self._is_judged(x):
            return self._judged()[: len(x)]
        arrays = iter(self._arrays)
        groups = [{path: next(arrays) for path in names} for names in self._groups]
        used = self.job.recipe.used(groups[0], groups[1])
        return self._forward(used, groups[2] if states is None else states, x)

    def _is_judged(self, x: Array | Chosen) -> bool:
        """Whether these are the validation rows, and few enough for one call."""
        held_out = self.job.held_out
        return held_out is not None and x is held_out.x and len(x) <= BATCH

    @cached_property
    def _judged(self) -> Callable[[], Array]:
        """What computes the outputs for few validation rows, which are the same in each epoch."""
        job = self.job
        assert job.held_out is not None
        x, used = job.held_out.x, self.state(last=True)
        parameters = job.recipe.used(used.parameters, used.slots)
        shapes = tuple((array.shape, array.dtype) for array in parameters.values())
        key = ("filled", id(x), shapes)
        rows = job.programs.recent(key, lambda: self._forward.filled(x, parameters), x)
        return self._forward.bound(parameters, used.states, rows, self._arena)

    # -------------------------------------------------------------- steps

    def run(self, steps: range, sums: Sums, seconds: float) -> Stretch:
        """Run steps for about this long: at least one."""
        deadline = time.perf_counter() + seconds
        epochs: list[Sums] = []
        done = 0
        while done < len(steps):
            left = deadline - time.perf_counter()
            if done and left <= 0:
                break
            count = self._count(steps, done, left)
            first = steps.start + done
            ran, failed = self._call(first, count)
            good = ran - failed
            part = gathered(self.job, first, self._own_numbers["losses"][:good], sums)
            epochs += part.epochs
            sums = part.sums
            done += good
            if failed:
                self._undo(first + good)
                return Stretch(done, tuple(epochs), sums, failed=True)
            self._step = first + good
            self._snapshot.maybe(self._step)
        return Stretch(done, tuple(epochs), sums)

    def _count(self, steps: range, done: int, left: float) -> int:
        """Steps of the next call: what fits in the time, by the rate so far."""
        wanted = int(self._rate * max(left, 0.0)) if self._rate else 1
        if self._threads.is_open:
            wanted = min(wanted, int(self._rate * _TRIAL_SECONDS))
        count = min(max(wanted, 1), len(steps) - done, _MOST_STEPS)
        if self.job.rows.weights is not None:
            first = steps.start + done
            count = min(count, self.job.steps_per_epoch - first % self.job.steps_per_epoch)
        return count

    def _call(self, first: int, count: int) -> tuple[int, int]:
        """Run steps; gives how many were run, and whether the last failed."""
        threads = self._threads.now
        began = time.perf_counter()
        ran, failed = self._driver.run(self._fields, first, count, threads)
        if self.job.rows.weights is not None:
            self.job.remember(first // self.job.steps_per_epoch, self._own_numbers["order"])
        passed = time.perf_counter() - began
        rate = ran / max(passed, 1e-9)
        self._rate = rate if ran >= count else self._rate
        self._threads.note(threads, rate, passed)
        return ran, failed

    def _undo(self, step: int) -> None:
        """Go back to the state before a step: from the last snapshot, by the same steps again."""
        self._own_numbers["notes"][:] = 0
        begin = self._snapshot.restore()
        while begin < step:
            count = min(step - begin, _MOST_STEPS)
            self._driver.run(self._fields, begin, count, self._threads.now)
            begin += count
        self._step = step


def _has_whole_rows(array: Array) -> bool:
    """Whether the elements of each row lie side by side."""
    return bool(array[:1].reshape(-1).size <= 1 or array[0].flags.c_contiguous)


def _make_barrier(barrier: Array) -> None:
    """Make a barrier of bytes, at which nobody waits yet."""
    barrier[:] = 0
    if os.name == "posix":
        barrier.view(np.uint64)[16] = _sched_yield()


@cache
def _sched_yield() -> int:
    """The address of the system's function that lets other threads go on."""
    return ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0


__all__ = ["NativeExecutor"]
