"""Files that must be refused: for each its bytes and the text of the fault."""

import io
import json
import pickle
from collections.abc import Callable, Iterator

import numpy as np
import safetensors.numpy
from tests.storage.forging import forge, good_file, header_text, metadata, resign, tensor

# Name, content (a large one only when it is asked for) and the text of the fault.
Case = tuple[str, bytes | Callable[[], bytes], str]
ONE = {"w": tensor()}
EIGHT = bytes(8)


def _entry(*arguments, **changes) -> bytes:
    """A file with one tensor whose entry is changed, and 8 bytes of data."""
    return forge(header_text({"w": tensor(*arguments, **changes)}), EIGHT)


def _raw(tensors: str, data: bytes = EIGHT, document: str = "{}") -> bytes:
    """A file whose tensors are written as text, for what json.dumps would not write."""
    meta = json.dumps(metadata(document=document), separators=(",", ":"))
    return forge(f'{{"__metadata__":{meta},{tensors}}}'.encode(), data)


def _document(text: str) -> bytes:
    return forge(header_text(ONE, document=text), EIGHT)


def _named(name: str) -> bytes:
    return forge(header_text({name: tensor()}), EIGHT)


def _meta(**changes) -> bytes:
    return forge(header_text(ONE, **changes), EIGHT)


def _crowded() -> bytes:
    many = {f"t{i}": tensor((0,), (0, 0)) for i in range(100_001)}
    return forge(header_text(many))


def _wide() -> bytes:
    return forge(b'{"a":[' + b"0," * 5 * 10**6 + b"0]}")


def _hungry() -> bytes:
    return _document('{"a":[' + "[]," * 4 * 10**6 + "1]}")


def _long_header() -> bytes:
    return (17 * 2**20).to_bytes(8, "little") + b"{" + bytes(17 * 2**20)


ENTRY = '"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'


def names() -> Iterator[Case]:
    """Duplicate, unknown, and impossible names."""
    yield "duplicate tensor", _raw(f"{ENTRY},{ENTRY}"), "the key 'w' appears twice"
    yield (
        "duplicate field",
        _raw('"w":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}'),
        "the key 'dtype' appears twice",
    )
    twice = b'{"__metadata__":{"digest":"' + b"0" * 64 + b'","version":"1","version":"1"}}'
    yield "duplicate metadata", forge(twice), "the key 'version' appears twice"
    yield "unknown field", _entry(stride=1), "tensor 'w' has unknown fields: 'stride'"
    yield "unknown metadata", _meta(author="x"), "metadata has unknown fields: 'author'"
    yield "lacking field", _raw('"w":{"dtype":"F32","shape":[2]}'), "tensor 'w' lacks 'data_off"
    yield "NUL in name", _named("a\0b"), "a JSON string holds the NUL character"
    yield "NUL byte", _raw(ENTRY.replace("w", "\0")), "the JSON holds the NUL character at"
    yield "surrogate in name", _named("\ud800"), "half of a surrogate pair"
    yield "parent folder", _named("../../etc/passwd"), "holds '\\.\\.'"
    yield "dots", _named("a..b"), "the tensor name 'a..b' holds '\\.\\.'"
    yield "absolute", _named("/etc/passwd"), "'/etc/passwd' is not allowed"
    yield "backslash", _named("a\\b"), "is not allowed"
    yield "newline", _named("a\nb"), "is not allowed"
    yield "right-to-left", _named("a\u202eb"), "is not allowed"
    yield "empty name", _named(""), "the tensor name is 0 bytes long"
    yield "name of 256", _named("n" * 256), "is 256 bytes long"
    yield "name of 100,000", _named("n" * 10**5), "is 100,000 bytes long"
    yield "wide name", _named("é" * 128), "is 256 bytes long"
    yield "100,001 tensors", _crowded, "lists 100,001 tensors"


def layouts() -> Iterator[Case]:
    """Overlaps, holes, sizes and shapes that do not add up."""
    pair = {"a": tensor((2,), (0, 8)), "b": tensor((2,), (4, 12))}
    yield "overlap", forge(header_text(pair), bytes(12)), "tensor 'b' overlaps tensor 'a'"
    same = {"a": tensor((2,), (0, 8)), "b": tensor((2,), (0, 8))}
    yield "same place", forge(header_text(same), EIGHT), "tensor 'b' overlaps tensor 'a'"
    hole = {"a": tensor((2,), (0, 8)), "b": tensor((2,), (12, 20))}
    yield "hole", forge(header_text(hole), bytes(20)), "4 bytes between tensor 'a' and tensor 'b'"
    late = forge(header_text({"a": tensor((2,), (8, 16))}), bytes(16))
    yield "hole at start", late, "8 bytes between the header and tensor 'a'"
    yield "trailing bytes", forge(header_text(ONE), bytes(9)), "1 bytes after the last tensor"
    yield "data without tensor", forge(header_text({}), EIGHT), "8 bytes after the last tensor"
    yield "short data", forge(header_text(ONE), bytes(7)), "take 8 bytes, but 7 are there"
    yield "huge claim", _entry((2**40,), (0, 2**42)), "take 4,398,046,511,104 bytes, but 8"
    yield "overflow", _entry((2**62, 4)), "overflows 63 bits"
    yield "overflow to 8", _entry((2**31, 2**31, 2)), "overflows 63 bits"
    yield "empty overflow", _entry((0, 2**62, 2**62), (0, 0)), "overflows 63 bits"
    yield "wrong size", _entry((3,)), "needs 12 bytes, but its data_offsets give 8"
    yield "backwards", _entry((2,), (8, 0)), "must be \\[start, stop\\], got \\[8, 0\\]"
    yield "three offsets", _entry((2,), (0, 4, 8)), "must be \\[start, stop\\]"
    yield "100,000 axes", _entry((1,) * 100_000), "has 100000 axes; at most 32"
    yield "33 axes", _entry((1,) * 32 + (2,)), "has 33 axes"
    yield (
        "boolean of 2",
        forge(header_text({"b": tensor((1,), (0, 1), "BOOL")}), b"\2"),
        ("boolean but holds bytes other"),
    )


def types() -> Iterator[Case]:
    """Values of the wrong type, and numbers that other readers would let pass."""
    yield "float shape", _raw(ENTRY.replace("[2]", "[2.0]")), "shape must hold counts, got 2.0"
    yield "true shape", _raw(ENTRY.replace("[2]", "[true,2]")), "must hold counts, got True"
    yield "negative shape", _entry((-2,)), "must hold counts, got -2"
    yield "text shape", _raw(ENTRY.replace("[2]", '"2"')), "shape must be a list, got '2'"
    yield "null offsets", _raw(ENTRY.replace("[0,8]", "null")), "data_offsets must be a list"
    yield "nested shape", _raw(ENTRY.replace("[2]", "[[2]]")), "nested deeper than 3"
    yield "list entry", _raw('"w":[]'), "tensor 'w': expected a JSON object, got \\[\\]"
    yield "half", _entry((4,), dtype="F16"), "has data type 'F16'; allowed are F64, F32"
    yield "lower case", _entry(dtype="f32"), "has data type 'f32'"
    yield "number dtype", _entry(dtype=5), "has data type 5"
    yield "object dtype", _entry(dtype=["F32"]), "has data type \\['F32'\\]"
    digits = ENTRY.replace("8]", "8" * 400 + "]")
    yield "400 digits", _raw(digits), "\\(400 characters\\) does not fit in 64 bits"
    yield "2^63", _raw(ENTRY.replace("8]", f"{2**63}]")), "does not fit in 64 bits"
    yield "NaN offset", _raw(ENTRY.replace("8]", "NaN]")), "NaN is not a JSON number"
    yield "list header", forge(b"[" + header_text(ONE) + b"]", EIGHT), "no header at its start"
    deep = b'{"a":' * 10**5 + b"1" + b"}" * 10**5
    yield "header of depth 10^5", forge(deep), "nested deeper than 3"
    yield "header of 5 million", _wide, "keys and values"


def documents() -> Iterator[Case]:
    """Faults in the metadata and the document."""
    yield "metadata number", _meta(version=1), "metadata's 'version' must be text"
    yield "metadata list", _meta(document=[]), "metadata's 'document' must be text"
    yield "version 0", _meta(version="0"), "metadata's version is '0'"
    yield "version text", _meta(version="1.0"), "metadata's version is '1.0'"
    yield "version digits", _meta(version="9" * 400), "metadata's version is '9999"
    yield "version arabic", _meta(version="١"), "metadata's version is"
    yield (
        "no version",
        forge(header_text(ONE).replace(b'"version":"1",', b""), EIGHT),
        ("metadata lacks 'version'"),
    )
    yield "foreign format", _meta(format="pt"), "metadata's format is 'pt'"
    yield (
        "other format",
        _meta(format="thalweg-checkpoint"),
        ("is a thalweg-checkpoint, expected a thalweg-model"),
    )
    yield "document duplicate", _document('{"a":1,"a":2}'), "document .*: the key 'a' appears"
    yield "document NaN", _document('{"a":NaN}'), "document .*: NaN is not a JSON number"
    yield "document 400 digits", _document('{"a":%s}' % ("7" * 400)), "does not fit in 64 bits"
    yield "document 1e999", _document('{"a":1e999}'), "too large for a float"
    yield "document depth", _document("[" * 10**5 + "]" * 10**5), "deeper than 64 levels"
    yield "document NUL", _document('{"a":"\\u0000"}'), "NUL character"
    yield "document surrogate", _document('{"a":"\\ud800"}'), "half of a surrogate pair"
    yield "document space", _document(" {}"), "starts with white space"
    yield "document list", _document("[]"), "the document is not a JSON object"
    yield "document text", _document("import os"), "document cannot be read: not JSON"
    yield "document empty", _document(""), "document cannot be read: the JSON is empty"
    yield "document of 4 million", _hungry, "about \\d+ MiB of memory; at most"
    moved = {"format": "thalweg-model", "digest": "0" * 64, "version": "1", "document": "{}"}
    late = json.dumps({"__metadata__": moved} | ONE, separators=(",", ":")).encode()
    yield "digest moved", forge(late, EIGHT), "digest does not stand where"
    spaced = header_text(ONE).replace(b'{"__metadata__":{', b'{"__metadata__": {')
    yield "digest shifted", forge(spaced, EIGHT), "digest does not stand where"
    for kind, digest in {"upper case": "A" * 64, "short": "0" * 63, "long": "0" * 65}.items():
        content = forge(header_text(ONE, digest=digest), EIGHT, sign=False)
        yield f"{kind} digest", content, "metadata's digest is"


def frames() -> Iterator[Case]:
    """Faults in the length, the padding, the digest and the file's end."""
    good = good_file()
    body = good[8:]
    yield "empty file", b"", "is 0 bytes long, too short"
    yield "8 bytes", bytes(8), "is 8 bytes long, too short"
    yield "zeros", bytes(4096), "no header at its start"
    yield "length 0", bytes(8) + body, "no header at its start"
    yield "length 2^64-1", b"\xff" * 8 + body, "18,446,744,073,709,551,615 bytes long, but only"
    yield "length 2^63", (2**63).to_bytes(8, "little") + body, "bytes long, but only"
    yield "a CSV table", b"name,size,price\nBonn,3,5\n", "is a text .such as a CSV table., not"
    yield "a text in UTF-8", "Größe,Stück,Preis\n1,2,3\n".encode(), "is a text .such as"
    longer = (len(body) + 1).to_bytes(8, "little") + body
    yield "length past the end", longer, "the file is truncated"
    yield "header of 17 MiB", _long_header, "at most 16,777,216 are allowed"
    yield "leading space", forge(b" " + header_text(ONE), EIGHT), "starts with white space"
    yield "leading newline", forge(b"\n" + header_text(ONE), EIGHT), "starts with white space"
    yield "no padding", forge(header_text(ONE, document="{  }"), EIGHT, pad=False), "padded"
    yield "more padding", forge(header_text(ONE) + b" " * 8, EIGHT), "not padded with spaces"
    newline = header_text(ONE)
    newline += b"\n" * (8 - len(newline) % 8)
    yield "newline padding", forge(newline, EIGHT), "ends with white space"
    yield "two objects", forge(header_text(ONE) + b"{}", EIGHT), "Extra data"
    for kind, name in {"UTF-8": "mäk".encode(), "latin-1": b"ma\xffk"}.items():
        content = resign(good.replace(b"mask", name))
        yield f"{kind} header", content, "holds other characters than ASCII"
    wrong = bytearray(good)
    wrong[-1] ^= 1
    yield "wrong digest", bytes(wrong), "its SHA-256 digest does not match"
    yield "zero digest", good[:35] + b"0" * 64 + good[99:], "its SHA-256 digest does not match"
    yield "one byte short", good[:-1], "truncated"
    yield "one byte more", good + b"\0", "1 bytes after the last tensor"
    yield "twice", good + good, "after the last tensor belong to no tensor"


def renamed() -> Iterator[Case]:
    """Files of other programs under our name."""
    arrays = {"w": np.ones(2, np.float32)}
    for protocol in (2, 3, 4, 5):
        yield f"pickle {protocol}", pickle.dumps({"w": [1.0] * 9}, protocol), "is a Python pickle"
    yield "pickle 0", pickle.dumps({"w": [1.0] * 9}, 0), "not a thalweg file"
    archive, single = io.BytesIO(), io.BytesIO()
    np.savez(archive, **arrays)
    np.save(single, arrays["w"])
    yield "npz", archive.getvalue(), "is a zip archive"
    yield "npy", single.getvalue(), "is a NumPy array"
    yield "HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file"
    yield "PNG", b"\x89PNG\r\n\x1a\n" + bytes(100), "is a PNG picture"
    yield "JPEG", b"\xff\xd8\xff\xe0" + bytes(100), "is a JPEG picture"
    yield "gzip", b"\x1f\x8b\x08\x00" + bytes(100), "is a gzip archive"
    yield "GGUF", b"GGUF\x03\0\0\0" + bytes(100), "is a GGUF model"
    yield "Parquet", b"PAR1" + bytes(100), "is a Parquet table"
    yield "PDF", b"%PDF-1.7" + bytes(100), "is a PDF document"
    yield "JSON", json.dumps({"layers": [1, 2, 3]}).encode(), "is a JSON text"
    yield "CSV", b"age,income\n" * 20, "not a thalweg file"
    yield "Python", b"import os\nos.system('true')\n" * 3, "not a thalweg file"
    foreign = "a safetensors file that thalweg did not write"
    yield "safetensors", safetensors.numpy.save(arrays), foreign
    yield "safetensors pt", safetensors.numpy.save(arrays, {"format": "pt"}), foreign


def cases() -> dict[str, tuple[bytes | Callable[[], bytes], str]]:
    """Every hostile file by name; the large ones are functions that build them."""
    found: dict[str, tuple[bytes | Callable[[], bytes], str]] = {}
    for family in (names, layouts, types, documents, frames, renamed):
        for name, content, text in family():
            assert name not in found
            found[name] = (content, text)
    return found
