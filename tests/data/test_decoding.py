import gzip

import pytest

from thalweg.data.decoding import to_utf8, unpack
from thalweg.errors import FileError

TEXT = "city,x\nKöln,1\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
)
def test_encodings(encoding):
    assert to_utf8(TEXT.encode(encoding), "f")[0].decode() == TEXT


def test_bytes_that_windows_does_not_know_are_latin_1():
    data, [note] = to_utf8(b"a\n\xe4\x81\n", "f")
    assert data.decode() == "a\nä\x81\n"
    assert note.row == 2
    assert "byte 0xe4); read as latin-1" in note.message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%PDF-1.7", "f is a PDF document, not a table; save it as CSV"),
        (b"\xff\xfea\x00b", "f is damaged UTF-16 text"),
        (b"\xff\xfea\x00\x00\x00", "f is a binary or damaged file"),
        (b"a,b\n1,\0\n", "f, line 2: a NUL byte"),
    ],
)
def test_files_that_are_no_text(data, words):
    with pytest.raises(FileError, match=words):
        to_utf8(data, "f")


def test_gzip_has_a_limit():
    packed = gzip.compress(b"x" * 1000)
    assert unpack(packed, "f") == b"x" * 1000
    assert unpack(b"plain", "f") == b"plain"
    with pytest.raises(FileError, match="holds more than 999 bytes once unpacked"):
        unpack(packed, "f", limit=999)
    with pytest.raises(FileError, match="damaged gzip"):
        unpack(packed[:-9], "f")
