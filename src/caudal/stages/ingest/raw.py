"""A raw file in the lake: its format, and whether it is complete."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import is_zipfile

from caudal.errors import SourceProblem, nearest
from caudal.storage.place import Place

FORMATS = ("parquet", "csv", "json", "avro", "excel", "fixed_width")
ARCHIVE = "archive"  # a zip file whose name does not show its content
_ENDINGS = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".json": "json", ".jsonl": "json",
    ".ndjson": "json", ".avro": "avro", ".xlsx": "excel", ".xlsm": "excel", ".xlsb": "excel", ".xls": "excel", ".ods": "excel",
    ".fwf": "fixed_width",
}  # fmt: skip
PACKINGS = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".zst": b"\x28\xb5\x2f\xfd", ".xz": b"\xfd7zXZ\x00", ".zip": b"PK"}
TEMPORARY = (".tmp", ".part", ".partial", ".crdownload", ".swp", "~")
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_ZIPPED = (".xlsx", ".xlsm", ".xlsb", ".ods")
_MAGIC = {"parquet": b"PAR1", "avro": b"Obj\x01"}


@dataclass(frozen=True)
class RawFile:
    """A landed file.

    Parameters
    ----------
    path : Path, where it lies; its name begins with its hash and keeps the endings of ``name``
    sha256 : str, hexadecimal
    name : str, the user's name of the file, used in errors
    format : str, optional, one of ``FORMATS``; by default that of the ending of ``name``
    """

    path: Place
    sha256: str
    name: str
    format: str | None = None


def format_of(name: str, declared: str | None = None) -> str:
    """Return the format of a file.

    Examples
    --------
    >>> format_of("green_2023-01.parquet"), format_of("extra.CSV.gz"), format_of("x.dat", "csv")
    ('parquet', 'csv', 'csv')
    """
    if declared is not None:
        if declared not in FORMATS:
            raise SourceProblem(
                f"'{declared}' is not a format that is read.", nearest=nearest(declared, FORMATS), fix=f"Use one of {', '.join(FORMATS)}.",
                format=declared,
            )  # fmt: skip
        return declared
    plain = path_of(name).lower()
    packing = packing_of(name)
    format_ = _ENDINGS.get(Path(plain.removesuffix(packing or "")).suffix)
    if format_ is None and packing == ".zip":
        return ARCHIVE
    if format_ is None:
        raise SourceProblem(
            f"The format of '{name}' cannot be told by its ending.",
            fix=f"Pass format= to the connection: {', '.join(FORMATS)}.",
            file=name,
        )
    return format_


def packing_of(name: str) -> str | None:
    """Return the ending that shows how a file is packed, or None.

    Examples
    --------
    >>> packing_of("trips.csv.ZST"), packing_of("trips.csv")
    ('.zst', None)
    """
    ending = Path(path_of(name)).suffix.lower()
    return ending if ending in PACKINGS else None


def path_of(name: str) -> str:
    """Return a file's name without the query and fragment of a web address."""
    return name.partition("#")[0].partition("?")[0] if name.startswith(("http://", "https://")) else name


def is_temporary(name: str) -> bool:
    """Return whether a file's name shows that it is not finished."""
    return name.lower().endswith(TEMPORARY)


def fault(path: Place, format: str) -> str | None:
    """Return why a file cannot be complete, or None. This checks only its size and its first and last bytes."""
    size = path.stat().st_size
    if size == 0:
        return "is empty (0 bytes)"
    if packing := packing_of(path.name):
        return _packing_fault(path, packing)
    if format == "excel" and path.suffix.lower() in _ZIPPED and _begins(path, b"PK") and not _is_zip(path):
        return "is truncated: it has no zip directory at its end"
    magic = _MAGIC.get(format)
    if magic is None:
        return None
    with path.open("rb") as file:
        if file.read(len(magic)) != magic:
            return f"is no {format.capitalize()} file: it does not begin with {magic.decode('ascii', 'replace')!r}"
        if format != "parquet":
            return None  # an Avro file can be cut at any block; its reader checks that
        if size < 12:
            return "is truncated: it has no Parquet footer"
        file.seek(-4, 2)
        return None if file.read(4) == magic else "is truncated: it has no Parquet footer at its end"


def _packing_fault(path: Place, packing: str) -> str | None:
    magic = PACKINGS[packing]
    if not _begins(path, magic):
        return f"is no {packing[1:]} file: it does not begin with {magic!r}"
    # A zip's directory is at its end.
    return "is truncated: it has no zip directory at its end" if packing == ".zip" and not _is_zip(path) else None


def _is_zip(path: Place) -> bool:
    with path.open("rb") as file:
        return is_zipfile(file)


def _begins(path: Place, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def check_whole(path: Place, format: str, name: str) -> None:
    """Raise SourceProblem where a file is empty, truncated, or not of its format."""
    reason = fault(path, format)
    if reason is not None:
        raise SourceProblem(
            f"'{name}' {reason}.", fix="Deliver the file again, or move it away; nothing of it was taken.", file=name
        )
