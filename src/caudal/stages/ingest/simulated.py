"""Files that a function writes: the same files for the same seed, written once."""

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
from caudal.stages.ingest.arrival import Arrival, Clock, KnownFile, fetches
from caudal.stages.ingest.raw import format_of


@fetches("simulated")
def fetch(
    connection: Connection, *, data: Path | None, scratch: Path, landed: Mapping[str, KnownFile], clock: Clock
) -> list[Arrival]:
    """Return the files that the function wrote into ``scratch``, or nothing when all of them were landed before.

    The return value of ``write`` is ignored. Files whose ending names no format (``truth.md``) and those named ``truth.*`` are not data.
    """
    assert isinstance(connection, Simulated)
    function = f"simulated:{getattr(connection.write, '__qualname__', type(connection.write).__name__)}"
    fingerprint = _fingerprint(connection)
    etags = [
        landed_file.etag
        for path, landed_file in landed.items()
        if path.startswith(f"{function}/") and (landed_file.etag or "").startswith(fingerprint)
    ]
    # Every file carries the number of files, so that a run that died between two of them does not count as complete.
    if etags and etags == [f"{fingerprint}:{len(etags)}"] * len(etags):
        return []
    folder = scratch / fingerprint
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
            fix=f"Write files of a format that is read ({', '.join(FORMATS)}) into the folder that it gets as an argument.",
            where=_where(connection.write),
        )
    return [
        Arrival(
            f"{function}/{path.relative_to(folder).as_posix()}",
            path,
            path.stat().st_size,
            path.stat().st_mtime_ns,
            f"{fingerprint}:{len(written)}",
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
    """Return a hash of what determines the files: the function's code, the seed and the parameters."""
    try:
        code = connection.code.encode() if connection.code else Path(inspect.getsourcefile(connection.write) or "").read_bytes()
    except (OSError, TypeError):
        code = _name(connection.write).encode()
    inputs = json.dumps([connection.seed, dict(connection.parameters)], sort_keys=True, default=repr)
    return hashlib.sha256(code + _name(connection.write).encode() + inputs.encode()).hexdigest()[:16]


def _name(write: Callable[..., object]) -> str:
    return getattr(write, "__qualname__", repr(write))


def _where(write: Callable[..., object]) -> str | None:
    try:
        return f"{inspect.getsourcefile(write)}:{inspect.getsourcelines(write)[1]}"
    except (OSError, TypeError):
        return None
