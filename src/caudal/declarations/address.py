"""Parse addresses (URLs) that a user declares or sets; ambiguous ones are refused."""

from __future__ import annotations

from caudal.declarations.location import outside
from caudal.errors import DeclarationProblem
from caudal.secret import Address


def address(text: str, setting: str | None = None) -> Address:
    """Return the parsed address; ``setting`` is the name of the setting that it comes from, if any.

    Raises
    ------
    DeclarationProblem : it is ambiguous, since its password may contain the first ``/``, ``?`` or ``#``; no part of it is shown
    """
    parsed = Address(text)
    if parsed.fault:
        raise DeclarationProblem(
            f"{f'{setting}: the' if setting else 'The'} address '{parsed.shown}' can be read in two ways: {parsed.fault}.",
            fix="In a password write '/' as %2F, '?' as %3F and '#' as %23, and behind the host '@' as %40; or give the password by itself.",
            where=None if setting else str(outside()),
        )  # fmt: skip
    return parsed
