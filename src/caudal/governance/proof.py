"""The proof of an erasure: a document of what was searched and found, before and after, and its page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from caudal.report.proof import proof_page


def write_proof(folder: Path, document: Mapping[str, object]) -> dict[str, object]:
    """Write the proof as JSON and as a page; return it with its hash and its paths.

    The hash is that of the document as JSON with sorted keys and without the hash itself: anybody who has the file can compute it, and
    compare it with the one in the ledger.
    """
    sha256 = proof_digest(document)
    whole = {**document, "sha256": sha256}
    folder.mkdir(parents=True, exist_ok=True)
    _put(folder / f"{document['erasure']}.json", json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True, default=str))
    _put(folder / f"{document['erasure']}.html", proof_page(whole))
    return {**whole, "json": str(folder / f"{document['erasure']}.json"), "page": str(folder / f"{document['erasure']}.html")}


def proof_digest(document: Mapping[str, object]) -> str:
    """Return the hash of a proof.

    Examples
    --------
    >>> proof_digest({"a": 1, "sha256": "x"}) == proof_digest({"a": 1})
    True
    """
    hashed = {name: value for name, value in document.items() if name not in ("sha256", "json", "page")}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()


def _put(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_text(text, "utf-8")
    draft.replace(path)
