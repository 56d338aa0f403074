"""What a table's function may know and leave beside its rows while its table is made: what it kept the last time, settings, notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

from caudal.errors import StepFailed

Told = Callable[[Any], Mapping[str, object]]  # asked with the folder that the rows were written to


Fits = Literal["anew", "keep", "only"]
"""Whether a function fits anew, as a pipeline that trains does; takes what it kept where that still fits; or takes nothing else."""
PUT_OFF = "put off"
"""Name under which a version keeps that something was to be fitted anew, and waits for the next training."""


def is_fit(name: str) -> bool:
    """Return whether what is kept under a name was fitted to rows."""
    return name.startswith(("pca:", "fit:"))


def called(fit: str) -> str:
    """Return the name under which something is kept that was fitted to rows, as its declaration reads.

    Examples
    --------
    >>> called("pca:embedding"), called("fit:scale")
    ("cd.pca of 'embedding'", "cd.fitted 'scale'")
    """
    kind, name = fit.split(":", 1)
    return f"cd.pca of '{name}'" if kind == "pca" else f"cd.fitted '{name}'"


class NothingFits(StepFailed):
    """What was kept does not fit the function any more."""


@dataclass
class BuildContext:
    """A table in the making.

    Parameters
    ----------
    before : what the function kept with the version before, by name
    kept : what it keeps with this version
    fits : whether what is fitted to rows may be fitted anew
    settings : of Spark, while the rows are written
    asked : the names of what is fitted to rows, whether it was fitted now or taken as it was
    told : asked for notes once the rows are written, with the folder that they were written to
    """

    before: Mapping[str, bytes] = field(default_factory=dict)
    kept: dict[str, bytes] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    fits: Fits = "anew"
    asked: set[str] = field(default_factory=set)

    def require(self, known: object, name: str) -> None:
        """Hold that something may be fitted now.

        Raises
        ------
        NothingFits : only what was kept may be used
        """
        if self.fits == "only":
            why = "was not kept" if known is None else "does not fit any more"
            raise NothingFits(f"What a version has fitted as '{name}' {why}.", fix="Train again: caudal run.")

    def put_off(self) -> None:
        """Note that something is to be fitted anew when training runs."""
        self.kept[PUT_OFF] = b""

    def notes(self, written: object) -> dict[str, object]:
        """Return what is to be noted."""
        found: dict[str, object] = {}
        for one in self.told:
            found.update(one(written))
        return found


_AT_HAND: ContextVar[BuildContext | None] = ContextVar("caudal_making", default=None)


@contextmanager
def build_context(before: Mapping[str, bytes] | None = None, fits: Fits = "anew") -> Iterator[BuildContext]:
    """Give what the functions that are called in the block know and leave.

    Examples
    --------
    >>> with build_context({"pca": b"old"}) as made:
    ...     current_build_context().kept["pca"] = current_build_context().before["pca"] + b"er"
    >>> made.kept
    {'pca': b'older'}
    """
    found = BuildContext(before or {}, fits=fits)
    token = _AT_HAND.set(found)
    try:
        yield found
    finally:
        _AT_HAND.reset(token)


def current_build_context() -> BuildContext:
    """Return the table in the making; outside of one, something that nobody looks at."""
    return _AT_HAND.get() or BuildContext()
