"""Log records without secrets, for caudal's own processes, whichever library writes the records."""

from __future__ import annotations

import logging
import traceback

from caudal.secret.value import redact


def redact_logs() -> None:
    """Redact secrets in every log record from now on, also in those of libraries; a second call changes nothing."""
    factory = logging.getLogRecordFactory()
    if getattr(factory, "redacts", False):
        return

    def redacting_factory(*args: object, **kwargs: object) -> logging.LogRecord:
        record = factory(*args, **kwargs)
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # a library's faulty call; logging itself reports it
            return record
        if (cleared := redact(text)) != text:
            record.msg, record.args = cleared, None
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = redact("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
        return record

    redacting_factory.redacts = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(redacting_factory)
