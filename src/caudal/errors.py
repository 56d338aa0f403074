"""The error classes. Each error says what, where, the nearest right name and the fix; its facts are attributes too."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from caudal.secret import redact

# C0 but line end and tab, DEL, C1, and the marks that turn the direction of writing.
PICTURES = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys((*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD),
}


def printable(text: str) -> str:
    """Return a text that is safe to print: control characters, which a terminal would execute, become visible signs; secrets are left out.

    Examples
    --------
    >>> printable("\x1b[2Jgone")
    '␛[2Jgone'
    """
    return redact(text).translate(PICTURES)


class CaudalError(Exception):
    """An error with a sentence, a place and a fix.

    Parameters
    ----------
    what : str, one sentence that names the object and the fault
    where : str, optional, file and line, table, step or input file
    nearest : str, optional, the valid name nearest to the one that was given
    fix : str, optional, what to do or the command to run next
    **facts : further facts, available as attributes (``error.column``, ``error.table`` …)

    Examples
    --------
    >>> error = CaudalError("Table 'trips' has no column 'zone'.", nearest="zones", fix="Rename it.", column="zone")
    >>> print(error)
    Table 'trips' has no column 'zone'. Did you mean 'zones'? Rename it.
    >>> error.column
    'zone'
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        nearest: str | None = None,
        fix: str | None = None,
        **facts: Any,
    ) -> None:
        self.what, self.where, self.nearest, self.fix, self.facts = what, where, nearest, fix, facts
        for name, value in facts.items():
            setattr(self, name, value)
        super().__init__(self.sentence())

    def sentence(self) -> str:
        """Return the whole message on one line."""
        parts = [self.what]
        if self.nearest:
            parts.append(f"Did you mean '{self.nearest}'?")
        if self.fix:
            parts.append(self.fix)
        if self.where:
            parts.append(f"[{self.where}]")
        return printable(" ".join(parts))

    def _render_traceback_(self) -> list[str]:
        """Return what notebooks show: the sentence that the terminal shows, without a stack trace."""
        return [f"✗ {self.sentence()}"]

    def as_dict(self) -> dict[str, Any]:
        """Return the error as a JSON-ready document."""
        return {
            "error": type(self).__name__,
            "what": redact(self.what),
            "where": self.where and redact(self.where),
            "nearest": self.nearest and redact(self.nearest),
            "fix": self.fix and redact(self.fix),
            **{
                name: value if isinstance(value, int | float | bool | None) else redact(str(value))
                for name, value in self.facts.items()
            },
        }


class DeclarationProblem(CaudalError):
    """The product's declaration is invalid; nothing was run."""

    exit_code = 2


class SourceProblem(CaudalError):
    """An input cannot be read or violates its schema or contract."""

    exit_code = 3


class ExpectationStopped(CaudalError):
    """An expectation with the action ``stop`` failed; nothing was published. ``checks`` holds the results of all expectations of the table."""

    exit_code = 4
    checks: tuple[Mapping[str, object], ...] = ()


class StepFailed(CaudalError):
    """A step raised; the error of the user's code or of Spark is quoted with the step's name."""

    exit_code = 5


class TimeLimitPassed(StepFailed):
    """A step exceeded its time limit, and was stopped."""


class EngineLacks(StepFailed):
    """An engine cannot do what a step needs; ``engine`` and ``capability`` name both."""


class EnvironmentProblem(CaudalError):
    """The machine lacks something: Java, disk space, a permission, a network."""

    exit_code = 6


class StorageDamaged(EnvironmentProblem):
    """Stored data is damaged: bytes of the home or the lake changed, files are missing, or the ledger is unreadable."""


class LeaseHeld(CaudalError):
    """Another run of the same product is active."""

    exit_code = 7


class NotThere(CaudalError):
    """An object that was requested by name does not exist."""

    exit_code = 8


class Stopped(CaudalError):
    """The run was asked to stop; its results so far are kept."""

    exit_code = 75


def nearest(name: str, among: Iterable[str]) -> str | None:
    """Return the candidate nearest to ``name``; None when none is near.

    Examples
    --------
    >>> nearest("zone", ["zones", "fare"])
    'zones'
    """
    names = list(among)
    lowered = {candidate.lower(): candidate for candidate in names}
    if name.lower() in lowered:
        return lowered[name.lower()]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return close[0] if close else None
