"""Where threads wait for each other: a counter and a turn number in memory, no system call.

The memory is three ``i64``, each on a cache line of its own: how many have come, the number of the
turn, and the address of a function that gives the processor to others (0 where there is none),
which is called after a long wait.
"""

from __future__ import annotations

from thalweg.compiler.native.text import I64, POINTER, Module, number

BYTES = 192
"""Memory that a barrier takes."""

_COME, _TURN, _YIELD = 0, 8, 16
_PATIENCE = 2000


def write_wait(module: Module) -> str:
    """Add ``@wait(ptr barrier, i64 threads)`` to a module; gives its name."""
    f = module.function("wait", [POINTER, I64], attributes="noinline nounwind")
    barrier, threads = f.parameters
    come, turn = (f.at(barrier, place, I64) for place in (_COME, _TURN))
    now = f.emit(I64, f"load atomic i64, {turn} acquire, align 8")
    before = f.emit(I64, f"atomicrmw add {come}, i64 1 acq_rel, align 8")
    is_last = f.compare("icmp eq", f.binary("add", before, number(I64, 1)), threads)
    f.do(f"br {is_last}, label %last, label %spin")
    f.start("last")
    f.do(f"store atomic i64 0, {come} monotonic, align 8")
    following = f.binary("add", now, number(I64, 1))
    f.do(f"store atomic {following}, {turn} release, align 8")
    f.leave()
    f.start("spin")
    f.do("%count = phi i64 [ 0, %entry ], [ %counted, %again ]")
    seen = f.emit(I64, f"load atomic i64, {turn} acquire, align 8")
    is_over = f.compare("icmp ne", seen, now)
    f.do(f"br {is_over}, label %done, label %stay")
    f.start("stay")
    f.do("%counted = add i64 %count, 1")
    f.do(f"%tired = icmp ugt i64 %count, {_PATIENCE}")
    f.do("br i1 %tired, label %rest, label %again")
    f.start("rest")
    give = f.load(f.at(barrier, _YIELD, I64), POINTER, 8)
    f.do(f"%can = icmp ne {give}, null")
    f.do("br i1 %can, label %give, label %again")
    f.start("give")
    f.do(f"call void {give.text}()")
    f.do("br label %again")
    f.start("again")
    f.do("br label %spin")
    f.start("done")
    f.leave()
    return module.add(f)
