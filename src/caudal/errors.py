"""One tree of errors. Each says what, where, the nearest right thing and the fix; the facts are attributes too."""

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
    """Return a text from outside so that a terminal shows it and obeys nothing in it: control characters become pictures. Secrets are left out.

    Examples
    --------
    >>> printable("\x1b[2Jgone")
    '␛[2Jgone'
    """
    return redact(text).translate(PICTURES)


class CaudalError(Exception):
    """What went wrong, said so that the reader can act on it.

    Parameters
    ----------
    what : str, one sentence that names the thing and the fault
    where : str, optional, file and line, table, step or input file
    nearest : str, optional, the right thing that lies closest to what was asked for
    fix : str, optional, what to do or the command to run next
    **facts : further facts, kept as attributes (``error.column``, ``error.table`` …)

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
    """The product as declared cannot work; nothing was run."""

    exit_code = 2


class SourceProblem(CaudalError):
    """An input cannot be read or does not keep its contract."""

    exit_code = 3


class ExpectationStopped(CaudalError):
    """An expectation that stops was broken; nothing was published. ``checks`` holds what every expectation of the table found."""

    exit_code = 4
    checks: tuple[Mapping[str, object], ...] = ()


class StepFailed(CaudalError):
    """A step raised; the error of the user's code or of Spark is quoted with the step's name."""

    exit_code = 5


class TimeLimitPassed(StepFailed):
    """A step took longer than it may, and was ended."""


class EnvironmentProblem(CaudalError):
    """The machine lacks something: Java, disk space, a permission, a network."""

    exit_code = 6


class StorageDamaged(EnvironmentProblem):
    """What lies in the home or the lake is not what was put there: bytes changed, files gone, the ledger unreadable."""


class LeaseHeld(CaudalError):
    """Another run of the same product is at work."""

    exit_code = 7


class NotThere(CaudalError):
    """What was asked for by name does not exist."""

    exit_code = 8


class Stopped(CaudalError):
    """Somebody asked the run to stop; what it had done is kept."""

    exit_code = 75


def nearest(name: str, among: Iterable[str]) -> str | None:
    """Return the candidate that lies closest to ``name``, or None when none is near.

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
