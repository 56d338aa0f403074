"""The work on one platform: repetitions that are measured."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.attempt import Attempt, WorkOrder
from caudal.compare.event_log import EventLog, read_event_log
from caudal.compare.log_totals import totals
from caudal.compare.messages import link_messages
from caudal.compare.platform import RunningPlatform
from caudal.compare.published import published_tables
from caudal.compare.resources import Resources
from caudal.compare.ui_check import check_against_ui
from caudal.errors import NotThere

if TYPE_CHECKING:
    from caudal.report.documents.comparison import RepetitionDocument


@dataclass
class PlannedRepetition:
    """A repetition that is to be done.

    Parameters
    ----------
    order : what is done
    product : its name
    messages : the logs that the work reads, one folder a source; None where it reads no log
    place : a folder of this repetition alone, which keeps its home, logs and result
    limit_s : seconds until work that does not end is stopped
    """

    order: WorkOrder
    product: str
    messages: Path | None
    place: Path
    number: int
    warm_up: bool
    limit_s: float
    share: float = 1.0

    @property
    def home(self) -> Path:
        """The home of the work."""
        return self.place / "home"

    def fill_home(self) -> None:
        """Give the home the messages that the work reads."""
        if self.messages is not None:
            link_messages(self.messages, self.home / "streams" / self.product)


@dataclass
class MeasuredRepetition:
    """A repetition that was done: its document, and the event log that it rests on."""

    document: RepetitionDocument
    log: EventLog | None


def repeat(planned: PlannedRepetition, running: RunningPlatform) -> MeasuredRepetition:
    """Do the work once and measure it."""
    planned.fill_home()
    place = planned.place / "work"
    own = Attempt(planned.order, running, place, planned.home)
    attempt = own if running.attempt is None else running.attempt(planned.order, place, planned.home)
    attempt.start()
    state, why = "done", None
    try:
        with Resources(lambda: [*([attempt.process.pid] if attempt.process else []), *running.processes()]) as used:
            if not attempt.wait(time.monotonic() + planned.limit_s):
                state, why = "stopped", did_not_end(planned)
                attempt.stop()
    except BaseException:
        attempt.kill()
        raise
    result = attempt.result()
    if state == "done" and (not result or result["state"] != "done"):
        state, why = "failed", result.get("why") or f"Its process ended: {attempt.last_line()}"
    log = event_log_of(attempt)
    return MeasuredRepetition(
        {
            "number": planned.number, "warm_up": planned.warm_up, "cores": running.platform.cores, "share": planned.share, "state": state, "why": why,
            "began_at": result.get("began_at", attempt.started_at), "start_s": _rounded(result.get("start_s")), "work_s": _rounded(result.get("work_s")),
            "total_s": round(attempt.total_s, 3), "cpu_s": None if running.platform.is_service else round(used.cpu_s, 2),
            "peak_memory_bytes": None if running.platform.is_service else used.peak_bytes, "rows": result.get("rows"),
            "steps": result.get("steps", []), "totals": None if log is None else totals(log), "event_log": None if log is None else str(log.path),
            "ui_check": None if log is None else check_against_ui(log, attempt.ui_file), "latency": result.get("latency"),
            "tables": published_tables(planned.home) if state == "done" else {},
        },
        log,
    )  # fmt: skip


def did_not_end(planned: PlannedRepetition) -> str:
    """Return the sentence for work that ran past its limit."""
    return f"It did not end within {planned.limit_s:.0f} s."


def event_log_of(attempt: Attempt) -> EventLog | None:
    """Return what the event log of an attempt says; None where Spark wrote none, or died before its first event."""
    file = attempt.event_log()
    if file is None:
        return None
    try:
        return read_event_log(file)
    except NotThere:
        return None


def measures(repetition: RepetitionDocument) -> Mapping[str, float]:
    """Return a repetition's measures by name."""
    values: dict[str, float | int | None] = {
        "start_s": repetition["start_s"], "work_s": repetition["work_s"], "total_s": repetition["total_s"], "cpu_s": repetition["cpu_s"],
        "peak_memory_bytes": repetition["peak_memory_bytes"],
    }  # fmt: skip
    if repetition["rows"] and repetition["work_s"]:
        values["rows_per_s"] = repetition["rows"] / repetition["work_s"]
    return {name: float(value) for name, value in {**values, **(repetition["totals"] or {})}.items() if value is not None}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
