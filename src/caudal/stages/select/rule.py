"""The base class of selection rules, and the scores that they choose by."""

from __future__ import annotations

import statistics
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields

from caudal.declarations.model import Selection

SortKey = tuple[float, ...]


@dataclass(frozen=True)
class CandidateScores:
    """A candidate's scores of the model's metric.

    Parameters
    ----------
    scores : one for each fold, the oldest fold first
    size : how many numbers its fitted form holds (``stages/train/fitted_size.py``); None where that cannot be counted
    """

    name: str
    scores: tuple[float, ...]
    size: int | None = None

    @property
    def mean(self) -> float:
        """The mean over the folds."""
        return statistics.fmean(self.scores)

    @property
    def spread(self) -> float:
        """The standard deviation over the folds; 0 for one fold."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else 0.0

    @property
    def text(self) -> str:
        """The name with mean and spread."""
        return f"{self.name} {self.mean:.4g} ± {self.spread:.2g}"


@dataclass(frozen=True)
class ComparedCandidates:
    """The scores of all candidates on the same folds, in the order of declaration, without the baseline.

    Parameters
    ----------
    lower : whether lower scores are better
    """

    metric: str
    lower: bool
    candidates: tuple[CandidateScores, ...]

    @property
    def folds(self) -> int:
        """The number of folds."""
        return len(self.candidates[0].scores)

    @property
    def over_folds(self) -> str:
        """The number of folds and the better direction, in words."""
        return f"over {self.folds} fold{'' if self.folds == 1 else 's'} ({'lower' if self.lower else 'higher'} is better)"

    def __getitem__(self, name: str) -> CandidateScores:
        return next(candidate for candidate in self.candidates if candidate.name == name)

    def loss(self, score: float) -> float:
        """Return a score as a figure of which less is better."""
        return score if self.lower else -score

    def losses(self, name: str) -> tuple[float, ...]:
        """Return a candidate's loss in each fold."""
        return tuple(self.loss(score) for score in self[name].scores)

    def regrets(self, name: str) -> tuple[float, ...]:
        """Return for each fold by how much a candidate was worse than the best one of that fold."""
        best = [min(losses) for losses in zip(*(self.losses(candidate.name) for candidate in self.candidates), strict=True)]
        return tuple(loss - least for loss, least in zip(self.losses(name), best, strict=True))

    def until(self, folds: int) -> ComparedCandidates:
        """Return the comparison on the oldest ``folds`` folds alone."""
        oldest = [CandidateScores(each.name, each.scores[:folds], each.size) for each in self.candidates]
        return ComparedCandidates(self.metric, self.lower, tuple(oldest))

    def best_by_mean(self) -> CandidateScores:
        """Return the candidate with the best mean; of equal ones the first declared."""
        return min(self.candidates, key=lambda candidate: self.loss(candidate.mean))


@dataclass(frozen=True)
class SelectionRule(Selection, ABC):
    """The base class of rules: a frozen dataclass of the declared values, with a ``kind``; products call the function in the same file.

    That function works without arguments too: every rule is compared with the declared one by what it would have chosen.
    """

    @abstractmethod
    def sort_keys(self, compared: ComparedCandidates) -> Mapping[str, SortKey]:
        """Return for each candidate that may be chosen what it is sorted by: the one with the least is chosen, of equal ones the first declared."""

    @abstractmethod
    def reason(self, compared: ComparedCandidates, ranked: Sequence[str]) -> str:
        """Return why the first of ``ranked`` is chosen, with the figures; without a full stop."""

    def rank(self, compared: ComparedCandidates) -> list[str]:
        """Return the names of the candidates that may be chosen, the best first."""
        keys = self.sort_keys(compared)
        return sorted(keys, key=lambda name: keys[name])

    @property
    def label(self) -> str:
        """The rule as it is declared: its kind, and the values that are not the usual ones."""
        given = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if field.default is MISSING or getattr(self, field.name) != field.default
        ]
        return f"{self.kind}({', '.join(given)})" if given else self.kind
