"""``caudal trace``: from a row of a table or of predictions back to the raw bytes, at the table versions that made it.

A hop goes by values: an input row made this one if it is of the version that was read, and bears the same values in the columns
that column lineage calls identical. Where that does not name rows, the files that could hold them are named instead.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.declarations.days import shifted
from caudal.declarations.settings import Settings
from caudal.declarations.zone import window_end
from caudal.errors import NotThere, nearest
from caudal.governance.condition import condition
from caudal.governance.origins import Trace, model_of, raw_files
from caudal.graph.load import load
from caudal.graph.registered import tables_of
from caudal.ledger.json_ready import json_ready, text_or_number
from caudal.ledger.records import lineages
from caudal.runtime.column_lineage import lineage_of
from caudal.runtime.opening import opened
from caudal.storage import delta
from caudal.tables.found import Found, matching
from caudal.tables.resolve import resolve_version

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 3  # rows that are shown of each table
STEP_S = "caudal.step_s"


def trace(
    folder: Path, settings: Settings, table: str, *, where: str | None = None, version: int | None = None, run_id: str | None = None,
    limit: int = 100,
) -> dict[str, Any]:  # fmt: skip
    """Return where the rows of a table that match ``where`` come from.

    Raises
    ------
    NotThere : there is no such table, version or row
    DeclarationProblem : the condition cannot be understood
    """
    product, home = load(folder), opened(settings)
    known = tables_of(product)
    if table not in known:
        raise NotThere(
            f"Product '{product.name}' declares no table '{table}'.",
            nearest=nearest(table, known),
            fix=f"It has {', '.join(known)}.",
        )
    with contextlib.closing(home.ledger()) as ledger:
        found_version = resolve_version(home, ledger, product.name, table, version, run_id)
        found = _first(matching(found_version, condition(where)), limit)
        if not found:
            raise NotThere(
                f"No row of '{table}' (version {found_version.number}) matches.", fix="Widen --where, or look at another --version."
            )
        told = Trace(product, home, ledger)
        _rows(told, table, found_version.number, found, "asked for", exact=True)
        whole: dict[str, Any] = json_ready(
            {
                "product": product.name, "table": table, "where": where, "hops": told.hops, "models": list(told.models.values()),
                "files": [file for source, names in told.segments.items() for file in raw_files(told, source, names)],
            },
            text_or_number,
        )  # fmt: skip
        return whole


def _rows(told: Trace, table: str, version: int, found: Sequence[Found], how: str, *, exact: bool) -> None:
    """Note rows of a table, and go on to what they were made of."""
    count = sum(len(one.rows) for one in found)
    shown = [row for one in found for row in one.rows.slice(0, SHOWN).to_pylist()][:SHOWN]
    kind = "prediction" if table in told.product.predictions else told.product.nodes[table].kind
    hop = {
        "table": table, "kind": kind, "version": version, "rows": count, "how": how, "exact": exact, "sample": shown,
        "versions": sorted({one.version for one in found}), "made_by": _made_by(told, table, found),
    }  # fmt: skip
    told.hops.append(hop)
    node = told.product.nodes.get(table)
    if table in told.product.sources:
        names = {name for one in found for name in one.rows.column("_file").to_pylist() if name}
        told.segments.setdefault(table, set()).update(names)
        return
    for number, group in _by_version(found).items():
        if table in told.product.predictions:
            _of_predictions(told, table, group)
            continue
        said = delta.identity(told.home.table(told.product.name, table), number)
        for name in node.inputs if node is not None else ():
            if name in said.get("inputs", {}):
                _inputs(told, table, name, int(said["inputs"][name]), group)


def _inputs(told: Trace, table: str, name: str, number: int, group: Sequence[Found]) -> None:
    """Go from rows of a table to those of one of its inputs."""
    node = told.product.nodes[name]
    version = _version(told, name, number)
    if version is None:
        return
    keys, window = _keys(told, table, name, group[0].version), _window(told, table, name, group)
    days = _days(told, table, name, group, timed=window is not None or node.event_time in keys)
    looks = _looks_around(told, table, name)
    if not keys and window is None:
        _could_hold(told, name, version, days, "no column of it is carried over unchanged")
        return
    picked = [one for one in keys.items() if name != table]
    wanted = _same_values(picked, window, group, told.product.tz)
    found = list(matching(version, wanted, days=days))
    parts = [f"the same {', '.join(mine for mine, _ in picked)}"] if picked else []
    parts += [f"{window[0]} within its {window[1]}"] if window else []
    parts += ["on the same day"] if days is not None and window is None else []
    if not found:
        _could_hold(told, name, version, days, f"none of its rows has {' and '.join(parts)}")
        return
    exact = not looks and _all_of_them(told, table, name, window, group, sum(len(one.rows) for one in found))
    _rows(told, name, number, found, " and ".join(parts) + looks, exact=exact)


def _all_of_them(
    told: Trace, table: str, name: str, window: tuple[str, str, int] | None, group: Sequence[Found], count: int
) -> bool:
    """Tell whether each input row that was found has surely gone into our rows: one for each, or a window's whole content."""
    if count == sum(len(one.rows) for one in group):
        return True
    said = _lineage(told, table, group[0].version)
    deciding = {
        origin["column"] for origin in said["rows"]["indirect"] if origin["how"] in ("filter", "join") and origin["table"] == name
    }
    return window is not None and "unknown" not in said["rows"] and deciding <= {window[0]}


def _could_hold(told: Trace, name: str, version: delta.Version, days: set[str | None] | None, why: str) -> None:
    """Note that rows cannot be told, and which files could hold them."""
    node = told.product.nodes[name]
    files = [file for file in version.files if days is None or file.day in days]
    told.hops.append(
        {
            "table": name, "kind": node.kind, "version": version.number, "rows": None, "exact": False, "how": f"its rows cannot be told: {why}",
            "days": sorted(map(str, days)) if days is not None else None, "could_hold": sum(file.rows for file in files),
            "files": [file.path for file in files][:50], "sample": [], "versions": [version.number], "made_by": [],
        }
    )  # fmt: skip
    if name in told.product.sources:
        names = {part.partition("=")[2] for file in files for part in Path(file.path).parts if part.startswith("_segment=")}
        told.segments.setdefault(name, set()).update(names)
        return
    said = delta.identity(version.folder, version.number)
    for input_ in node.inputs:
        above = said.get("inputs", {}).get(input_)
        if above is not None and (found := _version(told, input_, int(above))) is not None:
            _could_hold(
                told,
                input_,
                found,
                days
                if told.product.nodes[input_].partition and days is not None and not told.product.tables[name].lookback_s
                else None,
                f"those of {name} cannot",
            )


def _of_predictions(told: Trace, table: str, group: Sequence[Found]) -> None:
    """Go from predictions to the model that made them and to the features that it was given."""
    prediction = told.product.predictions[table]
    model = told.product.models[prediction.model]
    pairs = {
        pair
        for one in group
        for pair in zip(one.rows.column("model_version").to_pylist(), one.rows.column("input_version").to_pylist(), strict=True)
    }
    import pyarrow.compute as pc

    for of_model, of_input in sorted(pairs):
        told.models.setdefault((model.name, of_model), model_of(told, model.name, of_model))
        parts = [
            Found(
                one.file,
                one.version,
                one.rows.filter(
                    pc.and_(
                        pc.equal(one.rows.column("model_version"), of_model), pc.equal(one.rows.column("input_version"), of_input)
                    )
                ),
            )
            for one in group
        ]
        _inputs(told, table, model.features, of_input, [part for part in parts if len(part.rows)])


def _keys(told: Trace, table: str, name: str, number: int) -> dict[str, list[str]]:
    """Return the input's columns that are carried over unchanged, each with the columns that carry it."""
    keys: dict[str, list[str]] = {}
    for column, made in _lineage(told, table, number)["columns"].items():
        if (
            len(made["from"]) == 1
            and made["from"][0]["kind"] == "identity"
            and made["from"][0]["table"] == name
            and "unknown" not in made
        ):
            keys.setdefault(made["from"][0]["column"], []).append(column)
    return keys


def _lineage(told: Trace, table: str, number: int) -> dict[str, Any]:
    """Return the column lineage of a table as it was when a version was made."""
    rows = told.ledger.find(lineages, product=told.product.name, table=table)
    then = [row for row in rows if row["version"] is None or row["version"] <= number]
    return dict(then[-1]["document"]) if then else lineage_of(told.product, told.ledger, table)


def _window(told: Trace, table: str, name: str, group: Sequence[Found]) -> tuple[str, str, int] | None:
    """Return the input's event time, the column that holds a window's start, and its width, where rows are windows over that time."""
    node, above = told.product.nodes.get(table), told.product.nodes[name]
    if node is None or node.event_time is None or above.event_time is None:
        return None
    made = _lineage(told, table, group[0].version)["columns"].get(node.event_time)
    if (
        made is None
        or "unknown" in made
        or {(origin["table"], origin["column"]) for origin in made["from"]} != {(name, above.event_time)}
    ):
        return None
    if any(origin["kind"] == "identity" for origin in made["from"]):
        return None
    schema = delta.read(told.home.table(told.product.name, table), group[0].version).schema
    marks: dict[str, Any] = next((field["metadata"] for field in schema["fields"] if field["name"] == node.event_time), {})
    return (above.event_time, node.event_time, int(marks[STEP_S])) if STEP_S in marks else None


def _days(told: Trace, table: str, name: str, group: Sequence[Found], *, timed: bool) -> set[str | None] | None:
    """Return the days that the input's rows can lie on; None where no promise narrows them down.

    A function may have looked back farther than is declared, unless its rows bear the input's own time.
    """
    node, above = told.product.nodes.get(table), told.product.nodes[name]
    if above.partition is None or any(one.file.day is None for one in group):
        return None
    days: set[str | None] = {one.file.day for one in group}
    if node is None or timed:  # a prediction lies on the day of its features
        return days
    made = told.product.tables.get(table)
    if made is None or not made.partition or (made.sql is None and _looks_around(told, table, name)):
        return None
    back = range(math.ceil(made.lookback_s / 86400) + 1)
    return {shifted(str(day), -ago) for day in days for ago in back}


def _looks_around(told: Trace, table: str, name: str) -> str:
    """Return a remark where functions over windows of rows have read other rows of the input as well."""
    said = lineage_of(told.product, told.ledger, table)
    parts = [*said["columns"].values(), said["rows"]]
    if any(origin["how"] == "window" and origin["table"] == name for part in parts for origin in part["indirect"]):
        return "; functions over windows have read rows around them too, which are not told one by one"
    return ""


def _same_values(
    keys: Sequence[tuple[str, list[str]]], window: tuple[str, str, int] | None, group: Sequence[Found], tz: str
) -> Callable[[pa.Table], pa.Array]:
    """Return what tells the input's rows: of some row of ours they bear every value, and lie in its window."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ours = [row for one in group for row in one.rows.to_pylist()]
    values = [{theirs: [row[one] for one in mine if row.get(one) is not None] for theirs, mine in keys} for row in ours]
    spans = [(row[window[1]], window_end(row[window[1]], window[2], tz)) for row in ours] if window else []

    def wanted(rows: pa.Table) -> pa.Array:
        mask = pa.array([False] * len(rows), pa.bool_())
        for at, said in enumerate(values):
            one = pa.array([True] * len(rows), pa.bool_())
            for column, among in said.items():
                if among:
                    one = pc.and_(one, pc.is_in(rows.column(column), pa.array(among, rows.column(column).type)))
            if window:
                moment = rows.column(window[0])
                low, high = (pa.scalar(end, moment.type) for end in spans[at])
                one = pc.and_(one, pc.fill_null(pc.and_(pc.greater_equal(moment, low), pc.less(moment, high)), False))
            mask = pc.or_(mask, one)
        return mask

    return wanted


def _made_by(told: Trace, table: str, found: Sequence[Found]) -> list[dict[str, Any]]:
    """Return the runs that made the rows, with the versions that they read."""
    folder = told.home.table(told.product.name, table)
    said = {number: delta.identity(folder, number) for number in sorted({one.version for one in found})}
    return [
        {"version": number, **{name: one.get(name) for name in ("run_id", "step", "at", "inputs", "code")}}
        for number, one in said.items()
        if one
    ]


def _by_version(found: Sequence[Found]) -> Mapping[int, list[Found]]:
    groups: dict[int, list[Found]] = {}
    for one in found:
        groups.setdefault(one.version, []).append(one)
    return groups


def _version(told: Trace, name: str, number: int) -> delta.Version | None:
    try:
        return delta.read(told.home.table(told.product.name, name), number)
    except NotThere:
        told.hops.append({"table": name, "kind": told.product.nodes[name].kind, "version": number, "rows": None, "exact": False,
                          "how": "this version is not kept any more", "sample": [], "versions": [number], "made_by": []})  # fmt: skip
        return None


def _first(found: Iterable[Found], limit: int) -> list[Found]:
    kept, left = [], limit
    for one in found:
        if left <= 0:
            break
        kept.append(Found(one.file, one.version, one.rows.slice(0, left)))
        left -= len(kept[-1].rows)
    return kept
