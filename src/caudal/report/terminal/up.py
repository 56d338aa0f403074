"""What ``caudal up`` prints, one line for each thing that happens, and the plan of a backfill."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from caudal.report.figures import count, duration, plural, size
from caudal.report.step_words import days as stretches
from caudal.report.terminal.console import mark

if TYPE_CHECKING:
    pass


def up_line(document: Mapping[str, Any], now: datetime | None = None) -> str:
    """Return the line of one thing that happened.

    Examples
    --------
    >>> up_line({"what": "event", "product": "taxi", "trigger": "source:trips_raw", "subject": "green.parquet"}, datetime(2024, 1, 1, 6, 30))
    '06:30:00 taxi  source:trips_raw  green.parquet'
    """
    at = (now or datetime.now()).strftime("%H:%M:%S")
    return f"{at} {_said(document)}"


def _said(one: Mapping[str, Any]) -> str:
    match one["what"]:
        case "up":
            return f"up: {', '.join(one['products'])}; waiting for {', '.join(one['watchers'])}"
        case "event":
            return f"{one['product']}  {one['trigger']}  {one['subject']}"
        case "run":
            return f"{one['product']}  {mark('running')} run {one['run_id']} for {plural(one['events'], 'event')}"
        case "ended":
            return _ended(one)
        case "again":
            return f"{one['product']}  {plural(one['events'], 'event')} that failed before will be tried again"
        case "taken up":
            return f"{plural(one['events'], 'event')} of run {one['run_id']}, whose daemon is gone: {one['ending']}"
        case "trouble":
            return f"{one['trigger']}  {mark('waiting')} {one['why']}"
        case "told":
            to = f"{one['to']} of {one['happening']} of {one['subject']}"
            return f"{one['product']}  " + (
                f"{mark('succeeded')} told {to}"
                if one["state"] == "sent"
                else f"{mark('waiting')} could not tell {to}: {one['why']}"
            )
        case "stopping":
            return f"asked to stop; steps at hand have {duration(one['grace_s'])}"
        case what:
            return str(what)


def _ended(one: Mapping[str, Any]) -> str:
    line = f"{one['product']}  {mark(one['state'])} run {one['run_id']} {one['state']} after {duration(one['seconds'])}"
    if one["why"]:
        line += f": {one['why']}"
    return line + (f" Again in {duration(one['again_s'])}." if one["again_s"] is not None else "")


def backfill_plan(document: Mapping[str, Any], files_shown: int = 5) -> str:
    """Return what would be made again, and from what."""
    lines = [f"{document['product']}, {document['from']} to {document['to']}: made again would be", ""]
    for source in (*document["sources"], *document["tables"]):
        when = "all of it" if source["days"] is None else f"{plural(len(source['days']), 'day')} ({stretches(source['days'])})"
        lines.append(f"  {source['table']:<26} {when}, {count(source['rows'])} rows now")
        files = source.get("files", ())
        lines += [f"    from {file['path']} ({size(file['bytes'])})" for file in files[:files_shown]]
        if len(files) > files_shown:
            lines.append(f"    and {plural(len(files) - files_shown, 'more file')}")
    return "\n".join([*lines, "", "Predictions of these days follow. Nothing is landed, nothing is learned."])
