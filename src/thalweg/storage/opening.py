"""Opening files that may be hostile, and saying in plain words why a file cannot be used."""

from __future__ import annotations

import errno
import io
import os
import stat
from pathlib import Path

from thalweg.errors import FileError

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a FIFO must not keep us waiting for a writer
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

_WORDS = {
    errno.ENOENT: "there is no such file or folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EISDIR: "it is a folder",
    errno.EACCES: "no permission; check the owner and mode of the file and its folder",
    errno.EPERM: "no permission; check the owner and mode of the file and its folder",
    errno.EROFS: "the disk is mounted read-only; choose another folder",
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EFBIG: "the file is larger than the system allows",
    errno.EIO: "the disk reports an input/output error; check the disk",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "it is a symbolic link, or a part of its path is a loop of them",
    errno.EMFILE: "too many files are open in this process",
}


def explain(error: OSError, path: str | os.PathLike[str], doing: str) -> FileError:
    """A system error in plain words: what was done, to which file, why it failed.

    >>> print(explain(OSError(errno.ENOSPC, ""), "m.safetensors", "write"))
    m.safetensors: cannot write: the disk is full; free some space or choose another folder
    """
    words = _WORDS.get(error.errno or 0) or error.strerror or str(error)
    return FileError(f"{os.fspath(path)}: cannot {doing}: {words}")


def check_regular(path: str | os.PathLike[str], mode: int) -> None:
    """Refuse everything but a regular file, by the mode that ``lstat`` or ``fstat`` gave."""
    if stat.S_ISREG(mode):
        return
    if stat.S_ISLNK(mode):
        raise FileError(
            f"{os.fspath(path)}: is a symbolic link to {Path(path).readlink()}; give the path of "
            "the file itself"
        )
    kind = _KINDS.get(stat.S_IFMT(mode), "something else")
    raise FileError(f"{os.fspath(path)}: expected a file, but it is {kind}")


def open_regular(path: str | os.PathLike[str]) -> io.FileIO:
    """Open a regular file for reading, unbuffered; never waits, never follows a link.

    A pipe, socket, device, folder or symbolic link (as the last part of the path) is refused
    before and after opening, so that an exchange in between is noticed.

    Raises:
        FileError: it is not a regular file, or the system refuses.
    """
    name = os.fspath(path)
    if "\0" in name:
        raise FileError(f"{name!r}: a path cannot hold the NUL character")
    try:
        check_regular(name, os.lstat(name).st_mode)
        file = io.FileIO(name, "rb", opener=lambda place, _: os.open(place, _FLAGS))
        try:
            check_regular(name, os.fstat(file.fileno()).st_mode)
        except BaseException:
            file.close()
            raise
    except OSError as error:
        raise explain(error, path, "read") from error
    return file
