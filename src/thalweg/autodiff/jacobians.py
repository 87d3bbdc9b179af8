"""Whole Jacobians from products: by rows in reverse mode, by columns in forward mode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.autodiff.reverse import Linearised
from thalweg.graph import Shape, Tensor, TensorType, constant
from thalweg.ops.functions import reshape, stack, zeros
from thalweg.ops.repetition import zeros_like


def _basis(type_: TensorType) -> list[Tensor]:
    eye = np.eye(type_.size, dtype=type_.dtype)
    return [constant(row.reshape(type_.shape)) for row in eye]


def rows(linear: Linearised, outputs: Sequence[Tensor]) -> list[list[Tensor]]:
    """Jacobian blocks by reverse mode: ``[output][input]``."""
    nothing = [zeros_like(output) for output in outputs]
    blocks: list[list[Tensor]] = []
    for place, output in enumerate(outputs):
        pulled = [
            linear.pull_back([*nothing[:place], unit, *nothing[place + 1 :]])
            for unit in _basis(output.type)
        ]
        blocks.append(
            [
                _joined([row[index] for row in pulled], (*output.shape, *item.shape), item)
                for index, item in enumerate(linear.inputs)
            ]
        )
    return blocks


def columns(linear: Linearised, outputs: Sequence[Tensor]) -> list[list[Tensor]]:
    """Jacobian blocks by forward mode: ``[output][input]``."""
    blocks: list[list[Tensor]] = [[] for _ in outputs]
    nothing = [zeros_like(item) for item in linear.inputs]
    for place, item in enumerate(linear.inputs):
        pushed = [
            linear.push_forward([*nothing[:place], unit, *nothing[place + 1 :]])
            for unit in _basis(item.type)
        ]
        for index, output in enumerate(outputs):
            changes = [column[index] for column in pushed]
            flat = [
                reshape(zeros_like(output) if change is None else change, output.size)
                for change in changes
            ]
            block = _joined(flat, (item.size, output.size), output).T
            blocks[index].append(reshape(block, (*output.shape, *item.shape)))
    return blocks


def _joined(parts: list[Tensor], shape: Shape, like: Tensor) -> Tensor:
    return reshape(stack(parts), shape) if parts else zeros(shape, like.dtype)
