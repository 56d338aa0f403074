"""The sections of a run's page below its head: steps, time, expectations, columns, files, lineage, models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from caudal.declarations.days import shifted
from caudal.graph.registered import steps_where
from caudal.ledger.ledger import Ledger, Row
from caudal.ledger.records import landed, profiles
from caudal.report import charts
from caudal.report.document import Document, detail_of, rows_learned
from caudal.report.figures import count, duration, held_out_score, places_of, plural, score, share, size, value

FILES_SHOWN = 100
_NOT_LANDED = {"waiting": "still being written", "link": "a link that is not followed"}


def step_line(row: Row) -> dict[str, Any]:
    """Return a step's line of the table of steps."""
    partitions = row["partitions"]
    return {
        "step": row["step"],
        "state": row["state"],
        "seconds": duration(row["seconds"]) if row["state"] not in ("skipped", "waiting") else "",
        "read": _figure(row["rows_read"]),
        "written": _figure(row["rows_written"]),
        "quarantined": _figure(row["rows_quarantined"]),
        "aside": bool(row["rows_quarantined"]),
        "partitions": _figure(len(partitions)) if partitions is not None else "",
        "days": days(partitions) if partitions else None,
        "why": why(row),
    }


def why(row: Row) -> str | None:
    """Return what a step says of itself: why it did nothing, what failed, how it worked."""
    said = detail_of(row)
    told = (row["error"] or {}).get("what") if row["state"] == "failed" else said.get("why") or said.get("note") or said.get("rule")
    before = said.get("attempts", ())
    if not before:
        return told
    tried = f"attempt {len(before) + 1}; before it: " + "; ".join(f"{one['error']} ({duration(one['seconds'])})" for one in before)
    return f"{told}; {tried}" if told else tried


def timeline(run: Row, done: Sequence[Row]) -> list[dict[str, Any]]:
    """Return a bar for each step that worked, where it lay in the run."""
    worked = [row for row in done if row["state"] in ("succeeded", "failed") and row["seconds"] is not None]
    ends = [(_begin(run, row), _begin(run, row) + row["seconds"]) for row in worked]
    whole = max((end for _, end in ends), default=0.0)
    if whole <= 0:
        return []
    total = sum(row["seconds"] for row in worked)
    return [
        {
            "step": row["step"],
            "seconds": duration(row["seconds"]),
            "share": f"{100 * row['seconds'] / total:.0f} %" if total else "",
            "bar": charts.bar(
                begin / whole, row["seconds"] / whole, row["state"], f"from {duration(begin)} to {duration(end)} of the run"
            ),
        }
        for row, (begin, end) in zip(worked, ends, strict=True)
    ]


def _begin(run: Row, row: Row) -> float:
    return max(float(row["started_at"] or run["started_at"]) - float(run["started_at"]), 0.0)


def check_line(row: Row, done: Sequence[Row]) -> dict[str, Any]:
    """Return an expectation's line: what it counted, and what came of it."""
    failed = any(step["name"] == row["table"] and step["state"] == "failed" for step in done)
    outcome, state = _outcome(row, failed)
    return {
        "table": row["table"],
        "expectation": row["expectation"],
        "action": row["action"],
        "rows": count(row["rows"]),
        "broken": count(row["broken"]),
        "share": share(row["broken"], row["rows"]),
        "message": row["message"],
        "outcome": outcome,
        "state": state,
    }


def _outcome(row: Row, failed: bool) -> tuple[str, str]:
    """Return what came of an expectation, and the state whose colour tells it; of a table that failed nothing was set aside."""
    if row["passed"] and not row["broken"]:
        return "passed", "succeeded"
    if row["action"] == "warn":
        return "warned", "waiting"
    return ("set aside", "waiting") if row["action"] == "quarantine" and not failed else ("stopped", "failed")


def reasons(document: Document) -> list[dict[str, Any]]:
    """Return the quarantined rows by table and reason, the most frequent first."""
    found = [
        (name, reason, number, table)
        for name, table in document["tables"].items()
        for reason, number in table["reasons"].items()
        if number
    ]
    most = max((number for _, _, number, _ in found), default=1)
    return [
        {
            "table": name,
            "reason": reason,
            "rows": count(number),
            "share": share(number, one["rows_written"] + one["rows_quarantined"]),
            "bar": charts.bar(0.0, number / most, "aside", plural(number, "row")),
        }
        for name, reason, number, one in sorted(found, key=lambda row: (row[0], -row[2], row[1]))
    ]


def profile(ledger: Ledger, row: Row) -> dict[str, Any]:
    """Return the figures of a table's columns, and how its rows changed since the version before."""
    older = ledger.find(profiles, product=row["product"], table=row["table"], newest=True)
    before = next((one for one in older if one["id"] < row["id"]), None)
    columns = [
        {
            "name": name,
            "nulls": count(column.get("nulls")),
            "share": share(column.get("nulls"), row["rows"]) if column.get("nulls") else "",
            **{figure: _short(value(column.get(figure))) for figure in ("min", "mean", "max", "stddev", "distinct")},
        }
        for name, column in row["columns"].items()
    ]
    change = f"{row['rows'] - before['rows']:+,} since the run before" if before else "first version measured"
    return {
        "table": row["table"],
        "version": row["version"],
        "rows": plural(row["rows"], "row"),
        "change": change,
        "columns": columns,
    }


def files(ledger: Ledger, run_id: str, done: Sequence[Row]) -> dict[str, Any]:
    """Return the files that this run landed, then those that it left for the next."""
    files = [
        {
            "source": row["source"],
            "path": row["path"],
            "bytes": size(row["bytes"]),
            "sha": row["sha256"][:12],
            "state": "correction" if row["kind"] == "correction" else "landed",
        }
        for row in ledger.find(landed, run_id=run_id)
    ]
    files += [
        {
            "source": row["name"],
            "path": file["path"],
            "bytes": size(file.get("bytes")),
            "sha": "",
            "state": _NOT_LANDED[file["state"]],
        }
        for row in done
        if row["kind"] in steps_where(section="landed")
        for file in detail_of(row).get("files", ())
        if file.get("state") in _NOT_LANDED
    ]
    return {"files": files[:FILES_SHOWN], "more_files": max(len(files) - FILES_SHOWN, 0)}


def lineage(done: Sequence[Row]) -> list[dict[str, Any]]:
    """Return for each thing made the versions that it was made from."""
    return [
        {
            "step": row["step"],
            "state": row["state"],
            "inputs": _inputs(row),
            "name": row["name"],
            "version": row["output_version"],
            "fingerprint": (row["fingerprint"] or "")[:12],
        }
        for row in done
        if row["output_version"] is not None or row["inputs"]
    ]


def _inputs(row: Row) -> list[tuple[str, int]]:
    by = detail_of(row).get("model_version") if row["kind"] in steps_where(section="predictions") else None
    return [*sorted((row["inputs"] or {}).items()), *([("model", by)] if by is not None else [])]


def model_section(name: str, model: Document, done: Sequence[Row]) -> dict[str, Any]:
    """Return a model's candidates with their charts, its gates and its decision."""
    scale = charts.Scale.of(model["candidates"])
    baseline = next((candidate["score"] for candidate in model["candidates"] if candidate["baseline"]), None)
    places = places_of(model["candidates"])
    told = []
    for candidate in model["candidates"]:
        said = score(candidate["score"], candidate["spread"], places)
        chart = charts.whisker(scale, candidate, baseline, f"{candidate['candidate']}: {said}") if scale else ""
        told.append({**candidate, "said": said, "seconds": duration(candidate["seconds"]), "chart": chart})
    train = next((row for row in done if row["step"] == f"train:{name}"), None)
    learned = detail_of(train)
    return {
        **model,
        "name": name,
        "candidates": told,
        "axis": charts.axis(scale) if scale else "",
        "why": why(train) if train is not None and not told else None,
        "here": train is not None and train["state"] == "succeeded",
        "holdout_score": held_out_score(model.get("holdout")),
        "learned": _learned(learned) if learned.get("rows") else None,
        "gates": [{**gate, "said": gate.get("message") or value(gate.get("figures"))} for gate in model["gates"]],
    }


def _learned(detail: Mapping[str, Any]) -> str:
    rows, _, rest = rows_learned(detail).removeprefix("learned from ").partition("; ")
    span = f", {detail['from']} to {detail['until']}" if detail.get("from") and detail.get("until") else ""
    return f"{rows}{span}" + (f"; {rest}" if rest else "")


def prediction_line(row: Row) -> dict[str, Any]:
    """Return a table of predictions with the versions that it comes from."""
    said = detail_of(row)
    return {
        "name": row["name"],
        "rows": count(row["rows_written"]),
        "model_version": value(said.get("model_version")),
        "input_version": value(said.get("input_version")),
        "version": value(row["output_version"]),
    }


def days(partitions: Sequence[str], most: int = 3) -> str:
    """Return days as stretches.

    Examples
    --------
    >>> days(["2023-01-01", "2023-01-02", "2023-01-03", "2023-01-07"])
    '2023-01-01 to 2023-01-03, 2023-01-07'
    """
    stretches: list[list[str]] = []
    for day in sorted(partitions):
        if stretches and _next(stretches[-1][-1]) == day:
            stretches[-1].append(day)
        else:
            stretches.append([day])
    said = [stretch[0] if len(stretch) == 1 else f"{stretch[0]} to {stretch[-1]}" for stretch in stretches]
    return ", ".join(said[:most]) + (f" and {plural(len(said) - most, 'stretch', 'stretches')} more" if len(said) > most else "")


def _figure(of: int | None) -> str:
    return "" if of is None else count(of)


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _next(day: str) -> str | None:
    try:
        return shifted(day, 1)
    except ValueError:  # "unknown": rows without a day
        return None
