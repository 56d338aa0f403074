"""A raw file that lies in the lake: its format, and whether it is whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from caudal.errors import SourceProblem, nearest
from caudal.lake.place import Place

FORMATS = ("parquet", "csv", "json", "avro")
_ENDINGS = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".json": "json", ".jsonl": "json",
    ".ndjson": "json", ".avro": "avro",
}  # fmt: skip
_PACKED = (".gz",)
_MAGIC = {"parquet": b"PAR1", "avro": b"Obj\x01"}


@dataclass(frozen=True)
class RawFile:
    """A landed file.

    Parameters
    ----------
    path : Path, where it lies; its name begins with its hash and keeps the endings of ``name``
    sha256 : str, hexadecimal
    name : str, what the user calls it; errors name it so
    format : str, optional, one of ``FORMATS``; told by the ending of ``name`` when left out
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
    plain = name.partition("?")[0].lower()
    for ending in _PACKED:
        plain = plain.removesuffix(ending)
    found = _ENDINGS.get(Path(plain).suffix)
    if found is None:
        raise SourceProblem(
            f"The format of '{name}' cannot be told by its ending.",
            fix=f"Pass format= to the connection: {', '.join(FORMATS)}.",
            file=name,
        )
    return found


def fault(path: Place, format: str) -> str | None:
    """Return why a file cannot be whole, or None. Looks at its size and its first and last bytes only."""
    size = path.stat().st_size
    if size == 0:
        return "is empty (0 bytes)"
    magic = _MAGIC.get(format)
    if magic is None:
        return None
    with path.open("rb") as file:
        if file.read(len(magic)) != magic:
            return f"is no {format.capitalize()} file: it does not begin with {magic.decode('ascii', 'replace')!r}"
        if format != "parquet":
            return None  # an Avro file is cut at any block; its reader tells
        if size < 12:
            return "is truncated: it has no Parquet footer"
        file.seek(-4, 2)
        return None if file.read(4) == magic else "is truncated: it has no Parquet footer at its end"


def check_whole(path: Place, format: str, name: str) -> None:
    """Raise SourceProblem when a file is empty, truncated, or not of its format."""
    reason = fault(path, format)
    if reason is not None:
        raise SourceProblem(
            f"'{name}' {reason}.", fix="Deliver the file again, or move it away; nothing of it was taken.", file=name
        )
