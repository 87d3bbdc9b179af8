"""The container: exact round trips, memory, and what cannot be saved."""

import os
import re
import tracemalloc

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from tests.storage.forging import forge, good_file, header_text, tensor

from thalweg.errors import DTypeError, FileError
from thalweg.storage.container import check_arrays, read_container, write_container

MODEL = "thalweg-model"
FEW_MIB = 3 * 2**20
MOST = 64 * 2**20  # what a document of many values may take beside the file itself


def save(path, arrays, document=None, **options):
    write_container(path, arrays, document or {}, **({"format": MODEL, "version": 1} | options))


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


NAN_PAYLOADS = np.array([0x7FF8000000000001, 0x7FF0000000000001, 0xFFF8DEADBEEF0000], np.uint64)

ARRAYS = {
    "float32": np.array([[1.5, -0.0], [np.inf, 1e-45]], np.float32),
    "float64": np.array([np.pi, -np.inf, 5e-324]),
    "int32": np.array([-(2**31), 2**31 - 1], np.int32),
    "int64": np.array([-(2**63), 2**63 - 1]),
    "uint8": np.arange(256, dtype=np.uint8),
    "uint32": np.array([2**32 - 1], np.uint32),
    "uint64": np.array([2**64 - 1], np.uint64),
    "bool": np.array([True, False, True]),
    "NaN payloads": NAN_PAYLOADS.view(np.float64),
    "NaN payloads 32": np.array([0x7F800001, 0xFFC0FFEE], np.uint32).view(np.float32),
    "0-d": np.array(3.25),
    "scalar": np.float32(2.5),
    "empty": np.empty((0,), np.float32),
    "empty 3-d": np.empty((3, 0, 2), np.int64),
    "every second": np.arange(20.0)[::2],
    "reversed": np.arange(20, dtype=np.int32)[::-1],
    "transposed": np.arange(12.0).reshape(3, 4).T,
    "Fortran": np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4)),
    "broadcast": np.broadcast_to(np.float32(7), (4, 3)),
    "read-only": np.frombuffer(b"12345678", np.uint8),
    "32 axes": np.ones((1,) * 32, np.float32),
}


def test_round_trip_is_bit_exact(tmp_path):
    path = tmp_path / "m.safetensors"
    document = {"layers": ["Linear", 64], "rate": 1e-3, "näme": "😀", "none": None}
    save(path, ARRAYS, document, version=7)
    found = read_container(path, format=MODEL)
    assert list(found.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert same_bits(found.arrays[name], array), name
    assert (found.document, found.format, found.version) == (document, MODEL, 7)


def test_big_endian_arrays_are_converted(tmp_path):
    path = tmp_path / "m.safetensors"
    big = {"f": ARRAYS["NaN payloads"].astype(">f8"), "i": np.array(258, ">i4")}
    save(path, big)
    found = read_container(path, format=MODEL).arrays
    assert same_bits(found["f"], ARRAYS["NaN payloads"])
    assert same_bits(found["i"], np.array(258, np.int32))


def test_arrays_are_own_writable_aligned_memory(tmp_path):
    path = tmp_path / "m.safetensors"
    save(path, ARRAYS)
    found = read_container(path, format=MODEL).arrays
    for array in found.values():
        assert array.flags.writeable
        assert array.flags.aligned
        assert array.flags.owndata
        assert array.flags.c_contiguous
        assert array.dtype.isnative
    found["float64"][:] = 0
    assert same_bits(read_container(path, format=MODEL).arrays["float64"], ARRAYS["float64"])


def test_nothing_at_all_can_be_saved(tmp_path):
    save(tmp_path / "m", {})
    assert read_container(tmp_path / "m", format=MODEL).arrays == {}


def test_the_safetensors_library_reads_the_file(tmp_path):
    path = tmp_path / "m.safetensors"
    arrays = {name: array for name, array in ARRAYS.items() if np.ndim(array) < 32}
    save(path, arrays, {"a": 1})
    found = safetensors.numpy.load_file(path)
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert same_bits(found[name], array), name
    with safetensors.safe_open(path, framework="np") as file:
        assert file.metadata()["format"] == MODEL
        assert file.metadata()["document"] == '{"a":1}'


def test_every_array_is_aligned_in_the_file(tmp_path):
    path = tmp_path / "m.safetensors"
    save(path, {"b": np.array([True]), "f": np.ones(3, np.float32), "d": np.ones(2)})
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    assert length % 8 == 0
    for name, size in {"b": 1, "f": 4, "d": 8}.items():
        entry = re.search(rf'"{name}":{{[^}}]*"data_offsets":\[(\d+),'.encode(), content)
        assert entry is not None
        assert int(entry[1]) % size == 0


def test_the_same_contents_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / name, ARRAYS, {"x": [1, 2]})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_built_by_hand_is_read(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(good_file())
    found = read_container(path, format={MODEL, "thalweg-checkpoint"})
    assert found.document == {"layers": ["Linear", 64]}
    assert found.arrays["mask"].tolist() == [True, False, True, True]
    assert same_bits(found.arrays["w"], np.frombuffer(bytes(range(24)), "<f4").reshape(2, 3))


# ---------------------------------------------------------------------------- memory


def peak_of_reading(path):
    tracemalloc.start()
    found = read_container(path, format=MODEL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found, peak


def test_a_large_file_takes_its_own_size_of_memory(tmp_path):
    path = tmp_path / "m.safetensors"
    arrays = {"a": np.arange(5 * 10**6, dtype=np.float64), "b": np.ones(10**7, np.uint8)}
    save(path, arrays)
    found, peak = peak_of_reading(path)
    assert same_bits(found.arrays["a"], arrays["a"])
    assert peak <= path.stat().st_size + FEW_MIB


def test_saving_copies_nothing_that_is_already_in_order(tmp_path):
    array = np.ones(10**6)
    tracemalloc.start()
    save(tmp_path / "m", {"a": array})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < FEW_MIB


def test_hungriest_accepted_header_and_document_stay_within_the_bound(tmp_path):
    path = tmp_path / "m.safetensors"
    many = {f"t{i}": tensor((0,), (0, 0)) for i in range(10_000)}
    hungry = '{"a":[' + "{}," * 120_000 + "1]}"
    path.write_bytes(forge(header_text(many, document=hungry)))
    found, peak = peak_of_reading(path)
    assert len(found.arrays) == 10_000
    assert peak <= 2 * path.stat().st_size + MOST


# ---------------------------------------------------------------------------- what cannot be saved


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.ones(2, np.float16), "'w' has data type float16, which a file cannot hold; convert"),
        (np.ones(2, np.complex64), "complex64"),
        (np.array(["a"]), "<U1"),
        (np.array([None]), "object"),
        (np.array(["2020-01-01"], "datetime64[D]"), "datetime64"),
        (np.zeros(2, [("x", "f4")]), "has data type"),
        ([1.0, 2.0], "must be a NumPy array, got list"),
    ],
)
def test_other_data_types_are_refused(tmp_path, array, text):
    with pytest.raises(DTypeError, match=text):
        save(tmp_path / "m", {"w": array})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arrays", "document", "options", "text"),
    [
        ({"a..b": np.ones(1)}, {}, {}, "m: the tensor name 'a..b' holds '..'"),
        ({"": np.ones(1)}, {}, {}, "m: the tensor name is 0 bytes long"),
        ({"__metadata__": np.ones(1)}, {}, {}, "'__metadata__' is not allowed"),
        ({"n" * 256: np.ones(1)}, {}, {}, "is 256 bytes long"),
        ({}, {"loss": float("nan")}, {}, r"m: JSON cannot hold nan at \['loss'\]"),
        ({}, {"x": "y" * 17 * 2**20}, {}, "put large contents into arrays"),
        ({}, {}, {"format": "pt"}, "a format is named like 'thalweg-model', got 'pt'"),
        ({}, {}, {"version": 0}, "a version is a number from 1"),
        ({f"t{i}": np.ones(0) for i in range(10_001)}, {}, {}, "10,001 tensors; at most 10,000"),
        ({}, {"x": [[]] * 200_000}, {}, r"m: .*keys and values"),
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path, arrays, document, options, text):
    path = tmp_path / "m"
    save(path, {}, {"former": True})
    with pytest.raises(FileError, match=text):
        save(path, arrays, document, **options)
    assert read_container(path, format=MODEL).document == {"former": True}
    assert list(tmp_path.iterdir()) == [path]


def test_an_array_changed_while_it_is_saved_is_noticed(tmp_path, monkeypatch):
    path, array, write = tmp_path / "m", np.ones(10), os.write

    def change_first(descriptor, view):
        array[3] = 2.0
        return write(descriptor, view)

    monkeypatch.setattr(os, "write", change_first)
    with pytest.raises(FileError, match=r"does not read back: .*digest does not match"):
        save(path, {"a": array})
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------- expected arrays


def test_expected_arrays_pass():
    arrays = {"w": np.ones((2, 3), np.float32), "n": np.array(1)}
    check_arrays(arrays, {"n": (np.int64, ()), "w": ("float32", [2, 3])})


def test_missing_extra_and_misshapen_arrays_are_named():
    arrays = {"w": np.ones((2, 3), np.float32), "old": np.ones(1), "n": np.array(1)}
    expected = {"w": (np.float32, (3, 2)), "b": (np.float32, (3,)), "n": (np.int32, ())}
    with pytest.raises(FileError) as refusal:
        check_arrays(arrays, expected, path="m.safetensors")
    assert str(refusal.value) == (
        "m.safetensors: the arrays do not fit: missing 'b'; unexpected 'old'; "
        "'n' is int64 (), expected int32 (); 'w' is float32 (2, 3), expected float32 (3, 2)"
    )


def test_long_lists_of_faults_are_cut():
    with pytest.raises(FileError, match=r"missing 'a0', 'a1', 'a2', 'a3', 'a4' and 3 more$"):
        check_arrays({}, {f"a{i}": (np.float32, ()) for i in range(8)})
    arrays = {f"a{i}": np.ones(1) for i in range(8)}
    with pytest.raises(FileError, match=r"'a4' is .*; and 3 more$"):
        check_arrays(arrays, dict.fromkeys(arrays, (np.float32, (1,))))
