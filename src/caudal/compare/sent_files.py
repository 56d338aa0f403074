"""What another machine is given for the work of a product: files of its folder, those that its sources match, and settings of Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.declarations.connection import Files
from caudal.declarations.database import Database
from caudal.errors import DeclarationProblem
from caudal.inspection.masking import mask_setting
from caudal.stages.ingest.files import matching_files

if TYPE_CHECKING:
    from caudal.declarations.product import Product

_LEFT_OUT = {"__pycache__", "tests", "site-packages"}


def source_files(product: Product, folder: Path, reader: str) -> dict[str, Path]:
    """Return the files of this machine that the sources of a product match, by their path in the folder of the data.

    Parameters
    ----------
    reader : who is to read them, for people

    Raises
    ------
    DeclarationProblem : a source reads what lies on this machine, and not below the folder
    """
    files: dict[str, Path] = {}
    for source in product.sources.values():
        connection = source.connection
        if isinstance(connection, Database) and str(connection.address).startswith("sqlite"):
            raise _stays_here(source.name, "a database in a file", reader)
        if not matches_files(connection):
            continue
        pattern = Path(str(getattr(connection, "pattern", ""))).expanduser()
        if pattern.is_absolute() or ".." in pattern.parts:
            raise _stays_here(source.name, f"'{pattern}', which is no path below the folder of the data", reader)
        # What is missing, or a link that leads out, is told by the work itself, here as there.
        searched = Files(str(pattern), required=False, follow_links=bool(getattr(connection, "follow_links", False)))
        files |= {path.relative_to(folder.absolute()).as_posix(): path for path, _ in matching_files(searched, folder)}
    return files


def matches_files(connection: object) -> bool:
    """Return whether a connection names files by a pattern, and not at an address."""
    pattern = getattr(connection, "pattern", None)
    return isinstance(pattern, str) and "://" not in pattern


def code_files(root: Path, without: Sequence[Path] = ()) -> dict[str, Path]:
    """Return the files of a product's folder by their path ``product/NAME/…``; hidden ones and tests are left out.

    Parameters
    ----------
    without : files and folders that are left out too
    """
    away = [path.resolve() for path in without]
    return {
        f"product/{root.name}/{path.relative_to(root).as_posix()}": path
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and _is_code(path.relative_to(root).parts)
        and not any(path.resolve().is_relative_to(each) for each in away)
    }


def open_settings(spark: Mapping[str, str]) -> dict[str, str]:
    """Return settings of Spark without those that hold a secret by their name or in their value: who sees the work there sees them too.

    Examples
    --------
    >>> open_settings({"spark.x.password": "k9Zx7Qw1", "spark.executor.extraJavaOptions": "-Dx.password=k9Zx7Qw2", "spark.cores.max": "2"})
    {'spark.cores.max': '2'}
    """
    return {name: value for name, value in spark.items() if mask_setting(name, value) == value}


def _is_code(parts: tuple[str, ...]) -> bool:
    return not any(part.startswith(".") or part in _LEFT_OUT for part in parts)


def _stays_here(source: str, what: str, reader: str) -> DeclarationProblem:
    return DeclarationProblem(
        f"Source '{source}' reads {what}, so {reader} cannot read it.",
        fix=f"Compare with files below --data, or at an address that {reader} reaches.",
    )
