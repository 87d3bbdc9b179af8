"""Text specs: descriptions as they are written on a command line, and back.

``adam(0.01, beta2=0.99)``, ``warm_up(then=cosine(0.1), length=5)`` and
``sequential(linear(8), relu, linear(2))`` are specs. Values without a name fill the fields in
their order; a name alone is a call without arguments. The grammar is in
:mod:`thalweg.descriptions.syntax`; nothing is evaluated.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import typing
from typing import Any, cast

import numpy as np

from thalweg.descriptions.constraints import Constraint, constraint_of, shown
from thalweg.descriptions.description import Description
from thalweg.descriptions.families import FAMILIES, is_required, make, name_of
from thalweg.descriptions.syntax import (
    Call,
    Items,
    Mapping,
    Node,
    Number,
    Text,
    Word,
    parse,
    refuse,
)
from thalweg.errors import DescriptionError, SettingError

_WORDS: dict[str, Any] = {
    "true": True,
    "false": False,
    "none": None,
    "True": True,
    "False": False,
    "None": None,
}
_COMPARED = (bool, int, float, str, tuple, list, dict, np.number, Description, type(None))
_Field = dataclasses.Field[Any]


def parse_spec(family: str, text: str, **fields: Any) -> Any:
    """The description that a text names.

    Args:
        family: ``layer``, ``optimizer``, ``schedule``, …
        text: such as ``adam`` or ``adam(learning_rate=cosine(0.1), beta2=0.99)``.
        fields: values of fields that the text leaves out.

    Raises:
        SettingError: what is wrong, at which character, and the nearest name.
        DescriptionError: there is no such family.

    >>> import thalweg as tw
    >>> parse_spec("optimizer", "sgd(cosine(0.1, length=50))")
    SGD(learning_rate=Cosine(initial=0.1, length=50, final=0.0, per='update'))
    >>> parse_spec("optimizer", "adam(beta3=0.9)")
    Traceback (most recent call last):
        ...
    thalweg.errors.SettingError: adam has no field 'beta3'; did you mean 'beta2'? known: ...
    """
    if family not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise DescriptionError(f"there is no family {family!r}; known: {known}")
    return _Builder(text).description(family, parse(text), fields)


def number_or_spec(family: str, text: str) -> Any:
    """A number, or the description that a text names.

    Raises:
        SettingError: as :func:`parse_spec`.

    >>> number_or_spec("schedule", "0.1")
    0.1
    """
    node = parse(text)
    return node.value if isinstance(node, Number) else parse_spec(family, text)


class _Builder:
    """Builds descriptions from the tree of one text, for whose messages it keeps the text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def description(
        self, family: str, node: Node, fields: typing.Mapping[str, Any] | None = None
    ) -> Any:
        """The description of a family that a node stands for, with more fields of it."""
        if isinstance(node, Word):
            node = Call(node.value, (), {}, {}, node.place)
        if not isinstance(node, Call):
            example = next(iter(FAMILIES[family].members), "name")
            article = "an" if family[0] in "aeiou" else "a"
            said = f"expected {article} {family}, such as {example}, got {_written(node)}"
            return refuse(self._text, node.place, said)
        cls = FAMILIES[family].members.get(node.name)
        if cls is None:
            return self._made(family, node, {}, {})
        taken = {field.name: field for field in dataclasses.fields(cls) if field.init}
        given = self._arguments(family, node, taken)
        values = {name: self._field(cls, taken[name], item) for name, item in given.items()}
        return self._made(family, node, {**(fields or {}), **values}, given)

    def _arguments(self, family: str, node: Call, taken: dict[str, _Field]) -> dict[str, Node]:
        """The arguments of a call by the fields that they are for."""
        found = dict[str, Node]()
        names = list(taken)
        for place, item in enumerate(node.positional):
            if place == len(names):
                said = f"takes at most {len(names)} ({', '.join(names)})" if names else "takes none"
                refuse(self._text, item.place, f"too many values: {node.name} {said}")
            if _gathers(taken[names[place]]) and not isinstance(item, Items):
                found[names[place]] = Items(node.positional[place:], item.place)
                break
            found[names[place]] = item
        for name, item in node.named.items():
            if name not in taken:
                here = Word(name, node.places[name])
                self._made(family, node, {name: None}, {name: here})
            if name in found:
                refuse(self._text, node.places[name], f"{node.name}: {name} is given twice")
            found[name] = item
        return found

    def _made(self, family: str, node: Call, values: dict[str, Any], given: dict[str, Node]) -> Any:
        try:
            return make(family, node.name, **values)
        except SettingError as error:
            words = re.findall(r"\w+", str(error))[:5]
            culprit = next((item for name, item in given.items() if name in words), node)
            refuse(self._text, culprit.place, str(error))

    def _field(self, cls: type[Any], field: _Field, node: Node) -> Any:
        """The value of a field, in the way that its constraint says."""
        constraint = constraint_of(field)
        if constraint is None:
            return self._converted(cls, field, node)
        if constraint.role == "parts":
            items = node.values if isinstance(node, Items) else (node,)
            return tuple(self.description(constraint.family, item) for item in items)
        if self._is_part(constraint, node):
            return self.description(constraint.family, node)
        return self._plain(node)

    def _is_part(self, constraint: Constraint, node: Node) -> bool:
        if not constraint.family:
            return False
        if isinstance(node, Word) and node.value in _WORDS:
            return node.value in FAMILIES[constraint.family].members
        return constraint.role == "part" or isinstance(node, (Word, Call))

    def _converted(self, cls: type[Any], field: _Field, node: Node) -> Any:
        import msgspec

        value = self._plain(node)
        try:
            return msgspec.convert(value, typing.get_type_hints(cls)[field.name], strict=True)
        except msgspec.ValidationError as error:
            return refuse(self._text, node.place, f"{cls.__name__}.{field.name}: {error}")

    def _plain(self, node: Node) -> Any:
        """Numbers, texts, true, false, none, tuples and mappings."""
        if isinstance(node, Items):
            return tuple(self._plain(item) for item in node.values)
        if isinstance(node, Mapping):
            return {key: self._plain(item) for key, item in node.values.items()}
        if isinstance(node, Word):
            return _WORDS.get(node.value, node.value)
        if isinstance(node, (Number, Text)):
            return node.value
        return refuse(self._text, node.place, f"expected a plain value, got {_written(node)}")


def _gathers(field: _Field) -> bool:
    constraint = constraint_of(field)
    return constraint is not None and constraint.role == "parts"


def _written(node: Node) -> str:
    if isinstance(node, (Number, Text, Word)):
        return shown(node.value)
    return f"{node.name}(…)" if isinstance(node, Call) else "brackets"


# ------------------------------------------------------------------ back to text


def spec_of(description: Description) -> str:
    """The text that :func:`parse_spec` reads as this description; defaults are left out.

    Raises:
        DescriptionError: a class is not registered, or a field holds what has no text (a tensor).

    >>> import thalweg as tw
    >>> spec_of(tw.Adam(0.01)), spec_of(tw.Sequential(tw.Linear(8), tw.ReLU()))
    ('adam(learning_rate=0.01)', 'sequential(linear(8), relu)')
    """
    words = list[str]()
    in_order = True
    for field in dataclasses.fields(description):
        value = getattr(description, field.name)
        if not field.init or _is_default(field, value):
            in_order = False
            continue
        where = f"{type(description).__name__}.{field.name}"
        text = _text(where, value)
        if in_order and _gathers(field) and value:
            words += [_text(where, item) for item in value]
            in_order = False
        elif in_order and is_required(field):
            words.append(text)
        else:
            words.append(f"{field.name}={text}")
            in_order = False
    name = name_of(description)
    return f"{name}({', '.join(words)})" if words else name


def _is_default(field: _Field, value: Any) -> bool:
    if is_required(field) or not isinstance(value, _COMPARED):
        return False
    factory = field.default_factory
    return bool(value == (field.default if factory is dataclasses.MISSING else factory()))


def _text(where: str, value: Any) -> str:
    if isinstance(value, Description):
        return spec_of(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_text(where, item) for item in cast('list[Any]', value))}]"
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value).items()
        return "{" + ", ".join(f"{_quoted(key)}: {_text(where, item)}" for key, item in pairs) + "}"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, int) or (isinstance(number, float) and math.isfinite(number)):
        return repr(number)
    raise DescriptionError(f"cannot write {where} as text: {shown(value)}")


def _quoted(text: str) -> str:
    plain = text.isascii() and text.isidentifier() and text not in _WORDS
    return text if plain else json.dumps(text)
