"""Builds container files byte by byte, independently of thalweg's own writer."""

import hashlib
import json
from typing import Any

BEFORE_DIGEST = b'{"__metadata__":{"digest":"'
DIGEST = slice(len(BEFORE_DIGEST), len(BEFORE_DIGEST) + 64)


def metadata(**changes: Any) -> dict[str, Any]:
    """The four fields that a container's metadata has, with changes."""
    fields = {"digest": "0" * 64, "format": "thalweg-model", "version": "1", "document": "{}"}
    return fields | changes


def tensor(shape: Any = (2,), span: Any = (0, 8), dtype: Any = "F32", **more: Any) -> Any:
    """The header's entry for one tensor."""
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(span)} | more


def header_text(tensors: Any, **changes: Any) -> bytes:
    """A whole header as JSON, without padding."""
    whole = {"__metadata__": metadata(**changes), **tensors}
    return json.dumps(whole, separators=(",", ":")).encode()


def forge(header: bytes, data: bytes = b"", *, pad: bool = True, sign: bool = True) -> bytes:
    """A file with this header and data, its length and (unless told) its digest right."""
    padded = header + b" " * (-len(header) % 8 if pad else 0)
    content = len(padded).to_bytes(8, "little") + padded + data
    return resign(content) if sign else content


def resign(content: bytes) -> bytes:
    """The same file with a digest that fits what it says now."""
    start, stop = 8 + DIGEST.start, 8 + DIGEST.stop
    if content[8:start] != BEFORE_DIGEST or len(content) < stop:
        return content
    blank = content[:start] + b"0" * 64 + content[stop:]
    digest = hashlib.sha256(blank).hexdigest().encode()
    return content[:start] + digest + content[stop:]


def good_file(document: str = '{"layers":["Linear",64]}') -> bytes:
    """A small file that is in order: two tensors, a boolean one among them."""
    tensors = {"w": tensor((2, 3), (0, 24)), "mask": tensor((4,), (24, 28), "BOOL")}
    return forge(header_text(tensors, document=document), bytes(range(24)) + b"\1\0\1\1")
