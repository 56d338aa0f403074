"""Retries of a step after transient errors, and its time limit.

Errors of the network, the machine and Java may pass by themselves and are retried. A user's mistake would happen again and is not.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from caudal.batch.on_engine import work_on_engine
from caudal.batch.step import Step, StepResult
from caudal.declarations.duration import text
from caudal.declarations.product import Product
from caudal.engine.exact import in_any_magnitude
from caudal.errors import CaudalError, EnvironmentProblem, SourceProblem, TimeLimitPassed
from caudal.graph.node_kind import REGISTER
from caudal.graph.registered import is_streamed, node_of_step
from caudal.ledger.rows import AttemptDocument
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.run_spark import RunSpark
from caudal.runtime.workspace import Workspace
from caudal.storage import storage_errors
from caudal.storage.place import Place
from caudal.storage.sweep import sweep

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
CANCELLED_S = 15.0  # for a step whose Spark jobs were cancelled to end
# Texts of Java and Spark errors that say that the machine, not the query, is at fault.
_MACHINE = (
    "OutOfMemoryError", "ExecutorLostFailure", "Executor heartbeat timed out", "SparkContext was shut down", "Connection refused",
    "Answer from Java side is empty", "Error while sending or receiving", "Python worker exited unexpectedly", "Connection reset",
)  # fmt: skip


@dataclass(frozen=True)
class Policy:
    """How often a step is retried, and how long an attempt may take."""

    retry: int = 0
    time_limit_s: float | None = None


@dataclass
class Attempts:
    """The failed attempts before the last, as the ledger and the run's page show them."""

    failed: list[AttemptDocument] = field(default_factory=list)


def policy_of(product: Product, step: Step) -> Policy:
    """Return the retries and the time limit that were declared for a step's node."""
    node = node_of_step(product, step.kind, step.subject)
    return Policy() if node is None else Policy(*node.kind.attempts(product, node.declaration))


def perform_with_retries(
    ws: Workspace, step: Step, attempts: Attempts, on_hang: Callable[[TimeLimitPassed], None], *,
    sleep: Callable[[float], None] = time.sleep,
) -> StepResult:  # fmt: skip
    """Perform a step, with retries after transient errors, and return its result.

    Parameters
    ----------
    attempts : receives each attempt that failed and was followed by another
    hung : called from another thread when a step runs on although its time limit has passed and its Spark jobs are cancelled
    """
    policy = policy_of(ws.product, step)
    began = 0.0

    def attempt() -> StepResult:
        nonlocal began
        began = time.perf_counter()
        return in_any_magnitude(
            lambda: _run_attempt(
                TimeLimit(ws.spark, step, policy, lambda: work_on_engine(ws, step, lambda: _sweep(ws.tables, step)), on_hang),
                ws.tables.home.lake,
            ),
            lambda: _sweep(ws.tables, step),
            name=(ws.product.name, step.name),
        )

    def check_claim(_: RetryCallState) -> None:  # outside of the attempt: a run that has lost its claim does not retry
        ws.record.check_claim()

    def record_failure(state: RetryCallState) -> None:
        seconds, wait_s = time.perf_counter() - began, state.upcoming_sleep
        error = state.outcome.exception() if state.outcome else None
        assert isinstance(error, Exception)
        attempts.failed.append({"seconds": round(seconds, 3), "error": _sentence(error), "waited_s": round(wait_s, 3)})
        _sweep(ws.tables, step)
        if ws.request.process is not None:  # in a process that is not the run's alone, others may use the same Spark
            _restart_if_broken(ws.spark, error)

    def may_help(error: BaseException) -> bool:
        return is_transient(error) and not ws.request.stop_requested

    # The pause is random in its whole length, so that many that failed together do not retry together
    # (M. Brooker, "Exponential Backoff and Jitter", 2015: "full jitter").
    pause = wait_random_exponential(FIRST_WAIT_S, LONGEST_WAIT_S)
    retrying = Retrying(
        retry=retry_if_exception(may_help),
        stop=stop_after_attempt(policy.retry + 1),
        wait=pause,
        before=check_claim,
        before_sleep=record_failure,
        sleep=sleep,
        reraise=True,
    )
    return retrying(attempt)


def _run_attempt(limit: TimeLimit, lake: Place) -> StepResult:
    """Return the result of an attempt; an error that S3 or HDFS caused is raised as an error of the storage."""
    try:
        return limit.run()
    except CaudalError:
        raise
    except Exception as error:
        storage_error = storage_errors.of_spark(_messages_of_causes(error), lake)
        if storage_error is None:
            raise
        raise storage_error from error


def is_transient(error: BaseException) -> bool:
    """Return whether an error may pass by itself: one of the network, the machine or Java."""
    if isinstance(error, TimeLimitPassed | EnvironmentProblem):
        return bool(error.facts.get("transient", True))
    if isinstance(error, SourceProblem):
        return bool(error.facts.get("transient"))
    if isinstance(error, CaudalError):
        return error.__cause__ is not None and is_transient(error.__cause__)
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    name = type(error).__name__
    if name in ("Py4JNetworkError", "Py4JError", "Py4JJavaError") or type(error).__module__.startswith("pyspark.errors"):
        return name == "Py4JNetworkError" or any(text in str(error) for text in _MACHINE)
    return False


class TimeLimit:
    """One attempt of a step, which is ended when its time limit has passed."""

    def __init__(
        self,
        run_spark: RunSpark,
        step: Step,
        policy: Policy,
        work: Callable[[], StepResult],
        on_hang: Callable[[TimeLimitPassed], None],
    ) -> None:
        self._spark, self._step, self._policy, self._work, self._hung = run_spark, step, policy, work, on_hang
        self._ended = threading.Event()
        self._passed = False

    def run(self) -> StepResult:
        """Perform the attempt and return its result.

        Raises
        ------
        TimeLimitPassed : the limit passed, and cancelling its Spark jobs ended the step
        """
        if self._policy.time_limit_s is None:
            return self._work()
        self._spark.set_group(self._step.name)
        watcher = threading.Thread(target=self._watch, name=f"limit {self._step.name}", daemon=True)
        watcher.start()
        try:
            return self._work()
        except Exception as error:
            if self._passed:
                raise self._problem() from error
            raise
        finally:
            self._ended.set()
            watcher.join()
            self._spark.set_group(None)

    def _watch(self) -> None:
        if self._ended.wait(self._policy.time_limit_s):
            return
        self._passed = True
        until = time.monotonic() + CANCELLED_S
        while time.monotonic() < until:
            self._spark.cancel(self._step.name)  # again: a step goes on to its next job when one is cancelled
            if self._ended.wait(1.0):
                return
        problem = self._problem()
        problem.facts["hung"] = True
        self._hung(problem)

    def _problem(self) -> TimeLimitPassed:
        limit_s = self._policy.time_limit_s
        assert limit_s is not None
        return TimeLimitPassed(
            f"Step '{self._step.name}' took longer than {text(limit_s)}, its time limit, and was ended.",
            fix="Raise time_limit, or see what it waits for.",
            step=self._step.name,
            time_limit_s=limit_s,
            retry=self._policy.retry,
        )


def _sweep(tables: ProductTables, step: Step) -> None:
    """Remove the files that an attempt has left in the step's table and its quarantine."""
    name = step.subject
    node = node_of_step(tables.product, step.kind, name)
    if (
        step.kind != REGISTER.name
        and node is not None
        and node.name in tables.product.nodes
        and not is_streamed(tables.product, name)
    ):
        with contextlib.suppress(EnvironmentProblem):  # a lake that is away is swept by the next run
            sweep(tables.folder(name))
            sweep(tables.quarantine(name))


def _restart_if_broken(run_spark: RunSpark, error: BaseException) -> None:
    """Restart Spark after an error that says that its Java process or its machine is at fault."""
    if any(text in _messages_of_causes(error) for text in (*_MACHINE, "Py4JNetworkError")):
        run_spark.restart()


def _messages_of_causes(error: BaseException | None) -> str:
    messages = ""
    while error is not None:
        messages += f"{type(error).__name__}: {error}\n"
        error = error.__cause__
    return messages


def _sentence(error: BaseException) -> str:
    if isinstance(error, CaudalError):
        return error.what
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {line}"[:500]
