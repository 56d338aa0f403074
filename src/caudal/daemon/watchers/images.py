"""Arriving images, in a folder or at an address: one event for all images since the last one, so that many images are one row.

The landed packs tell which images are known; each pack is read once. An event says that there are new images, and
its run takes all that are there when it begins. So nothing is reported while an event waits, and while more are being written
an event follows after `GATHER_S` at the latest.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from caudal.daemon.events import Event
from caudal.daemon.watch import DeclaredTrigger, Look, watches
from caudal.declarations.connection import Files
from caudal.declarations.images import Images
from caudal.declarations.node import Source
from caudal.declarations.trigger import OnArrival
from caudal.errors import EnvironmentProblem, SourceProblem
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import events, landed
from caudal.stages.ingest.files import split_pattern
from caudal.stages.ingest.images import ListedImage, Mark, list_changed_images, read_marks
from caudal.stages.ingest.origin import base_folder, former_name
from caudal.storage.place import Place
from caudal.tables.home import Home
from caudal.tables.landing import store_path

GATHER_S = 10.0
_REST = 4  # a pause is this many times as long as the look before: a writer of many files wakes the daemon with each of them


@watches("images")
def image_watcher(watched: DeclaredTrigger) -> ImageWatcher | None:
    """Return the watcher of images; None for other triggers."""
    source = watched.source
    if source is None or not isinstance(watched.trigger, OnArrival) or not isinstance(source.connection, Images):
        return None
    settle_s = 0.0 if source.connection.remote else watched.settle_s
    return ImageWatcher(watched.product.name, source, watched.home, watched.data, settle_s)


class ImageWatcher:
    """The images of one source."""

    def __init__(
        self, product: str, source: Source, home: Home, data: Path, settle_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        assert isinstance(source.connection, Images)
        self.product, self.source, self.data, self._clock = product, source, data, clock
        self._connection = replace(source.connection, settle_s=max(source.connection.settle_s, settle_s))
        self._raw = home.raw(product, source.name)
        self._packs: dict[str, Place] = {}
        self._known: dict[str, Mark] = {}
        self._noted: set[ListedImage] = set()
        self._now: set[ListedImage] = set()  # new images of the last look
        self._since: float | None = None  # when the oldest unreported image was first seen
        self._rests_until = 0.0

    @property
    def name(self) -> str:
        """The trigger name of its events."""
        return f"source:{self.source.name}"

    def places(self) -> list[tuple[Path, bool]]:
        """Return the folder that wakes the daemon; none if the images are remote."""
        if self._connection.remote:
            return []
        base, parts = split_pattern(Files(self._connection.pattern), self.data)
        return [(base, len(parts) > 1)]

    def look(self, ledger: Ledger) -> Look:
        """Return one event for the images that arrived or changed since the last one."""
        began = time.monotonic()
        if began < self._rests_until:
            return Look([], again_s=self._rests_until - began)
        try:
            self._read_packs(ledger)
            arrivals = list_changed_images(self._connection, data=self.data, marks=self._known, clock=self._clock, attempts=1)
        except (SourceProblem, EnvironmentProblem) as problem:  # the folder is not there yet, or does not answer
            return Look([], trouble=problem.sentence())
        self._rests_until = time.monotonic() + _REST * (time.monotonic() - began)
        self._noted &= {*arrivals.ready, *arrivals.growing}  # landed or deleted images need not be remembered
        self._now = {image for image in arrivals.ready if image not in self._noted}
        if not self._now:
            self._since = None
            return Look([], again_s=self._again_s(arrivals.growing))
        # The ledger is read after the look, so the run of an event that still waits sees at least as much.
        if ledger.find(events, product=self.product, trigger=self.name, state="new", limit=1):
            self._remember()
            return Look([], again_s=self._again_s(arrivals.growing))
        self._since = self._since or self._clock()
        if arrivals.growing and self._clock() < self._since + GATHER_S:
            return Look([], again_s=self._again_s(arrivals.growing))
        return Look([self._event(sorted(self._now, key=lambda image: image.path))], again_s=self._again_s(arrivals.growing))

    def recorded(self, recorded_events: Sequence[Event]) -> None:
        """Remember which events the ledger has."""
        if recorded_events:
            self._remember()

    def _remember(self) -> None:
        self._noted |= self._now
        self._now, self._since = set(), None

    def _event(self, new: Sequence[ListedImage]) -> Event:
        # The newest pack is part of the digest: an image that returns after another of its name is another arrival.
        digest = hashlib.sha256(max(map(_name, self._packs), default="").encode())
        for image in new:
            line = f"{image.path}\0{image.bytes}\0{image.modified_ns}\0{image.etag}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
        subject = new[0].path if len(new) == 1 else f"{len(new):,} images, {new[0].path} to {new[-1].path}"
        detail = {"images": len(new), "bytes": sum(image.bytes for image in new)}
        return Event(self.product, self.name, "images", subject, digest.hexdigest(), self._clock(), detail=detail)

    def _read_packs(self, ledger: Ledger) -> None:
        """Update the known images from the landed packs."""
        rows = ledger.find(landed, product=self.product, source=self.source.name)
        packs = {row["path"]: store_path(self._raw, row["sha256"], row["path"]) for row in rows if row["kind"] == "data"}
        if not self._packs.items() <= packs.items():  # a pack was replaced, for example by an erasure
            self._packs, self._known = {}, {}
        new = {path: stored for path, stored in packs.items() if path not in self._packs}
        if new and min(map(_name, new)) < max(map(_name, self._packs), default=""):  # of an image the newest pack counts
            new, self._known = packs, {}
        self._known |= read_marks(
            new.items(), former_name(self._connection.pattern, base_folder(self._connection.pattern, self.data))
        )
        self._packs = packs

    def _again_s(self, growing: Sequence[ListedImage]) -> float | None:
        if not growing:
            return None
        waiting = [self._connection.settle_s - (self._clock() - image.modified_ns / 1e9) for image in growing]
        return max(min(waiting), 0.1)


def _name(pack: str) -> str:
    return pack.rpartition("/")[2]
