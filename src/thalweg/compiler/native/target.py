"""The machine that programs are compiled for: vectors, registers, instructions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from thalweg.errors import SettingError


@dataclass(frozen=True)
class Target:
    """A machine, as LLVM names it, and what matters for choosing code.

    Attributes:
        triple, cpu, features: LLVM's words.
        vector_bytes: of the widest vector: 64 (AVX-512), 32 (AVX2), 16 (SSE, NEON).
        registers: vector registers.
        has_fma: whether a multiply-add is one instruction.
        has_estimates: whether there are AVX-512's estimates of 1/√x.
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    has_fma: bool
    has_estimates: bool

    def lanes(self, element_bytes: int) -> int:
        """How many elements of this size a vector holds."""
        return self.vector_bytes // element_bytes


@lru_cache(maxsize=1)
def host_target() -> Target:
    """This machine."""
    import llvmlite.binding as llvm

    triple = llvm.get_process_triple()
    flags = {name for name, has in llvm.get_host_cpu_features().items() if has}
    written = llvm.get_host_cpu_features().flatten()
    return _described(triple, llvm.get_host_cpu_name(), written, flags)


def limited(name: str) -> Target:
    """This machine with its newer instructions switched off, or another one.

    Args:
        name: ``avx512``, ``avx2`` or ``sse``; ``neon`` is an AArch64 machine, for which code can
            be compiled but not run here.

    Raises:
        SettingError: for another name, or where this machine has no such instructions.
    """
    if name == "neon":
        return _described("aarch64-unknown-linux-gnu", "generic", "+neon", {"neon"})
    dropped = {"avx512": (), "avx2": ("avx512", "avx10"), "sse": _BEYOND_SSE}
    if name not in dropped:
        raise SettingError(f"{name!r} is not one of avx512, avx2, sse, neon")
    import llvmlite.binding as llvm

    has = {flag for flag, on in llvm.get_host_cpu_features().items() if on}
    needed = {"avx512": "avx512f", "avx2": "avx2", "sse": "sse4.2"}[name]
    if needed not in has:
        raise SettingError(f"this machine has no {name}")
    kept = {flag for flag in has if not flag.startswith(tuple(dropped[name]))}
    every = llvm.get_host_cpu_features()
    written = ",".join(f"{'+' if flag in kept else '-'}{flag}" for flag in sorted(every))
    return _described(llvm.get_process_triple(), "x86-64", written, kept)


_BEYOND_SSE = (
    "avx", "fma", "f16c", "xop", "vaes", "vpclmulqdq", "gfni", "amx", "sha512", "sm3", "sm4",
)  # fmt: skip


def _described(triple: str, cpu: str, features: str, flags: set[str]) -> Target:
    is_x86 = triple.startswith(("x86_64", "i686"))
    wide = {"avx512f", "avx512dq", "avx512bw", "avx512vl"} <= flags
    size = 64 if wide else 32 if "avx2" in flags else 16
    return Target(
        triple,
        cpu,
        features,
        size,
        registers=32 if wide or not is_x86 else 16,
        has_fma="fma" in flags or not is_x86,
        has_estimates=wide,
    )
