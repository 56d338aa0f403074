"""Errors of Spark and of the machine, told in a sentence."""

from __future__ import annotations

import errno
import re

from sqlalchemy.exc import DBAPIError

from caudal.errors import CaudalError, EnvironmentProblem, StepFailed
from caudal.lake import away


def explained(error: BaseException, step: str) -> CaudalError | None:
    """Return what an error of Spark or of the operating system means, or None when it is not one of the known ones."""
    text = _whole_text(error)
    number = getattr(error, "errno", None)
    if (found := away.of_spark(text)) is not None:
        found.facts["step"] = step
        return found
    if "No space left on device" in text or number in (errno.ENOSPC, errno.EDQUOT):
        return EnvironmentProblem(
            f"The disk is full; step '{step}' has published nothing.",
            fix="Free space where --home and the temporary folder lie, and run again: nothing is lost.",
            step=step,
        )
    if isinstance(error, PermissionError) or "Permission denied" in text:
        return EnvironmentProblem(
            f"Step '{step}' may not write or read: {_quoted(text, 'Permission denied')}.",
            fix="Give the user who runs caudal access.",
            step=step,
        )
    if "OutOfMemoryError" in text:
        return EnvironmentProblem(
            f"Spark ran out of memory in step '{step}'.",
            fix="Give it more: CAUDAL_MEMORY=8g (or memory in caudal.toml).",
            step=step,
        )
    if isinstance(error, DBAPIError):
        return ledger_away(error, step)
    if type(error).__module__.startswith(("pyspark", "py4j")):
        return StepFailed(f"Step '{step}' failed in Spark: {_spark_sentence(text)}", step=step, kind=type(error).__name__)
    return None


def ledger_away(error: DBAPIError, step: str | None = None) -> EnvironmentProblem:
    """Return that the ledger could not be asked or told."""
    why = (str(error.orig).strip().splitlines() or ["no answer"])[0].rstrip(".")
    return EnvironmentProblem(
        "The ledger does not answer" + (f" in step '{step}'" if step else "") + f": {why}.",
        fix="The same command goes on when it is there again; nothing is lost.",
        **({"step": step} if step else {}),
    )


def _whole_text(error: BaseException) -> str:
    texts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(texts) < 5:
        texts.append(str(seen))
        seen = seen.__cause__ or seen.__context__
    return "\n".join(texts)


def _spark_sentence(text: str) -> str:
    """Return Spark's own message: its error class and sentence, without plan and stack."""
    lines = [
        line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("at ", 'File "<', "'", "+-"))
    ]
    raised = [line for line in lines if re.match(r"^\w*(Error|Exception): ", line)]
    chosen = raised[-1] if raised and "Traceback (most recent call last)" in text else (lines[0] if lines else "no message")
    return chosen.split(" SQLSTATE")[0][:500]


def _quoted(text: str, about: str) -> str:
    return next((line.strip()[:200] for line in text.splitlines() if about in line), about)
