"""The cost model: what a kernel takes, and whether a second thread gains."""

from __future__ import annotations

from thalweg.compiler.passes.kernels import Kernel

MULTIPLY_ADDS = 150e9
"""Floating-point operations that one core does in a second in a product."""

TRAFFIC = 30e9
"""Bytes that one core moves in a second when they come from its second cache."""

SPLIT_SECONDS = 2e-6
"""A kernel shorter than this is left to one thread: waiting for each other costs more."""

THREADS_SECONDS = 30e-6
"""A program shorter than this has no version for several threads."""

CHUNK = 4096
"""Elements of one part of a sum that several threads share; sums of parts are added in order."""


def seconds(kernel: Kernel) -> float:
    """The estimated time of a kernel on one core."""
    if kernel.kind in {"product", "convolve_weight"}:
        return kernel.flops / MULTIPLY_ADDS
    return max(kernel.bytes / TRAFFIC, kernel.flops / (MULTIPLY_ADDS / 4))


def is_split(kernel: Kernel) -> bool:
    """Whether several threads share a kernel."""
    return seconds(kernel) >= SPLIT_SECONDS
