"""Steps → Luigi tasks, one class for all of them. Luigi orders them; a step runs only if all that it needs succeeded.

Everything runs in one process: forked workers and a Spark session do not mix.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from caudal.errors import CaudalError, StepFailed
from caudal.lake.records import checks, lineages, profiles, steps
from caudal.run.step import Done, State, Step, waits
from caudal.run.workspace import Workspace


@dataclass
class Board:
    """How each step stands: what the tasks of one run write on and Luigi asks."""

    done: dict[str, Done] = field(default_factory=dict)
    failed: dict[str, CaudalError] = field(default_factory=dict)
    waiting: dict[str, Done] = field(default_factory=dict)

    @property
    def error(self) -> CaudalError | None:
        """The first failure."""
        return next(iter(self.failed.values()), None)


def execute(ws: Workspace, plan: Sequence[Step]) -> Board:
    """Do the steps in order of need and return how each ended; steps behind a failed one are not started."""
    board = Board()
    with _quiet_luigi() as luigi:
        tasks = _tasks(luigi, ws, plan, board)
        # Its handler of SIGUSR1 can be installed by the main thread only, and a run may be another's (a stream that trains).
        luigi.configuration.get_config().set("worker", "no_install_shutdown_handler", "true")
        luigi.build(list(tasks.values()), workers=1, local_scheduler=True, no_lock=True, log_level="CRITICAL")
    for step in plan:
        if step.name not in board.done and step.name not in board.failed and step.name not in board.waiting:
            why = _why(step, plan, board)
            board.waiting[step.name] = waits(why)
            _tell(ws, step, "waiting", None, detail={"why": why})
            ws.progress.finished(step.name, "waiting", rows_read=None, rows_written=None, quarantined=None, seconds=0.0, why=why)
    return board


def _why(step: Step, plan: Sequence[Step], board: Board) -> str:
    """Return why a step was not started: the first cause, not the step just before it."""
    by_name = {one.name: one for one in plan}
    before, behind = [step.name], set[str]()
    while before:
        name = before.pop()
        if name in board.failed:
            return "a step before it failed"
        behind |= {name} & board.waiting.keys()
        before += [one for one in by_name[name].needs if one in by_name]
    return f"waits for {next(one.name for one in plan if one.name in behind)}"


def perform(ws: Workspace, step: Step, board: Board) -> None:
    """Do one step, tell the ledger and the board."""
    ws.progress.started(step.name)
    began, clock = ws.clock(), time.perf_counter()
    try:
        done = step.work(ws)
    except Exception as error:
        problem = as_problem(error, step)
        board.failed[step.name] = problem
        seconds = time.perf_counter() - clock
        _tell(
            ws, step, "failed", None, seconds=seconds, began=began, error=problem.as_dict(), broken=getattr(problem, "checks", ())
        )
        ws.progress.finished(
            step.name, "failed", rows_read=None, rows_written=None, quarantined=None, seconds=seconds, why=problem.sentence()
        )
        return
    seconds = time.perf_counter() - clock
    (board.waiting if done.state == "waiting" else board.done)[step.name] = done
    _tell(ws, step, done.state, done, seconds=seconds, began=began)
    ws.progress.finished(
        step.name,
        done.state,
        rows_read=done.rows_read,
        rows_written=done.rows_written,
        quarantined=done.rows_quarantined,
        seconds=seconds,
        why=done.why,
    )


def as_problem(error: Exception, step: Step) -> CaudalError:
    """Return any exception as one of ours: what went wrong in which step, without a stack trace."""
    if isinstance(error, CaudalError):
        error.facts.setdefault("step", step.name)
        return error
    from caudal.run.faults import explained

    return explained(error, step.name) or StepFailed(
        f"Step '{step.name}' failed: {type(error).__name__}: {_first_line(error)}", step=step.name
    )


def _tasks(luigi: Any, ws: Workspace, plan: Sequence[Step], board: Board) -> dict[str, Any]:
    """Return one task a step. The class is made here because luigi is imported only when there is work."""
    tasks: dict[str, Any] = {}
    order = {step.name: len(plan) - place for place, step in enumerate(plan)}
    by_name = {step.name: step for step in plan}

    class StepTask(luigi.Task):  # type: ignore[misc]
        """One step of a run."""

        run_id = luigi.Parameter()
        step = luigi.Parameter()

        @property
        def priority(self) -> int:
            return order[self.step]

        def requires(self) -> list[Any]:
            return [tasks[name] for name in by_name[self.step].needs if name in tasks]

        def complete(self) -> bool:
            return self.step in board.done

        def run(self) -> None:
            perform(ws, by_name[self.step], board)
            if self.step in board.failed:
                raise board.failed[self.step]
            if self.step in board.waiting:
                raise RuntimeError(board.waiting[self.step].why)

    for step in plan:
        tasks[step.name] = StepTask(run_id=ws.run_id, step=step.name)
    return tasks


def _tell(
    ws: Workspace, step: Step, state: State, done: Done | None, *, seconds: float = 0.0, began: float | None = None,
    error: dict[str, Any] | None = None, detail: dict[str, Any] | None = None, broken: Sequence[dict[str, Any]] = (),
) -> None:  # fmt: skip
    """Write a step's end, with its checks and its profile, into the ledger: all of it or nothing."""
    from sqlalchemy import insert

    row: dict[str, Any] = {
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
        if done is not None and lineage is not None:
            connection.execute(insert(lineages).values({**about, "version": done.output_version, "document": dict(lineage)}))
        if found:
            connection.execute(insert(checks), [{**about, **one} for one in found])
        if done is not None and done.state == "succeeded" and done.profile is not None:
            connection.execute(insert(profiles).values({**about, "version": done.output_version, **done.profile}))


@contextlib.contextmanager
def _quiet_luigi() -> Iterator[Any]:
    """Import luigi without its warnings and its start-up log lines: the progress display is ours."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import luigi

        for name in ("luigi", "luigi-interface", "luigi.scheduler"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield luigi


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
