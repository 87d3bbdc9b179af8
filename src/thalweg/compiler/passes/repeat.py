"""Work done again where storing its result would cost more than computing it.

A normalised map, say, is the map minus its mean: the mean is known only after the whole map, so the
difference cannot stay in registers, and it is wanted several times. It is computed anew by each of
those who read it, from the map, which is stored anyway.
"""

from __future__ import annotations

from thalweg.compiler.passes.kernels import is_computed
from thalweg.compiler.passes.views import resolve
from thalweg.graph import Graph, Source, Tensor, defer, labelled, source_of

_LIGHT = frozenset({"add", "sub", "mul"})

_LARGE = 2**14
"""Elements from which a result is worth computing twice."""


def repeated(graph: Graph) -> Graph:
    """An equal graph in which light results of large tensors are computed by each reader."""
    again = _worth_repeating(graph)
    if not again:
        return graph
    now: dict[int, Tensor] = {}
    used: set[int] = set()

    def read(item: Tensor) -> Tensor:
        if id(item) not in again or id(item) not in used:
            used.add(id(item))
            return now.get(id(item), item)
        source = source_of(item)
        with labelled(*item.label):
            return defer(source.primitive, tuple(map(read, source.inputs)), source.parameters)

    for node in graph.nodes:
        source = source_of(node)
        inputs = tuple(map(read, source.inputs))
        is_same = all(new is old for new, old in zip(inputs, source.inputs, strict=True))
        with labelled(*node.label):
            now[id(node)] = node if is_same else _made(source, inputs)
    return Graph(graph.inputs, tuple(now.get(id(item), item) for item in graph.outputs))


def _made(source: Source, inputs: tuple[Tensor, ...]) -> Tensor:
    return defer(source.primitive, inputs, source.parameters)


def _worth_repeating(graph: Graph) -> set[int]:
    """Identities of nodes that several others read, and that are cheap to compute from a map."""
    readers: dict[int, list[Tensor]] = {}
    for node in graph.nodes:
        for item in source_of(node).inputs:
            readers.setdefault(id(item), []).append(node)
    kept = {id(item) for item in graph.outputs}
    return {
        id(node)
        for node in graph.nodes
        if node.size >= _LARGE
        and id(node) not in kept
        and len(readers.get(id(node), ())) > 1
        and all(_computes(reader) for reader in readers[id(node)])
        and _is_light(node)
    }


def _computes(node: Tensor) -> bool:
    return source_of(node).primitive.kind in {"elementwise", "reduction"}


def _is_light(node: Tensor) -> bool:
    """Whether a node joins one map with something small that is known only after the map."""
    primitive, inputs, _ = source_of(node)
    if primitive.name not in _LIGHT:
        return False
    bases = [access.base for access in map(resolve, inputs) if access is not None]
    large = [base for base in bases if base.size == node.size]
    small = [base for base in bases if 8 * base.size <= node.size and base.shape]
    if len(bases) < 2 or len(large) != 1 or len(small) != 1 or not is_computed(large[0]):
        return False
    return source_of(large[0]).primitive.kind == "product" and _follows(small[0], large[0])


def _follows(tensor: Tensor, other: Tensor) -> bool:
    """Whether a tensor is computed from another."""
    seen: set[int] = set()
    waiting = [tensor]
    while waiting:
        item = waiting.pop()
        if item is other:
            return True
        if id(item) in seen or item.source is None:
            continue
        seen.add(id(item))
        waiting += item.source.inputs
    return False
