"""What happened when something was broken: figures, a line of time, and what its numbers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caudal.compare.report.blocks import Block, DataTable, Heading, Paragraph, Plot
from caudal.compare.report.language import ReportLanguage
from caudal.compare.report.plots import timeline_plot

if TYPE_CHECKING:
    from caudal.report.documents.comparison import CompareDocument, InjectedFaultDocument

_MOST_EVENTS = 24
_FIGURES = (
    ("work", "work_s"), ("undisturbed", "undisturbed_s"), ("recovery", "recovery_s"), ("commands", "commands"), ("recomputed", "recomputed_ms"),
    ("failed_tasks", "failed_tasks"), ("stages", "resubmitted_stages"), ("executors", "executors_lost"), ("lost", "rows_lost"), ("doubled", "rows_doubled"),
)  # fmt: skip


def fault_blocks(document: CompareDocument, language: ReportLanguage) -> list[Block]:
    """Return what each fault did on each platform."""
    if not document["faults"]:
        return [Paragraph(language.text("faults.none"))]
    applied = [fault for fault in document["faults"] if fault["state"] != "not applicable"]
    blocks: list[Block] = []
    if applied:
        columns = ["", *(f"{fault['fault']}, {fault['platform']}" for fault in applied)]
        rows = [
            [language.text(f"faults.{name}"), *(language.figure(figure, fault[figure]) for fault in applied)]  # type: ignore[literal-required]
            for name, figure in _FIGURES
        ]
        blocks.append(DataTable(columns, rows, frozenset(range(1, len(columns)))))
        blocks.append(Paragraph(language.text("faults.note"), soft=True))
    for fault in document["faults"]:
        blocks.append(Heading(language.text("faults.line", fault=fault["fault"], platform=fault["platform"], state=fault["state"])))
        if fault["why"]:
            blocks.append(Paragraph(fault["why"]))
        if fault["timeline"]:
            blocks += _timeline(fault, language)
    return blocks


def _timeline(fault: InjectedFaultDocument, language: ReportLanguage) -> list[Block]:
    events = sorted(fault["timeline"], key=lambda event: event["at_s"])
    if len(events) > _MOST_EVENTS:  # what tells of the fault itself stays
        important = {"fault", "recovered", "end", "executor_lost", "attempt"}
        others = [event for event in events if event["kind"] not in important]
        left_out = others[max(_MOST_EVENTS - (len(events) - len(others)), 0) :]
        events = [event for event in events if event not in left_out]
    at_s, recovery_s = fault["at_s"], fault["recovery_s"]
    shaded = None if at_s is None or recovery_s is None else (at_s, at_s + recovery_s)
    end_s = max([*(event["at_s"] for event in events), fault["work_s"] or 0.0, shaded[1] if shaded else 0.0])
    inner, height = timeline_plot(
        [(max(event["at_s"], 0.0), event["kind"]) for event in events], end_s, shaded, lambda value: language.figure("of_s", value)
    )
    rows = [
        [str(number), language.figure("of_s", max(event["at_s"], 0.0)), event["what"]] for number, event in enumerate(events, 1)
    ]
    label = "; ".join(f"{at} {what}" for _, at, what in rows)
    columns = ["", language.text("column.at"), language.text("column.what")]
    return [Plot(inner, height, label), DataTable(columns, rows, frozenset({0, 1}))]
