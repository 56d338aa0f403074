"""The status of products: last run, tables with versions, champions."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from caudal.report.figures import age, count_text, duration, plural
from caudal.report.terminal.console import console, grid, heading, inset, mark

if TYPE_CHECKING:
    from caudal.ledger.rows import AtHand
    from caudal.report.documents.status import (
        LastRun,
        ModelStatus,
        ProductStatus,
        PublicationStatus,
        StatusDocument,
        StreamsStatus,
        TableStatus,
        UpStatus,
    )


def print_status(document: StatusDocument, to: Console | None = None, now: float | None = None) -> None:
    """Print the document of ``caudal status``.

    Parameters
    ----------
    document : ``{home, products: [{product, last_run, tables, models}]}``
    now : float, seconds since 1970; the clock's when left out
    """
    out = to or console()
    if not document["products"]:
        out.print(f"No product has run in {document['home']}. Run one with: caudal run FOLDER")
        return
    at = time.time() if now is None else now
    for index, product in enumerate(document["products"]):
        if index:
            out.print()
        _product(product, at, out)


def _product(product: ProductStatus, now: float, out: Console) -> None:
    last = product["last_run"]
    if last is None:
        out.print(heading(product["product"], "has not run yet"))
        if up := product.get("up"):
            out.print(inset(_up(up, now)))
        return
    out.print(
        Text.assemble(
            mark(last.get("outcome") or last["state"]),
            " ",
            (product["product"], "bold"),
            f"  last run {_last_run_sentence(last, now)}",
        )
    )
    if error := last.get("error"):
        out.print(inset(Text(str(error.get("what", "")), style="red")))
    if at_hand := last.get("at_hand"):
        out.print(inset(_running_step(at_hand, now)))
    details = Text(f"{last['run_id']}" + (f"  {last['page']}" if last.get("page") else ""), style="bright_black")
    out.print(inset(details), soft_wrap=True)
    if product["tables"]:
        out.print()
        out.print(inset(_tables(product["tables"])))
    if product.get("warehouse"):
        out.print()
        out.print(inset(_warehouse(product["warehouse"])))
    for section, results in product.get("others", {}).items():
        out.print()
        out.print(inset(_others(section, results)))
    if up := product.get("up"):
        out.print()
        out.print(inset(_up(up, now)))
    for alert in product.get("alerts", ()):
        next_try = (
            "given up"
            if alert["next_at"] is None
            else f"tried again in {duration(max(0.0, alert['next_at'] - now))}, by the next run"
        )
        warning = f"not told: {alert['title']}, to {alert['to']}: {alert['error']} (tried {alert['attempts']}×, {next_try})"
        out.print(inset(Text(warning, style="yellow")))
    for sentence in product.get("breached", ()):
        out.print(inset(Text(sentence, style="red")))
    if streams := product.get("streams"):
        out.print()
        out.print(inset(_streams(streams, now)))
    if product["models"]:
        out.print()
        out.print(inset(_models(product["models"], now)))


def _last_run_sentence(last: LastRun, now: float) -> str:
    if last["state"] == "running":
        return f"is at work, begun {age(now - last['started_at'])}"
    words = {"abandoned": "was cut off"}.get(last["state"], last.get("outcome") or last["state"])
    ended = last["finished_at"] if last["finished_at"] is not None else last["started_at"]
    took = f", took {duration(last['seconds'])}" if last["state"] != "abandoned" else ""
    return f"{words} {age(now - ended)}{took}"


def _running_step(step: AtHand, now: float) -> Text:
    """Return the running step with its time so far and its usual duration."""
    usual = f"; {duration(step['expected_s'])} is usual" if step["expected_s"] is not None else ""
    return Text(f"{step['step']} for {duration(round(now - step['since']))}{usual}", style="yellow" if step["slow"] else "")


def _tables(tables: list[TableStatus]) -> Table:
    rows = grid("left", "left", "right", "right", "right", "left")
    rows.show_header = True
    for column, name in zip(rows.columns, ("table", "kind", "version", "rows", "quarantined", "last changed"), strict=True):
        column.header = Text(name, style="bright_black")
    for table in tables:
        kind = {"read": "source", "predict": "prediction"}.get(table["kind"], table["kind"])
        quarantined = table.get("quarantined") or 0
        rows.add_row(
            table["table"],
            Text(kind, style="bright_black"),
            count_text(table["version"]),
            count_text(table["rows"]),
            Text(count_text(quarantined), style="yellow" if quarantined else "bright_black"),
            age(table["age_s"]),
        )
    return rows


def _warehouse(published: list[PublicationStatus]) -> Table:
    rows = grid("left", "right", "left")
    rows.show_header = True
    for column, name in zip(rows.columns, ("in the warehouse", "version", "published"), strict=True):
        column.header = Text(name, style="bright_black")
    for publication in published:
        rows.add_row(publication["place"] or publication["name"], count_text(publication["version"]), age(publication["age_s"]))
    return rows


def _others(section: str, results: Sequence[Mapping[str, Any]]) -> Table:
    """Return the last results of nodes whose kind another package brings."""
    rows = grid("left", "right", "left", "fill")
    rows.show_header = True
    for column, name in zip(rows.columns, (section, "rows", "made", ""), strict=True):
        column.header = Text(name, style="bright_black")
    for result in results:
        number, note = result.get("rows"), Text(result.get("note") or "", style="bright_black")
        rows.add_row(result["name"], "" if number is None else count_text(number), age(result["age_s"]), note)
    return rows


def _up(up: UpStatus, now: float) -> Table:
    rows = grid("left", "fill")
    words = {"new": "waiting", "taken": "at work", "done": "done", "failed": "failed"}
    counts = [f"{number:,} {words[state]}" for state, number in up["events"].items() if number]
    rows.add_row("events", ", ".join(counts) or "none yet")
    if up["failed"]:
        rows.add_row("", Text(f"{up['failed']['subject']}: {up['failed']['why']}", style="red"))
    for schedule in up["schedules"]:
        if schedule["next_at"] is None:
            rows.add_row(schedule["trigger"], "never again")
        elif schedule["next_at"] < now:
            rows.add_row(
                schedule["trigger"], Text(f"was due {age(now - schedule['next_at'])}: is caudal up running?", style="yellow")
            )
        else:
            at = datetime.fromtimestamp(schedule["next_at"]).strftime("%Y-%m-%d %H:%M:%S")
            rows.add_row(schedule["trigger"], f"next {at}, in {duration(round(schedule['next_at'] - now))}")
    return rows


_FRESH_S = 5.0  # older rates and latencies are not shown


def _streams(streams: StreamsStatus, now: float) -> Table:
    rows = grid("left", "left", "fill")
    for name, source in streams["sources"].items():
        state = (
            Text("streaming", style="green")
            if streams["running"]
            else Text(f"stopped {age(now - source['at'])}", style="bright_black")
        )
        figures = [f"{source['readings']:,} readings"]
        if streams["running"] and now - source["at"] < _FRESH_S:
            figures += [
                f"{source['per_s']:,.0f} a second",
                f"p95 {duration(source['p95_s'])}" if source["p95_s"] is not None else "",
            ]
        figures += [f"{source[kind]:,} {kind}" for kind in ("late", "duplicates", "unreadable") if source[kind]]
        rows.add_row(name, state, ", ".join(figure for figure in figures if figure))
    return rows


def _models(models: list[ModelStatus], now: float) -> Table:
    rows = grid("left", "left", "fill")
    for model in models:
        versions = Text(plural(model["versions"], "version"), style="bright_black")
        if model["champion"] is None:
            rows.add_row(Text(model["model"]), versions, Text("none in production", style="yellow"))
            continue
        since = f", since {age(now - model['since'])}".replace("since just now", "just now") if model["since"] is not None else ""
        champion = Text.assemble(
            ("version " + str(model["champion"]), "green"),
            f" ({model['candidate']}) in production{since.replace(' ago', '').replace('since ', 'for ')}",
        )
        rows.add_row(Text(model["model"]), versions, champion)
    return rows
