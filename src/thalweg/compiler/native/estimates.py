"""Square roots beside divisions: by the processor's estimate, where that frees its divider.

A core has one unit for both, and it is the slowest of all. Where a kernel divides and takes square
roots, as Adam's update does, square roots begin from the 14-bit estimate of 1/√x that AVX-512 has,
and one step of Newton's method with fused multiply-adds follows: at most 1 ulp.
"""

from __future__ import annotations

from thalweg.compiler.native.text import F32, Function, Value, element_of, number, vector, width_of

_LANES = 16
_ZERO_OR_INFINITE = 0x0E
"""Classes of ``vfpclassps``: both zeros and positive infinity."""


def can_estimate(x: Value) -> bool:
    """Whether there is an estimate for lanes like these."""
    return element_of(x.type) == F32 and width_of(x.type) % _LANES == 0


def estimated_sqrt(f: Function, x: Value) -> Value:
    """√x for a multiple of 16 float32 lanes on AVX-512: s + (x - s²)/(2√x), s = x · estimate."""
    return _joined(f, [_sqrt(f, part) for part in _parts(f, x)])


def _parts(f: Function, x: Value) -> list[Value]:
    """Vectors of 16 lanes."""
    width = width_of(x.type)
    return [
        x if width == _LANES else f.shuffle(x, x, list(range(first, first + _LANES)))
        for first in range(0, width, _LANES)
    ]


def _joined(f: Function, parts: list[Value]) -> Value:
    while len(parts) > 1:
        lanes = width_of(parts[0].type) * 2
        pairs = zip(parts[::2], parts[1::2], strict=True)
        parts = [f.shuffle(low, high, list(range(lanes))) for low, high in pairs]
    return parts[0]


def _sqrt(f: Function, x: Value) -> Value:
    type_ = vector(F32, _LANES)
    every = Value("-1", "i16")
    zero = Value("zeroinitializer", type_)
    near = f.call("llvm.x86.avx512.rsqrt14.ps.512", type_, x, zero, every)
    root = f.binary("fmul", x, near)
    half = f.binary("fmul", near, number(type_, 0.5))
    rest = f.fma(f.negated(root), root, x)
    better = f.fma(rest, half, root)
    classes = Value(str(_ZERO_OR_INFINITE), "i32")
    name = "llvm.x86.avx512.fpclass.ps.512"
    special = f.call(name, vector("i1", _LANES), x, classes)
    return f.select(special, x, better)
