"""A kernel that has been written as a function of a module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from thalweg.graph import Tensor


class Parts(NamedTuple):
    """How the totals of a kernel are computed in parts, which are added in order.

    Attributes:
        length: of the outermost loop, for one part.
        elements: of one part of a total in memory.
        lanes: elements of a part that belong to one number of the total.
    """

    length: int
    elements: int = 1
    lanes: int = 1


@dataclass(frozen=True)
class Written:
    """A kernel as a function of the module.

    Attributes:
        name: of the function: pointers to ``bases``, then the begin and end of the outermost loop.
        bases: tensors whose memory the function takes, reads first.
        extent: the length of the outermost loop.
        grain: parts of the outermost loop begin at multiples of this.
        splits: whether parts may run at the same time.
        checks: whether it takes the address of the notes after the bases.
        totals: sums and maxima over all of its outermost loop, which may be computed in parts.
        parts: the parts of the totals, where they are not computed in one.
        before: a function to be called first, which fills the shared memory.
        shares: whether it takes the address of the shared memory though it has none of its own.
        scratch_bytes: memory that each caller needs for itself.
        shared_bytes: memory that all callers share.
    """

    name: str
    bases: tuple[Tensor, ...]
    extent: int
    grain: int
    splits: bool
    checks: bool = False
    totals: tuple[Tensor, ...] = ()
    parts: Parts | None = None
    before: Written | None = None
    scratch_bytes: int = 0
    shared_bytes: int = 0
    shares: bool = False
