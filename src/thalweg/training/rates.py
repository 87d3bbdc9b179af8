"""The learning rate of an update, as the history notes it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from thalweg.compiler.interpreter import Interpreter
from thalweg.descriptions import replace_settings, settings_of
from thalweg.graph import Tensor, TensorType, source_of, trace_flat
from thalweg.optim.accumulation import group_of
from thalweg.optim.optimizers import Moment, Optimizer


class TracedRate:
    """The learning rate of one structure of optimisers, traced once.

    Args:
        optimizer: one of them.
        count: batches of one update.
        lengths: updates of the whole run, and of one epoch.

    Attributes:
        is_constant: whether it is the same at every step.
    """

    def __init__(self, optimizer: Optimizer, count: int, lengths: tuple[int, int]) -> None:
        settings = settings_of(optimizer, "optimizer.")

        def rate(step: Tensor, *numbers: Tensor) -> Tensor:
            moment = Moment(step, *lengths)
            moment = group_of(moment, count).moment if count > 1 else moment
            values = dict(zip(settings, numbers, strict=True))
            return replace_settings(optimizer, values, "optimizer.").rate(moment)

        number = TensorType((), np.dtype("float64"))
        graph, _ = trace_flat(rate, [number] * (1 + len(settings)))
        self._run = Interpreter(graph)
        given = [place for place, item in enumerate(graph.inputs) if item is graph.outputs[0]]
        self._given = given[0] if given else -1
        used = [item for node in graph.nodes for item in source_of(node).inputs]
        self.is_constant = not any(item is graph.inputs[0] for item in (*used, *graph.outputs))

    def __call__(self, step: int, settings: Sequence[float]) -> float:
        """The rate at a step, for settings in the order in which the optimiser has them."""
        numbers = (float(step), *settings)
        if self._given >= 0:
            return numbers[self._given]
        return float(self._run.run([np.asarray(number) for number in numbers])[0])
