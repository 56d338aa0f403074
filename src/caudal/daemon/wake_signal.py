"""What wakes the daemon, and what ends it."""

from __future__ import annotations

import signal
import threading


class WakeSignal:
    """Rings when something is to be looked at, and knows when the daemon was asked to stop."""

    def __init__(self) -> None:
        self.asked_to_stop = False
        self._event = threading.Event()

    def __enter__(self) -> WakeSignal:
        self._old = {}
        if threading.current_thread() is threading.main_thread():
            self._old = {one: signal.signal(one, self._ask) for one in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for one, handler in self._old.items():
            signal.signal(one, handler)

    def ring(self) -> None:
        """Ring; from any thread."""
        self._event.set()

    def rung(self) -> bool:
        """Tell whether it has rung since it was asked last."""
        rang = self._event.is_set()
        self._event.clear()
        return rang

    def wait(self, seconds: float) -> None:
        """Wait until it rings."""
        self._event.wait(seconds)

    def _ask(self, *_: object) -> None:
        self.asked_to_stop = True  # no lock is taken: the thread that the signal interrupts may hold it
