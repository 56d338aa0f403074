"""What a table's function may read and leave besides its rows while its table is built: stored fits, Spark settings, notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

from caudal.errors import StepFailed

NoteFunction = Callable[[Any], Mapping[str, object]]  # called with the folder that the rows were written to


Fits = Literal["anew", "keep", "only"]
"""``anew``: a function fits again, as in a pipeline that trains; ``keep``: it uses its stored fit where that still matches; ``only``: it must."""
PUT_OFF = "put off"
"""Name of the entry by which a version records that a new fit waits for the next training."""


def is_fit(name: str) -> bool:
    """Return whether the entry of this name was fitted to rows."""
    return name.startswith(("pca:", "fit:"))


def fit_label(fit: str) -> str:
    """Return the name of a stored fit in the form of its declaration.

    Examples
    --------
    >>> fit_label("pca:embedding"), fit_label("fit:scale")
    ("cd.pca of 'embedding'", "cd.fitted 'scale'")
    """
    kind, name = fit.split(":", 1)
    return f"cd.pca of '{name}'" if kind == "pca" else f"cd.fitted '{name}'"


class NothingFits(StepFailed):
    """The stored fit does not match the function any more, or does not exist."""


@dataclass
class BuildContext:
    """The state of one table build.

    Parameters
    ----------
    before : bytes that the function stored with the previous version, by name
    kept : bytes that it stores with this version, by name
    fits : whether the function may fit to rows again
    settings : Spark settings while the rows are written
    fit_names : the names of all fits, new and reused
    note_functions : called with the folder of the rows once these are written; they return notes
    """

    before: Mapping[str, bytes] = field(default_factory=dict)
    kept: dict[str, bytes] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    note_functions: list[NoteFunction] = field(default_factory=list)
    fits: Fits = "anew"
    fit_names: set[str] = field(default_factory=set)

    def require(self, fitted: object, name: str) -> None:
        """Check that something may be fitted now.

        Raises
        ------
        NothingFits : only a stored fit may be used
        """
        if self.fits == "only":
            why = "was not kept" if fitted is None else "does not fit any more"
            raise NothingFits(f"What a version has fitted as '{name}' {why}.", fix="Train again: caudal run.")

    def put_off(self) -> None:
        """Record that the next training must fit again."""
        self.kept[PUT_OFF] = b""

    def notes(self, written: object) -> dict[str, object]:
        """Return the notes about the written rows."""
        notes: dict[str, object] = {}
        for note_function in self.note_functions:
            notes.update(note_function(written))
        return notes


_context: ContextVar[BuildContext | None] = ContextVar("caudal_making", default=None)


@contextmanager
def build_context(before: Mapping[str, bytes] | None = None, fits: Fits = "anew") -> Iterator[BuildContext]:
    """Set the build context of the functions that are called in the block, and yield it.

    Examples
    --------
    >>> with build_context({"pca": b"old"}) as context:
    ...     current_build_context().kept["pca"] = current_build_context().before["pca"] + b"er"
    >>> context.kept
    {'pca': b'older'}
    """
    context = BuildContext(before or {}, fits=fits)
    token = _context.set(context)
    try:
        yield context
    finally:
        _context.reset(token)


def current_build_context() -> BuildContext:
    """Return the current build context; outside of a build a new one that nothing reads."""
    return _context.get() or BuildContext()
