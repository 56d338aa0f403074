"""A raw file in the lake: its format, and whether it is complete."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zipfile import is_zipfile

from caudal.errors import SourceProblem, nearest
from caudal.kinds import FORMATS, PACKINGS
from caudal.storage.place import Place

ARCHIVE = "archive"  # a zip file whose name does not show its content
Fault = Callable[[Place], str | None]
TEMPORARY = (".tmp", ".part", ".partial", ".crdownload", ".swp", "~")


@dataclass(frozen=True)
class RawFile:
    """A landed file.

    Parameters
    ----------
    path : Path, where it lies; its name begins with its hash and keeps the endings of ``name``
    sha256 : str, hexadecimal
    name : str, the user's name for the file, used in errors
    format : str, optional, the name of a format; by default that of the ending of ``name``
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
    format_ = _endings().get(Path(plain.removesuffix(packing or "")).suffix)
    if format_ is None and packing == ".zip":
        return ARCHIVE
    if format_ is None:
        raise SourceProblem(
            f"The ending of '{name}' does not show its format.",
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


def why_incomplete(path: Place, format: str) -> str | None:
    """Return why a file cannot be complete, or None. This checks only its size and its first and last bytes."""
    size = path.stat().st_size
    if size == 0:
        return "is empty (0 bytes)"
    if packing := packing_of(path.name):
        return _fault_of_packing(path, packing)
    # Where a format has no mark at its beginning or end, its reader checks the file.
    of_format: Fault | None = getattr(FORMATS[format], "fault", None) if format in FORMATS else None
    return of_format(path) if of_format else None


def _fault_of_packing(path: Place, packing: str) -> str | None:
    module = PACKINGS[packing]
    if not begins(path, module.MAGIC):
        return f"is no {packing[1:]} file: it does not begin with {module.MAGIC!r}"
    of_packing: Fault | None = getattr(module, "fault", None)
    return of_packing(path) if of_packing else None


def is_zip(path: Place) -> bool:
    """Return whether a file has the directory at its end that zip files have."""
    with path.open("rb") as file:
        return is_zipfile(file)


def begins(path: Place, magic: bytes) -> bool:
    """Return whether a file begins with some bytes."""
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


@cache
def _endings() -> dict[str, str]:
    """Return the format of each ending."""
    return {ending: name for name, format in FORMATS.items() for ending in format.ENDINGS}


def check_whole(path: Place, format: str, name: str) -> None:
    """Raise SourceProblem where a file is empty, truncated, or not of its format."""
    reason = why_incomplete(path, format)
    if reason is not None:
        raise SourceProblem(
            f"'{name}' {reason}.", fix="Deliver the file again, or move it away; nothing of it was landed.", file=name
        )
