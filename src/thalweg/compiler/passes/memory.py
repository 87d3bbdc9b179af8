"""Memory planning: one arena in which results take the place of others that nobody needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from thalweg.compiler.passes.kernels import Kernel
from thalweg.graph import Tensor

ALIGNMENT = 64
"""Bytes: every result begins at a multiple, a cache line and the widest vector."""


class Arena(NamedTuple):
    """Where intermediate results stand.

    Attributes:
        offsets: by identity of a result, its first byte.
        size: bytes in all.
    """

    offsets: dict[int, int]
    size: int


def plan_memory(
    kernels: Sequence[Kernel], elsewhere: Collection[int], kept: Collection[int] = ()
) -> Arena:
    """Offsets for all results of kernels but those that are stored elsewhere.

    A result lives from the kernel that computes it to the last that reads it. Larger ones are
    placed first, each at the lowest offset at which nothing lives at the same time.

    Args:
        kernels: in order.
        elsewhere: identities of results that have memory of their own.
        kept: identities of results that live to the end.
    """
    lives: dict[int, tuple[Tensor, int, int]] = {}
    for moment, kernel in enumerate(kernels):
        for result in kernel.outputs:
            lives[id(result)] = (result, moment, moment)
        for base in kernel.reads:
            if id(base) in lives:
                lives[id(base)] = (base, lives[id(base)][1], moment)
    for key in kept:
        tensor, first, _ = lives[key]
        lives[key] = (tensor, first, len(kernels))
    placed: list[tuple[int, int, int, int]] = []
    offsets: dict[int, int] = {}
    wanted = [life for key, life in lives.items() if key not in elsewhere]
    for tensor, first, last in sorted(wanted, key=lambda life: (-life[0].type.bytes, life[1])):
        size = -(-tensor.type.bytes // ALIGNMENT) * ALIGNMENT
        begin = _lowest(size, [(b, e) for b, e, f, t in placed if not (t < first or last < f)])
        offsets[id(tensor)] = begin
        placed.append((begin, begin + size, first, last))
    return Arena(offsets, max((end for _, end, _, _ in placed), default=0))


def _lowest(size: int, taken: list[tuple[int, int]]) -> int:
    """The lowest offset at which so many bytes are free."""
    begin = 0
    for first, end in sorted(taken):
        if begin + size <= first:
            break
        begin = max(begin, end)
    return begin
