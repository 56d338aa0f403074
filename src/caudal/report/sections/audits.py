"""The sections on audits: the chosen candidate's figures of groups, and those between groups for every candidate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from caudal.kinds import AUDIT_METRICS
from caudal.report import charts
from caudal.report.audits import audit_of, name_of_group
from caudal.report.figures import NONE, count_text, plural
from caudal.report.run_document import AuditSummary, RunDocument
from caudal.report.section import RecordedRun, ReportedRun, ReportSection, TerminalPart

if TYPE_CHECKING:
    from rich.console import RenderableType

    from caudal.report.documents.audit import (
        AuditDocument,
        AuditedCandidate,
        BetweenDocument,
        ComparedFigure,
        FigureDocument,
        GroupingDocument,
    )

MOST_COLUMNS = 12
"""Metrics that the page shows of each group."""
SCORES = ("accuracy", "mae", "rmse")
"""The figure of all rows that stands beside the comparisons: what fairness costs."""


class Audits(ReportSection):
    """A section for each audited model of the run."""

    name, order = "audits", 85
    template = """\
{% for audit in audits %}
<section id="audit-{{ loop.index }}">
<h2>Fairness of model {{ audit.model }}</h2>
<p class="soft">Version {{ audit.version }}, {{ audit.candidate }}, on {{ audit.rows }} test rows of all folds, none of which its candidate was fitted to{% if audit.positive is not none %}; the positive class is <code>{{ audit.positive }}</code>{% endif %}. Bars: interval, {{ audit.interval }}. Amber: the interval of the difference from the reference group leaves out 0.{% if audit.small %} Grey: groups under {{ audit.min_rows }} rows, which are not compared.{% endif %}</p>
{% for note in audit.notes %}<p class="soft">{{ note }}</p>{% endfor %}
{% for grouping in audit.groupings %}
<h3>By {{ grouping.title }}</h3>
<div class="scroll"><table class="chart groups">
<thead><tr><th>Group</th><th class="n">Rows</th>{% for metric in grouping.metrics %}<th title="{{ metric.description }}">{{ metric.title }}</th>{% endfor %}</tr></thead>
<tbody>
{% for group in grouping.groups %}
<tr{% if group.small %} class="soft"{% endif %}><td class="name">{{ group.name }}{% if group.small %} <span class="soft">too few rows</span>{% elif group.reference %} <span class="soft">reference</span>{% endif %}</td><td class="n" data-label="Rows">{{ group.rows }}</td>{% for cell in group.cells %}<td class="draw" data-label="{{ cell.title }}" title="{{ cell.hint }}"><span class="figure{% if cell.differs %} differs{% endif %}">{{ cell.text }}</span>{{ cell.chart }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% if grouping.compared %}
<div class="scroll"><table class="chart groups beside">
<thead><tr><th>Candidate</th>{% if grouping.score %}<th class="n">{{ grouping.score }}</th>{% endif %}{% for metric in grouping.compared %}<th title="{{ metric.description }}">{{ metric.title }}</th>{% endfor %}</tr></thead>
<tbody>
{% for candidate in grouping.candidates %}
<tr><td class="name mono">{% if candidate.chosen %}<strong>{{ candidate.name }}</strong>{% else %}{{ candidate.name }}{% endif %}</td>{% if grouping.score %}<td class="n" data-label="{{ grouping.score }}">{{ candidate.score }}</td>{% endif %}{% for cell in candidate.cells %}<td class="draw" data-label="{{ cell.title }}" title="{{ cell.hint }}"><span class="figure">{{ cell.text }}</span>{{ cell.chart }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% endif %}
{% if grouping.others %}
<details><summary>Greatest difference between groups, of every figure</summary>
<div class="scroll"><table>
<thead><tr><th>Figure</th>{% for candidate in grouping.candidates %}<th class="n">{{ candidate.name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for line in grouping.others %}
<tr><td class="name" title="{{ line.description }}">{{ line.title }}</td>{% for cell in line.cells %}<td class="n" data-label="{{ cell.candidate }}" title="{{ cell.hint }}">{{ cell.text }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
</details>
{% endif %}
{% endfor %}
</section>
{% endfor %}
"""

    def document(self, record: RecordedRun) -> dict[str, AuditSummary] | None:
        """Return what lies between groups for each candidate of each model that this run audited; None where it audited none."""
        summaries = {audit["model"]: _summary(audit) for audit in _audits(record)}
        return summaries or None

    def content(self, run: ReportedRun) -> Mapping[str, object] | None:
        """Return each audit with its charts."""
        sections = [audit_section(audit) for audit in _audits(run)]
        return {"audits": sections} if sections else None

    def links(self, content: Mapping[str, object]) -> Iterable[tuple[str, str]]:
        """Return a link to each audit."""
        audits = content["audits"]
        assert isinstance(audits, list)
        return [(f"audit-{number}", f"Fairness of {audit['model']}") for number, audit in enumerate(audits, start=1)]

    def terminal(self, document: RunDocument) -> Iterator[TerminalPart]:
        """Yield the comparisons of each audit that this run made."""
        audited_here = {
            step["step"].partition(":")[2]
            for step in document["steps"]
            if step["step"].startswith("audit:") and step["state"] == "succeeded"
        }
        for model, audit in document.get("audits", {}).items():
            if model in audited_here:
                yield _lines(model, audit)


def _audits(record: RecordedRun) -> Iterator[AuditDocument]:
    """Yield the audits of the versions that the run's steps name, whether made in this run or before."""
    for row in record.steps:
        if row["kind"] == "audit" and row["output_version"] is not None:
            audit = audit_of(record.ledger, record.run["product"], row["name"], row["output_version"])
            if audit is not None:
                yield audit


def _summary(audit: AuditDocument) -> AuditSummary:
    return {
        "version": audit["version"],
        "min_rows": audit["min_rows"],
        "small": _small(_chosen(audit)),
        "candidates": [
            {
                "candidate": candidate["candidate"], "chosen": candidate["chosen"],
                "overall": {name: figure["value"] for name, figure in candidate["overall"].items()},
                "between": {
                    name_of_group(grouping["by"]): {
                        name: {"value": figure["value"], "low": figure["low"], "high": figure["high"]}
                        for name, figure in grouping["between"].items()
                    }
                    for grouping in candidate["groupings"]
                },
            }
            for candidate in audit["candidates"]
        ],
    }  # fmt: skip


def audit_section(audit: AuditDocument) -> dict[str, object]:
    """Return an audit with the chosen candidate's charts, and the comparisons of every candidate."""
    chosen = _chosen(audit)
    return {
        "model": audit["model"], "version": audit["version"], "candidate": chosen["candidate"], "rows": count_text(chosen["rows"]),
        "positive": audit["positive"], "interval": chosen["interval"], "min_rows": audit["min_rows"], "small": _small(chosen),
        "notes": chosen["notes"],
        "groupings": [_grouping(audit, grouping, place) for place, grouping in enumerate(chosen["groupings"])],
    }  # fmt: skip


def _grouping(audit: AuditDocument, grouping: GroupingDocument, place: int) -> dict[str, object]:
    metrics = list(dict.fromkeys(name for group in grouping["groups"] for name in group["figures"]))[:MOST_COLUMNS]
    scales = {name: _scale([group["figures"].get(name) for group in grouping["groups"] if not group["small"]]) for name in metrics}
    between = [(candidate, candidate["groupings"][place]["between"]) for candidate in audit["candidates"]]
    compared = main_comparisons(name for _, of_candidate in between for name in of_candidate)
    score = next(iter(name for name in SCORES if any(name in candidate["overall"] for candidate, _ in between)), None)
    ends = {name: _scale([of_candidate.get(name) for _, of_candidate in between]) for name in compared}
    return {
        "title": name_of_group(grouping["by"]),
        "metrics": [{"title": title_of(name), "description": description_of(name)} for name in metrics],
        "groups": [
            {
                "name": name_of_group(group["group"].values()), "rows": count_text(group["rows"]), "small": group["small"],
                "reference": all(figure["reference"] for figure in group["figures"].values()),
                "cells": [_cell(name, group["figures"].get(name), scales[name], group["small"]) for name in metrics],
            }
            for group in grouping["groups"]
        ],
        "score": None if score is None else title_of(score),
        "compared": [{"title": title_of(name), "description": description_of(name)} for name in compared],
        "candidates": [
            {
                "name": candidate["candidate"], "chosen": candidate["chosen"],
                "score": text_of(candidate["overall"].get(score)) if score is not None else "",
                "cells": [_cell_between(candidate, name, of_candidate.get(name), ends[name]) for name in compared],
            }
            for candidate, of_candidate in between
        ],
        "others": [
            {
                "title": title_of(name), "description": description_of(name),
                "cells": [_cell_between(candidate, name, of_candidate.get(name)) for candidate, of_candidate in between],
            }
            for name in grouping["between"] if name not in compared
        ],
    }  # fmt: skip


def _cell(metric: str, figure: ComparedFigure | None, scale: charts.Scale, small: bool) -> dict[str, object]:
    """Return a group's figure with its chart, and in words what it is beside the reference group."""
    beside = ""
    if figure is not None and figure["difference"] is not None:
        beside = f"; difference from the reference group {_hint(figure['difference'])}"
    elif figure is not None and figure["reference"]:
        beside = "; the reference group"
    differs = figure is not None and figure["differs"]
    kind = "small" if small else "differs" if differs else "chosen"
    return {
        "title": title_of(metric), "text": text_of(figure), "differs": differs, "hint": _hint(figure) + beside,
        "chart": charts.interval(scale, figure, kind, f"{title_of(metric)}: {_hint(figure)}"),
    }  # fmt: skip


def _cell_between(
    candidate: AuditedCandidate, metric: str, figure: BetweenDocument | None, scale: charts.Scale | None = None
) -> dict[str, object]:
    """Return what lies between groups for a candidate, with a chart where a scale is given."""
    groups = f"; least {figure['lowest']}, greatest {figure['highest']}" if figure is not None and figure["lowest"] else ""
    cell: dict[str, object] = {
        "candidate": candidate["candidate"], "title": title_of(metric), "text": text_of(figure), "hint": _hint(figure) + groups,
    }  # fmt: skip
    if scale is not None:
        kind = "chosen" if candidate["chosen"] else "other"
        cell["chart"] = charts.interval(scale, figure, kind, f"{candidate['candidate']}, {title_of(metric)}: {_hint(figure)}")
    return cell


def main_comparisons(names: Iterable[str]) -> list[str]:
    """Return the comparisons that have a name of their own; where there are none, the first differences."""
    compared = list(dict.fromkeys(names))
    return [name for name in compared if name in AUDIT_METRICS] or compared[:3]


def title_of(metric: str) -> str:
    """Return the name of a metric in a table.

    Examples
    --------
    >>> title_of("selection_rate"), title_of("selection_rate_difference"), title_of("of another package")
    ('Selection rate', 'Selection rate, difference', 'of another package')
    """
    if metric in AUDIT_METRICS:
        return str(AUDIT_METRICS[metric].title)
    stem, _, way = metric.rpartition("_")
    return f"{AUDIT_METRICS[stem].title}, {way}" if stem in AUDIT_METRICS else metric


def description_of(metric: str) -> str:
    """Return what a metric is."""
    if metric in AUDIT_METRICS:
        return str(AUDIT_METRICS[metric].description)
    stem, _, way = metric.rpartition("_")
    if stem not in AUDIT_METRICS:
        return ""
    return (
        f"{'greatest difference' if way == 'difference' else 'smallest ratio'} between groups of: {AUDIT_METRICS[stem].description}"
    )


def text_of(figure: FigureDocument | None) -> str:
    """Return a figure with three digits behind the point; a dash where it has no value."""
    if figure is None or figure["value"] is None:
        return NONE
    return (
        f"{round(figure['value'], 3) + 0.0:.3f}" if abs(figure["value"]) < 100 else f"{figure['value']:,.1f}"
    )  # + 0.0: no "-0.000"


def _hint(figure: FigureDocument | None) -> str:
    if figure is None or figure["value"] is None:
        return "no value"
    ends = "" if figure["low"] is None else f" ({figure['low']:.3f} to {figure['high']:.3f})"
    return f"{figure['value']:.4g}{ends}"


def _scale(figures: Iterable[FigureDocument | None]) -> charts.Scale:
    """Return the scale on which the intervals of a metric's groups fit."""
    ends = [end for figure in figures if figure for end in (figure["value"], figure["low"], figure["high"]) if end is not None]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    room = 0.08 * (high - low) or abs(high) * 0.1 or 0.1
    return charts.Scale(low - room, high + room)


def _chosen(audit: AuditDocument) -> AuditedCandidate:
    return next(candidate for candidate in audit["candidates"] if candidate["chosen"])


def _small(candidate: AuditedCandidate) -> int:
    return sum(group["small"] for grouping in candidate["groupings"] for group in grouping["groups"])


def _lines(model: str, audit: AuditSummary) -> TerminalPart:
    from rich.text import Text

    from caudal.report.terminal.console import grid, inset

    groupings = list(dict.fromkeys(name for candidate in audit["candidates"] for name in candidate["between"]))
    score = next(iter(name for name in SCORES if any(name in candidate["overall"] for candidate in audit["candidates"])), None)
    lines: list[RenderableType] = []
    for grouping in groupings:
        compared = main_comparisons(name for candidate in audit["candidates"] for name in candidate["between"][grouping])
        names = [name for name in compared if not name.endswith("_ratio")][:3]
        heads = [
            "" if score is None else f"{title_of(score)} of all",
            *(title_of(name).replace(" difference", "").removesuffix(",") for name in names),
        ]
        rows = grid("left", "left", "right", *("right" for _ in names), "fill")
        rows.add_row("", *(Text(text, style="bright_black") for text in (f"by {grouping}", *heads, "")))
        for candidate in audit["candidates"]:
            style = "bold green" if candidate["chosen"] else ""
            number = candidate["overall"].get(score) if score is not None else None
            cells = [Text(text_of(candidate["between"][grouping].get(name)), style=style) for name in names]
            rows.add_row(
                Text("●" if candidate["chosen"] else "○", style=style), Text(candidate["candidate"], style=style),
                "" if number is None else f"{number:.3f}", *cells, "",
            )  # fmt: skip
        lines.append(inset(rows))
    if audit["small"]:
        lines.append(
            inset(Text(f"{plural(audit['small'], 'group')} under {audit['min_rows']} rows: not compared.", style="bright_black"))
        )
    return TerminalPart(f"Fairness of {model}", lines, "greatest difference between groups")


SECTION = Audits()
