"""Land the requests that servers of a model have answered: what they have written up to now, as Parquet.

What was landed is removed from the folder in which servers write at the next landing: the lake has it then.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from caudal.declarations.connection import Connection
from caudal.declarations.requests import Requests, requests
from caudal.errors import SourceProblem
from caudal.messaging.request_files import take_all
from caudal.messaging.request_tables import read_requests
from caudal.stages.ingest.arrival import Arrival, Clock, KnownFile, fetches

__all__ = ["fetch", "landed_as", "requests"]

log = logging.getLogger(__name__)


@fetches("requests")
def fetch(
    connection: Connection, *, data: Path | None, scratch: Path, landed: Mapping[str, KnownFile], clock: Clock
) -> list[Arrival]:
    """Return the requests that were answered since the last landing; none where no server has answered any."""
    assert isinstance(connection, Requests)
    if connection.folder is None or not (folder := Path(connection.folder)).exists():
        return []
    if not folder.is_dir():
        raise SourceProblem(f"Servers write requests in '{folder}', which is no folder.", fix="Move it away.", folder=str(folder))
    arrivals = []
    for file in take_all(folder):
        path = landed_as(connection, file)
        if path in landed:
            file.unlink(missing_ok=True)
            continue
        rows, unreadable = read_requests(file)
        if unreadable:
            log.warning(
                "%d lines of '%s' broke off and are left out: its server was killed, or the disk was full", unreadable, file
            )
        if not len(rows):
            file.unlink(missing_ok=True)
            continue
        local = scratch / f"{file.stem}.parquet"
        pq.write_table(rows, local, compression="zstd")
        arrivals.append(Arrival(path, local, local.stat().st_size, file.stat().st_mtime_ns))
    return arrivals


def landed_as(connection: Requests, file: Path) -> str:
    """Return the origin under which a file of requests is landed."""
    return f"requests:{connection.model}/{file.stem}.parquet"
