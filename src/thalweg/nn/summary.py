"""The table that ``net.summary(input_shape)`` prints."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from thalweg.graph import Shape, node_flops

if TYPE_CHECKING:
    from thalweg.nn.layer import Blueprint, Network


class Row(NamedTuple):
    """One layer of a summary; a note says what the numbers do not."""

    path: str
    kind: str
    output_shape: Shape
    parameters: int
    flops: int
    note: str = ""


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
        noted = "note" if any(row.note for row in self.rows) else ""
        header = ("layer", "type", "output shape", "parameters", "FLOP/row", noted)
        cells = [
            (
                row.path or "network",
                row.kind,
                _shape(row.output_shape),
                f"{row.parameters:,}",
                f"{row.flops:,}",
                row.note,
            )
            for row in self.rows
        ]
        cells.insert(0, ("input", "", _shape(self.input_shape), "", "", ""))
        cells.append(("total", "", "", f"{self.parameters:,}", f"{self.flops:,}", ""))
        widths = [max(len(row[i]) for row in (header, *cells)) for i in range(len(header))]
        rule = "  ".join("─" * width for width in widths).rstrip()
        lines = [_line(row, widths) for row in (header, *cells)]
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _shape(shape: Shape) -> str:
    return "×".join(map(str, shape)) or "number"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    numeric = (3, 4)
    padded = [
        cell.rjust(width) if place in numeric else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def summarise(network: Network, input_shape: int | Shape) -> Summary:
    """The summary of a network for one input row."""
    from thalweg.nn.layer import blueprint, row_shape

    plan = blueprint(network, input_shape)
    rows = tuple(_rows(plan))
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
