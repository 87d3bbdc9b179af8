"""Nested containers of leaves: dictionaries, lists and tuples holding tensors or arrays.

Parameters, gradients and optimiser states are trees; functions over them flatten, work on the
leaves, and build the same shape again::

    tree ::= {key: tree, ...} | [tree, ...] | (tree, ...) | None | leaf
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from thalweg.errors import ShapeError

Tree = Any
"""A leaf, or a dictionary, list or tuple of trees; ``None`` holds no leaf."""


@dataclass(frozen=True)
class Structure:
    """The shape of a tree without its leaves.

    Attributes:
        container: the class of the container; ``None`` for a leaf, ``NoneType`` for ``None``.
        keys: the keys of a dictionary, or the names of a named tuple's fields.
        children: the structures of what it contains.
    """

    container: type[Any] | None
    keys: tuple[Any, ...] = ()
    children: tuple[Structure, ...] = ()
    leaf_count: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Count the leaves."""
        own = 1 if self.container is None else sum(child.leaf_count for child in self.children)
        object.__setattr__(self, "leaf_count", own)

    def __str__(self) -> str:
        if self.container is None:
            return "leaf"
        if self.container is dict:
            return f"dictionary of {', '.join(map(repr, self.keys)) or 'nothing'}"
        if self.container is type(None):
            return "None"
        return f"{self.container.__name__} of {len(self.children)}"


_LEAF = Structure(None)
_NONE = Structure(type(None))


def flatten(tree: Tree) -> tuple[list[Any], Structure]:
    """The leaves of a tree from left to right, and its structure.

    >>> flatten({"a": 1, "b": (2, 3)})[0]
    [1, 2, 3]
    """
    leaves: list[Any] = []
    return leaves, _collect(tree, leaves)


def _collect(tree: Tree, leaves: list[Any]) -> Structure:
    if tree is None:
        return _NONE
    if isinstance(tree, dict):
        mapping = cast("dict[Any, Any]", tree)
        children = tuple(_collect(child, leaves) for child in mapping.values())
        return Structure(dict, tuple(mapping), children)
    if isinstance(tree, (list, tuple)):
        items = cast("list[Any]", tree)
        children = tuple(_collect(child, leaves) for child in items)
        return Structure(type(items), getattr(items, "_fields", ()), children)
    leaves.append(tree)
    return _LEAF


def unflatten(structure: Structure, leaves: list[Any]) -> Tree:
    """The tree of this structure with these leaves.

    Raises:
        ShapeError: when the number of leaves differs from the structure's.
    """
    if len(leaves) != structure.leaf_count:
        raise ShapeError(f"expected {structure.leaf_count} leaves, got {len(leaves)}")
    return _build(structure, iter(leaves))


def _build(structure: Structure, leaves: Iterator[Any]) -> Tree:
    if structure.container is None:
        return next(leaves)
    if structure.container is type(None):
        return None
    children = [_build(child, leaves) for child in structure.children]
    if structure.container is dict:
        return dict(zip(structure.keys, children, strict=True))
    if hasattr(structure.container, "_fields"):
        return structure.container(*children)
    return structure.container(children)


def difference(first: Structure, second: Structure, path: str = "") -> str | None:
    """Where two structures differ first, in words; ``None`` where they do not."""
    alone = (first.container, first.keys, len(first.children))
    if alone != (second.container, second.keys, len(second.children)):
        return f"{path or 'the tree'}: expected {first}, got {second}"
    names = first.keys or range(len(first.children))
    for name, one, other in zip(names, first.children, second.children, strict=True):
        found = difference(one, other, f"{path}.{name}" if path else str(name))
        if found is not None:
            return found
    return None


def map_tree(function: Callable[..., Any], tree: Tree, *others: Tree) -> Tree:
    """Apply a function to the leaves of one tree, or of several trees of one structure.

    Raises:
        ShapeError: naming the first place where the structures differ.

    >>> map_tree(lambda a, b: a + b, {"w": 1, "b": 2}, {"w": 10, "b": 20})
    {'w': 11, 'b': 22}
    """
    leaves, structure = flatten(tree)
    columns = [leaves]
    for other in others:
        values, shape = flatten(other)
        found = difference(structure, shape)
        if found is not None:
            raise ShapeError(f"the trees differ in structure at {found}")
        columns.append(values)
    return unflatten(structure, [function(*row) for row in zip(*columns, strict=True)])


def leaf_paths(tree: Tree, prefix: str = "") -> list[str]:
    """The path of each leaf, keys joined by dots.

    >>> leaf_paths({"hidden": {"weight": 1, "bias": 2}})
    ['hidden.weight', 'hidden.bias']
    """
    return _paths(flatten(tree)[1], prefix)


def _paths(structure: Structure, prefix: str) -> list[str]:
    if structure.container is None:
        return [prefix]
    names = structure.keys or range(len(structure.children))
    pairs = zip(names, structure.children, strict=True)
    joined = [(f"{prefix}.{key}" if prefix else str(key), child) for key, child in pairs]
    return [path for key, child in joined for path in _paths(child, key)]
