"""The documents of ``caudal measures`` on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from caudal.inspection.shown import bytes_text
from caudal.report.terminal.console import console, grid, heading, inset

if TYPE_CHECKING:
    from caudal.report.documents.measures import DifferencesDocument, MeasuredStage, MeasuresDocument

_MOST = 40
_SIGNS = {
    "SUCCEEDED": ("✓", "green"),
    "COMPLETE": ("✓", "green"),
    "FAILED": ("✗", "bold red"),
    "RUNNING": ("▸", "cyan"),
    "ACTIVE": ("▸", "cyan"),
}


def print_measures(document: MeasuresDocument, to: Console | None = None, *, environment: bool = False) -> None:
    """Print totals, queries, jobs, stages with skew and stragglers; with ``environment`` the settings too."""
    out = to or console()
    application = document["application"]
    out.print(
        heading(
            application["name"] or "Application",
            f"{application['id']}, Spark {application['spark_version']}, {document['events']} events",
        )
    )
    if document["cut_off"]:
        out.print(Text(f"… Read as far as it goes: {document['cut_off']}.", style="yellow"))
    if document["unreadable_lines"]:
        out.print(Text(f"… {document['unreadable_lines']} lines are no JSON.", style="yellow"))
    lines = grid("left", "right", "left", "right")
    shown = [(name, measure_text(name, value)) for name, value in document["totals"].items() if value]
    for place in range(0, len(shown), 2):
        lines.add_row(*(cell for pair in shown[place : place + 2] for cell in (pair[0], pair[1])))
    out.print(inset(lines))
    _print_jobs(document, out)
    _print_stages(document["stages"], out)
    if environment:
        for part, values in document["environment"].items():
            out.print(heading(part))
            settings = grid("left", "fill")
            for name, value in values.items():
                settings.add_row(name, Text(value))
            out.print(inset(settings))


def _print_jobs(document: MeasuresDocument, out: Console) -> None:
    out.print(heading("Jobs", str(len(document["jobs"]))))
    queries = {query["query"]: query["description"] for query in document["queries"]}
    table = _table("", "job", "time", "stages", "of")
    for job in document["jobs"][:_MOST]:
        sign, style = _SIGNS.get(job["status"], ("?", ""))
        of = job["description"] or (queries.get(job["query"]) if job["query"] is not None else None) or ""
        took = "" if job["duration_ms"] is None else measure_text("_ms", job["duration_ms"])
        table.add_row(
            Text(sign, style=style), str(job["job"]), took, str(len(job["stages"])), Text(_first_line(job["failure"] or of))
        )
    out.print(inset(table))
    _print_rest(len(document["jobs"]), out)


def _print_stages(stages: list[MeasuredStage], out: Console) -> None:
    """Print the times of the stages, then the bytes of those that have any; the terminal is too narrow for one table."""
    longest = sorted(stages, key=lambda stage: -stage["measures"]["run_ms"])
    out.print(heading("Stages", f"{len(stages)}, the longest first"))
    table = _table("", "stage", "time", "tasks", "run", "cpu", "gc", "delay", "skew", "late", "name")
    for stage in longest[:_MOST]:
        sums = stage["measures"]
        sign, style = _SIGNS.get(stage["status"], ("?", ""))
        cells = [
            "" if stage["duration_ms"] is None else measure_text("_ms", stage["duration_ms"]), str(stage["tasks"]),
            *(measure_text(name, sums[name]) for name in ("run_ms", "cpu_ns", "gc_ms", "scheduler_delay_ms")),
            "" if stage["skew"] is None else f"{stage['skew']:.1f}", str(stage["stragglers"] or ""),
        ]  # fmt: skip
        table.add_row(Text(sign, style=style), _number(stage), *cells, Text(_first_line(stage["failure"] or stage["name"])))
    out.print(inset(table))
    _print_rest(len(stages), out)
    names = (
        "input_bytes",
        "output_bytes",
        "shuffle_read_bytes",
        "shuffle_write_bytes",
        "spilled_memory_bytes",
        "spilled_disk_bytes",
    )
    moving = [stage for stage in longest if any(stage["measures"][name] for name in names)]
    out.print(heading("Bytes of the stages", "spill: in memory, and on disk"))
    table = _table("stage", "in", "out", "shuffled in", "shuffled out", "spill", "on disk", left=0)
    for stage in moving[:_MOST]:
        table.add_row(_number(stage), *(bytes_text(stage["measures"][name]) if stage["measures"][name] else "" for name in names))
    out.print(inset(table))
    _print_rest(len(moving), out)


def _number(stage: MeasuredStage) -> str:
    return str(stage["stage"]) if not stage["attempt"] else f"{stage['stage']}.{stage['attempt']}"


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[0][:100]


def print_differences(document: DifferencesDocument, to: Console | None = None) -> None:
    """Print the settings that differ, and the totals side by side."""
    out = to or console()
    for sentence in document["cut_off"]:
        out.print(Text(f"… {sentence}", style="yellow"))
    out.print(heading("Settings that differ", str(len(document["environment"]))))
    table = _table("setting", "here", "there", left=3)
    for row in document["environment"][:_MOST]:
        table.add_row(Text(row["setting"]), Text(row["value"] or "–"), Text(row["other"] or "–"))
    out.print(inset(table))
    _print_rest(len(document["environment"]), out)
    out.print(heading("Totals"))
    table = _table("measure", "here", "there", "ratio", left=1)
    for name, total in document["totals"].items():
        if total["value"] or total["other"]:
            ratio = "" if total["ratio"] is None else f"{total['ratio']:.2f}"
            table.add_row(name, measure_text(name, total["value"]), measure_text(name, total["other"]), ratio)
    out.print(inset(table))


def _table(*columns: str, left: int = 1) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bright_black")
    for place, column in enumerate(columns):
        is_left = place < left or column in ("name", "of")
        table.add_column(
            column, justify="left" if is_left else "right", overflow="fold" if is_left else "ellipsis", no_wrap=not is_left
        )
    return table


def _print_rest(number: int, out: Console) -> None:
    if number > _MOST:
        out.print(inset(Text(f"and {number - _MOST} more (--json)", style="bright_black")))


def measure_text(name: str, value: int) -> str:
    """Return a measure with the unit that its name ends with.

    Examples
    --------
    >>> measure_text("run_ms", 61_400), measure_text("cpu_ns", 1_500_000), measure_text("input_bytes", 2048), measure_text("tasks", 3)
    ('61.4 s', '1.5 ms', '2.0 KiB', '3')
    """
    if name.endswith("_bytes"):
        return bytes_text(value)
    if name.endswith("_ns"):
        return measure_text("_ms", value // 1_000_000) if value >= 10_000_000 else f"{value / 1e6:.1f} ms"
    if name.endswith("_ms"):
        return f"{value / 1000:.1f} s" if value >= 1000 else f"{value} ms"
    return str(value)
