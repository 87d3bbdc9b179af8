"""The native executor: a run's steps as machine code, with the state in its own memory."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from thalweg.compiler.native.barrier import BYTES as BARRIER_BYTES
from thalweg.compiler.native.driver import Driver
from thalweg.compiler.native.lower import MOST_THREADS
from thalweg.compiler.native.program import NativeProgram, aligned
from thalweg.compiler.native.shuffle import scratch_bytes
from thalweg.descriptions import structure_of
from thalweg.graph import Array
from thalweg.model.forward import Ready, native_forward
from thalweg.training.executor import Stretch, Sums, gathered
from thalweg.training.job import Chosen, Job
from thalweg.training.recipe import Values
from thalweg.training.snapshot import Snapshot
from thalweg.training.step import State, StepGraph

_MOST_STEPS = 1 << 16
"""Steps of one call at most: their losses are noted."""

_TRIAL_SECONDS = 0.015
"""How long each number of threads is tried, after a first call of as long that does not count."""

_GAIN = 1.05
"""How much faster several threads must be to be kept."""


class _Ready(NamedTuple):
    """The program for one length of batches, bound to its memory."""

    step: StepGraph
    program: NativeProgram
    table: Array
    arena: Array


class NativeExecutor:
    """Steps run by a compiled program, as many in one call as fit in a stretch.

    Args:
        job: what is trained.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        network, shared = job.recipe.network, job.programs
        self._driver = shared.once("driver", Driver)
        key = ("forward", "native", structure_of(network))
        self._forward = native_forward(network, shared.once(key, Ready))
        self._arrays: list[Array] = []
        self._ready: list[_Ready] = []
        self._settings: list[dict[str, Array]] = []
        self._threads = _Choice()
        self._borrowed: list[tuple[object, Array]] = []
        self._rate = 0.0
        self._step = 0

    # -------------------------------------------------------------- before the first step

    def prepare(self, state: State) -> None:
        """Trace and compile the step for each length of a batch, and take all memory."""
        self._own(state)
        self._take_rows()
        self._results = np.zeros(2, _loss_dtype(self.job, state))
        self._notes = np.zeros(16, np.int32)
        self._ready = [self._bound(state, length) for length in self.job.lengths]
        self._fields = self._job_fields()
        threaded = all(item.program.facts.threaded for item in self._ready)
        self._threads.allow(threaded, self.job.threads)
        self._snapshot = Snapshot(self._arrays)

    def _own(self, state: State) -> None:
        """Memory for everything that a step changes."""
        self._groups = (list(state.parameters), list(state.slots), list(state.states))
        arrays = [*state.parameters.values(), *state.slots.values(), *state.states.values()]
        self._arrays = [_room(array) for array in arrays]

    def _take_rows(self) -> None:
        """The user's rows, in place where each is in one piece, and room for a batch of each."""
        given = [item for item in self.job.rows if item is not None]
        rows = [item.base if isinstance(item, Chosen) else item for item in given]
        self._maps = np.array(
            [item.places.ctypes.data if isinstance(item, Chosen) else 0 for item in given],
            np.uint64,
        )
        self._rows = [item if _has_whole_rows(item) else item.copy(order="C") for item in rows]
        length = self.job.batch_size
        self._batch = [np.zeros((length, *item.shape[1:]), item.dtype) for item in self._rows]
        self._number = np.zeros(1, np.int64)

    def _bound(self, state: State, length: int) -> _Ready:
        step = self.job.graph(state, length)
        count = len(self._arrays)
        given = {place: place for place in range(count)}
        key = ("native", id(step.graph))
        make = partial(NativeProgram, step.graph, given)
        program = self.job.programs.once(key, make, step.graph)
        batch = step.arguments(state, self.job.rows.take(np.arange(length)), self.job.run)
        fixed = [np.array(array, order="C") for array in batch[count : -len(self._batch)]]
        numbers = len(fixed) - 4
        self._settings.append(dict(zip(step.settings, fixed[:numbers], strict=True)))
        inputs = [*self._arrays, *fixed[:numbers], self._number, *fixed[numbers + 1 :]]
        inputs += self._batch
        results = [*self._arrays, self._results[:1], self._results[1:]]
        table = program.table(inputs, results)
        self._kept = (*getattr(self, "_kept", ()), inputs)
        return _Ready(step, program, table, self._arena(program))

    def _arena(self, program: NativeProgram) -> Array:
        """Memory that steps use and leave nothing in: runs that are never at once share it."""
        key = ("arena", id(program))
        arena = self.job.programs.take(key, program.new_arena)
        self._borrowed.append((key, arena))
        return arena

    def release(self) -> None:
        """Give back what others may use; no step follows."""
        while self._borrowed:
            self.job.programs.give(*self._borrowed.pop())

    def _job_fields(self) -> Array:
        job, ready = self.job, self._ready
        full, rest = ready[0], ready[-1]
        self._order = np.arange(len(job.rows))
        self._scratch = np.empty(scratch_bytes(len(job.rows)) if job.shuffle else 1, np.uint8)
        self._key = np.zeros(4, np.uint32)
        self._key[:2] = job.shuffle_key
        self._losses = np.zeros(_MOST_STEPS)
        self._barrier = _barrier()
        sources, targets = _addresses(self._rows), _addresses(self._batch)
        sizes = np.array([item.nbytes // max(len(item), 1) for item in self._batch], np.int64)
        strides = np.array([item.strides[0] for item in self._rows], np.int64)
        self._feeds = (sources, targets, sizes, strides)
        return self._driver.fields(
            main=full.program.code.address("main"),
            part=full.program.code.address("part") if full.program.facts.threaded else 0,
            table=full.table.ctypes.data,
            arena=full.arena.ctypes.data,
            rest_main=rest.program.code.address("main"),
            rest_part=rest.program.code.address("part") if rest.program.facts.threaded else 0,
            rest_table=rest.table.ctypes.data,
            rest_arena=rest.arena.ctypes.data,
            notes=self._notes.ctypes.data,
            threads=1,
            barrier=self._barrier.ctypes.data,
            per_epoch=job.steps_per_epoch,
            batch=job.batch_size,
            rest=job.lengths[1] if len(job.lengths) > 1 else 0,
            order=self._order.ctypes.data,
            rows=len(job.rows),
            shuffles=int(job.shuffle),
            key=self._key.ctypes.data,
            scratch=self._scratch.ctypes.data,
            ordered=-1,
            feeds=len(self._rows),
            sources=sources.ctypes.data,
            targets=targets.ctypes.data,
            sizes=sizes.ctypes.data,
            maps=self._maps.ctypes.data,
            strides=strides.ctypes.data,
            number=self._number.ctypes.data,
            loss=self._results.ctypes.data,
            probe=self._results.ctypes.data + self._results.itemsize,
            wide=int(self._results.dtype == np.float64),
            losses=self._losses.ctypes.data,
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
        for held in self._settings:
            for path, value in settings.items():
                held[path][...] = value
        self._snapshot.take(self._step)

    def state(self, last: bool = False) -> State:
        """The state after the last good step, copied unless it is the last."""
        copies = iter([array if last else array.copy() for array in self._arrays])
        groups = [{path: next(copies) for path in names} for names in self._groups]
        return State(groups[0], groups[1], groups[2], self._step)

    def evaluate(self, x: Array | Chosen, states: Values | None = None) -> Array:
        """The network's outputs for rows."""
        arrays = iter(self._arrays)
        groups = [{path: next(arrays) for path in names} for names in self._groups]
        used = self.job.recipe.used(groups[0], groups[1])
        return self._forward(used, groups[2] if states is None else states, x)

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
            part = gathered(self.job, first, self._losses[:good].tolist(), sums)
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
            self.job.remember(first // self.job.steps_per_epoch, self._order)
        passed = time.perf_counter() - began
        rate = ran / max(passed, 1e-9)
        self._rate = rate if ran >= count else self._rate
        self._threads.note(threads, rate, passed)
        return ran, failed

    def _undo(self, step: int) -> None:
        """Go back to the state before a step: from the last snapshot, by the same steps again."""
        self._notes[:] = 0
        begin = self._snapshot.restore()
        while begin < step:
            count = min(step - begin, _MOST_STEPS)
            self._driver.run(self._fields, begin, count, self._threads.now)
            begin += count
        self._step = step


class _Choice:
    """How many threads run the steps: each number is tried, and the fastest kept.

    Results do not depend on the number, so it may change at any time. The trial is repeated now
    and then, since other programs come and go. Of several calls the fastest counts, so that one
    that was disturbed decides nothing; the first, with cold caches and a core asleep, never does.
    """

    _AGAIN = 5.0
    _TRIES = 3

    def __init__(self) -> None:
        self.now = 1
        self.is_open = False
        self._most = 1
        self._rates: dict[int, list[float]] = {}
        self._since = 0.0

    def allow(self, threaded: bool, most: int | None) -> None:
        """Say whether there is a version for several threads, and how many are wanted at most."""
        wanted = cores() if most is None else most
        self._most = min(wanted, MOST_THREADS) if threaded else 1
        self.is_open = self._most > 1

    def note(self, threads: int, rate: float, seconds: float) -> None:
        """Take in how fast steps were run."""
        if self._most == 1:
            return
        if not self.is_open:
            self._since += seconds
            if self._since > self._AGAIN:
                self.is_open, self._rates, self._since = True, {}, 0.0
            return
        self._rates.setdefault(threads, []).append(rate)
        tried = {number: self._rates.get(number, []) for number in (1, self._most)}
        left = [number for number, rates in tried.items() if len(rates) <= self._TRIES]
        self.is_open = bool(left)
        if left:
            self.now = left[0]
            return
        alone, shared = (max(rates[1:]) for rates in tried.values())
        self.now = self._most if shared > _GAIN * alone else 1


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _room(array: Array) -> Array:
    memory = aligned(array.nbytes)
    return memory.view(array.dtype).reshape(array.shape)


def _has_whole_rows(array: Array) -> bool:
    """Whether the elements of each row lie side by side."""
    return bool(array[:1].reshape(-1).size <= 1 or array[0].flags.c_contiguous)


def _barrier() -> Array:
    barrier = aligned(BARRIER_BYTES)
    barrier[:] = 0
    if os.name == "posix":
        give = ctypes.cast(ctypes.CDLL(None).sched_yield, ctypes.c_void_p).value or 0
        barrier.view(np.uint64)[16] = give
    return barrier


def _addresses(arrays: list[Array]) -> Array:
    return np.array([array.ctypes.data for array in arrays], np.uint64)


def _loss_dtype(job: Job, state: State) -> Any:
    step = job.graph(state, job.batch_size)
    return step.graph.outputs[-1].dtype


__all__ = ["NativeExecutor"]
