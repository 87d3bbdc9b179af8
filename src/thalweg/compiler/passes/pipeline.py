"""The passes over a graph that is to be run, in order."""

from __future__ import annotations

from collections.abc import Collection

from thalweg.compiler.passes.order import ORDER
from thalweg.compiler.passes.rules import RULES
from thalweg.compiler.passes.simplify import PASSES, Simplified, refuse_unknown, simplify
from thalweg.compiler.passes.stabilise import STABLE
from thalweg.graph import Graph


def optimise(graph: Graph, disabled: Collection[str] = ()) -> Simplified:
    """Simplify, then stabilise and simplify what that makes; counts each rule's uses.

    Args:
        graph: any graph; it is left as it is.
        disabled: names of rules of either pass to leave out.

    Raises:
        SettingError: a name in ``disabled`` is no rule.
    """
    refuse_unknown(disabled, [*RULES, *STABLE, *ORDER])
    known = {*(rule.name for rule in RULES), *PASSES}
    graph, first = simplify(graph, known.intersection(disabled))
    graph, second = simplify(graph, disabled, [*STABLE, *ORDER, *RULES])
    return Simplified(graph, first + second)
