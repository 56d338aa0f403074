"""A declared key that the rows do not keep: which ones, told from the lake's own files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caudal.errors import CaudalError, StepFailed
from caudal.storage.delta import DAY, Version
from caudal.tables.frames import arrow
from caudal.warehouse.target import Target

if TYPE_CHECKING:
    import pyarrow as pa

FIRST = 5  # that are named


def violation(target: Target, version: Version, error: Any) -> CaudalError:
    """Return what is wrong with the key of a version, or what the warehouse said where its rows keep the key."""
    key = ", ".join(target.key)
    found = repeated(version, target.key) if target.key else None
    if found is not None and found.num_rows:
        named = "; ".join(_said(row) for row in found.slice(0, FIRST).to_pylist())
        more = f" and {found.num_rows - FIRST:,} more" if found.num_rows > FIRST else ""
        return StepFailed(
            f"'{target.place}' cannot have the key ({key}): {named}{more}.",
            fix=f'Nothing was published. Judge it before: expect=[ex.unique("{target.key[0]}").quarantine()], or name a wider key.',
            table=target.place,
            duplicates=found.num_rows,
        )
    empty = {name: count for name in target.key if (count := arrow(version, [name]).column(0).null_count if name != DAY else 0)}
    if empty:
        told = ", ".join(f"{name} in {count:,} row{'' if count == 1 else 's'}" for name, count in empty.items())
        return StepFailed(
            f"'{target.place}' cannot have the key ({key}): there is no {told}.",
            fix=f'Nothing was published. Judge it before: expect=[ex.not_null("{next(iter(empty))}").quarantine()].',
            table=target.place,
        )
    return StepFailed(f"'{target.place}' cannot be published: {str(error).strip().splitlines()[0]}.", fix="Nothing was published.")


def repeated(version: Version, key: tuple[str, ...]) -> pa.Table:
    """Return the keys that more than one row has, in order, with their number ``count_all``."""
    import pyarrow.compute as pc

    names = [name for name in key if name != DAY]
    counted = arrow(version, names).drop_null().group_by(names).aggregate([([], "count_all")])
    several = counted.filter(pc.greater(counted.column("count_all"), 1))
    return several.sort_by([(name, "ascending") for name in names])


def _said(row: dict[str, Any]) -> str:
    values = ", ".join(
        f"{name}={one!r}" if isinstance(one, str) else f"{name}={one}" for name, one in row.items() if name != "count_all"
    )
    return f"{values} ({row['count_all']} rows)"
