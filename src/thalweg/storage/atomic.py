"""Writing a file so that it is never half-written, whatever happens meanwhile.

    temporary file in the same folder -> fsync -> read back -> rename -> fsync of the folder

A reader sees the former file or the new one, complete. After any error, Ctrl-C included, the
former file is as it was and the temporary one is gone.

A killed process cannot tidy up: it leaves ``.<name>.<16 hex digits>.tmp``. While a writer lives it
holds a lock on its temporary file, which the system drops when it dies; so each save first removes
those temporaries of its own target that nobody holds. Where the system has no such locks (Windows)
an open file cannot be removed, which serves as well.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import stat
import sys
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

from thalweg.errors import FileError
from thalweg.storage.locking import try_lock
from thalweg.storage.opening import check_regular, explain

_SLICE = 16 * 2**20  # so that Ctrl-C is heard, and systems with 31-bit lengths are served
_ATTEMPTS = 16
_NAME_CHARACTERS = 48  # of the target's name in the temporary's, within the system's 255 bytes
_CREATE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def write_atomically(
    path: str | os.PathLike[str],
    chunks: Iterable[bytes | memoryview],
    verify: Callable[[Path], None] | None = None,
    disposable: bool = False,
) -> None:
    r"""Write the chunks to a file, all or nothing.

    Args:
        path: the file, new or to be replaced (its permissions are kept); its folder must exist.
        chunks: the content, taken one at a time; a chunk is contiguous.
        verify: called with the temporary file before it takes the target's place; what it raises
            stops the save.
        disposable: the content can be made again: it is not forced to the disk, so that a power
            cut may leave it damaged, and what killed writers left is not looked for.

    Raises:
        FileError: full disk, input/output error, no permission, missing folder, or a target that
            is not a regular file; the former file is unchanged.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_atomically(folder / "losses.csv", [b"epoch,loss\n", b"1,0.5\n"])
    >>> (folder / "losses.csv").read_text()
    'epoch,loss\n1,0.5\n'
    """
    target = Path(path)
    mode = _target_mode(target)
    if not disposable:
        _sweep(target)
    with _temporary(target, mode) as (file, temporary):
        for chunk in chunks:
            _write_all(target, file, chunk)
        if not disposable:
            with _plain_words(target, "write"):
                os.fsync(file.fileno())
        if verify is not None:
            _read_back(target, temporary, verify)
        if sys.platform == "win32":
            file.close()  # an open file cannot be renamed there
        with _plain_words(target, "write"):
            _replace(temporary, target, disposable)


@contextlib.contextmanager
def _plain_words(target: Path, doing: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise explain(error, target, doing) from error


def _target_mode(target: Path) -> int | None:
    """The permissions of the file that will be replaced; None where there is none."""
    if "\0" in str(target) or not target.name:
        raise FileError(f"{str(target)!r} is not the name of a file")
    with _plain_words(target, "write"):
        if not target.parent.is_dir():
            raise FileError(f"{target}: the folder {target.parent} does not exist; create it first")
        try:
            mode = os.lstat(target).st_mode
        except FileNotFoundError:
            return None
    check_regular(target, mode)
    return stat.S_IMODE(mode) & 0o777


def _write_all(target: Path, file: io.FileIO, chunk: bytes | memoryview) -> None:
    whole = memoryview(chunk)
    view = whole.cast("B") if whole.nbytes else b""
    with _plain_words(target, "write"):
        while len(view):
            view = view[os.write(file.fileno(), view[:_SLICE]) :]


def _read_back(target: Path, temporary: Path, verify: Callable[[Path], None]) -> None:
    try:
        verify(temporary)
    except FileError as error:
        raise FileError(f"{target}: what was written does not read back: {error}") from error


# ---------------------------------------------------------------------------- temporary files


@contextlib.contextmanager
def _temporary(target: Path, mode: int | None) -> Generator[tuple[io.FileIO, Path]]:
    with _plain_words(target, "write"):
        file, temporary = _create(target)
    try:
        if mode is not None:
            with _plain_words(target, "write"):
                _set_mode(file, mode)
        yield file, temporary
    finally:
        if sys.platform == "win32":
            file.close()  # an open file cannot be removed there
        with contextlib.suppress(OSError):
            temporary.unlink()
        with contextlib.suppress(OSError):
            file.close()


def _set_mode(file: io.FileIO, mode: int) -> None:
    if sys.platform != "win32" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) != mode:
        os.fchmod(file.fileno(), mode)


def _create(target: Path) -> tuple[io.FileIO, Path]:
    """A new temporary file that nobody sweeps away: its lock is ours and it still has a name."""
    for _ in range(_ATTEMPTS):
        temporary = _temporary_name(target)
        descriptor = os.open(temporary, _CREATE, 0o666)
        if _is_ours(descriptor):
            return io.FileIO(descriptor, "wb"), temporary
        os.close(descriptor)
    raise OSError(errno.EBUSY, "another process removes the temporary files")


def _temporary_name(target: Path) -> Path:
    return target.with_name(f".{target.name[:_NAME_CHARACTERS]}.{os.urandom(8).hex()}.tmp")


def _is_ours(descriptor: int) -> bool:
    return _lock(descriptor) is not False and os.fstat(descriptor).st_nlink != 0


def _lock(descriptor: int) -> bool | None:
    """True: we hold the lock now; False: somebody else does; None: no locks on this system."""
    return None if sys.platform == "win32" else try_lock(descriptor)


def _sweep(target: Path) -> None:
    """Remove what killed processes left of earlier saves to this target."""
    stale = re.compile(r"\." + re.escape(target.name[:_NAME_CHARACTERS]) + r"\.[0-9a-f]{16}\.tmp")
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:
        names = [entry.name for entry in entries if stale.fullmatch(entry.name)]
        for name in names:
            with contextlib.suppress(OSError):
                _remove_if_dead(target.with_name(name))


def _remove_if_dead(temporary: Path) -> None:
    if sys.platform == "win32":
        temporary.unlink()
        return
    descriptor = os.open(temporary, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and _lock(descriptor):
            temporary.unlink()
    finally:
        os.close(descriptor)


# ---------------------------------------------------------------------------- taking the place


def _replace(temporary: Path, target: Path, disposable: bool) -> None:
    """Rename, then make the folder durable; if that fails the former file comes back."""
    if disposable:
        temporary.replace(target)
        return
    former = _second_name(target)
    try:
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError:
        if former is not None:
            former.replace(target)
        raise
    finally:
        if former is not None:
            with contextlib.suppress(OSError):
                former.unlink()


def _second_name(target: Path) -> Path | None:
    """A hard link to the former file; None where there is no such file or no such links."""
    former = _temporary_name(target)
    try:
        os.link(target, former, follow_symlinks=False)
    except (OSError, NotImplementedError):
        return None
    return former


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # filesystems without such a thing
            raise
    finally:
        os.close(descriptor)
