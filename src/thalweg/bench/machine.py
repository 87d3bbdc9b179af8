"""The machine: what it is, and how many multiply-adds a second it does."""

from __future__ import annotations

import ctypes
import os
import platform
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.bench.peers import version_of
from thalweg.compiler.native import text

_CHAINS = 12
_FLAGS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")
_SECONDS = 0.05
_ATTEMPTS = 5


@dataclass(frozen=True)
class Machine:
    """Where a benchmark ran.

    Attributes:
        processor: its model.
        cores: that this process may use.
        flags: kinds of vector instructions.
        memory_bytes: of the machine.
        system: name and release.
        versions: of Python and the libraries.
        peak: float32 operations a second (a multiply-add is two), by number of threads.
    """

    processor: str
    cores: int
    flags: list[str]
    memory_bytes: int
    system: str
    versions: dict[str, str]
    peak: dict[int, float] = field(default_factory=dict[int, float])


def describe(packages: list[str], peak: dict[int, float]) -> Machine:
    """This machine, with the versions of packages that are installed."""
    info = _processor_info()
    versions = {"python": platform.python_version()}
    versions |= {name: version_of(name) for name in packages if version_of(name)}
    flags = info.get("flags", info.get("Features", "")).split()
    return Machine(
        info.get("model name", platform.processor() or platform.machine()),
        core_count(),
        [flag for flag in _FLAGS if flag in flags],
        _memory(),
        f"{platform.system()} {platform.machine()}",
        versions,
        peak,
    )


def core_count() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def busy_seconds() -> float | None:
    """Processor time that the whole machine has used since it began; None where it does not tell.

    Time that a virtual machine wanted and did not get is counted.
    """
    path = Path("/proc/stat")
    if not path.exists() or not hasattr(os, "sysconf"):
        return None
    counts = [int(word) for word in path.read_text(encoding="ascii").split("\n")[0].split()[1:9]]
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = counts
    ticks = user + nice + system + interrupts + soft + stolen
    return ticks / os.sysconf("SC_CLK_TCK")


def processor_seconds() -> float:
    """Processor time of this process and of its children that still run, where that is told."""
    found = time.process_time()
    for place in Path("/proc/self/task").glob("*/children"):
        try:
            words = place.read_text(encoding="ascii").split()
        except OSError:  # the thread has ended meanwhile
            continue
        found += sum(map(_seconds_of, words))
    return found


def _seconds_of(process: str) -> float:
    try:
        line = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:  # it has ended meanwhile
        return 0.0
    user, system = line.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _processor_info() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").split("\n\n", maxsplit=1)[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _memory() -> int:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return 0
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


class MultiplyAdd:
    """A loop of independent chains of fused multiply-adds, compiled for this machine.

    Each chain is x ← x·a + b in every lane of a vector register; nothing is read from memory, so
    that its speed bounds that of every matrix product.

    Raises:
        ImportError: llvmlite is not installed.
    """

    def __init__(self) -> None:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features()
        wide = [16] if features.get("avx512f") else [8] if features.get("avx2") else [4]
        self.width = wide[0]
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=features.flatten(), opt=3
        )
        module: Any = llvm.parse_assembly(loop_text(self.width, _CHAINS))
        module.verify()
        self._engine: Any = llvm.create_mcjit_compiler(module, machine)
        self._engine.finalize_object()
        kind = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)
        self._loop = kind(self._engine.get_function_address("chains"))

    def run(self, turns: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """So many turns of the loop; gives each chain's last values, (chains, width)."""
        out = np.empty((_CHAINS, self.width), dtype=np.float32)
        self._loop(turns, out.ctypes.data)
        return out

    def rate(self, threads: int) -> float:
        """Operations a second on so many threads: the best of several attempts."""
        turns = 1 << 16
        while (seconds := self._timed(turns, 1)) < _SECONDS:
            turns = max(int(turns * 1.2 * _SECONDS / seconds), turns + 1)
        best = min(self._timed(turns, threads) for _ in range(_ATTEMPTS))
        return 2.0 * self.width * _CHAINS * turns * threads / best

    def _timed(self, turns: int, threads: int) -> float:
        workers = [threading.Thread(target=self.run, args=(turns,)) for _ in range(threads - 1)]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        self.run(turns)
        for worker in workers:
            worker.join()
        return time.perf_counter() - began


def loop_text(width: int, chains: int) -> str:
    """``chains(turns, out)`` in LLVM's text form: x ← x·a + b with a = 1 - 2⁻¹⁰, b = 2⁻¹⁰."""
    module = text.Module()
    kind = text.vector(text.F32, width)
    function = module.function("chains", [text.I64, text.POINTER])
    turns, out = function.parameters
    factor, term = text.number(kind, 1 - 2**-10), text.number(kind, 2**-10)
    starts = [text.number(kind, float(chain)) for chain in range(chains)]
    with function.loop(text.number(text.I64, 0), turns, 1, starts) as loop:
        loop.next([function.fma(value, factor, term) for value in loop.values])
    for chain, value in enumerate(loop.results):
        function.store(value, function.at(out, chain * width, text.F32), 4)
    function.leave()
    module.add(function)
    return str(module)


def peak(threads: tuple[int, ...]) -> dict[int, float]:
    """float32 operations a second by number of threads, measured now."""
    loop = MultiplyAdd()
    return {count: loop.rate(count) for count in threads}
