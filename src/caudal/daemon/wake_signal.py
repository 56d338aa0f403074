"""The signal that wakes the daemon, and the one that ends it."""

from __future__ import annotations

import signal
import threading


class WakeSignal:
    """Wakes the daemon early, and records whether it was asked to stop."""

    def __init__(self) -> None:
        self.asked_to_stop = False
        self._event = threading.Event()

    def __enter__(self) -> WakeSignal:
        self._handlers = {}
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def ring(self) -> None:
        """Wake the daemon; from any thread."""
        self._event.set()

    def rung(self) -> bool:
        """Return whether the signal was set since the last call, and clear it."""
        rang = self._event.is_set()
        self._event.clear()
        return rang

    def wait(self, seconds: float) -> None:
        """Wait until the signal is set, or some seconds have passed."""
        self._event.wait(seconds)

    def _ask(self, *_: object) -> None:
        self.asked_to_stop = True  # no lock is taken: the thread that the signal interrupts may hold it
