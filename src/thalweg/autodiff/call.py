"""One evaluation of a function with marked inputs: what every derivative starts from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from thalweg.errors import DTypeError, GraphError, ShapeError
from thalweg.graph import Tensor, TensorType, as_tensor, constant, leaf, topological
from thalweg.ops.unary import identity
from thalweg.tree import Structure, Tree, difference, flatten, leaf_paths, unflatten

Function = Callable[..., Any]
Argnums = int | tuple[int, ...]


class Call:
    """One evaluation of a function with marked inputs, ready for differentiation.

    Attributes:
        inputs: the marked leaves of the chosen arguments.
        structure: how they stand in the arguments.
        result: what the function returned.
    """

    def __init__(self, function: Function, arguments: tuple[Any, ...], argnums: Argnums) -> None:
        numbers = (argnums,) if isinstance(argnums, int) else argnums
        count = len(arguments)
        if any(not -count <= number < count for number in numbers):
            raise GraphError(f"argnums {argnums}: the call has {count} arguments")
        if len({number % count for number in numbers}) < len(numbers):
            raise GraphError(f"argnums {argnums} name an argument twice")
        chosen = tuple(arguments[number] for number in numbers)
        tree: Tree = chosen[0] if isinstance(argnums, int) else chosen
        leaves, self.structure = flatten(tree)
        paths = leaf_paths(tree)
        self.inputs = [marked(leaf_, path) for leaf_, path in zip(leaves, paths, strict=True)]
        filled = unflatten(self.structure, list(self.inputs))
        replaced = list(arguments)
        for place, number in enumerate(numbers):
            replaced[number] = filled if isinstance(argnums, int) else filled[place]
        self.result = function(*replaced)

    def tree(self, leaves: Sequence[Any]) -> Tree:
        """Leaves, one for each input, in the structure of the arguments."""
        return unflatten(self.structure, list(leaves))

    def directions(self, tree: Tree, what: str) -> list[Tensor]:
        """The leaves of a tree like the arguments, in the inputs' types.

        Raises:
            ShapeError: when the structure or a shape differs.
        """
        return matching(tree, self.structure, [item.type for item in self.inputs], what)

    def finish(self, tree: Tree) -> Tree:
        """The tree with tensors freed of what only this call tracked."""
        leaves, structure = flatten(tree)
        return unflatten(structure, _released(leaves, self.inputs))


def tensors(tree: Tree) -> tuple[list[Tensor], Structure]:
    """A function's result as tensors, and its structure."""
    leaves, structure = flatten(tree)
    return [as_tensor(item) for item in leaves], structure


def matching(
    tree: Tree, structure: Structure, types: Sequence[TensorType], what: str
) -> list[Tensor]:
    """The leaves of a tree as tensors of these types.

    Raises:
        ShapeError: when the structure or a shape is not the expected one.
    """
    leaves, given = flatten(tree)
    found = difference(structure, given)
    if found is not None:
        raise ShapeError(f"the {what}s differ in structure at {found}")
    return [of_type(item, type_, what) for item, type_ in zip(leaves, types, strict=True)]


def of_type(data: Any, type_: TensorType, what: str) -> Tensor:
    """Data as a tensor of a type.

    Raises:
        ShapeError: when the shape is another.
    """
    tensor = as_tensor(data).astype(type_.dtype)
    if tensor.shape != type_.shape:
        raise ShapeError(f"a {what} has shape {tensor.shape}, expected {type_.shape}")
    return tensor


def marked(data: Any, path: str = "") -> Tensor:
    """Data as a fresh point of the graph.

    Raises:
        DTypeError: it is not floating point.
    """
    tensor = as_tensor(data)
    if not tensor.type.is_float:
        where = f" at {path}" if path else ""
        raise DTypeError(
            f"derivatives need floating-point inputs, got {tensor.type}{where}; "
            "convert with astype, or write 2.0 for 2"
        )
    if tensor.value is not None and not tensor.tracked:
        return leaf(tensor.value)
    return identity(tensor)


def _released(items: Sequence[Any], own: Sequence[Tensor]) -> list[Any]:
    """Eager results without their history, except where an outer derivative needs it."""
    tracked = [
        item for item in items if isinstance(item, Tensor) and item.tracked and not item.is_traced
    ]
    mine = {id(tensor) for tensor in own}
    outer: set[int] = set()
    for node in topological(tracked, lambda _: False):
        if node.source is None:
            needed = node.tracked and id(node) not in mine
        else:
            needed = any(id(item) in outer for item in node.source.inputs)
        if needed:
            outer.add(id(node))
    free = {id(item) for item in tracked if id(item) not in outer}
    return [constant(item.value) if id(item) in free else item for item in items]
