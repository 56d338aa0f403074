"""What must hold for a table. The kinds live in ``stages/expect``, one a file; this is what all of them share."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar, Literal, Self

from caudal.declarations.location import Location

Action = Literal["warn", "quarantine", "stop"]


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Something that must hold, and what happens where it does not.

    ``warn`` counts and publishes; ``quarantine`` sets the failing rows aside with their reasons, and stops the step if their
    share passes ``max_share``; ``stop`` publishes nothing.
    """

    kind: ClassVar[str]
    per_row: ClassVar[bool] = True
    action: Action = "stop"
    max_share: float | None = None
    where: Location | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that it binds to."""
        return ()

    @property
    def tables(self) -> tuple[str, ...]:
        """Other tables that it reads."""
        return ()

    @property
    def name(self) -> str:
        """The expectation as one would say it, e.g. ``between(fare_usd, 0, 500)``: the reason a quarantined row carries."""
        own = [getattr(self, field.name) for field in fields(self) if field.name not in ("action", "max_share", "where")]
        said = [", ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in own if value is not None]
        return f"{self.kind}({', '.join(said)})"

    def warn(self) -> Self:
        """Return this expectation, counting only."""
        return replace(self, action="warn", max_share=None)

    def quarantine(self, max_share: float | None = None) -> Self:
        """Return this expectation, setting failing rows aside; more than ``max_share`` of them stops the step."""
        return replace(self, action="quarantine", max_share=max_share)

    def stop(self) -> Self:
        """Return this expectation, publishing nothing when it is broken."""
        return replace(self, action="stop", max_share=None)

    def parameters(self) -> dict[str, object]:
        """Return every declared value: what the fingerprint is made of."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "where"}
