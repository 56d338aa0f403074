"""The tables that a work has published, compared between platforms and with a work that was broken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from caudal.compare.table_digest import HashedRows, differing_rows, hashed_rows, largest_difference, lost_and_doubled
from caudal.storage import delta
from caudal.tables.frames import arrow

if TYPE_CHECKING:
    from caudal.report.documents.comparison import ColumnDifference, ComparedTable


def table_folders(home: Path) -> dict[str, Path]:
    """Return the folders of the tables of a home that holds one product, by their names."""
    lake = home / "lake"
    return {
        folder.name: folder
        for product in (sorted(lake.iterdir()) if lake.is_dir() else ())
        for folder in sorted(product.iterdir())
        if not folder.name.startswith("_") and (folder / "_delta_log").is_dir()
    }


def published_tables(home: Path) -> dict[str, str]:
    """Return a text for each table of a home, which is the same for the same rows in any order."""
    digests = {}
    for name, folder in table_folders(home).items():
        rows = hashed_rows(_published_rows(folder))
        digests[name] = rows.digest(list(rows.columns))
    return digests


def compare_tables(homes: Mapping[str, Sequence[Path]], digests: Mapping[str, Sequence[Mapping[str, str]]]) -> list[ComparedTable]:
    """Compare the tables of several platforms, column by column where their rows are not all the same.

    Parameters
    ----------
    homes : by platform, those of its repetitions. A column that differs between them (a moment, a random number) says nothing of platforms
    digests : by platform, what `published_tables` says of each repetition
    """
    names = sorted({name for of_platform in digests.values() for each in of_platform for name in each})
    compared = []
    for name in names:
        texts = {each.get(name) for of_platform in digests.values() for each in of_platform}
        compared.append(_same_table(name, homes) if len(texts) == 1 and None not in texts else _compare_table(name, homes))
    return compared


def distinct_tables(homes: Sequence[Path], digests: Sequence[Mapping[str, str]]) -> dict[Path, list[str]]:
    """Return the homes that hold a table with other rows than those before, each with the names of these tables.

    They are what `compare_tables` reads of a platform's homes: a table whose rows an earlier home has tells nothing more.

    Parameters
    ----------
    digests : what `published_tables` says of each home
    """
    seen: set[tuple[str, str]] = set()
    distinct: dict[Path, list[str]] = {}
    for home, of_home in zip(homes, digests, strict=False):  # the last home may be without, where a signal came
        others = [name for name, digest in of_home.items() if (name, digest) not in seen]
        seen |= {*of_home.items()}
        if others:
            distinct[home] = others
    return distinct


def against_truth(truths: Sequence[Path], home: Path) -> tuple[int, int]:
    """Return the rows that the tables of a home lack and that they have beyond those of homes where the same work was not disturbed."""
    lost = doubled = 0
    folders = table_folders(home)
    for name, folder in table_folders(truths[0]).items():
        expected, unsteady = hashed_rows(_published_rows(folder)), unsteady_columns(name, truths)
        steady = [column for column in expected.columns if column not in unsteady]
        rows = hashed_rows(_published_rows(folders[name])) if name in folders else None
        if rows is None or not expected.same_types(rows, steady):
            lost += expected.count
            continue
        missing, beyond = lost_and_doubled(expected, rows, steady)
        lost, doubled = lost + missing, doubled + beyond
    return lost, doubled


def unsteady_columns(name: str, homes: Sequence[Path]) -> set[str]:
    """Return the columns of a table that differ between repetitions of the same work."""
    unsteady: set[str] = set()
    first: HashedRows | None = None
    for home in homes:
        if (folder := table_folders(home).get(name)) is None:
            continue
        rows = hashed_rows(_published_rows(folder))
        if first is None:
            first = rows
            continue
        unsteady |= {column for column in {*first.columns, *rows.columns} if differing_rows(first, rows, column)}
    return unsteady


def _same_table(name: str, homes: Mapping[str, Sequence[Path]]) -> ComparedTable:
    """Return the comparison of a table that is the same in each home; its rows are not read again."""
    versions = {platform: delta.read_version(table_folders(of_platform[0])[name]) for platform, of_platform in homes.items()}
    columns = next(iter(versions.values())).schema["fields"]
    return {
        "table": name, "columns": sorted(field["name"] for field in columns if not field["name"].startswith("_")),
        "rows": {platform: version.rows for platform, version in versions.items()}, "equal": True, "differences": [],
    }  # fmt: skip


def _compare_table(name: str, homes: Mapping[str, Sequence[Path]]) -> ComparedTable:
    unsteady = set[str]().union(*(unsteady_columns(name, of_platform) for of_platform in homes.values()))
    tables = {platform: _published_rows(folder) for platform, each in homes.items() if (folder := table_folders(each[0]).get(name))}
    hashed = {platform: hashed_rows(table) for platform, table in tables.items()}
    steady = sorted({column for rows in hashed.values() for column in rows.columns} - unsteady)
    differences: list[ColumnDifference] = []
    for platform, beside in combinations(hashed, 2):
        rows, others = hashed[platform], hashed[beside]
        between: list[ColumnDifference] = [
            {"platform": platform, "beside": beside, "column": column, "rows": count, "largest": _largest(tables[platform], tables[beside], column)}
            for column in steady
            if (count := differing_rows(rows, others, column))
        ]  # fmt: skip
        # Values may be the same in each column, and stand in other rows.
        if not between and (count := max(lost_and_doubled(rows, others, steady))):
            between = [{"platform": platform, "beside": beside, "column": ", ".join(steady), "rows": count, "largest": None}]
        differences += between
    return {
        "table": name, "columns": steady, "rows": {platform: rows.count for platform, rows in hashed.items()},
        "equal": not differences and len(hashed) == len(homes), "differences": differences,
    }  # fmt: skip


def _largest(table: pa.Table, other: pa.Table, column: str) -> float | None:
    if column not in table.column_names or column not in other.column_names:
        return None
    return largest_difference(table.column(column), other.column(column))


def _published_rows(folder: Path) -> pa.Table:
    return arrow(delta.read_version(folder))
