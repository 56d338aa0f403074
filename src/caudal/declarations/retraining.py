"""Declarations of when a model that is in production is trained again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caudal.declarations.duration import text
from caudal.declarations.location import Location
from caudal.declarations.trigger import Cron, Every
from caudal.errors import DeclarationProblem, nearest

ALWAYS, DRIFT = "always", "drift"
_FIX = 'Write retrain="always", "drift", cd.every("30 days"), or ["drift", cd.every("30 days")] for whichever comes first.'


@dataclass(frozen=True)
class Retraining:
    """What a model in production waits for until it is trained again: one of these suffices.

    Parameters
    ----------
    drift : an alarm of a monitor that watches the model
    every_s : so many seconds since its newest version was trained, and new rows
    """

    drift: bool = False
    every_s: float | None = None

    def __str__(self) -> str:
        parts = ["on drift"] if self.drift else []
        return " or ".join([*parts, *([f"every {text(self.every_s)}"] if self.every_s is not None else [])])


def retraining_of(declared: object, where: Location) -> Retraining | None:
    """Return what ``retrain=`` of a model declares; None for ``"always"``: whenever its features have changed.

    Raises
    ------
    DeclarationProblem : it is none of the forms that there are

    Examples
    --------
    >>> from caudal.declarations.trigger import every
    >>> str(retraining_of(["drift", every("30 days")], Location("product.py", 1)))
    'on drift or every 30 days'
    """
    if declared == ALWAYS:
        return None
    conditions = list(declared) if isinstance(declared, Sequence) and not isinstance(declared, str) else [declared]
    drift, lengths_s = False, list[float]()
    for condition in conditions:
        if condition == DRIFT:
            drift = True
        elif isinstance(condition, Every):
            lengths_s.append(condition.length_s)
        elif isinstance(condition, Cron):
            raise DeclarationProblem(
                f"retrain= is given {condition}, and counts from the last training.",
                fix='Give a length: cd.every("1 day"), cd.every("30 days").',
                where=str(where),
            )
        else:
            near = nearest(condition, (ALWAYS, DRIFT)) if isinstance(condition, str) else None
            within = " in a list" if condition == ALWAYS else ""
            raise DeclarationProblem(f"retrain= is given {condition!r}{within}.", nearest=near, fix=_FIX, where=str(where))
    if not conditions:
        raise DeclarationProblem("retrain= is given nothing to wait for.", fix=_FIX, where=str(where))
    return Retraining(drift, min(lengths_s, default=None))
