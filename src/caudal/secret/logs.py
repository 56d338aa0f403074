"""Log records without secrets: for processes that are caudal's own, whichever library writes them."""

from __future__ import annotations

import logging
import traceback

from caudal.secret.value import redact


def redact_logs() -> None:
    """Clear every log record of secrets from now on, also those of libraries; calling it again changes nothing."""
    make = logging.getLogRecordFactory()
    if getattr(make, "redacts", False):
        return

    def made(*given: object, **more: object) -> logging.LogRecord:
        record = make(*given, **more)
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # a faulty call of a library's; logging itself says so
            return record
        if (cleared := redact(text)) != text:
            record.msg, record.args = cleared, None
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
        return record

    made.redacts = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(made)
