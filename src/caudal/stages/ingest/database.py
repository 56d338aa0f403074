"""Extract rows of a database: all of them, or those that changed since the last extraction."""

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
from caudal.stages.ingest.arrival import Arrival, Clock, Engine, KnownFile, fetches
from caudal.stages.ingest.sql.earlier import declaration_key, earlier_extractions, stamp, watermark_as_json
from caudal.stages.ingest.sql.engine import open_engine, translate_sqlalchemy_error
from caudal.stages.ingest.sql.extract import extract
from caudal.stages.ingest.sql.jdbc.errors import translate_jdbc_error

if TYPE_CHECKING:
    from caudal.stages.ingest.sql.earlier import EarlierExtractions
    from caudal.stages.ingest.sql.extract import RangeFile

ATTEMPTS = 4
BACKOFF_S = 0.5  # before the second attempt; doubled before each one after it


@fetches("database", engine=True)
def fetch(
    connection: Connection,
    *,
    data: Path | None,
    scratch: Path,
    landed: Mapping[str, KnownFile],
    clock: Clock,
    engine: Engine | None = None,
) -> list[Arrival]:
    """Return the files of one extraction, none if it found nothing new; without JDBC all are of the same state of the database."""
    assert isinstance(connection, Database)

    earlier = earlier_extractions(connection, landed)
    at_us = max(int(clock() * 1e6), earlier.newest + 1 if earlier is not None else 0)
    continues = earlier is not None and bool(earlier.files) and connection.watermark is not None
    continued, file_mark = (earlier, stamp(at_us)) if continues else (None, "")
    folder = scratch / "extraction"
    if connection.by_jdbc:
        ranges = _by_jdbc(connection, continued, engine, folder, file_mark)
    else:
        ranges = _by_sqlalchemy(connection, continued, data, folder, file_mark)
    ranges_kept = [range_ for range_ in ranges if range_.rows] or ([] if continues else ranges[:1])
    if not continues and earlier is not None and connection.watermark is None and _is_unchanged(ranges_kept, earlier):
        return []
    set_name = earlier.set if continues and earlier is not None else f"{connection.address!r}/{connection.what}/{stamp(at_us)}"

    watermarks = [range_.last for range_ in ranges if range_.last is not None]
    notes = {
        "at": at_us,
        "declared": declaration_key(connection),
        "watermark": watermark_as_json(max(watermarks)) if watermarks else None,
        "without": any(range_.has_null for range_ in ranges),
    }
    return [
        Arrival(
            f"{set_name}/{stamp(at_us)}-{range_.file.name}",
            range_.file,
            range_.file.stat().st_size,
            at_us * 1000,
            json.dumps(notes, sort_keys=True),
        )
        for range_ in ranges_kept
    ]


def _by_sqlalchemy(
    source: Database, earlier: EarlierExtractions | None, data: Path | None, folder: Path, mark: str
) -> list[RangeFile]:
    """Return the files of an extraction by SQLAlchemy's driver."""

    def extract_once() -> list[RangeFile]:
        engine = open_engine(source, data)
        try:
            return extract(engine, source, earlier, folder, mark)
        finally:
            engine.dispose()

    return _with_retries(extract_once, lambda error: translate_sqlalchemy_error(error, source), folder)


def _by_jdbc(
    source: Database, earlier: EarlierExtractions | None, engine: Engine | None, folder: Path, mark: str
) -> list[RangeFile]:
    """Return the files of an extraction by the run's Spark."""
    from caudal.stages.ingest.sql.jdbc.extract import extract_by_spark

    if engine is None:
        raise EnvironmentProblem(
            f"{source.address!r} is read by Spark, and no Spark session is available.", fix="Read it in a run."
        )
    return _with_retries(
        lambda: extract_by_spark(engine, source, earlier, folder, mark), lambda error: translate_jdbc_error(error, source), folder
    )


def _with_retries(
    extract_once: Callable[[], list[RangeFile]], explain: Callable[[Exception], CaudalError | None], folder: Path
) -> list[RangeFile]:
    """Return the files of an extraction; retry while the database does not answer."""
    wait_s = BACKOFF_S
    for attempt in range(1, ATTEMPTS + 1):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            return extract_once()
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


def _is_unchanged(ranges: list[RangeFile], earlier: EarlierExtractions) -> bool:
    """Return whether a complete extraction has the same contents as the one before it."""
    return sorted(hashlib.sha256(range_.file.read_bytes()).hexdigest() for range_ in ranges) == sorted(
        landed_file.sha256 for landed_file, _ in earlier.files
    )
