"""Declarations of audits: the groups of rows by which a model's test predictions are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from caudal.declarations.declared import Declared, names_of
from caudal.declarations.location import Location, caller
from caudal.declarations.model import Model
from caudal.declarations.signature import class_name
from caudal.errors import DeclarationProblem, nearest

MISSING = "(missing)"
"""The name of the group of rows whose column is null."""
REFERENCES = ("largest", "best")


@dataclass(frozen=True)
class Audit:
    """An audit of a model: figures of groups of its test rows, for every candidate.

    Parameters
    ----------
    by : the columns of the features that rows are grouped by
    intersections : whether the combinations of all columns are groups as well
    reference : the group that others stand beside: the largest, the best by each metric, or the one with given values by column
    metrics : names of metrics; None: those that are usual for the task
    positive : the positive class; None: the last of two classes
    min_rows : groups with fewer test rows are shown, and not compared
    """

    model: str
    by: tuple[str, ...]
    intersections: bool = True
    reference: Literal["largest", "best"] | Mapping[str, str] = "largest"
    metrics: tuple[str, ...] | None = None
    positive: str | None = None
    min_rows: int = 100
    seed: int = 0
    where: Location | None = field(default=None, compare=False)

    @property
    def groupings(self) -> tuple[tuple[str, ...], ...]:
        """The columns of each grouping: each column, then all together."""
        together = (self.by,) if self.intersections and len(self.by) > 1 else ()
        return (*((column,) for column in self.by), *together)

    @property
    def counted(self) -> list[object]:
        """What the counts of a training depend on; all else is computed from them later."""
        return ["audit", list(self.by), self.positive]


class Auditing(Declared):
    """The part of a product that declares audits."""

    def audit(
        self,
        model: Model | str,
        by: str | Sequence[str],
        *,
        intersections: bool = True,
        reference: Literal["largest", "best"] | Mapping[str, object] = "largest",
        metrics: Sequence[str] | None = None,
        positive: object = None,
        min_rows: int = 100,
        seed: int = 0,
    ) -> Audit:
        """Declare that a model's test predictions are compared by groups of rows, for every candidate; gates by ``cd.fair`` need no audit.

        Parameters
        ----------
        by : one or several columns of the features, inputs or kept; nulls are a group
        intersections : whether the combinations of all columns are groups as well
        reference : the group that others stand beside: ``"largest"``, ``"best"`` (by each metric), or values such as ``{"sex": "Male"}``
        metrics : names of metrics (``docs/fairness.md`` lists them); those that are usual for the task when left out
        positive : the positive class; the last of two in order (``>50K`` after ``<=50K``) when left out
        min_rows : groups with fewer test rows are shown as such, and not compared
        seed : of the resamples that intervals are made of

        Raises
        ------
        DeclarationProblem : the model has an audit already, no column is given, or ``reference`` is neither of these
        """
        where, of = caller(), model if isinstance(model, str) else model.name
        columns = names_of(by)
        if of in self.audits:
            raise DeclarationProblem(
                f"Model '{of}' is audited twice, first in {self.audits[of].where}.",
                fix="Give one audit all columns: by=[…].", where=str(where),
            )  # fmt: skip
        if not columns or len(set(columns)) < len(columns):
            raise DeclarationProblem(
                f"The audit of model '{of}' names {'a column twice' if columns else 'no column'}.",
                fix='Give the columns that group rows: by=["sex", "race"].', where=str(where),
            )  # fmt: skip
        if isinstance(reference, str) and reference not in REFERENCES:
            raise DeclarationProblem(
                f"The audit of model '{of}' has the reference '{reference}'.", nearest=nearest(reference, REFERENCES),
                fix=f'Use "largest", "best", or a group: {{"{columns[0]}": "…"}}.', where=str(where),
            )  # fmt: skip
        if min_rows < 1:
            raise DeclarationProblem(
                f"The audit of model '{of}' has min_rows={min_rows}.", fix="Take 1 at least.", where=str(where)
            )
        beside = reference if isinstance(reference, str) else {column: group_name(value) for column, value in reference.items()}
        declared = Audit(
            of, columns, intersections, beside, None if metrics is None else tuple(metrics),
            None if positive is None else class_name(positive), min_rows, seed, where,
        )  # fmt: skip
        self.audits[of] = declared
        return declared


def group_name(value: object) -> str:
    """Return the name of the group of a value; nulls are a group of their own.

    Examples
    --------
    >>> group_name("Male"), group_name(1.0), group_name(None)
    ('Male', '1', '(missing)')
    """
    return MISSING if value is None else class_name(value)
