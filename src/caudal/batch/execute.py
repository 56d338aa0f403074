"""The steps of a run, performed one after another; what became of each is told the ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError

from caudal.batch.measured import rows_measured
from caudal.batch.reasons import lost_versions, reasons
from caudal.batch.retry import Attempts, attempted
from caudal.batch.slow import watched
from caudal.batch.step import State, Step, StepResult, waits
from caudal.batch.tasks import ordered
from caudal.engine.session import has_died
from caudal.errors import CaudalError, StepFailed, Stopped, TimeLimitPassed
from caudal.ledger.faults import ledger_problem
from caudal.ledger.measurements import write_measurements
from caudal.ledger.records import checks, lineages, profiles, steps
from caudal.report.document import rows_learned
from caudal.runtime.faults import DYING_S, is_of_java, translate_machine_error
from caudal.runtime.lifecycle import end
from caudal.runtime.workspace import Workspace


@dataclass
class RunState:
    """How each step stands: what the tasks of one run write on and Luigi asks."""

    done: dict[str, StepResult] = field(default_factory=dict)
    failed: dict[str, CaudalError] = field(default_factory=dict)
    waiting: dict[str, StepResult] = field(default_factory=dict)
    stopped: Stopped | None = None

    @property
    def error(self) -> CaudalError | None:
        """The first failure, or that the run was asked to stop."""
        return next(iter(self.failed.values()), self.stopped)


def execute(ws: Workspace, plan: Sequence[Step]) -> RunState:
    """Do the steps in order of need and return how each ended; steps behind a failed one are not started."""
    run_state = RunState()
    for name, problem in ordered(ws, plan, run_state, perform).items():
        run_state.failed[name] = problem
        step = next(one for one in plan if one.name == name)
        _tell(ws, step, "failed", None, error=problem.as_dict())
        ws.progress.finished(
            name, "failed", rows_read=None, rows_written=None, quarantined=None, seconds=0.0, why=problem.sentence()
        )
    for step in plan:
        if step.name not in run_state.done and step.name not in run_state.failed and step.name not in run_state.waiting:
            why = "the run was asked to stop" if run_state.stopped else _why(step, plan, run_state)
            run_state.waiting[step.name] = waits(why)
            _tell(ws, step, "waiting", None, detail={"why": why})
            ws.progress.finished(step.name, "waiting", rows_read=None, rows_written=None, quarantined=None, seconds=0.0, why=why)
    return run_state


def _why(step: Step, plan: Sequence[Step], run_state: RunState) -> str:
    """Return why a step was not started: the first cause, not the step just before it."""
    by_name = {one.name: one for one in plan}
    before, behind = [step.name], set[str]()
    while before:
        name = before.pop()
        if name in run_state.failed:
            return "a step before it failed"
        behind |= {name} & run_state.waiting.keys()
        before += [need for need in by_name[name].needs if need in by_name]
    return f"waits for {next(one.name for one in plan if one.name in behind)}"


def perform(ws: Workspace, step: Step, run_state: RunState) -> None:
    """Do one step, tell the ledger and the board."""
    ws.progress.started(step.name)
    began, clock = ws.clock(), time.perf_counter()
    attempts = Attempts()

    def failed(problem: CaudalError) -> None:
        run_state.failed[step.name] = problem
        _tell(
            ws, step, "failed", None, seconds=time.perf_counter() - clock, began=began, error=problem.as_dict(),
            detail=_told(attempts) or None, broken=getattr(problem, "checks", ()),
        )  # fmt: skip

    def hung(problem: TimeLimitPassed) -> None:
        if ws.process is not None:  # a Python that hangs can only be ended with its process; what follows is told first
            failed(problem)
            end(ws, problem)
            ws.process.end(problem)

    try:
        last = ws.ledger.last_success(ws.product.name, step.name)
        if (lost := lost_versions(ws, step, last)) is not None:
            again = "is made again" if ws.version(step.subject) is None else "is compared with its inputs again"
            ws.progress.noted(f"'{step.subject}' {again}: {lost}.")
        with watched(ws, step):
            done = attempted(ws, step, attempts, hung)
    except Exception as error:
        problem = as_problem(error, step)
        seconds = time.perf_counter() - clock
        failed(problem)
        ws.progress.finished(
            step.name, "failed", rows_read=None, rows_written=None, quarantined=None, seconds=seconds, why=problem.sentence()
        )
        _revive(ws, step, error)
        return
    seconds = time.perf_counter() - clock
    because = reasons(ws, step, done, last, lost)
    done = replace(done, detail={**done.detail, **_told(attempts), **because})
    (run_state.waiting if done.state == "waiting" else run_state.done)[step.name] = done
    try:
        _tell(ws, step, done.state, done, seconds=seconds, began=began)
    except DBAPIError as error:  # what the step has published, the next run finds
        run_state.done.pop(step.name, None)
        run_state.failed[step.name] = ledger_problem(error, step.name)
        raise run_state.failed[step.name] from None
    ws.progress.finished(
        step.name,
        "refused" if done.detail.get("decision") == "refused" else done.state,
        rows_read=done.rows_read,
        rows_written=done.rows_written,
        quarantined=done.rows_quarantined,
        seconds=seconds,
        why=done.why or _result(done) or because.get("changed"),
    )


def _revive(ws: Workspace, step: Step, error: BaseException) -> None:
    """Start Spark anew, once in a run, when a step has ended its Java process: the steps that do not need that one go on."""
    if ws.revived or "spark" not in ws.__dict__ or not has_died(within_s=DYING_S if is_of_java(error) else 0.0):
        return
    ws.revived = True
    ws.restart_spark()
    ws.progress.noted(f"Spark's Java process ended in step '{step.name}'; the other steps go on with a new one.")


def _told(attempts: Attempts) -> dict[str, Any]:
    return {"attempts": attempts.failed} if attempts.failed else {}


def as_problem(error: Exception, step: Step) -> CaudalError:
    """Return any exception as one of ours: what went wrong in which step, without a stack trace."""
    if isinstance(error, CaudalError):
        error.facts.setdefault("step", step.name)
        return error
    return translate_machine_error(error, step.name) or StepFailed(
        f"Step '{step.name}' failed: {type(error).__name__}: {_first_line(error)}", step=step.name
    )


def _tell(
    ws: Workspace, step: Step, state: State, done: StepResult | None, *, seconds: float = 0.0, began: float | None = None,
    error: dict[str, object] | None = None, detail: dict[str, object] | None = None, broken: Sequence[dict[str, object]] = (),
) -> None:  # fmt: skip
    """Write a step's end, with its checks, its profile and its figures, into the ledger: all of it or nothing."""
    row: dict[str, object] = {
        "run_id": ws.run_id, "product": ws.product.name, "step": step.name, "kind": step.kind, "name": step.subject, "state": state,
        "started_at": began, "finished_at": ws.clock(), "seconds": round(seconds, 4), "error": error, "detail": detail,
    }  # fmt: skip
    if done is not None:
        row |= {
            "fingerprint": done.fingerprint, "inputs": dict(done.inputs), "output_version": done.output_version, "rows_read": done.rows_read,
            "rows_written": done.rows_written, "rows_quarantined": done.rows_quarantined, "partitions": done.partitions,
            "detail": dict(done.detail),
        }  # fmt: skip
    about = {"run_id": ws.run_id, "product": ws.product.name, "table": step.subject}
    found = broken if done is None else done.checks if done.state == "succeeded" else ()
    lineage = None if done is None or done.state != "succeeded" else done.lineage
    if lineage is not None:
        known = ws.ledger.find(lineages, product=ws.product.name, table=step.subject, newest=True, limit=1)
        lineage = None if known and known[0]["document"] == lineage else lineage
    with ws.ledger.engine.begin() as connection:
        connection.execute(insert(steps).values(row))
        if done is not None:
            write_measurements(connection, list(rows_measured(ws, step, done)))
        if done is not None and lineage is not None:
            connection.execute(insert(lineages).values({**about, "version": done.output_version, "document": dict(lineage)}))
        if found:
            connection.execute(insert(checks), [{**about, **one} for one in found])
        if done is not None and done.state == "succeeded" and done.profile is not None:
            connection.execute(insert(profiles).values({**about, "version": done.output_version, **done.profile}))


def _result(done: StepResult) -> str | None:
    """Return what training and deciding came to, in words."""
    if "decision" in done.detail:
        return f"version {done.detail['version']} {done.detail['decision']}"
    return rows_learned(done.detail) if "chosen" in done.detail else None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
