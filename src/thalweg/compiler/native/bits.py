"""Random bits as instructions: the same words as :mod:`thalweg.ops.random` gives."""

from __future__ import annotations

from thalweg.compiler.native.text import I32, I64, Function, Value, element_of, number, width_of

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA

Words = tuple[Value, Value]


def threefry(f: Function, keys: Words, first: Value, second: Value) -> Words:
    """Threefry-2x32-20 of counters (first, second): Salmon, Moraes, Dror and Shaw, 2011.

    Args:
        f: where the instructions go.
        keys: two words, ``i32``, or lanes as the counters have.
        first: ``i32`` or ``<W x i32>``.
        second: of the same type.
    """
    width = width_of(first.type)
    k0, k1 = (key if key.type == first.type else f.splat(key, width) for key in keys)
    parity = number(first.type, _PARITY)
    schedule = (k0, k1, f.binary("xor", f.binary("xor", k0, k1), parity))
    x0, x1 = f.binary("add", first, k0), f.binary("add", second, k1)
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x0 = f.binary("add", x0, x1)
            by = number(x1.type, rotation)
            x1 = f.binary("xor", f.intrinsic("fshl", x1.type, x1, x1, by), x0)
        x0 = f.binary("add", x0, schedule[(group + 1) % 3])
        later = f.binary("add", schedule[(group + 2) % 3], number(x1.type, group + 1))
        x1 = f.binary("add", x1, later)
    return x0, x1


def fold_in(f: Function, keys: Words, value: Value) -> Words:
    """A key from a key and a number: the words of counter (number, 1).

    Args:
        f: where the instructions go.
        keys: two words ``i32``.
        value: ``i32``; of ``i64`` both halves are folded in, the low one first, as
            ``key_from_seed`` does.
    """
    if element_of(value.type) == I64:
        high = f.convert("trunc", f.binary("lshr", value, number(I64, 32)), I32)
        return fold_in(f, fold_in(f, keys, f.convert("trunc", value, I32)), high)
    return threefry(f, keys, value, number(value.type, 1))


def block_words(f: Function, keys: Words, block: Value, lane: int, width: int) -> Words:
    """Words ``32·block + lane + (0 … width - 1)`` of ``random_bits``, and those 16 places on.

    Args:
        f: where the instructions go.
        keys: two words ``i32``.
        block: ``i32``.
        lane: where in the block, a multiple of ``width``, below 16.
        width: lanes.
    """
    base = f.binary("add", f.binary("shl", block, number(I32, 4)), number(I32, lane))
    counters = counting(f, base, width)
    return threefry(f, keys, counters, number(counters.type, 0))


def counting(f: Function, base: Value, width: int) -> Value:
    """Lanes ``base, base + 1, …``."""
    if width == 1:
        return base
    spread = f.splat(base, width)
    steps = ", ".join(f"{base.type} {lane}" for lane in range(width))
    return f.binary("add", spread, Value(f"<{steps}>", spread.type))


def word_at(f: Function, keys: Words, place: Value) -> Value:
    """Words of ``random_bits`` at places ``i64`` or ``<W x i64>`` below 2³³."""
    kind = place.type
    within = f.binary("and", place, number(kind, 31))
    block = f.binary("shl", f.binary("lshr", place, number(kind, 5)), number(kind, 4))
    counter = f.binary("or", block, f.binary("and", within, number(kind, 15)))
    short = f.convert("trunc", counter, I32)
    words = threefry(f, keys, short, number(short.type, 0))
    return f.select(f.compare("icmp ult", within, number(kind, 16)), *words)
