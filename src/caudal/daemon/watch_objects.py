"""Files at an address (S3, HDFS, SFTP …): listed from time to time; a new or changed file is an event."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from caudal.daemon.watch_files import FileWatcher
from caudal.ledger.ledger import Ledger
from caudal.stages.ingest import Arrival, Seen
from caudal.stages.ingest.remote import look_remote


class ObjectWatcher(FileWatcher):
    """The objects of one source."""

    def places(self) -> list[tuple[Path, bool]]:
        """Return no folder: remote changes wake nobody."""
        return []

    def _found(self, seen: Mapping[str, Seen]) -> list[Arrival]:
        return look_remote(self._connection, seen=seen, clock=self._clock)

    def _mended(self, ledger: Ledger) -> bool:
        return False  # another full listing is expensive; failed events are retried with the next event
