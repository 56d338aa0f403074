"""The base class of expectations. Each kind is a file of ``stages/enforce``."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import ClassVar, Literal, Self

from caudal.declarations.location import Location

Action = Literal["warn", "quarantine", "stop"]


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """A condition on the rows of a table, and the action where it fails.

    ``warn`` counts failing rows and publishes; ``quarantine`` sets them aside with their reasons, and stops the step if their
    share exceeds ``max_share``; ``stop`` publishes nothing.
    """

    kind: ClassVar[str]
    per_row: ClassVar[bool] = True
    action: Action = "stop"
    max_share: float | None = None
    where: Location | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table that it uses."""
        return ()

    @property
    def tables(self) -> tuple[str, ...]:
        """Other tables that it reads."""
        return ()

    @property
    def name(self) -> str:
        """The expectation as text, e.g. ``between(fare_usd, 0, 500)``; quarantined rows carry it as their reason."""
        values = [getattr(self, field.name) for field in fields(self) if field.name not in ("action", "max_share", "where")]
        texts = [", ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in values if value is not None]
        return f"{self.kind}({', '.join(texts)})"

    def warn(self) -> Self:
        """Return this expectation with the action ``warn``: failing rows are only counted."""
        return replace(self, action="warn", max_share=None)

    def quarantine(self, max_share: float | None = None) -> Self:
        """Return this expectation with the action ``quarantine``; a larger share of failing rows than ``max_share`` stops the step."""
        return replace(self, action="quarantine", max_share=max_share)

    def stop(self) -> Self:
        """Return this expectation with the action ``stop``: a failing row stops the step, and nothing is published."""
        return replace(self, action="stop", max_share=None)

    def parameters(self) -> dict[str, object]:
        """Return all declared values by name; the fingerprint uses them."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "where"}
