"""``table:<name>`` and ``features:<name>``: a function or a query of other tables, for the days that it has to be done for."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.sql import functions as F
from pyspark.sql.types import StructType, TimestampType

from caudal.batch.publish import Origin, Replace, adopt, day_of, publish
from caudal.batch.step import StepResult, skipped
from caudal.batch.steps.columns import other_columns
from caudal.declarations.build_context import PUT_OFF, Fits, build_context, is_fit
from caudal.declarations.days import shifted
from caudal.declarations.node import Table
from caudal.declarations.zone import first_day_seen, in_zone
from caudal.engine.lineage import column_lineage
from caudal.engine.reach import Input, Reach, reach
from caudal.engine.reader import record_reads
from caudal.errors import StepFailed
from caudal.graph.fingerprint import code_in_zone, code_of, digest, loaded_of
from caudal.graph.reads import Reads, Recorder
from caudal.runtime.manifest import reads_of
from caudal.runtime.table_frame import frame_of
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.tables import changes
from caudal.tables.frames import empty
from caudal.tables.version_files import hashes, read_version_files, write_version_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class Extent:
    """Which days of a table are to be made, and which days of its inputs that needs; or rows of which raw files. None: all of them."""

    days: set[str | None] | None = None
    read_days: set[str | None] | None = None
    why: str = "whole table"
    segments: set[str] | None = None
    unbounded: bool = False


def work(ws: Workspace, table: Table) -> StepResult:
    """Make the table's rows for the days that changed, judge them, and publish them."""
    inputs = versions(ws, table)
    before_reads = reads_of(ws.home, ws.product.name, table.name)
    code = _code(ws, table, before_reads.now())
    fingerprint = digest(code, inputs)
    step = f"{table.kind}:{table.name}"
    last = ws.ledger.last_success(ws.product.name, step)
    due = ws.learns and PUT_OFF in hashes(ws.folder(table.name), ws.version(table.name))
    if not again(ws, table) and table.name not in ws.rebuilt and not due:
        if last is not None and last["fingerprint"] == fingerprint and last["output_version"] == ws.version(table.name):
            return skipped("up to date", fingerprint=fingerprint, inputs=inputs, output_version=last["output_version"])
        if (found := adopt(ws, ws.folder(table.name), fingerprint)) is not None:
            return found
    before = read_version_files(ws.folder(table.name), ws.version(table.name)) if _same_code(ws, table, code) else {}
    fits: Fits = "anew" if ws.learns else "keep"
    with build_context(before, "keep"):  # the function may be asked how far it looks back
        extent = Extent(why="whole table: what it fits is fitted anew") if due else extent_of(ws, table, code, inputs)
    if ws.learns and any(map(is_fit, before)) and _partial(extent):
        extent = Extent(why="whole table: it is fitted to all of its rows")  # two fits must not meet in one table
    if extent.days is not None and not extent.days:
        return _nothing_changed(ws, table, fingerprint, inputs)
    if extent.unbounded:
        ws.progress.noted(f"Table '{table.name}' is made whole: {extent.why.removeprefix('whole table: ')}.")

    folder = ws.folder(table.name)
    with build_context(before, fits) as left:
        frames, frame, recorder = _called(ws, table, extent)
        if _partial(extent) and (other := other_columns(ws, table, frame)) is not None:
            extent = Extent(why=f"whole table: {other}")
            frames, frame, recorder = _called(ws, table, extent)
        reads = recorder.reads if extent.days is None and extent.segments is None else before_reads.now().also(recorder.reads)
        code = _code(ws, table, reads)
        lineage = column_lineage(frame, {name: frame.columns for name, frame in frames.items()})
        if extent.days is not None:
            frame = _only(frame, table, extent.days, ws.product.tz)
        origin = Origin(
            step, code, digest(code, inputs), inputs, fresh=tuple(sorted(extent.segments or ())),
            rows_read=_rows_read(ws, table, extent), kept=write_version_files(folder, left.kept), reads=reads.document() if reads else {},
        )  # fmt: skip
        detail = {"note": extent.why, "read_days": sorted(map(str, extent.read_days)) if extent.read_days is not None else None}
        with settings(ws, left.settings):
            return publish(ws, table, frame, origin, _replaced(extent), detail, lineage, left.notes)


def _called(ws: Workspace, table: Table, extent: Extent) -> tuple[dict[str, DataFrame], DataFrame, Recorder]:
    """Return the inputs' frames, what the table's function gives for them, and what it read beside them."""
    frames = {name: _input(ws, table, name, extent).alias(name) for name in table.inputs}  # lineage knows them by it
    recorder = Recorder(caudals=False)  # what is fitted and kept is caudal's to know
    with record_reads(recorder.path, recorder.reads.unseen.add):
        return frames, recorder.call(frame_of, ws, table, frames), recorder


def _code(ws: Workspace, table: Table, reads: Reads) -> str:
    """Return the fingerprint of a table's code in the product's zone, and of what its function read when it was called."""
    loaded = loaded_of(ws.product)
    root = loaded.root if loaded is not None else Path()
    code = digest(code_of(table), reads.parts(root)) if reads else code_of(table)
    return code_in_zone(code, ws.product.tz)


def _partial(extent: Extent) -> bool:
    return extent.segments is not None or bool(extent.days)


def _replaced(extent: Extent) -> Replace:
    if extent.segments is not None:
        return frozenset(f"_segment={segment}" for segment in extent.segments)
    return "all" if extent.days is None else extent.days


def _input(ws: Workspace, table: Table, name: str, extent: Extent) -> DataFrame:
    if extent.segments is not None and name == table.inputs[0]:
        return ws.frame(name, segments=extent.segments)
    return ws.frame(name, _days_of(ws, name, extent))


def _same_code(ws: Workspace, table: Table, code: str) -> bool:
    number = ws.version(table.name)
    return number is not None and delta.identity(ws.folder(table.name), number).get("code") == code


@contextmanager
def settings(ws: Workspace, asked: Mapping[str, str]) -> Iterator[None]:
    """Set what a table's function asks of Spark, while its rows are written."""
    if not asked:
        yield
        return
    conf = ws.spark.conf
    old = {name: conf.get(name, None) for name in asked}
    for name, value in asked.items():
        conf.set(name, value)
    try:
        yield
    finally:
        for name, was in old.items():
            if was is None:
                conf.unset(name)
            else:
                conf.set(name, was)


def versions(ws: Workspace, table: Table) -> dict[str, int]:
    """Return the published version of every table that this one reads, for its rows or for its expectations."""
    names = dict.fromkeys((*table.inputs, *(name for expectation in table.expect for name in expectation.tables)))
    found = {name: ws.version(name) for name in names}
    for name, number in found.items():
        if number is None:
            raise StepFailed(
                f"Table '{table.name}' reads '{name}', which has not been published.",
                fix="Run the whole product.",
                where=str(table.where),
            )
    return {name: number for name, number in found.items() if number is not None}


def extent_of(ws: Workspace, table: Table, code: str, inputs: Mapping[str, int]) -> Extent:
    """Return the days that have to be made: those whose inputs changed since the last version, and what looks back on them."""
    number = ws.version(table.name)
    if table.name in ws.rebuilt:
        return Extent(why="whole table: it was to be made again")
    if table.by_file:
        return _by_file(ws, table, code, inputs)
    if number is None or not table.partition:
        return Extent()
    said = delta.identity(ws.folder(table.name), number)
    old = said.get("inputs", {})
    if said.get("code") != code or set(old) != set(inputs):
        return Extent(why="whole table: its code changed")
    changed: set[str | None] = again(ws, table)
    for name, version in inputs.items():
        if old[name] == version:
            continue
        node = ws.product.nodes[name]
        if not node.partition:
            if _same_rows(ws, name, old[name], version):
                continue
            return Extent(why=f"whole table: '{name}' changed")
        changed |= changes.changed_days(ws.folder(name), old[name], version)
    return spread(ws, table, changed)


def _by_file(ws: Workspace, table: Table, code: str, inputs: Mapping[str, int]) -> Extent:
    """Return the raw files whose rows have to be made."""
    number, first = ws.version(table.name), table.inputs[0]
    there = {file.segment for file in delta.read(ws.folder(first)).files}
    whole = {one for one in there if one is not None}
    if None in there:
        raise StepFailed(
            f"Table '{table.name}' is to be made file by file, and '{first}' does not say which files its rows come from.",
            fix="Leave partition out, or have that table made file by file as well.",
            where=str(table.where),
        )
    said = delta.identity(ws.folder(table.name), number) if number is not None else {}
    old = said.get("inputs", {})
    if said.get("code") != code or set(old) != set(inputs):
        return Extent(why="whole table" if number is None else "whole table: its code changed")
    for name, version in inputs.items():
        if name != first and old[name] != version and not _same_rows(ws, name, old[name], version):
            return Extent(why=f"whole table: '{name}' changed")
    changed = changes.changed_segments(ws.folder(first), old[first], inputs[first])
    if changed is None:
        return Extent()
    return Extent(
        segments=changed, why=f"rows of {len(changed)} of {len(whole | changed)} raw file{'s'[: len(whole | changed) != 1]}"
    )


def again(ws: Workspace, table: Table) -> set[str | None]:
    """Return the days of a table that are to be made again although nothing has changed."""
    number = ws.version(table.name)
    if not ws.again or not table.partition or number is None:
        return set()
    there = delta.read(ws.folder(table.name), number).days
    return {day for day in ws.again if day in there or _exists(ws, table, day)}


def spread(ws: Workspace, table: Table, changed: set[str | None]) -> Extent:
    """Return the days that have to be made when these days of the inputs have changed: they, and those that look back on them."""
    looks = looks_back_on(ws, table) if changed else Reach()
    if math.isinf(looks.seconds):
        return Extent(why=f"whole table: {_why_whole(looks)}", unbounded=bool(looks.unbounded))
    tz = ws.product.tz
    days = {seen for day in changed for seen in _that_see(day, looks.seconds, tz)}
    days = {day for day in days if day in changed or _exists(ws, table, day)}
    read_days = {seen for day in days for seen in _seen_from(day, looks.seconds, tz)}
    return Extent(days, read_days, f"{len(days)} day{'' if len(days) == 1 else 's'}")


def looks_back_on(ws: Workspace, table: Table) -> Reach:
    """Return how far a table looks back: what is declared, or what its own features tell, whichever is more."""
    own = _own_reach(ws, table)
    return own if own.seconds >= table.lookback_s else Reach(table.lookback_s)


def _why_whole(looks: Reach) -> str:
    if not looks.unbounded:
        return "it looks back without limit (give as_of_join a tolerance)"
    return f"{' and '.join(looks.unbounded)} may need rows of any day (bound it with lookback=, or keep days apart)"


def _that_see(day: str | None, back_s: float, tz: str) -> Iterator[str | None]:
    """Yield the days whose rows look back on a day: it, and those after it."""
    yield day
    if day is None or not back_s:
        return
    later = day
    while (following := shifted(later, 1)) != later and first_day_seen(following, back_s, tz) <= day:
        yield following
        later = following


def _seen_from(day: str | None, back_s: float, tz: str) -> Iterator[str | None]:
    """Yield the days that a day's rows look back on, and the day."""
    yield day
    if day is None or not back_s:
        return
    first, earlier = first_day_seen(day, back_s, tz), day
    while (before := shifted(earlier, -1)) != earlier and before >= first:
        yield before
        earlier = before


def _days_of(ws: Workspace, name: str, extent: Extent) -> set[str | None] | None:
    return extent.read_days if ws.product.nodes[name].partition else None


def _own_reach(ws: Workspace, table: Table) -> Reach:
    """Return how far a function or query looks back, told by the plan that it gives for empty frames."""
    if table.function is None and table.sql is None:
        return Reach()
    frames, inputs = {}, {}
    for name in table.inputs:
        fields = [
            field for field in StructType.fromJson(dict(delta.read(ws.folder(name)).schema)).fields if field.name != delta.DAY
        ]
        node = ws.product.nodes[name]
        frames[name] = ws.marked(empty(ws.spark, StructType(fields)), node).alias(name)
        kinds = {field.name: field.dataType for field in fields}
        time = node.event_time if node.partition else None
        inputs[name] = Input(tuple(kinds), time, time is not None and isinstance(kinds.get(time), TimestampType))
    frame = frame_of(ws, table, frames)
    with in_zone(ws.product.tz):
        return reach(frame, inputs, declared=table.lookback_s > 0)


def _only(frame: DataFrame, table: Table, days: set[str | None], tz: str) -> DataFrame:
    """Return the rows of the given days: what was read before them was there only to be looked back on."""
    dates = [dt.date.fromisoformat(day) for day in days if day is not None]
    day = day_of(frame, table, tz)
    kept = day.isin(dates) if dates else F.lit(False)
    return frame.where(kept | day.isNull() if None in days else kept)


def _exists(ws: Workspace, table: Table, day: str | None) -> bool:
    """A day after a changed one is made again only where it has rows to look back from."""
    return any(day in delta.read(ws.folder(name)).days for name in table.inputs if ws.product.nodes[name].partition)


def _same_rows(ws: Workspace, name: str, old: int, new: int) -> bool:
    """Two versions of a table without partitions that name the same files are the same."""
    return old <= new and delta.read(ws.folder(name), old).files == delta.read(ws.folder(name), new).files


def _rows_read(ws: Workspace, table: Table, extent: Extent) -> int:
    total = 0
    for name in table.inputs:
        version = delta.read(ws.folder(name))
        days = _days_of(ws, name, extent)
        those = extent.segments if name == table.inputs[0] else None
        total += sum(
            file.rows for file in version.files if (days is None or file.day in days) and (those is None or file.segment in those)
        )
    return total


def _nothing_changed(ws: Workspace, table: Table, fingerprint: str, inputs: Mapping[str, int]) -> StepResult:
    number = ws.version(table.name)
    return StepResult(
        state="succeeded", fingerprint=fingerprint, inputs=inputs, output_version=number, rows_read=0, rows_written=0, rows_quarantined=0,
        partitions=[], detail={"note": "no day changed"},
    )  # fmt: skip


STEPS = {("table", "table"): work, ("features", "features"): work}
