"""What a program does, for a person: kernels with their operations and bytes, and the arena."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from thalweg.compiler.passes.cost import is_split
from thalweg.compiler.passes.kernels import Kernel


def kernel_rows(kernels: Sequence[Kernel]) -> list[list[Any]]:
    """For each kernel: kind, what it computes, where, elements, operations, bytes, if shared."""
    return [
        [
            kernel.kind,
            str(kernel),
            str(kernel.nodes[-1].label),
            kernel.size,
            kernel.flops,
            kernel.bytes,
            is_split(kernel),
        ]
        for kernel in kernels
    ]


def explain(
    rows: Sequence[Sequence[Any]], arena_bytes: int, fired: Mapping[str, int] | None = None
) -> str:
    """A table of kernels in order, the arena's size, and which rules fired."""
    lines = [f"{len(rows)} kernels"]
    lines += [_line(place, row) for place, row in enumerate(rows)]
    flops, moved = (sum(row[column] for row in rows) for column in (4, 5))
    lines.append(f"in all {flops:,} floating-point operations, {moved:,} bytes read and written")
    lines.append(f"arena {arena_bytes:,} bytes")
    if fired:
        uses = sorted(fired.items(), key=lambda item: (-item[1], item[0]))
        lines.append("rules " + ", ".join(f"{name} {count}" for name, count in uses))
    return "\n".join(lines)


def _line(place: int, row: Sequence[Any]) -> str:
    kind, computes, label, size, flops, moved, shared = row
    mark = "  threads" if shared else ""
    return (
        f"  {place:>3} {kind:<12} {size:>10,} elements {flops:>14,} flop {moved:>13,} B{mark}"
        f"  {label}: {computes}"
    )
