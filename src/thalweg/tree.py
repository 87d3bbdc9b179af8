"""Nested containers of leaves: dictionaries, lists and tuples holding tensors or arrays.

Parameters, gradients and optimiser states are trees; functions over them flatten, work on the
leaves, and build the same shape again::

    tree ::= {key: tree, ...} | [tree, ...] | (tree, ...) | None | leaf
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from thalweg.errors import ShapeError

Tree = Any
"""A leaf, or a dictionary, list or tuple of trees; ``None`` holds no leaf."""


@dataclass(frozen=True)
class Structure:
    """The shape of a tree without its leaves."""

    kind: str
    keys: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()
    build: Callable[[list[Any]], Any] | None = None

    @property
    def leaf_count(self) -> int:
        """How many leaves a tree of this structure has."""
        if self.kind == "leaf":
            return 1
        return sum(child.leaf_count for child in self.children)


_LEAF = Structure("leaf")


def flatten(tree: Tree) -> tuple[list[Any], Structure]:
    """The leaves of a tree from left to right, and its structure.

    >>> flatten({"a": 1, "b": (2, 3)})[0]
    [1, 2, 3]
    """
    leaves: list[Any] = []
    return leaves, _collect(tree, leaves)


def _collect(tree: Tree, leaves: list[Any]) -> Structure:
    if tree is None:
        return Structure("none")
    if isinstance(tree, dict):
        mapping = cast("dict[Any, Any]", tree)
        children = tuple(_collect(child, leaves) for child in mapping.values())
        return Structure("dict", tuple(mapping), children)
    if isinstance(tree, (list, tuple)):
        items = cast("list[Any]", tree)
        children = tuple(_collect(child, leaves) for child in items)
        return Structure(type(items).__name__, (), children, _builder(items))
    leaves.append(tree)
    return _LEAF


def _builder(items: list[Any] | tuple[Any, ...]) -> Callable[[list[Any]], Any]:
    cls = type(items)
    if hasattr(cls, "_fields"):
        return lambda values: cls(*values)
    return cls


def unflatten(structure: Structure, leaves: list[Any]) -> Tree:
    """The tree of this structure with these leaves.

    Raises:
        ShapeError: when the number of leaves differs from the structure's.
    """
    if len(leaves) != structure.leaf_count:
        raise ShapeError(f"expected {structure.leaf_count} leaves, got {len(leaves)}")
    return _build(structure, iter(leaves))


def _build(structure: Structure, leaves: Iterator[Any]) -> Tree:
    if structure.kind == "leaf":
        return next(leaves)
    if structure.kind == "none":
        return None
    children = [_build(child, leaves) for child in structure.children]
    if structure.kind == "dict":
        return dict(zip(structure.keys, children, strict=True))
    assert structure.build is not None
    return structure.build(children)


def same_structure(first: Structure, second: Structure) -> bool:
    """Whether two structures have the same containers and keys."""
    return (
        first.kind == second.kind
        and first.keys == second.keys
        and len(first.children) == len(second.children)
        and all(map(same_structure, first.children, second.children))
    )


def map_tree(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Apply a function to the leaves of one tree, or of several trees of one structure.

    >>> map_tree(lambda a, b: a + b, {"w": 1, "b": 2}, {"w": 10, "b": 20})
    {'w': 11, 'b': 22}
    """
    leaves, structure = flatten(tree)
    columns = [leaves]
    for other in others:
        values, shape = flatten(other)
        if not same_structure(structure, shape):
            raise ShapeError("the trees differ in structure")
        columns.append(values)
    return unflatten(structure, [function(*row) for row in zip(*columns, strict=True)])


def leaf_paths(tree: Tree, prefix: str = "") -> list[str]:
    """The path of each leaf, keys joined by dots.

    >>> leaf_paths({"hidden": {"weight": 1, "bias": 2}})
    ['hidden.weight', 'hidden.bias']
    """
    if tree is None:
        return []
    if isinstance(tree, dict):
        pairs = [(str(key), child) for key, child in cast("dict[Any, Any]", tree).items()]
    elif isinstance(tree, (list, tuple)):
        names = getattr(tree, "_fields", None) or range(len(cast("list[Any]", tree)))
        pairs = [
            (str(key), child) for key, child in zip(names, cast("list[Any]", tree), strict=True)
        ]
    else:
        return [prefix]
    joined = [(f"{prefix}.{key}" if prefix else key, child) for key, child in pairs]
    return [path for key, child in joined for path in leaf_paths(child, key)]
