"""The passes over a graph that is to be run, in order."""

from __future__ import annotations

from collections.abc import Collection

from thalweg.compiler.passes.simplify import Simplified, simplify
from thalweg.graph import Graph


def optimise(graph: Graph, disabled: Collection[str] = ()) -> Simplified:
    """Simplify and stabilise a graph; counts each rule's uses."""
    return simplify(graph, disabled)
