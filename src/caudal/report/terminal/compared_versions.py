"""Two versions of a model side by side on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from caudal.report.documents import ModelCompareDocument
from caudal.report.figures import number_text, time_text
from caudal.report.terminal.console import console, grid, heading, inset
from caudal.report.terminal.tables import gates
from caudal.report.trials import WORDS, seen_lines


def print_compared_versions(document: ModelCompareDocument, to: Console | None = None) -> None:
    """Print the scores of two versions, and what was seen of both in a trial."""
    out, versions, trial = to or console(), document["versions"], document["trial"]
    out.print(heading(f"{document['product']} {document['model']}"))
    rows = grid("left", *("right" for _ in versions))
    rows.add_row("", *(Text(f"version {each['version']}", style="bold") for each in versions))
    rows.add_row(_name("state"), *(each["state"] for each in versions))
    rows.add_row(_name("candidate"), *(each["candidate"] for each in versions))
    for metric in dict.fromkeys(name for each in versions for name in each["metrics"]):
        scores = [each["metrics"].get(metric) for each in versions]
        if any(score is not None for score in scores):
            rows.add_row(_name(metric), *("" if score is None else number_text(score) for score in scores))
    rows.add_row(_name("training rows"), *(f"{each['training_rows']:,}" for each in versions))
    rows.add_row(_name("trained on rows until"), *(each["training_until"] or "" for each in versions))
    out.print(inset(rows))
    if trial is None:
        return
    out.print()
    kind = "shadow" if trial["decision"] == "shadow" else f"canary, {trial['share']:.4g} of the keys ({trial['by']})"
    state = "on trial" if trial["is_open"] else "was on trial"
    out.print(heading(f"Version {trial['version']} {state} ({kind}) since {time_text(trial['at'])}, by {trial['who']}"))
    if not trial["seen"]:
        out.print(inset(Text("Nothing is seen yet: servers write what they have seen once a minute.")))
        return
    rows = grid("left", *("right" for _ in trial["seen"]))
    rows.add_row("", *(Text(f"version {each['version']} {WORDS[each['role']]}", style="bold") for each in trial["seen"]))
    for line in seen_lines(trial["seen"]):
        rows.add_row(_name(line["name"]), *line["values"])
    out.print(inset(rows))
    if trial["gate"] is not None:
        out.print(inset(gates([trial["gate"]])))


def _name(text: str) -> Text:
    return Text(text, style="bright_black")
