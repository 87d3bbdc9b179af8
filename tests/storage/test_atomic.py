"""Atomic writing: the new file or the former one, complete, whatever happens."""

import errno
import fcntl
import itertools
import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from tests.storage.killing import run_python

from thalweg.errors import DataError, FileError
from thalweg.storage import atomic
from thalweg.storage.atomic import write_atomically


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "losses.csv"
    path.write_bytes(b"former")
    path.chmod(0o640)
    return path


def assert_former(target):
    assert target.read_bytes() == b"former"
    assert list(target.parent.iterdir()) == [target]


def test_writes_all_chunks_in_order(tmp_path):
    path = tmp_path / "new.bin"
    write_atomically(path, (chunk for chunk in [b"ab", b"", memoryview(b"cd"), bytearray(b"e")]))
    assert path.read_bytes() == b"abcde"
    write_atomically(str(path), [])
    assert path.read_bytes() == b""
    assert list(tmp_path.iterdir()) == [path]


def test_writes_more_than_one_slice(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_SLICE", 7)
    content = bytes(range(256)) * 3
    write_atomically(tmp_path / "m", [content])
    assert (tmp_path / "m").read_bytes() == content


def test_a_system_that_writes_a_little_at_a_time_is_served(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, view: write(descriptor, view[:3]))
    write_atomically(tmp_path / "m", [b"0123456789"])
    assert (tmp_path / "m").read_bytes() == b"0123456789"


def test_a_path_without_folder_is_in_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_atomically("m", [b"x"])
    assert (tmp_path / "m").read_bytes() == b"x"


def test_long_and_strange_names(tmp_path):
    for name in ("n" * 255, "é" * 127, "a b\n*[x].csv", ".hidden"):
        write_atomically(tmp_path / name, [b"1"])
        write_atomically(tmp_path / name, [b"2"])
        assert (tmp_path / name).read_bytes() == b"2"
    assert len(list(tmp_path.iterdir())) == 4


# ---------------------------------------------------------------------------- order of the steps


def test_steps_come_in_the_promised_order(target, monkeypatch):
    steps = []

    def recording(name, function):
        def call(*arguments, **options):
            steps.append(name)
            return function(*arguments, **options)

        return call

    for name in ("write", "fsync", "replace"):
        owner = Path if name == "replace" else os
        monkeypatch.setattr(owner, name, recording(name, getattr(owner, name)))

    def verify(path):
        steps.append("verify")
        assert path.read_bytes() == b"new"
        assert path.parent == target.parent
        assert target.read_bytes() == b"former"

    write_atomically(target, [b"new"], verify)
    assert steps == ["write", "fsync", "verify", "replace", "fsync"]
    steps.clear()
    target.write_bytes(b"former")
    write_atomically(target, [b"new"], verify, disposable=True)
    assert steps == ["write", "verify", "replace"]
    assert target.read_bytes() == b"new"


def test_the_folder_is_what_is_synced_last(target, monkeypatch):
    kinds, fsync = [], os.fsync

    def record(descriptor):
        kinds.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    write_atomically(target, [b"new"])
    assert kinds == [False, True]


def test_permissions_are_the_usual_ones_or_those_of_the_former_file(target):
    new = target.with_name("new")
    former = os.umask(0o027)
    try:
        write_atomically(new, [b"x"])
    finally:
        os.umask(former)
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    target.chmod(0o600)
    write_atomically(target, [b"x"])
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_readers_with_the_former_file_open_keep_it(target):
    with target.open("rb") as reader:
        write_atomically(target, [b"new"])
        assert reader.read() == b"former"


# ---------------------------------------------------------------------------- failures

FAULTS = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "the disk quota is used up",
    errno.EIO: "the disk reports an input/output error",
    errno.EFBIG: "the file is larger than the system allows",
    errno.EACCES: "no permission; check the owner and mode",
    errno.EROFS: "the disk is mounted read-only",
    errno.ENOTCONN: "endpoint is not connected",
}


def failing(function, code, at):
    """The function, but its call number ``at`` fails."""
    calls = itertools.count()

    def call(*arguments, **options):
        if next(calls) == at:
            raise OSError(code, os.strerror(code))
        return function(*arguments, **options)

    return call


@pytest.mark.parametrize("code", FAULTS)
@pytest.mark.parametrize(
    ("step", "at"),
    [("write", 0), ("write", 1), ("fsync", 0), ("fsync", 1), ("replace", 0), ("fchmod", 0)],
)
def test_system_errors_leave_the_former_file(target, monkeypatch, code, step, at):
    owner = Path if step == "replace" else os
    monkeypatch.setattr(owner, step, failing(getattr(owner, step), code, at))
    with pytest.raises(FileError, match=FAULTS[code]) as refusal:
        write_atomically(target, [b"new", b"er"])
    monkeypatch.undo()
    assert str(refusal.value).startswith(f"{target}: cannot write: ")
    assert isinstance(refusal.value.__cause__, OSError)
    assert_former(target)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EMFILE, errno.ENOSPC])
def test_no_temporary_file_can_be_made(target, monkeypatch, code):
    monkeypatch.setattr(os, "open", failing(os.open, code, 0))
    with pytest.raises(FileError, match=r"losses.csv: cannot write: "):
        write_atomically(target, [b"new"])
    monkeypatch.undo()
    assert_former(target)


def test_a_rename_that_fails_leaves_nothing_where_nothing_was(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "replace", failing(Path.replace, errno.EIO, 0))
    refused(tmp_path / "new", "input/output error")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_looked_at(target, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_dir", failing(Path.is_dir, errno.EACCES, 0))
        refused(target, "cannot write: no permission")
    assert_former(target)


def test_without_locks_files_are_still_replaced_and_nothing_is_swept(target, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    left = leftover(target)
    write_atomically(target, [b"new"])
    assert target.read_bytes() == b"new"
    assert left.exists()


def test_a_lock_that_is_always_taken_is_an_error(target, monkeypatch):
    def refuse(*_):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(fcntl, "flock", refuse)
    refused(target, "cannot write: another process removes the temporary files")
    assert target.read_bytes() == b"former"


def test_without_hard_links_files_are_still_replaced(target, monkeypatch):
    monkeypatch.setattr(os, "link", failing(os.link, errno.EPERM, 0))
    write_atomically(target, [b"new"])
    assert target.read_bytes() == b"new"


def test_filesystems_that_cannot_sync_folders_are_served(target, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(os.fsync, errno.EINVAL, 1))
    write_atomically(target, [b"new"])
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("error", [DataError("column 'age'"), KeyboardInterrupt(), ValueError()])
def test_errors_of_the_source_pass_through(target, error):
    def chunks():
        yield b"half"
        raise error

    with pytest.raises(type(error)):
        write_atomically(target, chunks())
    assert_former(target)


def test_a_failed_check_stops_the_save(target):
    def verify(path):
        raise FileError("wrong digest")

    with pytest.raises(FileError, match=r"csv: what was written does not read back: wrong digest"):
        write_atomically(target, [b"new"], verify)
    assert_former(target)


def refused(path, text):
    with pytest.raises(FileError, match=text):
        write_atomically(path, [b"new"])


def test_missing_folder(tmp_path):
    refused(tmp_path / "no" / "m", "the folder .*no does not exist; create it first")
    (tmp_path / "file").write_bytes(b"")
    refused(tmp_path / "file" / "m", "the folder .*file does not exist")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_no_permission_from_the_system_itself():
    refused("/proc/m.safetensors", r"^/proc/m.safetensors: cannot write: ")


def test_targets_that_are_not_files(tmp_path):
    refused(tmp_path, "expected a file, but it is a folder")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", r"it is a pipe \(FIFO\)")
    (tmp_path / "link").symlink_to("elsewhere")
    refused(tmp_path / "link", "is a symbolic link to elsewhere")
    refused("/dev/full", "it is a device")
    refused("", "'.' is not the name of a file")
    refused("a\0b", "is not the name of a file")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


# ---------------------------------------------------------------------------- a really full disk

LIMITED = """
import resource, sys
from thalweg.errors import FileError
from thalweg.storage.atomic import write_atomically
if len(sys.argv) == 3:
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
try:
    write_atomically(sys.argv[1], [bytes(100_000)] * 50)
except FileError as error:
    print(error)
"""


def check_full(target, *more):
    with run_python(["-c", LIMITED, str(target), *more]) as process:
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 0
    assert_former(target)
    return output


def test_a_limit_on_the_size_of_files(target):
    assert "cannot write: the file is larger than the system allows" in check_full(target, "limit")


def test_a_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    target = disk / "m"
    target.write_bytes(b"former")
    try:
        output = check_full(target) if mounted else check_full(target, "limit")
    finally:
        if mounted:
            subprocess.run(["umount", str(disk)], check=True)
    assert ("the disk is full" if mounted else "larger than the system allows") in output


# ---------------------------------------------------------------------------- what the dead leave


def leftover(target, digits="0123456789abcdef"):
    path = target.with_name(f".{target.name[:48]}.{digits}.tmp")
    path.write_bytes(b"half")
    return path


def test_leftovers_of_killed_processes_are_swept(target):
    leftover(target)
    leftover(target, "f" * 16)
    write_atomically(target, [b"new"])
    assert list(target.parent.iterdir()) == [target]


def test_other_files_are_not_swept(target):
    kept = {leftover(target.with_name(name)) for name in ("other", "losses.csv.gz", "losses")}
    for name in (".losses.csv.tmp", "losses.csv.0123456789abcdef.tmp", ".losses.csv.012.tmp"):
        kept.add(target.with_name(name))
        target.with_name(name).write_bytes(b"mine")
    folder = target.with_name(".losses.csv.aaaaaaaaaaaaaaaa.tmp")
    folder.mkdir()
    link = target.with_name(".losses.csv.bbbbbbbbbbbbbbbb.tmp")
    link.symlink_to(target)
    write_atomically(target, [b"new"])
    assert set(target.parent.iterdir()) == kept | {target, folder, link}


def test_a_living_writer_is_not_swept(target):
    def slow():
        yield b"slow"
        write_atomically(target, [b"quick"])  # another writer starts and finishes meanwhile
        assert target.read_bytes() == b"quick"
        yield b" and late"

    write_atomically(target, slow())
    assert target.read_bytes() == b"slow and late"
    assert list(target.parent.iterdir()) == [target]


def test_a_temporary_file_swept_before_it_was_locked_is_made_again(target, monkeypatch):
    create, made = os.open, []

    def create_and_lose(path, flags, mode=0o777):
        descriptor = create(path, flags, mode)
        if flags & os.O_CREAT:
            made.append(path)
            if len(made) == 1:
                Path(path).unlink()
        return descriptor

    monkeypatch.setattr(os, "open", create_and_lose)
    write_atomically(target, [b"new"])
    assert len(made) == 2
    assert target.read_bytes() == b"new"
    assert list(target.parent.iterdir()) == [target]


def test_many_writers_at_once_leave_one_whole_file(target):
    failures = []

    def write(number):
        try:
            for _ in range(20):
                write_atomically(target, [b"%d" % number] * 1000)
        except FileError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    content = target.read_bytes()
    assert content in {b"%d" % number * 1000 for number in range(4)}
    assert list(target.parent.iterdir()) == [target]
