"""How often a stream does what follows its messages and writes no table: the tables of the next messages wait meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

SHARE = 0.2  # of the time, at most, that each step takes


class Pace:
    """When steps may be done again, and those that were put off.

    Parameters
    ----------
    clock : monotonic seconds

    Examples
    --------
    >>> now = 100.0
    >>> pace = Pace(lambda: now)
    >>> pace.done("lookup:fare", began=97.0)  # it took three seconds of fifteen
    >>> pace.put_off("lookup:fare"), pace.is_owed("lookup:fare"), pace.something_is_due()
    (True, True, False)
    >>> now = 112.0
    >>> pace.put_off("lookup:fare"), pace.something_is_due()
    (False, True)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._due_at: dict[str, float] = {}
        self._owed: set[str] = set()

    def put_off(self, step: str) -> bool:
        """Return whether a step has to wait; it is owed then."""
        waits = self.clock() < self._due_at.get(step, -float("inf"))
        if waits:
            self._owed.add(step)
        return waits

    def done(self, step: str, began: float) -> None:
        """Note that a step has been done, and when it began."""
        self._owed.discard(step)
        self._due_at[step] = began + (self.clock() - began) / SHARE

    def is_owed(self, step: str) -> bool:
        """Return whether a step was put off and has not been done since."""
        return step in self._owed

    def something_is_due(self) -> bool:
        """Return whether a step that was put off need not wait any longer."""
        return any(self.clock() >= self._due_at[step] for step in self._owed)
