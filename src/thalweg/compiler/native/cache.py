"""Compiled programs on disk, in a folder of the user's own.

An entry is one file, named by its key. It begins with a magic word, the key, and a SHA-256 digest
of what follows: so an entry that is damaged, cut off, or belongs to another key is not loaded but
removed, and its program compiled again. The digest protects from damage, not from people: that
others cannot write is what the folder's permissions (0700, the user's own, no link) are for, and
where they are not so, nothing is read or kept.

Whatever goes wrong here (no space, no permission, a folder that is a file) costs only the time to
compile again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from thalweg.compiler.native.target import Target

_MAGIC = b"thalweg program 1\n"
_SUFFIX = ".program"
_HEAD = struct.Struct("<32s32sQQ")
LARGEST = 256 * 2**20
"""Bytes that the folder may take; the entries used longest ago go first."""


@dataclass(frozen=True)
class Entry:
    """One stored program.

    Attributes:
        name: its file.
        bytes: its size.
        age: seconds since it was used.
    """

    name: str
    bytes: int
    age: float


class Cache:
    """A folder of compiled programs.

    Args:
        folder: made on first need.
        largest: bytes that it may take.
    """

    def __init__(self, folder: Path, largest: int = LARGEST) -> None:
        self.folder = folder
        self.largest = largest

    def find(self, key: bytes) -> tuple[bytes, bytes] | None:
        """The code and the metadata stored for a key, if they are there and undamaged."""
        path = self._path(key)
        try:
            if not self._is_private():
                return None
            content = _read(path)
        except OSError:
            return None
        found = _opened(content, key)
        with contextlib.suppress(OSError):
            if found is None:
                path.unlink()
            else:
                os.utime(path)
        return found

    def store(self, key: bytes, code: bytes, metadata: bytes) -> bool:
        """Keep a program; gives whether that was possible."""
        payload = metadata + code
        digest = hashlib.sha256(payload).digest()
        head = _MAGIC + _HEAD.pack(key, digest, len(metadata), len(code))
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._is_private():
                return False
            self._make_room(len(head) + len(payload))
            _write(self._path(key), head + payload)
        except OSError:
            return False
        return True

    def entries(self) -> list[Entry]:
        """What is stored, the latest used first."""
        now = time.time()
        found = [
            Entry(path.name, facts.st_size, max(0.0, now - facts.st_mtime))
            for path, facts in self._files()
        ]
        return sorted(found, key=lambda entry: entry.age)

    def clear(self) -> tuple[int, int]:
        """Remove everything; gives how many entries and bytes that were."""
        count = size = 0
        for path, facts in list(self._files()):
            with contextlib.suppress(OSError):
                path.unlink()
                count, size = count + 1, size + facts.st_size
        return count, size

    def _path(self, key: bytes) -> Path:
        return self.folder / f"{key.hex()}{_SUFFIX}"

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        try:
            names = sorted(self.folder.iterdir()) if self._is_private() else []
        except OSError:
            return
        for path in names:
            with contextlib.suppress(OSError):
                facts = path.lstat()
                if stat.S_ISREG(facts.st_mode) and path.suffix in {_SUFFIX, ".tmp"}:
                    yield path, facts

    def _is_private(self) -> bool:
        """Whether the folder is one that only this user can write to."""
        facts = self.folder.lstat()
        if not stat.S_ISDIR(facts.st_mode):
            return False
        if sys.platform == "win32":
            return True
        return facts.st_uid == os.geteuid() and not facts.st_mode & 0o022

    def _make_room(self, wanted: int) -> None:
        files = sorted(self._files(), key=lambda pair: pair[1].st_mtime)
        total = wanted + sum(facts.st_size for _, facts in files)
        for path, facts in files:
            if total <= self.largest:
                return
            with contextlib.suppress(OSError):
                path.unlink()
                total -= facts.st_size


def _read(path: Path) -> bytes:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    flags |= getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > LARGEST:
            raise OSError(f"{path} is no stored program")
        return file.read()


def _write(path: Path, content: bytes) -> None:
    """Write a file under another name first, so that nobody reads half of it."""
    temporary = path.with_name(f"{path.stem}.{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
            file.write(content)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _opened(content: bytes, key: bytes) -> tuple[bytes, bytes] | None:
    """The code and the metadata of an entry, or None where anything is not as it was stored."""
    begin = len(_MAGIC) + _HEAD.size
    if not content.startswith(_MAGIC) or len(content) < begin:
        return None
    stored, digest, first, second = _HEAD.unpack(content[len(_MAGIC) : begin])
    payload = content[begin:]
    if stored != key or first + second != len(payload):
        return None
    if hashlib.sha256(payload).digest() != digest:
        return None
    return payload[first:], payload[:first]


# ---------------------------------------------------------------------- keys and the default folder


def full_key(key: bytes, target: Target) -> bytes:
    """The key of an entry: of the caller's key, the machine, the versions and the compiler."""
    parts = [key, repr(target).encode(), _versions()]
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).digest()


@lru_cache(maxsize=1)
def _versions() -> bytes:
    """Versions of what compiles, and a digest of the compiler's own source."""
    import llvmlite
    import llvmlite.binding as llvm

    from thalweg.version import __version__

    digest = hashlib.sha256()
    for path in sorted(Path(__file__).resolve().parents[1].rglob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    written = (__version__, llvmlite.__version__, llvm.llvm_version_info, digest.hexdigest())
    return repr(written).encode()


def default_folder() -> Path:
    """Where programs are kept: the platform's folder for what can be made again."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return Path(base or Path.home() / "AppData" / "Local") / "thalweg" / "programs"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "thalweg" / "programs"
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    root = base if base.is_absolute() else Path.home() / ".cache"
    return root / "thalweg" / "programs"


def default_cache() -> Cache | None:
    """The user's own cache; None where the user has no home."""
    try:
        return Cache(default_folder())
    except RuntimeError:
        return None
