"""The closing summary of a run, from its document: rows in, rows set aside, tables, models, time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from caudal.graph.registered import steps_where
from caudal.report.document import rows_learned
from caudal.report.figures import count, duration, held_out_score, places_of, plural, score, share, size
from caudal.report.terminal.console import console, grid, heading, inset, mark
from caudal.report.terminal.tables import gates

Document = Mapping[str, Any]

BAR = 24
# Steps shorter than this share of the run are told together.
WORTH_A_LINE = 0.01


def summary(document: Document, to: Console | None = None) -> None:
    """Print what a run did."""
    out = to or console()
    out.print()
    out.print(_title(document))
    if document["state"] != "up to date":
        for title, note, part in (_landed(document), _tables(document), _quarantined(document)):
            _section(out, title, note, part)
        for name, model in document["models"].items():
            if _told(document, name):
                _model(out, name, model)
        for title, note, part in (
            _predictions(document),
            _warehouse(document),
            *_others(document),
            _times(document),
            _not_started(document),
        ):
            _section(out, title, note, part)
    if document.get("page"):
        out.print()
        out.print(Text.assemble(("Page  ", "bold"), document["page"]), soft_wrap=True)


def _title(document: Document) -> Text:
    state, steps = document["state"], document["steps"]
    took = duration(document["seconds"])
    head = Text.assemble(
        mark(document.get("outcome", state) if state == "succeeded" else state), " ", (document["product"], "bold")
    )
    if state == "up to date":
        return head.append(f" is up to date: nothing new for {plural(len(steps), 'step')} ({took})")
    idle, waiting = _count(steps, "skipped"), _count(steps, "waiting")
    failed = next((step["step"] for step in steps if step["state"] == "failed"), None)
    head.append(
        {"failed": f" failed{f' in {failed}' if failed else ''} after {took}", "abandoned": f" was cut off after {took}"}.get(
            state, f" {document.get('outcome', state)} in {took}"
        )
    )
    ran = len(steps) - idle - waiting
    parts = [
        f"{plural(ran, 'step')} run",
        f"{idle} with nothing to do" if idle else "",
        f"{waiting} not started" if waiting else "",
    ]
    return head.append(f"\n  run {document['run_id']}: {', '.join(part for part in parts if part)}", style="bright_black")


def _landed(document: Document) -> tuple[str, str, Table]:
    rows = grid("left", "right", "right", "right")
    for name, one in document["landed"].items():
        if one["files"] or one["rows"]:
            files = (plural(one["files"], "file"), size(one["bytes"])) if one["files"] else ("stream", "")
            rows.add_row(name, *files, plural(one["rows"], "row"))
    return "Landed", "", rows


def _tables(document: Document) -> tuple[str, str, Table]:
    rows = grid("left", "right", "right", "right", "right", "right")
    rows.show_header = True
    for column, name in zip(rows.columns, ("", "read", "written", "quarantined", "days", "version"), strict=True):
        column.header = Text(name, style="bright_black")
    for name, table in document["tables"].items():
        if _state(document, name) not in ("succeeded", None):
            continue
        aside = table["rows_quarantined"]
        rows.add_row(
            name,
            count(table["rows_read"]),
            count(table["rows_written"]),
            Text(count(aside), style="yellow" if aside else "bright_black"),
            "all" if table["partitions_written"] is None else count(table["partitions_written"]),
            count(table["version"]),
        )
    return "Tables", "", rows


def _quarantined(document: Document) -> tuple[str, str, Table]:
    rows = grid("left", "right", "right", "fill")
    found = [
        (name, reason, number, table) for name, table in document["tables"].items() for reason, number in table["reasons"].items()
    ]
    for name, reason, number, one in sorted(found, key=lambda row: (row[0], -row[2], row[1])):
        rows.add_row(
            name,
            count(number),
            Text(share(number, one["rows_written"] + one["rows_quarantined"]), style="bright_black"),
            Text(reason),
        )
    several = sum(number for _, _, number, _ in found) > sum(table["rows_quarantined"] for table in document["tables"].values())
    return "Quarantined", "a row may have several reasons" if several else "", rows


def _model(out: Console, name: str, model: Document) -> None:
    better = f", {model['better']} is better" if model.get("better") else ""
    unit = f" in {model['unit']}" if model.get("unit") else ""
    out.print()
    out.print(heading(f"Model {name}", f"{model['metric']}{unit}, mean ± spread over folds{better}" if model["metric"] else ""))
    if model["candidates"]:
        out.print(inset(_candidates(model)))
    if model.get("rule"):
        out.print(inset(Text(model["rule"], style="bright_black")))
    if (model.get("rows") or {}).get("rows"):
        out.print(inset(Text(_sentence(rows_learned(model["rows"])), style="bright_black")))
    if held_out := held_out_score(model.get("holdout")):
        out.print(inset(Text(f"Never trained on: {held_out}")))
    if model.get("decision"):
        promoted = model["decision"] != "refused"
        instead = f", instead of version {model['replaced']}" if model.get("replaced") is not None else ""
        if not promoted:
            now = model.get("in_production")
            instead = f"; version {now} stays in production" if now is not None else "; none is in production"
        out.print(
            inset(
                Text.assemble(
                    mark("succeeded" if promoted else "refused"), f" version {model['version']} {model['decision']}{instead}"
                )
            )
        )
    if model.get("gates"):
        out.print(inset(gates(model["gates"]), 4))


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _candidates(model: Document) -> Table:
    rows = grid("left", "left", "right", "left", "fill")
    places = places_of(model["candidates"])
    highest = max((candidate["score"] for candidate in model["candidates"] if candidate["score"] is not None), default=0) or 1
    for candidate in model["candidates"]:
        note = "chosen" if candidate["chosen"] else "baseline" if candidate["baseline"] else ""
        style = "bold green" if candidate["chosen"] else "bright_black" if candidate["baseline"] else ""
        bar = "" if candidate["score"] is None or highest <= 0 else "━" * max(round(BAR * max(candidate["score"], 0) / highest), 1)
        told = (
            Text(f"could not be fitted: {candidate['error']}", style="red") if candidate.get("error") else Text(note, style=style)
        )
        rows.add_row(
            Text("●" if candidate["chosen"] else "○", style=style),
            Text(candidate["candidate"], style=style),
            Text(score(candidate["score"], candidate["spread"], places), style=style),
            Text(bar, style="green" if candidate["chosen"] else "bright_black"),
            told,
        )
    return rows


def _predictions(document: Document) -> tuple[str, str, Table]:
    rows = grid("left", "right", "left")
    for name, prediction in document["predictions"].items():
        if _state(document, name) == "succeeded":
            rows.add_row(
                name, plural(prediction["rows"], "row"), Text(f"by version {prediction['model_version']}", style="bright_black")
            )
    return "Predictions", "", rows


def _warehouse(document: Document) -> tuple[str, str, Table]:
    rows = grid("left", "right", "fill")
    states = {step["step"]: step["state"] for step in document["steps"]}
    for name, one in document.get("warehouse", {}).items():
        if states.get(f"publish:{name}") == "succeeded":
            zeros = "".join(
                f", zero characters taken out of {count(number)} texts of {column}" for column, number in one["zeros"].items()
            )
            rows.add_row(one["place"], plural(one["rows"], "row"), Text(f"{one['note']}{zeros}", style="bright_black"))
    return "Warehouse", "", rows


def _others(document: Document) -> Iterator[tuple[str, str, Table]]:
    """Yield what nodes of other packages' kinds made, section by section."""
    states = {step["step"].partition(":")[2]: step["state"] for step in document["steps"]}
    for section, lines in document.get("others", {}).items():
        rows = grid("left", "right", "fill")
        for name, line in lines.items():
            if states.get(name) == "succeeded":
                number = line.get("rows")
                rows.add_row(
                    name, "" if number is None else plural(number, "row"), Text(line.get("note") or "", style="bright_black")
                )
        yield section.capitalize(), "", rows


def _times(document: Document) -> tuple[str, str, Table]:
    rows = grid("left", "right", "fill")
    worked = [step for step in document["steps"] if step["state"] in ("succeeded", "failed")]
    longest = max((one["seconds"] for one in worked), default=0.0)
    least = WORTH_A_LINE * sum(one["seconds"] for one in worked)
    shown = [one for one in worked if one["seconds"] >= least and longest > 0]
    for one in shown:
        bar = "█" * round(BAR * one["seconds"] / longest) or "▏"
        rows.add_row(one["step"], duration(one["seconds"]), Text(bar, style="red" if one["state"] == "failed" else "cyan"))
    if left := [one for one in worked if one not in shown]:
        rows.add_row(Text(plural(len(left), "other step"), style="bright_black"), duration(sum(one["seconds"] for one in left)), "")
    return "Time", "", rows


def _not_started(document: Document) -> tuple[str, str, Table]:
    rows = grid("left", "fill")
    for step in document["steps"]:
        if step["state"] == "waiting":
            rows.add_row(step["step"], Text(step["why"] or "", style="bright_black"))
    return "Not started", "", rows


def _section(out: Console, title: str, note: str, part: Table) -> None:
    if part.row_count:
        out.print()
        out.print(heading(title, note))
        out.print(inset(part))


def _told(document: Document, model: str) -> bool:
    """A model that had nothing to do is not told again."""
    return any(
        step["step"] in (f"train:{model}", f"promote:{model}") and step["state"] == "succeeded" for step in document["steps"]
    )


def _state(document: Document, name: str) -> str | None:
    """Return how the step that writes a table ended."""
    names = [f"{kind}:{name}" for kind in steps_where(writes="table")]
    return next((step["state"] for step in document["steps"] if step["step"] in names), None)


def _count(steps: list[Document], state: str) -> int:
    return sum(step["state"] == state for step in steps)
