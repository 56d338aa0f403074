"""Checks of stored data: the files of tables are there in their sizes, and raw files have the bytes that landed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from caudal.graph.registered import is_streamed, tables_of
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import landed
from caudal.ledger.rows import LandedRow
from caudal.runtime.product_tables import ProductTables
from caudal.storage import delta
from caudal.storage.damage import VERIFY, damage_error
from caudal.storage.place import Place, relative_path
from caudal.tables.home import Home
from caudal.tables.intact import hash_files, missing_files
from caudal.tables.landing import LandedFile, store_path


def check_tables(tables: ProductTables, but: Collection[str] = ()) -> None:
    """Raise unless the files of every published table are there, in their size; what is read is checked when it is read.

    A remote lake is not listed: its server keeps the files, and a step that misses one reports it.

    Parameters
    ----------
    but : tables that are to be made again

    Raises
    ------
    StorageDamaged : a file is gone or has another size, or a table's log cannot be read
    """
    if not isinstance(tables.home.lake, Path):
        return
    for name in tables_of(tables.product):
        if name in but or is_streamed(tables.product, name):  # streams check their own, and may be at work
            continue
        for folder in (tables.folder(name), tables.quarantine(name)):
            if delta.version_of(folder) is not None and (faults := missing_files(delta.read_version(folder))):
                more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
                raise damage_error(f"Table '{name}' is damaged: {faults[0]}{more}.", VERIFY, table=name)


def files_of_tables(home: Home, product: str, names: Collection[str]) -> list[tuple[str, int]]:
    """Return paths, relative to the product's tables, and sizes of the files of tables and their quarantines; none of a remote lake."""
    tables = home.tables(product)
    if not isinstance(tables, Path):
        return []
    files: list[tuple[str, int]] = []
    for name in names:
        for folder in (home.table(product, name), home.quarantine(product, name)):
            if delta.version_of(folder) is not None:
                within = relative_path(folder, tables)
                files += [(str(within / unquote(file.path)), file.bytes) for file in delta.read_version(folder).files]
    return files


def files_exist(home: Home, product: str, files: Collection[tuple[str, int]]) -> bool:
    """Return whether all files of tables exist in their sizes."""
    tables = home.tables(product)
    try:
        return all((tables / path).stat().st_size == size for path, size in files)
    except OSError:
        return False


def missing_raw(home: Home, ledger: Ledger, product: str, source: str | None = None) -> list[str]:
    """Return the origins of landed files whose bytes are missing in the raw store; none of a remote lake."""
    if not isinstance(home.lake, Path):
        return []
    about: dict[str, Any] = {"product": product, **({} if source is None else {"source": source})}
    return [row["path"] for row in ledger.find(landed, **about) if not _stored(home, row).exists()]


def check_raw_files(verified: set[Place], source: str, files: Sequence[LandedFile]) -> None:
    """Raise unless raw files that are about to be read are what landed: their bytes have the hash that names them.

    Parameters
    ----------
    verified : files that this run has compared already, which are not read again; the files compared here are added

    Raises
    ------
    StorageDamaged : one has changed, or is gone
    """
    unverified = [file for file in files if file.stored not in verified]
    missing_raw_files = [file for file in unverified if not file.stored.exists()]
    if missing_raw_files:
        raise damage_error(
            f"Raw file '{missing_raw_files[0].stored}' of source '{source}' is gone; it came from '{missing_raw_files[0].path}'.",
            "Lay it where it came from, or put the raw file back from a backup, and run again. " + VERIFY,
            file=str(missing_raw_files[0].stored),
            source=source,
        )
    for file, sha256 in zip(unverified, hash_files([file.stored for file in unverified]), strict=True):
        if sha256 != file.sha256:
            raise damage_error(
                f"Raw file '{file.stored}' of source '{source}' is not as it landed: its bytes have changed on the disk. "
                f"It came from '{file.path}'.",
                VERIFY,
                file=str(file.stored),
                source=source,
            )
        verified.add(file.stored)


def _stored(home: Home, row: LandedRow) -> Place:
    return store_path(home.raw(row["product"], row["source"]), row["sha256"], row["path"])
