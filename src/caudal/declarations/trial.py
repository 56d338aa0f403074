"""Trials: what a version has to show beside the one in production before it is promoted, and by what key callers are shared out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from caudal.declarations.location import outside
from caudal.errors import DeclarationProblem

ROW, CALLER, INPUT, HEADER = "row", "caller", "input:", "header:"


@dataclass(frozen=True)
class TrialLimits:
    """What a version has to show in a trial; a limit that is None is not looked at.

    Parameters
    ----------
    min_rows : rows that the version has predicted from, below which nothing is decided
    max_difference : mean absolute difference from the predictions of the version in production, in the unit of the prediction; of numbers, in shadow
    min_agreement : share of rows with the same class as by the version in production; of classes, in shadow
    max_error_rate : share of rows that the version cannot predict from
    max_slowdown : its median time for a row as a multiple of that of the version in production
    share : share of the keys whose requests it answers; in shadow where it is 0
    by : what the keys are, as in ``caudal model canary --by``
    """

    min_rows: int = 1000
    max_difference: float | None = None
    min_agreement: float | None = None
    max_error_rate: float | None = 0.0
    max_slowdown: float | None = None
    share: float = 0.0
    by: str = ROW

    def __post_init__(self) -> None:
        where = str(outside())
        if self.min_rows < 1:
            raise DeclarationProblem(
                f"A trial of {self.min_rows} rows shows nothing.", fix="Take min_rows=1 at least.", where=where
            )
        if not 0 <= self.share < 1:
            raise DeclarationProblem(f"A trial cannot answer a share of {self.share:g}.", fix="Take 0 for shadow, else a number below 1.", where=where)  # fmt: skip
        for name in ("max_difference", "min_agreement", "max_error_rate", "max_slowdown"):
            limit = getattr(self, name)
            if limit is not None and not limit >= 0:
                raise DeclarationProblem(f"{name}={limit} of a trial is no limit.", fix="Take a number of 0 or more.", where=where)
        if self.share and (self.max_difference is not None or self.min_agreement is not None):
            raise DeclarationProblem(
                "Callers that one version answers have no prediction by the other: max_difference and min_agreement need a trial in shadow.",
                fix="Leave out share=, or these limits.", where=where,
            )  # fmt: skip
        key_kind(self.by)

    def as_dict(self) -> dict[str, Any]:
        """Return the limits as the ledger stores them."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> TrialLimits:
        """Return stored limits."""
        return cls(**document)


def key_kind(by: str) -> str:
    """Return what decides who is answered by a version on trial: ``row``, ``caller``, ``header:NAME`` in lower case, or ``input:NAME``.

    Raises
    ------
    DeclarationProblem : it names nothing

    Examples
    --------
    >>> key_kind("row"), key_kind("header:X-Session"), key_kind("pickup_zone"), key_kind("input:row")
    ('row', 'header:x-session', 'input:pickup_zone', 'input:row')
    """
    name = by.removeprefix(HEADER).removeprefix(INPUT)
    if not name or not name.strip():
        raise DeclarationProblem(f"'{by}' names no key.", fix="Name an input, or write 'row', 'caller' or 'header:NAME'.")
    if by in (ROW, CALLER) or by.startswith(INPUT):
        return by
    return by.lower() if by.startswith(HEADER) else INPUT + by
