"""Files that a function makes: the same ones for the same seed, made once."""

from __future__ import annotations

import hashlib
import inspect
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from caudal.declarations.connection import Connection, Simulated
from caudal.errors import CaudalError, SourceProblem
from caudal.kinds import FORMATS
from caudal.stages.ingest.arrival import Arrival, Clock, Seen, fetches
from caudal.stages.ingest.raw import format_of


@fetches("simulated")
def fetch(connection: Connection, *, data: Path | None, scratch: Path, seen: Mapping[str, Seen], clock: Clock) -> list[Arrival]:
    """Return the files that the function wrote into ``scratch``, or nothing when all of them were landed before.

    What ``write`` returns is not looked at. Files whose ending names no format (``truth.md``) and those named ``truth.*`` are no data.
    """
    assert isinstance(connection, Simulated)
    function = f"simulated:{getattr(connection.write, '__qualname__', type(connection.write).__name__)}"
    build_context = _fingerprint(connection)
    landed = [
        one.etag for path, one in seen.items() if path.startswith(f"{function}/") and (one.etag or "").startswith(build_context)
    ]
    # Every file carries how many there are, so that a run that died between two of them is not taken for a complete one.
    if landed and landed == [f"{build_context}:{len(landed)}"] * len(landed):
        return []
    folder = scratch / build_context
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        connection.write(folder, connection.seed, **connection.parameters)
    except CaudalError:
        raise
    except Exception as error:
        raise SourceProblem(
            f"The simulation '{_name(connection.write)}' failed: {type(error).__name__}: {error}.", where=_where(connection.write)
        ) from error
    written = [path for path in sorted(folder.rglob("*")) if path.is_file() and _is_data(path, connection.format)]
    if not written:
        raise SourceProblem(
            f"The simulation '{_name(connection.write)}' wrote no file.",
            fix=f"Write files of a format that is read ({', '.join(FORMATS)}) into the folder it is given.",
            where=_where(connection.write),
        )
    return [
        Arrival(
            f"{function}/{path.relative_to(folder).as_posix()}",
            path,
            path.stat().st_size,
            path.stat().st_mtime_ns,
            f"{build_context}:{len(written)}",
        )
        for path in written
    ]


def _is_data(path: Path, format: str | None) -> bool:
    if path.name.startswith((".", "truth.")):
        return False
    try:
        format_of(path.name, format)
    except SourceProblem:
        return False
    return True


def _fingerprint(connection: Simulated) -> str:
    """Return what the files follow from: the function's code, the seed and the parameters."""
    try:
        code = connection.code.encode() if connection.code else Path(inspect.getsourcefile(connection.write) or "").read_bytes()
    except (OSError, TypeError):
        code = _name(connection.write).encode()
    said = json.dumps([connection.seed, dict(connection.parameters)], sort_keys=True, default=repr)
    return hashlib.sha256(code + _name(connection.write).encode() + said.encode()).hexdigest()[:16]


def _name(write: Callable[..., object]) -> str:
    return getattr(write, "__qualname__", repr(write))


def _where(write: Callable[..., object]) -> str | None:
    try:
        return f"{inspect.getsourcefile(write)}:{inspect.getsourcelines(write)[1]}"
    except (OSError, TypeError):
        return None
