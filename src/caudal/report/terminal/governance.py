"""Traces, search results, retention and erasure on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from caudal.report.figures import plural, size, time_text, value
from caudal.report.terminal.console import console, grid, heading, inset
from caudal.report.terminal.tables import table

if TYPE_CHECKING:
    from caudal.report.documents.governance import RetainDocument

_STATES = {"verified": ("✓", "green"), "changed": ("✗", "bold red"), "missing": ("✗", "bold red")}


def print_trace(document: Mapping[str, Any], to: Console | None = None) -> None:
    """Print the tables, models and files that rows come from, nearest first."""
    out = to or console()
    for hop in document["hops"]:
        count = "rows not told" if hop["rows"] is None else plural(hop["rows"], "row")
        bound = "" if hop["rows"] is None or hop["exact"] else " at most"
        out.print(heading(f"{hop['table']} version {hop['version']}: {count}{bound}"))
        lines = grid("left", "fill")
        lines.add_row(Text("how", style="bright_black"), Text(hop["how"]))
        for run in hop["made_by"]:
            reads = ", ".join(f"{name} {number}" for name, number in (run["inputs"] or {}).items())
            origin = f"{run['run_id']}, {time_text(run['at'])}" + (f", from {reads}" if reads else "")
            lines.add_row(Text("made by", style="bright_black"), Text(origin))
        if hop.get("could_hold") is not None:
            lines.add_row(
                Text("could hold", style="bright_black"),
                Text(f"{plural(hop['could_hold'], 'row')} in {plural(len(hop['files']), 'file')}"),
            )
        out.print(inset(lines))
        if hop["sample"]:
            columns = [name for name in hop["sample"][0] if not name.startswith("_")][:8]
            table(hop["sample"], columns, out)
        out.print()
    for model in document["models"]:
        _model(model, out)
    for file in document["files"]:
        glyph, style = _STATES.get(file["state"], ("?", "yellow"))
        file_line = Text.assemble((f"{glyph} {file['state']} ", style), f"{file.get('from') or file.get('name')}")
        if file.get("sha256"):
            file_line.append(
                f"  sha256 {file['sha256'][:16]}…, {size(file['bytes'])}, landed {time_text(file['landed_at'])}",
                style="bright_black",
            )
        out.print(file_line)


def _model(model: Mapping[str, Any], out: Console) -> None:
    out.print(heading(f"model {model['model']} version {model['version']}"))
    if model.get("unknown"):
        out.print(model["unknown"])
        return
    training = model["training"]
    files = sum(len(file) for file in training["raw_files"].values())
    lines = grid("left", "fill")
    facts = {
        "candidate": model["candidate"], "trained": f"{time_text(model['created_at'])} by {model['run_id']}",
        "on": f"{plural(training['rows'], 'row')} of {training['table']} version {training['version']}, {training['from']} to {training['until']}, made of {plural(files, 'raw file')}",
        "artifact": f"{model['artifact']}, sha256 {model['artifact_sha256'][:16]}…",
    }  # fmt: skip
    for name, fact in facts.items():
        lines.add_row(Text(name, style="bright_black"), Text(str(fact)))
    for decision in model["decisions"]:
        lines.add_row(
            Text(decision["decision"], style="bright_black"),
            Text(f"{time_text(decision['at'])} by {decision['who']}: {decision['reason']}"),
        )
    out.print(inset(lines))
    out.print()


def print_records(records: Sequence[Mapping[str, object]], columns: Sequence[str], to: Console | None = None) -> None:
    """Print rows under their column names."""
    table([{name: value(record.get(name)) for name in columns} for record in records], columns, to)


def retention(document: RetainDocument, to: Console | None = None) -> None:
    """Print what retention deletes, and what it keeps although its time is over."""
    out = to or console()
    if document["going"]:
        table(
            [{**item, "bytes": size(item["bytes"])} for item in document["going"]],
            ("kind", "table", "name", "why", "files", "bytes", "rows"),
            out,
        )
    rows = sum(item["rows"] for item in document["going"])
    total = f"{plural(document['files'], 'file')}, {size(document['bytes'])}" + (
        f", {plural(rows, 'row')} of the ledger" if rows else ""
    )
    if not document["going"]:
        out.print("Nothing is older than its time.")
    elif document["done"]:
        out.print(f"Deleted: {total}.")
    else:
        out.print(f"Would go: {total}. Nothing was touched; --yes deletes it.")
    for version in document["protected"]:
        out.print(Text(f"stays: {version['table']} version {version['version']} ({version['why']})", style="bright_black"))


def erasure(document: Mapping[str, Any], to: Console | None = None) -> None:
    """Print which files hold a person's rows, or that they are erased."""
    out = to or console()
    search = document.get("before", document)
    if search["places"]:
        table(search["places"], ("kind", "name", "file", "rows", "current"), out)
    for model in search["models"]:
        out.print(Text(f"learned from it: {model['model']} version {model['version']}", style="yellow"))
    for origin in search["origins"]:
        out.print(Text(f"outside of the lake, not touched: {origin}", style="yellow"))
    for place in search["not_searched"]:
        out.print(Text(f"not searched: {place}", style="yellow"))
    for sentence in search.get("stays", ()):
        out.print(Text(f"stays: {sentence}", style="yellow"))
    if document["done"]:
        searched = " where it could be searched" if document["after"]["not_searched"] else ""
        learned = " but what the models named above have learned from it" if search["models"] else ""
        out.print(f"Erased: nothing of the subject is left{searched}{learned}. The proof: {document['page']}")
    elif search["places"]:
        out.print("Nothing was touched; --yes erases it.")
    else:
        earlier = "".join(
            f" Erased before: {erasure_run['erasure']}, {time_text(erasure_run['at'])}." for erasure_run in document["earlier"]
        )
        out.print(f"Nothing of the subject was found in {sum(search['searched'].values())} files.{earlier}")
