"""``thalweg cache``: the compiled programs that are kept on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from thalweg.cli.console import Output, say, say_entry, tell

if TYPE_CHECKING:
    from typing import TextIO

    from thalweg.compiler.native.cache import Cache, Entry

_UNITS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all programs.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON line instead of text.")] = False,
) -> None:
    """Show the compiled programs kept on disk, or remove them.

    Programs are compiled once and kept, so that the next run with the same network starts at once.
    They can be removed at any time: what is missing is compiled again.
    """
    from thalweg.compiler.native.cache import default_cache

    kept = default_cache()
    if kept is None:
        tell("warning", "there is no home folder, so compiled programs are not kept")
        return
    problem = kept.problem()
    if problem is not None:
        tell("warning", f"{kept.folder} is not used: {problem}")
    removed = kept.clear() if clear else None
    entries = kept.entries()
    if json:
        _write_json(kept, entries, removed)
        return
    if removed is not None:
        say(f"removed {_counted(removed[0], 'program')}, {size_text(removed[1])}")
    _show(kept, entries)


def _show(kept: Cache, entries: list[Entry]) -> None:
    total = sum(entry.bytes for entry in entries)
    say_entry("folder", str(kept.folder))
    say_entry(
        "programs", f"{len(entries):,}, {size_text(total)} of at most {size_text(kept.largest)}"
    )
    if entries:
        say_entry("newest", f"used {age_text(entries[0].age)}")
        say_entry("oldest", f"used {age_text(entries[-1].age)}")


def _write_json(kept: Cache, entries: list[Entry], removed: tuple[int, int] | None) -> None:
    from thalweg.training.display import write_json_line

    values: dict[str, object] = {
        "folder": str(kept.folder),
        "programs": len(entries),
        "bytes": sum(entry.bytes for entry in entries),
        "most_bytes": kept.largest,
        "newest_seconds": round(entries[0].age, 3) if entries else None,
        "oldest_seconds": round(entries[-1].age, 3) if entries else None,
    }
    if removed is not None:
        values["removed"] = {"programs": removed[0], "bytes": removed[1]}
    write_json_line(cast("TextIO", Output()), values)


def size_text(size: int) -> str:
    """A number of bytes in the largest fitting unit.

    >>> size_text(0), size_text(34616), size_text(256 * 2**20)
    ('0 bytes', '33.8 KiB', '256.0 MiB')
    """
    if size < 2**10:
        return _counted(size, "byte")
    return f"{size / 2**10:,.1f} KiB" if size < 2**20 else f"{size / 2**20:,.1f} MiB"


def age_text(seconds: float) -> str:
    """How long ago something was, in words.

    >>> age_text(5), age_text(61), age_text(3 * 86400)
    ('less than a minute ago', '1 minute ago', '3 days ago')
    """
    for unit, name in _UNITS:
        if seconds >= unit:
            return f"{_counted(int(seconds // unit), name)} ago"
    return "less than a minute ago"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
