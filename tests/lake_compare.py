"""Compare the published tables of two homes: equal means the same rows with the same bits, in whatever order and files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from caudal.storage import delta
from caudal.tables.frames import arrow


def tables_of(lake: Path) -> dict[str, Path]:
    """Return the folders of a lake's tables, the quarantines among them, by their path in the lake."""
    return {str(log.parent.relative_to(lake)): log.parent for log in sorted(lake.rglob("_delta_log"))}


def differences(first: Path, second: Path, skip: tuple[str, ...] = ()) -> list[str]:
    """Return a sentence for each table of two lakes that is not equal."""
    firsts, seconds = tables_of(first), tables_of(second)
    sentences = [f"{name} is in one lake only" for name in sorted(firsts.keys() ^ seconds.keys())]
    compared = [name for name in sorted(firsts.keys() & seconds.keys()) if not any(part in name for part in skip)]
    found = {name: difference(firsts[name], seconds[name]) for name in compared}
    return [*sentences, *(f"{name}: {sentence}" for name, sentence in found.items() if sentence is not None)]


def difference(first: Path, second: Path) -> str | None:
    """Return what is different in the newest versions of two tables, or None."""
    versions = [delta.read_version(folder) for folder in (first, second)]
    if versions[0].schema != versions[1].schema:
        return f"the columns are {versions[0].schema} and {versions[1].schema}"
    if versions[0].days != versions[1].days:
        return f"the days differ: {versions[0].days ^ versions[1].days}"
    rows, others = (arrow(version) for version in versions)
    if rows.num_rows != others.num_rows:
        return f"{rows.num_rows} and {others.num_rows} rows"
    if rows.schema != others.schema:
        return f"the types are {rows.schema} and {others.schema}"
    keys, other_keys = (pa.chunked_array([_texts(table)]) for table in (rows, others))
    order, other_order = (pc.sort_indices(keys) for keys in (keys, other_keys))
    rows, others = rows.take(order), others.take(other_order)
    if keys.take(order).equals(other_keys.take(other_order)):
        return None
    for column in rows.column_names:
        pairs = zip(map(repr, rows[column].to_pylist()), map(repr, others[column].to_pylist()), strict=True)
        unequal = [pair for pair in pairs if pair[0] != pair[1]]
        if unequal:
            return f"'{column}' differs in {len(unequal)} of {len(rows)} rows, as {unequal[0]}"
    return "the rows differ"


def _texts(table: pa.Table) -> pa.Array:
    """Return each row as a text that differs where a bit differs: ``repr`` of a double gives back the same double."""
    columns = [[repr(value) for value in table[name].to_pylist()] for name in table.column_names]
    return pa.array(["\x1f".join(row) for row in zip(*columns, strict=True)] if columns else [], pa.string())
