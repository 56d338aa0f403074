"""The thread that keeps joins up to date while the streams run, and what it tells those who look on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from caudal.graph.registered import of_kind
from caudal.json_value import JsonObject
from caudal.messaging.feed import Feed
from caudal.messaging.updates import Update
from caudal.runtime.workspace import Workspace
from caudal.streaming.faults import translate_stream_error
from caudal.streaming.join import Joining

_PAUSE_S = 0.2


class Joiner(threading.Thread):
    """Follows the published versions of what is joined, all joins of a product one after the other; what goes wrong ends the streams."""

    def __init__(self, joinings: Sequence[Joining], asked: threading.Event) -> None:
        super().__init__(name="joins", daemon=True)
        self._joinings, self._asked = joinings, asked
        self._ending = threading.Event()
        self._broke: tuple[Joining, BaseException] | None = None

    def run(self) -> None:
        """Go on until asked to end."""
        while self._joinings and not self._ending.wait(_PAUSE_S):
            while self._each_did() and not self._ending.is_set():
                pass
            if self._broke:
                self._asked.set()
                return

    def stop(self) -> None:
        """End after the step that is being done."""
        self._ending.set()
        self.join()

    def finish(self, *, whole: bool, end: bool) -> None:
        """Take, where asked, all that is published, and give the left rows that are still without a match; raise what went wrong."""
        while (whole or end) and self._each_did():
            pass
        for joining in self._joinings if end else ():
            self._did(joining, joining.end)
        self._raise_what_broke()

    def documents(self) -> dict[str, JsonObject]:
        """Return how each join stands, JSON-ready."""
        return {joining.declared.name: joining.document() for joining in self._joinings}

    def _each_did(self) -> bool:
        """Let each do a step, however much one of them has to do; tell whether there was anything."""
        return sum(self._did(joining) for joining in self._joinings) > 0

    def _did(self, one: Joining, doing: Callable[[], object] | None = None) -> bool:
        """Do a step, or what is given; tell whether there was anything. After a fault there is nothing any more."""
        if self._broke is not None:
            return False
        try:
            return bool((doing or one.step)())
        except Exception as error:  # noqa: BLE001 (it is raised again in the main thread)
            self._broke = (one, error)
            return False

    def _raise_what_broke(self) -> None:
        if self._broke is None:
            return
        one, error = self._broke
        raise translate_stream_error(error, f"join '{one.declared.name}'") from error


class FeedOfJoins(Feed):
    """A feed whose updates tell how joins stand, too."""

    def __init__(self, folder: Path, joiner: Joiner) -> None:
        super().__init__(folder)
        self._joiner = joiner

    def append(self, update: Update) -> int:
        """Write an update and return its number."""
        joins = self._joiner.documents()
        return super().append({**update, "joins": joins} if joins else update)


def joinings(ws: Workspace) -> list[Joining]:
    """Return the joins of a product, each ready to go on."""
    return [Joining(ws.product, node, ws.home, ws.run_id, ws.clock) for node in of_kind(ws.product, "join")]
