"""``caudal parity`` of a join: the rows given, beside those that Spark makes of the same versions of its inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql.pandas.types import from_arrow_schema

from caudal.declarations.join import Join, is_stream, keys_of, shape
from caudal.declarations.node import Node
from caudal.runtime.table_frame import frame_of_join
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.streaming.join import read_join_state
from caudal.streaming.side import Side
from caudal.tables.added import added_files
from caudal.tables.frames import arrow, empty, frame

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from caudal.report.documents import ParityExample, TableParity

_SHOWN = 5


def compared(ws: Workspace, declared: Join) -> TableParity:
    """Return how the rows of a join compare with those of a run; rows for which a match came too late are counted apart."""
    nodes = (ws.product.nodes[declared.left], ws.product.nodes[declared.right])
    folders = [ws.folder(name) for name in declared.inputs]
    number = delta.version_of(ws.folder(declared.name))
    said = read_join_state(declared, nodes, ws.folder(declared.name), folders)
    assert number is not None
    assert said is not None
    streamed = arrow(delta.read(ws.folder(declared.name), number))
    if is_stream(nodes[1]):
        frames = {node.name: _at(ws, node, said.inputs[node.name]) for node in nodes}
        rows = frame_of_join(ws, declared, frames, None)
    else:
        rows = reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), _by_version(ws, declared, number))
    names = [name for name in streamed.column_names if name in rows.columns]
    here, there = _counted(streamed.select(names)), _counted(rows.toArrow().select(names))
    keys = [names.index(name) for name in keys_of(nodes[0])]
    at = names.index(str(declared.event_time))
    lone, all_lone = (_without_match(one, declared, nodes, names) for one in (here, there))
    late = {_key(row, keys) for row in lone} - {_key(row, keys) for row in all_lone}
    waiting = {row for row in all_lone - lone if _us(row[at]) >= said.given_us}
    ours = Counter({row: count for row, count in here.items() if _key(row, keys) not in late})
    theirs = Counter({row: count for row, count in there.items() if _key(row, keys) not in late and row not in waiting})
    only_stream, only_run = ours - theirs, theirs - ours
    return {
        "equal": not (only_stream or only_run), "rows": sum(here.values()), "rows_of_run": sum(there.values()), "differing": 0,
        "only_run": sum(only_run.values()), "only_stream": sum(only_stream.values()), "not_closed_yet": len(waiting),
        "late": len(late), "twice": sum(count for row, count in only_stream.items() if there.get(row)),
        "examples": [_example(row, keys, only_stream) for row in [*only_run, *only_stream][:_SHOWN]],
    }  # fmt: skip


def _at(ws: Workspace, stream: Node, version: int) -> DataFrame:
    """Return a stream's rows at a version; none before the first."""
    folder = ws.folder(stream.name)
    return (
        frame(ws.spark, delta.read(folder, version))
        if version >= 0
        else empty(ws.spark, from_arrow_schema(Side(stream, folder).schema))
    )


def _by_version(ws: Workspace, declared: Join, newest: int) -> Iterator[DataFrame]:
    """Yield the rows of a join with a table, those of left rows that met the same version of it together."""
    left, right = (ws.folder(name) for name in declared.inputs)
    keys, before, since = list(keys_of(ws.product.nodes[declared.left])), None, -1
    for beside, upto in _met(ws, declared, newest):
        version = delta.read(left, upto)
        came = {str(file) for number in range(since + 1, upto + 1) for file in added_files(left, number)}
        files = tuple(delta.DataFile(one, 0, 0) for one in sorted(one.removeprefix(f"{left}/") for one in came))
        rows = frame(ws.spark, delta.Version(left, upto, files, version.schema, version.partitioned, {}))
        new = rows if before is None else rows.join(before, keys, "left_anti")
        yield frame_of_join(ws, declared, {declared.left: new, declared.right: frame(ws.spark, delta.read(right, beside))})
        before = rows.select(keys) if before is None else before.unionByName(rows.select(keys))
        since = upto


def _met(ws: Workspace, declared: Join, newest: int) -> list[tuple[int, int]]:
    """Return versions of the table on the right, each with the last version of the stream that met it."""
    found: dict[int, int] = {}
    for number in range(newest + 1):
        said = delta.identity(ws.folder(declared.name), number)
        if "inputs" in said:
            if "done" in said:  # made whole: what was there before is gone
                found = {}
            found[said["inputs"][declared.right]] = said["inputs"][declared.left]
    return sorted(found.items(), key=lambda one: one[1])


def _without_match(
    rows: Counter[tuple[object, ...]], declared: Join, nodes: tuple[Node, Node], names: list[str]
) -> set[tuple[object, ...]]:
    """Return the rows of left rows without a match, of a join of streams."""
    if declared.how != "left" or not is_stream(nodes[1]):
        return set()
    place = names.index(shape(declared, *nodes).matched)
    return {row for row in rows if row[place] is None}


def _example(row: tuple[object, ...], keys: list[int], only_stream: Counter[tuple[object, ...]]) -> ParityExample:
    told = [str(row), "None"]
    stream, run = told if row in only_stream else reversed(told)
    return {"key": [str(row[place]) for place in keys], "stream": stream, "run": run}


def _counted(rows: pa.Table) -> Counter[tuple[object, ...]]:
    columns = rows.to_pydict().values()
    return Counter(tuple(tuple(value) if isinstance(value, list) else value for value in row) for row in zip(*columns, strict=True))


def _key(row: tuple[object, ...], places: list[int]) -> tuple[object, ...]:
    return tuple(row[place] for place in places)


def _us(moment: Any) -> int:
    told: int = round(moment.timestamp() * 1e6)
    return told
