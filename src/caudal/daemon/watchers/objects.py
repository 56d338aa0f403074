"""Files at an address (S3, HDFS, SFTP …): listed from time to time; a new or changed file is an event."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from caudal.daemon.watch import DeclaredTrigger, watches
from caudal.daemon.watchers.files import FileWatcher
from caudal.declarations.connection import Files
from caudal.declarations.trigger import OnArrival
from caudal.ledger.ledger import Ledger
from caudal.stages.ingest import Arrival, KnownFile
from caudal.stages.ingest.remote import list_changed_remote


@watches("objects")
def object_watcher(watched: DeclaredTrigger) -> ObjectWatcher | None:
    """Return the watcher of files at an address; None for other triggers."""
    source = watched.source
    if source is None or not isinstance(watched.trigger, OnArrival):
        return None
    if not isinstance(source.connection, Files) or not source.connection.remote:
        return None
    return ObjectWatcher(watched.product.name, source, watched.data, 0.0)  # an object is whole when it is listed


class ObjectWatcher(FileWatcher):
    """The objects of one source."""

    def places(self) -> list[tuple[Path, bool]]:
        """Return no folder: remote changes cannot wake the daemon."""
        return []

    def _list_arrivals(self, known_files: Mapping[str, KnownFile]) -> list[Arrival]:
        return list_changed_remote(self._connection, landed=known_files, clock=self._clock)

    def _file_was_deleted(self, ledger: Ledger) -> bool:
        return False  # another full listing is expensive; failed events are retried with the next event
