"""Locks on open files, which the system drops when the process that holds them dies."""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FAR = 2**40
"""Where a byte is locked on Windows, beyond all that is written, so that others can still read."""


def try_lock(descriptor: int) -> bool | None:
    """True: we hold the lock now; False: somebody else does; None: no locks on this system.

    The lock belongs to the open file: another opening of it in this process is refused as well.
    """
    try:
        if sys.platform == "win32":
            place = os.lseek(descriptor, 0, os.SEEK_CUR)
            os.lseek(descriptor, _FAR, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(descriptor, place, os.SEEK_SET)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True
