"""How far back a table function looks, told by the lags and rolling windows in it while it is called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Lookback:
    """The farthest look back that was noted: seconds, 0 for none, infinity where nothing bounds it."""

    seconds: float = 0.0


_RECORDING: ContextVar[tuple[Lookback, ...]] = ContextVar("caudal_lookback", default=())


@contextmanager
def recorded() -> Iterator[Lookback]:
    """Record what features note while the block runs; blocks nest, and an outer one sees what an inner one does.

    Examples
    --------
    >>> with recorded() as seen:
    ...     note(900)
    ...     note(86400)
    >>> seen.seconds
    86400.0
    """
    seen = Lookback()
    token = _RECORDING.set((*_RECORDING.get(), seen))
    try:
        yield seen
    finally:
        _RECORDING.reset(token)


def note(seconds: float) -> None:
    """Note that a feature needs rows from up to ``seconds`` before the row that it is for; without a recorder, nothing happens."""
    for seen in _RECORDING.get():
        seen.seconds = max(seen.seconds, float(seconds))
