"""``lookup:<model>``: write the online view in which a server finds a model's features, and compare it with the published ones before it is seen."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from caudal.batch.online_view import ViewContent, content_of, timeline_values
from caudal.batch.step import StepResult, skipped, up_to_date
from caudal.declarations.days import shifted
from caudal.declarations.lookup import OnlineLookup
from caudal.declarations.node import Features
from caudal.declarations.online import micros_of
from caudal.declarations.zone import DAY_S
from caudal.errors import StepFailed
from caudal.graph.fingerprint import code_in_zone, code_of, digest
from caudal.ledger.json_ready import json_ready
from caudal.ledger.rows import StepDetail, StepRow
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.online import FORMAT, Described, OnlineView, ViewDraft, ViewPlace, generation_of, key_text
from caudal.tables.views import drafted_view, view_place

MOST_COMPARED = 500  # published rows with which a view is compared


def work(ws: Workspace, lookup: OnlineLookup) -> StepResult:
    """Write the view of a model anew, unless none of its tables has changed."""
    tables, features = ws.tables, ws.product.features_by_model[lookup.model]
    names = dict.fromkeys((features.name, *features.inputs, *_further_tables(ws, lookup)))
    versions = {name: number for name in names if (number := tables.version(name)) is not None}
    if missing := next((name for name in names if name not in versions), None):
        return skipped(f"'{missing}' has not been published yet")
    fingerprint = digest(
        "lookup",
        FORMAT,
        code_of(lookup),
        json_ready(ws.product.servings[lookup.model].fields),
        code_in_zone(code_of(features), ws.product.tz),
        versions,
    )
    name = (ws.product.name, lookup.model)
    last_row = ws.record.ledger.last_success(ws.product.name, f"lookup:{lookup.model}")
    with closing(view_place(tables.home)) as place:
        state = place.states([name]).get(name)
        # Another generation than that of the last run was written with another place set, or is back from a backup.
        is_that_of_last_run = state is not None and generation_of(state) == _written(last_row)
        if is_that_of_last_run and (current := up_to_date(last_row, fingerprint, versions, versions[features.name])) is not None:
            place.sweep(*name)
            return current
        rows, checked, generation = build_view(ws, place, lookup, features, versions)
    detail: StepDetail = {"note": f"{rows:,} rows, equal to the features in {checked:,} of their newest rows"}
    return StepResult(
        fingerprint=fingerprint, inputs=versions, output_version=versions[features.name], rows_written=rows,
        detail=detail if generation is None else {**detail, "generation": generation},
    )  # fmt: skip


def _written(last_row: StepRow | None) -> str | None:
    """Return the generation that a run has written; files have none."""
    return ((last_row["detail"] or {}) if last_row else {}).get("generation")


def _further_tables(ws: Workspace, lookup: OnlineLookup) -> list[str]:
    named = [of[0] for of in lookup.given if len(of) == 1 and of[0] in ws.product.nodes]
    return [*named, *(table.table for table in lookup.names.values())]


def build_view(
    ws: Workspace, place: ViewPlace, lookup: OnlineLookup, features: Features, versions: Mapping[str, int]
) -> tuple[int, int, str | None]:
    """Write and publish a view; return the number of its rows, and of the published rows that it was compared with, and its generation.

    Raises
    ------
    StepFailed : it would answer otherwise than the published features; the view of before stays
    ViewsUnavailable : the place does not answer; the view of before stays
    """
    tables = ws.tables
    published = _published(tables, lookup, features)
    content = content_of(tables, ws.spark, lookup, features, model_inputs(ws, lookup.model, features, published.schema.names))
    until_us = _newest(published, features)
    since_us = None if until_us is None else until_us - round(lookup.history_s * 1e6)
    newest = _newest_rows(published, features, since_us)
    fields = ws.product.servings[lookup.model].fields
    with drafted_view(place, (ws.product.name, lookup.model)) as writer:
        rows = 0
        for number, (timeline, _) in enumerate(content.timelines):
            group = content.groups[number]
            writer.add_group(number, group, timeline_values(ws.spark, timeline, lookup.model))
            if timeline.time and since_us is not None:
                writer.begin_at(number, group, since_us)
            rows += writer.count(number)
        _add_names(tables, lookup, writer)
        described: Described = {
            "format": FORMAT, "times": content.times, "key_types": content.key_types, "named": list(lookup.names), "tz": ws.product.tz, "groups": content.groups,
            "calendar": {name: [part.time, part.part, part.tz] for name, part in content.calendar.items()},
            "fields": {name: dict(field) for name, field in fields.items() if name in content.times or name in content.key_types},
            "since_us": since_us, "until_us": until_us, "built_at": ws.record.clock(), "versions": dict(versions), "checked": len(newest),
        }  # fmt: skip
        view = writer.finish(described)
        _compare(view, content, lookup, features, newest)
        ws.record.check_claim()
        writer.publish()
    return rows, len(newest), generation_of(view.state)


def _published(tables: ProductTables, lookup: OnlineLookup, features: Features) -> pa.Table:
    """Return the published features of the days of a view."""
    version = delta.read_version(tables.folder(features.name))
    days = [day for day in version.days if day is not None] if features.partition else []
    if not days:
        return arrow(version)
    first = shifted(max(days), -(math.ceil(lookup.history_s / DAY_S) + 1))
    return arrow(version, days=[day for day in days if day >= first])


def model_inputs(ws: Workspace, model: str, features: Features, names: Sequence[str]) -> list[str]:
    """Return the columns of features that are inputs of a model."""
    holdout = ws.product.models[model].holdout
    flag = holdout.flag if holdout else None
    return [name for name in names if name not in (*features.not_inputs, flag) and not name.startswith("_")]


def _newest(published: pa.Table, features: Features) -> int | None:
    if not features.as_of or not published.num_rows:
        return None
    newest = pc.max(published[features.as_of]).as_py()
    return None if newest is None else row_micros(newest)


def row_micros(moment: dt.datetime | dt.date) -> int:
    """Return a time of a published row in microseconds since 1970."""
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime.combine(moment, dt.time())
    return micros_of(moment if moment.tzinfo is None else moment.astimezone(dt.UTC).replace(tzinfo=None))


def _newest_rows(published: pa.Table, features: Features, since_us: int | None) -> list[dict[str, Any]]:
    """Return rows of the time of the view, evenly chosen."""
    if since_us is None:
        rows = published
    else:
        ats = pa.array([at is not None and row_micros(at) >= since_us for at in published[features.as_of].to_pylist()])
        rows = published.filter(ats)
    step = max(1, -(-rows.num_rows // MOST_COMPARED))
    return list(rows.take(pa.array(range(0, rows.num_rows, step), pa.int64())).to_pylist())


def _compare(
    view: OnlineView, content: ViewContent, lookup: OnlineLookup, features: Features, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Compare what a view answers with published rows.

    Raises
    ------
    StepFailed : it gives other values
    """
    for row in rows:
        for name, got in answered(view, content, row).items():
            wanted = row[name]
            if got != wanted and not (got is None and wanted is not None and wanted != wanted):
                time = row.get(features.as_of)
                raise StepFailed(
                    f"The lookup of model '{lookup.model}' finds {got!r} for '{name}' where features '{features.name}' have {wanted!r}, at {time}.",
                    fix=f"Name the columns that are to be looked up in lookup=, without '{name}': callers give it then.", where=str(lookup.where),
                )  # fmt: skip


def answered(view: OnlineView, content: ViewContent, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a view finds for a published row: its exact features, as far as the row has their time and keys."""
    answers: dict[str, Any] = {}
    for name, part in content.calendar.items():
        if row.get(part.time) is not None:
            answers[name] = part.of(row_micros(row[part.time]))
    for number, (timeline, exact) in enumerate(content.timelines):
        if not exact or row.get(timeline.time) is None or any(key not in row for key in timeline.keys):
            continue
        keys = [text for key in timeline.keys if (text := key_text(row[key])) is not None]
        if len(keys) < len(timeline.keys):  # rows without a key are one kind to features, and not found by servers
            continue
        values = view.values(number, keys, row_micros(row[timeline.time]))
        answers |= dict(zip(timeline.columns, values or (None,) * len(timeline.columns), strict=True))
    return answers


def _add_names(tables: ProductTables, lookup: OnlineLookup, writer: ViewDraft) -> None:
    for input_, table in lookup.names.items():
        columns = [column for column in (table.key, table.name, table.also) if column is not None]
        rows = arrow(delta.read_version(tables.folder(table.table)), columns).to_pylist()
        named = [
            (text, _name(row[table.name], row.get(table.also or "")))
            for row in rows
            if (text := key_text(row[table.key])) is not None
        ]
        shown = [name for _, name in named]
        # Two keys of the same name are told apart by their keys.
        writer.add_names(
            input_,
            sorted(
                ((text, name if shown.count(name) == 1 else f"{name} ({text})") for text, name in named),
                key=lambda entry: entry[1].casefold(),
            ),
        )


def _name(name: object, also: object) -> str:
    return " · ".join(str(part) for part in (name, also) if part is not None)


STEPS = {("lookup", "lookup"): work}
