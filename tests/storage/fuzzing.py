"""Loads mutated files under an audit hook: ``python -m tests.storage.fuzzing FOLDER COUNT SEED``.

Half of the mutants get a digest that fits them, so that the faults reach the code behind it. Each
load must end in a FileError or a container; whatever else it does is a violation.
"""

import contextlib
import json
import random
import sys
from pathlib import Path

from tests.storage import hostile
from tests.storage.forging import forge, good_file, header_text, resign, tensor

from thalweg.errors import FileError
from thalweg.storage.container import read_container

FORBIDDEN = (
    "exec",
    "compile",
    "import",
    "socket.",
    "subprocess.",
    "ctypes.",
    "pickle.",
    "marshal.",
)
TOKENS = [
    *(b"\0", b" ", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"-", b".", b"e9", b"\\u0000"),
    *(b"NaN", b"1e999", b"true", b"null", b"9" * 400, b"[" * 1000, b"18446744073709551616"),
    *(b'"w":', b'"dtype":', b'"shape":[', b'"__metadata__":', b"__reduce__", b"../", b"\xff"),
]
ALLOWED: set[str] = set()


def hook(event: str, arguments: tuple) -> None:
    """Refuse everything that a load has no business with, while a load is running."""
    if not ALLOWED:
        return
    if event.startswith(FORBIDDEN):
        raise RuntimeError(f"violation: {event} {arguments!r:.200}")
    writes_or_lists = event.startswith(("os.", "shutil.", "tempfile.", "glob.", "pathlib."))
    if writes_or_lists or (event == "open" and str(arguments[0]) not in ALLOWED):
        raise RuntimeError(f"violation: {event} {arguments!r:.200}")


def mutate(content: bytes, chance: random.Random) -> bytes:
    """The file with one to three cuts, copies, insertions, other digits or flipped bits."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(changed) + 1)
        end = min(len(changed), at + chance.randint(1, 40))
        kind = chance.randrange(8)
        if kind > 4:
            alike = b"0123456789" if kind < 7 else bytes(range(97, 123))
            places = [place for place, byte in enumerate(changed) if byte in alike]
            if places:
                changed[chance.choice(places)] = chance.choice(alike)
        elif kind == 0:
            changed[at:at] = chance.choice(TOKENS)
        elif kind == 1:
            changed[at:end] = b""
        elif kind == 2:
            changed[at:at] = changed[at:end]
        elif kind == 3 and at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
        else:
            changed[at:end] = chance.choice(TOKENS)
    return bytes(changed)


def fit_length(content: bytes) -> bytes:
    """The same file with a length and padding that fit its mutated header."""
    stop = content.rfind(b"}}") + 2
    return forge(content[8:stop], content[stop:].lstrip(b" "))


def load(path: Path, content: bytes) -> bool:
    """Whether the file was accepted; any error but FileError goes on up."""
    path.write_bytes(content)
    ALLOWED.add(str(path))
    try:
        read_container(path, format="thalweg-model")
    except FileError as error:
        if not str(error).startswith(f"{path}: "):
            raise RuntimeError("violation: the error does not name the file") from error
        return False
    finally:
        ALLOWED.clear()
    return True


def main(folder: str, count: str, seed: str) -> None:
    """Print how many mutants were refused and accepted."""
    path, chance = Path(folder) / "m.safetensors", random.Random(int(seed))
    many = {f"layers.{i}.weight": tensor((2,), (8 * i, 8 * i + 8)) for i in range(8)}
    seeds = [good_file(), forge(header_text(many, document='{"a":[1.5,{"b":null}]}'), bytes(64))]
    ready = [content for content, _ in hostile.cases().values() if isinstance(content, bytes)]
    small = [content for content in ready if 16 < len(content) < 10**4]
    for content in [*seeds, *small]:  # everything that is imported or compiled late, is now
        path.write_bytes(content)
        with contextlib.suppress(FileError):
            read_container(path, format="thalweg-model")
    sys.addaudithook(hook)
    outcomes = {"refused": 0, "accepted": 0, "unsigned accepted": 0}
    for turn in range(int(count)):
        source = chance.choice(seeds if turn % 4 else small)
        mutant = mutate(source, chance)
        signed = turn % 2 == 0
        if signed:
            mutant = fit_length(mutant) if turn % 8 else resign(mutant)
        accepted = load(path, mutant)
        outcomes["accepted" if accepted else "refused"] += 1
        outcomes["unsigned accepted"] += accepted and not signed and mutant not in seeds
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
