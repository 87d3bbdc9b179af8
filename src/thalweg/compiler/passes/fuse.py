"""Fusion: a graph cut into kernels, so that as little as possible goes through memory.

First every matrix product takes in what may follow it in registers (bias, activation, mask). Then
loops are joined along their edges, wherever both walk over the same elements in the same order:
elementwise chains, the reductions that end them, and rows of few columns with everything that is
computed from row sums and row maxima (softmax and cross entropy are one kernel).
"""

from __future__ import annotations

from collections.abc import Iterator

from thalweg.compiler.passes.kernels import (
    LOOPS,
    Kernel,
    Pattern,
    Pool,
    Read,
    is_computed,
    is_number,
    is_reduction,
    is_stored,
    pattern_of,
    reads_of,
    users,
)
from thalweg.compiler.passes.pools import pool_over
from thalweg.compiler.passes.space import cuts_of, joined_cuts
from thalweg.graph import Graph, Shape, Tensor, source_of

MOST_COLUMNS = 16
"""Columns of a row that may be computed one after the other while rows stand in lanes."""

MOST_NODES = 400
"""Nodes of a kernel, counted once for each column."""

PRODUCTS = frozenset({"matmul", "convolve", "convolve_input"})
"""Primitives whose results stand in registers, so that more can be computed with them there."""

EPILOGUE = 10
"""Nodes that may follow a product in registers."""

BEFORE = 6
"""Nodes that may come before the gradient of a convolution for its weights."""

FEWEST_ROWS = 16
"""Rows of a batch from which that gradient has lanes over rows, whatever the machine."""

LONGEST_LINE = 1 << 20
"""Bytes of a line of results up to which a thread holds one in order."""

WINDOWED = 40
"""Nodes that may follow a convolution over windows of its places."""

_HEAVY = frozenset(
    ["exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "logistic", "erf", "pow", "gather"]
)


def fuse(graph: Graph) -> list[Kernel]:
    """The kernels of a prepared graph, in no order."""
    return _Fusion(graph).kernels()


class _Fusion:
    """Kernels being joined.

    Attributes:
        owner: by identity of a node, the number of its kernel.
        before, after: for each kernel, the kernels that it depends on and that depend on it, as
            bits of a whole number.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = [node for node in graph.nodes if is_computed(node) and node.size]
        self.users = users(graph)
        self.results = {id(tensor) for tensor in graph.outputs}
        self.made: dict[int, Kernel] = {}
        self.owner: dict[int, int] = {}
        self.before: dict[int, int] = {}
        self.after: dict[int, int] = {}

    def kernels(self) -> list[Kernel]:
        for node in self.nodes:
            self._alone(node)
        for node in self.nodes:
            if source_of(node).primitive.name in PRODUCTS:
                self._grow_epilogue(node)
        for node in self.nodes:
            if source_of(node).primitive.name == "convolve":
                self._grow_windows(node)
            elif source_of(node).primitive.name == "convolve_weight":
                self._grow_before(node)
        for node in self.nodes:
            for read in reads_of(node):
                if id(read.base) in self.owner:
                    self._try_join(self.owner[id(read.base)], self.owner[id(node)])
        self._join_neighbours()
        place = {id(node): index for index, node in enumerate(self.nodes)}
        for kernel in self.made.values():
            kernel.nodes.sort(key=lambda node: place[id(node)])
            kernel.outputs = [node for node in kernel.nodes if self._is_needed(node, kernel)]
        return list(self.made.values())

    # -------------------------------------------------------------- the beginning

    def _alone(self, node: Tensor) -> None:
        number = len(self.owner)
        self.owner[id(node)] = number
        self.made[number] = kernel = _single(node)
        if kernel.kind == "loop":
            kernel.cuts = cuts_of(kernel)
        self.before[number] = self.after[number] = 0
        for read in reads_of(node):
            other = self.owner.get(id(read.base))
            if other is not None:
                self.before[number] |= self.before[other] | 1 << other
        for other in _bits(self.before[number]):
            self.after[other] |= 1 << number

    def _is_needed(self, node: Tensor, kernel: Kernel) -> bool:
        inside = {id(item) for item in kernel.nodes}
        outside = any(id(user) not in inside for user in self.users.get(id(node), ()))
        return outside or id(node) in self.results

    # -------------------------------------------------------------- joining two kernels

    def _join_neighbours(self) -> None:
        """Join loops that read the same elements, and those over a single number."""
        groups: dict[object, list[int]] = {}
        for node in self.nodes:
            number = self.owner[id(node)]
            if node.size == 1:
                groups.setdefault("numbers", []).append(number)
            for read in reads_of(node):
                if is_stored(read.base) and read.is_plain and read.base.size > 1:
                    groups.setdefault(id(read.base), []).append(number)
        for numbers in groups.values():
            present = list(dict.fromkeys(number for number in numbers if number in self.made))
            for number in present[1:]:
                if present[0] in self.made and number in self.made:
                    self._try_join(present[0], number)

    def _has_way_round(self, first: int, second: int) -> bool:
        """Whether a third kernel lies between two."""
        both = 1 << first | 1 << second
        between = (self.after[first] & self.before[second]) | (
            self.after[second] & self.before[first]
        )
        return bool(between & ~both)

    def _join(self, kept: int, gone: int) -> None:
        both = 1 << kept | 1 << gone
        before = (self.before[kept] | self.before[gone]) & ~both
        after = (self.after[kept] | self.after[gone]) & ~both
        for number in _bits(before):
            self.after[number] = (self.after[number] & ~(1 << gone)) | after | 1 << kept
        for number in _bits(after):
            self.before[number] = (self.before[number] & ~(1 << gone)) | before | 1 << kept
        self.before[kept], self.after[kept] = before, after
        for node in self.made[gone].nodes:
            self.owner[id(node)] = kept
        self.made[kept].nodes += self.made[gone].nodes
        del self.made[gone], self.before[gone], self.after[gone]

    def _try_join(self, first: int, second: int) -> None:
        if first == second:
            return
        one, two = self.made[first], self.made[second]
        if one.kind != "loop" or two.kind != "loop" or self._has_way_round(first, second):
            return
        joined = _joined_space(one, two)
        if joined is None or not self._edges_fit(one, two, joined):
            return
        self._join(first, second)
        one.size, one.columns, one.reduced = joined.size, joined.columns, joined.reduced
        one.cuts = joined.cuts

    def _edges_fit(self, one: Kernel, two: Kernel, joined: Kernel) -> bool:
        """Whether each kernel reads the other's results element by element, in its own place."""
        for reader, other in ((two, one), (one, two)):
            produced = {id(node) for node in other.nodes}
            for node in reader.nodes:
                for place, read in enumerate(reads_of(node)):
                    if id(read.base) in produced and not _fits(node, place, read, joined):
                        return False
        return True

    # -------------------------------------------------------------- products

    def _grow_epilogue(self, product: Tensor) -> None:
        """Take in what follows a product, where that is little and ends in one or two results."""
        number = self.owner[id(product)]
        region = [product]
        prefix = 1
        for node in self._followers(region, number):
            region.append(node)
            if len(self._leaving(region)) == 1:
                prefix = len(region)
        if len(region) <= EPILOGUE and len(self._leaving(region)) <= 2:
            prefix = len(region)
        for node in region[1:prefix]:
            self._join(number, self.owner[id(node)])

    def _grow_windows(self, product: Tensor) -> None:
        """Take in windows over the places of a convolution, which then are stored no more."""
        number = self.owner[id(product)]
        kernel = self.made[number]
        leaving = self._leaving(kernel.nodes)
        if len(leaving) != 1 or id(leaving[0]) in self.results:
            return
        pool = pool_over(leaving[0], self.users[id(leaving[0])])
        if pool is None or leaving[0].dtype != product.dtype:
            return
        region = leaving
        prefix = 0
        for node in self._followers(region, number, pool):
            region.append(node)
            if len(region) > WINDOWED:
                break
            leaving = self._leaving(region)
            if len(leaving) <= 3 and leaving[0] is not region[0]:
                prefix = len(region)
        if prefix:
            kernel.pool = pool
            for node in region[1:prefix]:
                self._join(number, self.owner[id(node)])

    def _grow_before(self, product: Tensor) -> None:
        """Take in what computes the results of a convolution's gradient for its weights.

        That gradient puts lines of results in order before it reads them, so what is light and
        needed nowhere else is computed on the way (see ``native/results_line.py``).
        """
        source, item = reads_of(product)
        line = item.operand.type.bytes // max(item.operand.shape[0], 1)
        fits = item.operand.shape[-1] >= FEWEST_ROWS and line <= LONGEST_LINE
        if not fits or not self._splits(item):
            return
        inside = {id(product)}
        region: list[Tensor] = []
        waiting = [item.base]
        while waiting:
            node = waiting.pop()
            is_new = id(node) not in inside and node is not source.base
            if is_new and self._may_precede(node, item.base.shape, inside):
                inside.add(id(node))
                region.append(node)
                waiting += [read.base for read in reads_of(node)]
        if 0 < len(region) <= BEFORE:
            for node in region:
                self._join(self.owner[id(product)], self.owner[id(node)])

    def _splits(self, item: Read) -> bool:
        """Whether what is read has the operand's axes, or has its first two cut into two each."""
        shape, whole = item.base.shape, item.operand.shape
        return shape == whole or (
            len(shape) == 6 and (shape[0] * shape[1], shape[2] * shape[3], *shape[4:]) == whole
        )

    def _may_precede(self, node: Tensor, shape: Shape, inside: set[int]) -> bool:
        """Whether a node is light, reads by place, map and row, and is read in order, inside."""
        if id(node) not in self.owner or id(node) in self.results or node.shape != shape:
            return False
        readers = self.users.get(id(node), ())
        if not self._is_light(node) or any(id(reader) not in inside for reader in readers):
            return False
        back = [read for reader in readers for read in reads_of(reader) if read.base is node]
        return all(read.is_plain for read in back) and all(
            read.operand.ndim == len(shape)
            and (is_stored(read.base) or not read.access.strides[-1])
            for read in reads_of(node)
            if read.operand.shape
        )

    def _is_light(self, node: Tensor) -> bool:
        """Whether a node is cheap and stands alone so far."""
        primitive = source_of(node).primitive
        is_alone = len(self.made[self.owner[id(node)]].nodes) == 1
        return primitive.kind == "elementwise" and primitive.name not in _HEAVY and is_alone

    def _followers(
        self, region: list[Tensor], number: int, pool: Pool | None = None
    ) -> Iterator[Tensor]:
        """Nodes that may join a growing region, one after the other (the caller adds them)."""
        product = region[0]
        shape = product.shape if pool is None else (*pool.places, *product.shape[2:])
        inside = {id(product)}
        for node in self.nodes:
            reads = reads_of(node) if self._may_follow(node, shape) else []
            own = [read for read in reads if id(read.base) in inside]
            plain = (read for read in own if pool is None or read.base is not product)
            if not own or not all(read.is_plain for read in plain):
                continue
            others = [read for read in reads if id(read.base) not in inside]
            if all(self._is_cheap(read, product, number, inside) for read in others):
                inside.add(id(node))
                yield node

    def _may_follow(self, node: Tensor, shape: Shape) -> bool:
        ends = [user for user in self.users.get(id(node), ()) if not is_reduction(user)]
        leads_on = bool(ends) or id(node) in self.results
        return leads_on and node.shape == shape and self._is_light(node)

    def _is_cheap(self, read: Read, product: Tensor, number: int, inside: set[int]) -> bool:
        """Whether another operand may be read while results stand in registers."""
        if not is_stored(read.base):
            return is_number(read.base)
        owner = self.owner.get(id(read.base))
        if owner is None:
            return read.base.size < product.size or product.size == 1
        return owner != number and not self._depends(owner, number, inside)

    def _depends(self, owner: int, number: int, inside: set[int]) -> bool:
        growing = [number, *(self.owner[place] for place in inside)]
        return any(self.before[owner] >> other & 1 or owner == other for other in growing)

    def _leaving(self, region: list[Tensor]) -> list[Tensor]:
        inside = {id(node) for node in region}
        return [
            node
            for node in region
            if id(node) in self.results
            or any(id(user) not in inside for user in self.users.get(id(node), ()))
        ]


def _bits(number: int) -> Iterator[int]:
    while number:
        low = number & -number
        yield low.bit_length() - 1
        number ^= low


def _single(node: Tensor) -> Kernel:
    primitive, inputs, _ = source_of(node)
    if primitive.name in PRODUCTS:
        return Kernel("product", [node], node.size)
    if is_reduction(node):
        return _reduction(node, inputs[0].size)
    if primitive.name == "identity" and node.ndim >= 2 and _is_transposed(reads_of(node)[0]):
        return Kernel("transpose", [node], node.size)
    if primitive.kind == "elementwise" or primitive.name in LOOPS:
        return Kernel("loop", [node], node.size)
    return Kernel(primitive.name, [node], node.size)


def _is_transposed(read: Read) -> bool:
    """Whether a copy exchanges rows and columns, each long enough for square blocks."""
    rows, columns = read.operand.shape[-2:]
    by_row, by_column = read.access.strides[-2:]
    is_wide = read.operand.dtype.itemsize >= 4
    return is_wide and by_row == 1 and by_column >= rows > 1 < columns and is_stored(read.base)


def _reduction(node: Tensor, size: int) -> Kernel:
    pattern = pattern_of(node)
    is_sum_of_row = len(pattern) == 2 and pattern[1][1] and pattern[1][0] <= MOST_COLUMNS
    if is_sum_of_row and source_of(node).primitive.name != "argmax":
        return Kernel("loop", [node], size, columns=pattern[1][0])
    return Kernel("loop", [node], size, reduced=pattern)


# ---------------------------------------------------------------------- spaces


def _joined_space(one: Kernel, two: Kernel) -> Kernel | None:
    """The space in which both kernels fit, without nodes."""
    big, small = (one, two) if one.size >= two.size else (two, one)
    columns = big.columns
    if big.size == small.size:
        if big.columns and small.columns and big.columns != small.columns:
            return None
        columns = big.columns or small.columns
    else:
        ratio, rest = divmod(big.size, small.size)
        is_row = not rest and small.size > 1 and ratio <= MOST_COLUMNS and not small.columns
        if not is_row or columns not in {0, ratio}:
            return None
        columns = ratio
    nodes = len(one.nodes) + len(two.nodes)
    if nodes * max(columns, 1) > MOST_NODES:
        return None
    reduced = _joined_pattern(one, two, big.size, columns)
    if reduced == ():
        return None
    cuts = joined_cuts(one, two, columns)
    return None if cuts is None else Kernel("loop", [], big.size, columns, reduced, cuts=cuts)


def _joined_pattern(one: Kernel, two: Kernel, size: int, columns: int) -> Pattern | None:
    """The common pattern of what ends the loops; () where there is none."""
    patterns = [kernel.reduced for kernel in (one, two) if kernel.reduced is not None]
    if any(_chooses(node) for kernel in (one, two) for node in kernel.nodes):
        return ()
    if not patterns:
        return None
    if not columns:
        return patterns[0] if all(item == patterns[0] for item in patterns) else ()
    rows = size // columns
    allowed = {((size, True),), ((rows, True),), ((rows, True), (columns, False))}
    return ((rows, True),) if all(item in allowed for item in patterns) else ()


def _chooses(node: Tensor) -> bool:
    return source_of(node).primitive.name == "argmax"


def level(node: Tensor, size: int) -> bool:
    """Whether a node has an element for each element of the space, not only for each row."""
    return node.size == size


def is_row_reduction(node: Tensor, size: int, columns: int) -> bool:
    """Whether a node sums up each row of a space of rows."""
    if not (columns and is_reduction(node)) or source_of(node).inputs[0].size != size:
        return False
    pattern = pattern_of(node)
    return pattern == ((size // columns, False), (columns, True))


def ends_loops(node: Tensor, size: int, columns: int) -> bool:
    """Whether a node is known only after the loops."""
    return is_reduction(node) and not is_row_reduction(node, size, columns)


def _fits(node: Tensor, place: int, read: Read, joined: Kernel) -> bool:
    """Whether an operand is there, in a register, when a node of the joined kernel needs it."""
    size, columns = joined.size, joined.columns
    if ends_loops(read.base, size, columns) if is_reduction(read.base) else False:
        return False
    if source_of(node).primitive.name == "gather":
        return False
    if read.is_plain:
        return True
    is_full = read.operand.size == size
    return bool(columns) and is_full and read.repeats_rows(columns)
