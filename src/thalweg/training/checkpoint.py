"""Checkpoints: a run's standing in one file, from which it goes on bit for bit."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from thalweg.descriptions import Plain, to_plain
from thalweg.errors import DescriptionError, FileError, SettingError
from thalweg.graph import Array, Graph
from thalweg.model.files import prefixed, unprefixed
from thalweg.storage.container import Container, check_arrays, read_container, write_container
from thalweg.training.history import History
from thalweg.training.job import Rows
from thalweg.training.loop import Plan, Standing
from thalweg.training.recipe import depends_on_length
from thalweg.training.result import described
from thalweg.training.step import State
from thalweg.training.stopping import Best

FORMAT = "thalweg-checkpoint"
VERSION = 1
_SAMPLED_ROWS = 4096


def fingerprint(plan: Plan) -> dict[str, Plain]:
    """What must be the same for a run to go on: settings, and a digest of the data."""
    job, recipe = plan.job, plan.job.recipe
    scheduled = depends_on_length(recipe)
    return {
        "network": _named(recipe.network),
        "loss": _named(recipe.loss),
        **plan.identity,
        "validation": None if job.held_out is None else data_digest(job.held_out),
        **described(recipe),
        "epochs": job.epochs if scheduled else None,
        "batch_size": job.batch_size,
        "seed": job.seed,
        "shuffle": job.shuffle,
        "early_stopping": to_plain(plan.stopping) if plan.stopping else None,
        "stop": [to_plain(rule) for rule in plan.rules],
        "data": data_digest(job.rows),
    }


def _named(part: Any) -> Plain:
    """A network or loss as JSON data; of a function only the name."""
    return to_plain(part) if is_described(part) else {"function": getattr(part, "__name__", "")}


def is_described(part: Any) -> bool:
    """Whether JSON can hold a network or loss, so that it is compared by its description."""
    try:
        to_plain(part)
    except (DescriptionError, TypeError):
        return False
    return True


def program_digest(graph: Graph) -> str:
    """A digest of a traced step: functions are compared by what they compute."""
    digest = hashlib.sha256(str(graph).encode())
    for tensor in graph.constants:
        digest.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    return digest.hexdigest()


def data_digest(rows: Rows) -> str:
    """A digest of up to 4096 evenly spaced rows, and of shapes and types."""
    digest = hashlib.sha256()
    places = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _SAMPLED_ROWS)).astype(int))
    for array in rows:
        if array is not None:
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array[places]).tobytes())
    return digest.hexdigest()


def save_checkpoint(
    path: str | os.PathLike[str], marks: Mapping[str, Plain], standing: Standing
) -> None:
    """Write a standing atomically; a former checkpoint stays until the new one is complete.

    Raises:
        FileError: the file cannot be written.
    """
    state, best = standing.state, standing.best
    document: dict[str, Plain] = {
        "fingerprint": dict(marks),
        "step": state.step,
        "history": [_row_to_plain(row) for row in standing.history.rows],
        "best_epoch": best.epoch,
        "best_value": _to_plain(best.value),
        "loss_sum": _to_plain(standing.loss_sum),
        "weight_sum": _to_plain(standing.weight_sum),
        "seconds": standing.seconds,
        "ended": standing.ended,
    }
    arrays = prefixed(
        parameters=state.parameters,
        slots=state.slots,
        states=state.states,
        best_parameters=best.parameters or {},
        best_states=best.states or {},
    )
    write_container(path, arrays, document, format=FORMAT, version=VERSION)


def _to_plain(value: float) -> Plain:
    """A number as JSON data; NaN and infinity, which JSON lacks, as text."""
    return float(value) if math.isfinite(value) else str(float(value))


def _row_to_plain(row: Mapping[str, float]) -> Plain:
    return {name: _to_plain(value) for name, value in row.items()}


def _number(value: Plain) -> float:
    if value in {"nan", "inf", "-inf"} or (
        isinstance(value, (int, float)) and not isinstance(value, bool)
    ):
        return float(cast("float | str", value))
    raise TypeError(f"{value!r:.40} is no number")


def _row(value: Plain) -> dict[str, float]:
    return {name: _number(item) for name, item in cast("dict[str, Plain]", value).items()}


def load_checkpoint(
    path: str | os.PathLike[str], marks: Mapping[str, Plain], start: State
) -> Standing | None:
    """The standing in a checkpoint, or None where there is no such file.

    Args:
        path: the checkpoint.
        marks: the :func:`fingerprint` of the run that is to go on.
        start: the run's starting state, for the names and shapes of its arrays.

    Raises:
        FileError: the file is damaged or no checkpoint.
        SettingError: it belongs to another run; the differing settings are named.
    """
    if not Path(path).exists():
        return None
    held = read_container(path, format=FORMAT)
    if held.version != VERSION:
        raise FileError(f"{path}: checkpoint version {held.version}, this thalweg reads {VERSION}")
    _check_fingerprint(path, held.document.get("fingerprint"), marks)
    try:
        return _standing(path, held, start)
    except (KeyError, TypeError, AttributeError) as error:
        raise FileError(f"{path}: the checkpoint is damaged: {error}") from error


def _check_fingerprint(
    path: str | os.PathLike[str], found: Plain, wanted: Mapping[str, Plain]
) -> None:
    if not isinstance(found, dict):
        raise FileError(f"{path}: the checkpoint is damaged: it has no fingerprint")
    changed = [name for name in wanted if found.get(name) != wanted[name]]
    changed += [name for name in found if name not in wanted]
    if changed:
        raise SettingError(
            f"{path} belongs to another run: {_differ(changed)}; go on with the same "
            "settings and data, or give another checkpoint path"
        )


def _differ(names: list[str]) -> str:
    return f"{names[0]} differs" if len(names) == 1 else f"{', '.join(names)} differ"


def _standing(path: str | os.PathLike[str], held: Container, start: State) -> Standing:
    document = held.document
    best_epoch = _count(document["best_epoch"])
    expected = prefixed(parameters=start.parameters, slots=start.slots, states=start.states)
    if best_epoch:
        expected |= prefixed(best_parameters=start.parameters, best_states=start.states)
    check_arrays(held.arrays, {name: (a.dtype, a.shape) for name, a in expected.items()}, path=path)

    def group(name: str, like: Mapping[str, Array]) -> dict[str, Array]:
        found = unprefixed(held.arrays, name)
        return {key: found[key] for key in like}

    state = State(
        group("parameters", start.parameters),
        group("slots", start.slots),
        group("states", start.states),
        _count(document["step"]),
    )
    best = Best()
    if best_epoch:
        best = Best(
            best_epoch,
            _number(document["best_value"]),
            group("best_parameters", start.parameters),
            group("best_states", start.states),
        )
    rows = [_row(row) for row in cast("list[Plain]", document["history"])]
    sums = (_number(document[name]) for name in ("loss_sum", "weight_sum", "seconds"))
    ended = document.get("ended", "")
    if not isinstance(ended, str):
        raise TypeError(f"ended is {ended!r:.40}, not text")
    return Standing(state, History(rows), best, *sums, ended=ended)


def _count(value: Plain) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r:.40} is no count")
    return value
