"""The lines that ``caudal up`` prints, one for each event, and the plan of a backfill."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from caudal.report import step_words
from caudal.report.figures import count_text, duration, plural, size
from caudal.report.terminal.console import mark

if TYPE_CHECKING:
    pass


def up_line(document: Mapping[str, Any], now: datetime | None = None) -> str:
    """Return the line of one event.

    Examples
    --------
    >>> up_line({"what": "event", "product": "taxi", "trigger": "source:trips_raw", "subject": "green.parquet"}, datetime(2024, 1, 1, 6, 30))
    '06:30:00 taxi  source:trips_raw  green.parquet'
    """
    at = (now or datetime.now()).strftime("%H:%M:%S")
    return f"{at} {_sentence(document)}"


def _sentence(event: Mapping[str, Any]) -> str:
    match event["what"]:
        case "up":
            return f"up: {', '.join(event['products'])}; waiting for {', '.join(event['watchers'])}"
        case "event":
            return f"{event['product']}  {event['trigger']}  {event['subject']}"
        case "run":
            return f"{event['product']}  {mark('running')} run {event['run_id']} for {plural(event['events'], 'event')}"
        case "ended":
            return _run_ended(event)
        case "again":
            return f"{event['product']}  {plural(event['events'], 'event')} that failed before will be tried again"
        case "taken up":
            return f"{plural(event['events'], 'event')} of run {event['run_id']}, whose daemon is gone: {event['ending']}"
        case "trouble":
            return f"{event['trigger']}  {mark('waiting')} {event['why']}"
        case "told":
            to = f"{event['to']} of {event['happening']} of {event['subject']}"
            return f"{event['product']}  " + (
                f"{mark('succeeded')} told {to}"
                if event["state"] == "sent"
                else f"{mark('waiting')} could not tell {to}: {event['why']}"
            )
        case "stopping":
            return f"asked to stop; steps at hand have {duration(event['grace_s'])}"
        case what:
            return str(what)


def _run_ended(event: Mapping[str, Any]) -> str:
    line = f"{event['product']}  {mark(event['state'])} run {event['run_id']} {event['state']} after {duration(event['seconds'])}"
    if event["why"]:
        line += f": {event['why']}"
    return line + (f" Again in {duration(event['again_s'])}." if event["again_s"] is not None else "")


def backfill_plan(document: Mapping[str, Any], files_shown: int = 5) -> str:
    """Return the plan of a backfill as text: the days and tables that it would rebuild, and from which files."""
    lines = [f"{document['product']}, {document['from']} to {document['to']}: made again would be", ""]
    for source in (*document["sources"], *document["tables"]):
        when = (
            "all of it" if source["days"] is None else f"{plural(len(source['days']), 'day')} ({step_words.days(source['days'])})"
        )
        lines.append(f"  {source['table']:<26} {when}, {count_text(source['rows'])} rows now")
        files = source.get("files", ())
        lines += [f"    from {file['path']} ({size(file['bytes'])})" for file in files[:files_shown]]
        if len(files) > files_shown:
            lines.append(f"    and {plural(len(files) - files_shown, 'more file')}")
    return "\n".join([*lines, "", "Predictions of these days follow. Nothing is landed, nothing is learned."])
