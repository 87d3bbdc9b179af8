"""Strict JSON: one meaning only, bounded memory."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thalweg.errors import FileError
from thalweg.storage.strict_json import dumps, loads

REFUSED = {
    "empty": (b"", "is empty"),
    "duplicate key": (b'{"a":1,"b":2,"a":1}', "the key 'a' appears twice"),
    "duplicate key, escaped": (b'{"a":1,"\\u0061":2}', "the key 'a' appears twice"),
    "duplicate key, deep": (b'[{"x":{"a":1,"a":2}}]', "the key 'a' appears twice"),
    "NaN": (b'{"a":NaN}', "NaN is not a JSON number"),
    "Infinity": (b"[Infinity]", "Infinity is not a JSON number"),
    "-Infinity": (b"[-Infinity]", "-Infinity is not a JSON number"),
    "overflowing float": (b"[1e999]", "the number 1e999 is too large for a float"),
    "integer 2^63": (b"[9223372036854775808]", "9223372036854775808 does not fit in 64 bits"),
    "integer -2^63-1": (b"[-9223372036854775809]", "does not fit in 64 bits"),
    "400 digits": (b"[" + b"7" * 400 + b"]", r"7{20}… \(400 characters\) does not fit"),
    "5000 digits": (b"[" + b"7" * 5000 + b"]", r"\(5000 characters\) does not fit"),
    "depth 65": (b"[" * 65 + b"]" * 65, "nested deeper than 64 levels"),
    "depth 10^5": (b"[" * 10**5 + b"]" * 10**5, "nested deeper than 64 levels"),
    "depth 10^5, unclosed": (b'{"a":' * 10**5, "nested deeper than 64 levels"),
    "depth after a string": (b'["\\\\","\\"",' + b"[" * 99 + b"]" * 100, "nested deeper"),
    "lone surrogate": (b'["\\ud800"]', r"half of a surrogate pair: '\\ud800'"),
    "lone surrogate key": (b'{"\\udfff":1}', "half of a surrogate pair"),
    "NUL byte": (b'["a\0"]', "NUL character at character 3"),
    "NUL escape": (b'["a\\u0000"]', r"NUL character: 'a\\x00'"),
    "NUL key": (b'{"\\u0000":1}', "NUL character"),
    "leading space": (b" {}", "starts with white space"),
    "leading newline": (b"\n{}", "starts with white space"),
    "trailing space": (b"{} ", "ends with white space"),
    "trailing newline": (b"{}\n", "ends with white space"),
    "byte order mark": (b"\xef\xbb\xbf{}", "byte order mark"),
    "not UTF-8": (b'["\xff"]', "not UTF-8 at byte 2"),
    "overlong UTF-8": (b'["\xc0\xaf"]', "not UTF-8 at byte 2"),
    "UTF-8 surrogate": (b'["\xed\xa0\x80"]', "not UTF-8 at byte 2"),
    "UTF-16": ('{"a":1}'.encode("utf-16-le"), "NUL character at character 1"),
    "control character": (b'["a\tb"]', "not JSON: Invalid control character"),
    "trailing comma": (b"[1,]", "not JSON"),
    "two values": (b"{}{}", "not JSON: Extra data at character 2"),
    "comment": (b"[1]//", "not JSON"),
    "single quotes": (b"{'a':1}", "not JSON"),
    "leading zero": (b"[01]", "not JSON"),
    "plus": (b"[+1]", "not JSON"),
    "hexadecimal": (b"[0x10]", "not JSON"),
    "unterminated": (b'{"a":"', "not JSON"),
    "backslash outside": (b'\\"[', "not JSON"),
    "too many values": (b"[" + b"[]," * 10**6 + b"1]", "2,000,002 keys and values"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case):
    data, text = REFUSED[case]
    with pytest.raises(FileError, match=text):
        loads(data)


def test_length_is_limited_before_anything_else():
    with pytest.raises(FileError, match="11 bytes long; at most 10 are allowed"):
        loads(b"\0" * 11, max_bytes=10)


def test_depth_counts_lists_and_objects_but_not_their_text():
    assert loads(b"[" * 64 + b"]" * 64)
    assert loads(json.dumps("[" * 100 + '"\\' + "{" * 100).encode()) is not None
    assert loads(b'[{"a":[]}]', max_depth=3) == [{"a": []}]
    with pytest.raises(FileError, match="deeper than 2"):
        loads(b'[{"a":[]}]', max_depth=2)


@pytest.mark.parametrize("shift", range(4))
def test_escapes_are_followed_across_the_blocks_of_the_scan(shift):
    text = '["' + "x" * shift + "\\\\" * 40_000 + '\\"' * 40_000 + '",[]]'
    assert loads(text, max_depth=2) == json.loads(text)
    with pytest.raises(FileError, match="deeper than 1"):
        loads(text, max_depth=1)


def test_text_and_bytes_give_the_same():
    assert loads('["é😀"]') == loads('["é😀"]'.encode()) == ["é😀"]
    with pytest.raises(FileError, match="half of a surrogate pair"):
        loads('["\ud800"]')


def test_depth_is_followed_across_the_blocks_of_the_scan():
    text = b"[" * 40 + b'["' + b"[" * 70_000 + b'"]' + b"[" * 20 + b"]" * 20 + b"]" * 40
    assert loads(text.replace(b'"][', b'"],[')) is not None
    with pytest.raises(FileError, match="deeper than 50"):
        loads(text.replace(b'"][', b'"],['), max_depth=50)


def test_extreme_numbers_that_fit():
    assert loads(b"[9223372036854775807,-9223372036854775808,1e308,5e-324,-0.0]") == [
        2**63 - 1,
        -(2**63),
        1e308,
        5e-324,
        0.0,
    ]


HUNGRY = {
    "empty lists": b"[" + b"[]," * 100_000 + b"[]]",
    "empty objects": b"[" + b"{}," * 100_000 + b"{}]",
    "small objects": b"[" + b'{"":0},' * 50_000 + b"{}]",
    "one flat object": b"{" + b",".join(b'"%d":%d' % (i, i + 300) for i in range(100_000)) + b"}",
    "floats": b"[" + b"1.5," * 100_000 + b"1]",
    "integers": b"[" + b"1234567890123456789," * 100_000 + b"1]",
    "strings": b"[" + b'"ab",' * 100_000 + b"1]",
    "wide string": b'["' + b"a" * 10**6 + '\U0001f600"]'.encode(),
    "wide escape": b'["' + b"a" * 10**6 + b'\\ud83d\\ude00"]',
    "quotes": b'["' + b'\\"' * 10**6 + b'"]',
}


@pytest.mark.parametrize("case", HUNGRY)
def test_memory_estimate_is_an_upper_bound(case):
    data = HUNGRY[case].decode()
    with pytest.raises(FileError, match=r"would take about \d+ MiB of memory") as refusal:
        loads(data, max_memory=0)
    estimate = int(str(refusal.value).split("about ")[1].split(" MiB")[0])
    tracemalloc.start()
    kept = loads(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert kept is not None
    assert peak <= (estimate + 0.5) * 2**20 + 2**20


def test_refusing_takes_little_memory():
    data = b"[" + b"[]," * 5_000_000 + b"1]"
    tracemalloc.start()
    with pytest.raises(FileError, match="keys and values"):
        loads(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(data) * 1.1 + 2**21


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner
        )
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_what_is_written_reads_back(plain):
    text = dumps(plain)
    assert loads(text) == plain == json.loads(text)
    assert repr(loads(text)) == repr(plain)  # tells 1 from 1.0 and True, and -0.0 from 0.0


def test_escaped_text_is_ascii():
    assert dumps(["é😀"], escape=True) == b'["\\u00e9\\ud83d\\ude00"]'
    assert loads(dumps(["é😀"], escape=True)) == ["é😀"]


def test_text_is_compact_and_keeps_the_order_of_keys():
    assert dumps({"b": [1, 2.5, None, True], "a": "é😀"}) == (
        '{"b":[1,2.5,null,true],"a":"é😀"}'.encode()
    )


UNWRITABLE = {
    "NaN": ({"a": [0.0, float("nan")]}, r"cannot hold nan at \['a'\]\[1\]"),
    "infinity": (float("-inf"), "cannot hold -inf at the top"),
    "2^63": ([2**63], "does not fit in 64 bits"),
    "number as key": ({"a": {1: 2}}, r"keys must be strings, got 1 at \['a'\]"),
    "tuple": ({"a": (1, 2)}, r"cannot hold tuple at \['a'\]"),
    "bytes": ([b"x"], r"cannot hold bytes at \[0\]"),
    "surrogate": (["\ud800"], "half of a surrogate pair"),
    "NUL": ({"a\0": 1}, "NUL character"),
}


@pytest.mark.parametrize("case", UNWRITABLE)
def test_refuses_to_write(case):
    plain, text = UNWRITABLE[case]
    with pytest.raises(FileError, match=text):
        dumps(plain)


def test_refuses_to_write_what_contains_itself():
    endless: list = []
    endless.append(endless)
    with pytest.raises(FileError, match="nested deeper than 64 levels"):
        dumps(endless)
