"""Are raw bytes those that landed? Each file is named by the hash of its bytes, so it can be asked itself."""

from __future__ import annotations

import shlex
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from caudal.commands.verify.fault import Fault, Verified
from caudal.ledger.records import landed
from caudal.ledger.rows import LandedRow
from caudal.storage import delta
from caudal.storage.place import Place
from caudal.tables.intact import sha256_of
from caudal.tables.landing import origin_of, store_path

_AT_ONCE = 8
_HASH = 64


def check_raw(told: Verified, product: str, folder: Place) -> None:
    """Compare every raw file of a source with the hash that names it, and every landed file of the ledger with what lies there."""
    source = folder.name
    files = [file for file in folder.rglob("*") if file.is_file()]
    stored = {file: file.name.partition(".")[0] for file in files if len(file.name.partition(".")[0]) == _HASH}
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        hashes = dict(zip(stored, threads.map(sha256_of, stored), strict=True))
    told.findings.checked["raw"] += len(stored)
    told.findings.bytes += sum(file.stat().st_size for file in stored)
    rows = told.ledger.find(landed, product=product, source=source) if told.ledger is not None else []
    origin = {row["sha256"]: row for row in rows}
    for file, sha256 in stored.items():
        if hashes[file] != sha256:
            what = f"Raw file '{file}' of source '{source}' is not as it landed: its bytes have changed."
            told.findings.faults.append(
                Fault("raw", product, source, str(file), what, _mend(told, product, source, origin.get(sha256), sha256, file))
            )
    known = set(stored)
    for row in rows:
        file = store_path(folder, row["sha256"], row["path"])
        if file not in known:
            what = f"Raw file '{file}' of source '{source}' is gone; it came from '{row['path']}'."
            told.findings.faults.append(
                Fault("raw", product, source, str(file), what, _mend(told, product, source, row, row["sha256"], None))
            )
    if told.ledger is not None and (nobody := [file for file, sha256 in stored.items() if sha256 not in origin]):
        told.findings.notes.append(
            f"{len(nobody)} raw files of source '{source}' of '{product}' are named by no row of the ledger, such as '{nobody[0]}': "
            "a run that was killed leaves such files, and they do no harm."
        )


def _mend(told: Verified, product: str, source: str, row: LandedRow | None, sha256: str, file: Place | None) -> str:
    """Return how raw bytes come back: from their origin, where it still holds them, else from a backup; and what is lost otherwise."""
    again = f"caudal run {told.folder(product)} {told.at_home()}"
    if file is not None:
        again = f"rm -f {shlex.quote(str(file))} && {again}" if isinstance(file, Path) else f"take '{file}' away, then {again}"
    if row is not None and _holds(origin_of(row), sha256):
        return f"Its origin '{origin_of(row)}' still holds these bytes. Land them again: {again}"
    if row is not None and row["path"].startswith(("http://", "https://")):
        return f"Fetch it again from '{row['path']}', where it is still served: {again}"
    at = told.home.table(product, source)
    lost = ""
    if delta.version_of(at) is not None:
        rows = sum(file.rows for file in delta.read(at).files if file.segment == sha256[:16])
        lost = f" Its {rows:,} rows stand in table '{source}', and are lost when that is made again from raw."
    where = f" Its origin '{row['path']}' does not hold these bytes any more." if row is not None else ""
    return f"Put it back from a backup.{where}{lost}"


def _holds(path: Path, sha256: str) -> bool:
    try:
        return path.is_file() and sha256_of(path) == sha256
    except OSError:
        return False
