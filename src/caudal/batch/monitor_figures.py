"""The figures of a monitor as the ledger keeps them, and what is said of those in alarm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from caudal.batch.monitor_counts import Counted, arrow_schema
from caudal.ledger.monitored import KeptFigure
from caudal.ledger.rows import AlarmDocument
from caudal.stages.monitor.count import Windowed
from caudal.stages.monitor.watch import Series
from caudal.stages.monitor.windows import instant
from caudal.storage import delta


def kept_figures(series: Iterable[Series], windowed: Windowed, tz: str) -> Iterator[KeptFigure]:
    """Yield the judged figures of all windows that have one, as the ledger keeps them."""
    for entry in series:
        needed = None if entry.rule.fixed is not None else 1 / entry.rule.alpha
        for start, figure, verdict, version in zip(entry.starts, entry.figures, entry.verdicts, entry.versions, strict=True):
            if figure.value is None:
                continue
            begin, end = float(start), float(start)
            if windowed.event_time is not None:
                begin, end = instant(start, tz), instant(start + windowed.window_s, tz)
            yield KeptFigure(
                entry.metric, entry.column, dict(entry.group), begin, end, figure.value, figure.rows, verdict.state, verdict.low,
                verdict.high, round(verdict.evidence, 6), needed, version,
            )  # fmt: skip


def alarms_of(figures: Sequence[KeptFigure], changed: Sequence[KeptFigure]) -> Iterator[AlarmDocument]:
    """Yield the figures whose newest window is in alarm, where this run has judged it anew."""
    judged_now = {(figure.key, figure.start) for figure in changed}
    newest: dict[object, KeptFigure] = {}
    for figure in figures:
        if figure.key not in newest or figure.start >= newest[figure.key].start:
            newest[figure.key] = figure
    for figure in newest.values():
        if figure.state == "alarm" and (figure.key, figure.start) in judged_now:
            yield {"figure": figure.label, "what": _sentence(figure)}


def _sentence(figure: KeptFigure) -> str:
    together = ": the last windows, each of them usual, have shifted together"
    return f"{figure.label} is {figure.value:.4g}{beyond_threshold(figure) or together}"


def beyond_threshold(figure: KeptFigure) -> str:
    """Return the threshold that a figure lies beyond, as the end of a sentence; empty where it lies within both: an alarm may be of windows that have shifted together."""
    if figure.high is not None and figure.value > figure.high:
        return f", above {figure.high:.4g}"
    if figure.low is not None and figure.value < figure.low:
        return f", below {figure.low:.4g}"
    return ""


def schema_changes(counted: Counted, version: delta.Version, table: str) -> Iterator[AlarmDocument]:
    """Yield the counted columns that a table has no more, or has with another type."""
    types = {name: str(kind) for name, kind in arrow_schema(version).items() if not name.startswith("_")}
    for name in sorted(counted.columns):
        if name not in types:
            yield {"figure": f"column {name}", "what": f"column '{name}' has vanished from '{table}'"}
        elif types[name] != counted.types[name]:
            yield {
                "figure": f"column {name}",
                "what": f"column '{name}' of '{table}' is {types[name]} now, and was {counted.types[name]}",
            }


def monitor_note(windows: int, figures: Sequence[KeptFigure], alarms: Sequence[AlarmDocument]) -> str:
    """Return a sentence about what was counted, and what is in alarm."""
    return f"{windows} window{'' if windows == 1 else 's'} counted; {outcome_of(figures, alarms)}."


def outcome_of(figures: Sequence[KeptFigure], alarms: Sequence[AlarmDocument]) -> str:
    """Return what follows from the figures, in words."""
    if alarms:
        return "; ".join(alarm["what"] for alarm in alarms)
    return "no alarm" if figures else "nothing to compare yet"
