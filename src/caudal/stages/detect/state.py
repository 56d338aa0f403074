"""A detector's memory as bytes: a version, a digest, the declaration, then plain arrays. Nothing in it can run code."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from caudal.declarations.detector import Detector
from caudal.errors import CaudalError

MAGIC, VERSION = b"CDET", 1
_HEAD = len(MAGIC) + 1


class StateProblem(CaudalError):
    """A detector's stored state cannot be restored."""


def pack(declared: Detector, fields: Mapping[str, object]) -> bytes:
    """Return numbers and arrays as bytes: magic, version, SHA-256 of the rest, length and text of the head, the arrays."""
    body = io.BytesIO()
    arrays = {name: value for name, value in fields.items() if isinstance(value, np.ndarray)}
    plain = {name: value for name, value in fields.items() if name not in arrays}
    head = json.dumps({"declared": declared.as_dict(), "plain": plain, "arrays": list(arrays)}).encode()
    body.write(len(head).to_bytes(4, "little") + head)
    for array in arrays.values():
        np.save(body, array, allow_pickle=False)
    payload = body.getvalue()
    return MAGIC + bytes([VERSION]) + hashlib.sha256(payload).digest() + payload


def unpack(declared: Detector, stored: bytes) -> dict[str, Any]:
    """Return the fields that ``pack`` stored.

    Raises
    ------
    StateProblem : not a state, of another version, damaged, or of a detector with another declaration
    """
    if stored[: len(MAGIC)] != MAGIC:
        raise StateProblem(f"These {len(stored)} bytes are no detector's state.", fix="Start the stream with a new state.")
    if stored[len(MAGIC)] != VERSION:
        raise StateProblem(
            f"The state of '{declared.kind}' has version {stored[len(MAGIC)]}; this caudal reads version {VERSION}.",
            fix="Start the detector anew, or continue with the version that wrote it.",
        )
    payload = stored[_HEAD + 32 :]
    if hashlib.sha256(payload).digest() != stored[_HEAD : _HEAD + 32]:
        raise StateProblem(
            f"The state of '{declared.kind}' is damaged: its digest does not match.", fix="Use an earlier checkpoint."
        )
    length = int.from_bytes(payload[:4], "little")
    head = json.loads(payload[4 : 4 + length])
    if head["declared"] != declared.as_dict():
        raise StateProblem(
            f"The stored state belongs to {head['declared']}, not to {declared.as_dict()}.",
            fix="Start the detector anew: its declaration has changed.",
        )
    body = io.BytesIO(payload[4 + length :])
    return {**head["plain"], **{name: np.load(body, allow_pickle=False) for name in head["arrays"]}}
