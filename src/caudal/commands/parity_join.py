"""``caudal parity`` of a join: compare the published rows with those that Spark computes from the same versions of its inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql.pandas.types import from_arrow_schema

from caudal.declarations.join import Join, is_stream, join_shape, stream_keys
from caudal.declarations.node import Node
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.table_frame import frame_of_join
from caudal.storage import delta
from caudal.streaming.join import read_join_state
from caudal.streaming.side import Side
from caudal.tables.added import added_files
from caudal.tables.frames import arrow, empty_frame, version_frame

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from caudal.report.documents import ParityExample, TableParity

_SHOWN = 5


def compare_join(tables: ProductTables, spark: SparkSession, declared: Join) -> TableParity:
    """Return the comparison of a join's rows with those of a run; rows whose match came too late are counted separately."""
    nodes = (tables.product.nodes[declared.left], tables.product.nodes[declared.right])
    folders = [tables.folder(name) for name in declared.inputs]
    version = delta.version_of(tables.folder(declared.name))
    state = read_join_state(declared, nodes, tables.folder(declared.name), folders)
    assert version is not None
    assert state is not None
    streamed = arrow(delta.read_version(tables.folder(declared.name), version))
    if is_stream(nodes[1]):
        frames = {node.name: _at(tables, spark, node, state.inputs[node.name]) for node in nodes}
        rows = frame_of_join(tables.product, declared, frames, None)
    else:
        rows = reduce(
            lambda rows, more: rows.unionByName(more, allowMissingColumns=True), _by_version(tables, spark, declared, version)
        )
    names = [name for name in streamed.column_names if name in rows.columns]
    stream_counts, run_counts = _row_counts(streamed.select(names)), _row_counts(rows.toArrow().select(names))
    keys = [names.index(name) for name in stream_keys(nodes[0])]
    time_index = names.index(str(declared.event_time))
    unmatched, unmatched_in_run = (_without_match(counts, declared, nodes, names) for counts in (stream_counts, run_counts))
    late = {_key(row, keys) for row in unmatched} - {_key(row, keys) for row in unmatched_in_run}
    waiting = {row for row in unmatched_in_run - unmatched if _microseconds(row[time_index]) >= state.given_us}
    stream_rest = Counter({row: count for row, count in stream_counts.items() if _key(row, keys) not in late})
    run_rest = Counter({row: count for row, count in run_counts.items() if _key(row, keys) not in late and row not in waiting})
    only_stream, only_run = stream_rest - run_rest, run_rest - stream_rest
    return {
        "equal": not (only_stream or only_run), "rows": sum(stream_counts.values()), "rows_of_run": sum(run_counts.values()), "differing": 0,
        "only_run": sum(only_run.values()), "only_stream": sum(only_stream.values()), "not_closed_yet": len(waiting),
        "late": len(late), "twice": sum(count for row, count in only_stream.items() if run_counts.get(row)),
        "examples": [_example(row, keys, only_stream) for row in [*only_run, *only_stream][:_SHOWN]],
    }  # fmt: skip


def _at(tables: ProductTables, spark: SparkSession, stream: Node, version: int) -> DataFrame:
    """Return a stream's rows at a version; an empty frame before the first version."""
    folder = tables.folder(stream.name)
    return (
        version_frame(spark, delta.read_version(folder, version))
        if version >= 0
        else empty_frame(spark, from_arrow_schema(Side(stream, folder).schema))
    )


def _by_version(tables: ProductTables, spark: SparkSession, declared: Join, newest: int) -> Iterator[DataFrame]:
    """Yield the rows of a join with a table, one frame for each version of the table that left rows were joined with."""
    left, right = (tables.folder(name) for name in declared.inputs)
    keys, seen_keys, read_upto = list(stream_keys(tables.product.nodes[declared.left])), None, -1
    for table_version, stream_version in _joined_versions(tables, declared, newest):
        version = delta.read_version(left, stream_version)
        added = {str(file) for number in range(read_upto + 1, stream_version + 1) for file in added_files(left, number)}
        files = tuple(delta.DataFile(path, 0, 0) for path in sorted(file.removeprefix(f"{left}/") for file in added))
        rows = version_frame(spark, delta.Version(left, stream_version, files, version.schema, version.partitioned, {}))
        new_rows = rows if seen_keys is None else rows.join(seen_keys, keys, "left_anti")
        yield frame_of_join(
            tables.product,
            declared,
            {declared.left: new_rows, declared.right: version_frame(spark, delta.read_version(right, table_version))},
        )
        seen_keys = rows.select(keys) if seen_keys is None else seen_keys.unionByName(rows.select(keys))
        read_upto = stream_version


def _joined_versions(tables: ProductTables, declared: Join, newest: int) -> list[tuple[int, int]]:
    """Return the versions of the right table, each with the last version of the stream that was joined with it."""
    stream_by_table_version: dict[int, int] = {}
    for number in range(newest + 1):
        identity = delta.identity(tables.folder(declared.name), number)
        if "inputs" in identity:
            if "done" in identity:  # the table was rewritten: earlier pairs no longer count
                stream_by_table_version = {}
            stream_by_table_version[identity["inputs"][declared.right]] = identity["inputs"][declared.left]
    return sorted(stream_by_table_version.items(), key=lambda versions: versions[1])


def _without_match(
    rows: Counter[tuple[object, ...]], declared: Join, nodes: tuple[Node, Node], names: list[str]
) -> set[tuple[object, ...]]:
    """Return the rows of a left join of streams that have no match."""
    if declared.how != "left" or not is_stream(nodes[1]):
        return set()
    matched_index = names.index(join_shape(declared, *nodes).matched)
    return {row for row in rows if row[matched_index] is None}


def _example(row: tuple[object, ...], keys: list[int], only_stream: Counter[tuple[object, ...]]) -> ParityExample:
    texts = [str(row), "None"]
    stream, run = texts if row in only_stream else reversed(texts)
    return {"key": [str(row[index]) for index in keys], "stream": stream, "run": run}


def _row_counts(rows: pa.Table) -> Counter[tuple[object, ...]]:
    columns = rows.to_pydict().values()
    return Counter(tuple(tuple(value) if isinstance(value, list) else value for value in row) for row in zip(*columns, strict=True))


def _key(row: tuple[object, ...], key_indices: list[int]) -> tuple[object, ...]:
    return tuple(row[index] for index in key_indices)


def _microseconds(moment: Any) -> int:
    microseconds: int = round(moment.timestamp() * 1e6)
    return microseconds
