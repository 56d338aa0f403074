"""Rows of a database: whole, or those that changed since the last extraction."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.declarations.connection import Connection
from caudal.declarations.database import Database
from caudal.errors import CaudalError, EnvironmentProblem
from caudal.stages.ingest.arrival import Arrival, Clock, Engine, Seen, fetches

if TYPE_CHECKING:
    from caudal.stages.ingest.sql.extract import Range
    from caudal.stages.ingest.sql.known import Before

ATTEMPTS = 4
BACKOFF_S = 0.5  # before the second attempt; doubled before each one after it


@fetches("database", engine=True)
def fetch(
    connection: Connection,
    *,
    data: Path | None,
    scratch: Path,
    seen: Mapping[str, Seen],
    clock: Clock,
    engine: Engine | None = None,
) -> list[Arrival]:
    """Return the files of one extraction, none when it brought nothing new; without JDBC all are of the same state of the database."""
    assert isinstance(connection, Database)
    from caudal.stages.ingest.sql.known import before, declared, stamp

    earlier = before(connection, seen)
    at = max(int(clock() * 1e6), earlier.newest + 1 if earlier is not None else 0)
    goes_on = earlier is not None and bool(earlier.files) and connection.watermark is not None
    from_then, mark = (earlier, stamp(at)) if goes_on else (None, "")
    folder = scratch / "extraction"
    if connection.by_jdbc:
        ranges = _by_jdbc(connection, from_then, engine, folder, mark)
    else:
        ranges = _by_sqlalchemy(connection, from_then, data, folder, mark)
    kept = [range_ for range_ in ranges if range_.rows] or ([] if goes_on else ranges[:1])
    if not goes_on and earlier is not None and connection.watermark is None and _same(kept, earlier):
        return []
    set_of = earlier.set if goes_on and earlier is not None else f"{connection.address!r}/{connection.what}/{stamp(at)}"
    from caudal.stages.ingest.sql.known import written

    tops = [range_.last for range_ in ranges if range_.last is not None]
    noted = {
        "at": at,
        "declared": declared(connection),
        "watermark": written(max(tops)) if tops else None,
        "without": any(range_.without for range_ in ranges),
    }
    return [
        Arrival(
            f"{set_of}/{stamp(at)}-{one.file.name}", one.file, one.file.stat().st_size, at * 1000, json.dumps(noted, sort_keys=True)
        )
        for one in kept
    ]


def _by_sqlalchemy(source: Database, earlier: Before | None, data: Path | None, folder: Path, mark: str) -> list[Range]:
    """Return the files of an extraction by SQLAlchemy's driver."""
    from caudal.stages.ingest.sql.engine import opened, translate_sqlalchemy_error
    from caudal.stages.ingest.sql.extract import extract

    def take() -> list[Range]:
        engine = opened(source, data)
        try:
            return extract(engine, source, earlier, folder, mark)
        finally:
            engine.dispose()

    return _tried(take, lambda error: translate_sqlalchemy_error(error, source), folder)


def _by_jdbc(source: Database, earlier: Before | None, engine: Engine | None, folder: Path, mark: str) -> list[Range]:
    """Return the files of an extraction by the run's Spark."""
    from caudal.stages.ingest.sql.jdbc.errors import translate_jdbc_error
    from caudal.stages.ingest.sql.jdbc.extract import extract

    if engine is None:
        raise EnvironmentProblem(f"{source.address!r} is asked by Spark, and there is none here.", fix="Ask for it in a run.")
    return _tried(lambda: extract(engine, source, earlier, folder, mark), lambda error: translate_jdbc_error(error, source), folder)


def _tried(take: Callable[[], list[Range]], explain: Callable[[Exception], CaudalError | None], folder: Path) -> list[Range]:
    """Return the files of an extraction; a database that does not answer is asked again."""
    wait_s = BACKOFF_S
    for attempt in range(1, ATTEMPTS + 1):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            return take()
        except CaudalError:
            raise
        except Exception as error:
            problem = explain(error)
            if problem is None:
                raise
            if not isinstance(problem, EnvironmentProblem) or attempt == ATTEMPTS:
                raise problem from None
        time.sleep(wait_s)
        wait_s *= 2
    raise AssertionError("unreachable")


def _same(ranges: list[Range], earlier: Before) -> bool:
    """Tell whether a whole extraction brought what the one before it did."""
    return sorted(hashlib.sha256(range_.file.read_bytes()).hexdigest() for range_ in ranges) == sorted(
        one.sha256 for one, _ in earlier.files
    )
