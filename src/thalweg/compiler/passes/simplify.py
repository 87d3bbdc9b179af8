"""Simplification: constants folded, rules applied, equal nodes merged, dead nodes dropped.

The result is a graph to run: marks that only differentiation reads are gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from thalweg.compiler.passes.rules import RULES, Rule, uniform_constant
from thalweg.errors import SettingError
from thalweg.graph import (
    Graph,
    Source,
    Tensor,
    apply,
    constant,
    defer,
    is_constant,
    labelled,
    source_of,
    type_of,
)

_SMALL = 64
_LIMIT = 100

PASSES = ("fold-constants", "merge-equal", "uniform-constant")
"""What simplification does besides the rules of the table."""


class Simplified(NamedTuple):
    """A simplified graph, and how often each rule fired."""

    graph: Graph
    fired: Counter[str]


def simplify(
    graph: Graph, disabled: Collection[str] = (), rules: Sequence[Rule] = RULES
) -> Simplified:
    """An equal graph with less to compute.

    Args:
        graph: any graph; it is left as it is.
        disabled: names of rules to leave out, besides those of the table also ``fold-constants``
            (compute what depends on constants alone), ``merge-equal`` (compute equal nodes once)
            and ``uniform-constant`` (store an array of one number as the number).
        rules: the table; of rules for one primitive, the first that fires is applied.

    Returns:
        The new graph (same inputs, same outputs in value) and the count of each rule's uses.

    Raises:
        SettingError: a name in ``disabled`` is no rule.
    """
    refuse_unknown(disabled, rules)
    work = _Simplifier(disabled, rules)
    for tensor in graph.inputs:
        work.settle(tensor, tensor)
    for node in graph.nodes:
        with labelled(*node.label):
            work.simplified(node)
    outputs = tuple(work.simplified(tensor) for tensor in graph.outputs)
    return Simplified(Graph(graph.inputs, outputs), work.fired)


def refuse_unknown(disabled: Iterable[str], rules: Iterable[Rule]) -> None:
    """Raise a SettingError unless every name is a rule's or one of ``PASSES``."""
    known = {rule.name for rule in rules} | set(PASSES)
    unknown = sorted(set(disabled) - known)
    if unknown:
        raise SettingError(f"no rule is called {unknown[0]!r}; known: {', '.join(sorted(known))}")


class _Simplifier:
    """One pass over one graph.

    Attributes:
        done: by identity, what a tensor has become; what is done is its own result.
        known: by how a node is made, the first node made so.
    """

    def __init__(self, disabled: Collection[str], rules: Iterable[Rule]) -> None:
        self.disabled = frozenset(disabled)
        self.rules = _by_primitive(self.disabled, rules)
        self.make = defer if "fold-constants" in self.disabled else apply
        self.done: dict[int, Tensor] = {}
        self.kept: list[Tensor] = []
        self.known: dict[Any, Tensor] = {}
        self.fired: Counter[str] = Counter()

    def settle(self, tensor: Tensor, result: Tensor) -> None:
        """Remember what a tensor has become (and keep both, so that identities stay unique)."""
        self.kept += (tensor, result)
        self.done[id(tensor)] = self.done[id(result)] = result

    def simplified(self, tensor: Tensor) -> Tensor:
        """What a tensor has become."""
        if id(tensor) not in self.done:
            self.settle(tensor, self.rewrite(tensor))
        return self.done[id(tensor)]

    def rewrite(self, tensor: Tensor) -> Tensor:
        """Apply rules until none fires, then share the node with an equal one."""
        for _ in range(_LIMIT):
            if id(tensor) in self.done:
                return self.done[id(tensor)]
            tensor = self.over_simplified(tensor)
            replaced = self.step(tensor)
            if replaced is None:
                break
            tensor = replaced
        return self.constant(tensor) if is_constant(tensor) else self.merged(tensor)

    def over_simplified(self, tensor: Tensor) -> Tensor:
        """The node over simplified inputs; computed at once where all of them are constants."""
        if is_constant(tensor):
            return tensor
        source = source_of(tensor)
        inputs = tuple(self.simplified(item) for item in source.inputs)
        is_same = all(new is old for new, old in zip(inputs, source.inputs, strict=True))
        is_open = tensor.value is not None or not all(map(is_constant, inputs))
        if is_same and (is_open or "fold-constants" in self.disabled):
            return tensor
        result = self.make(source.primitive, inputs, source.parameters)
        if result.value is not None and tensor.value is None:
            self.fired["fold-constants"] += 1
        return result

    def step(self, tensor: Tensor) -> Tensor | None:
        """The tensor after the first rule that fires."""
        if is_constant(tensor):
            return None
        for rule in self.rules.get(source_of(tensor).primitive.name, ()):
            replaced = rule.rewrite(tensor)
            if replaced is not None:
                self.fired[rule.name] += 1
                return replaced
        return None

    def constant(self, tensor: Tensor) -> Tensor:
        """A constant, repeated from one number where it can be, shared with an equal one."""
        array = tensor.numpy()
        if "uniform-constant" not in self.disabled:
            uniform = uniform_constant(tensor)
            if uniform is not None:
                self.fired["uniform-constant"] += 1
                return self.simplified(uniform)
        plain = tensor if tensor.source is None else constant(array)
        if array.size > _SMALL or "merge-equal" in self.disabled:
            return plain
        return self.known.setdefault((type_of(array), array.tobytes()), plain)

    def merged(self, tensor: Tensor) -> Tensor:
        """The first tensor made the same way."""
        if "merge-equal" in self.disabled:
            return tensor
        first = self.known.setdefault(_key(source_of(tensor)), tensor)
        if first is not tensor:
            self.fired["merge-equal"] += 1
        return first


_COMMUTATIVE = frozenset({"add", "mul", "eq", "ne", "and", "or", "xor"})


def _key(source: Source) -> Any:
    """How a node is made. Numbers stand as text, which tells 0.0 from -0.0."""
    primitive, inputs, parameters = source
    places = map(id, inputs)
    written = tuple(
        (name, repr(value) if isinstance(value, float) else value)
        for name, value in parameters.items()
    )
    order = sorted(places) if primitive.name in _COMMUTATIVE else places
    return primitive.name, tuple(order), written


def _by_primitive(disabled: frozenset[str], rules: Iterable[Rule]) -> dict[str, list[Rule]]:
    table: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.name not in disabled:
            for primitive in rule.primitives:
                table.setdefault(primitive, []).append(rule)
    return table
