"""What a run reports while it is at work; the terminal's display is one implementation of it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the events of a run as they happen."""

    def started(self, step: str) -> None:
        """Report that a step has started."""

    def slow(self, step: str, seconds: float, expected_s: float) -> None:
        """Report that a running step takes longer than usual."""

    def noted(self, sentence: str) -> None:
        """Report a sentence about the run as a whole."""

    def awaited(self, what: str | None) -> None:
        """Report what the running step waits for; None when it continues."""

    def engine_started(self, engine: str, seconds: float) -> None:
        """Report that an engine has started, after so long a wait."""

    def finished(
        self,
        step: str,
        state: str,
        *,
        rows_read: int | None,
        rows_written: int | None,
        quarantined: int | None,
        seconds: float,
        why: str | None,
    ) -> None:
        """Report how a step ended."""


class NoProgress:
    """Ignores every event; for runs without a display, and the base of classes that want only some of the events."""

    def started(self, step: str) -> None:
        """Do nothing."""

    def slow(self, step: str, seconds: float, expected_s: float) -> None:
        """Do nothing."""

    def noted(self, sentence: str) -> None:
        """Do nothing."""

    def awaited(self, what: str | None) -> None:
        """Do nothing."""

    def engine_started(self, engine: str, seconds: float) -> None:
        """Do nothing."""

    def finished(self, step: str, state: str, **figures: object) -> None:
        """Do nothing."""
