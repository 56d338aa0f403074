"""The outbox of an outlet: rows by micro-batch, kept in the stream's checkpoint until the receiver has them.

The guarantee follows from the order of three acts: the checkpoint with the rows is written; they are sent; the checkpoint forgets them.

- at least once: a process that dies between sending and forgetting sends again;
- exactly once: the receiver stores the rows and their micro-batch's number in one transaction, and reports it before they are sent again;
- at most once: rows in a checkpoint that is read after a restart may have been sent, and are not sent again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import orjson
import pyarrow as pa

from caudal.declarations.outlet import Outlet
from caudal.errors import EnvironmentProblem, StepFailed

if TYPE_CHECKING:
    from caudal.report.documents import OutletDocument


_TRY_AGAIN_S = 2.0
MOST_BYTES = 64 << 20  # of rows on their way; with more, the stream waits for the receiver
Waiting = Sequence[tuple[int, pa.Table]]


class Sender(Protocol):
    """A receiver of rows."""

    def upto(self) -> int:
        """Return the last micro-batch that the receiver has, as far as it knows; -1 if it has none."""

    def send(self, batch: int, rows: pa.Table) -> None:
        """Send rows, and return when the receiver has them.

        Raises
        ------
        EnvironmentProblem : the receiver does not accept rows at the moment
        """

    def close(self) -> None:
        """Close the connection."""


class Outbox(threading.Thread):
    """An outlet that runs while the stream runs: a slow or broken receiver delays nothing until too many rows wait for it.

    Attributes
    ----------
    sent : int, rows since the start; lost : int, rows that failed and, with "at most once", are not tried again
    trouble : str, why rows wait, or empty
    """

    def __init__(self, declared: Outlet, sender: Sender, waiting: Waiting) -> None:
        super().__init__(name=f"outlet {declared.name}", daemon=True)
        self.declared, self._sender = declared, sender
        self.sent, self.lost, self.trouble = 0, 0, ""
        self._upto: int | None = None
        self._waiting: Waiting = [] if declared.delivery == "at most once" else list(waiting)
        self._released = self._waiting[-1][0] if self._waiting else -1
        self._change = threading.Condition()
        self._ending, self._draining, self._tries = False, False, 0
        self._broke: StepFailed | None = None

    @property
    def waiting(self) -> list[tuple[int, pa.Table]]:
        """The rows that the checkpoint has to hold."""
        return list(self._waiting)

    def put(self, batch: int, rows: pa.Table) -> None:
        """Add rows; they are sent after `release`, because the checkpoint has to hold them first."""
        with self._change:
            self._waiting = [*self._waiting, (batch, rows)]

    def release(self, batch: int) -> None:
        """Allow rows up to a micro-batch to be sent: the checkpoint holds them."""
        with self._change:
            self._released = batch
            self._change.notify_all()

    def drain(self) -> None:
        """Return when no rows wait any more, or the receiver has been tried and does not accept them."""
        with self._change:
            tries, self._draining = self._tries, True
            self._change.notify_all()
            while self._waiting and self._broke is None and (self._tries == tries or not self.trouble) and self.is_alive():
                self._change.wait(0.1)
            self._draining = False

    def stop(self) -> None:
        """Stop, even if rows wait."""
        with self._change:
            self._ending = True
            self._change.notify_all()
        if self.ident is not None:
            self.join()
        self._sender.close()

    def check(self) -> None:
        """Raise the error that ended the sending, if any."""
        if self._broke is not None:
            raise self._broke

    def run(self) -> None:
        """Send released rows in order; try again after a while if that fails."""
        while True:
            with self._change:
                self._change.wait_for(lambda: self._ending or self._due, None)
                if self.trouble and not self._ending and not self._draining:
                    self._change.wait_for(lambda: self._ending or self._draining, _TRY_AGAIN_S)
                if self._ending:
                    return
                batch, rows = self._waiting[0]
            try:
                self._try(batch, rows)
            except StepFailed as broke:
                self._broke = broke
                return

    def _try(self, batch: int, rows: pa.Table) -> None:
        try:
            if not self._has(batch):
                self._sender.send(batch, rows)
                self.sent += len(rows)
            trouble = ""
        except EnvironmentProblem as error:
            trouble, self._upto = error.sentence(), None
            if self.declared.delivery == "at most once":
                self.lost += len(rows)
        with self._change:
            self.trouble = trouble
            self._tries += 1
            if not trouble or self.declared.delivery == "at most once":
                self._waiting = self._waiting[1:]
            self._change.notify_all()

    @property
    def _due(self) -> bool:
        return bool(self._waiting) and self._waiting[0][0] <= self._released

    @property
    def full(self) -> bool:
        """Whether so many rows wait that the stream must wait, too."""
        return bool(sum(rows.nbytes for _, rows in self._waiting) > MOST_BYTES)

    def document(self) -> OutletDocument:
        """Return the outlet's state, JSON-ready."""
        return {
            "of": self.declared.of, "to": self.declared.to.shown, "delivery": self.declared.delivery, "sent": self.sent,
            "waiting": sum(len(rows) for _, rows in self._waiting), "lost": self.lost, "trouble": self.trouble or None,
        }  # fmt: skip

    def _has(self, batch: int) -> bool:
        if self.declared.delivery != "exactly once":
            return False
        if self._upto is None:
            self._upto = self._sender.upto()
            if self._upto > (newest := self._waiting[-1][0]):
                raise StepFailed(
                    f"Where '{self.declared.name}' sends to has rows of micro-batch {self._upto}, but the stream has come to {newest} only.",
                    fix="Was the stream begun anew? Give the outlet another name or place, and nothing is taken for what was sent before.",
                    where=str(self.declared.where),
                )
        has_batch: bool = batch <= self._upto
        return has_batch


def json_line(row: Mapping[str, object]) -> bytes:
    """Return one row as a line of JSON."""
    return orjson.dumps(row, option=orjson.OPT_UTC_Z)
