"""Find the rows that violate a declared key, in the lake's own files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from caudal.errors import CaudalError, StepFailed
from caudal.storage.delta import DAY, Version
from caudal.tables.frames import arrow
from caudal.warehouses.target import Target

if TYPE_CHECKING:
    import pyarrow as pa

FIRST = 5  # duplicate keys that an error names


def key_error(target: Target, version: Version, error: object) -> CaudalError:
    """Return the error about a version's key; if its rows keep the key, the error of the warehouse."""
    key = ", ".join(target.key)
    duplicates = repeated_keys(version, target.key) if target.key else None
    if duplicates is not None and duplicates.num_rows:
        examples = "; ".join(_key_text(row) for row in duplicates.slice(0, FIRST).to_pylist())
        more = f" and {duplicates.num_rows - FIRST:,} more" if duplicates.num_rows > FIRST else ""
        return StepFailed(
            f"'{target.place}' cannot have the key ({key}): {examples}{more}.",
            fix=f'Nothing was published. Judge it before: expect=[ex.unique("{target.key[0]}").quarantine()], or name a wider key.',
            table=target.place,
            duplicates=duplicates.num_rows,
        )
    nulls = {name: count for name in target.key if (count := arrow(version, [name]).column(0).null_count if name != DAY else 0)}
    if nulls:
        counts = ", ".join(f"{name} in {count:,} row{'' if count == 1 else 's'}" for name, count in nulls.items())
        return StepFailed(
            f"'{target.place}' cannot have the key ({key}): there is no {counts}.",
            fix=f'Nothing was published. Judge it before: expect=[ex.not_null("{next(iter(nulls))}").quarantine()].',
            table=target.place,
        )
    return StepFailed(f"'{target.place}' cannot be published: {str(error).strip().splitlines()[0]}.", fix="Nothing was published.")


def repeated_keys(version: Version, key: tuple[str, ...]) -> pa.Table:
    """Return the keys that more than one row has, in order, with their count ``count_all``."""
    names = [name for name in key if name != DAY]
    counted = arrow(version, names).drop_null().group_by(names).aggregate([([], "count_all")])
    several = counted.filter(pc.greater(counted.column("count_all"), 1))
    return several.sort_by([(name, "ascending") for name in names])


def _key_text(row: dict[str, object]) -> str:
    values = ", ".join(
        f"{name}={value!r}" if isinstance(value, str) else f"{name}={value}" for name, value in row.items() if name != "count_all"
    )
    return f"{values} ({row['count_all']} rows)"
