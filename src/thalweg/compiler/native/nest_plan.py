"""Decisions about a loop nest: its axes, which of them stands in lanes, the order of loops."""

from __future__ import annotations

from collections.abc import Sequence

from thalweg.compiler.native.reduce import name_of
from thalweg.compiler.native.text import Module
from thalweg.compiler.passes.fuse import ends_loops
from thalweg.compiler.passes.kernels import Kernel, is_number, reads_of
from thalweg.compiler.passes.space import (
    Leaf,
    Space,
    end_of,
    leaf_of,
    node_reads,
    space_of,
    store_of,
)
from thalweg.graph import Tensor

_SHORT = 8
"""An innermost axis shorter than this leaves the lanes to a longer one."""

_CHEAP = 16
"""Nodes up to which a turn handles several vectors, so that latencies overlap."""


class NestPlan:
    """What is decided about a kernel before it is written.

    Attributes:
        space: the axes.
        leaves: what is read, by node and operand.
        stores: where results go.
        ends: final reductions.
        fused: products that a final sum takes in.
        lane: the axis that stands in lanes, or -1.
        order: axes of the loops, outermost first.
        native: lanes of one vector.
        unroll: vectors that one turn handles.
        divides: whether square roots shall leave the divider alone.
        checks: whether an index may be outside its axis.
    """

    def __init__(
        self, module: Module, kernel: Kernel, vector_bytes: int, has_estimates: bool
    ) -> None:
        self.module = module
        self.kernel = kernel
        self._depths: dict[int, int] = {}
        self.space: Space = space_of(kernel)
        self.own = {id(node) for node in kernel.nodes}
        self.leaves = self._leaves()
        self.stores = {
            id(node): end_of(node, self.space)
            if self._ends(node)
            else store_of(node, kernel, self.space)
            for node in kernel.outputs
        }
        self.ends = [n for n in kernel.nodes if self._ends(n)]
        self.fused = self._fused_products()
        self.chooses = any(name_of(node) == "argmax" for node in self.ends)
        self.bases = (*kernel.reads, *kernel.outputs)
        self.lane = self._lane_axis()
        self.order = self._loop_order()
        self.native = vector_bytes // self._lane_bytes()
        self.unroll = self._unroll()
        self.divides = has_estimates and any(name_of(node) == "div" for node in kernel.nodes)
        self.checks = any(name_of(node) == "gather" for node in kernel.nodes)

    # -------------------------------------------------------------- decisions

    def _ends(self, node: Tensor) -> bool:
        return ends_loops(node, self.kernel.size, self.kernel.columns)

    def _leaves(self) -> dict[tuple[int, int], Leaf]:
        found: dict[tuple[int, int], Leaf] = {}
        for node in self.kernel.nodes:
            for place, item in enumerate(node_reads(node)):
                if id(item.base) not in self.own and not is_number(item.base):
                    found[id(node), place] = leaf_of(item, self.kernel, self.space)
        return found

    def _fused_products(self) -> set[int]:
        """Float products that nothing reads but one sum, which takes them in by fma."""
        uses: dict[int, list[Tensor]] = {}
        for node in self.kernel.nodes:
            for item in reads_of(node):
                uses.setdefault(id(item.base), []).append(node)
        return {
            id(node)
            for node in self.kernel.nodes
            if name_of(node) == "mul"
            and node.type.is_float
            and id(node) not in self.stores
            and all(name_of(user) == "reduce_sum" and self._ends(user) for user in uses[id(node)])
        }

    def _lane_bytes(self) -> int:
        sizes = {node.dtype.itemsize for node in self.kernel.nodes}
        return 8 if sizes <= {8} else 4

    def _lane_axis(self) -> int:
        """The axis that stands in lanes, or -1."""
        space = self.space
        axes = range(len(space.lengths) - (1 if space.columns else 0))
        if self.chooses:
            axes = [axis for axis in axes if not space.reduced[axis]]
        if not axes:
            return -1
        best = axes[-1]
        longest = max(axes, key=lambda axis: space.lengths[axis])
        is_short = space.lengths[best] < _SHORT
        return longest if is_short and space.lengths[longest] >= 2 * _SHORT else best

    def _loop_order(self) -> list[int]:
        """Kept axes, then reduced ones; in each group the lanes are innermost."""
        space = self.space
        count = len(space.lengths) - (1 if space.columns else 0)
        return sorted(range(count), key=lambda axis: (space.reduced[axis], axis == self.lane, axis))

    def _unroll(self) -> int:
        if self.lane < 0:
            return 1
        work = len(self.kernel.nodes) * max(self.space.columns, 1)
        length = self.space.lengths[self.lane]
        wanted = 4 if work <= 4 else 2 if work <= _CHEAP else 1
        while wanted > 1 and length < wanted * self.native:
            wanted //= 2
        return wanted

    @property
    def is_flat(self) -> bool:
        """Whether one loop is all there is, so that equal code serves every length."""
        return len(self.order) == 1

    def _depth(self, strides: Sequence[int]) -> int:
        """In how many loops a leaf stands."""
        places = [place + 1 for place, axis in enumerate(self.order) if strides[axis]]
        return max(places, default=0)

    def _store_depth(self, node: Tensor) -> int:
        return max(self._depth(self.stores[id(node)].strides), self._node_depth(node))

    def _node_depth(self, node: Tensor) -> int:
        known = self._depths
        if id(node) not in known:
            depth = 0
            for place, item in enumerate(node_reads(node)):
                if id(item.base) in self.own:
                    producer = next(n for n in self.kernel.nodes if n is item.base)
                    depth = max(depth, self._node_depth(producer))
                elif not is_number(item.base):
                    depth = max(depth, self._depth(self.leaves[id(node), place].strides))
            if id(node) in self.stores and not self._ends(node):
                depth = max(depth, self._depth(self.stores[id(node)].strides))
            known[id(node)] = depth
        return known[id(node)]
