"""Writes docs/reference: a page for each family of descriptions, made from the registries.

python tools/reference.py            write the pages
python tools/reference.py --check    exit code 1 if any page is not what it would write
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import thalweg as tw
import thalweg.searching.search
from thalweg.descriptions import Constraint
from thalweg.descriptions.constraints import RELATIONS, constraint_of
from thalweg.descriptions.families import FAMILIES, is_required
from thalweg.descriptions.spec import spec_of
from thalweg.nn.activations import Activation

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
NOTE = "<!-- Written by tools/reference.py from the registries: make reference -->"
WIDTH = 100
SECTIONS = ("Args", "Attributes", "Shape", "Returns", "Raises", "Source")


class Page(NamedTuple):
    """A page: which registered classes it shows."""

    file: str
    title: str
    family: str
    intro: str


PAGES = (
    Page(
        "layers",
        "Layers",
        "layer",
        "Layers are put together with `tw.Sequential`; `thalweg train --network SPEC` takes them "
        "as text. [Activations](activations.md) are layers as well.",
    ),
    Page(
        "activations",
        "Activations",
        "layer",
        "Activations are [layers](layers.md) without weights (but for the learned slope of some). "
        "`thalweg train --activation SPEC` takes them as text.",
    ),
    Page(
        "initialisers",
        "Initialisers",
        "initialiser",
        "What weights start from: the `weight` and `bias_start` of a layer, and "
        "`thalweg train --initialiser SPEC`.",
    ),
    Page(
        "losses",
        "Losses",
        "loss",
        "What training minimises: `tw.fit(..., loss=...)` and `thalweg train --loss SPEC`.",
    ),
    Page(
        "penalties",
        "Penalties",
        "penalty",
        "What is added to the loss: `tw.fit(..., penalty=...)` and `thalweg train --penalty SPEC`; "
        "a number is the factor of `l2`.",
    ),
    Page(
        "optimizers",
        "Optimisers",
        "optimizer",
        "Update rules: `tw.fit(..., optimizer=...)` and `thalweg train --optimizer SPEC`.",
    ),
    Page(
        "schedules",
        "Learning-rate schedules",
        "schedule",
        "A schedule stands in for the learning rate of any [optimiser](optimizers.md): "
        "`tw.Adam(tw.Cosine(0.01))` and `thalweg train --learning-rate SPEC`.",
    ),
    Page(
        "clipping",
        "Gradient clipping",
        "clipping",
        "Bounds on the gradients: `tw.fit(..., clip=...)` and `thalweg train --clip SPEC`; a "
        "number is the bound of `norm`.",
    ),
    Page(
        "averaging",
        "Averaging of weights",
        "averaging",
        "What stands in for the last weights: `tw.fit(..., average=...)` and "
        "`thalweg train --average SPEC`; a number is the decay of `ema`.",
    ),
    Page(
        "augmentation",
        "Augmentation",
        "augmentation",
        "Random changes of training batches: `tw.fit(..., augment=...)`.",
    ),
    Page(
        "groups",
        "Groups of parameters",
        "group",
        "The parts of the optimiser [groups](optimizers.md#groups): which parameters a rule is "
        "for.",
    ),
    Page(
        "branches",
        "Branches of columns",
        "branch",
        "The parts of the layer [columns](layers.md#columns): which columns a layer takes.",
    ),
    Page(
        "stopping",
        "Early stopping",
        "stopping",
        "When training ends before its last epoch: `tw.fit(..., early_stopping=...)`.",
    ),
    Page(
        "samplers",
        "Samplers",
        "sampler",
        "How a [search](../search.md) proposes trials: `tw.search(..., sampler=...)` and "
        "`thalweg search --sampler SPEC`.",
    ),
    Page(
        "schedulers",
        "Schedulers",
        "scheduler",
        "How a [search](../search.md) shares its time among trials: `tw.search(..., "
        "scheduler=...)` and `thalweg search --scheduler SPEC`.",
    ),
)
LINKS = {page.family: page.file for page in PAGES} | {"layer": "layers"}


# ------------------------------------------------------------------ pages


def pages() -> dict[str, str]:
    """Every page by the name of its file."""
    missing = {name for name, members in _registered().items() if members} - LINKS.keys()
    if missing:
        raise SystemExit(f"tools/reference.py has no page for the families {sorted(missing)}")
    shown = [page for page in PAGES if _members(page)]
    return {"README.md": _index(shown)} | {f"{page.file}.md": _page(page) for page in shown}


def _registered() -> dict[str, dict[str, Any]]:
    return {
        family: {
            name: cls
            for name, cls in found.members.items()
            if cls.__module__.startswith("thalweg.")
        }
        for family, found in FAMILIES.items()
    }


def _members(page: Page) -> dict[str, Any]:
    members = _registered().get(page.family, {})
    if page.family != "layer":
        return members
    wanted = page.file == "activations"
    return {name: cls for name, cls in members.items() if issubclass(cls, Activation) == wanted}


def _index(shown: list[Page]) -> str:
    lines = [NOTE, "", "# Reference", "", *_SPECS.strip().splitlines(), "", "| page | names |"]
    lines += ["|---|---|"]
    for page in shown:
        names = ", ".join(f"[{name}]({page.file}.md#{name})" for name in _members(page))
        lines.append(f"| [{page.title}]({page.file}.md) | {names} |")
    return "\n".join(lines) + "\n"


_SPECS = """
Everything here is a *description*: a frozen dataclass whose fields declare what they may hold. It
is made in Python by its class, in a model's JSON and on the command line by its name. As text it is
written like a call; values without a name fill the fields in their order, and a name alone takes
every default:

    adam
    adam(0.01, beta2=0.99)
    sgd(learning_rate=warm_up(then=cosine(0.1), length=5))
    sequential(linear(64), layer_norm, relu, dropout(0.2), linear(1))

Several numbers stand in brackets, `(1, 2)` or `[1, 2]`; choices are bare words or texts in quotes;
`true`, `false` and `none` are what they say. A *number* below is a setting, which the compiled
program takes as an input: another value needs no new compilation. A *whole number* shapes the
program.
"""


def _page(page: Page) -> str:
    intro = _filled(f"{page.intro} How text is written: [reference](README.md).")
    blocks = [NOTE, f"# {page.title}", intro]
    groups: dict[str, list[tuple[str, Any]]] = {}
    for name, cls in _members(page).items():
        groups.setdefault(cls.__module__, []).append((name, cls))
    for module, members in groups.items():
        if len(groups) > 1:
            blocks += [f"## {_heading(module)}"]
        blocks += [_overview(members)]
        for name, cls in members:
            blocks += list(_entry(page.family, name, cls, "###" if len(groups) > 1 else "##"))
    return "\n\n".join(blocks) + "\n"


def _heading(module: str) -> str:
    doc = sys.modules[module].__doc__ or module
    first = _markdown(doc.strip().splitlines()[0].rstrip("."))
    return first[0].upper() + first[1:]


def _overview(members: list[tuple[str, Any]]) -> str:
    rows = ["| name | class | |", "|---|---|---|"]
    for name, cls in members:
        paragraph = (cls.__doc__ or "").strip().split("\n\n")[0]
        rows.append(f"| [{name}](#{name}) | `{_public(cls)}` | {_cell(paragraph)} |")
    return "\n".join(rows)


def _public(cls: type[Any]) -> str:
    """The name to import a class by."""
    name = cls.__name__
    is_known = name in tw.__all__ and getattr(tw, name) is cls
    return f"tw.{name}" if is_known else f"{cls.__module__}.{name}"


# ------------------------------------------------------------------ one description


def _entry(family: str, name: str, cls: type[Any], level: str) -> Iterator[str]:
    parts = _sections(cls)
    fields = [field for field in dataclasses.fields(cls) if field.init]
    yield f"{level} {name}"
    yield f"```python\n{_signature(cls, fields)}\n```"
    yield from parts.pop("", [])
    if fields:
        yield _table(cls, fields, _items(parts.pop("Args", []) + parts.pop("Attributes", [])))
    for title in ("Shape", "Raises", "Source"):
        for text in parts.pop(title, []):
            yield _filled(" ".join(f"**{title}.** {text}".split()))
    example = "\n\n".join(parts.pop(">>>", []))
    if example:
        yield f"```pycon\n{_public_names(example)}\n```"


def _signature(cls: type[Any], fields: list[Any]) -> str:
    words = [
        field.name if is_required(field) else f"{field.name}={_default(field)}" for field in fields
    ]
    line = f"{_public(cls)}({', '.join(words)})"
    if len(line) <= 88:
        return line
    return f"{_public(cls)}(\n" + "".join(f"    {word},\n" for word in words) + ")"


def _default(field: Any) -> str:
    missing = field.default is dataclasses.MISSING
    value = field.default_factory() if missing else field.default
    return _shown(value)


def _shown(value: Any) -> str:
    if dataclasses.is_dataclass(value):
        changed = [
            f"{field.name}={_shown(getattr(value, field.name))}"
            for field in dataclasses.fields(value)
            if field.init
            and (is_required(field) or _shown(getattr(value, field.name)) != _default(field))
        ]
        return f"{_public(type(value))}({', '.join(changed)})"
    return repr(value)


def _table(cls: type[Any], fields: list[Any], explained: dict[str, str]) -> str:
    rows = ["| field | may be | default | |", "|---|---|---|---|"]
    hints = typing.get_type_hints(cls)
    for field in fields:
        constraint = constraint_of(field)
        text = explained.get(field.name) or (constraint.help if constraint else "")
        allowed = _allowed(constraint) if constraint else f"`{_type(hints[field.name])}`"
        default = "" if is_required(field) else _text_default(field)
        rows.append(f"| `{field.name}` | {allowed} | {default} | {_cell(text)} |")
    return "\n".join(rows)


def _text_default(field: Any) -> str:
    missing = field.default is dataclasses.MISSING
    value = field.default_factory() if missing else field.default
    if dataclasses.is_dataclass(value):
        return f"`{spec_of(value)}`"
    words = {True: "true", False: "false", None: "none"}
    plain = isinstance(value, (bool, type(None)))
    return f"`{words[value] if plain else value}`"


def _type(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


def _allowed(constraint: Constraint) -> str:
    """What a field may hold, in words."""
    role, link = constraint.role, LINKS.get(constraint.family)
    kin = f"[{constraint.family}]({link}.md)" if link else constraint.family
    article = "an" if constraint.family[:1] in tuple("aeiou") else "a"
    interval = constraint.interval().replace("-∞", "−∞")
    words = {
        "setting": f"number in {interval}",
        "numbers": f"numbers in {interval}{', increasing' if constraint.increasing else ''}",
        "size": f"whole number {_whole(constraint)}",
        "option": ", ".join(f"`{choice}`" for choice in constraint.options),
        "flag": "`true`, `false`",
        "part": f"{article} {kin}{' or `none`' if constraint.optional else ''}",
        "parts": f"any number of {kin}s",
    }[role]
    if role == "setting" and constraint.family:
        words += f", or {article} {kin}"
    for relation, other in constraint.relations:
        words += f", {RELATIONS[relation][0].replace('<', '&lt;')} `{other}`"
    return words.replace("|", "\\|")


def _whole(constraint: Constraint) -> str:
    if constraint.high >= 2**31 - 1:
        return f"≥ {constraint.low:g}"
    return f"{constraint.low:g} … {constraint.high:g}"


def _public_names(example: str) -> str:
    """An example with every registered class called by the name to import it by."""
    classes = {cls.__name__: cls for members in _registered().values() for cls in members.values()}

    def renamed(match: re.Match[str]) -> str:
        return _public(classes[match[0]]) if match[0] in classes else match[0]

    lines = example.splitlines()
    return "\n".join(
        re.sub(r"(?<![\w.\"'])[A-Z]\w*(?=\()", renamed, line)
        if line[:3] in {">>>", "..."}
        else line
        for line in lines
    )


# ------------------------------------------------------------------ docstrings


def _sections(cls: type[Any]) -> dict[str, list[str]]:
    """A docstring's paragraphs by section; the text before any section under ""."""
    found: dict[str, list[str]] = {}
    text = textwrap.dedent("    " + (cls.__doc__ or "")).strip()
    for paragraph in re.split(r"\n\s*\n", text):
        title, rest = _titled(paragraph)
        plain = title in {">>>", "Args", "Attributes"}
        found.setdefault(title, []).append(rest if plain else _paragraph(rest))
    return found


def _titled(paragraph: str) -> tuple[str, str]:
    if paragraph.startswith(">>>"):
        return ">>>", paragraph
    for title in SECTIONS:
        if paragraph.startswith(f"{title}:"):
            return title, textwrap.dedent(paragraph[len(title) + 1 :].strip("\n"))
    return "", paragraph


def _items(blocks: list[str]) -> dict[str, str]:
    """``name: text`` items of a section, each of one or more lines."""
    found: dict[str, str] = {}
    name = ""
    for line in "\n".join(blocks).splitlines():
        match = re.match(r"(\w+): (.*)", line)
        if match:
            name = match[1]
            found[name] = match[2]
        elif name:
            found[name] += "\n" + line.strip()
    return found


def _paragraph(text: str) -> str:
    """A paragraph; an indented or code block stays as it is."""
    if "\n    " in text and not text.startswith(" "):
        head, _, rest = text.partition("\n    ")
        if head.endswith("::"):
            return f"{_markdown(head[:-1])}\n\n```\n{textwrap.dedent('    ' + rest)}\n```"
    text = _joined_hyphens(text)
    lines = [line.strip() for line in text.strip().splitlines()]
    if all(line.startswith(("- ", "* ")) for line in lines):
        return "\n".join(_markdown(line) for line in lines)
    return _filled(_markdown(" ".join(lines)))


def _filled(text: str) -> str:
    """Lines of at most 100 characters, none of which begins like an item of a list."""
    filled = textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return re.sub(r"^([-+>#]|\d+\.)(?= )", r"\\\1", filled, flags=re.MULTILINE)


def _joined_hyphens(text: str) -> str:
    """Text whose lines do not end inside a word with a hyphen."""
    return re.sub(r"(?<=\w-)\n\s*(?=\w)", "", text)


def _cell(text: str) -> str:
    return _markdown(" ".join(_joined_hyphens(text).split())).replace("|", "\\|")


def _markdown(text: str) -> str:
    """Docstring text as Markdown: code stays code, what Markdown would take for marks is kept."""
    text = re.sub(r":\w+:`~?([^`]+)`", lambda match: f"``{match[1].split('.')[-1]}``", text)
    pieces = re.split(r"(``[^`]+``|`[^`]+`)", text)
    return "".join(
        f"`{piece.strip('`')}`" if place % 2 else _escaped(piece)
        for place, piece in enumerate(pieces)
    )


def _escaped(text: str) -> str:
    text = re.sub(r"([*~])", r"\\\1", text)
    text = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)
    return text.replace("<", "&lt;").replace("](", "]\\(")


def main() -> None:
    """Write the pages, or say which ones are stale."""
    parser = argparse.ArgumentParser(description="write docs/reference from the registries")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if stale")
    check = parser.parse_args().check
    wanted = pages()
    stale = stale_pages(wanted)
    if check and stale:
        raise SystemExit(f"docs/reference is stale ({', '.join(stale)}): make reference")
    if not check:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in stale:
            if name in wanted:
                (FOLDER / name).write_text(wanted[name], encoding="utf-8")
            else:
                (FOLDER / name).unlink()
        print(f"{len(wanted)} pages in docs/reference, {len(stale)} of them changed")


def stale_pages(wanted: dict[str, str]) -> list[str]:
    """The files that are not what they should be, or should not be there."""
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    return sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))


if __name__ == "__main__":
    main()
