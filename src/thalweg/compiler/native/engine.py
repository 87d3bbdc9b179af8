"""Compiling: from LLVM's text to machine code in this process.

The text is written as it is to run: unrolled, in vectors, loop invariants outside. So no pass of
LLVM's over the text is run (they cost twice what they save); instruction selection, scheduling and
register allocation remain, at their second level.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from thalweg.compiler.native.cache import Cache, default_cache, full_key
from thalweg.compiler.native.target import Target, host_target
from thalweg.errors import CompileError

_LEVEL = 2


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
        metadata: what was stored beside the code.
        seconds: what compiling or loading took.
        cached: whether it came from the disk.
    """

    def __init__(self, engine: Any, metadata: bytes, seconds: float, cached: bool) -> None:
        self._engine = engine
        self.metadata = metadata
        self.seconds = seconds
        self.cached = cached

    def address(self, function: str) -> int:
        """The address of a function.

        Raises:
            CompileError: there is none of this name.
        """
        found = int(self._engine.get_function_address(function))
        if not found:
            raise CompileError(f"the program has no function {function!r}")
        return found


def build(
    make: Callable[[], tuple[str, bytes]],
    key: bytes | None,
    target: Target,
    cache: Cache | None = None,
) -> Code:
    """Machine code from the disk, or compiled now and kept there.

    Args:
        make: gives the text and the metadata; called only where nothing is stored.
        key: what the text depends on; None keeps nothing on disk.
        target: the machine.
        cache: where programs are kept; by default in the user's own folder.
    """
    began = time.perf_counter()
    found = None
    if key is not None:
        cache = cache or default_cache()
        key = full_key(key, target)
        found = cache.find(key) if cache else None
    if found is not None:
        return Code(_loaded(found[0]), found[1], time.perf_counter() - began, cached=True)
    text, metadata = make()
    code = compile_text(text, target)
    if key is not None and cache is not None:
        cache.store(key, code, metadata)
    return Code(_loaded(code), metadata, time.perf_counter() - began, cached=False)


def compile_text(text: str, target: Target) -> bytes:
    """Machine code as an object file.

    Raises:
        CompileError: the text is wrong; LLVM's message says where.
    """
    COMPILATIONS.add()
    module, machine = _parsed(text, target)
    return bytes(machine.emit_object(module))


def assembly(text: str, target: Target) -> str:
    """The instructions that a text becomes, for a person."""
    module, machine = _parsed(text, target)
    return str(machine.emit_assembly(module))


def load(code: bytes) -> Code:
    """Machine code from an object file of this machine."""
    return Code(_loaded(code), b"", 0.0, cached=False)


def _parsed(text: str, target: Target) -> tuple[Any, Any]:
    import llvmlite.binding as llvm

    _initialise()
    machine = _machine(target)
    try:
        module = llvm.parse_assembly(text)
    except RuntimeError as error:
        raise CompileError(f"LLVM refuses the program: {error}") from error
    return module, machine


def _machine(target: Target) -> Any:
    import llvmlite.binding as llvm

    kind = llvm.Target.from_triple(target.triple)
    return kind.create_target_machine(cpu=target.cpu, features=target.features, opt=_LEVEL)


@lru_cache(maxsize=1)
def _initialise() -> None:
    import llvmlite.binding as llvm

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def _loaded(code: bytes) -> Any:
    import llvmlite.binding as llvm

    _initialise()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine(host_target()))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine
