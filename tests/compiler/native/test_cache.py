"""Programs on disk: what is stored comes back or is not used at all, and nothing ever fails."""

import errno
import hashlib
import os
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from thalweg.compiler.native import cache as module
from thalweg.compiler.native.cache import (
    CACHE_FORMAT,
    Cache,
    default_cache,
    default_folder,
    full_key,
    source_digest,
)
from thalweg.compiler.native.target import Target, host_target
from thalweg.errors import FileError

SOURCE = Path(__file__).resolve().parents[3] / "src"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
CODE, METADATA = b"\x7fELF" + bytes(range(256)) * 4, b'{"arena_bytes": 4096}'


def key(name: object) -> bytes:
    return hashlib.sha256(str(name).encode()).digest()


def path_of(cache: Cache, name: object) -> Path:
    return cache.folder / f"{key(name).hex()}.program"


def aged(cache: Cache, name: object, seconds: float) -> None:
    facts = path_of(cache, name).stat()
    os.utime(path_of(cache, name), (facts.st_atime, facts.st_mtime - seconds))


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "deep" / "programs")


@pytest.fixture
def filled(cache):
    assert cache.store(key("a"), CODE, METADATA)
    return cache


# ---------------------------------------------------------------------------- what is stored


def test_what_is_stored_comes_back(filled):
    assert filled.find(key("a")) == (CODE, METADATA)
    assert Cache(filled.folder).find(key("a")) == (CODE, METADATA)
    assert filled.find(key("b")) is None
    assert filled.store(key("b"), b"", b"")
    assert filled.find(key("b")) == (b"", b"")
    assert [path.name for path in filled.folder.iterdir()].count(path_of(filled, "a").name) == 1
    assert len(list(filled.folder.iterdir())) == 2


def test_an_entry_can_be_replaced(filled):
    assert filled.store(key("a"), b"other", b"more")
    assert filled.find(key("a")) == (b"other", b"more")
    assert len(filled.entries()) == 1


@POSIX
def test_the_folder_is_private(filled):
    for folder in (filled.folder, filled.folder.parent):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_nothing_is_made_before_something_is_stored(cache):
    assert cache.find(key("a")) is None
    assert cache.entries() == []
    assert cache.clear() == (0, 0)
    assert cache.problem() is None
    assert not cache.folder.parent.exists()


# ---------------------------------------------------------------------------- damage


def refused(cache: Cache, name: object = "a") -> bool:
    """Whether an entry is not loaded, and is gone."""
    return cache.find(key(name)) is None and not os.path.lexists(path_of(cache, name))


def broken(cache: Cache, content: bytes) -> bool:
    path_of(cache, "a").write_bytes(content)
    return refused(cache)


def test_one_wrong_bit_anywhere_is_noticed(filled):
    content = path_of(filled, "a").read_bytes()
    rng = np.random.default_rng(0)
    places = {*range(110), *rng.integers(0, len(content), 100), len(content) - 1}
    for place in places:
        wrong = bytearray(content)
        wrong[place] ^= 1 << int(rng.integers(8))
        assert broken(filled, bytes(wrong)), place
    path_of(filled, "a").write_bytes(content)
    assert filled.find(key("a")) == (CODE, METADATA)


def test_what_is_cut_off_or_too_long_is_noticed(filled):
    content = path_of(filled, "a").read_bytes()
    for length in (*range(0, 140, 3), len(content) // 2, len(content) - 1):
        assert broken(filled, content[:length]), length
    assert broken(filled, content + b"\0")
    assert broken(filled, content + content)


@pytest.mark.soak
def test_every_bit_and_every_length(filled):
    content = path_of(filled, "a").read_bytes()
    for place in range(len(content)):
        assert broken(filled, content[:place])
        for bit in range(8):
            wrong = bytearray(content)
            wrong[place] ^= 1 << bit
            assert broken(filled, bytes(wrong))


def test_an_entry_under_another_name_is_refused(filled):
    path_of(filled, "a").rename(path_of(filled, "b"))
    assert refused(filled, "b")


def test_entries_of_other_formats_are_refused(filled, monkeypatch):
    monkeypatch.setattr(module, "CACHE_FORMAT", CACHE_FORMAT + 1)
    assert refused(filled)
    assert filled.store(key("a"), CODE, METADATA)
    assert filled.find(key("a")) == (CODE, METADATA)


@pytest.mark.parametrize("content", [b"", b"thalweg program\n", b"\x93NUMPY" * 99, bytes(2000)])
def test_other_files_are_refused(filled, content):
    assert broken(filled, content)


def test_a_length_beyond_all_memory_is_refused(filled):
    content = bytearray(path_of(filled, "a").read_bytes())
    content[60:68] = b"\xff" * 8
    assert broken(filled, bytes(content))


# ---------------------------------------------------------------------------- other people


def uses_nothing(cache: Cache, problem: str) -> None:
    """A cache tells its problem once, and then neither reads nor keeps anything."""
    with pytest.warns(RuntimeWarning, match=rf"(?s)not kept in .*{problem}.*compiled anew"):
        assert cache.find(key("a")) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.find(key("a")) is None
        assert not cache.store(key("c"), CODE, METADATA)
    assert cache.entries() == []
    assert cache.clear() == (0, 0)
    assert cache.problem() is not None


@POSIX
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o1777])
def test_a_folder_that_others_can_write_to_is_not_used(filled, mode):
    filled.folder.chmod(mode)
    uses_nothing(filled, f"others can write to it .mode {mode:04o}; chmod 700")
    filled.folder.chmod(0o755)
    assert filled.find(key("a")) == (CODE, METADATA)


@POSIX
def test_a_folder_of_another_user_is_not_used(filled, monkeypatch):
    owner = os.geteuid()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: owner + 1)
        uses_nothing(filled, f"belongs to another user .number {owner}")
    assert filled.find(key("a")) == (CODE, METADATA)


@POSIX
def test_an_entry_of_another_user_is_refused(filled, monkeypatch):
    monkeypatch.setattr(module, "_is_own", lambda facts: stat.S_ISDIR(facts.st_mode))
    assert refused(filled)


@POSIX
def test_a_folder_behind_a_link_is_not_used(filled, tmp_path):
    (tmp_path / "link").symlink_to(filled.folder)
    uses_nothing(Cache(tmp_path / "link"), "symbolic link")
    assert filled.find(key("a")) == (CODE, METADATA)


@POSIX
def test_an_entry_that_is_a_link_is_not_followed(filled, tmp_path):
    content = path_of(filled, "a").read_bytes()
    (tmp_path / "elsewhere").write_bytes(content)
    path_of(filled, "a").unlink()
    path_of(filled, "a").symlink_to(tmp_path / "elsewhere")
    assert refused(filled)
    assert (tmp_path / "elsewhere").read_bytes() == content


@POSIX
def test_pipes_and_folders_in_place_of_entries_keep_nobody_waiting(filled):
    os.mkfifo(path_of(filled, "b"))
    assert refused(filled, "b")
    path_of(filled, "c").mkdir()
    assert filled.find(key("c")) is None
    assert not filled.store(key("c"), CODE, METADATA)
    assert filled.find(key("a")) == (CODE, METADATA)


# -------------------------------------------------------------------------- no room, no permission


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_only_costs_time(filled, monkeypatch, number):
    def fails(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fails)
        assert not filled.store(key("b"), CODE, METADATA)
        assert not filled.store(key("a"), b"other", b"")
        assert filled.find(key("a")) == (CODE, METADATA)
    assert [path.name for path in filled.folder.iterdir()] == [path_of(filled, "a").name]
    assert filled.store(key("b"), CODE, METADATA)


def test_a_folder_that_cannot_be_written_to_is_still_read(filled, monkeypatch):
    real = os.open

    def reads_only(path, flags, *rest, **more):
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return real(path, flags, *rest, **more)

    def refuses(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", reads_only)
    for name in ("utime", "unlink"):
        monkeypatch.setattr(os, name, refuses)
    assert not filled.store(key("b"), CODE, METADATA)
    assert filled.find(key("a")) == (CODE, METADATA)
    assert filled.find(key("b")) is None


def test_a_folder_that_cannot_be_made_only_costs_time(tmp_path, monkeypatch):
    def refuses(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "no")

    cache = Cache(tmp_path / "programs")
    monkeypatch.setattr(Path, "mkdir", refuses)
    assert not cache.store(key("a"), CODE, METADATA)
    assert cache.find(key("a")) is None


def test_a_file_in_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "programs").write_text("mine")
    uses_nothing(Cache(tmp_path / "programs"), "not a folder")
    assert (tmp_path / "programs").read_text() == "mine"


# ---------------------------------------------------------------------------- the limit


def test_the_entries_used_longest_ago_go_first(tmp_path):
    size = 1000 + 100
    cache = Cache(tmp_path / "programs", largest=4 * size)
    for age, name in enumerate(("new", "middle", "old")):
        assert cache.store(key(name), bytes(1000))
        aged(cache, name, 100 * age + 10)
    assert cache.find(key("old")) is not None  # now the one used last
    assert cache.store(key("more"), bytes(1900))
    kept = {name for name in ("new", "middle", "old", "more") if path_of(cache, name).exists()}
    assert kept == {"new", "old", "more"}
    assert sum(entry.bytes for entry in cache.entries()) <= cache.largest


def test_replacing_an_entry_takes_no_other_room(tmp_path):
    cache = Cache(tmp_path / "programs", largest=2400)
    for _ in range(3):
        assert cache.store(key("a"), bytes(1000))
        assert cache.store(key("b"), bytes(1000))
    assert len(cache.entries()) == 2


def test_a_program_beyond_the_limit_is_not_kept(tmp_path):
    cache = Cache(tmp_path / "programs", largest=2000)
    assert cache.store(key("a"), bytes(1000))
    assert not cache.store(key("b"), bytes(2000))
    assert cache.find(key("a")) is not None


def test_what_killed_writers_left_is_removed_but_not_what_is_being_written(filled):
    name = key("a").hex()[:48]
    old, new = (filled.folder / f".{name}.{digit * 16}.tmp" for digit in "01")
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert filled.store(key("b"), CODE)
    assert (old.exists(), new.exists()) == (False, True)
    assert len(filled.entries()) == 2


def test_the_list_begins_with_what_was_used_last(filled):
    for place, name in enumerate("bcd", 1):
        filled.store(key(name), bytes(place))
        aged(filled, name, 100 * place)
    entries = filled.entries()
    assert [entry.name for entry in entries] == [path_of(filled, name).name for name in "abcd"]
    assert [round(entry.age, -2) for entry in entries] == [0, 100, 200, 300]
    assert [entry.bytes for entry in entries[1:]] == [101, 102, 103]
    assert entries[0].bytes == 100 + len(CODE) + len(METADATA)


def test_clearing_removes_programs_and_nothing_else(filled):
    filled.store(key("b"), CODE)
    other = filled.folder / "letter.txt"
    other.write_text("mine")
    total = sum(entry.bytes for entry in filled.entries())
    assert filled.clear() == (2, total)
    assert filled.entries() == []
    assert list(filled.folder.iterdir()) == [other]


# ---------------------------------------------------------------------------- several processes

WRITER = """
import hashlib, sys
from thalweg.compiler.native.cache import Cache
cache, mark = Cache(sys.argv[1]), sys.argv[2].encode()
wrong = 0
for turn in range(150):
    key = hashlib.sha256(b"%d" % (turn % 3)).digest()
    assert cache.store(key, mark * 20000, mark)
    found = cache.find(key)
    assert found is not None and found[0] == found[1] * 20000, turn
"""


def test_two_processes_write_the_same_entries(tmp_path):
    command = [sys.executable, "-W", "error", "-c", WRITER, str(tmp_path / "programs")]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    writers = [
        subprocess.Popen([*command, mark], env=environment, stderr=subprocess.PIPE)
        for mark in ("x", "y")
    ]
    said = [writer.communicate()[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0], said
    cache = Cache(tmp_path / "programs")
    for turn in range(3):
        found = cache.find(hashlib.sha256(b"%d" % turn).digest())
        assert found in {(b"x" * 20000, b"x"), (b"y" * 20000, b"y")}
    assert len(list(cache.folder.iterdir())) == 3


# ---------------------------------------------------------------------------- keys and folders


def test_keys_differ_with_everything_that_code_depends_on(monkeypatch):
    host = host_target()
    other = Target(host.triple, host.cpu, "+sse2", 16, 16, has_fma=False, has_estimates=False)
    keys = {full_key(b"a", host), full_key(b"b", host), full_key(b"a", other)}
    assert full_key(b"a", host) in keys
    for versions in (b"older", b"newer"):
        monkeypatch.setattr(module, "_versions", lambda versions=versions: versions)
        keys.add(full_key(b"a", host))
    assert len(keys) == 5
    assert {len(item) for item in keys} == {32}


def test_versions_name_llvm_and_this_library():
    import llvmlite

    import thalweg

    module._versions.cache_clear()
    text = module._versions().decode()
    assert thalweg.__version__ in text
    assert llvmlite.__version__ in text
    assert source_digest(SOURCE / "thalweg" / "compiler") in text


def test_a_change_of_the_compiler_is_another_digest(tmp_path):
    (tmp_path / "native").mkdir()
    (tmp_path / "native" / "a.py").write_text("x = 1\n")
    (tmp_path / "native" / "notes.txt").write_text("not code")
    digests = [source_digest(tmp_path)]
    assert source_digest(tmp_path) == digests[0]
    (tmp_path / "native" / "a.py").write_text("x = 2\n")
    digests.append(source_digest(tmp_path))
    (tmp_path / "native" / "a.py").rename(tmp_path / "native" / "b.py")
    digests.append(source_digest(tmp_path))
    (tmp_path / "b.py").write_text("")
    digests.append(source_digest(tmp_path))
    assert len(set(digests)) == 4


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"XDG_CACHE_HOME": "/caches"}, "/caches/thalweg/programs"),
        ("linux", {"XDG_CACHE_HOME": ""}, "/me/.cache/thalweg/programs"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/me/.cache/thalweg/programs"),
        ("darwin", {}, "/me/Library/Caches/thalweg/programs"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/thalweg/programs"),
        ("win32", {}, "/me/AppData/Local/thalweg/programs"),
    ],
)
def test_the_folder_is_where_the_platform_keeps_such_things(
    monkeypatch, platform, variables, folder
):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/me"))
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_folder() == Path(folder)
    cache = default_cache()
    assert cache is not None
    assert cache.folder == Path(folder)


def test_without_a_home_there_is_no_cache(monkeypatch):
    def refuses() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", refuses)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    assert default_cache() is None


def test_the_error_for_files_is_not_let_out(filled, monkeypatch):
    def fails(*_: object, disposable: bool) -> None:
        assert disposable
        raise FileError("of any kind")

    monkeypatch.setattr(module, "write_atomically", fails)
    assert not filled.store(key("b"), CODE)
