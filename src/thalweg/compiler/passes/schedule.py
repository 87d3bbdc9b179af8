"""The order of kernels, and which results may take the place of an input."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from thalweg.compiler.passes.kernels import Kernel, reads_of
from thalweg.graph import Graph, Tensor


class Schedule(NamedTuple):
    """Kernels in order of execution.

    Attributes:
        kernels: each after those that it reads from.
        in_place: by identity of a result, the input whose memory it takes.
    """

    kernels: list[Kernel]
    in_place: dict[int, Tensor]


def schedule(graph: Graph, kernels: Sequence[Kernel], given: Mapping[int, int]) -> Schedule:
    """Put kernels in order; what was given away is overwritten after its last reader.

    Args:
        graph: the prepared graph.
        kernels: its kernels.
        given: by the number of an output, the number of the input whose memory it may take.
    """
    work = _Order(graph, kernels)
    in_place: dict[int, Tensor] = {}
    for output, place in given.items():
        result, taken = graph.outputs[output], graph.inputs[place]
        if result.type == taken.type and work.overwrite(result, taken):
            in_place[id(result)] = taken
    return Schedule(work.ordered(), in_place)


class _Order:
    def __init__(self, graph: Graph, kernels: Sequence[Kernel]) -> None:
        self.kernels = list(kernels)
        place = {id(node): number for number, node in enumerate(graph.nodes)}
        self.made_by = {
            id(node): number for number, kernel in enumerate(kernels) for node in kernel.nodes
        }
        self.readers: dict[int, set[int]] = {}
        self.before: list[set[int]] = [set() for _ in kernels]
        for number, kernel in enumerate(kernels):
            for base in kernel.reads:
                self.readers.setdefault(id(base), set()).add(number)
                if id(base) in self.made_by:
                    self.before[number].add(self.made_by[id(base)])
        self.rank = [
            max((place.get(id(node), len(place)) for node in kernel.nodes), default=0)
            for kernel in kernels
        ]

    def overwrite(self, result: Tensor, taken: Tensor) -> bool:
        """Let a result take an input's memory, if an order allows it."""
        writer = self.made_by.get(id(result))
        if writer is None or not _reads_plainly(self.kernels[writer], taken):
            return False
        added = self.readers.get(id(taken), set()) - {writer} - self.before[writer]
        self.before[writer] |= added
        if self._has_circle(writer):
            self.before[writer] -= added
            return False
        return True

    def _has_circle(self, start: int) -> bool:
        seen: set[int] = set()
        stack = list(self.before[start])
        while stack:
            number = stack.pop()
            if number == start:
                return True
            if number not in seen:
                seen.add(number)
                stack.extend(self.before[number])
        return False

    def ordered(self) -> list[Kernel]:
        """By the place of each kernel's last node in the graph, as far as reads allow."""
        after: list[list[int]] = [[] for _ in self.kernels]
        missing = [len(before) for before in self.before]
        for number, before in enumerate(self.before):
            for other in before:
                after[other].append(number)
        ready = [(self.rank[n], n) for n in range(len(self.kernels)) if not missing[n]]
        heapq.heapify(ready)
        order: list[Kernel] = []
        while ready:
            _, number = heapq.heappop(ready)
            order.append(self.kernels[number])
            for other in after[number]:
                missing[other] -= 1
                if not missing[other]:
                    heapq.heappush(ready, (self.rank[other], other))
        return order


def _reads_plainly(kernel: Kernel, taken: Tensor) -> bool:
    """Whether a kernel reads a tensor, if at all, only where it writes in the same turn."""
    if kernel.kind != "loop":
        return all(read.base is not taken for node in kernel.nodes for read in reads_of(node))
    return all(
        read.is_plain for node in kernel.nodes for read in reads_of(node) if read.base is taken
    )
