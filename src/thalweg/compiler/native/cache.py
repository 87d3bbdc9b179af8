"""Compiled programs on disk, in a folder of the user's own.

An entry is one file, named by its key, written in one stroke:

    magic, format, key, length of metadata, length of code | SHA-256 of all else | metadata, code

An entry that is damaged, cut off, of another format or another key is never loaded: it is removed,
and its program compiled again. The digest protects from damage, not from people, since whoever can
write an entry can write its digest. From others protects that only the user can write there: the
folder must be a real one (no link), belong to the user, and be writable by nobody else, and each
entry must belong to the user too. Where that is not so, nothing is read or kept.

Whatever goes wrong here (no space, no permission, a folder that is a file) costs only the time to
compile again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import struct
import sys
import time
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from thalweg.compiler.native.target import Target
from thalweg.errors import FileError
from thalweg.storage.atomic import write_atomically
from thalweg.storage.opening import open_regular

CACHE_FORMAT = 1
"""Of the entries; another number is another key, and entries of other formats are not loaded."""

LARGEST = 256 * 2**20
"""Bytes that the folder may take; the entries used longest ago go first."""

_HEAD = struct.Struct("<16sI32sQQ")
_MAGIC = b"thalweg program\n"
_DIGEST = 32
_START = _HEAD.size + _DIGEST
_SUFFIX = ".program"
_ENTRY = re.compile(r"[0-9a-f]{64}\.program")
_TEMPORARY = re.compile(r"\.[0-9a-f]{48}\.[0-9a-f]{16}\.tmp")
_ABANDONED = 3600.0
"""Seconds after which an unfinished file has no writer any more."""

_warned: set[Path] = set()


@dataclass(frozen=True)
class Entry:
    """One stored program.

    Attributes:
        name: its file.
        bytes: its size.
        age: seconds since it was stored or used.
    """

    name: str
    bytes: int
    age: float


class _File(NamedTuple):
    name: str
    bytes: int
    used: float
    is_entry: bool


class Cache:
    """A folder of compiled programs.

    Args:
        folder: made at need, with permissions 0700.
        largest: bytes that it may take.

    >>> import tempfile
    >>> cache = Cache(Path(tempfile.mkdtemp()) / "programs")
    >>> key = hashlib.sha256(b"a graph").digest()
    >>> cache.store(key, b"code", b"{}"), cache.find(key)
    (True, (b'code', b'{}'))
    """

    def __init__(self, folder: str | os.PathLike[str], largest: int = LARGEST) -> None:
        self.folder = Path(folder)
        self.largest = largest

    def find(self, key: bytes) -> tuple[bytes, bytes] | None:
        """The code and the metadata stored for a key (32 bytes); None without a sound entry."""
        if not self._is_usable():
            return None
        path = self._path(key)
        try:
            path.lstat()
        except OSError:
            return None
        content = _read(path)
        found = None if content is None else _opened(content, key)
        with contextlib.suppress(OSError):
            if found is None:
                path.unlink()
            else:
                os.utime(path)
        return found

    def store(self, key: bytes, object_code: bytes, metadata: bytes = b"") -> bool:
        """Keep a program under a key (32 bytes); gives whether that was possible."""
        head = _HEAD.pack(_MAGIC, CACHE_FORMAT, key, len(metadata), len(object_code))
        payload = metadata + object_code
        size = _START + len(payload)
        if size > self.largest:
            return False
        try:
            _make_private(self.folder)
            if not self._is_usable():
                return False
            path = self._path(key)
            self._make_room(size, path.name)
            write_atomically(path, [head, _digest(head, payload), payload], disposable=True)
        except (OSError, FileError):
            return False
        return True

    def entries(self) -> list[Entry]:
        """What is stored, the latest used first."""
        now = time.time()
        found = [
            Entry(file.name, file.bytes, max(0.0, now - file.used))
            for file in self._files()
            if file.is_entry
        ]
        return sorted(found, key=lambda entry: (entry.age, entry.name))

    def clear(self) -> tuple[int, int]:
        """Remove everything; gives how many programs and bytes that were."""
        count = size = 0
        for file in self._files():
            with contextlib.suppress(OSError):
                (self.folder / file.name).unlink()
                count, size = count + file.is_entry, size + file.bytes
        return count, size

    def problem(self) -> str | None:
        """Why the folder is not used; None where it is used or not made yet."""
        try:
            return _fault(self.folder.lstat())
        except FileNotFoundError:
            return None
        except OSError as error:
            return error.strerror or str(error)

    def _is_usable(self) -> bool:
        problem = self.problem()
        if problem is not None and self.folder not in _warned:
            _warned.add(self.folder)
            warnings.warn(
                f"compiled programs are not kept in {self.folder}: {problem}; every program is "
                "compiled anew",
                RuntimeWarning,
                stacklevel=2,
            )
        return problem is None

    def _path(self, key: bytes) -> Path:
        return self.folder / f"{key.hex()}{_SUFFIX}"

    def _files(self) -> list[_File]:
        """Entries, and what killed writers left; nothing else that may lie in the folder."""
        files: list[_File] = []
        if self.problem() is not None:
            return files
        with contextlib.suppress(OSError), os.scandir(self.folder) as found:
            for item in found:
                is_entry = _ENTRY.fullmatch(item.name) is not None
                if not is_entry and _TEMPORARY.fullmatch(item.name) is None:
                    continue
                try:
                    facts = item.stat(follow_symlinks=False)
                except OSError:
                    continue
                files.append(_File(item.name, facts.st_size, facts.st_mtime, is_entry))
        return files

    def _make_room(self, wanted: int, replaced: str) -> None:
        """Remove abandoned files, then entries, oldest first, until there is room."""
        files = [file for file in self._files() if file.name != replaced]
        total = wanted + sum(file.bytes for file in files)
        abandoned = time.time() - _ABANDONED
        for file in sorted(files, key=lambda file: (file.is_entry, file.used)):
            if total <= self.largest if file.is_entry else file.used > abandoned:
                continue
            with contextlib.suppress(OSError):
                (self.folder / file.name).unlink()
                total -= file.bytes


# ---------------------------------------------------------------------------- files


def _make_private(folder: Path) -> None:
    if not folder.parent.exists():
        _make_private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def _fault(facts: os.stat_result) -> str | None:
    """What is wrong with a folder for programs, if anything."""
    if stat.S_ISLNK(facts.st_mode):
        return "it is a symbolic link"
    if not stat.S_ISDIR(facts.st_mode):
        return "it is not a folder"
    if not _is_own(facts):
        return f"it belongs to another user (number {facts.st_uid})"
    if sys.platform != "win32" and facts.st_mode & 0o022:
        mode = stat.S_IMODE(facts.st_mode)
        return f"others can write to it (mode {mode:04o}; chmod 700 ends that)"
    return None


def _read(path: Path) -> bytes | None:
    """The content of a regular file of the user's own; None for anything else."""
    try:
        with open_regular(path) as file:
            facts = os.fstat(file.fileno())
            if facts.st_size > LARGEST or not _is_own(facts):
                return None
            return file.readall()
    except (OSError, FileError):
        return None


def _is_own(facts: os.stat_result) -> bool:
    return sys.platform == "win32" or facts.st_uid == os.geteuid()


def _digest(head: bytes, payload: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(head)
    digest.update(payload)
    return digest.digest()


def _opened(content: bytes, key: bytes) -> tuple[bytes, bytes] | None:
    """The code and the metadata of an entry, or None where anything is not as it was stored."""
    if len(content) < _START:
        return None
    magic, number, stored, first, second = _HEAD.unpack_from(content)
    if (magic, number, stored) != (_MAGIC, CACHE_FORMAT, key):
        return None
    payload = content[_START:]
    if first + second != len(payload):
        return None
    if _digest(content[: _HEAD.size], payload) != content[_HEAD.size : _START]:
        return None
    return payload[first:], payload[:first]


# ---------------------------------------------------------------------- keys and the default folder


def full_key(key: bytes, target: Target) -> bytes:
    """An entry's key (32 bytes): of the caller's key, the machine, versions and the compiler."""
    parts = (key, repr(target).encode(), _versions())
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


@lru_cache(maxsize=1)
def _versions() -> bytes:
    """Versions of all that makes code, and a digest of the compiler's own source."""
    import llvmlite
    import llvmlite.binding as llvm

    from thalweg.version import __version__

    compiler = Path(__file__).resolve().parents[1]
    written = (CACHE_FORMAT, __version__, llvmlite.__version__, llvm.llvm_version_info)
    return f"{written} {source_digest(compiler)}".encode()


def source_digest(folder: Path) -> str:
    """A digest of every Python file in a folder and below: names and contents."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def default_folder() -> Path:
    """Where programs are kept: in the platform's folder for what can be made again.

    That is ``$XDG_CACHE_HOME`` (or ``~/.cache``) on Linux, ``~/Library/Caches`` on macOS,
    ``%LOCALAPPDATA%`` on Windows, and ``thalweg/programs`` in it.

    Raises:
        RuntimeError: the user has no home folder.
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "")
        root = Path(base) if base else Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", ""))
        root = base if base.is_absolute() else Path.home() / ".cache"
    return root / "thalweg" / "programs"


def default_cache() -> Cache | None:
    """The user's own cache; None where the user has no home folder."""
    try:
        return Cache(default_folder())
    except RuntimeError:
        return None
