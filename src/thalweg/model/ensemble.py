"""Several models as one model, which is saved, loaded and predicts like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, cast

import numpy as np

from thalweg.data.scaled_target import TargetScale
from thalweg.data.targets import Target
from thalweg.descriptions import Plain
from thalweg.errors import SettingError
from thalweg.graph import Array
from thalweg.model.model import Model
from thalweg.nn.containers import Sequential
from thalweg.nn.ensemble import Ensemble, kind_of
from thalweg.nn.layer import Layer, blueprint, layer_kind
from thalweg.nn.linear import Linear
from thalweg.nn.losses import Loss


def ensemble(
    models: Sequence[Model],
    combine: str = "mean",
    *,
    weights: Sequence[float] = (),
    ties: str = "probability",
) -> Model:
    """One model that combines the predictions of several.

    Probabilities and numbers are averaged, or votes for classes counted; :class:`Ensemble` says
    how. The models may have networks of any kind, but must mean the same by their outputs. Numbers
    that were scaled for training in different units are brought to the first model's.

    Args:
        models: one or more; the same model may stand there twice.
        combine: ``mean`` of probabilities or numbers, ``vote`` for classes, or ``mean_outputs``,
            the mean of net inputs.
        weights: w ≥ 0 of each model; by default all count alike.
        ties: what decides between classes of equally many votes: the mean ``probability``, or the
            ``first`` class.

    Raises:
        SettingError: no models, or models that do not fit together, with what differs.
        ShapeError: networks whose outputs have different shapes.

    >>> import numpy as np, thalweg as tw
    >>> x = np.linspace(-1, 1, 40)[:, None]
    >>> net = tw.Sequential(tw.Linear(4), tw.Tanh(), tw.Linear(2))
    >>> models = [tw.fit(net, x, x[:, 0] > 0, epochs=5, seed=seed).model for seed in range(3)]
    >>> whole = tw.ensemble(models)
    >>> mean = np.mean([model.predict_proba(x) for model in models], axis=0)
    >>> bool(np.allclose(whole.predict_proba(x), mean, atol=1e-6)), len(whole.network.members)
    (True, 3)
    """
    given = _models(models)
    first = given[0]
    kind = _kind(given, combine)
    for place, model in enumerate(given[1:], 1):
        _check_agreement(first, model, place)
    members = in_one_unit(given)
    networks = tuple(cast("Layer", member.network) for member in members)
    network = Ensemble(networks, combine, kind, tuple(weights), ties)
    blueprint(network, first.input_shape, first.dtype)  # their outputs must have one shape
    record: dict[str, Plain] = {
        "ensemble": f"{combine} of {len(given)}",
        "members": [dict(model.record) for model in given],
    }
    return Model(
        network,
        _merged([member.parameters for member in members]),
        _merged([member.states for member in members]),
        first.input_shape,
        first.loss,
        first.classes,
        first.single,
        first.encoder,
        first.target,
        record,
        first.images,
    )


def _models(given: Any) -> list[Model]:
    models = list(cast("Sequence[Any]", given)) if isinstance(given, (list, tuple)) else None
    if models is None or not all(isinstance(model, Model) for model in models):
        raise SettingError(f"ensemble takes a list of models, such as run.model, got {given!r:.80}")
    if not models:
        raise SettingError("ensemble needs at least one model, got none")
    for place, model in enumerate(models):
        if not isinstance(model.network, Layer):
            raise SettingError(
                f"the network of model {place} is the function {layer_kind(model.network)}; an "
                "ensemble is saved with its networks, so write it as a Layer"
            )
    return models


def _kind(models: list[Model], combine: str) -> str:
    """What the outputs of all models mean."""
    kinds = [kind_of(model.loss) for model in models]
    for place, (before, after) in enumerate(pairwise(kinds), 1):
        if before != after:
            losses = [type(model.loss).__name__ for model in models]
            raise SettingError(
                f"models {place - 1} and {place} mean different things by their outputs: trained "
                f"with {losses[place - 1]}, {losses[place]}; train them with one loss"
            )
    return combined_kind(models[0].loss, combine)


def combined_kind(loss: Loss, combine: str) -> str:
    """What outputs mean to an ensemble of models of a loss.

    Raises:
        SettingError: a loss whose predictions cannot be averaged.
    """
    kind = kind_of(loss)
    if kind is not None:
        return kind
    if combine == "mean_outputs":
        return loss.kind
    raise SettingError(
        f"{type(loss).__name__}.predict is a function of its own, whose inverse is not known here; "
        "use combine='mean_outputs'"
    )


def _check_agreement(first: Model, other: Model, place: int) -> None:
    """Refuse a model that does not mean the same as the first one."""
    pairs = {
        "classes": (first.classes, other.classes),
        "input_shape": (first.input_shape, other.input_shape),
        "dtype": (first.dtype.name, other.dtype.name),
        "single": (first.single, other.single),
        "images": (first.images, other.images),
    }
    for name, (mine, yours) in pairs.items():
        if mine != yours or _types(mine) != _types(yours):
            raise SettingError(
                f"models 0 and {place} do not fit together: their {name} are {_short(mine)} and "
                f"{_short(yours)}"
            )
    _check_tables(first, other, place)


def _types(value: Any) -> list[type]:
    return [type(item) for item in value] if isinstance(value, tuple) else []


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _check_tables(first: Model, other: Model, place: int) -> None:
    """Models of tables must read them alike, and give back the same unit."""
    start = f"models 0 and {place} do not fit together: "
    encoders = [model.encoder and model.encoder.to_plain() for model in (first, other)]
    if encoders[0] != encoders[1]:
        raise SettingError(
            f"{start}their encodings of the table differ{_difference(first, other)}; train them "
            "on one prepared table (prepare_table, then fit_prepared)"
        )
    units = [isinstance(model.target, TargetScale) for model in (first, other)]
    targets = [model.target and model.target.to_plain() for model in (first, other)]
    if units[0] != units[1] or (not units[0] and targets[0] != targets[1]):
        raise SettingError(f"{start}their targets are {_short(targets[0])}, {_short(targets[1])}")


def _difference(first: Model, other: Model) -> str:
    if first.encoder is None or other.encoder is None:
        return ", for only one of them was trained on a table"
    mine, yours = list(first.encoder.columns), list(other.encoder.columns)
    return "" if mine == yours else f": columns {_short(mine)} and {_short(yours)}"


def in_one_unit(models: Sequence[Model]) -> list[Model]:
    """The models, those of numbers that were scaled otherwise than the first's in its unit.

    Raises:
        SettingError: outputs that are no plain numbers, and scaled differently.
    """
    return [_in_unit(model, models[0].target) for model in models]


def _in_unit(model: Model, wanted: Target | None) -> Model:
    mine = model.target
    if not isinstance(mine, TargetScale) or not isinstance(wanted, TargetScale) or mine == wanted:
        return model
    network, kind = cast("Layer", model.network), kind_of(model.loss)
    shape = blueprint(network, model.input_shape, model.dtype).output_shape
    if kind != "numbers" or shape != (len(mine.mean),):
        raise SettingError(
            f"the models' targets were scaled differently, which outputs {shape} of kind {kind!r} "
            "cannot follow; train them on targets of one scale"
        )
    unit = _Unit.between(mine, wanted)
    last = {"weight": np.diag(unit.factor), "bias": unit.shift}
    return replace(
        model,
        network=Sequential(network, Linear(len(mine.mean))),
        parameters={
            **_prefixed("0", model.parameters),
            **_prefixed("1", {name: item.astype(model.dtype) for name, item in last.items()}),
        },
        states=_prefixed("0", model.states),
        target=wanted,
    )


@dataclass(frozen=True)
class _Unit:
    """From one scale of numbers to another: y ↦ factor · y + shift."""

    factor: Array
    shift: Array

    @classmethod
    def between(cls, mine: TargetScale, wanted: TargetScale) -> _Unit:
        scale = np.asarray(wanted.scale)
        shift = (np.asarray(mine.mean) - np.asarray(wanted.mean)) / scale
        return cls(np.asarray(mine.scale) / scale, shift)


def _prefixed(name: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {f"{name}.{path}": array for path, array in arrays.items()}


def _merged(groups: list[Mapping[str, Array]]) -> dict[str, Array]:
    """Arrays by path, each behind its member's place."""
    return {
        path: array
        for place, group in enumerate(groups)
        for path, array in _prefixed(str(place), group).items()
    }


__all__ = ["combined_kind", "ensemble", "in_one_unit"]
