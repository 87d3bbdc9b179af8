"""What layers at the front of a network learn from the training rows before training."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from thalweg.compiler.threads import one_blas_thread
from thalweg.errors import DataError
from thalweg.graph import Array
from thalweg.nn.front import (
    Fitted,
    FrontLayer,
    FrontRows,
    RowSource,
    check_rows,
    examine,
    front_rows,
    join,
    misplaced,
    takes_missing,
    under,
    visit_front,
)
from thalweg.nn.layer import Blueprint, Network, blueprint


def learn_states(
    network: Network,
    rows: RowSource,
    states: Mapping[str, Array],
    dtype: Any = "float32",
    known: Collection[str] = (),
    plan: Blueprint | None = None,
) -> dict[str, Array]:
    """The states with those of the front layers learned, each from what reaches it.

    Args:
        network: whose front layers learn: the first layers of (nested) ``Sequential`` and of the
            branches of ``Columns``, up to the first layer with parameters.
        rows: training rows only, (N, …), read piece by piece.
        states: the starting states by path.
        dtype: the network's.
        known: paths of states that came with a start and are kept.
        plan: of the network, where it is traced already.

    Raises:
        SettingError: a layer that learns from rows stands behind a trained layer.
        DataError: rows that a layer cannot learn from, named with row and column.

    >>> import thalweg as tw
    >>> network = tw.Sequential(tw.Standardise(), tw.Linear(1))
    >>> learn_states(network, np.array([[1.0], [3.0]]), {})
    {'0.mean': array([2.], dtype=float32), '0.scale': array([1.], dtype=float32)}
    """
    kind = np.dtype(dtype)
    plan = blueprint(network, rows.shape[1:], kind) if plan is None else plan
    waiting = {item.path: item.layer for item in plan.applied if isinstance(item.layer, Fitted)}
    learned = dict(states)

    def visit(layer: FrontLayer, path: str, given: FrontRows) -> Mapping[str, Array]:
        waiting.pop(path, None)
        declared = under(path, plan.states)
        own = {name: learned[join(path, name)] for name in declared if join(path, name) in learned}
        kept = bool(declared) and all(join(path, name) in known for name in declared)
        if isinstance(layer, Fitted) and not kept:
            own = _in_type(layer.learn(given), kind, path, layer)
            learned.update({join(path, name): value for name, value in own.items()})
        examine(layer, given, own)
        return own

    with one_blas_thread():  # results must not depend on the number of threads
        visit_front(network, front_rows(rows, kind, takes_missing(network)), visit)
    for path, layer in waiting.items():
        raise misplaced(path, layer)
    return learned


def _in_type(
    states: Mapping[str, Array], kind: np.dtype[Any], path: str, layer: Fitted
) -> dict[str, Array]:
    with np.errstate(over="ignore"):
        found = {name: np.asarray(value).astype(kind) for name, value in states.items()}
    for name, value in found.items():
        if not np.isfinite(value).all():
            raise DataError(
                f"layer {path or 'top'} ({type(layer).__name__}) learned a {name} that "
                f"{kind.name} cannot hold: {float(np.abs(states[name]).max()):.3g}; scale the "
                "columns before, or use dtype='float64'"
            )
    return found


def front_takes_missing(network: Network) -> bool:
    """Whether the front of a network takes NaN in x, so that it need not be refused before."""
    return takes_missing(network)


__all__ = ["check_rows", "front_takes_missing", "learn_states"]
