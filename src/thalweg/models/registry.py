"""Named models: which there are, and how one is made from its name."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection
from typing import Any

from thalweg.descriptions.constraints import shown
from thalweg.descriptions.syntax import Call, Items, Node, Number, Text, Word, parse, refuse
from thalweg.errors import SettingError
from thalweg.models.alexnet import alexnet
from thalweg.models.lenet import lenet5, lenet5_1998
from thalweg.models.resnet import resnet
from thalweg.nn.containers import Sequential

MODELS: dict[str, Callable[..., Sequential]] = {
    "lenet5": lenet5,
    "lenet5_1998": lenet5_1998,
    "alexnet": alexnet,
    "resnet": resnet,
}
"""The functions that make named models; each takes the number of classes and options by name."""

_WORDS = {"true": True, "false": False, "none": None, "True": True, "False": False, "None": None}


def model(name: str, **options: Any) -> Sequential:
    """A named model.

    Args:
        name: one of :data:`MODELS`, or one with options as a text: ``"resnet(blocks=3)"``.
        options: what the model's function takes, such as ``classes``; they come before those of
            the text.

    Returns:
        The layers, a description like any other.

    Raises:
        SettingError: an unknown name or option, with the nearest known one.

    >>> len(model("lenet5", classes=3)), len(model("resnet(blocks=3)"))
    (12, 23)
    >>> model("lenet")
    Traceback (most recent call last):
        ...
    thalweg.errors.SettingError: unknown model 'lenet'; did you mean 'lenet5'? known: ...
    """
    found, written = _read(name)
    if found not in MODELS:
        raise SettingError(f"unknown model {shown(found)}{_nearest(found, MODELS)}")
    function = MODELS[found]
    taken = inspect.signature(function).parameters
    for option in (*written, *options):
        if option not in taken:
            raise SettingError(f"{found} has no option {option!r}{_nearest(option, taken)}")
    return function(**{**written, **options})


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return f"{hint} known: {', '.join(known)}"


def _read(text: str) -> tuple[str, dict[str, Any]]:
    """The name and the options that a text holds."""
    node = parse(text)
    if isinstance(node, Word):
        return node.value, {}
    if not isinstance(node, Call) or node.positional:
        said = "a model is a name, or a name with named options, such as resnet(blocks=3)"
        refuse(text, node.place, said)
    return node.name, {name: _value(text, item) for name, item in node.named.items()}


def _value(text: str, node: Node) -> Any:
    if isinstance(node, Number):
        return int(node.value) if float(node.value).is_integer() else node.value
    if isinstance(node, Word):
        return _WORDS.get(node.value, node.value)
    if isinstance(node, Items):
        return tuple(_value(text, item) for item in node.values)
    if isinstance(node, Text):
        return node.value
    return refuse(text, node.place, "an option is a number, a word, a text or a list of them")
