"""``most_stable``: of the candidates that are nearly as good as the best, the one that varies least between folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from caudal.declarations.location import outside
from caudal.errors import DeclarationProblem
from caudal.stages.select.rule import ComparedCandidates, SelectionRule, SortKey

ORDER = 3


@dataclass(frozen=True)
class MostStable(SelectionRule):
    """The least standard deviation over the folds, among candidates whose mean is at most ``within`` (a share of the best mean) worse than the best."""

    within: float = 0.05
    kind: ClassVar[str] = "most_stable"

    def sort_keys(self, compared: ComparedCandidates) -> Mapping[str, SortKey]:
        """Return the spread of each candidate whose mean is near the best."""
        best = compared.best_by_mean().mean
        limit = compared.loss(best) + self.within * abs(best)
        return {
            candidate.name: (candidate.spread, compared.loss(candidate.mean))
            for candidate in compared.candidates
            if compared.loss(candidate.mean) <= limit
        }

    def reason(self, compared: ComparedCandidates, ranked: Sequence[str]) -> str:
        """Return the spread of the chosen one, and who was near the best."""
        behind = f", before {compared[ranked[1]].text}" if len(ranked) > 1 else ""
        near = f"{len(ranked)} of {len(compared.candidates)} candidates within {self.within:.3g} of the best mean"
        return f"Least spread of {compared.metric} {compared.over_folds} among {near}: {compared[ranked[0]].text}{behind}"


def most_stable(within: float = 0.05) -> MostStable:
    """Return the rule that chooses, of the candidates whose mean is at most ``within`` (a share) worse than the best, the one that varies least.

    Raises
    ------
    DeclarationProblem : ``within`` is negative
    """
    if within < 0:
        raise DeclarationProblem(
            f"cd.most_stable is given within={within}.", fix="Give a share, such as 0.05.", where=str(outside())
        )
    return MostStable(within)
