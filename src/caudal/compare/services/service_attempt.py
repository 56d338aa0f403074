"""Work that a service does, seen from here as a process of this machine is: submitted, waited for, cancelled, its home brought back."""

from __future__ import annotations

import contextlib
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from caudal.compare.attempt import Attempt
from caudal.compare.repetition import EVENT_LOGS
from caudal.compare.services.parcel import write_parcel
from caudal.errors import CaudalError, printable

if TYPE_CHECKING:
    from caudal.compare.services.service import Service

FIRST_WAIT_S, LONGEST_WAIT_S, LONGER = 0.5, 15.0, 1.5
"""Between two looks at the work; each wait is longer than the last one by a factor."""


@dataclass
class ServiceAttempt(Attempt):
    """Work that a service does.

    Parameters
    ----------
    settings : those that the work has there
    writes_log : whether Spark does the work, so that there is an event log
    """

    service: Service = field(kw_only=True)
    settings: dict[str, Any] = field(kw_only=True)
    writes_log: bool = field(kw_only=True)
    run: str | None = None
    _why: str | None = None
    _ended: bool = False

    def start(self) -> Attempt:
        """Send the parcel and submit the work; that it cannot be is a result too."""
        self.place.mkdir(parents=True)
        self.home.mkdir(parents=True, exist_ok=True)
        self.started_at = time.time()
        number = self.place.parent.name
        with self._problems_noted():
            parcel = self.place / "parcel.zip"
            write_parcel(parcel, self.order, self.settings)
            self.service.send(parcel, f"{number}/parcel.zip")
            parcel.unlink()
            self.started_at = time.time()
            title = f"caudal compare {self.order.product.name} {number}"
            self.run = self.service.submit(title, f"{number}/parcel.zip", f"{number}/home.zip", self.started_at)
        return self

    def wait(self, until: float) -> bool:
        """Wait for the work to end and bring its home here; return False where it has not ended by ``until`` (`time.monotonic`)."""
        wait_s = FIRST_WAIT_S
        while not self._ended:
            with self._problems_noted():
                assert self.run is not None
                state = self.service.state(self.run)
                if state.ended:
                    self.total_s = time.time() - self.started_at if state.total_s is None else state.total_s
                    self._ended, self._why = True, state.why
                    self._bring_home()
                    break
            left_s = until - time.monotonic()
            if left_s <= 0:
                return self._ended
            time.sleep(min(wait_s, left_s))
            wait_s = min(wait_s * LONGER, LONGEST_WAIT_S)
        return True

    def moment(self, event: str) -> float | None:
        """Return when the work noted an event; None before its home is here."""
        return super().moment(event) if self._ended else None

    def stop(self) -> None:
        """Cancel the work."""
        self.total_s = time.time() - self.started_at
        if self.run is not None and not self._ended:
            with contextlib.suppress(CaudalError):
                self.service.cancel(self.run)
        self._ended = True

    def kill(self) -> None:
        """Cancel the work."""
        self.stop()

    def result(self) -> dict[str, Any]:
        """Return what the work has written of itself; where it was not done, why, as the work, or else the service says it."""
        result = super().result()
        if result.get("state") == "done":
            return result if self._why is None else {**result, "state": "failed", "why": self._why}
        return {**result, "state": "failed", "why": result.get("why") or self._why or f"{self.service.title} has sent no result."}

    def _bring_home(self) -> None:
        assert self.run is not None
        number = self.place.parent.name
        packed = self.place / "home.zip"
        if self.service.fetch(f"{number}/home.zip", packed):
            with zipfile.ZipFile(packed) as archive:
                archive.extractall(self.place.parent)  # work and home, which lie there side by side
            packed.unlink()
        if self.writes_log:
            logs = self.place / EVENT_LOGS
            logs.mkdir(exist_ok=True)
            self.service.fetch_event_log(self.run, logs, wait=self._why is None)

    @contextmanager
    def _problems_noted(self) -> Iterator[None]:
        """Let a problem be the end of the work, and the reason; whatever else ends it cancels what was submitted."""
        try:
            yield
        except CaudalError as error:
            self.stop()
            self._why = printable(" ".join(filter(None, (error.what, error.fix))))
        except BaseException:
            self.stop()
            raise
