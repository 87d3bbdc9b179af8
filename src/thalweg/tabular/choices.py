"""Choices of training given as text, as names, or as descriptions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from thalweg.data.table import nearest
from thalweg.descriptions import constraints, members
from thalweg.descriptions.families import is_required
from thalweg.descriptions.spec import number_or_spec, parse_spec, spec_of
from thalweg.descriptions.syntax import Call, Items, Mapping, Node, Number, Word, parse
from thalweg.errors import DescriptionError, SettingError
from thalweg.nn.activations import Activation
from thalweg.nn.augmentation import as_augmentation
from thalweg.nn.layer import Layer
from thalweg.nn.linear import Linear
from thalweg.nn.penalties import as_penalty
from thalweg.optim.averaging import as_averaging
from thalweg.optim.clipping import as_clipping
from thalweg.optim.optimizers import Optimizer
from thalweg.training.stopping import as_rules, as_stopping

ALIASES = {"sigmoid": "logistic"}
_UNSUITED = frozenset({"step", "sign", "maxout"})
"""Activations without a derivative to learn by, or that change the number of units."""


def activation_names() -> tuple[str, ...]:
    """The activations that may follow a hidden layer.

    >>> "relu" in activation_names(), "dropout" in activation_names()
    (True, False)
    """
    layers = members("layer")
    found = [name for name, cls in layers.items() if issubclass(cls, Activation)]
    return tuple(name for name in found if name not in _UNSUITED)


def normalisation_names() -> tuple[str, ...]:
    """The normalisations that a hidden layer may have.

    >>> "batch_norm" in normalisation_names()
    True
    """
    found = (name for name in members("layer") if name.endswith("_norm"))
    return tuple(name for name in found if name != "instance_norm")  # rows have no places


def read(name: str, family: str, value: Any, *, number: bool = False) -> Any:
    """A choice as it is, or read from text.

    Args:
        name: of the choice, for messages.
        family: of the description that it is.
        value: a description, text, a number, or anything else that is left to others.
        number: whether text may hold a number.

    Raises:
        SettingError: naming the choice.

    >>> read("clip", "clipping", "norm(0.5)"), read("clip", "clipping", "0.5", number=True)
    (ClipNorm(bound=0.5), 0.5)
    """
    if not isinstance(value, str):
        return value
    return _naming(name, lambda: (number_or_spec if number else parse_spec)(family, value))


def _naming(name: str, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except SettingError as error:
        raise SettingError(f"{name}: {error}") from error


def read_activation(value: str | Layer) -> Layer:
    """What follows a hidden layer: any layer that is given, or an activation by name or text.

    Raises:
        SettingError: text that names no activation.

    >>> read_activation("sigmoid"), read_activation("leaky_relu(0.2)")
    (Logistic(), LeakyReLU(slope=0.2))
    """
    if isinstance(value, Layer):
        return value
    text = ALIASES.get(value, value)
    node = _naming("activation", lambda: parse(text))
    _known(node, text, "activation", activation_names())
    return read("activation", "layer", text)


def hidden_layer(features: int, start: Any, normalise: str | Layer | None) -> tuple[Layer, ...]:
    """A fully connected layer and its normalisation.

    Args:
        features: its width.
        start: initialiser of its weights, or None for the default.
        normalise: a layer that follows it, or the text of a normalisation, which may be one that
            wraps it (``weight_norm``).

    Raises:
        SettingError: text that names no normalisation, or a layer to wrap beside the hidden one.

    >>> [type(layer).__name__ for layer in hidden_layer(4, None, "layer_norm")]
    ['Linear', 'LayerNorm']
    """
    linear = Linear(features) if start is None else Linear(features, weight=start)
    if normalise is None:
        return (linear,)
    if isinstance(normalise, Layer):
        if _wrapped_field(type(normalise)) is not None:
            _refuse_wrapped(type(normalise).__name__)
        return linear, normalise
    node = _naming("normalise", lambda: parse(normalise))
    name = _known(node, normalise, "normalisation", normalisation_names())
    wrapped = _wrapped_field(members("layer")[name])
    if wrapped is None:
        return linear, read("normalise", "layer", normalise)
    if isinstance(node, Call) and (node.positional or wrapped in node.named):
        _refuse_wrapped(name)
    return (_naming("normalise", lambda: parse_spec("layer", normalise, **{wrapped: linear})),)


def _known(node: Node, text: str, what: str, known: Sequence[str]) -> str:
    """The name that a text begins with.

    Raises:
        SettingError: it is none of the known ones.
    """
    name = node.name if isinstance(node, Call) else str(getattr(node, "value", text))
    if not isinstance(node, (Word, Call)) or name not in known:
        near = nearest(name, known)
        hint = f"; did you mean {near!r}?" if near else "."
        raise SettingError(f"unknown {what} {name!r}{hint} Known: {', '.join(known)}")
    return name


def _wrapped_field(cls: type[Any]) -> str | None:
    """The field of a normalisation that takes the normalised layer, where there is one."""
    held = constraints(cls)
    required = (field.name for field in dataclasses.fields(cls) if is_required(field))
    return next((name for name in required if name in held and held[name].family == "layer"), None)


def _refuse_wrapped(name: str) -> NoReturn:
    raise SettingError(
        f"normalise: {name} goes around each hidden layer and takes no other; leave its layer out, "
        "and give its settings by name, as in 'spectral_norm(iterations=2)'"
    )


def states_rate(optimizer: Any) -> bool:
    """Whether an optimiser says its learning rate itself, as ``sgd(0.1)`` does and ``sgd`` not.

    >>> states_rate("decoupled_decay(sgd, 0.1)"), states_rate("decoupled_decay(sgd(0.1))")
    (False, True)
    """
    return _states_rate(parse(optimizer)) if isinstance(optimizer, str) else True


def _states_rate(node: Node) -> bool:
    if isinstance(node, Items):
        return any(_states_rate(item) for item in node.values)
    if not isinstance(node, Call):
        return False
    cls = members("optimizer").get(node.name)
    if cls is not None and "learning_rate" in constraints(cls):
        first = next(iter(constraints(cls))) == "learning_rate"
        return "learning_rate" in node.named or (first and bool(node.positional))
    return any(_states_rate(item) for item in (*node.positional, *node.named.values()))


def leading_rule(rule: Optimizer) -> Optimizer:
    """The rule whose learning rate counts: of a rule that holds others, the inner one.

    >>> import thalweg as tw
    >>> leading_rule(tw.DecoupledDecay(tw.SGD(0.1)))
    SGD(learning_rate=0.1)
    """
    for name in ("then", "otherwise"):
        inner = getattr(rule, name, None)
        if isinstance(inner, Optimizer):
            return leading_rule(inner)
    return rule


def read_class_weight(value: Any) -> Any:
    """``balanced``, or weights by class, also from text such as ``{yes: 2, no: 1}``, ``{0: 1}``.

    Raises:
        SettingError: other text.

    >>> read_class_weight("{yes: 2}"), read_class_weight("balanced")
    ({'yes': 2}, 'balanced')
    """
    if not isinstance(value, str) or value == "balanced":
        return value
    node = _naming("class_weight", lambda: parse(value))
    if not isinstance(node, Mapping):
        raise SettingError(
            f"class_weight must be balanced, or weights by class as in {{yes: 2, no: 1}}, "
            f"got {value!r}"
        )
    weights = {label: item.value for label, item in node.values.items() if isinstance(item, Number)}
    if len(weights) != len(node.values):
        raise SettingError(f"class_weight must hold a number for each class, got {value!r}")
    return weights


__all__ = [
    "ALIASES",
    "activation_names",
    "hidden_layer",
    "leading_rule",
    "normalisation_names",
    "read",
    "read_activation",
    "read_class_weight",
    "states_rate",
]


def takes_all_rows(rule: Optimizer) -> bool:
    """Whether a rule needs all training rows in every step.

    >>> from thalweg.optim.optimizers import SGD
    >>> takes_all_rows(SGD(0.1))
    False
    """
    return bool(getattr(rule, "whole_batch", False))


def check_choices(settings: Any, counts: Sequence[str]) -> None:
    """Refuse choices of training that are none, before any data is read.

    Args:
        settings: of a table or of images; both name what they share alike.
        counts: names of settings that are whole numbers of at least 1, or None.

    Raises:
        SettingError: naming the first.
    """
    for name in counts:
        value = getattr(settings, name)
        if value is not None and (not isinstance(value, (int, np.integer)) or value < 1):
            raise SettingError(f"{name} must be a whole number of at least 1, got {value!r}")
    as_stopping(settings.early_stopping)
    as_clipping(settings.clip)
    as_averaging(settings.average)
    as_augmentation(settings.augment)
    as_penalty(settings.penalty)
    as_rules(settings.stop)


def choice_text(value: Any) -> str:
    """A choice as it is written.

    >>> choice_text(0.5), choice_text("adam")
    ('0.5', 'adam')
    """
    try:
        return spec_of(value)
    except (DescriptionError, TypeError):
        return f"{value:g}" if isinstance(value, float) else str(value)
