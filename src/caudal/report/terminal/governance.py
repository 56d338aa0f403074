"""Where rows come from, what a search found, what is to go: shown on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from caudal.report.figures import moment, plural, size, value
from caudal.report.terminal.console import console, grid, heading, inset
from caudal.report.terminal.tables import table

if TYPE_CHECKING:
    from caudal.report.documents.governance import RetainDocument

_STATES = {"verified": ("✓", "green"), "changed": ("✗", "bold red"), "missing": ("✗", "bold red")}


def trace(told: Mapping[str, Any], to: Console | None = None) -> None:
    """Print where rows come from, nearest first."""
    out = to or console()
    for hop in told["hops"]:
        count = "rows not told" if hop["rows"] is None else plural(hop["rows"], "row")
        sure = "" if hop["rows"] is None or hop["exact"] else " at most"
        out.print(heading(f"{hop['table']} version {hop['version']}: {count}{sure}"))
        lines = grid("left", "fill")
        lines.add_row(Text("how", style="bright_black"), Text(hop["how"]))
        for one in hop["made_by"]:
            reads = ", ".join(f"{name} {number}" for name, number in (one["inputs"] or {}).items())
            said = f"{one['run_id']}, {moment(one['at'])}" + (f", from {reads}" if reads else "")
            lines.add_row(Text("made by", style="bright_black"), Text(said))
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
    for model in told["models"]:
        _model(model, out)
    for file in told["files"]:
        glyph, style = _STATES.get(file["state"], ("?", "yellow"))
        line = Text.assemble((f"{glyph} {file['state']} ", style), f"{file.get('from') or file.get('name')}")
        if file.get("sha256"):
            line.append(
                f"  sha256 {file['sha256'][:16]}…, {size(file['bytes'])}, landed {moment(file['landed_at'])}", style="bright_black"
            )
        out.print(line)


def _model(model: Mapping[str, Any], out: Console) -> None:
    out.print(heading(f"model {model['model']} version {model['version']}"))
    if model.get("unknown"):
        out.print(model["unknown"])
        return
    learned = model["training"]
    files = sum(len(file) for file in learned["raw_files"].values())
    lines = grid("left", "fill")
    said = {
        "candidate": model["candidate"], "trained": f"{moment(model['created_at'])} by {model['run_id']}",
        "on": f"{plural(learned['rows'], 'row')} of {learned['table']} version {learned['version']}, {learned['from']} to {learned['until']}, made of {plural(files, 'raw file')}",
        "artifact": f"{model['artifact']}, sha256 {model['artifact_sha256'][:16]}…",
    }  # fmt: skip
    for name, one in said.items():
        lines.add_row(Text(name, style="bright_black"), Text(str(one)))
    for decision in model["decisions"]:
        lines.add_row(
            Text(decision["decision"], style="bright_black"),
            Text(f"{moment(decision['at'])} by {decision['who']}: {decision['reason']}"),
        )
    out.print(inset(lines))
    out.print()


def rows(found: Sequence[Mapping[str, object]], columns: Sequence[str], to: Console | None = None) -> None:
    """Print rows under their names."""
    table([{name: value(one.get(name)) for name in columns} for one in found], columns, to)


def retention(told: RetainDocument, to: Console | None = None) -> None:
    """Print what goes and what stays although its time is over."""
    out = to or console()
    if told["going"]:
        table(
            [{**one, "bytes": size(one["bytes"])} for one in told["going"]], ("kind", "table", "name", "why", "files", "bytes"), out
        )
    total = f"{plural(told['files'], 'file')}, {size(told['bytes'])}"
    if not told["going"]:
        out.print("Nothing is older than its time.")
    elif told["done"]:
        out.print(f"Deleted: {total}.")
    else:
        out.print(f"Would go: {total}. Nothing was touched; --yes deletes it.")
    for one in told["protected"]:
        out.print(Text(f"stays: {one['table']} version {one['version']} ({one['why']})", style="bright_black"))


def erasure(told: Mapping[str, Any], to: Console | None = None) -> None:
    """Print where a person's rows lie, or that they are gone."""
    out = to or console()
    found = told.get("before", told)
    if found["places"]:
        table(found["places"], ("kind", "name", "file", "rows", "current"), out)
    for model in found["models"]:
        out.print(Text(f"learned from it: {model['model']} version {model['version']}", style="yellow"))
    for origin in found["origins"]:
        out.print(Text(f"outside of the lake, not touched: {origin}", style="yellow"))
    for one in found["not_searched"]:
        out.print(Text(f"not searched: {one}", style="yellow"))
    for stay in found.get("stays", ()):
        out.print(Text(f"stays: {stay}", style="yellow"))
    if told["done"]:
        out.print(
            f"Erased: nothing of the subject is left{' where it could be searched' if told['after']['not_searched'] else ''}. The proof: {told['page']}"
        )
    elif found["places"]:
        out.print("Nothing was touched; --yes erases it.")
    else:
        earlier = "".join(f" Erased before: {one['erasure']}, {moment(one['at'])}." for one in told["earlier"])
        out.print(f"Nothing of the subject was found in {sum(found['searched'].values())} files.{earlier}")
