"""Hostile and damaged files: one clear error each, little memory, no waiting."""

import itertools
import os
import socket
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from tests.storage import hostile
from tests.storage.forging import forge, good_file, header_text

from thalweg.errors import FileError
from thalweg.storage import container
from thalweg.storage.container import read_container, write_container

MODEL = "thalweg-model"
FEW_MIB = 3 * 2**20

HOSTILE = hostile.cases()


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_file_gives_one_clear_error(tmp_path, case):
    content, text = HOSTILE[case]
    content = content if isinstance(content, bytes) else content()
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(FileError, match=text) as refusal:
        read_container(path, format=MODEL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    message = str(refusal.value)
    assert message.startswith(f"{path}: ")
    assert message.count(str(path)) == 1
    assert len(message) < len(str(path)) + 400
    assert message.isprintable()
    assert peak <= 2 * len(content) + FEW_MIB


def test_hostile_files_differ_from_good_ones_only_in_their_fault(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(forge(header_text(hostile.ONE), bytes(8)))
    assert read_container(path, format=MODEL).arrays["w"].tolist() == [0.0, 0.0]


def refused(path, text):
    with pytest.raises(FileError, match=text) as refusal:
        read_container(path, format=MODEL)
    assert str(refusal.value).startswith(f"{path}: ")


def test_pipe_is_refused_without_waiting(tmp_path):
    path = tmp_path / "m.safetensors"
    os.mkfifo(path)
    refused(path, r"expected a file, but it is a pipe \(FIFO\)")


def test_folder_is_refused(tmp_path):
    refused(tmp_path, "expected a file, but it is a folder")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/full"])
def test_device_is_refused(device):
    refused(Path(device), "expected a file, but it is a device")


def test_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("m.safetensors")
        refused(Path("m.safetensors"), "expected a file, but it is a socket")


@pytest.mark.parametrize("target", ["model.safetensors", "missing", "/dev/zero", "link"])
def test_symbolic_link_is_refused_and_its_target_named(tmp_path, target):
    (tmp_path / "model.safetensors").write_bytes(good_file())
    link = tmp_path / "link"
    link.symlink_to(target)
    refused(link, f"is a symbolic link to {target}; give the path of the file itself")


def test_links_in_the_folders_above_are_fine(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "m").write_bytes(good_file())
    (tmp_path / "link").symlink_to("real")
    assert read_container(tmp_path / "link" / "m", format=MODEL).version == 1


def test_a_pipe_put_in_place_of_the_file_is_noticed(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    path.write_bytes(good_file())
    checked = os.lstat(path)
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(os, "lstat", lambda _: checked)
    refused(path, "it is a pipe")


def test_missing_file_and_impossible_paths(tmp_path):
    refused(tmp_path / "none", "cannot read: there is no such file or folder")
    (tmp_path / "file").write_bytes(b"")
    refused(tmp_path / "file" / "m", "a part of the path is a file, not a folder")
    refused(tmp_path / ("n" * 300), "the name is too long")
    with pytest.raises(FileError, match="a path cannot hold the NUL character"):
        read_container("a\0b", format=MODEL)


def test_no_permission(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    path.write_bytes(good_file())

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # the mode would not stop root
    refused(path, "cannot read: no permission; check the owner and mode")


@pytest.mark.parametrize("call", [0, 1, 2])
def test_error_while_reading(tmp_path, monkeypatch, call):
    path = tmp_path / "m.safetensors"
    path.write_bytes(good_file())
    calls, fstat = itertools.count(), os.fstat

    def refuse(descriptor):
        if next(calls) == call:
            raise OSError(5, "Input/output error")
        return fstat(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", refuse)
        refused(path, "cannot read: the disk reports an input/output error")


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    path, good = tmp_path / "m.safetensors", good_file()
    path.write_bytes(good)
    monkeypatch.setattr(container, "_check_format", lambda *_: os.truncate(path, len(good) - 1))
    refused(path, "ended while it was read: truncated")
    path.write_bytes(good)
    monkeypatch.setattr(container, "_check_format", lambda *_: path.write_bytes(good + b"x"))
    refused(path, "grew while it was read")


def test_too_little_memory(tmp_path, monkeypatch):
    def refuse(_):
        raise MemoryError

    path = tmp_path / "m.safetensors"
    path.write_bytes(good_file())
    monkeypatch.setattr(container, "_empty", refuse)
    refused(path, "there is not enough memory for its arrays")


def check_flips(path, count, seed):
    good = good_file()
    rng = np.random.default_rng(seed)
    for position in rng.choice(8 * len(good), min(count, 8 * len(good)), replace=False):
        damaged = bytearray(good)
        damaged[position // 8] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        refused(path, ".")


def check_truncations(path, lengths):
    good = good_file()
    for length in lengths:
        path.write_bytes(good[:length])
        refused(path, "truncated|too short")


def test_one_flipped_bit_is_found(tmp_path):
    check_flips(tmp_path / "m", 300, seed=1)


def test_truncation_at_any_length_is_found(tmp_path):
    check_truncations(tmp_path / "m", range(len(good_file())))


@pytest.mark.soak
def test_every_single_flipped_bit_is_found(tmp_path):
    check_flips(tmp_path / "m", 10**9, seed=1)


@pytest.mark.soak
def test_flips_and_truncations_of_a_larger_file(tmp_path):
    path = tmp_path / "m"
    arrays = {"w": np.random.default_rng(0).random((100, 100))}
    write_container(path, arrays, {"layers": list(range(99))}, format=MODEL, version=1)
    good = path.read_bytes()
    rng = np.random.default_rng(2)
    for position in rng.choice(8 * len(good), 1000, replace=False):
        damaged = bytearray(good)
        damaged[position // 8] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        refused(path, ".")
    for length in rng.choice(len(good), 1000, replace=False):
        path.write_bytes(good[:length])
        refused(path, "truncated|too short")
