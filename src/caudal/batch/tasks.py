"""Luigi tasks of steps, one class for all of them. Luigi orders them; a step runs only if all steps that it needs succeeded.

Everything runs in one process: forked workers and a Spark session do not mix. The order is that of Luigi's own scheduler, or of the
central one (the setting ``luigi``), whose page shows the graph. A source may come after the user's Luigi tasks.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import luigi

from caudal.batch.run_state import RunState
from caudal.batch.step import Step
from caudal.errors import DeclarationProblem, EnvironmentProblem, StepFailed, Stopped
from caudal.runtime.progress import Progress
from caudal.runtime.run_record import RunRecord
from caudal.runtime.run_request import RunRequest
from caudal.runtime.workspace import Workspace
from caudal.secret import Address, shown

PORT = 8082  # luigid's own
_ANSWER_S = 5.0
_FAILED: dict[str, Exception] = {}  # failed tasks of the user, by Luigi's name
_listening = False


Perform = Callable[[Step], None]


def perform_in_order(ws: Workspace, plan: Sequence[Step], run_state: RunState, perform: Perform) -> dict[str, StepFailed]:
    """Perform each step after those that it needs, and return the errors of steps that a failed task of the user has blocked."""
    with _import_luigi_quietly() as luigi:
        for step in plan:
            user_tasks(step)  # raises for what is no task, before any step runs
        _FAILED.clear()
        central = _central_scheduler(ws.settings.luigi, ws.reporting.progress)
        run_task = _task(luigi, ws.record, ws.request, plan, run_state, perform)
        settings = luigi.configuration.get_config()
        # Its handler of SIGUSR1 can be installed by the main thread only, and a run may be in another (a stream that trains).
        settings.set("worker", "no_install_shutdown_handler", "true")
        if central is not None:
            settings.set("core", "rpc-retry-wait", "1")
            with contextlib.suppress(luigi.rpc.RPCError):
                _build(luigi, run_task, local_scheduler=False, scheduler_url=central)
        if central is None or _steps_remain(plan, run_state):  # the central scheduler is gone: the remaining steps are ordered here
            _build(luigi, run_task, local_scheduler=True, worker_scheduler_factory=_single_worker_scheduler(luigi))
        return _blocked_by_user_tasks(plan, run_state)


def _build(luigi: Any, run_task: Any, **scheduler: Any) -> None:
    luigi.build([run_task], workers=1, no_lock=True, log_level="CRITICAL", **scheduler)


def _single_worker_scheduler(luigi: Any) -> Any:
    """Return a factory of schedulers for one worker in this process.

    Luigi's own scheduler, made for many workers, counts waiting tasks and looks for dead workers each time that it is asked for a step,
    which takes longer with each step of the graph.
    """

    class SingleWorkerScheduler(luigi.scheduler.Scheduler):  # type: ignore[misc]
        """A scheduler of one worker that does not stay when there is nothing to do."""

        def count_pending(self, worker: str) -> dict[str, Any]:
            state = self._state.get_worker(worker).state
            return {
                "n_pending_tasks": 0,
                "n_unique_pending": 0,
                "n_pending_last_scheduled": 0,
                "worker_state": state,
                "running_tasks": [],
            }

    class Factory(luigi.interface._WorkerSchedulerFactory):  # type: ignore[misc]
        """Luigi's factory, with that scheduler."""

        def create_local_scheduler(self) -> Any:
            return SingleWorkerScheduler(prune_on_get_work=False, record_task_history=False)

    return Factory()


def _task(luigi: Any, record: RunRecord, request: RunRequest, plan: Sequence[Step], run_state: RunState, perform: Perform) -> Any:
    """Return a task that requires the tasks of all steps. The classes are made here because luigi is imported only when there is work."""
    tasks: dict[str, Any] = {}
    order = {step.name: len(plan) - place for place, step in enumerate(plan)}
    by_name = {step.name: step for step in plan}

    class StepTask(luigi.Task):  # type: ignore[misc]
        """One step of a run."""

        task_namespace = record.product_name
        step_of_caudal = True
        run_id = luigi.Parameter()
        step = luigi.Parameter()

        @property
        def priority(self) -> int:
            return order[self.step]

        def requires(self) -> list[Any]:
            step = by_name[self.step]
            return [tasks[name] for name in step.needs if name in tasks] + user_tasks(step)

        def complete(self) -> bool:
            return self.step in run_state.completed

        def run(self) -> None:
            if request.stop_requested:
                run_state.stopped = run_state.stopped or Stopped(
                    f"Stopped before step '{self.step}', as was asked.", fix="The same command goes on from there."
                )
                raise run_state.stopped
            if self.step not in run_state.failed:
                perform(by_name[self.step])
            if self.step in run_state.failed:
                raise run_state.failed[self.step]
            if self.step in run_state.waiting:
                raise RuntimeError(run_state.waiting[self.step].why)

    class Run(luigi.WrapperTask):  # type: ignore[misc]
        """All steps of a run as one task: Luigi traverses everything below each task that it is given."""

        task_namespace = record.product_name
        step_of_caudal = True
        run_id = luigi.Parameter()

        def requires(self) -> list[Any]:
            needed = {need for step in plan for need in step.needs}
            return [task for name, task in tasks.items() if name not in needed]

    for step in plan:
        tasks[step.name] = StepTask(run_id=record.run_id, step=step.name)
    return Run(run_id=record.run_id)


def user_tasks(step: Step) -> list[Any]:
    """Return the user's Luigi tasks that come before a step; functions are called for theirs."""
    tasks = []
    for behind in step.behind:
        task = behind() if callable(behind) and not isinstance(behind, luigi.Task) else behind
        if not isinstance(task, luigi.Task):
            raise DeclarationProblem(
                f"'{step.subject}' is to come after {task!r}, which is no Luigi task.",
                fix="Give after=MyTask(...), or a function that returns one.",
            )
        tasks.append(task)
    return tasks


def _steps_remain(plan: Sequence[Step], run_state: RunState) -> bool:
    """Return whether a step remains that could be performed."""
    if run_state.stopped is not None or _FAILED:
        return False
    return any(not run_state.has_ended(step.name) and all(need in run_state.completed for need in step.needs) for step in plan)


def _blocked_by_user_tasks(plan: Sequence[Step], run_state: RunState) -> dict[str, StepFailed]:
    problems = {}
    for step in plan:
        if not step.behind or run_state.has_ended(step.name) or run_state.stopped:
            continue
        missing = [task for task in user_tasks(step) if not task.complete()]
        if missing:
            culprit, error = next(iter(_FAILED.items()), (str(missing[0]), None))
            why = f"failed: {type(error).__name__}: {error}" if error is not None else "did not become complete"
            problems[step.name] = StepFailed(
                f"Luigi's task {culprit}, which comes before '{step.name}', {why}.", step=step.name, task=culprit
            )
    return problems


def _central_scheduler(address: str | None, progress: Progress) -> str | None:
    """Return the central scheduler's address, or None where none is set or it does not answer: the run goes on without it."""
    if not address:
        return None
    url = scheduler_url(address)
    scheduler, shown_url = Address(url), shown(url)
    request = urllib.request.Request(f"{scheduler.bare}/api/task_list?data=%7B%7D")
    if scheduler.user:
        login = base64.b64encode(f"{scheduler.user}:{scheduler.password.reveal() if scheduler.password else ''}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        raise EnvironmentProblem(
            f"What answers at {shown_url} is no Luigi scheduler: {error.code} {error.reason}.",
            fix="Check the setting luigi (CAUDAL_LUIGI).",
        ) from None
    except OSError:
        progress.noted(f"Luigi's scheduler at {shown_url} does not answer; the steps are ordered here.")
        return None
    return url


def scheduler_url(address: str) -> str:
    """Return the address of Luigi's scheduler as a complete URL.

    Examples
    --------
    >>> scheduler_url("luigi.example.org"), scheduler_url("http://127.0.0.1:9000/")
    ('http://luigi.example.org:8082', 'http://127.0.0.1:9000')
    """
    parts = urlsplit(address if "://" in address else f"http://{address}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DeclarationProblem(f"'{shown(address)}' is no address of a Luigi scheduler.", fix="Write it as http://host:8082.")
    netloc = parts.netloc if parts.port or parts.scheme == "https" else f"{parts.netloc}:{PORT}"
    return f"{parts.scheme}://{netloc}{parts.path.rstrip('/')}"


@contextlib.contextmanager
def _import_luigi_quietly() -> Iterator[Any]:
    """Import luigi without its warnings and its start-up log lines, which would disturb the progress display."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")

        for name in ("luigi", "luigi-interface", "luigi.scheduler"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        _collect_failures(luigi)
        yield luigi


def _collect_failures(luigi: Any) -> None:
    """Collect the failures of the user's tasks from now on, once a process: Luigi cannot remove a listener."""
    global _listening
    if not _listening:
        _listening = True
        luigi.Task.event_handler(luigi.Event.FAILURE)(_add_failure)


def _add_failure(task: Any, error: Exception) -> None:
    if not hasattr(task, "step_of_caudal"):
        _FAILED.setdefault(str(task), error)
