"""The work on one platform: repetitions that are measured, and repetitions that are broken."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.compare.attempt import Attempt, WorkOrder
from caudal.compare.event_log import EventLog, read_event_log
from caudal.compare.fault import BrokenWork, Fault
from caudal.compare.log_totals import totals
from caudal.compare.platform import RunningPlatform
from caudal.compare.published import published_tables
from caudal.compare.resources import Resources
from caudal.compare.ui_check import check_against_ui
from caudal.errors import NotThere

if TYPE_CHECKING:
    from caudal.report.documents.comparison import RepetitionDocument, TimelineEvent

MOST_COMMANDS = 4
"""Commands that a broken work may take; it is not recovered then."""
_AFTER = 0.5  # of the undisturbed work, when a fault strikes


@dataclass
class Ordered:
    """A repetition that is to be done.

    Parameters
    ----------
    order : what is done
    messages : the folder of a home's streams, which the work reads; None for runs
    place : a folder of this repetition alone, which keeps its home, logs and result
    limit_s : seconds until work that does not end is stopped
    """

    order: WorkOrder
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
            shutil.copytree(self.messages, self.home / "streams", ignore=shutil.ignore_patterns("lock"))


@dataclass
class Done:
    """A repetition that was done: its document, and the event log that it rests on."""

    document: RepetitionDocument
    log: EventLog | None


@dataclass
class Broken:
    """A work that was broken.

    Parameters
    ----------
    struck_at : when the fault struck, seconds since 1970; None where the work ended before
    back_at : when results came again
    """

    state: str
    why: str | None
    work_s: float
    struck_at: float | None
    back_at: float | None
    work_began_at: float
    commands: int
    rows_lost: int | None = None
    rows_doubled: int | None = None
    logs: list[EventLog] = field(default_factory=list)
    timeline: list[TimelineEvent] = field(default_factory=list)


def repeat(ordered: Ordered, running: RunningPlatform) -> Done:
    """Do the work once and measure it."""
    ordered.fill_home()
    attempt = Attempt(ordered.order, running, ordered.place / "work", ordered.home)
    attempt.start()
    state, why = "done", None
    try:
        with Resources(lambda: [*([attempt.process.pid] if attempt.process else []), *running.processes()]) as used:
            if not attempt.wait(time.monotonic() + ordered.limit_s):
                state, why = "stopped", f"It did not end within {ordered.limit_s:.0f} s."
                attempt.stop()
    except BaseException:
        attempt.kill()
        raise
    result = attempt.result()
    if state == "done" and (not result or result["state"] != "done"):
        state, why = "failed", result.get("why") or f"Its process ended: {attempt.last_line()}"
    log = _log(attempt)
    return Done(
        {
            "number": ordered.number, "warm_up": ordered.warm_up, "cores": running.platform.cores, "share": ordered.share, "state": state, "why": why,
            "began_at": result.get("began_at", attempt.started_at), "start_s": _rounded(result.get("start_s")), "work_s": _rounded(result.get("work_s")),
            "total_s": round(attempt.total_s, 3), "cpu_s": round(used.cpu_s, 2), "peak_memory_bytes": used.peak_bytes, "rows": result.get("rows"),
            "steps": result.get("steps", []), "totals": None if log is None else totals(log), "event_log": None if log is None else str(log.path),
            "ui_check": None if log is None else check_against_ui(log, attempt.ui_file), "latency": result.get("latency"),
            "tables": published_tables(ordered.home) if state == "done" else {},
        },
        log,
    )  # fmt: skip


def break_work(
    ordered: Ordered, running: RunningPlatform, fault: Fault, undisturbed_s: float, against_truth: Callable[[Path], tuple[int, int]]
) -> Broken:  # fmt: skip
    """Do the work, break it in the middle, and give its command again until it is done.

    Parameters
    ----------
    undisturbed_s : seconds that the work takes without a fault
    against_truth : returns the rows that the tables of a home lack, and those that they have beyond
    """
    timeline: list[TimelineEvent] = []
    began: list[float] = []

    def note(kind: str, what: str) -> None:
        timeline.append({"at_s": time.time(), "kind": kind, "what": what})

    with fault.prepared(ordered.home):
        ordered.fill_home()
        struck_at: float | None = None
        logs: list[EventLog] = []
        until = time.monotonic() + ordered.limit_s
        for number in range(MOST_COMMANDS):
            attempt = Attempt(
                ordered.order, running, ordered.place / f"work-{number + 1}", ordered.home, fault.spark(running.platform),
                fault.environment() if struck_at is not None else {},
            ).start()  # fmt: skip
            work = BrokenWork(attempt, running, ordered.home, note)
            try:
                note("attempt", "the command was given" if number == 0 else "the same command was given again")
                if struck_at is None and fault.strikes:
                    struck_at = _strike(work, fault, undisturbed_s, until, began)
                ended = attempt.wait(until)
            except BaseException:
                attempt.kill()
                raise
            if not began and attempt.moments():
                began.append(_began(attempt))
            if not ended:
                attempt.stop()
                return _broken(
                    "not recovered",
                    f"It did not end within {ordered.limit_s:.0f} s.",
                    struck_at,
                    None,
                    began,
                    number + 1,
                    logs,
                    timeline,
                )
            if (log := _log(attempt)) is not None:
                logs.append(log)
            result = attempt.result()
            if result.get("state") == "done":
                note("end", "the work is done")
                back = _back_at(attempt, logs, struck_at)
                broken = _broken("recovered", None, struck_at, back, began, number + 1, logs, timeline)
                broken.rows_lost, broken.rows_doubled = against_truth(ordered.home)
                return broken
            note("process_ended", result.get("why") or "the process of the work ended")
            fault.mend(work)
        why = f"It was not done after {MOST_COMMANDS} commands: {result.get('why') or attempt.last_line()}"
        return _broken("not recovered", why, struck_at, None, began, MOST_COMMANDS, logs, timeline)


def _strike(work: BrokenWork, fault: Fault, undisturbed_s: float, until: float, began: list[float]) -> float | None:
    """Wait for the middle of the work and break it; return when, or None where the work ended before."""
    first = work.attempt.wait_for("work begins", until=until)
    if first is None:
        return None
    began.append(first)
    if not work.platform.platform.lacks and work.attempt.wait_for("engine started", "work ends", until=until) is None:
        return None
    if work.attempt.wait(time.monotonic() + _AFTER * undisturbed_s) or work.attempt.wait_for("work ends", until=0) is not None:
        return None
    struck_at = time.time()
    fault.strike(work)
    return struck_at


def _began(attempt: Attempt) -> float:
    return next((float(each["at"]) for each in attempt.moments() if each["event"] == "work begins"), attempt.started_at)


def _broken(
    state: str, why: str | None, struck_at: float | None, back_at: float | None, began: list[float], commands: int, logs: list[EventLog],
    timeline: list[TimelineEvent],
) -> Broken:  # fmt: skip
    start = began[0] if began else timeline[0]["at_s"]
    for log in logs:
        timeline += [{"at_s": each.at_ms / 1000, "kind": each.kind, "what": each.what} for each in log.incidents]
        timeline += [
            {"at_s": stage.submitted_ms / 1000, "kind": "stage_resubmitted", "what": f"stage {number}, attempt {attempt}"}
            for (number, attempt), stage in log.stages.items()
            if attempt and stage.submitted_ms is not None
        ]
    events: list[TimelineEvent] = [
        {**event, "at_s": round(event["at_s"] - start, 3)} for event in sorted(timeline, key=lambda each: each["at_s"])
    ]
    return Broken(state, why, time.time() - start, struck_at, back_at, start, commands, logs=logs, timeline=events)


def _back_at(attempt: Attempt, logs: list[EventLog], struck_at: float | None) -> float | None:
    """Return when results came again after the fault: the end of the first stage that was submitted after it, else the end of the work."""
    if struck_at is None:
        return None
    ends = [
        stage.completed_ms / 1000
        for log in logs
        for stage in log.stages.values()
        if stage.failure is None and stage.submitted_ms is not None and stage.completed_ms is not None and stage.submitted_ms / 1000 > struck_at
    ]  # fmt: skip
    ended = next((float(each["at"]) for each in attempt.moments() if each["event"] == "work ends"), time.time())
    return min(ends, default=ended)


def _log(attempt: Attempt) -> EventLog | None:
    file = attempt.event_log()
    if file is None:
        return None
    try:
        return read_event_log(file)
    except NotThere:  # the process died before Spark wrote an event
        return None


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def counted(documents: list[RepetitionDocument]) -> list[RepetitionDocument]:
    """Return the repetitions that figures rest on: done, no warm-up, of the whole data."""
    return [each for each in documents if each["state"] == "done" and not each["warm_up"] and each["share"] == 1.0]


def measures(repetition: RepetitionDocument) -> Mapping[str, float]:
    """Return a repetition's measures by name."""
    found: dict[str, Any] = {name: repetition[name] for name in ("start_s", "work_s", "total_s", "cpu_s", "peak_memory_bytes")}
    if repetition["rows"] and repetition["work_s"]:
        found["rows_per_s"] = repetition["rows"] / repetition["work_s"]
    return {name: float(value) for name, value in {**found, **(repetition["totals"] or {})}.items() if value is not None}


Say = Callable[[str], None]
"""Takes a sentence for people, as the comparison goes on."""
