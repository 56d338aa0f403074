"""The closing summary of a run, from its document: rows in, rows set aside, tables, models, time."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from caudal.report.figures import duration, plural
from caudal.report.registered import terminal_sections
from caudal.report.run_document import RunDocument, StepDocument
from caudal.report.terminal.console import console, heading, mark


def print_summary(document: RunDocument, to: Console | None = None) -> None:
    """Print what a run did."""
    out = to or console()
    out.print()
    out.print(_title(document))
    if document["state"] != "up to date":
        for section in terminal_sections():
            for part in section.terminal(document):
                out.print()
                out.print(heading(part.title, part.note))
                for line in part.lines:
                    out.print(line)
    if page := document.get("page"):
        out.print()
        out.print(Text.assemble(("Page  ", "bold"), page), soft_wrap=True)


def _title(document: RunDocument) -> Text:
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


def _count(steps: list[StepDocument], state: str) -> int:
    return sum(step["state"] == state for step in steps)
