"""``best_worst``: the candidate whose worst fold is the least bad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from caudal.stages.select.rule import ComparedCandidates, SelectionRule, SortKey

ORDER = 2


@dataclass(frozen=True)
class BestWorst(SelectionRule):
    """The best score in the worst fold; of equal ones the better mean."""

    kind: ClassVar[str] = "best_worst"

    def sort_keys(self, compared: ComparedCandidates) -> Mapping[str, SortKey]:
        """Return each candidate's greatest loss."""
        return {
            candidate.name: (max(compared.losses(candidate.name)), compared.loss(candidate.mean))
            for candidate in compared.candidates
        }

    def reason(self, compared: ComparedCandidates, ranked: Sequence[str]) -> str:
        """Return the worst fold of the best and of the second."""
        texts = [f"{name} {compared.loss(max(compared.losses(name))):.4g}" for name in ranked[:2]]
        return f"Best {compared.metric} in the worst fold {compared.over_folds}: {', before '.join(texts)}"


def best_worst() -> BestWorst:
    """Return the rule that chooses the candidate whose worst fold is better than the worst fold of every other."""
    return BestWorst()
