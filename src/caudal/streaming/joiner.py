"""The thread that keeps joins up to date while the streams run, and what it reports to the live feed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from caudal.graph.registered import declarations_of_kind
from caudal.json_value import JsonObject
from caudal.messaging.feed import Feed
from caudal.messaging.updates import Update
from caudal.runtime.product_tables import ProductTables
from caudal.runtime.run_record import RunRecord
from caudal.streaming.faults import translate_stream_error
from caudal.streaming.join import Joining

_PAUSE_S = 0.2


class Joiner(threading.Thread):
    """Follows the published versions of joined tables, one join of a product after the other; an error ends the streams."""

    def __init__(self, joinings: Sequence[Joining], stop_requested: threading.Event) -> None:
        super().__init__(name="joins", daemon=True)
        self._joinings, self._stop_requested = joinings, stop_requested
        self._ending = threading.Event()
        self._broke: tuple[Joining, BaseException] | None = None

    def run(self) -> None:
        """Run until asked to stop."""
        while self._joinings and not self._ending.wait(_PAUSE_S):
            while self._step_all() and not self._ending.is_set():
                pass
            if self._broke:
                self._stop_requested.set()
                return

    def stop(self) -> None:
        """Stop after the current step."""
        self._ending.set()
        self.join()

    def finish(self, *, whole: bool, end: bool) -> None:
        """Take all that is published, and write left rows without a match, as far as asked; raise the error that broke a join."""
        while (whole or end) and self._step_all():
            pass
        for joining in self._joinings if end else ():
            self._step(joining, joining.end)
        self._raise_error()

    def documents(self) -> dict[str, JsonObject]:
        """Return the state of each join, JSON-ready."""
        return {joining.declared.name: joining.document() for joining in self._joinings}

    def _step_all(self) -> bool:
        """Do one step of each join, however much one of them has to do; return whether any had something to do."""
        return sum(self._step(joining) for joining in self._joinings) > 0

    def _step(self, joining: Joining, action: Callable[[], object] | None = None) -> bool:
        """Do a step, or the given action; return whether there was anything to do. After an error there is nothing any more."""
        if self._broke is not None:
            return False
        try:
            return bool((action or joining.step)())
        except Exception as error:  # noqa: BLE001 (it is raised again in the main thread)
            self._broke = (joining, error)
            return False

    def _raise_error(self) -> None:
        if self._broke is None:
            return
        joining, error = self._broke
        raise translate_stream_error(error, f"join '{joining.declared.name}'") from error


class FeedOfJoins(Feed):
    """A feed whose updates include the state of the joins."""

    def __init__(self, folder: Path, joiner: Joiner) -> None:
        super().__init__(folder)
        self._joiner = joiner

    def append(self, update: Update) -> int:
        """Write an update and return its number."""
        joins = self._joiner.documents()
        return super().append({**update, "joins": joins} if joins else update)


def joinings(tables: ProductTables, record: RunRecord) -> list[Joining]:
    """Return a product's joins, ready to go on."""
    return [
        Joining(tables.product, node, tables.home, record.run_id, record.clock)
        for node in declarations_of_kind(tables.product, "join")
    ]
