"""Arriving files: watchdog reports them at once, and a look at the folder from time to time misses none.

watchdog only wakes; arrivals are found by the same look that landing uses. A file that is being written waits until it has
not changed for a while; names of incomplete files (``.part``, ``.tmp``, a leading dot) are ignored, so that a rename is an arrival.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

from caudal.daemon.events import Event
from caudal.daemon.watch import DeclaredTrigger, Look, watches
from caudal.declarations.connection import Files
from caudal.declarations.node import Source
from caudal.declarations.trigger import OnArrival
from caudal.errors import EnvironmentProblem, SourceProblem
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import events, landed
from caudal.stages.ingest import Arrival, KnownFile
from caudal.stages.ingest.files import list_changed, list_origins, split_pattern

CHANGES = ("created", "modified", "moved", "closed", "deleted")  # not "opened": looking opens files


def trigger_of(source: Source) -> str:
    """Return the trigger name of a source's events."""
    return f"source:{source.name}"


def arrival_event(product: str, source: Source, file: Arrival, at: float, after: int = 0) -> Event:
    """Return the event for an arrived file.

    Parameters
    ----------
    after : landing number of the path's earlier content; 0 if none was landed. By it a content that comes back
        after another, with its old size and time, is another arrival
    """
    content = f"{file.path}\0{file.bytes}\0{file.modified_ns}"
    return Event(
        product, trigger_of(source), "file", file.path, f"{content}\0{after}" if after else content, at,
        detail={"bytes": file.bytes, **({"fault": file.fault} if file.fault else {})},
    )  # fmt: skip


@watches("files")
def file_watcher(watched: DeclaredTrigger) -> FileWatcher | None:
    """Return the watcher of files in a folder; None for other triggers."""
    source = watched.source
    if (
        source is None
        or not isinstance(watched.trigger, OnArrival)
        or not isinstance(source.connection, Files)
        or source.connection.remote
    ):
        return None
    return FileWatcher(watched.product.name, source, watched.data, watched.settle_s)


class FileWatcher:
    """The files of one source."""

    def __init__(self, product: str, source: Source, data: Path, settle_s: float, clock: Callable[[], float] = time.time) -> None:
        assert isinstance(source.connection, Files)
        self.product, self.source, self.data, self._clock = product, source, data, clock
        self._connection = replace(source.connection, settle_s=max(source.connection.settle_s, settle_s))
        self._noted: set[str] = set()
        self._present: frozenset[str] | None = None  # while there are events that failed
        self._gone: set[str] = set()  # files of such events that were seen to be deleted

    @property
    def name(self) -> str:
        """The trigger name of its events."""
        return trigger_of(self.source)

    def places(self) -> list[tuple[Path, bool]]:
        """Return the folders that wake the daemon, each with whether its subfolders count too."""
        base, parts = split_pattern(self._connection, self.data)
        return [(base, len(parts) > 1)]

    def look(self, ledger: Ledger) -> Look:
        """Return the new or changed files, and when to look again for those that are being written."""
        rows = ledger.find(landed, product=self.product, source=self.source.name)
        known_files = {row["path"]: KnownFile(row["etag"], row["modified_ns"], row["bytes"], row["sha256"]) for row in rows}
        landed_last = {row["path"]: row["seq"] for row in rows}
        try:
            files = self._list_arrivals(known_files)
            mended = self._file_was_deleted(ledger)
        except (SourceProblem, EnvironmentProblem) as problem:  # the folder is not there yet, or cannot be read
            return Look([], trouble=problem.sentence())
        new_events, keys = [], set()
        for file in files:
            event = arrival_event(self.product, self.source, file, self._clock(), landed_last.get(file.path, 0))
            keys.add(event.key)
            if file.settled and event.key not in self._noted:
                new_events.append(event)
        self._noted &= keys  # landed or deleted files need not be remembered
        waiting = [
            self._connection.settle_s - (self._clock() - file.modified_ns / 1e9)
            for file in files
            if not file.settled and file.link is None
        ]
        return Look(new_events, again_s=max(min(waiting), 0.1) if waiting else None, mended=mended)

    def recorded(self, recorded_events: list[Event]) -> None:
        """Remember which events the ledger has."""
        self._noted |= {event.key for event in recorded_events}

    def _list_arrivals(self, known_files: Mapping[str, KnownFile]) -> list[Arrival]:
        return list_changed(self._connection, data=self.data, landed=known_files, clock=self._clock)

    def _file_was_deleted(self, ledger: Ledger) -> bool:
        """Return whether a file was deleted since runs failed: it may have been the unreadable one."""
        failed = ledger.find(events, product=self.product, trigger=self.name, state="failed")
        if not failed:
            self._present = None
            return False
        before, self._present = self._present, list_origins(self._connection, self.data)
        self._gone -= self._present
        # The failed events' own files may have been deleted before this look, the first since the run failed; each is reported once.
        deleted = {row["subject"] for row in failed} - self._present - self._gone
        self._gone |= deleted
        return bool(deleted) or (before is not None and bool(before - self._present))


class Waker(FileSystemEventHandler):
    """Calls ``wake`` when something changes in one of the folders."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._observer = Observer()
        self._watched: dict[tuple[Path, bool], ObservedWatch] = {}

    def __enter__(self) -> Waker:
        self._observer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._observer.stop()
        self._observer.join()

    def watch(self, places: list[tuple[Path, bool]]) -> None:
        """Watch the folders that exist; the others are looked at from time to time, like all."""
        for watched_place in places:
            folder, below = watched_place
            if not folder.is_dir():
                if watched_place in self._watched:
                    with contextlib.suppress(KeyError):
                        self._observer.unschedule(self._watched.pop(watched_place))
            elif watched_place not in self._watched:
                # If the system has no watches left, the periodic look remains.
                with contextlib.suppress(OSError):
                    self._watched[watched_place] = self._observer.schedule(self, str(folder), recursive=below)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Wake, unless the event was only an access."""
        if event.event_type in CHANGES:
            self._wake()
