"""Simplification: constants folded, rules applied, equal nodes merged, dead nodes dropped.

The result is a graph to run: marks that only differentiation reads are gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

from thalweg.compiler.passes.rules import RULES, Rule, uniform_constant
from thalweg.graph import Graph, Source, Tensor, apply, labelled

_SMALL = 64
_LIMIT = 100


class Simplified(NamedTuple):
    """A simplified graph, and how often each rule fired."""

    graph: Graph
    fired: Counter[str]


def simplify(graph: Graph, disabled: Collection[str] = ()) -> Simplified:
    """An equal graph with less to compute.

    Args:
        graph: any graph; it is left as it is.
        disabled: names of rules to leave out, besides those of the table also ``fold-constants``
            and ``merge-equal``.

    Returns:
        The new graph (same inputs, same outputs in value) and the count of each rule's uses.
    """
    work = _Simplifier(disabled)
    for tensor in graph.inputs:
        work.now[id(tensor)] = tensor
    for tensor in graph.constants:
        work.now[id(tensor)] = work.constant(tensor)
    for node in graph.nodes:
        with labelled(*node.label):
            work.now[id(node)] = work.node(node)
    outputs = tuple(work.now[id(tensor)] for tensor in graph.outputs)
    return Simplified(Graph(graph.inputs, outputs), work.fired)


class _Simplifier:
    def __init__(self, disabled: Collection[str]) -> None:
        self.disabled = frozenset(disabled)
        self.rules = _by_primitive(self.disabled)
        self.now: dict[int, Tensor] = {}
        self.known: dict[Any, Tensor] = {}
        self.fired: Counter[str] = Counter()

    def constant(self, tensor: Tensor) -> Tensor:
        """A constant, repeated from one number where it can be, shared with an equal one."""
        if "uniform-constant" not in self.disabled:
            uniform = uniform_constant(tensor)
            if uniform is not None:
                self.fired["uniform-constant"] += 1
                return self.rewrite(uniform)
        if tensor.size > _SMALL or "merge-equal" in self.disabled:
            return tensor
        return self.known.setdefault((tensor.type, tensor.numpy().tobytes()), tensor)

    def node(self, node: Tensor) -> Tensor:
        """A node over simplified inputs."""
        assert node.source is not None
        primitive, inputs, parameters = node.source
        inputs = tuple(self.now[id(item)] for item in inputs)
        return self.rewrite(self.build(Source(primitive, inputs, parameters)))

    def build(self, source: Source) -> Tensor:
        """Apply the primitive; all-constant inputs compute at once."""
        result = apply(*source)
        if result.value is not None and result.source is None:
            self.fired["fold-constants"] += 1
            return self.constant(result)
        return result

    def rewrite(self, tensor: Tensor) -> Tensor:
        """Apply rules until none fires, then share the node with an equal one."""
        for _ in range(_LIMIT):
            replaced = self.step(tensor)
            if replaced is None:
                break
            tensor = replaced
        return self.merged(tensor)

    def step(self, tensor: Tensor) -> Tensor | None:
        """The tensor after the first rule that fires."""
        source = tensor.source
        if source is None:
            return None
        for rule in self.rules.get(source.primitive.name, ()):
            replaced = rule.rewrite(source, tensor)
            if replaced is not None:
                self.fired[rule.name] += 1
                return self.inner(replaced)
        return None

    def inner(self, tensor: Tensor) -> Tensor:
        """A replacement whose own new inputs are simplified too."""
        source = tensor.source
        if source is None:
            return self.constant(tensor) if tensor.value is not None else tensor
        inputs = tuple(
            item if self.is_known(item) else self.rewrite(item) for item in source.inputs
        )
        if all(new is old for new, old in zip(inputs, source.inputs, strict=True)):
            return tensor
        return self.build(Source(source.primitive, inputs, source.parameters))

    def is_known(self, tensor: Tensor) -> bool:
        """Whether a tensor is simplified already."""
        return tensor.source is None or self.known.get(_key(tensor)) is tensor

    def merged(self, tensor: Tensor) -> Tensor:
        """The first tensor made the same way."""
        if tensor.source is None or "merge-equal" in self.disabled:
            return tensor
        first = self.known.setdefault(_key(tensor), tensor)
        if first is not tensor:
            self.fired["merge-equal"] += 1
        return first


def _key(tensor: Tensor) -> Any:
    assert tensor.source is not None
    primitive, inputs, parameters = tensor.source
    return primitive.name, tuple(map(id, inputs)), tuple(parameters.items())


def _by_primitive(disabled: frozenset[str]) -> dict[str, list[Rule]]:
    table: dict[str, list[Rule]] = {}
    for rule in RULES:
        if rule.name not in disabled:
            for primitive in rule.primitives:
                table.setdefault(primitive, []).append(rule)
    return table
