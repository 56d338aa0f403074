"""Performs the steps of a run one after another, and writes the result of each to the ledger."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.exc import DBAPIError

from caudal.batch.reasons import lost_versions, step_reasons
from caudal.batch.retry import Attempts, perform_with_retries
from caudal.batch.run_state import RunState
from caudal.batch.step import Step, StepResult, waits
from caudal.batch.step_rows import write_step
from caudal.batch.tasks import perform_in_order
from caudal.errors import CaudalError, StepFailed, TimeLimitPassed
from caudal.ledger.faults import ledger_problem
from caudal.ledger.rows import StepDetail
from caudal.ledger.trials import DONE
from caudal.report.document import rows_learned
from caudal.runtime.faults import DYING_S, is_java_failure, translate_machine_error
from caudal.runtime.lifecycle import end, observed_step
from caudal.runtime.progress import Progress
from caudal.runtime.run_spark import RunSpark
from caudal.runtime.workspace import Workspace


def execute(ws: Workspace, plan: Sequence[Step]) -> RunState:
    """Perform the steps, each after those that it needs, and return how they ended; a step that needs a failed one is not started."""
    run_state = RunState()
    for name, problem in perform_in_order(ws, plan, run_state, lambda step: perform(ws, step, run_state)).items():
        run_state.failed[name] = problem
        step = next(planned for planned in plan if planned.name == name)
        write_step(ws.record, ws.product, step, "failed", None, error=problem.as_dict())
        ws.reporting.progress.finished(
            name, "failed", rows_read=None, rows_written=None, quarantined=None, seconds=0.0, why=problem.sentence()
        )
    for step in plan:
        if not run_state.has_ended(step.name):
            why = "the run was asked to stop" if run_state.stopped else _reason_not_started(step, plan, run_state)
            run_state.waiting[step.name] = waits(why)
            write_step(ws.record, ws.product, step, "waiting", None, detail={"why": why})
            ws.reporting.progress.finished(
                step.name, "waiting", rows_read=None, rows_written=None, quarantined=None, seconds=0.0, why=why
            )
    return run_state


def _reason_not_started(step: Step, plan: Sequence[Step], run_state: RunState) -> str:
    """Return why a step was not started: the first cause, not the step just before it."""
    by_name = {planned.name: planned for planned in plan}
    before, behind = [step.name], set[str]()
    while before:
        name = before.pop()
        if name in run_state.failed:
            return "a step before it failed"
        behind |= {name} & run_state.waiting.keys()
        before += [need for need in by_name[name].needs if need in by_name]
    return f"waits for {next(planned.name for planned in plan if planned.name in behind)}"


def perform(ws: Workspace, step: Step, run_state: RunState) -> None:
    """Perform one step, and write its result to the ledger and the run's state."""
    ws.reporting.progress.started(step.name)
    began, started_s = ws.record.clock(), time.perf_counter()
    attempts = Attempts()

    def failed(problem: CaudalError) -> None:
        run_state.failed[step.name] = problem
        write_step(
            ws.record, ws.product, step, "failed", None, seconds=time.perf_counter() - started_s, began=began, error=problem.as_dict(),
            detail=_attempts_detail(attempts) or None, broken=getattr(problem, "checks", ()),
        )  # fmt: skip

    def hung(problem: TimeLimitPassed) -> None:
        if ws.request.process is not None:  # Python code that hangs ends only with its process, so the ledger is written first
            failed(problem)
            end(ws, problem)
            ws.request.process.end(problem)

    try:
        last = ws.record.ledger.last_success(ws.product.name, step.name)
        if (lost := lost_versions(ws.tables, step, last)) is not None:
            consequence = "is made again" if ws.tables.version(step.subject) is None else "is compared with its inputs again"
            ws.reporting.progress.noted(f"'{step.subject}' {consequence}: {lost}.")
        with observed_step(ws, step.name):
            result = perform_with_retries(ws, step, attempts, hung)
    except Exception as error:
        problem = as_problem(error, step)
        seconds = time.perf_counter() - started_s
        failed(problem)
        ws.reporting.progress.finished(
            step.name, "failed", rows_read=None, rows_written=None, quarantined=None, seconds=seconds, why=problem.sentence()
        )
        _replace_dead_spark(ws.spark, ws.reporting.progress, step, error)
        return
    seconds = time.perf_counter() - started_s
    explanation = step_reasons(ws.tables, bool(ws.request.days_again), step, result, last, lost)
    result = replace(result, detail={**result.detail, **_attempts_detail(attempts), **explanation})
    (run_state.waiting if result.state == "waiting" else run_state.completed)[step.name] = result
    try:
        write_step(ws.record, ws.product, step, result.state, result, seconds=seconds, began=began)
    except DBAPIError as error:  # what the step has published, the next run finds
        run_state.completed.pop(step.name, None)
        run_state.failed[step.name] = ledger_problem(error, step.name)
        raise run_state.failed[step.name] from None
    ws.reporting.progress.finished(
        step.name,
        "refused" if result.detail.get("decision") == "refused" else result.state,
        rows_read=result.rows_read,
        rows_written=result.rows_written,
        quarantined=result.rows_quarantined,
        seconds=seconds,
        why=result.why or _outcome_sentence(result) or explanation.get("changed"),
    )


def _replace_dead_spark(run_spark: RunSpark, progress: Progress, step: Step, error: BaseException) -> None:
    """Start a new Spark, once a run, when a step has ended Spark's Java process, so that independent steps can continue."""
    if run_spark.replace_dead(within_s=DYING_S if is_java_failure(error) else 0.0):
        progress.noted(f"Spark's Java process ended in step '{step.name}'; the other steps go on with a new one.")


def _attempts_detail(attempts: Attempts) -> StepDetail:
    return {"attempts": attempts.failed} if attempts.failed else {}


def as_problem(error: Exception, step: Step) -> CaudalError:
    """Return any exception as a CaudalError that names the step, without a stack trace."""
    if isinstance(error, CaudalError):
        error.facts.setdefault("step", step.name)
        return error
    return translate_machine_error(error, step.name) or StepFailed(
        f"Step '{step.name}' failed: {type(error).__name__}: {_first_line(error)}", step=step.name
    )


def _outcome_sentence(result: StepResult) -> str | None:
    """Return the outcome of training or of the gates as a phrase; None for other steps."""
    if "decision" in result.detail:
        return f"version {result.detail['version']} {DONE.get(str(result.detail['decision']), result.detail['decision'])}"
    return rows_learned(result.detail) if "chosen" in result.detail else None


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
