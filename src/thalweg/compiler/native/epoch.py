"""The epoch program: a training run's steps in one call, for any network.

``i64 @train(ptr job, i64 thread)`` runs steps one after the other, over as many epochs as asked:
where an epoch begins it orders the rows anew; it copies the rows of a batch to where the step reads
them, writes the step's number, calls the step's program, and notes the loss. It ends behind a step
whose probe says that a value was not finite, or whose index was wrong. It gives the number of steps
that were run.

A job is a row of 64-bit fields (:data:`FIELDS`), so one driver serves every network: the programs
of a full batch and of the last, shorter one are called by address.
"""

from __future__ import annotations

from thalweg.compiler.native.barrier import write_wait
from thalweg.compiler.native.bits import fold_in
from thalweg.compiler.native.flush import begin_flush, end_flush
from thalweg.compiler.native.shuffle import write_shuffle
from thalweg.compiler.native.target import Target
from thalweg.compiler.native.text import F32, F64, I32, I64, POINTER, Module, Value, number, vector

FIELDS = {
    "main": POINTER, "part": POINTER, "table": POINTER, "arena": POINTER,
    "rest_main": POINTER, "rest_part": POINTER, "rest_table": POINTER, "rest_arena": POINTER,
    "notes": POINTER, "threads": I64, "barrier": POINTER, "first": I64, "steps": I64,
    "per_epoch": I64, "batch": I64, "rest": I64, "order": POINTER, "rows": I64, "shuffles": I64,
    "key": POINTER, "scratch": POINTER, "ordered": I64, "feeds": I64, "sources": POINTER,
    "targets": POINTER, "sizes": POINTER,
    "strides": POINTER, "maps": POINTER, "number": POINTER, "loss": POINTER, "probe": POINTER,
    "wide": I64, "losses": POINTER, "failed": I64,
}  # fmt: skip
"""The fields of a job, in order.

main, part, table, arena: the program of a full batch (part: for several threads); rest_…: of the
last batch of an epoch, where it is shorter; notes: 1 where an index was outside its axis; threads
and the address of their barrier; first, steps: which step to begin with, and how many; per_epoch:
steps of an epoch; batch, rest: rows of a full and of the last batch (rest 0: all are full); order:
row numbers (rows of them), which are ordered anew in each epoch if shuffles is 1, with key (two
``u32``) and scratch; ordered: the epoch that the order is for, or -1; feeds, sources, targets,
sizes, strides: how many arrays rows are copied from, their addresses, where to, bytes of a row,
bytes from row to row, and the address of each row's number in its array (0: as the order says);
number:
where the step's number is written; loss, probe: where the step leaves them, float64 if wide is 1;
losses: one ``double`` for each step; failed: set to 1 where the last step was not finite, or an
index in it was outside its axis.
"""

_CHUNK = 64


def write_driver(target: Target) -> str:
    """The text of the module with ``@train``."""
    module = Module()
    _Driver(module, target).write()
    return str(module)


class _Driver:
    def __init__(self, module: Module, target: Target) -> None:
        self.module = module
        self.target = target
        self.wait = write_wait(module)
        self.shuffle = write_shuffle(module, target.lanes(4))
        self.f = module.function("train", [POINTER, I64], I64)
        self.job, self.thread = self.f.parameters

    def write(self) -> None:
        """Write ``@train``."""
        f = self.f
        mode = begin_flush(f, self.target.triple)
        self.field = {
            name: f.load(f.at(self.job, place, I64), type_, 8)
            for place, (name, type_) in enumerate(FIELDS.items())
        }
        self.is_first = f.compare("icmp eq", self.thread, number(I64, 0))
        self.is_shared = f.compare("icmp sgt", self.field["threads"], number(I64, 1))
        with f.loop(number(I64, 0), self.field["steps"]) as loop:
            step = f.binary("add", self.field["first"], loop.index)
            is_begin = f.compare("icmp eq", loop.index, number(I64, 0))
            is_rest = self._feed(step, is_begin)
            self._meet()
            self._call(is_rest)
            self._meet()
            loss, probe = self._number("loss"), self._number("probe")
            with f.when(self.is_first):
                f.store(loss, f.at(self.field["losses"], loop.index, F64), 8)
            noted = f.compare("icmp ne", f.load(self.field["notes"], I32, 4), number(I32, 0))
            with f.unless_over(f.binary("or", f.compare("fcmp uno", probe, probe), noted)):
                with f.when(self.is_first):
                    self._set("failed", number(I64, 1))
                end_flush(f, self.target.triple, mode)
                f.leave(f.binary("add", loop.index, number(I64, 1)))
        end_flush(f, self.target.triple, mode)
        f.leave(self.field["steps"])
        self.module.add(f, shared=False)

    def _set(self, name: str, value: Value) -> None:
        place = list(FIELDS).index(name)
        self.f.store(value, self.f.at(self.job, place, I64), 8)

    def _meet(self) -> None:
        """Wait for the other threads, if there are any."""
        with self.f.when(self.is_shared):
            threads, barrier = self.field["threads"], self.field["barrier"]
            self.f.do(f"call void @{self.wait}({barrier}, {threads})")

    def _number(self, name: str) -> Value:
        """The loss or the probe as float64."""
        f = self.f
        is_wide = f.compare("icmp eq", self.field["wide"], number(I64, 1))
        short = f.convert("fpext", f.load(self.field[name], F32, 4), F64)
        address = f.select(is_wide, self.field[name], self.field["losses"])
        return f.select(is_wide, f.load(address, F64, 8), short)

    # -------------------------------------------------------------- the rows of a batch

    def _feed(self, step: Value, is_begin: Value) -> Value:
        """Order rows, copy this thread's share, and write the step's number.

        Gives whether the batch is short.
        """
        f, field = self.f, self.field
        epoch = f.binary("sdiv", step, field["per_epoch"])
        within = f.binary("srem", step, field["per_epoch"])
        ends = f.compare("icmp eq", f.binary("add", within, number(I64, 1)), field["per_epoch"])
        has_rest = f.compare("icmp sgt", field["rest"], number(I64, 0))
        is_rest = f.binary("and", ends, has_rest)
        with f.when(self.is_first):
            self._order(epoch)
            f.store(step, field["number"], 8)
        is_new = f.compare("icmp eq", within, number(I64, 0))
        with f.when(f.binary("or", is_begin, is_new)):
            self._meet()
        rows = f.select(is_rest, field["rest"], field["batch"])
        order = f.at(field["order"], f.binary("mul", within, field["batch"]), I64)
        with f.loop(number(I64, 0), field["feeds"]) as feed:
            self._copy_rows(feed.index, rows, order)
        return is_rest

    def _copy_rows(self, feed: Value, rows: Value, order: Value) -> None:
        """Copy this thread's share of the rows of one array."""
        f, field = self.f, self.field
        source, target = (
            f.load(f.at(field[name], feed, POINTER), POINTER, 8) for name in ("sources", "targets")
        )
        size, stride = (
            f.load(f.at(field[name], feed, I64), I64, 8) for name in ("sizes", "strides")
        )
        chosen = f.load(f.at(field["maps"], feed, POINTER), POINTER, 8)
        is_whole = f.emit("i1", f"icmp eq {chosen}, null")
        following = f.binary("add", self.thread, number(I64, 1))
        first, after = (
            f.binary("udiv", f.binary("mul", rows, place), field["threads"])
            for place in (self.thread, following)
        )
        with f.loop(first, after) as row:
            entry = f.at(order, row.index, I64)
            place = f.load(entry, I64, 8)
            mapped = f.emit(POINTER, f"getelementptr i64, {chosen}, {place}")
            place = f.load(f.select(is_whole, entry, mapped), I64, 8)
            origin = f.at(source, f.binary("mul", place, stride), "i8")
            self._copy(origin, f.at(target, f.binary("mul", row.index, size), "i8"), size)

    def _order(self, epoch: Value) -> None:
        """Order the rows anew where the epoch is another one."""
        f, field = self.f, self.field
        ordered = f.load(f.at(self.job, list(FIELDS).index("ordered"), I64), I64, 8)
        is_new = f.compare("icmp ne", ordered, epoch)
        wanted = f.compare("icmp eq", field["shuffles"], number(I64, 1))
        with f.when(f.binary("and", is_new, wanted)):
            self._set("ordered", epoch)
            words = f.load(field["key"], I32, 4), f.load(f.at(field["key"], 1, I32), I32, 4)
            low = f.convert("trunc", epoch, I32)
            high = f.convert("trunc", f.binary("lshr", epoch, number(I64, 32)), I32)
            words = fold_in(f, fold_in(f, words, low), high)
            key = f.at(field["key"], 2, I32)
            for place, word in enumerate(words):
                f.store(word, f.at(key, place, I32), 4)
            given = f"{key}, {field['rows']}, {field['order']}, {field['scratch']}"
            f.do(f"call void @{self.shuffle}({given})")

    def _copy(self, source: Value, target: Value, size: Value) -> None:
        """Copy a row: whole cache lines, then words, then bytes."""
        f = self.f
        begin = number(I64, 0)
        for step, type_ in ((_CHUNK, vector(I64, _CHUNK // 8)), (8, I64), (1, "i8")):
            end = f.binary("and", size, number(I64, -step))
            with f.loop(begin, end, step) as loop:
                value = f.load(f.at(source, loop.index, "i8"), type_, 1)
                f.store(value, f.at(target, loop.index, "i8"), 1)
            begin = end

    # -------------------------------------------------------------- the step

    def _call(self, is_rest: Value) -> None:
        """Call the program for this batch, for one thread or one of several."""
        f, field = self.f, self.field
        main, part, table, arena = (
            f.select(is_rest, field[f"rest_{name}"], field[name])
            for name in ("main", "part", "table", "arena")
        )
        given = f"{table}, {arena}, {field['notes']}"
        alone = f.binary("xor", self.is_shared, number("i1", 1))
        with f.when(alone):
            f.do(f"call void {main.text}({given})")
        with f.when(self.is_shared):
            shared = f"{self.thread}, {field['threads']}, {field['barrier']}"
            f.do(f"call void {part.text}({given}, {shared})")
