"""Translate Spark's reading errors into one sentence that names the user's file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from caudal.errors import SourceProblem
from caudal.stages.ingest.raw import RawFile


def explain(error: BaseException, files: Sequence[RawFile]) -> SourceProblem | None:
    """Return the problem of a raw file that a Spark error is about, or None where the error has another subject.

    The footer of a Parquet file can be intact while a block of values is damaged; only reading the block reveals that.
    """
    message = _messages(error)
    for file in files:
        if file.sha256 in message or file.path.name in message:
            reason = _reason(message, file)
            return SourceProblem(
                f"'{file.name}' is damaged inside: {reason}",
                fix="Deliver the file again; nothing of it was published.",
                where=str(file.path),
                file=file.name,
            )
    return None


def _messages(error: BaseException) -> str:
    messages, visited = [], set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in visited:
        visited.add(id(cause))
        messages.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    return "\n".join(messages)


def _reason(error_text: str, file: RawFile) -> str:
    """Return the innermost cause that Spark names, without its class path, with the user's name for the file."""
    causes = re.findall(r"^Caused by: ([\w.$]+): (.+)$", error_text, flags=re.MULTILINE)
    if causes:
        kind, message = causes[-1]
        text = f"{kind.rsplit('.', 1)[-1]}: {message}"
    else:
        text = next((line for line in error_text.splitlines() if file.sha256 in line), error_text.splitlines()[0])
    text = re.sub(rf"(file:/*)?\S*{file.sha256}\S*", f"'{file.name}'", text)
    return text.rstrip(". ")[:300] + "."
