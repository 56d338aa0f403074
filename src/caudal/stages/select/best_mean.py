"""``best_mean``: the candidate with the best mean score over the folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from caudal.stages.select.rule import ComparedCandidates, SelectionRule, SortKey

ORDER = 1


@dataclass(frozen=True)
class BestMean(SelectionRule):
    """The best mean score; this is the rule of a model that declares none."""

    kind: ClassVar[str] = "best_mean"

    def sort_keys(self, compared: ComparedCandidates) -> Mapping[str, SortKey]:
        """Return each candidate's mean loss."""
        return {candidate.name: (compared.loss(candidate.mean),) for candidate in compared.candidates}

    def reason(self, compared: ComparedCandidates, ranked: Sequence[str]) -> str:
        """Return the mean of the best and of the second."""
        behind = f", before {compared[ranked[1]].text}" if len(ranked) > 1 else ""
        return f"Best mean {compared.metric} {compared.over_folds}: {compared[ranked[0]].text}{behind}"


def best_mean() -> BestMean:
    """Return the rule that chooses the candidate with the best mean score over the folds."""
    return BestMean()
