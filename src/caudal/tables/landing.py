"""Raw landing: bytes are copied by content hash, never changed, and kept forever."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from caudal.errors import EnvironmentProblem, SourceProblem
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import landed, tombstones
from caudal.ledger.rows import LandedRow
from caudal.storage.place import Place, put
from caudal.tables.home import Home


class ArrivedFile(Protocol):
    """A file that has arrived: its origin, and a local path to its bytes."""

    @property
    def path(self) -> str:
        """Its path or address at the origin."""

    @property
    def local(self) -> Path:
        """A local path to its bytes."""

    @property
    def bytes(self) -> int:
        """Its size."""

    @property
    def modified_ns(self) -> int:
        """Its time of change at the origin, nanoseconds since 1970, UTC."""

    @property
    def etag(self) -> str | None:
        """The origin's identifier of this content."""


@dataclass(frozen=True)
class LandedFile:
    """Raw bytes in the lake."""

    path: str  # its path or address at the origin
    stored: Place
    sha256: str
    bytes: int
    new: bool
    kind: str = "data"
    seq: int = 0  # its position in the order of landing

    @property
    def segment(self) -> str:
        """The short name by which rows refer to their file (column ``_file``)."""
        return self.sha256[:16]

    @property
    def name(self) -> str:
        """The file's own name."""
        return Path(self.path).name


def land(
    arrivals: Sequence[ArrivedFile], home: Home, ledger: Ledger, *, product: str, source: str, run_id: str, kind: str = "data",
    changed: str = "replace", base: Path | None = None,
) -> list[LandedFile]:  # fmt: skip
    """Copy new content into the raw store and return every arrival with its hash.

    A file whose path, size and time of change equal those of the path's newest content is not read again. The same bytes are stored once.
    A content that arrives again after another is the newest again. Files that belong together (``changed="set"``) are recorded in
    one transaction, after all of them were copied. ``base`` is the folder to which their paths are relative.
    """
    newest_rows = {row["path"]: row for row in ledger.find(landed, product=product, source=source)}  # the newest row of each path
    folder = home.raw(product, source)
    in_store = _existence_check(folder) if newest_rows and arrivals else lambda _: False
    result = []
    together: list[dict[str, object]] = []
    for arrival in arrivals:
        path = _printable(arrival.path)
        row = newest_rows.get(path)
        if row is not None and _unchanged(row, arrival) and in_store(store_path(folder, row["sha256"], path)):
            if row["kind"] == "refused":  # the file is at its origin, still or again
                ledger.change(landed, {"id": row["id"]}, kind=kind)
            result.append(LandedFile(path, store_path(folder, row["sha256"], path), row["sha256"], row["bytes"], False))
            continue
        sha256, size = _copy(arrival.local, folder, path, home.scratch(product))
        sha256 = _current_hash(ledger, folder, product, source, path, sha256)
        landed_row = {
            "product": product, "source": source, "path": path, "sha256": sha256, "bytes": size,
            "modified_ns": arrival.modified_ns, "landed_at": time.time(), "run_id": run_id, "kind": kind, "etag": arrival.etag,
            "base": None if base is None else str(base),
        }  # fmt: skip
        same_content = ledger.find(landed, product=product, source=source, path=path, sha256=sha256)
        if same_content:  # touched, or arrived again after another content; or landed by a run that died before it recorded that
            ledger.renew(
                landed,
                {"id": same_content[0]["id"]},
                modified_ns=arrival.modified_ns,
                landed_at=time.time(),
                etag=arrival.etag,
                kind=kind,
            )
        elif changed == "set":
            together.append(landed_row)
        else:
            ledger.add(landed, landed_row)
        result.append(LandedFile(path, store_path(folder, sha256, path), sha256, size, not same_content, kind))
    ledger.add(landed, *together)
    return result


def current(home: Home, ledger: Ledger, *, product: str, source: str, changed: str = "replace") -> list[LandedFile]:
    """Return the landed files that make up a source now: the newest content of each path, each content once.

    With ``changed="append"`` older contents of a path stay as well; with ``"set"`` the files of the newest folder are the source. A file that could not be read counts while it lies where it
    came from: once it is deleted there, its bytes are kept but not read again.
    """
    rows = [row for row in ledger.find(landed, product=product, source=source) if row["kind"] != "erased"]
    if changed == "set":
        # A database cannot repeat an extraction, so a refused file still counts.
        data = [row for row in rows if row["kind"] != "correction"]
        rows = [row for row in rows if row["kind"] == "correction" or _set(row) == _set(data[-1])]
    else:
        rows = [row for row in rows if row["kind"] != "refused" or origin_of(row).exists()]
    newest = {(row["path"] if changed != "append" else (row["path"], row["sha256"])): row for row in rows}
    by_content = {row["sha256"]: row for row in newest.values()}
    folder = home.raw(product, source)
    return [
        LandedFile(row["path"], store_path(folder, sha, row["path"]), sha, row["bytes"], False, row["kind"], row["seq"])
        for sha, row in sorted(by_content.items())
    ]


def origin_of(row: LandedRow) -> Path:
    """Return the path from which a landed file of this machine came."""
    return Path(row["base"] or "", row["path"])


def rebase_paths(ledger: Ledger, product: str, source: str, base: Path, named: Callable[[str], str]) -> None:
    """Rebase a source's files onto the current data folder; files that an older home knows by absolute paths get relative names.

    If several absolute paths get the same name, the one that landed last gets it.
    """
    of_source = {"product": product, "source": source}
    rows = [row for row in ledger.find(landed, product=product, source=source) if row["kind"] != "correction"]
    for old_base in {row["base"] for row in rows} - {None, str(base)}:
        ledger.change(landed, {**of_source, "base": old_base}, base=str(base))
    extraction_paths = {row["path"] for row in rows if row["base"] is not None}
    last = {named(row["path"]): row["path"] for row in rows if row["base"] is None}
    for name, path in last.items():
        if name != path and name not in extraction_paths:
            ledger.change(landed, {**of_source, "path": path}, path=name, base=str(base))


def _unchanged(row: LandedRow, arrival: ArrivedFile) -> bool:
    return (row["bytes"], row["modified_ns"]) == (arrival.bytes, arrival.modified_ns)


def _set(row: LandedRow) -> str:
    return str(row["path"]).rpartition("/")[0]


def _current_hash(ledger: Ledger, folder: Place, product: str, source: str, path: str, sha256: str) -> str:
    """Return the hash under which a content exists now: after an erasure, its old bytes are not kept again."""
    arrived_sha256 = sha256
    while tombstone_rows := ledger.find(tombstones, product=product, source=source, old_sha256=sha256, newest=True, limit=1):
        sha256 = tombstone_rows[0]["new_sha256"]
    if sha256 != arrived_sha256:
        store_path(folder, arrived_sha256, path).unlink(missing_ok=True)
    return sha256


def _printable(path: str) -> str:
    """Return a path that the ledger can store: bytes of a file name that are not UTF-8 become escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def store_path(folder: Place, sha256: str, origin: str) -> Place:
    """Return the path of stored bytes by their hash, with the extension of their origin's name."""
    if origin.startswith(("http://", "https://")):  # an address may go on after the file's name
        origin = origin.partition("#")[0].partition("?")[0]
    name = Path(origin).name
    packed = name.lower().endswith((".gz", ".bz2", ".zst", ".xz", ".zip"))
    endings = "".join(Path(name).suffixes[-2:]) if packed else Path(name).suffix
    return folder / sha256[:2] / f"{sha256}{endings.lower()}"


def _existence_check(folder: Place) -> Callable[[Place], bool]:
    """Return a function that tells whether bytes are in the raw store; a remote store is listed once."""
    if isinstance(folder, Path):
        return lambda file: file.exists()
    return {*folder.rglob("*")}.__contains__


def _copy(origin: Path, folder: Place, path: str, scratch: Path) -> tuple[str, int]:
    """Copy bytes to a path named by their hash, and return hash and size; a reader never sees a half-written file.

    For a remote store they are copied on this machine first, so that exactly the hashed bytes are sent, under a known name.
    """
    temporary_folder = folder if isinstance(folder, Path) else scratch
    temporary_folder.mkdir(parents=True, exist_ok=True)
    temporary = temporary_folder / f".landing-{os.getpid()}-{time.monotonic_ns()}"
    digest, size = hashlib.sha256(), 0
    try:
        with _open_origin(origin, path) as source, temporary.open("wb") as target:
            while block := source.read(1 << 20):
                digest.update(block)
                target.write(block)
                size += len(block)
            target.flush()
            os.fsync(target.fileno())
        sha256 = digest.hexdigest()
        final = store_path(folder, sha256, path)
        if not final.exists():
            temporary.chmod(0o444)
            put(temporary, final)
    except OSError as error:
        if error.errno in (28, 122):  # no space, quota
            raise EnvironmentProblem(
                f"The disk is full: '{path}' could not be landed.",
                fix="Free space where --home lies and run again; nothing is lost.",
                file=path,
            ) from None
        raise
    finally:
        temporary.unlink(missing_ok=True)
    return sha256, size


def _open_origin(origin: Path, path: str) -> IO[bytes]:
    try:
        return origin.open("rb")
    except PermissionError:
        raise SourceProblem(
            f"'{path}' cannot be read: permission denied.", fix="Give the user who runs caudal read access.", file=path
        ) from None
    except FileNotFoundError:
        raise SourceProblem(f"'{path}' vanished before it was landed.", fix="Run again.", file=path, transient=True) from None
