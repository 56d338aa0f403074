"""``smallest_regret``: the candidate that is never far behind the best one of a fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from caudal.stages.select.rule import ComparedCandidates, SelectionRule, SortKey

ORDER = 4


@dataclass(frozen=True)
class SmallestRegret(SelectionRule):
    """The least greatest regret: a candidate's regret in a fold is by how much it was worse than the best one of that fold.

    The greatest regret counts, since the mean regret puts candidates in the same order as their mean score.

    References
    ----------
    L. J. Savage, The Theory of Statistical Decision, JASA 46 (1951), 55-67
    """

    kind: ClassVar[str] = "smallest_regret"

    def sort_keys(self, compared: ComparedCandidates) -> Mapping[str, SortKey]:
        """Return each candidate's greatest regret."""
        return {
            candidate.name: (max(compared.regrets(candidate.name)), compared.loss(candidate.mean))
            for candidate in compared.candidates
        }

    def reason(self, compared: ComparedCandidates, ranked: Sequence[str]) -> str:
        """Return the greatest regret of the best and of the second."""
        texts = [f"{name} {max(compared.regrets(name)):.4g}" for name in ranked[:2]]
        return f"Least of the greatest distances in {compared.metric} to the best of a fold {compared.over_folds}: {', before '.join(texts)}"


def smallest_regret() -> SmallestRegret:
    """Return the rule that chooses the candidate whose greatest distance to the best one of a fold is the least."""
    return SmallestRegret()
