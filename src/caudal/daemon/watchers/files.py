"""Files that arrive: seen at once by watchdog, and by a look at the folder from time to time, so that nothing is missed.

watchdog only wakes; what has arrived is told by the same look that landing takes. A file that is being written waits until it has
rested; names of files in the making (``.part``, ``.tmp``, a leading dot) are not looked at, so that a rename is an arrival.
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
from caudal.daemon.watch import Look, Watched, watches
from caudal.declarations.connection import Files
from caudal.declarations.node import Source
from caudal.declarations.trigger import OnArrival
from caudal.errors import EnvironmentProblem, SourceProblem
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import events, landed
from caudal.stages.ingest import Arrival, KnownFile
from caudal.stages.ingest.files import look, present, split_pattern

CHANGES = ("created", "modified", "moved", "closed", "deleted")  # not "opened": looking opens files


def trigger_of(source: Source) -> str:
    """Return what events of a source say that they come from."""
    return f"source:{source.name}"


def arrived(product: str, source: Source, file: Arrival, at: float, after: int = 0) -> Event:
    """Return the event that a file has arrived.

    Parameters
    ----------
    after : place in the order of landing of the content that the path had before; 0 where none was landed. By it a content that comes back
        after another, with its old size and time, is another arrival
    """
    content = f"{file.path}\0{file.bytes}\0{file.modified_ns}"
    return Event(
        product, trigger_of(source), "file", file.path, f"{content}\0{after}" if after else content, at,
        detail={"bytes": file.bytes, **({"fault": file.fault} if file.fault else {})},
    )  # fmt: skip


@watches("files")
def file_watcher(watched: Watched) -> FileWatcher | None:
    """Return what looks out for files in a folder."""
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
        self._gone: set[str] = set()  # files of such events that were seen to be taken away

    @property
    def name(self) -> str:
        """What its events say that they come from."""
        return trigger_of(self.source)

    def places(self) -> list[tuple[Path, bool]]:
        """Return the folders to be woken by, each with whether those below it count too."""
        base, parts = split_pattern(self._connection, self.data)
        return [(base, len(parts) > 1)]

    def look(self, ledger: Ledger) -> Look:
        """Return the files that are new or have changed, and when to look again for those that are being written."""
        rows = ledger.find(landed, product=self.product, source=self.source.name)
        seen = {row["path"]: KnownFile(row["etag"], row["modified_ns"], row["bytes"], row["sha256"]) for row in rows}
        landed_last = {row["path"]: row["seq"] for row in rows}
        try:
            found = self._found(seen)
            mended = self._mended(ledger)
        except (SourceProblem, EnvironmentProblem) as problem:  # the folder is not there yet, or cannot be read
            return Look([], trouble=problem.sentence())
        happened, keys = [], set()
        for one in found:
            event = arrived(self.product, self.source, one, self._clock(), landed_last.get(one.path, 0))
            keys.add(event.key)
            if one.settled and event.key not in self._noted:
                happened.append(event)
        self._noted &= keys  # what is landed, or gone, need not be remembered
        waiting = [
            self._connection.settle_s - (self._clock() - one.modified_ns / 1e9)
            for one in found
            if not one.settled and one.link is None
        ]
        return Look(happened, again_s=max(min(waiting), 0.1) if waiting else None, mended=mended)

    def told(self, happened: list[Event]) -> None:
        """Remember what the ledger knows now."""
        self._noted |= {happening.key for happening in happened}

    def _found(self, seen: Mapping[str, KnownFile]) -> list[Arrival]:
        return look(self._connection, data=self.data, seen=seen, clock=self._clock)

    def _mended(self, ledger: Ledger) -> bool:
        """Tell whether a file was taken away since runs fail: it may have been the one that no run could read."""
        failed = ledger.find(events, product=self.product, trigger=self.name, state="failed")
        if not failed:
            self._present = None
            return False
        before, self._present = self._present, present(self._connection, self.data)
        self._gone -= self._present
        # Those of the events themselves may have gone before this look, the first since the run failed; each is told of once.
        gone = {row["subject"] for row in failed} - self._present - self._gone
        self._gone |= gone
        return bool(gone) or (before is not None and bool(before - self._present))


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
        """Watch the folders that are there; those that are not are looked at from time to time, like all."""
        for watched_place in places:
            folder, below = watched_place
            if not folder.is_dir():
                if watched_place in self._watched:
                    with contextlib.suppress(KeyError):
                        self._observer.unschedule(self._watched.pop(watched_place))
            elif watched_place not in self._watched:
                # Where the system has no more watches to give, the look from time to time remains.
                with contextlib.suppress(OSError):
                    self._watched[watched_place] = self._observer.schedule(self, str(folder), recursive=below)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Wake, unless it was only a look."""
        if event.event_type in CHANGES:
            self._wake()
