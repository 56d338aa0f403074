"""A step, tried again where trying again may help, and ended where it takes too long.

What may pass by itself is tried again: the network, the machine, Java. A mistake is not: it would be made again.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from caudal.batch.step import Step, StepResult
from caudal.declarations.duration import text
from caudal.declarations.product import Product
from caudal.engine.exact import in_any_magnitude
from caudal.errors import CaudalError, EnvironmentProblem, SourceProblem, TimeLimitPassed
from caudal.graph.node_kind import REGISTER
from caudal.graph.registered import is_streamed, node_of_step
from caudal.runtime.workspace import Workspace
from caudal.storage import storage_errors
from caudal.storage.sweep import sweep

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
CANCELLED_S = 15.0  # for a step whose Spark jobs were cancelled to end
# Texts of Java's and Spark's that say that the machine, not the query, was at fault.
_MACHINE = (
    "OutOfMemoryError", "ExecutorLostFailure", "Executor heartbeat timed out", "SparkContext was shut down", "Connection refused",
    "Answer from Java side is empty", "Error while sending or receiving", "Python worker exited unexpectedly", "Connection reset",
)  # fmt: skip


@dataclass(frozen=True)
class Policy:
    """How often a step is tried again, and how long an attempt may take."""

    retry: int = 0
    time_limit_s: float | None = None


@dataclass
class Attempts:
    """What came of the attempts before the last: told in the ledger and on the run's page."""

    failed: list[dict[str, Any]] = field(default_factory=list)


def policy_of(product: Product, step: Step) -> Policy:
    """Return what was declared for the thing that a step is about."""
    node = node_of_step(product, step.kind, step.subject)
    return Policy() if node is None else Policy(*node.kind.attempts(product, node.declaration))


def attempted(
    ws: Workspace, step: Step, attempts: Attempts, hung: Callable[[TimeLimitPassed], None], *,
    sleep: Callable[[float], None] = time.sleep,
) -> StepResult:  # fmt: skip
    """Do a step, again where that may help, and return how it ended.

    Parameters
    ----------
    attempts : told of each attempt that failed and was followed by another
    hung : called, from another thread, when the step did not end though its time is up and its Spark jobs are cancelled
    """
    policy = policy_of(ws.product, step)
    began = 0.0

    def attempt() -> StepResult:
        nonlocal began
        began = time.perf_counter()
        return in_any_magnitude(
            lambda: _kept(Limit(ws, step, policy.time_limit_s, hung), ws),
            lambda: _clean(ws, step, None),
            name=(ws.product.name, step.name),
        )

    def hold(_: RetryCallState) -> None:  # outside of the attempt: who has lost the product does not try again
        ws.held()

    def note(state: RetryCallState) -> None:
        seconds, wait_s = time.perf_counter() - began, state.upcoming_sleep
        error = state.outcome.exception() if state.outcome else None
        assert isinstance(error, Exception)
        attempts.failed.append({"seconds": round(seconds, 3), "error": _sentence(error), "waited_s": round(wait_s, 3)})
        _clean(ws, step, error)

    def helps(error: BaseException) -> bool:
        return is_transient(error) and not (ws.process is not None and ws.process.asked_to_stop)

    # The whole length of a pause is left to chance so that many who failed together do not come back together
    # (M. Brooker, "Exponential Backoff and Jitter", 2015: "full jitter").
    pause = wait_random_exponential(FIRST_WAIT_S, LONGEST_WAIT_S)
    tries = Retrying(
        retry=retry_if_exception(helps),
        stop=stop_after_attempt(policy.retry + 1),
        wait=pause,
        before=hold,
        before_sleep=note,
        sleep=sleep,
        reraise=True,
    )
    return tries(attempt)


def _kept(limit: Limit, ws: Workspace) -> StepResult:
    """Do the attempt; what S3 or HDFS is to blame for is told as such, whoever noticed."""
    try:
        return limit.keep()
    except CaudalError:
        raise
    except Exception as error:
        found = storage_errors.of_spark(_chain(error), ws.home.lake)
        if found is None:
            raise
        raise found from error


def is_transient(error: BaseException) -> bool:
    """Tell whether an error may pass by itself: the network's, the machine's, Java's."""
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
        return name == "Py4JNetworkError" or any(one in str(error) for one in _MACHINE)
    return False


class Limit:
    """One attempt at a step, which is ended when its time is up."""

    def __init__(self, ws: Workspace, step: Step, limit_s: float | None, hung: Callable[[TimeLimitPassed], None]) -> None:
        self._ws, self._step, self._limit_s, self._hung = ws, step, limit_s, hung
        self._ended = threading.Event()
        self._passed = False

    def keep(self) -> StepResult:
        """Do the step.

        Raises
        ------
        TimeLimitPassed : its Spark jobs were cancelled, and it ended with that
        """
        if self._limit_s is None:
            return self._step.work(self._ws)
        self._ws.group(self._step.name)
        watcher = threading.Thread(target=self._watch, name=f"limit {self._step.name}", daemon=True)
        watcher.start()
        try:
            return self._step.work(self._ws)
        except Exception as error:
            if self._passed:
                raise self._problem() from error
            raise
        finally:
            self._ended.set()
            watcher.join()
            self._ws.group(None)

    def _watch(self) -> None:
        if self._ended.wait(self._limit_s):
            return
        self._passed = True
        until = time.monotonic() + CANCELLED_S
        while time.monotonic() < until:
            self._ws.cancel(self._step.name)  # again: a step goes on to its next job when one is cancelled
            if self._ended.wait(1.0):
                return
        problem = self._problem()
        problem.facts["hung"] = True
        self._hung(problem)

    def _problem(self) -> TimeLimitPassed:
        assert self._limit_s is not None
        return TimeLimitPassed(
            f"Step '{self._step.name}' took longer than {text(self._limit_s)}, its time limit, and was ended.",
            fix="Raise time_limit, or see what it waits for.",
            step=self._step.name,
            time_limit_s=self._limit_s,
            retry=policy_of(self._ws.product, self._step).retry,
        )


def _clean(ws: Workspace, step: Step, error: BaseException | None) -> None:
    """Make room for the next attempt: no file of this one, and a new Spark where the old one is not to be trusted."""
    name = step.subject
    node = node_of_step(ws.product, step.kind, name)
    if step.kind != REGISTER.name and node is not None and node.name in ws.product.nodes and not is_streamed(ws.product, name):
        with contextlib.suppress(EnvironmentProblem):  # a lake that is away is swept by the next run
            sweep(ws.folder(name))
            sweep(ws.home.quarantine(ws.product.name, name))
    # In a process that is not the run's alone, others may be at work with the same Spark.
    if ws.process is not None and any(one in _chain(error) for one in (*_MACHINE, "Py4JNetworkError")):
        ws.restart_spark()


def _chain(error: BaseException | None) -> str:
    said = ""
    while error is not None:
        said += f"{type(error).__name__}: {error}\n"
        error = error.__cause__
    return said


def _sentence(error: BaseException) -> str:
    if isinstance(error, CaudalError):
        return error.what
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {line}"[:500]
