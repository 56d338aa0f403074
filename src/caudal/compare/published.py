"""The tables that a work has published, compared between platforms and with a work that was broken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    """Return the folders of a home's tables by ``product.table`` (of one product, by table)."""
    lake = home / "lake"
    return {
        folder.name: folder
        for product in (sorted(lake.iterdir()) if lake.is_dir() else ())
        for folder in sorted(product.iterdir())
        if not folder.name.startswith("_") and (folder / "_delta_log").is_dir()
    }


def published_rows(folder: Path) -> pa.Table:
    """Return a table's newest rows."""
    return arrow(delta.read_version(folder))


def published_tables(home: Path) -> dict[str, str]:
    """Return a text for each table of a home, which is the same for the same rows in any order."""
    found = {}
    for name, folder in table_folders(home).items():
        rows = hashed_rows(published_rows(folder))
        found[name] = rows.digest(list(rows.columns))
    return found


def compare_tables(homes: Mapping[str, Path], repeated: Mapping[str, Sequence[Path]]) -> list[ComparedTable]:
    """Compare the tables of several platforms, column by column.

    Parameters
    ----------
    homes : by platform, a home whose work was done
    repeated : by platform, the homes of all its repetitions: a column that differs between them (a moment, a random number) says nothing of platforms
    """
    names = sorted({name for home in homes.values() for name in table_folders(home)})
    return [_compare_table(name, homes, repeated) for name in names]


def _compare_table(name: str, homes: Mapping[str, Path], repeated: Mapping[str, Sequence[Path]]) -> ComparedTable:
    hashed = {
        platform: hashed_rows(published_rows(folder))
        for platform, home in homes.items()
        if (folder := table_folders(home).get(name))
    }
    columns = sorted({column for rows in hashed.values() for column in rows.columns})
    unsteady = unsteady_columns(name, repeated)
    differences: list[ColumnDifference] = []
    for (platform, rows), (beside, others) in combinations(hashed.items(), 2):
        for column in columns:
            if column in unsteady:
                continue
            if column not in rows.columns or column not in others.columns:
                differences.append({"platform": platform, "beside": beside, "column": column, "rows": rows.count, "largest": None})
            elif count := differing_rows(rows, others, column):
                both = (published_rows(table_folders(homes[each])[name]).column(column) for each in (platform, beside))
                differences.append(
                    {"platform": platform, "beside": beside, "column": column, "rows": count, "largest": largest_difference(*both)}
                )
        steady = [column for column in columns if column not in unsteady]
        if not differences and steady and any(lost_and_doubled(rows, others, steady)):
            differences.append(
                {
                    "platform": platform,
                    "beside": beside,
                    "column": ", ".join(steady),
                    "rows": lost_and_doubled(rows, others, steady)[0],
                    "largest": None,
                }
            )
    return {
        "table": name, "columns": [column for column in columns if column not in unsteady],
        "rows": {platform: rows.count for platform, rows in hashed.items()},
        "equal": not differences and len(hashed) == len(homes), "differences": differences,
    }  # fmt: skip


def unsteady_columns(name: str, repeated: Mapping[str, Iterable[Path]]) -> set[str]:
    """Return the columns of a table that differ between repetitions on one platform."""
    unsteady: set[str] = set()
    for homes in repeated.values():
        hashed = [hashed_rows(published_rows(folder)) for home in homes if (folder := table_folders(home).get(name))]
        for first, second in combinations(hashed, 2):
            unsteady |= {
                column
                for column in {*first.columns, *second.columns}
                if column not in first.columns or column not in second.columns or differing_rows(first, second, column)
            }
    return unsteady


def against_truth(truth: Path, home: Path, repeated: Mapping[str, Sequence[Path]]) -> tuple[int, int]:
    """Return the rows that the tables of a home lack and that they have beyond those of another home."""
    lost = doubled = 0
    other = table_folders(home)
    for name, folder in table_folders(truth).items():
        unsteady = unsteady_columns(name, repeated)
        expected = hashed_rows(published_rows(folder))
        steady = [column for column in expected.columns if column not in unsteady]
        found: HashedRows | None = hashed_rows(published_rows(other[name])) if name in other else None
        if found is None or not set(steady) <= set(found.columns):
            lost += expected.count
            continue
        missing, beyond = lost_and_doubled(expected, found, steady)
        lost, doubled = lost + missing, doubled + beyond
    return lost, doubled
