"""Turn whatever breaks a stream into an error that says what broke, and that the same command goes on."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from caudal.errors import CaudalError, EnvironmentProblem, StepFailed

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_TEXTS = ("No space left on device", "Disk quota exceeded", "File too large", "disk is full", "disk I/O error")
GOES_ON = "the same command goes on from there; nothing is lost, and nothing is counted twice."


def translate_stream_error(error: BaseException, label: str) -> CaudalError:
    """Return an error as one of caudal's errors, with a fix; ``label`` names its source, such as ``the stream 'samples'``."""
    if isinstance(error, CaudalError):
        return error
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    if is_full(error):
        return EnvironmentProblem(
            f"The disk is full: {label} cannot go on ({reason}).", fix=f"Free space where --home lies: {GOES_ON}", step=label
        )
    return StepFailed(
        f"{label[0].upper()}{label[1:]} broke: {type(error).__name__}: {reason.rstrip('.')}.",
        fix="Its results are kept: the same command goes on from there.",
        step=label,
    )


def is_full(error: BaseException) -> bool:
    """Return whether an error means that the disk is full."""
    return getattr(error, "errno", None) in _FULL or any(text in str(error) for text in _FULL_TEXTS)


@contextlib.contextmanager
def translate_errors(label: str) -> Iterator[None]:
    """Raise whatever breaks in the block as one of caudal's errors."""
    try:
        yield
    except CaudalError:
        raise
    except Exception as error:
        raise translate_stream_error(error, label) from error
