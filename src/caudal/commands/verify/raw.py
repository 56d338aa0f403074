"""Check that raw files are unchanged: each is named by the hash of its bytes."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from caudal.commands.verify.fault import HomeFault, Verification
from caudal.ledger.records import landed
from caudal.ledger.rows import LandedRow
from caudal.storage import delta
from caudal.storage.place import Place
from caudal.tables.intact import sha256_of
from caudal.tables.landing import origin_of, store_path

_AT_ONCE = 8
_HASH = 64


def check_raw(verification: Verification, product: str, folder: Place) -> None:
    """Compare every raw file of a source with the hash that names it, and check that every landed file of the ledger exists."""
    source = folder.name
    files = [file for file in folder.rglob("*") if file.is_file()]
    stored = {file: file.name.partition(".")[0] for file in files if len(file.name.partition(".")[0]) == _HASH}
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        hashes = dict(zip(stored, threads.map(sha256_of, stored), strict=True))
    verification.findings.checked["raw"] += len(stored)
    verification.findings.bytes += sum(file.stat().st_size for file in stored)
    rows = verification.ledger.find(landed, product=product, source=source) if verification.ledger is not None else []
    origin = {row["sha256"]: row for row in rows}
    for file, sha256 in stored.items():
        if hashes[file] != sha256:
            sentence = f"Raw file '{file}' of source '{source}' is not as it landed: its bytes have changed."
            verification.findings.faults.append(
                HomeFault(
                    "raw",
                    product,
                    source,
                    str(file),
                    sentence,
                    _raw_fix(verification, product, source, origin.get(sha256), sha256, file),
                )
            )
    existing = set(stored)
    for row in rows:
        file = store_path(folder, row["sha256"], row["path"])
        if file not in existing:
            sentence = f"Raw file '{file}' of source '{source}' is gone; it came from '{row['path']}'."
            verification.findings.faults.append(
                HomeFault(
                    "raw", product, source, str(file), sentence, _raw_fix(verification, product, source, row, row["sha256"], None)
                )
            )
    if verification.ledger is not None and (unlisted := [file for file, sha256 in stored.items() if sha256 not in origin]):
        verification.findings.notes.append(
            f"{len(unlisted)} raw files of source '{source}' of '{product}' are named by no row of the ledger, such as '{unlisted[0]}': "
            "a run that was killed leaves such files, and they do no harm."
        )


def _raw_fix(verification: Verification, product: str, source: str, row: LandedRow | None, sha256: str, file: Place | None) -> str:
    """Return how to restore a raw file: from its origin, where that still holds it, else from a backup; and which rows are lost otherwise."""
    command = f"caudal run {verification.folder(product)} {verification.home_options()}"
    if file is not None:
        command = (
            f"rm -f {shlex.quote(str(file))} && {command}" if isinstance(file, Path) else f"take '{file}' away, then {command}"
        )
    if row is not None and _has_hash(origin_of(row), sha256):
        return f"Its origin '{origin_of(row)}' still holds these bytes. Land them again: {command}"
    if row is not None and row["path"].startswith(("http://", "https://")):
        return f"Fetch it again from '{row['path']}', where it is still served: {command}"
    table = verification.home.table(product, source)
    loss_note = ""
    if delta.version_of(table) is not None:
        rows = sum(file.rows for file in delta.read_version(table).files if file.segment == sha256[:16])
        loss_note = f" Its {rows:,} rows stand in table '{source}', and are lost when that is made again from raw."
    origin_note = f" Its origin '{row['path']}' does not hold these bytes any more." if row is not None else ""
    return f"Put it back from a backup.{origin_note}{loss_note}"


def _has_hash(path: Path, sha256: str) -> bool:
    try:
        return path.is_file() and sha256_of(path) == sha256
    except OSError:
        return False
