"""``thalweg cache``: what is kept is shown and removed, and nothing else."""

import hashlib
import json
import os
import sys

import pytest

from thalweg.compiler.native import cache as module
from thalweg.compiler.native.cache import Cache


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A cache with two programs, the older one used two hours ago, in place of the user's."""
    cache = Cache(tmp_path / "kept" / "programs")
    monkeypatch.setattr(module, "default_folder", lambda: cache.folder)
    for name, size in (("old", 2000), ("new", 900)):
        assert cache.store(hashlib.sha256(name.encode()).digest(), bytes(size))
    path = cache.folder / f"{hashlib.sha256(b'old').hexdigest()}.program"
    facts = path.stat()
    os.utime(path, (facts.st_atime, facts.st_mtime - 7300))
    return cache


def test_the_programs_are_counted(thalweg, kept):
    done = thalweg("cache")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"folder    {kept.folder}",
        "programs  2, 3.0 KiB of at most 256.0 MiB",
        "newest    used less than a minute ago",
        "oldest    used 2 hours ago",
    ]
    assert len(kept.entries()) == 2


def test_clearing_says_how_much(thalweg, kept):
    done = thalweg("cache", "--clear")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("removed 2 programs, 3.0 KiB\n")
    assert "programs  0, 0 bytes of" in done.out
    assert kept.entries() == []
    assert thalweg("cache", "--clear").out.startswith("removed 0 programs, 0 bytes\n")


def test_programs_read_one_line(thalweg, kept):
    done = thalweg("cache", "--json")
    assert (done.code, done.err, done.out.count("\n")) == (0, "", 1)
    values = json.loads(done.out)
    assert 7300 <= values.pop("oldest_seconds") < 7400
    assert 0 <= values.pop("newest_seconds") < 60
    assert values == {
        "folder": str(kept.folder),
        "programs": 2,
        "bytes": 3100,
        "most_bytes": 256 * 2**20,
    }
    cleared = json.loads(thalweg("cache", "--clear", "--json").out)
    assert cleared["removed"] == {"programs": 2, "bytes": 3100}
    assert (cleared["programs"], cleared["bytes"]) == (0, 0)
    assert cleared["oldest_seconds"] is None


def test_an_empty_cache_is_no_error_and_is_not_made(thalweg, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "default_folder", lambda: tmp_path / "none")
    done = thalweg("cache")
    assert (done.code, done.err) == (0, "")
    assert "programs  0, 0 bytes" in done.out
    assert "oldest" not in done.out
    assert not (tmp_path / "none").exists()


def test_a_folder_that_is_not_used_is_told(thalweg, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "default_folder", lambda: tmp_path / "file")
    (tmp_path / "file").write_text("mine")
    for words in (("cache",), ("cache", "--clear")):
        done = thalweg(*words)
        assert done.code == 0
        assert "file is not used: it is not a folder" in done.err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such permissions there")
def test_a_folder_that_others_can_write_to_is_not_used(thalweg, kept):
    kept.folder.chmod(0o777)
    done = thalweg("cache", "--clear")
    assert done.code == 0
    assert f"{kept.folder} is not used: others can write to it (mode 0777; chmod 700" in done.err
    assert "programs  0, 0 bytes" in done.out
    kept.folder.chmod(0o700)
    assert len(kept.entries()) == 2


def test_without_a_home_there_is_nothing_to_show(thalweg, monkeypatch):
    def refuses():
        raise RuntimeError("no home")

    monkeypatch.setattr(module, "default_folder", refuses)
    done = thalweg("cache")
    assert (done.code, done.out) == (0, "")
    assert "no home folder" in done.err


def test_the_help_lists_the_command(thalweg):
    assert "cache" in thalweg("--help").out
    assert "--clear" in thalweg("cache", "--help").out
