"""Steps → Luigi tasks, one class for all of them. Luigi orders them; a step runs only if all that it needs succeeded.

Everything runs in one process: forked workers and a Spark session do not mix. The order is that of Luigi's own scheduler, or of the
central one (the setting ``luigi``), whose page shows the graph. A source may come after tasks of the user's own.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import luigi

from caudal.batch.step import Step, StepResult
from caudal.errors import CaudalError, DeclarationProblem, EnvironmentProblem, StepFailed, Stopped
from caudal.runtime.workspace import Workspace
from caudal.secret import Address, shown

PORT = 8082  # luigid's own
_ANSWER_S = 5.0
_FAILED: dict[str, Exception] = {}  # tasks of others that failed, by what Luigi calls them
_listening = False


class RunState(Protocol):
    """How each step stands: what tasks write on and Luigi asks."""

    done: dict[str, StepResult]
    failed: dict[str, CaudalError]
    waiting: dict[str, StepResult]
    stopped: Stopped | None


Perform = Callable[[Workspace, Step, Any], None]


def ordered(ws: Workspace, plan: Sequence[Step], run_state: RunState, perform: Perform) -> dict[str, StepFailed]:
    """Have the steps performed in order of need, and return those that could not be because a task of the user's before them failed."""
    with _quiet() as luigi:
        for step in plan:
            outside(step)  # what is no task is said before anything is done
        _FAILED.clear()
        central = _central(luigi, ws)
        whole = _task(luigi, ws, plan, run_state, perform)
        settings = luigi.configuration.get_config()
        # Its handler of SIGUSR1 can be installed by the main thread only, and a run may be another's (a stream that trains).
        settings.set("worker", "no_install_shutdown_handler", "true")
        if central is not None:
            settings.set("core", "rpc-retry-wait", "1")
            with contextlib.suppress(luigi.rpc.RPCError):
                _build(luigi, whole, local_scheduler=False, scheduler_url=central)
        if central is None or _left(plan, run_state):  # the central scheduler has gone away: what is left is ordered here
            _build(luigi, whole, local_scheduler=True, worker_scheduler_factory=_alone(luigi))
        return _behind_others(plan, run_state)


def _build(luigi: Any, whole: Any, **scheduler: Any) -> None:
    luigi.build([whole], workers=1, no_lock=True, log_level="CRITICAL", **scheduler)


def _alone(luigi: Any) -> Any:
    """Return what gives Luigi its scheduler in this process, without what it does for many workers: counting what waits and looking for
    workers that have died, each time that it is asked for a step, takes longer with each step of the graph.
    """

    class Alone(luigi.scheduler.Scheduler):  # type: ignore[misc]
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
        """Luigi's own, with that scheduler."""

        def create_local_scheduler(self) -> Any:
            return Alone(prune_on_get_work=False, record_task_history=False)

    return Factory()


def _task(luigi: Any, ws: Workspace, plan: Sequence[Step], run_state: RunState, perform: Perform) -> Any:
    """Return a task that requires all steps, each a task. The classes are made here because luigi is imported only when there is work."""
    tasks: dict[str, Any] = {}
    order = {step.name: len(plan) - place for place, step in enumerate(plan)}
    by_name = {step.name: step for step in plan}

    class StepTask(luigi.Task):  # type: ignore[misc]
        """One step of a run."""

        task_namespace = ws.product.name
        step_of_caudal = True
        run_id = luigi.Parameter()
        step = luigi.Parameter()

        @property
        def priority(self) -> int:
            return order[self.step]

        def requires(self) -> list[Any]:
            step = by_name[self.step]
            return [tasks[name] for name in step.needs if name in tasks] + outside(step)

        def complete(self) -> bool:
            return self.step in run_state.done

        def run(self) -> None:
            if ws.process is not None and ws.process.asked_to_stop:
                run_state.stopped = run_state.stopped or Stopped(
                    f"Stopped before step '{self.step}', as was asked.", fix="The same command goes on from there."
                )
                raise run_state.stopped
            if self.step not in run_state.failed:
                perform(ws, by_name[self.step], run_state)
            if self.step in run_state.failed:
                raise run_state.failed[self.step]
            if self.step in run_state.waiting:
                raise RuntimeError(run_state.waiting[self.step].why)

    class Run(luigi.WrapperTask):  # type: ignore[misc]
        """All steps of a run. One task to begin with: Luigi looks through everything below each that it is given."""

        task_namespace = ws.product.name
        step_of_caudal = True
        run_id = luigi.Parameter()

        def requires(self) -> list[Any]:
            needed = {need for step in plan for need in step.needs}
            return [task for name, task in tasks.items() if name not in needed]

    for step in plan:
        tasks[step.name] = StepTask(run_id=ws.run_id, step=step.name)
    return Run(run_id=ws.run_id)


def outside(step: Step) -> list[Any]:
    """Return the tasks of the user's own that come before a step; functions are asked for theirs."""
    found = []
    for one in step.behind:
        task = one() if callable(one) and not isinstance(one, luigi.Task) else one
        if not isinstance(task, luigi.Task):
            raise DeclarationProblem(
                f"'{step.subject}' is to come after {task!r}, which is no Luigi task.",
                fix="Give after=MyTask(...), or a function that returns one.",
            )
        found.append(task)
    return found


def _left(plan: Sequence[Step], run_state: RunState) -> bool:
    """Tell whether steps remain that nothing has kept from being done."""
    if run_state.stopped is not None or _FAILED:
        return False
    ended = run_state.done.keys() | run_state.failed.keys() | run_state.waiting.keys()
    return any(step.name not in ended and all(need in run_state.done for need in step.needs) for step in plan)


def _behind_others(plan: Sequence[Step], run_state: RunState) -> dict[str, StepFailed]:
    found = {}
    for step in plan:
        if (
            not step.behind
            or step.name in run_state.done
            or step.name in run_state.failed
            or step.name in run_state.waiting
            or run_state.stopped
        ):
            continue
        missing = [task for task in outside(step) if not task.complete()]
        if missing:
            culprit, error = next(iter(_FAILED.items()), (str(missing[0]), None))
            why = f"failed: {type(error).__name__}: {error}" if error is not None else "did not become complete"
            found[step.name] = StepFailed(
                f"Luigi's task {culprit}, which comes before '{step.name}', {why}.", step=step.name, task=culprit
            )
    return found


def _central(luigi: Any, ws: Workspace) -> str | None:
    """Return the central scheduler's address, where one is set and answers; a scheduler that is down keeps nobody from working."""
    if not ws.settings.luigi:
        return None
    url = scheduler_url(ws.settings.luigi)
    whole, to = Address(url), shown(url)
    request = urllib.request.Request(f"{whole.bare}/api/task_list?data=%7B%7D")
    if whole.user:
        login = base64.b64encode(f"{whole.user}:{whole.password.reveal() if whole.password else ''}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        raise EnvironmentProblem(
            f"What answers at {to} is no Luigi scheduler: {error.code} {error.reason}.",
            fix="Check the setting luigi (CAUDAL_LUIGI).",
        ) from None
    except OSError:
        ws.progress.noted(f"Luigi's scheduler at {to} does not answer; the steps are ordered here.")
        return None
    return url


def scheduler_url(said: str) -> str:
    """Return the address of Luigi's scheduler as Luigi wants it.

    Examples
    --------
    >>> scheduler_url("luigi.example.org"), scheduler_url("http://127.0.0.1:9000/")
    ('http://luigi.example.org:8082', 'http://127.0.0.1:9000')
    """
    parts = urlsplit(said if "://" in said else f"http://{said}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DeclarationProblem(f"'{shown(said)}' is no address of a Luigi scheduler.", fix="Write it as http://host:8082.")
    netloc = parts.netloc if parts.port or parts.scheme == "https" else f"{parts.netloc}:{PORT}"
    return f"{parts.scheme}://{netloc}{parts.path.rstrip('/')}"


@contextlib.contextmanager
def _quiet() -> Iterator[Any]:
    """Import luigi without its warnings and its start-up log lines: the progress display is ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")

        for name in ("luigi", "luigi-interface", "luigi.scheduler"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        _listen(luigi)
        yield luigi


def _listen(luigi: Any) -> None:
    """Hear of every task of others that fails, from now on: Luigi's listeners cannot be taken back."""
    global _listening
    if not _listening:
        _listening = True
        luigi.Task.event_handler(luigi.Event.FAILURE)(_heard)


def _heard(task: Any, error: Exception) -> None:
    if not hasattr(task, "step_of_caudal"):
        _FAILED.setdefault(str(task), error)
