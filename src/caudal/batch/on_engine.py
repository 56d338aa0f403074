"""Do a step on the first of the run's engines that can: what Sail cannot do, a run with the engine ``auto`` does on Spark."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.errors import PySparkAttributeError, PySparkNotImplementedError, UnsupportedOperationException

from caudal.batch.engine_needs import needs
from caudal.batch.step import Step, StepResult
from caudal.engine.capability import Capability
from caudal.engine.classic import CLASSIC
from caudal.engine.exact import are_common, has_stopped
from caudal.engine.protocol import QueryEngine, require_capability
from caudal.errors import CaudalError, EngineLacks, StepFailed
from caudal.extras import INSTALL_SPARK, has_spark, require_spark, spark_missing
from caudal.runtime.faults import spark_sentence
from caudal.runtime.workspace import Workspace

AUTO = "Pass --engine auto, which does on Spark what another engine cannot do, or --engine spark."


def work_on_engine(ws: Workspace, step: Step, clear: Callable[[], object]) -> StepResult:
    """Return the result of a step's work, done on the first engine that can do it.

    An engine other than Spark may refuse a function, or fail at one. With ``auto`` the step is then done on Spark, whose rows and
    whose errors are those that count; it is said once why.

    Parameters
    ----------
    clear : called before the step is done again, to remove what was left
    """
    *others, last = ws.spark.engines
    if any(capability is Capability.SPARK_ML for capability, _ in needs(ws.product, ws.tables.home.lake, step.kind, step.subject)):
        others = []  # such a model would be trained in vain up to its first candidate that needs Java
    for engine in others:
        reason = ws.spark.refusals.get(step.name)
        if reason is None:
            try:
                return _work(ws, step, engine)
            except Exception as error:
                reason = reason_to_leave(error)
                if reason is None or (are_common() and has_stopped(error)):
                    raise
                ws.spark.drop_dead(engine)
                if ws.spark.cancelled:  # its time limit has passed: what follows is another attempt, on this engine too
                    raise
                if last is CLASSIC and not has_spark():
                    raise spark_instead(f"Step '{step.name}'", engine, error, reason) from error
                clear()
            ws.spark.refusals[step.name] = reason
            ws.reporting.progress.noted(f"Step '{step.name}' is done on {last.title}: {reason}")
    try:
        return _work(ws, step, last)
    except EngineLacks as error:
        raise EngineLacks(f"Step '{step.name}': {error.what}", fix=error.fix, step=step.name, **error.facts) from error
    except Exception as error:
        if last is CLASSIC or (are_common() and has_stopped(error)) or (reason := reason_to_leave(error)) is None:
            raise
        ws.spark.drop_dead(last)
        if isinstance(error, CaudalError):
            error.fix = error.fix or AUTO
            raise
        raise StepFailed(f"Step '{step.name}' failed on {last.title}: {reason}", fix=AUTO, step=step.name) from error


def _work(ws: Workspace, step: Step, engine: QueryEngine) -> StepResult:
    def check() -> None:  # when the session is first asked for: a step that is up to date needs no engine
        if engine is CLASSIC:
            require_spark(f"Step '{step.name}'")
        for capability, for_ in needs(ws.product, ws.tables.home.lake, step.kind, step.subject):
            require_capability(engine, capability, for_)

    with ws.spark.on(engine, check):
        return step.work(ws)


def spark_instead(subject: str, engine: QueryEngine, error: Exception, reason: str) -> CaudalError:
    """Return the error of work that an engine refused, or failed at, where Spark is not installed to do it instead.

    Parameters
    ----------
    subject : what was to be done, as the subject of a sentence
    """
    if is_refused(error):
        return spark_missing(subject, why=reason)
    fix = f"If the fault is {engine.title}'s, Spark can do it. Run: {INSTALL_SPARK}"
    return StepFailed(f"{subject} failed on {engine.title}: {reason.rstrip('.')}.", fix=fix)


def is_refused(error: BaseException | None) -> bool:
    """Return whether an engine refused work, and did not only fail at it."""
    while error is not None:
        if isinstance(error, EngineLacks | UnsupportedOperationException | PySparkAttributeError | PySparkNotImplementedError):
            return True
        error = error.__cause__ or error.__context__
    return False


def reason_to_leave(error: BaseException | None) -> str | None:
    """Return the sentence by which an engine refused work, or failed at it; None for errors that every engine would raise."""
    while error is not None:
        if isinstance(error, EngineLacks):
            return error.what
        if type(error).__module__.startswith(("pyspark.errors", "grpc")) or _raised_by_client(error):
            return f"{type(error).__name__}: {_sentence(str(error))}"
        error = error.__cause__ or error.__context__
    return None


def _raised_by_client(error: BaseException) -> bool:
    """Return whether an error comes from within the client of Spark Connect, which asserts what Spark does not ask for."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return at is not None and str(at.tb_frame.f_globals.get("__name__", "")).startswith("pyspark.sql.connect")


def _sentence(message: str) -> str:
    """Return the sentence of an engine's message; of an error within gRPC, its details."""
    details = [line.strip().removeprefix("details = ").strip('"') for line in message.splitlines() if "details = " in line]
    return (details[0][:300] if details else spark_sentence(message)).strip()
