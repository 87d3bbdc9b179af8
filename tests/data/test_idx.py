"""IDX files: what is written is read, and nothing else."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

import thalweg as tw
from thalweg.data.idx import is_idx, labels_beside, read_idx
from thalweg.data.image_arrays import read_image_arrays
from thalweg.errors import DataError, FileError, SettingError

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(array, axes=None, shape=None):
    """The bytes of an IDX file."""
    lengths = array.shape if shape is None else shape
    code = CODES[array.dtype.str[1:]]
    head = bytes([0, 0, code, len(lengths) if axes is None else axes])
    body = array.astype(array.dtype.newbyteorder(">")).tobytes()
    return head + struct.pack(f">{len(lengths)}I", *lengths) + body


@pytest.mark.parametrize("kind", list(CODES))
@pytest.mark.parametrize("packed", [False, True])
def test_arrays_of_every_type_come_back(tmp_path, rng, kind, packed):
    array = (rng.normal(size=(3, 4, 5)) * 50).astype(kind)
    data = idx(array)
    path = tmp_path / "a.idx"
    path.write_bytes(gzip.compress(data) if packed else data)
    found = tw.read_idx(path)
    assert found.dtype == np.dtype(kind)
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array)
    assert is_idx(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"begins with the bytes \(none\)"),
        (b"\x89PNG\r\n", "begins with the bytes 89 50 4e 47, where 00 00 08 03 is due"),
        (b"\0\0\x07\x01\0\0\0\x01\0", "is no IDX file"),
        (b"\0\0\x08\0", "0 axes"),
        (b"\0\0\x08\xff", "255 axes"),
        (b"\0\0\x08\x03\0\0", "cut off within its header"),
        (b"\0\0\x08\x02\0\0\0\0\0\0\0\x05", "0 x 5 elements, which is nothing"),
        (b"\0\0\x08\x01\0\0\0\x05\1\2\3", r"cut off: 5 elements take 5 bytes, 3 bytes are"),
        (b"\0\0\x08\x01\0\0\0\x02\1\2\3", "bytes after its end"),
        (b"\0\0\x08\x03" + b"\xff" * 12 + b"\1", "at most 17,179,869,184 are read"),
        (b"\0\0\x0e\x08" + b"\xff" * 32 + b"\1", "at most 17,179,869,184 are read"),
        (b"\0\0\x08\x01\x3f\xff\xff\xff\1", "cut off: 1,073,741,823 elements"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damage_is_one_clear_error_and_takes_no_memory(tmp_path, data, message, packed):
    path = tmp_path / "broken.idx"
    path.write_bytes(gzip.compress(data) if packed else data)
    if packed:
        message = message.replace(r"3 bytes are", "3 are")
    tracemalloc.start()
    with pytest.raises(FileError, match=message):
        read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


def test_gzip_that_is_cut_or_holds_too_much(tmp_path):
    whole = gzip.compress(idx(np.arange(200, dtype=np.uint8)))
    path = tmp_path / "a.gz"
    for end in range(3, len(whole) - 1, 9):
        path.write_bytes(whole[:end])
        with pytest.raises(FileError, match=r"a\.gz"):
            read_idx(path)
    bomb = gzip.compress(idx(np.zeros(4, np.uint8)) + bytes(2**24))
    path.write_bytes(bomb)
    tracemalloc.start()
    with pytest.raises(FileError, match="has bytes after its end"):
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    path.write_bytes(gzip.compress(idx(np.zeros(4, np.uint8), shape=(2**20,)) + bytes(2**18)))
    with pytest.raises(FileError, match="is cut off: 1,048,576 elements"):
        read_idx(path)


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileError, match="is not there"):
        read_idx(tmp_path / "no")
    with pytest.raises(FileError, match="is a folder"):
        read_idx(tmp_path)
    (tmp_path / "a").write_bytes(idx(np.zeros(11, np.uint8)))
    with pytest.raises(FileError, match="at most 10 are read"):
        read_idx(tmp_path / "a", most=10)
    assert not is_idx(tmp_path / "no")


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
        ("t10k-images.idx3-ubyte", "t10k-labels-idx1-ubyte.gz"),
        ("images-idx3-ubyte", "labels.idx1-ubyte"),
    ],
)
def test_labels_are_found_by_their_name(tmp_path, images, labels):
    (tmp_path / "other-labels-idx1-ubyte").write_bytes(b"")
    assert labels_beside(tmp_path / images) is None
    (tmp_path / labels).write_bytes(b"")
    assert labels_beside(tmp_path / images) == tmp_path / labels
    assert labels_beside(tmp_path / "pictures") is None


def test_images_and_labels_make_a_set(tmp_path, rng):
    x = rng.integers(0, 256, (6, 4, 5), dtype=np.uint8)
    y = np.array([7, 3, 3, 7, 7, 3], np.uint8)
    (tmp_path / "images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(x)))
    with pytest.raises(SettingError, match="--labels"):
        read_image_arrays(tmp_path / "images-idx3-ubyte.gz")
    (tmp_path / "labels-idx1-ubyte").write_bytes(idx(y))
    found = read_image_arrays(tmp_path / "images-idx3-ubyte.gz")
    np.testing.assert_array_equal(found.x, x)
    assert found.classes == (3, 7)
    assert found.y.tolist() == [1, 0, 0, 1, 1, 0]
    (tmp_path / "few").write_bytes(idx(y[:4]))
    with pytest.raises(DataError, match="6 images, but 4 labels"):
        read_image_arrays(tmp_path / "images-idx3-ubyte.gz", tmp_path / "few")
    with pytest.raises(DataError, match="these may be the labels"):
        read_image_arrays(tmp_path / "labels-idx1-ubyte", tmp_path / "few")
