"""Spark's errors while reading → one sentence that names the user's file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from caudal.errors import SourceProblem
from caudal.stages.ingest.raw import RawFile


def explain(error: BaseException, files: Sequence[RawFile]) -> SourceProblem | None:
    """Return what a Spark error says about one of the raw files, or None when it is about something else.

    The footer of a Parquet file can be whole while a block of values is damaged; that shows only when Spark reads the block.
    """
    said = _said(error)
    for file in files:
        if file.sha256 in said or file.path.name in said:
            reason = _reason(said, file)
            return SourceProblem(
                f"'{file.name}' is damaged inside: {reason}",
                fix="Deliver the file again; nothing of it was published.",
                where=str(file.path),
                file=file.name,
            )
    return None


def _said(error: BaseException) -> str:
    parts, seen = [], set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        parts.append(str(at))
        at = at.__cause__ or at.__context__
    return "\n".join(parts)


def _reason(said: str, file: RawFile) -> str:
    """Return the innermost cause that Spark names, without its class path and without our name for the file."""
    causes = re.findall(r"^Caused by: ([\w.$]+): (.+)$", said, flags=re.MULTILINE)
    if causes:
        kind, message = causes[-1]
        text = f"{kind.rsplit('.', 1)[-1]}: {message}"
    else:
        text = next((line for line in said.splitlines() if file.sha256 in line), said.splitlines()[0])
    text = re.sub(rf"(file:/*)?\S*{file.sha256}\S*", f"'{file.name}'", text)
    return text.rstrip(". ")[:300] + "."
