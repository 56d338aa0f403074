"""Errors of Spark and of the machine as errors of caudal, each in a sentence."""

from __future__ import annotations

import errno
import re

from sqlalchemy.exc import DBAPIError

from caudal.errors import CaudalError, EnvironmentProblem, StepFailed
from caudal.ledger.faults import ledger_problem
from caudal.storage import damage, storage_errors

DYING_S = 10.0  # in which Java ends after it ran out of memory
_JAVA_FAILURES = ("OutOfMemoryError", "Connection refused", "Answer from Java side is empty", "Error while sending or receiving", "Connection reset",
            "SparkContext was shut down", "stopped SparkContext")  # fmt: skip


def is_java_failure(error: BaseException) -> bool:
    """Return whether an error says that Spark's Java process has ended."""
    text = _whole_text(error)
    return (
        isinstance(error, ConnectionError)
        or type(error).__name__ in ("Py4JError", "Py4JNetworkError")
        or any(marker in text for marker in _JAVA_FAILURES)
    )


def translate_machine_error(error: BaseException, step: str | None = None) -> CaudalError | None:
    """Return an error of Spark, the storage or the operating system as a CaudalError, or None when it is none of the known ones."""
    text = _whole_text(error)
    number = getattr(error, "errno", None)
    about: dict[str, str] = {"step": step} if step else {}
    during = f" in step '{step}'" if step else ""
    if (storage_error := storage_errors.of_spark(text)) is not None:
        storage_error.facts |= about
        return storage_error
    if isinstance(error, DBAPIError):
        return ledger_problem(error, step)
    if "No space left on device" in text or "Disk quota exceeded" in text or number in (errno.ENOSPC, errno.EDQUOT):
        return EnvironmentProblem(
            f"The disk is full; step '{step}' has published nothing." if step else "The disk is full.",
            fix="Free space where --home and the temporary folder lie, and run again: nothing is lost.",
            **about,
        )
    if "Too many open files" in text or number in (errno.EMFILE, errno.ENFILE):
        return EnvironmentProblem(
            f"Too many files are open{during}: the limit of this process or machine is reached.",
            fix="Raise it (ulimit -n 4096, or LimitNOFILE of the service) and run again: nothing is lost.",
            **about,
        )
    if "Read-only file system" in text or number == errno.EROFS:
        return EnvironmentProblem(
            f"What has to be written{during} lies on a disk that is read-only: {_quoted(text, 'Read-only file system')}.",
            fix="Make it writable, or give another place with --home.",
            **about,
        )
    if isinstance(error, PermissionError) or "Permission denied" in text:
        who = f"Step '{step}'" if step else "The user who runs caudal"
        return EnvironmentProblem(
            f"{who} may not write or read: {_quoted(text, 'Permission denied')}.",
            fix="Give the user who runs caudal access.",
            **about,
        )
    if "OutOfMemoryError" in text:
        return EnvironmentProblem(
            f"Spark ran out of memory{during}.",
            fix="Give it more: CAUDAL_MEMORY=8g (or memory in caudal.toml).",
            **about,
        )
    prefix = "No such file or directory: " if isinstance(error, FileNotFoundError) else ""
    if (problem := damage.of_text(prefix + text)) is not None:
        problem.facts |= about
        return problem
    if type(error).__module__.startswith(("pyspark", "py4j")):
        failed = f"Step '{step}' failed in Spark" if step else "Spark failed"
        return StepFailed(f"{failed}: {spark_sentence(text)}", kind=type(error).__name__, **about)
    return None


def _whole_text(error: BaseException) -> str:
    texts: list[str] = []
    current: BaseException | None = error
    while current is not None and len(texts) < 5:
        texts.append(str(current))
        current = current.__cause__ or current.__context__
    return "\n".join(texts)


def spark_sentence(text: str) -> str:
    """Return Spark's message: its error class and sentence, without plan and stack trace."""
    lines = [
        line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("at ", 'File "<', "'", "+-"))
    ]
    raised = [line for line in lines if re.match(r"^\w*(Error|Exception): ", line)]
    chosen = raised[-1] if raised and "Traceback (most recent call last)" in text else (lines[0] if lines else "no message")
    return chosen.split(" SQLSTATE")[0][:500]


def _quoted(text: str, about: str) -> str:
    return next((line.strip()[:200] for line in text.splitlines() if about in line), about)
