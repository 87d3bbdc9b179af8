"""The table that ``net.summary(input_shape)`` prints."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from thalweg.graph import Shape, node_flops
from thalweg.nn.receptive import Receptive

if TYPE_CHECKING:
    from thalweg.nn.layer import Blueprint, Network


class Row(NamedTuple):
    """One layer of a summary; a note says what the numbers do not.

    ``receptive`` is what one output sees of the input image, and how far apart outputs lie in it;
    None where the layer has no window (:mod:`thalweg.nn.receptive_fields`).
    """

    path: str
    kind: str
    output_shape: Shape
    parameters: int
    flops: int
    note: str = ""
    receptive: Receptive | None = None


@dataclass(frozen=True, repr=False)
class Summary:
    """A network's layers with shapes, parameters and floating-point operations for one row.

    Attributes:
        rows: one for each layer, in the order in which they end; a path is empty where the
            network itself computes.
        parameters: trained numbers in all.
        flops: floating-point operations of one forward pass of one row.
        input_shape: the shape of one row.
    """

    rows: tuple[Row, ...]
    parameters: int
    flops: int
    input_shape: Shape

    def __repr__(self) -> str:
        columns = [
            _Column("layer", [row.path or "network" for row in self.rows], "input", "total"),
            _Column("type", [row.kind for row in self.rows]),
            _Column(
                "output shape", [_shape(row.output_shape) for row in self.rows],
                _shape(self.input_shape),
            ),
            _Column("receptive field", [_extent(row) for row in self.rows]),
            _Column("jump", [_jump(row) for row in self.rows]),
            _Column(
                "parameters", [f"{row.parameters:,}" for row in self.rows], "",
                f"{self.parameters:,}", is_number=True,
            ),
            _Column(
                "FLOP/row", [f"{row.flops:,}" for row in self.rows], "",
                f"{self.flops:,}", is_number=True,
            ),
            _Column("note", [row.note for row in self.rows]),
        ]  # fmt: skip
        shown = [column.lines() for column in columns if any(column.cells) or column.is_number]
        return "\n".join("  ".join(cells).rstrip() for cells in zip(*shown, strict=True))


class _Column(NamedTuple):
    """A column of the table: its cells, and what stands over and under them."""

    title: str
    cells: list[str]
    first: str = ""
    last: str = ""
    is_number: bool = False

    def lines(self) -> list[str]:
        """All lines of one width."""
        width = max(map(len, (self.title, self.first, *self.cells, self.last)))
        rule = "─" * width
        lines = [self.title, rule, self.first, *self.cells, rule, self.last]
        return [line.rjust(width) if self.is_number else line.ljust(width) for line in lines]


def _shape(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "number"


def _extent(row: Row) -> str:
    return _shape(_axes(row, row.receptive.extent)) if row.receptive else ""


def _jump(row: Row) -> str:
    if row.receptive is None:
        return ""
    jumps = _axes(row, row.receptive.stride)
    return str(jumps[0]) if len(set(jumps)) == 1 else _shape(jumps)


def _axes(row: Row, pair: tuple[int, int]) -> Shape:
    """Of lines (C, L) the columns alone."""
    return pair[1:] if len(row.output_shape) == 2 else pair


def summarise(network: Network, input_shape: int | Shape) -> Summary:
    """The summary of a network for one input row."""
    from thalweg.nn.layer import blueprint, row_shape
    from thalweg.nn.receptive_fields import receptive_fields

    plan = blueprint(network, input_shape)
    fields = receptive_fields(network, {item.path: item for item in plan.applied})
    rows = tuple(row._replace(receptive=fields.get(row.path)) for row in _rows(plan))
    total = sum(math.prod(parameter.shape) for parameter in plan.parameters.values())
    return Summary(rows, total, plan.graph.flops, row_shape(input_shape))


def _rows(plan: Blueprint) -> list[Row]:
    """A row for each layer that computes or has no parts; a layer used twice has one row."""
    from thalweg.nn.layer import layer_kind

    flops: dict[str, int] = {}
    for node in plan.graph.nodes:
        flops[node.label.layer] = flops.get(node.label.layer, 0) + node_flops(node)
    counts: dict[str, int] = {}
    for path, parameter in plan.parameters.items():
        owner = path.rpartition(".")[0]
        counts[owner] = counts.get(owner, 0) + math.prod(parameter.shape)
    with_parts = {item.path.rpartition(".")[0] for item in plan.applied if item.path}
    rows: dict[str, Row] = {}
    for item in plan.applied:
        path, kind = item.path, layer_kind(item.layer)
        own = flops.get(f"{path} ({kind})" if path else "", 0)
        if path not in with_parts or path in counts or own:
            note = plan.notes.get(path, "")
            rows[path] = Row(path, kind, item.output_shape[1:], counts.get(path, 0), own, note)
    return list(rows.values())
