"""The machine that programs are compiled for: vectors, registers, instructions.

Everything here follows from the instructions that the machine reports to have, not from its name:
virtual machines give names of older processors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from thalweg.errors import SettingError

_AVX512 = frozenset({"avx512f", "avx512dq", "avx512bw", "avx512vl"})
_BEYOND_AVX2 = ("avx512", "avx10", "amx")
_BEYOND_SSE = (
    "avx", "amx", "fma", "f16c", "xop", "vaes", "vpclmulqdq", "gfni", "sha512", "sm3", "sm4",
)  # fmt: skip
_LIMITS: dict[str, tuple[str, tuple[str, ...]]] = {
    "avx512": ("avx512vl", ()),
    "avx2": ("avx2", _BEYOND_AVX2),
    "sse": ("sse4.2", _BEYOND_SSE),
}
"""By name: the instructions that are needed, and how the names of those switched off begin."""


@dataclass(frozen=True)
class Target:
    """A machine, as LLVM names it, and what matters for choosing code.

    Attributes:
        triple: processor family and system, as in ``x86_64-unknown-linux-gnu``.
        cpu: the processor's name, which LLVM uses to order instructions.
        features: the instructions it has (``+avx2``) and has not (``-avx512f``).
        vector_bytes: of the widest vector: 64 (AVX-512), 32 (AVX, AVX2), 16 (SSE, NEON).
        registers: vector registers: 32 (AVX-512, NEON), else 16.
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

    def lanes(self, dtype_bytes: int) -> int:
        """How many elements of this size a vector holds."""
        return self.vector_bytes // dtype_bytes


@lru_cache(maxsize=1)
def host_target() -> Target:
    """This machine."""
    return _host_without(())


@lru_cache(maxsize=8)
def limited(name: str) -> Target:
    """This machine with its newer instructions switched off, or another one.

    Args:
        name: ``avx512``, ``avx2`` or ``sse``; ``neon`` is an AArch64 machine, for which code can
            be compiled on any machine but run only there.

    Raises:
        SettingError: for another name, or where this machine has no such instructions.
    """
    if name == "neon":
        return _described("aarch64-unknown-linux-gnu", "generic", {"neon": True})
    if name not in _LIMITS:
        raise SettingError(f"target {name!r} is not one of {', '.join((*_LIMITS, 'neon'))}")
    needed, dropped = _LIMITS[name]
    if not _host_features().get(needed):
        raise SettingError(
            f"target {name!r}: this machine has no {needed} instructions; "
            "use host_target(), which has what there is"
        )
    return _host_without(dropped)


def _host_features() -> dict[str, bool]:
    import llvmlite.binding as llvm

    return dict(llvm.get_host_cpu_features())


def _host_without(dropped: tuple[str, ...]) -> Target:
    import llvmlite.binding as llvm

    features = {
        flag: has and not flag.startswith(dropped) for flag, has in _host_features().items()
    }
    return _described(llvm.get_process_triple(), llvm.get_host_cpu_name(), features)


def _described(triple: str, cpu: str, features: dict[str, bool]) -> Target:
    is_x86 = triple.startswith(("x86_64", "amd64", "i386", "i686"))
    flags = {flag for flag, has in features.items() if has}
    wide = flags >= _AVX512
    written = [f"{'+' if features[flag] else '-'}{flag}" for flag in sorted(features)]
    if wide:
        written.append("-prefer-256-bit")
    return Target(
        triple,
        cpu,
        ",".join(written),
        vector_bytes=64 if wide else 32 if "avx" in flags else 16,
        registers=32 if wide or not is_x86 else 16,
        has_fma="fma" in flags or not is_x86,
        has_estimates=wide,
    )
