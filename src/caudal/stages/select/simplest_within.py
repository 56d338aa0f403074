"""``simplest_within``: the simplest candidate that cannot be told from the best one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from caudal.declarations.location import outside
from caudal.errors import DeclarationProblem
from caudal.stages.select.rule import CandidateScores, ComparedCandidates, SelectionRule, SortKey

ORDER = 5


@dataclass(frozen=True)
class SimplestWithin(SelectionRule):
    """The simplest candidate whose mean is at most ``standard_errors`` of the best one's mean worse than it.

    Simpler is what stands earlier in ``order``; without it, what holds fewer numbers when fitted. A candidate that is not in ``order``, or whose
    numbers cannot be counted, counts as less simple than all others.

    References
    ----------
    L. Breiman, J. Friedman, R. Olshen, C. Stone, Classification and Regression Trees (1984), section 3.4.3, the 1 SE rule
    """

    standard_errors: float = 1.0
    order: tuple[str, ...] = ()
    kind: ClassVar[str] = "simplest_within"

    @property
    def candidates(self) -> tuple[str, ...]:
        """Return the candidates that its order names."""
        return self.order

    def sort_keys(self, compared: ComparedCandidates) -> Mapping[str, SortKey]:
        """Return the size of each candidate that is near the best."""
        best = compared.best_by_mean()
        limit = compared.loss(best.mean) + self._allowed(best)
        return {
            candidate.name: (self._complexity(candidate), compared.loss(candidate.mean))
            for candidate in compared.candidates
            if compared.loss(candidate.mean) <= limit
        }

    def reason(self, compared: ComparedCandidates, ranked: Sequence[str]) -> str:
        """Return the size of the chosen one, and how near it is to the best."""
        best, chosen = compared.best_by_mean(), compared[ranked[0]]
        size = "" if self.order or chosen.size is None else f" with {chosen.size:,} numbers when fitted"
        near = f"{self.standard_errors:g} standard error{'' if self.standard_errors == 1 else 's'} ({self._allowed(best):.2g}) of the best"
        behind = (
            "" if chosen is best else f"; best {best.text}" + (f", {best.size:,} numbers" if size and best.size is not None else "")
        )
        return f"Simplest within {near} mean {compared.metric} {compared.over_folds}: {chosen.text}{size}{behind}"

    def _allowed(self, best: CandidateScores) -> float:
        return self.standard_errors * best.spread / math.sqrt(len(best.scores))

    def _complexity(self, candidate: CandidateScores) -> float:
        if self.order:
            return self.order.index(candidate.name) if candidate.name in self.order else math.inf
        return math.inf if candidate.size is None else candidate.size


def simplest_within(standard_errors: float = 1.0, *, order: Sequence[str] = ()) -> SimplestWithin:
    """Return the rule that chooses the simplest candidate whose mean is within some standard errors of the best.

    Parameters
    ----------
    order : names of candidates, the simplest first; by the count of numbers in their fitted form where left out

    Raises
    ------
    DeclarationProblem : ``standard_errors`` is negative

    Examples
    --------
    >>> simplest_within(2, order=["ridge", "forest"]).label
    "simplest_within(standard_errors=2, order=('ridge', 'forest'))"
    """
    if standard_errors < 0:
        raise DeclarationProblem(
            f"cd.simplest_within is given standard_errors={standard_errors}.", fix="Give 0 or more.", where=str(outside())
        )
    return SimplestWithin(standard_errors, tuple(order))
