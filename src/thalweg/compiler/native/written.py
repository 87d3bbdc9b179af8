"""A kernel that has been written as a function of a module."""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.graph import Tensor


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
        totals: sums and maxima over all of its one loop, which may be computed in parts.
        before: a function to be called first, which fills the shared memory.
        is_pack: whether this is such a function.
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
    before: Written | None = None
    scratch_bytes: int = 0
    shared_bytes: int = 0
    is_pack: bool = False
