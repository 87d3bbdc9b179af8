"""What a run begins with: starting parameters and states, new or from a trained model."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import numpy as np

from thalweg.errors import SettingError
from thalweg.graph import Array, Shape
from thalweg.model.model import Model
from thalweg.nn.layer import Blueprint, Network, blueprint, initial_parameters, initial_states
from thalweg.nn.paths import any_selects, check_patterns

_LARGEST = 2**31
"""Parameters that a network may have: beyond, the machine's memory ends before training begins."""


class Beginning(NamedTuple):
    """A network's arrays before the first update.

    Attributes:
        parameters: by path.
        states: by path.
        input_shape: of one row.
        output_shape: of one row.
        digest: of the arrays that came from elsewhere, None where none did.
        taken: the states among them.
    """

    parameters: dict[str, Array]
    states: dict[str, Array]
    input_shape: Shape
    output_shape: Shape
    digest: str | None = None
    taken: Mapping[str, Array] = MappingProxyType({})


def beginning(
    network: Network,
    shape: Shape,
    seed: int,
    dtype: np.dtype[Any],
    start: Model | Mapping[str, Any] | None = None,
    plan: Blueprint | None = None,
) -> Beginning:
    """A network's starting arrays.

    Args:
        network: what is trained.
        shape: of one row of inputs.
        seed: of the starting weights.
        dtype: of all arrays.
        start: a trained model, or arrays by path, whose arrays replace drawn ones.
        plan: of the network, where it is traced already.

    Raises:
        SettingError: no network, nothing to train, too many parameters, or a start that does not
            fit the network.
    """
    plan = planned(network, shape, dtype) if plan is None else plan
    total = sum(math.prod(item.shape) for item in plan.parameters.values())
    if total > _LARGEST:
        raise SettingError(
            f"the network has {total:,} parameters, more than this version trains ({_LARGEST:,}); "
            "choose smaller layers"
        )
    if not plan.parameters:
        raise SettingError("the network has no parameters, so there is nothing to train")
    parameters = initial_parameters(plan, seed, dtype)
    states = initial_states(plan, dtype)
    if start is None:
        return Beginning(parameters, states, shape, plan.output_shape)
    given = started(start, plan, dtype)
    parameters |= {path: value for path, value in given.items() if path in parameters}
    taken = {path: value for path, value in given.items() if path in states}
    states |= taken
    return Beginning(parameters, states, shape, plan.output_shape, _digest(given), taken)


def planned(network: Network, shape: Shape, dtype: np.dtype[Any]) -> Blueprint:
    """A network, traced for one shape of rows.

    Raises:
        SettingError: no network.
        ShapeError, DTypeError: rows that it does not take.
    """
    if not callable(network) and not hasattr(network, "forward"):
        raise SettingError(f"network must be a layer or a function (x, scope), got {network!r}")
    return blueprint(network, shape, dtype)


def started(start: Any, plan: Blueprint, dtype: np.dtype[Any]) -> dict[str, Array]:
    """The arrays of a start by path, checked against the network that is to take them.

    Raises:
        SettingError: no arrays, a path or shape that the network does not have, or a value that is
            not finite.
    """
    if isinstance(getattr(start, "model", None), Model):
        raise SettingError(
            f"start must be a model or arrays by path, got a {type(start).__name__}; give its "
            "model: start=run.model"
        )
    if isinstance(start, Model):
        start = {**start.parameters, **start.states}
    if not isinstance(start, Mapping) or not start:
        raise SettingError(f"start must be a model or arrays by path, got {start!r:.80}")
    given = cast("Mapping[str, Any]", start)
    wanted = {path: item.shape for path, item in (*plan.parameters.items(), *plan.states.items())}
    return {path: _taken(path, value, wanted, dtype) for path, value in given.items()}


def _taken(path: str, value: Any, wanted: Mapping[str, Shape], dtype: np.dtype[Any]) -> Array:
    if path not in wanted:
        raise SettingError(
            f"start holds {path!r}, which the network lacks; choose what is kept, as in "
            f"start=model.weights({next(iter(wanted)).rpartition('.')[0] or '0'!r}). "
            f"The network has {', '.join(wanted)}"
        )
    array = np.array(value, dtype)
    if array.shape != wanted[path]:
        raise SettingError(
            f"start holds {path!r} of shape {array.shape}, the network's has {wanted[path]}; "
            "leave it out with start=model.weights(...) and name the layers to keep"
        )
    if not np.isfinite(array).all():
        raise SettingError(f"start: {path!r} holds values that are not finite in {dtype.name}")
    return array


def _digest(arrays: Mapping[str, Array]) -> str:
    digest = hashlib.sha256()
    for path, value in arrays.items():
        digest.update(f"{path}{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def frozen_patterns(
    frozen: str | Sequence[str], parameters: Mapping[str, Array]
) -> tuple[str, ...]:
    """Patterns of what stays as it is, checked.

    Raises:
        SettingError: a pattern that fits no parameter, or patterns that fit all of them.
    """
    patterns = (frozen,) if isinstance(frozen, str) else tuple(frozen)
    if not all(type(pattern) is str for pattern in patterns):
        raise SettingError(f"frozen takes paths such as '0' or '*.bias', got {frozen!r}")
    check_patterns("frozen", patterns, parameters)
    if patterns and all(any_selects(patterns, path) for path in parameters):
        raise SettingError(f"frozen = {patterns} leaves no parameter to train")
    return patterns


def whole_number(name: str, value: Any, low: int, high: int = 2**63 - 1) -> int:
    """A whole number in a range.

    Raises:
        SettingError: anything else, with the range.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise SettingError(f"{name} must be a whole number, got {value!r}")
    if not low <= value <= high:
        limit = f"at least {low}" if value < low else "at most 2^63 - 1"
        limit = f"[{low}, {high}]" if high < 2**63 - 1 else limit
        raise SettingError(f"{name} = {value} is outside its range: {limit}")
    return int(value)
