"""Work that is broken in its middle, and whose command is given again until it is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.attempt import Attempt
from caudal.compare.event_log import EventLog
from caudal.compare.fault import BrokenWork, Fault
from caudal.compare.platform import Platform, RunningPlatform
from caudal.compare.work import PlannedRepetition, did_not_end, event_log_of

if TYPE_CHECKING:
    from caudal.report.documents.comparison import InjectedFaultDocument, TimelineEvent

MOST_COMMANDS = 4
"""Commands that a broken work may take; it is not recovered then."""
_AFTER = 0.5  # of the undisturbed work, when a fault strikes


@dataclass
class FaultOutcome:
    """How work that was broken went.

    Parameters
    ----------
    began_at : when the work began, seconds since 1970; None before
    struck_at : when the fault struck; None where the work ended before, or the fault holds from the beginning
    back_at : when results came again
    """

    state: str = "not recovered"
    why: str | None = None
    began_at: float | None = None
    struck_at: float | None = None
    back_at: float | None = None
    ended_at: float | None = None
    commands: int = 0
    rows_lost: int | None = None
    rows_doubled: int | None = None
    logs: list[EventLog] = field(default_factory=list)
    notes: list[tuple[float, str, str]] = field(default_factory=list)

    def note(self, kind: str, what: str) -> None:
        """Add a sentence to the time line."""
        self.notes.append((time.time(), kind, what))

    def timeline(self) -> list[TimelineEvent]:
        """Return what happened, by the notes and by what Spark's event logs say, in its order."""
        events = [*self.notes]
        for log in self.logs:
            events += [(each.at_ms / 1000, each.kind, each.what) for each in log.incidents]
            events += [
                (stage.submitted_ms / 1000, "stage_resubmitted", f"stage {number}, attempt {attempt}")
                for (number, attempt), stage in log.stages.items()
                if attempt and stage.submitted_ms is not None
            ]
        start = self._start()
        return [
            {"at_s": round(at - start, 3), "kind": kind, "what": what}
            for at, kind, what in sorted(events, key=lambda each: each[0])
        ]

    def document(self, fault: Fault, platform: Platform, undisturbed_s: float) -> InjectedFaultDocument:
        """Return the outcome as a part of the comparison."""
        resubmitted = [stage for log in self.logs for (_, attempt), stage in log.stages.items() if attempt]
        stages = [stage for log in self.logs for stage in log.stages.values()]
        lost_ms = sum(log.lost_ms for log in self.logs) + sum(stage.sums["run_ms"] for stage in resubmitted)
        logged = bool(self.logs)
        start = self._start()
        return {
            "fault": fault.name, "platform": platform.text, "state": self.state, "why": self.why,
            "at_s": None if self.struck_at is None else round(self.struck_at - start, 3),
            "work_s": None if self.ended_at is None else round(self.ended_at - start, 3), "undisturbed_s": undisturbed_s,
            "recovery_s": None if self.struck_at is None or self.back_at is None else round(self.back_at - self.struck_at, 3),
            "commands": self.commands,
            # What a process that died would have computed is not known.
            "recomputed_ms": lost_ms if logged and self.commands == 1 else None,
            "failed_tasks": sum(stage.failed + stage.killed for stage in stages) if logged else None,
            "resubmitted_stages": len(resubmitted) if logged else None,
            "executors_lost": sum(each.kind == "executor_lost" for log in self.logs for each in log.incidents) if logged else None,
            "rows_lost": self.rows_lost, "rows_doubled": self.rows_doubled, "timeline": self.timeline(),
            "event_logs": [str(log.path) for log in self.logs],
        }  # fmt: skip

    def _start(self) -> float:
        return self.began_at if self.began_at is not None else self.notes[0][0]


def break_work(
    planned: PlannedRepetition, running: RunningPlatform, fault: Fault, undisturbed_s: float, against_truth: Callable[[Path], tuple[int, int]]
) -> FaultOutcome:  # fmt: skip
    """Do the work, break it in the middle, and give its command again until it is done.

    Parameters
    ----------
    undisturbed_s : seconds that the work takes without a fault
    against_truth : returns the rows that the tables of a home lack, and those that they have beyond
    """
    outcome, reason = FaultOutcome(), ""
    with fault.prepared(planned.home):
        planned.fill_home()
        until = time.monotonic() + planned.limit_s
        while outcome.commands < MOST_COMMANDS:
            attempt = _command(planned, running, fault, outcome)
            work = BrokenWork(attempt, running, planned.home, outcome.note)
            try:
                if outcome.struck_at is None and fault.strikes:
                    _strike(work, fault, undisturbed_s, until, outcome)
                ended = attempt.wait(until)
            except BaseException:
                attempt.kill()
                raise
            if outcome.began_at is None:
                outcome.began_at = attempt.moment("work begins")
            if not ended:
                attempt.stop()
            if (log := event_log_of(attempt)) is not None:
                outcome.logs.append(log)
            outcome.ended_at = time.time()
            result = attempt.result()
            if not ended:
                outcome.why = did_not_end(planned)
                return outcome
            if result.get("state") == "done":
                _note_end(outcome, attempt, fault)
                outcome.rows_lost, outcome.rows_doubled = against_truth(planned.home)
                return outcome
            reason = result.get("why") or attempt.last_line()
            outcome.note("process_ended", result.get("why") or "the process of the work ended")
            fault.mend(work)
        outcome.why = f"It was not done after {MOST_COMMANDS} commands: {reason}"
        return outcome


def _command(planned: PlannedRepetition, running: RunningPlatform, fault: Fault, outcome: FaultOutcome) -> Attempt:
    """Give the command, and return its process."""
    outcome.commands += 1
    again = outcome.commands > 1
    attempt = Attempt(
        planned.order, running, planned.place / f"work-{outcome.commands}", planned.home, fault.spark(running.platform),
        fault.environment() if again else {},
    )  # fmt: skip
    outcome.note("attempt", "the same command was given again" if again else "the command was given")
    return attempt.start()


def _strike(work: BrokenWork, fault: Fault, undisturbed_s: float, until: float, outcome: FaultOutcome) -> None:
    """Wait for the middle of the work and break it, unless the work ends before."""
    attempt, kind = work.attempt, work.platform.platform
    outcome.began_at = attempt.wait_for("work begins", until=until)
    if outcome.began_at is None:
        return
    if kind.writes_event_log and attempt.wait_for("engine started", "work ends", until=until) is None:
        return
    if attempt.wait(time.monotonic() + _AFTER * undisturbed_s) or attempt.moment("work ends") is not None:
        return
    outcome.struck_at = time.time()
    fault.strike(work)


def _note_end(outcome: FaultOutcome, attempt: Attempt, fault: Fault) -> None:
    outcome.note("end", "the work is done")
    if fault.strikes and outcome.struck_at is None:
        outcome.state, outcome.why = "not applicable", "The work had ended before the fault struck: give it more data."
        return
    outcome.state = "recovered"
    outcome.ended_at = attempt.moment("work ends") or time.time()
    if outcome.struck_at is not None:
        outcome.back_at = _back_at(outcome.logs, outcome.struck_at, outcome.ended_at)


def _back_at(logs: list[EventLog], struck_at: float, ended_at: float) -> float:
    """Return when results came again after the fault: the end of the first stage that was submitted after it, else the end of the work."""
    ends = [
        stage.completed_ms / 1000
        for log in logs
        for stage in log.stages.values()
        if stage.failure is None and stage.completed_ms is not None and (stage.submitted_ms or 0) / 1000 > struck_at
    ]
    return min(ends, default=ended_at)
