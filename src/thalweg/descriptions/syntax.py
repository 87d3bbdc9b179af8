"""The grammar of text specs: how a description is written on a command line, as a tree.

::

    value     ::= number | text | word | call | list | mapping
    call      ::= word "(" [argument {"," argument}] ")"
    argument  ::= [word "="] value
    list      ::= "(" [value {"," value}] ")" | "[" [value {"," value}] "]"
    mapping   ::= "{" [key ":" value {"," key ":" value}] "}"
    key       ::= word | text | number

A number as a key is the text that it is written with. A text stands in single quotes as it is, or
in double quotes with the escapes of JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypeVar

from thalweg.descriptions.constraints import shown
from thalweg.errors import SettingError

MAX_CHARACTERS = 10_000
"""How long a spec may be."""

MAX_DEPTH = 100
"""How many values may stand inside each other."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w))"
    r"|(?P<word>[A-Za-z_]\w*)"
    r"""|(?P<text>'[^']*'|"(?:[^"\\]|\\.)*")"""
    r"|(?P<mark>[()\[\]{},=:]))",
    re.ASCII,
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}

T = TypeVar("T")


class Number(NamedTuple):
    """A number."""

    value: float
    place: int


class Text(NamedTuple):
    """A text in quotes."""

    value: str
    place: int


class Word(NamedTuple):
    """A bare word: a name, a choice, or true, false, none."""

    value: str
    place: int


class Call(NamedTuple):
    """A name with arguments; ``places`` says where the names of arguments stand."""

    name: str
    positional: tuple[Node, ...]
    named: dict[str, Node]
    places: dict[str, int]
    place: int


class Items(NamedTuple):
    """Values in round or square brackets."""

    values: tuple[Node, ...]
    place: int


class Mapping(NamedTuple):
    """Keys and values in braces."""

    values: dict[str, Node]
    place: int


Node = Number | Text | Word | Call | Items | Mapping


class _Token(NamedTuple):
    kind: str
    text: str
    place: int

    def __str__(self) -> str:
        return repr(self.text) if self.kind else "the end"


def refuse(text: str, place: int, message: str) -> NoReturn:
    """Raise the error of a spec: what is wrong, and at which character.

    Raises:
        SettingError: always.
    """
    raise SettingError(f"{message} (character {place + 1} of {shown(text)})")


def parse(text: str) -> Node:
    """The tree of a text spec.

    Raises:
        SettingError: the text is too long, too deep or breaks the grammar; with the place.

    >>> parse("cosine(0.1, length=50)").name
    'cosine'
    """
    if len(text) > MAX_CHARACTERS:
        raise SettingError(f"a spec has at most {MAX_CHARACTERS} characters, got {len(text)}")
    reader = _Reader(text)
    value = reader.value(0)
    if reader.next.kind:
        refuse(text, reader.next.place, f"expected nothing more, got {reader.next}")
    return value


class _Reader:
    """Reads a spec from left to right, one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = 0
        self.next = self._token()

    def _token(self) -> _Token:
        match = _TOKEN.match(self._text, self._end)
        if match is not None:
            self._end = match.end()
            kind = str(match.lastgroup)
            return _Token(kind, match[kind], match.start(kind))
        rest = self._text[self._end :].lstrip()
        place = len(self._text) - len(rest)
        if rest:
            unended = "a text without its closing quote" if rest[0] in "'\"" else shown(rest[:20])
            refuse(self._text, place, f"expected a name, a number or a text, got {unended}")
        return _Token("", "", place)

    def _take(self) -> _Token:
        token, self.next = self.next, self._token()
        return token

    def value(self, depth: int) -> Node:
        """The value that begins here."""
        token = self._take()
        if depth > MAX_DEPTH:
            refuse(self._text, token.place, f"more than {MAX_DEPTH} values inside each other")
        if token.kind == "number":
            return Number(self._number(token), token.place)
        if token.kind == "text":
            return Text(self._unquoted(token), token.place)
        if token.kind == "word":
            called = self.next.text == "("
            return self._call(token, depth) if called else Word(token.text, token.place)
        if token.text in {"(", "["}:
            items = self._until(_CLOSING[token.text], lambda: self.value(depth + 1))
            return Items(tuple(items), token.place)
        if token.text == "{":
            pairs = self._until("}", lambda: self._named(":", depth, numbers=True))
            return Mapping(self._unique(pairs), token.place)
        return refuse(self._text, token.place, f"expected a name, a number or a text, got {token}")

    def _call(self, name: _Token, depth: int) -> Call:
        self._take()
        positional, named = list[Node](), list[tuple[_Token, Node]]()
        for key, value in self._until(")", lambda: self._argument(depth)):
            if key is not None:
                named.append((key, value))
            elif named:
                refuse(self._text, value.place, "a value without a name follows one with a name")
            else:
                positional.append(value)
        places = {key.text: key.place for key, _ in named}
        return Call(name.text, tuple(positional), self._unique(named), places, name.place)

    def _argument(self, depth: int) -> tuple[_Token | None, Node]:
        if self.next.kind == "word" and self._text[self._end :].lstrip().startswith("="):
            return self._named("=", depth)
        return None, self.value(depth + 1)

    def _named(self, sign: str, depth: int, *, numbers: bool = False) -> tuple[_Token, Node]:
        key = self._take()
        if key.kind == "text":
            key = key._replace(text=self._unquoted(key))
        elif key.kind != "word" and not (numbers and key.kind == "number"):
            refuse(self._text, key.place, f"expected a name, got {key}")
        self._expect(sign)
        return key, self.value(depth + 1)

    def _until(self, closing: str, read: Callable[[], T]) -> list[T]:
        found = list[T]()
        while self.next.text != closing or self.next.kind != "mark":
            found.append(read())
            if self.next.text == ",":
                self._take()
            elif self.next.text != closing:
                place = self.next.place
                refuse(self._text, place, f"expected ',' or {closing!r}, got {self.next}")
        self._take()
        return found

    def _expect(self, sign: str) -> None:
        token = self._take()
        if token.text != sign:
            refuse(self._text, token.place, f"expected {sign!r}, got {token}")

    def _unique(self, pairs: list[tuple[_Token, Node]]) -> dict[str, Node]:
        found = dict[str, Node]()
        for key, value in pairs:
            if key.text in found:
                refuse(self._text, key.place, f"{key.text} is given twice")
            found[key.text] = value
        return found

    def _number(self, token: _Token) -> Any:
        try:
            return int(token.text) if token.text.lstrip("+-").isdigit() else float(token.text)
        except ValueError:
            refuse(self._text, token.place, f"{shown(token.text)} has too many digits")

    def _unquoted(self, token: _Token) -> str:
        if token.text[0] == "'":
            return token.text[1:-1]
        try:
            return json.loads(token.text)
        except ValueError:
            refuse(self._text, token.place, f"{shown(token.text)} has an escape that JSON has not")
