"""``table:<name>`` and ``features:<name>``: build a table by its function or query, for the days whose inputs changed."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pyspark.sql import functions as F

from caudal.batch.lineage import lineage_document
from caudal.batch.publish import Origin, Replace, adopt, day_of, publish
from caudal.batch.step import StepResult, up_to_date
from caudal.batch.steps.columns import other_columns
from caudal.batch.steps.look_back import KnownLookBack, lookback_of
from caudal.declarations.build_context import PUT_OFF, Fits, build_context, is_fit
from caudal.declarations.days import shifted
from caudal.declarations.node import Table
from caudal.declarations.product import Product
from caudal.declarations.zone import first_day_seen
from caudal.engine.reach import LookBack
from caudal.engine.reader import record_reads
from caudal.errors import StepFailed
from caudal.graph.fingerprint import code_in_zone, code_of, digest, loaded_of
from caudal.graph.reads import Reads, Recorder
from caudal.ledger.rows import StepDetail
from caudal.runtime.manifest import reads_of
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.run_spark import RunSpark
from caudal.runtime.table_frame import frame_of
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.tables import changes
from caudal.tables.version_files import read_version_files, version_hashes, write_version_files

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Extent:
    """The part of a table to build: its days and the days of its inputs to read, or the raw files of its rows. None: all of them."""

    days: set[str | None] | None = None
    read_days: set[str | None] | None = None
    why: str = "whole table"
    segments: set[str] | None = None
    unbounded: bool = False


def work(ws: Workspace, table: Table) -> StepResult:
    """Build the table's rows of the days that changed, judge them and publish them."""
    tables, request = ws.tables, ws.request
    inputs = input_versions(tables, table)
    before_reads = reads_of(tables.home, ws.product.name, table.name)
    code = _code(ws.product, table, before_reads.current())
    fingerprint = digest(code, inputs)
    step = f"{table.kind}:{table.name}"
    last_row = ws.record.ledger.last_success(ws.product.name, step)
    refit = request.trains and PUT_OFF in version_hashes(tables.folder(table.name), tables.version(table.name))
    if not days_to_build_again(tables, request.days_again, table) and table.name not in request.tables_again and not refit:
        if (current := up_to_date(last_row, fingerprint, inputs, tables.version(table.name))) is not None:
            return current
        if (earlier_result := adopt(tables.folder(table.name), fingerprint)) is not None:
            return earlier_result
    before = read_version_files(tables.folder(table.name), tables.version(table.name)) if _same_code(tables, table, code) else {}
    fits: Fits = "anew" if request.trains else "keep"
    known = KnownLookBack.of(tables, table, code)
    with build_context(before, "keep"):  # the function may be called to find its lookback
        if refit:
            extent = Extent(why="whole table: what it fits is fitted anew")
        elif table.name in request.tables_again:
            extent = Extent(why="whole table: it was to be made again")
        else:
            extent = extent_of(tables, ws.spark, request.days_again, table, code, inputs, known)
    if request.trains and any(map(is_fit, before)) and _partial(extent):
        extent = Extent(why="whole table: it is fitted to all of its rows")  # two fits must not meet in one table
    if extent.days is not None and not extent.days:
        return _nothing_changed(tables, table, fingerprint, inputs)
    if extent.unbounded:
        ws.reporting.progress.noted(f"Table '{table.name}' is made whole: {extent.why.removeprefix('whole table: ')}.")
    folder = tables.folder(table.name)
    with build_context(before, fits) as context:
        frames, frame, recorder = _call_function(tables, ws.spark.session, table, extent)
        if _partial(extent) and (difference := other_columns(tables, table, frame)) is not None:
            extent = Extent(why=f"whole table: {difference}")
            frames, frame, recorder = _call_function(tables, ws.spark.session, table, extent)
        reads = (
            recorder.reads
            if extent.days is None and extent.segments is None
            else before_reads.current().merged_with(recorder.reads)
        )
        code = _code(ws.product, table, reads)
        lineage = lineage_document(frame, frames)
        if extent.days is not None:
            frame = _rows_of_days(frame, table, extent.days, ws.product.tz)
        origin = Origin(
            step, code, digest(code, inputs), inputs, fresh=tuple(sorted(extent.segments or ())),
            rows_read=_rows_read(tables, table, extent), version_files=write_version_files(folder, context.kept), reads=reads.document() if reads else {}, look_back=known.document(code),
        )  # fmt: skip
        detail: StepDetail = {
            "note": extent.why,
            "read_days": sorted(map(str, extent.read_days)) if extent.read_days is not None else None,
        }
        with apply_spark_options(ws.spark.session, context.settings):
            return publish(
                ws.record,
                tables,
                ws.spark,
                table,
                frame,
                origin,
                _files_to_replace(extent),
                detail,
                lineage,
                lambda stage: cast(StepDetail, context.notes(stage)),
            )


def _call_function(
    tables: ProductTables, spark: SparkSession, table: Table, extent: Extent
) -> tuple[dict[str, DataFrame], DataFrame, Recorder]:
    """Return the inputs' frames, the frame that the table's function returns for them, and what the function read beside them."""
    frames = {
        name: _input(tables, spark, table, name, extent).alias(name) for name in table.inputs
    }  # lineage names the inputs by their aliases
    recorder = Recorder(include_caudal=False)  # caudal records by itself what is fitted
    with record_reads(recorder.note_path, recorder.reads.unseen.add):
        return frames, recorder.call(frame_of, tables.product, spark, table, frames), recorder


def _code(product: Product, table: Table, reads: Reads) -> str:
    """Return the fingerprint of a table's code, of the product's time zone, and of what its function read when it was called."""
    loaded = loaded_of(product)
    root = loaded.root if loaded is not None else Path()
    code = digest(code_of(table), reads.parts(root)) if reads else code_of(table)
    return code_in_zone(code, product.tz)


def _partial(extent: Extent) -> bool:
    return extent.segments is not None or bool(extent.days)


def _files_to_replace(extent: Extent) -> Replace:
    if extent.segments is not None:
        return frozenset(f"_segment={segment}" for segment in extent.segments)
    return "all" if extent.days is None else extent.days


def _input(tables: ProductTables, spark: SparkSession, table: Table, name: str, extent: Extent) -> DataFrame:
    if extent.segments is not None and name == table.inputs[0]:
        return tables.frame(spark, name, segments=extent.segments)
    return tables.frame(spark, name, _days_of(tables.product, name, extent))


def _same_code(tables: ProductTables, table: Table, code: str) -> bool:
    number = tables.version(table.name)
    return number is not None and delta.identity(tables.folder(table.name), number).get("code") == code


@contextmanager
def apply_spark_options(spark: SparkSession, options: Mapping[str, str]) -> Iterator[None]:
    """Apply the Spark options that a table's function has set, during the block."""
    if not options:
        yield
        return
    conf = spark.conf
    previous = {name: conf.get(name, None) for name in options}
    for name, value in options.items():
        conf.set(name, value)
    try:
        yield
    finally:
        for name, previous_value in previous.items():
            if previous_value is None:
                conf.unset(name)
            else:
                conf.set(name, previous_value)


def input_versions(tables: ProductTables, table: Table) -> dict[str, int]:
    """Return the published version of every table that a table reads, for its rows or its expectations."""
    names = dict.fromkeys((*table.inputs, *(name for expectation in table.expect for name in expectation.tables)))
    versions_by_name = {name: tables.version(name) for name in names}
    for name, number in versions_by_name.items():
        if number is None:
            raise StepFailed(
                f"Table '{table.name}' reads '{name}', which has not been published.",
                fix="Run the whole product.",
                where=str(table.where),
            )
    return {name: number for name, number in versions_by_name.items() if number is not None}


def extent_of(
    tables: ProductTables, run_spark: RunSpark, days_again: frozenset[str], table: Table, code: str, inputs: Mapping[str, int],
    known: KnownLookBack | None = None,
) -> Extent:  # fmt: skip
    """Return the days to build: those whose inputs changed since the last version, and those that look back on them."""
    number = tables.version(table.name)
    if table.by_file:
        return _by_file(tables, table, code, inputs)
    if number is None or not table.partition:
        return Extent()
    identity = delta.identity(tables.folder(table.name), number)
    old_inputs = identity.get("inputs", {})
    if identity.get("code") != code or set(old_inputs) != set(inputs):
        return Extent(why="whole table: its code changed")
    changed: set[str | None] = days_to_build_again(tables, days_again, table)
    for name, version in inputs.items():
        if old_inputs[name] == version:
            continue
        node = tables.product.nodes[name]
        if not node.partition:
            if _same_rows(tables, name, old_inputs[name], version):
                continue
            return Extent(why=f"whole table: '{name}' changed")
        changed |= changes.changed_days(tables.folder(name), old_inputs[name], version)
    return extent_of_changes(tables, run_spark, table, changed, known)


def _by_file(tables: ProductTables, table: Table, code: str, inputs: Mapping[str, int]) -> Extent:
    """Return the raw files whose rows have to be built."""
    number, input_by_file = tables.version(table.name), table.inputs[0]
    segments = {file.segment for file in delta.read_version(tables.folder(input_by_file)).files}
    known_segments = {segment for segment in segments if segment is not None}
    if None in segments:
        raise StepFailed(
            f"Table '{table.name}' is to be made file by file, and '{input_by_file}' does not say which files its rows come from.",
            fix="Leave partition out, or have that table made file by file as well.",
            where=str(table.where),
        )
    identity = delta.identity(tables.folder(table.name), number) if number is not None else {}
    old_inputs = identity.get("inputs", {})
    if identity.get("code") != code or set(old_inputs) != set(inputs):
        return Extent(why="whole table" if number is None else "whole table: its code changed")
    for name, version in inputs.items():
        if name != input_by_file and old_inputs[name] != version and not _same_rows(tables, name, old_inputs[name], version):
            return Extent(why=f"whole table: '{name}' changed")
    changed = changes.changed_segments(tables.folder(input_by_file), old_inputs[input_by_file], inputs[input_by_file])
    if changed is None:
        return Extent()
    return Extent(
        segments=changed,
        why=f"rows of {len(changed)} of {len(known_segments | changed)} raw file{'s'[: len(known_segments | changed) != 1]}",
    )


def days_to_build_again(tables: ProductTables, days_again: frozenset[str], table: Table) -> set[str | None]:
    """Return the days of a table to build again although nothing has changed."""
    number = tables.version(table.name)
    if not days_again or not table.partition or number is None:
        return set()
    published_days = delta.read_version(tables.folder(table.name), number).days
    return {day for day in days_again if day in published_days or _inputs_have_day(tables, table, day)}


def extent_of_changes(
    tables: ProductTables, run_spark: RunSpark, table: Table, changed: set[str | None], known: KnownLookBack | None = None
) -> Extent:
    """Return the days to build when these days of the inputs have changed: the same days, and those that look back on them."""
    reach = lookback_of(tables, run_spark, table, known) if changed else LookBack()
    if math.isinf(reach.seconds):
        return Extent(why=f"whole table: {_why_whole(reach)}", unbounded=bool(reach.unbounded))
    tz = tables.product.tz
    days = {dependent_day for day in changed for dependent_day in _days_looking_back_on(day, reach.seconds, tz)}
    days = {day for day in days if day in changed or _inputs_have_day(tables, table, day)}
    read_days = {dependent_day for day in days for dependent_day in _days_looked_back_on(day, reach.seconds, tz)}
    return Extent(days, read_days, f"{len(days)} day{'' if len(days) == 1 else 's'}")


def _why_whole(reach: LookBack) -> str:
    if not reach.unbounded:
        return "it looks back without limit (give as_of_join a tolerance)"
    return f"{' and '.join(reach.unbounded)} may need rows of any day (bound it with lookback=, or keep days apart)"


def _days_looking_back_on(day: str | None, back_s: float, tz: str) -> Iterator[str | None]:
    """Yield a day and the later days whose rows look back on it."""
    yield day
    if day is None or not back_s:
        return
    later = day
    while (following := shifted(later, 1)) != later and first_day_seen(following, back_s, tz) <= day:
        yield following
        later = following


def _days_looked_back_on(day: str | None, back_s: float, tz: str) -> Iterator[str | None]:
    """Yield a day and the earlier days that its rows look back on."""
    yield day
    if day is None or not back_s:
        return
    first, earlier = first_day_seen(day, back_s, tz), day
    while (before := shifted(earlier, -1)) != earlier and before >= first:
        yield before
        earlier = before


def _days_of(product: Product, name: str, extent: Extent) -> set[str | None] | None:
    return extent.read_days if product.nodes[name].partition else None


def _rows_of_days(frame: DataFrame, table: Table, days: set[str | None], tz: str) -> DataFrame:
    """Return the rows of the given days, without those of earlier days that were read only to look back on."""
    dates = [dt.date.fromisoformat(day) for day in days if day is not None]
    day = day_of(frame, table, tz)
    chosen = day.isin(dates) if dates else F.lit(False)
    return frame.where(chosen | day.isNull() if None in days else chosen)


def _inputs_have_day(tables: ProductTables, table: Table, day: str | None) -> bool:
    """Return whether an input has rows of a day."""
    return any(day in delta.read_version(tables.folder(name)).days for name in table.inputs if tables.product.nodes[name].partition)


def _same_rows(tables: ProductTables, name: str, old: int, new: int) -> bool:
    """Return whether two versions of a table without partitions have the same rows, by their files."""
    return old <= new and delta.read_version(tables.folder(name), old).files == delta.read_version(tables.folder(name), new).files


def _rows_read(tables: ProductTables, table: Table, extent: Extent) -> int:
    total = 0
    for name in table.inputs:
        version = delta.read_version(tables.folder(name))
        days = _days_of(tables.product, name, extent)
        segments = extent.segments if name == table.inputs[0] else None
        total += sum(
            file.rows
            for file in version.files
            if (days is None or file.day in days) and (segments is None or file.segment in segments)
        )
    return total


def _nothing_changed(tables: ProductTables, table: Table, fingerprint: str, inputs: Mapping[str, int]) -> StepResult:
    number = tables.version(table.name)
    return StepResult(
        state="succeeded", fingerprint=fingerprint, inputs=inputs, output_version=number, rows_read=0, rows_written=0, rows_quarantined=0,
        partitions=[], detail={"note": "no day changed"},
    )  # fmt: skip


STEPS = {("table", "table"): work, ("features", "features"): work}
