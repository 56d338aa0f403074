"""``caudal trace``: follow a row of a table or of predictions back to the raw bytes, at the table versions that made it.

Rows are matched by value: an input row made this one if it is in the version that was read, and has the same values in the columns
that column lineage calls identical. If that does not identify rows, the files that could hold them are named instead.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from caudal.declarations.days import shifted
from caudal.declarations.settings import Settings
from caudal.declarations.zone import window_end
from caudal.errors import NotThere, nearest
from caudal.governance.condition import condition
from caudal.governance.origins import Trace, model_origin, traced_files
from caudal.graph.load import load
from caudal.graph.registered import tables_of
from caudal.ledger.json_ready import json_ready, text_or_number
from caudal.ledger.records import lineages
from caudal.runtime.column_lineage import lineage_of
from caudal.runtime.opening import open_home
from caudal.storage import delta
from caudal.tables.found import MatchedRows, matching
from caudal.tables.resolve import resolve_version

SHOWN = 3  # rows shown of each table
STEP_S = "caudal.step_s"


def trace(
    folder: Path, settings: Settings, table: str, *, where: str | None = None, version: int | None = None, run_id: str | None = None,
    limit: int = 100,
) -> dict[str, Any]:  # fmt: skip
    """Return where the rows of a table that match ``where`` come from.

    Raises
    ------
    NotThere : the table, version or row does not exist
    DeclarationProblem : the condition cannot be understood
    """
    product, home = load(folder), open_home(settings)
    tables = tables_of(product)
    if table not in tables:
        raise NotThere(
            f"Product '{product.name}' declares no table '{table}'.",
            nearest=nearest(table, tables),
            fix=f"It has {', '.join(tables)}.",
        )
    with contextlib.closing(home.ledger()) as ledger:
        table_version = resolve_version(home, ledger, product.name, table, version, run_id)
        matches = _first(matching(table_version, condition(where)), limit)
        if not matches:
            raise NotThere(
                f"No row of '{table}' (version {table_version.number}) matches.", fix="Widen --where, or look at another --version."
            )
        result = Trace(product, home, ledger)
        _rows(result, table, table_version.number, matches, "asked for", exact=True)
        whole: dict[str, Any] = json_ready(
            {
                "product": product.name, "table": table, "where": where, "hops": result.hops, "models": list(result.models.values()),
                "files": [file for source, names in result.segments.items() for file in traced_files(result, source, names)],
            },
            text_or_number,
        )  # fmt: skip
        return whole


def _rows(result: Trace, table: str, version: int, matches: Sequence[MatchedRows], how: str, *, exact: bool) -> None:
    """Record rows of a table, and go on to the rows that they were made of."""
    count = sum(len(match_.rows) for match_ in matches)
    sample = [row for match_ in matches for row in match_.rows.slice(0, SHOWN).to_pylist()][:SHOWN]
    kind = "prediction" if table in result.product.predictions else result.product.nodes[table].kind
    hop = {
        "table": table, "kind": kind, "version": version, "rows": count, "how": how, "exact": exact, "sample": sample,
        "versions": sorted({match_.version for match_ in matches}), "made_by": _made_by(result, table, matches),
    }  # fmt: skip
    result.hops.append(hop)
    node = result.product.nodes.get(table)
    if table in result.product.sources:
        names = {name for match_ in matches for name in match_.rows.column("_file").to_pylist() if name}
        result.segments.setdefault(table, set()).update(names)
        return
    for number, group in _by_version(matches).items():
        if table in result.product.predictions:
            _of_predictions(result, table, group)
            continue
        identity = delta.identity(result.home.table(result.product.name, table), number)
        for name in node.inputs if node is not None else ():
            if name in identity.get("inputs", {}):
                _inputs(result, table, name, int(identity["inputs"][name]), group)


def _inputs(result: Trace, table: str, name: str, number: int, group: Sequence[MatchedRows]) -> None:
    """Follow rows of a table to those of one of its inputs."""
    node = result.product.nodes[name]
    version = _version(result, name, number)
    if version is None:
        return
    keys, window = _keys(result, table, name, group[0].version), _window(result, table, name, group)
    days = _days(result, table, name, group, timed=window is not None or node.event_time in keys)
    looks = _looks_around(result, table, name)
    if not keys and window is None:
        _could_hold(result, name, version, days, "no column of it is carried over unchanged")
        return
    input_keys = [key for key in keys.items() if name != table]
    has_same_values = _same_values(input_keys, window, group, result.product.tz)
    matches = list(matching(version, has_same_values, days=days))
    parts = [f"the same {', '.join(column for column, _ in input_keys)}"] if input_keys else []
    parts += [f"{window[0]} within its {window[1]}"] if window else []
    parts += ["on the same day"] if days is not None and window is None else []
    if not matches:
        _could_hold(result, name, version, days, f"none of its rows has {' and '.join(parts)}")
        return
    exact = not looks and _all_of_them(result, table, name, window, group, sum(len(match_.rows) for match_ in matches))
    _rows(result, name, number, matches, " and ".join(parts) + looks, exact=exact)


def _all_of_them(
    result: Trace, table: str, name: str, window: tuple[str, str, int] | None, group: Sequence[MatchedRows], count: int
) -> bool:
    """Return whether every matched input row certainly contributed: one per row, or a window's whole content."""
    if count == sum(len(match_.rows) for match_ in group):
        return True
    lineage = _lineage(result, table, group[0].version)
    deciding = {
        origin["column"]
        for origin in lineage["rows"]["indirect"]
        if origin["how"] in ("filter", "join") and origin["table"] == name
    }
    return window is not None and "unknown" not in lineage["rows"] and deciding <= {window[0]}


def _could_hold(result: Trace, name: str, version: delta.Version, days: set[str | None] | None, why: str) -> None:
    """Record that the rows cannot be identified, and which files could hold them."""
    node = result.product.nodes[name]
    files = [file for file in version.files if days is None or file.day in days]
    result.hops.append(
        {
            "table": name, "kind": node.kind, "version": version.number, "rows": None, "exact": False, "how": f"its rows cannot be told: {why}",
            "days": sorted(map(str, days)) if days is not None else None, "could_hold": sum(file.rows for file in files),
            "files": [file.path for file in files][:50], "sample": [], "versions": [version.number], "made_by": [],
        }
    )  # fmt: skip
    if name in result.product.sources:
        names = {part.partition("=")[2] for file in files for part in Path(file.path).parts if part.startswith("_segment=")}
        result.segments.setdefault(name, set()).update(names)
        return
    identity = delta.identity(version.folder, version.number)
    for input_ in node.inputs:
        number = identity.get("inputs", {}).get(input_)
        if number is not None and (input_version := _version(result, input_, int(number))) is not None:
            _could_hold(
                result,
                input_,
                input_version,
                days
                if result.product.nodes[input_].partition and days is not None and not result.product.tables[name].lookback_s
                else None,
                f"those of {name} cannot",
            )


def _of_predictions(result: Trace, table: str, group: Sequence[MatchedRows]) -> None:
    """Follow predictions to the model that made them and to the features that it was given."""
    prediction = result.product.predictions[table]
    model = result.product.models[prediction.model]
    pairs = {
        pair
        for match_ in group
        for pair in zip(
            match_.rows.column("model_version").to_pylist(), match_.rows.column("input_version").to_pylist(), strict=True
        )
    }

    for of_model, of_input in sorted(pairs):
        result.models.setdefault((model.name, of_model), model_origin(result, model.name, of_model))
        parts = [
            MatchedRows(
                match_.file,
                match_.version,
                match_.rows.filter(
                    pc.and_(
                        pc.equal(match_.rows.column("model_version"), of_model),
                        pc.equal(match_.rows.column("input_version"), of_input),
                    )
                ),
            )
            for match_ in group
        ]
        _inputs(result, table, model.features, of_input, [part for part in parts if len(part.rows)])


def _keys(result: Trace, table: str, name: str, number: int) -> dict[str, list[str]]:
    """Return the input's columns that are carried unchanged, each with the columns that carry it."""
    keys: dict[str, list[str]] = {}
    for column, lineage in _lineage(result, table, number)["columns"].items():
        if (
            len(lineage["from"]) == 1
            and lineage["from"][0]["kind"] == "identity"
            and lineage["from"][0]["table"] == name
            and "unknown" not in lineage
        ):
            keys.setdefault(lineage["from"][0]["column"], []).append(column)
    return keys


def _lineage(result: Trace, table: str, number: int) -> dict[str, Any]:
    """Return a table's column lineage at the time a version was made."""
    rows = result.ledger.find(lineages, product=result.product.name, table=table)
    earlier_rows = [row for row in rows if row["version"] is None or row["version"] <= number]
    return dict(earlier_rows[-1]["document"]) if earlier_rows else lineage_of(result.product, result.ledger, table)


def _window(result: Trace, table: str, name: str, group: Sequence[MatchedRows]) -> tuple[str, str, int] | None:
    """Return the input's event time, the column of the window's start, and its width, if rows are windows over that time."""
    node, input_node = result.product.nodes.get(table), result.product.nodes[name]
    if node is None or node.event_time is None or input_node.event_time is None:
        return None
    lineage = _lineage(result, table, group[0].version)["columns"].get(node.event_time)
    if (
        lineage is None
        or "unknown" in lineage
        or {(origin["table"], origin["column"]) for origin in lineage["from"]} != {(name, input_node.event_time)}
    ):
        return None
    if any(origin["kind"] == "identity" for origin in lineage["from"]):
        return None
    schema = delta.read_version(result.home.table(result.product.name, table), group[0].version).schema
    marks: dict[str, Any] = next((field["metadata"] for field in schema["fields"] if field["name"] == node.event_time), {})
    return (input_node.event_time, node.event_time, int(marks[STEP_S])) if STEP_S in marks else None


def _days(result: Trace, table: str, name: str, group: Sequence[MatchedRows], *, timed: bool) -> set[str | None] | None:
    """Return the days on which the input's rows can lie; None if nothing narrows them down.

    A function may have looked back farther than declared, unless its rows have the input's own time.
    """
    node, input_node = result.product.nodes.get(table), result.product.nodes[name]
    if input_node.partition is None or any(match_.file.day is None for match_ in group):
        return None
    days: set[str | None] = {match_.file.day for match_ in group}
    if node is None or timed:  # a prediction lies on the day of its features
        return days
    declared = result.product.tables.get(table)
    if declared is None or not declared.partition or (declared.sql is None and _looks_around(result, table, name)):
        return None
    back = range(math.ceil(declared.lookback_s / 86400) + 1)
    return {shifted(str(day), -ago) for day in days for ago in back}


def _looks_around(result: Trace, table: str, name: str) -> str:
    """Return a remark if window functions have also read other rows of the input."""
    lineage = lineage_of(result.product, result.ledger, table)
    parts = [*lineage["columns"].values(), lineage["rows"]]
    if any(origin["how"] == "window" and origin["table"] == name for part in parts for origin in part["indirect"]):
        return "; functions over windows have read rows around them too, which are not told one by one"
    return ""


def _same_values(
    keys: Sequence[tuple[str, list[str]]], window: tuple[str, str, int] | None, group: Sequence[MatchedRows], tz: str
) -> Callable[[pa.Table], pa.Array]:
    """Return a mask function for the input's rows that have every value of one of our rows, and lie in its window."""
    ours = [row for match_ in group for row in match_.rows.to_pylist()]
    values = [{theirs: [row[column] for column in mine if row.get(column) is not None] for theirs, mine in keys} for row in ours]
    spans = [(row[window[1]], window_end(row[window[1]], window[2], tz)) for row in ours] if window else []

    def has_same_values(rows: pa.Table) -> pa.Array:
        mask = pa.array([False] * len(rows), pa.bool_())
        for at, values_by_column in enumerate(values):
            row_mask = pa.array([True] * len(rows), pa.bool_())
            for column, allowed in values_by_column.items():
                if allowed:
                    row_mask = pc.and_(row_mask, pc.is_in(rows.column(column), pa.array(allowed, rows.column(column).type)))
            if window:
                moment = rows.column(window[0])
                low, high = (pa.scalar(end, moment.type) for end in spans[at])
                row_mask = pc.and_(row_mask, pc.fill_null(pc.and_(pc.greater_equal(moment, low), pc.less(moment, high)), False))
            mask = pc.or_(mask, row_mask)
        return mask

    return has_same_values


def _made_by(result: Trace, table: str, matches: Sequence[MatchedRows]) -> list[dict[str, object]]:
    """Return the runs that made the rows, with the versions that they read."""
    folder = result.home.table(result.product.name, table)
    identities = {number: delta.identity(folder, number) for number in sorted({match_.version for match_ in matches})}
    return [
        {"version": number, **{name: identity.get(name) for name in ("run_id", "step", "at", "inputs", "code")}}
        for number, identity in identities.items()
        if identity
    ]


def _by_version(matches: Sequence[MatchedRows]) -> Mapping[int, list[MatchedRows]]:
    groups: dict[int, list[MatchedRows]] = {}
    for match_ in matches:
        groups.setdefault(match_.version, []).append(match_)
    return groups


def _version(result: Trace, name: str, number: int) -> delta.Version | None:
    try:
        return delta.read_version(result.home.table(result.product.name, name), number)
    except NotThere:
        result.hops.append({"table": name, "kind": result.product.nodes[name].kind, "version": number, "rows": None, "exact": False,
                          "how": "this version is not kept any more", "sample": [], "versions": [number], "made_by": []})  # fmt: skip
        return None


def _first(matches: Iterable[MatchedRows], limit: int) -> list[MatchedRows]:
    selected, remaining = [], limit
    for match_ in matches:
        if remaining <= 0:
            break
        selected.append(MatchedRows(match_.file, match_.version, match_.rows.slice(0, remaining)))
        remaining -= len(selected[-1].rows)
    return selected
