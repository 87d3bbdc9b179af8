"""Compiling: from LLVM's text to machine code in this process.

The text is written as it is to run: unrolled, in vectors, loop invariants outside. So none of
LLVM's passes over the text is run: on whole training steps they cost as much time as everything
else together and gave nothing. Instruction selection, scheduling and register allocation remain,
at their second level.

A program needs nothing from outside but functions whose result is exact (:data:`EXACT`): one like
``expf`` would differ between systems, and is refused.

Code from the disk runs with the user's rights like the library itself. That it is what was stored
is known by its digest; that nobody else stored it, by the folder's permissions (:mod:`.cache`).

LLVM is called by one thread at a time (llvmlite holds a lock); any number of threads may compile
and load, and Python goes on in others meanwhile.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from thalweg.compiler.native.cache import Cache, default_cache, full_key
from thalweg.compiler.native.symbols import Symbols, symbols
from thalweg.compiler.native.target import Target, host_target
from thalweg.errors import CompileError

_LEVEL = 2

EXACT = frozenset(
    {
        *("memcpy", "memmove", "memset", "bzero", "memset_pattern4", "memset_pattern8"),
        "memset_pattern16",
        *(
            name + ending
            for name in ("fma", "fmod", "sqrt", "floor", "ceil", "trunc", "rint", "nearbyint")
            for ending in ("", "f")
        ),
        *("round", "roundf", "roundeven", "roundevenf", "ldexp", "ldexpf"),
    }
)
"""Functions of the system that a program may call: their results are the same everywhere."""


class Counter:
    """How many texts were compiled in this process; for tests that a second call compiles none."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        """One more."""
        with self._lock:
            self.count += 1


COMPILATIONS = Counter()


class Code:
    """Machine code in memory, for as long as this object lives.

    Attributes:
        functions: the names that :meth:`address` knows.
        metadata: what was stored beside the code.
        seconds: what making and compiling the text, or loading the code, took.
        cached: whether it came from the disk.
    """

    def __init__(
        self,
        engine: Any,
        functions: frozenset[str],
        metadata: bytes = b"",
        seconds: float = 0.0,
        cached: bool = False,
    ) -> None:
        self._engine = engine
        self.functions = functions
        self.metadata = metadata
        self.seconds = seconds
        self.cached = cached

    def address(self, function: str) -> int:
        """The address of a function, valid while this object lives.

        Raises:
            CompileError: there is none of this name.
        """
        if function not in self.functions:
            known = ", ".join(sorted(self.functions)) or "none at all"
            raise CompileError(f"the program has no function {function!r}; it has {known}")
        return int(self._engine.get_function_address(function))


def build(
    make: Callable[[], tuple[str, bytes]],
    key: bytes | None,
    target: Target,
    cache: Cache | None = None,
) -> Code:
    """Machine code from the disk, or compiled now and kept there.

    Args:
        make: gives the text and the metadata; called only where nothing usable is stored.
        key: what the text depends on; None keeps nothing on disk.
        target: the machine.
        cache: where programs are kept; by default in the user's own folder.

    Raises:
        CompileError: LLVM refuses the text, or it is for another processor than this one.
    """
    began = time.perf_counter()
    kept = None if key is None else cache or default_cache()
    entry = b"" if key is None or kept is None else full_key(key, target)
    code = None if kept is None else _from_disk(kept, entry)
    if code is None:
        text, metadata = make()
        compiled = compile_text(text, target)
        code = load(compiled)
        code.metadata = metadata
        if kept is not None:
            kept.store(entry, compiled, metadata)
    code.seconds = time.perf_counter() - began
    return code


def _from_disk(cache: Cache, key: bytes) -> Code | None:
    found = cache.find(key)
    if found is None:
        return None
    try:
        code = load(found[0])
    except CompileError:
        return None
    code.metadata, code.cached = found[1], True
    return code


def compile_text(text: str, target: Target) -> bytes:
    """Machine code as an object file.

    Raises:
        CompileError: the text is wrong (LLVM's message says where), or needs functions that are
            not exact.
    """
    COMPILATIONS.add()
    machine = _machine(target)
    module = _parsed(text)
    code = bytes(machine.emit_object(module))
    inexact = symbols(code).needed - EXACT
    if inexact:
        raise CompileError(
            f"the program needs {', '.join(sorted(inexact))} from outside: expected only functions "
            "whose result is the same on every system; write it inline"
        )
    return code


def assembly(text: str, target: Target) -> str:
    """The instructions that a text becomes, for a person.

    Raises:
        CompileError: the text is wrong; LLVM's message says where.
    """
    machine = _machine(target)
    return str(machine.emit_assembly(_parsed(text)))


def load(object_code: bytes) -> Code:
    """Machine code from an object file of this machine.

    Raises:
        CompileError: it is damaged, for another processor, or needs a function that this system
            does not have.
    """
    import llvmlite.binding as llvm

    began = time.perf_counter()
    names = symbols(object_code)
    machine = _machine(host_target())
    _check(names)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(object_code))
    engine.finalize_object()
    return Code(engine, names.functions, seconds=time.perf_counter() - began)


# ---------------------------------------------------------------------------- LLVM


def _parsed(text: str) -> Any:
    """The text as a module, in memory that is given back with it."""
    import llvmlite.binding as llvm

    try:
        module = llvm.parse_assembly(text, llvm.create_context())
        module.verify()
    except RuntimeError as error:
        raise CompileError(
            f"LLVM refuses the program: {str(error).strip()}\nThis is a fault of thalweg: please "
            "report it with this message"
        ) from error
    return module


def _machine(target: Target) -> Any:
    import llvmlite.binding as llvm

    _initialise(target.triple)
    try:
        kind = llvm.Target.from_triple(target.triple)
    except RuntimeError as error:
        raise CompileError(f"LLVM knows no machine {target.triple!r}: {error}") from error
    return kind.create_target_machine(cpu=target.cpu, features=target.features, opt=_LEVEL)


@lru_cache(maxsize=8)
def _initialise(triple: str) -> None:
    import llvmlite.binding as llvm

    if triple == host_target().triple:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
    else:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()


# ---------------------------------------------------------------------------- names from outside


def _check(names: Symbols) -> None:
    """Refuse what LLVM would end the process for."""
    family = _family(host_target().triple)
    if family in {"x86_64", "aarch64"} and names.processor != family:
        raise CompileError(
            f"the program is compiled for {names.processor}, but this machine is {family}"
        )
    absent = sorted(name for name in names.needed if not _provided(name))
    if absent:
        raise CompileError(
            f"the program needs {', '.join(absent)}, which this system does not have"
        )


def _family(triple: str) -> str:
    first = triple.split("-", maxsplit=1)[0]
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(first, first)


def _provided(name: str) -> bool:
    """Whether LLVM finds a function of this name; it is shown where the system keeps it."""
    import llvmlite.binding as llvm

    if llvm.address_of_symbol(name) is not None:
        return True
    if name not in EXACT:
        return False
    function = getattr(_system_library(), name, None)
    if function is None:
        return False
    llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
    return True


@lru_cache(maxsize=1)
def _system_library() -> ctypes.CDLL:
    return ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None)
