"""A table's network with some of its settings given by name, as a search varies them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from thalweg.data.table import nearest
from thalweg.descriptions import Description, replace_settings, settings_of
from thalweg.descriptions.spec import spec_of
from thalweg.errors import DescriptionError, SettingError
from thalweg.optim.optimizers import Optimizer
from thalweg.tabular.choices import choice_text, read, read_activation
from thalweg.tabular.settings import TableSettings

DEPTH, WIDTH = "depth", "width"
MOST_LAYERS = 64
"""Hidden layers of one network at most; more are a slip of the finger."""

_ALONE = ("members", "ensemble")
_SHARED = ("loss", "class_weight", "seed")
_FAMILIES = {
    "optimizer": "optimizer",
    "learning_rate": "schedule",
    "penalty": "penalty",
    "clip": "clipping",
    "average": "averaging",
    "augment": "augmentation",
    "activation": "layer",
    "normalise": "layer",
    "initialiser": "initialiser",
}
"""Settings that hold numbers of their own, reached by a path."""


def searched_names() -> tuple[str, ...]:
    """The names of settings that a search may vary; parts of them go by path.

    >>> {"depth", "width", "dropout", "optimizer"} <= set(searched_names())
    True
    """
    fields = (field.name for field in dataclasses.fields(TableSettings))
    known = ("network" if name == "structure" else name for name in fields if name not in _ALONE)
    return (DEPTH, WIDTH, *known)


def check_searched(names: Iterable[str], varied: Iterable[str] = ()) -> None:
    """Refuse names that no setting has, and settings that must be the same for all trials.

    Args:
        names: of a space, paths among them.
        varied: those of them that have more than one value.

    Raises:
        SettingError: naming the first; the nearest name is offered.

    >>> check_searched(["learning_rat"])
    Traceback (most recent call last):
        ...
    thalweg.errors.SettingError: the space names 'learning_rat', which is no setting of a table's
    network; did you mean 'learning_rate'? Known: depth, width, hidden, ...
    """
    given = tuple(names)
    for name in given:
        _check_name(name)
    if "hidden" in given and {DEPTH, WIDTH} & set(given):
        raise SettingError(
            "the space names hidden beside depth or width; hidden holds the widths of all hidden "
            'layers, as in "64,32", so leave the others out, or it'
        )
    for name in varied:
        if name in _SHARED:
            raise SettingError(
                f"the space varies {name}, but values of trials can only be compared where it is "
                "the same for all; give it one value"
            )


def _check_name(name: str) -> None:
    head, dot, _ = name.partition(".")
    known = searched_names()
    if name in known or (dot and head in _FAMILIES):
        return
    if head in known or head in _ALONE:
        reason = "holds no numbers to reach by a path" if dot else "is not searched over"
        raise SettingError(f"the space names {name!r}, but {head} {reason}")
    near = nearest(name, known)
    hint = f"; did you mean {near!r}?" if near else "."
    raise SettingError(
        f"the space names {name!r}, which is no setting of a table's network{hint} "
        f"Known: {', '.join(known)}"
    )


def with_searched(settings: TableSettings, values: Mapping[str, Any]) -> TableSettings:
    """Settings with some of them replaced by name or by path.

    Args:
        settings: what all trials share.
        values: by name; ``depth`` and ``width`` make ``hidden``, whose text may be ``"64,32"``;
            ``network`` is the whole network; a path reaches a number inside, as in
            ``"optimizer.beta1"`` or ``"learning_rate.initial"``.

    Raises:
        SettingError: an unknown name or path, or a value outside its range.

    >>> found = with_searched(TableSettings(), {"depth": 3, "width": 16, "optimizer.beta1": 0.8})
    >>> found.hidden, found.optimizer
    ((16, 16, 16), 'adam(beta1=0.8)')
    """
    check_searched(values)
    fields = {name: value for name, value in values.items() if "." not in name}
    if DEPTH in fields or WIDTH in fields:
        fields["hidden"] = _widths(settings, fields.pop(DEPTH, None), fields.pop(WIDTH, None))
    elif "hidden" in fields:
        fields["hidden"] = _hidden(fields["hidden"])
    if "network" in fields:
        fields["structure"] = fields.pop("network")
    changed = dataclasses.replace(settings, **{k: _absent(v) for k, v in fields.items()})
    paths = {name: value for name, value in values.items() if "." in name}
    for head in dict.fromkeys(name.partition(".")[0] for name in paths):
        inner = {p.partition(".")[2]: v for p, v in paths.items() if p.startswith(f"{head}.")}
        changed = dataclasses.replace(changed, **{head: _reached(changed, head, inner)})
    return changed


def _absent(value: Any) -> Any:
    """None for the word ``none``, and anything else as it is."""
    return None if isinstance(value, str) and value.strip().lower() == "none" else value


def _widths(settings: TableSettings, depth: Any, width: Any) -> tuple[int, ...]:
    """As many hidden layers of one width as asked for."""
    depth = len(settings.hidden) if depth is None else depth
    width = (settings.hidden or TableSettings.hidden)[0] if width is None else width
    for name, value, least in ((DEPTH, depth, 0), (WIDTH, width, 1)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise SettingError(f"{name} must be a whole number of at least {least}, got {value!r}")
    if depth > MOST_LAYERS:
        raise SettingError(f"depth = {depth:,} is more than {MOST_LAYERS} hidden layers")
    return (width,) * depth


def _hidden(value: Any) -> tuple[int, ...]:
    """The widths of hidden layers from a number, a list, or text such as ``64,32``."""
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    if isinstance(value, (list, tuple)):
        return tuple(value)
    if isinstance(value, str):
        words = [word.strip() for word in value.split(",") if word.strip()]
        if all(word.isdecimal() for word in words):
            return tuple(map(int, words))
    raise SettingError(f'hidden takes widths such as "64,32" or [64, 32], got {value!r}')


def _reached(settings: TableSettings, head: str, values: Mapping[str, Any]) -> Any:
    """A setting with numbers inside it replaced by their paths; text stays text.

    Raises:
        SettingError: there is no such number in it; its numbers are named.
    """
    given = getattr(settings, head)
    whole = _described(head, given)
    if not isinstance(whole, Description):
        some = next(iter(values))
        raise SettingError(
            f"{head}.{some} reaches into {head}, which is {choice_text(given)}; choose a "
            f"description for {head}, such as {_example(head)}"
        )
    known = settings_of(whole)
    for path in values:
        if path not in known:
            near = nearest(path, known)
            hint = f"; did you mean {near!r}?" if near else "."
            raise SettingError(
                f"{head}.{path}: {spec_of(whole)} has no number {path!r}{hint} "
                f"Known: {', '.join(known) or 'none'}"
            )
    changed = replace_settings(whole, values)
    stays = not isinstance(given, str) or "learning_rate" in values
    return changed if stays and isinstance(changed, Optimizer) else _written(changed)


def _described(head: str, given: Any) -> Any:
    if head == "activation" and isinstance(given, str):
        return read_activation(given)
    return read(head, _FAMILIES[head], given, number=True) if isinstance(given, str) else given


def _written(description: Description) -> Any:
    try:
        return spec_of(description)
    except DescriptionError:
        return description


_EXAMPLES = {
    "learning_rate": '"cosine(0.01)"',
    "penalty": '"l2(0.001)"',
    "clip": '"norm(1.0)"',
    "average": '"ema"',
    "augment": '"mixup"',
}


def _example(head: str) -> str:
    return _EXAMPLES.get(head, f"a {_FAMILIES[head]}")


__all__ = ["check_searched", "searched_names", "with_searched"]
