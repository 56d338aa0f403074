"""When a thing is to run: by the clock or by arrival."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cron:
    """A cron expression of five fields, in the product's time zone unless another is given."""

    expression: str
    tz: str | None = None


@dataclass(frozen=True)
class OnArrival:
    """Runs when new files have arrived."""


Trigger = Cron | OnArrival


def cron(expression: str, tz: str | None = None) -> Cron:
    """Return a trigger by the clock."""
    return Cron(expression, tz)


def on_arrival() -> OnArrival:
    """Return a trigger by the arrival of files."""
    return OnArrival()
