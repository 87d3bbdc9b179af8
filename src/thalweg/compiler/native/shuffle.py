"""The order of an epoch's rows as a native function: :func:`thalweg.ops.random.permutation`.

That order sorts 64 random bits for each row, and these are spread evenly, so one counting sort on
their leading bits puts almost every row in its place, and an insertion sort does the rest. Rows
are sorted as ``(leading 32 bits, row number)`` in one word; the other 32 bits are computed only
where the leading ones are equal. Beyond 8192 rows a first counting sort makes parts that fit in the
cache, and each part is sorted by itself.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from thalweg.compiler.native.bits import Words, block_words, counting, word_at
from thalweg.compiler.native.text import (
    I1,
    I32,
    I64,
    POINTER,
    Function,
    Module,
    Value,
    number,
    vector,
)

_LARGEST_TABLE = 13
"""The bits of the counting sort inside a part, where there is one part only."""
_PART = 11
"""The same where there are several."""
_BLOCK = 32


def scratch_bytes(count: int) -> int:
    """The scratch that shuffling ``count`` rows takes, in bytes."""
    first, second = _split_bits(count)
    return 8 * count + 4 * (1 << first) + 4 * (1 << second)


def _split_bits(count: int) -> tuple[int, int]:
    """The bits of the first counting sort (0: none) and of the second."""
    bits = max(1, (count - 1).bit_length())
    return (0, bits) if bits <= _LARGEST_TABLE else (bits - _PART, _PART)


def write_shuffle(module: Module, lanes: int) -> str:
    """Add ``void @shuffle(ptr key, i64 count, ptr order, ptr scratch)``; gives its name.

    Args:
        module: where it goes.
        lanes: 32-bit lanes of a vector, a power of two.

    The function takes a key ``2 × i32``, a count from 0 to 2³¹, room for as many ``i64`` in
    ``order``, and :func:`scratch_bytes` of scratch, and writes ``permutation(key, count)``.
    """
    return _Shuffle(module, min(lanes, _BLOCK // 2)).write()


class _Shuffle:
    def __init__(self, module: Module, lanes: int) -> None:
        self.module = module
        self.lanes = lanes
        self.f = module.function("shuffle", [POINTER, I64, POINTER, POINTER])
        self.key, self.count, self.order, scratch = self.f.parameters
        self.packed = scratch

    def write(self) -> str:
        f = self.f
        self.follows = _write_follows(self.module)
        with f.unless_over(f.compare("icmp slt", self.count, number(I64, 1))):
            f.leave()
        first, second = self._split_bits()
        sorts_twice = f.compare("icmp ne", first, number(I64, 0))
        self.ends = f.at(self.packed, self.count, I64)
        parts = f.binary("shl", number(I64, 1), first)
        self.table = f.at(self.ends, parts, I32)
        self._generate(f.select(sorts_twice, self.order, self.packed))
        f.store(f.convert("trunc", self.count, I32), self.ends, 4)
        with f.when(sorts_twice):
            shift = f.binary("sub", number(I64, 64), first)
            whole = number(I64, 0), self.count
            self._count_sort(self.order, self.packed, self.ends, whole, shift, parts)
        shift = f.binary("sub", f.binary("sub", number(I64, 64), first), second)
        buckets = f.binary("shl", number(I64, 1), second)
        with f.loop(number(I64, 0), parts, carried=[number(I64, 0)]) as loop:
            begin = loop.values[0]
            end = f.convert("zext", f.load(f.at(self.ends, loop.index, I32), I32, 4), I64)
            part = begin, end
            self._count_sort(self.packed, self.order, self.table, part, shift, buckets)
            self._insertion_sort(part)
            self._unpack(part)
            loop.next([end])
        f.leave()
        return self.module.add(f)

    def _split_bits(self) -> tuple[Value, Value]:
        """As :func:`_split_bits`."""
        f = self.f
        no = Value("false", I1)
        zeros = f.call("llvm.ctlz.i64", I64, f.binary("sub", self.count, number(I64, 1)), no)
        bits = f.binary("sub", number(I64, 64), zeros)
        bits = f.intrinsic("umax", I64, bits, number(I64, 1))
        fits = f.compare("icmp ule", bits, number(I64, _LARGEST_TABLE))
        rest = f.binary("sub", bits, number(I64, _PART))
        return f.select(fits, number(I64, 0), rest), f.select(fits, bits, number(I64, _PART))

    # ------------------------------------------------------------------ random words

    def _generate(self, target: Value) -> None:
        """Write ``word · 2³² + row`` for each row."""
        f = self.f
        keys = f.load(self.key, I32, 4), f.load(f.at(self.key, 1, I32), I32, 4)
        room = f.emit(POINTER, f"alloca [{_BLOCK} x i64], align 64")
        with f.loop(number(I64, 0), self.count, _BLOCK) as loop:
            end = f.binary("add", loop.index, number(I64, _BLOCK))
            fits = f.compare("icmp sle", end, self.count)
            place = f.select(fits, f.at(target, loop.index, I64), room)
            self._block(keys, f.binary("lshr", loop.index, number(I64, 5)), place)
        rest = f.binary("and", self.count, number(I64, _BLOCK - 1))
        last = f.at(target, f.binary("sub", self.count, rest), I64)
        size = f.binary("shl", rest, number(I64, 3))
        f.run("llvm.memcpy.p0.p0.i64", last, room, size, Value("false", I1))

    def _block(self, keys: Words, block: Value, target: Value) -> None:
        f, half = self.f, _BLOCK // 2
        short = f.convert("trunc", block, I32)
        for lane in range(0, half, self.lanes):
            words = block_words(f, keys, short, lane, self.lanes)
            for offset, word in zip((lane, half + lane), words, strict=True):
                row = f.binary("shl", short, number(I32, 5))
                rows = counting(f, f.binary("add", row, number(I32, offset)), self.lanes)
                wide = f.convert("zext", word, I64)
                high = f.binary("shl", wide, number(wide.type, 32))
                packed = f.binary("or", high, f.convert("zext", rows, I64))
                f.store(packed, f.at(target, offset, I64), 8)

    # ------------------------------------------------------------------ sorting

    def _count_sort(
        self,
        source: Value,
        target: Value,
        table: Value,
        part: tuple[Value, Value],
        shift: Value,
        buckets: Value,
    ) -> None:
        """Scatter a part by some bits; afterwards the table holds where each bucket ends."""
        f = self.f
        mask = f.binary("sub", buckets, number(I64, 1))
        size = f.binary("shl", buckets, number(I64, 2))
        f.run("llvm.memset.p0.i64", table, Value("0", "i8"), size, Value("false", I1))

        def bucket(value: Value) -> Value:
            return f.at(table, f.binary("and", f.binary("lshr", value, shift), mask), I32)

        def taken(place: Value) -> Value:
            held = f.load(place, I32, 4)
            f.store(f.binary("add", held, number(I32, 1)), place, 4)
            return held

        with f.loop(*part) as loop:
            taken(bucket(f.load(f.at(source, loop.index, I64), I64, 8)))
        begin = f.convert("trunc", part[0], I32)
        with f.loop(number(I64, 0), buckets, carried=[begin]) as loop:
            place = f.at(table, loop.index, I32)
            held = f.load(place, I32, 4)
            f.store(loop.values[0], place, 4)
            loop.next([f.binary("add", loop.values[0], held)])
        with f.loop(*part) as loop:
            value = f.load(f.at(source, loop.index, I64), I64, 8)
            place = f.convert("zext", taken(bucket(value)), I64)
            f.store(value, f.at(target, place, I64), 8)

    def _insertion_sort(self, part: tuple[Value, Value]) -> None:
        f = self.f
        second = f.binary("add", part[0], number(I64, 1))
        with f.loop(second, part[1]) as loop:
            value = f.load(f.at(self.order, loop.index, I64), I64, 8)
            before = self._before(loop.index)
            with f.when(f.compare("icmp uge", _high(f, before), _high(f, value))):
                self._insert(part[0], loop.index, value)

    def _before(self, place: Value) -> Value:
        f = self.f
        return f.load(f.at(self.order, f.binary("sub", place, number(I64, 1)), I64), I64, 8)

    def _insert(self, begin: Value, place: Value, value: Value) -> None:
        """Move what follows the value up by one, then write the value where it belongs."""
        f = self.f
        with _while(f, place) as (index, stop, go_on):
            f.do(f"br {f.compare('icmp sgt', index, begin)}, label %{go_on}look, label %{stop}")
            f.start(f"{go_on}look")
            before = self._before(index)
            old, new = _high(f, before), _high(f, value)
            f.do(f"br {f.compare('icmp ugt', old, new)}, label %{go_on}move, label %{go_on}compare")
            f.start(f"{go_on}compare")
            f.do(f"br {f.compare('icmp eq', old, new)}, label %{go_on}tie, label %{stop}")
            f.start(f"{go_on}tie")
            follows = f.call(self.follows, I1, self.key, self.count, before, value)
            f.do(f"br {follows}, label %{go_on}move, label %{stop}")
            f.start(f"{go_on}move")
            f.store(before, f.at(self.order, index, I64), 8)
        f.store(value, f.at(self.order, index, I64), 8)

    def _unpack(self, part: tuple[Value, Value]) -> None:
        """Leave the row numbers."""
        f, type_ = self.f, vector(I64, self.lanes)
        whole = f.binary("sub", part[1], part[0])
        whole = f.binary("and", whole, number(I64, -self.lanes))
        middle = f.binary("add", part[0], whole)
        for begin, end, step, kind in (
            (part[0], middle, self.lanes, type_),
            (middle, part[1], 1, I64),
        ):
            with f.loop(begin, end, step) as loop:
                place = f.at(self.order, loop.index, I64)
                rows = f.binary("and", f.load(place, kind, 8), number(kind, 0xFFFFFFFF))
                f.store(rows, place, 8)


def _high(f: Function, packed: Value) -> Value:
    return f.binary("lshr", packed, number(packed.type, 32))


@contextmanager
def _while(f: Function, start: Value) -> Generator[tuple[Value, str, str]]:
    """A loop that counts down from ``start``; inside, a branch to the second label ends it."""
    before, body, stop, again = f.block, f.label("while"), f.label("stop"), f.label("again")
    f.do(f"br label %{body}")
    f.start(body)
    place = len(f.lines)
    index = f.emit(start.type, "")
    yield index, stop, again
    following = f.binary("sub", index, number(start.type, 1))
    f.do(f"br label %{body}")
    f.lines[place] = (
        f"  {index.text} = phi {index.type} [ {start.text}, %{before} ], "
        f"[ {following.text}, %{f.block} ]"
    )
    f.start(stop)


def _write_follows(module: Module) -> str:
    """``i1 @shuffle_follows(key, count, before, value)``: compares the other 32 bits."""
    f = module.function("shuffle_follows", [POINTER, I64, I64, I64], I1, "nounwind noinline cold")
    key, count, *pair = f.parameters
    keys = f.load(key, I32, 4), f.load(f.at(key, 1, I32), I32, 4)
    both = f.insert(f.splat(pair[0], 2), pair[1], 1)
    rows = f.binary("and", both, number(both.type, 0xFFFFFFFF))
    words = word_at(f, keys, f.binary("add", f.splat(count, 2), rows))
    f.leave(f.compare("icmp ugt", f.extract(words, 0), f.extract(words, 1)))
    return module.add(f)
