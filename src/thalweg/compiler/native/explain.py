"""What a program does, for a person: kernels with their operations and bytes, and the arena."""

from __future__ import annotations

from collections.abc import Mapping

from thalweg.compiler.native.lower import Lowered
from thalweg.compiler.passes.cost import is_split
from thalweg.compiler.passes.kernels import Kernel


def explain(lowered: Lowered, fired: Mapping[str, int] | None = None) -> str:
    """A table of kernels in order, the arena's size, and which rules fired.

    Args:
        lowered: a program's plan.
        fired: uses of each rule that simplified and stabilised the graph.
    """
    kernels = lowered.plan.kernels
    lines = [f"{len(kernels)} kernels"]
    lines += [_line(place, kernel) for place, kernel in enumerate(kernels)]
    flops = sum(kernel.flops for kernel in kernels)
    moved = sum(kernel.bytes for kernel in kernels)
    lines.append(f"in all {flops:,} floating-point operations, {moved:,} bytes read and written")
    lines.append(f"arena {lowered.arena_bytes:,} bytes")
    if fired:
        uses = sorted(fired.items(), key=lambda item: (-item[1], item[0]))
        lines.append("rules " + ", ".join(f"{name} {count}" for name, count in uses))
    return "\n".join(lines)


def _line(place: int, kernel: Kernel) -> str:
    shared = " threads" if is_split(kernel) else ""
    return (
        f"  {place:>3} {kernel.kind:<12} {kernel.size:>10,} elements {kernel.flops:>14,} flop "
        f"{kernel.bytes:>13,} B{shared}  {kernel.nodes[-1].label}: {kernel}"
    )
