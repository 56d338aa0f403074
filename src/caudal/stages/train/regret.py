"""Compare selection rules by what came after they would have chosen, and groups of candidates by the folds in which they were best."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from caudal import kinds
from caudal.stages.select.rule import ComparedCandidates, SelectionRule
from caudal.stages.train.evaluate import EvaluatedCandidate


@dataclass(frozen=True)
class RuleRegret:
    """How well a rule chose for the fold that came next.

    Parameters
    ----------
    rule : the rule as it is declared
    declared : whether the model chooses by it
    choices : what it would have chosen for the second fold, the third, …, each from the folds before
    regrets : for each of these, by how much the choice was worse than the best candidate of that fold, in units of the metric
    now : what it chooses from all folds
    """

    rule: str
    declared: bool
    choices: tuple[str, ...]
    regrets: tuple[float, ...]
    now: str

    @property
    def mean(self) -> float:
        """The mean regret."""
        return statistics.fmean(self.regrets)


@dataclass(frozen=True)
class ModelGroup:
    """Candidates of one estimator class, which differ in their parameters.

    Parameters
    ----------
    group : the class
    candidates : their names, the best mean first
    best, worst : the best and the worst mean score among them
    best_in : number of folds, of ``folds``, in which one of them was the best of all candidates
    """

    group: str
    candidates: tuple[str, ...]
    best: float
    worst: float
    best_in: int
    folds: int


def compare_rules(declared: SelectionRule, compared: ComparedCandidates) -> tuple[RuleRegret, ...]:
    """Return the regret of the declared rule and of every other kind of rule, in the order of kinds; empty where there is nothing to choose.

    For fold k a rule sees the folds before k alone.
    """
    if compared.folds < 2 or len(compared.candidates) < 2:
        return ()
    rules: list[SelectionRule] = [
        declared if kind == declared.kind else getattr(kinds.RULES.module(kind), kind)() for kind in kinds.RULES
    ]
    return tuple(_regret(rule, compared, rule is declared) for rule in rules)


def model_groups(compared: ComparedCandidates, results: Mapping[str, EvaluatedCandidate]) -> tuple[ModelGroup, ...]:
    """Return the groups of candidates by estimator class, the best first; empty where no class has two candidates."""
    names_by_class: dict[str, list[str]] = {}
    for candidate in sorted(compared.candidates, key=lambda candidate: compared.loss(candidate.mean)):
        names_by_class.setdefault(str(results[candidate.name].parameters.get("class")), []).append(candidate.name)
    if all(len(names) < 2 for names in names_by_class.values()):
        return ()
    best = _best_of_each_fold(compared)
    return tuple(
        ModelGroup(
            class_,
            tuple(names),
            compared[names[0]].mean,
            compared[names[-1]].mean,
            sum(winner in names for winner in best),
            len(best),
        )
        for class_, names in names_by_class.items()
    )


def _regret(rule: SelectionRule, compared: ComparedCandidates, declared: bool) -> RuleRegret:
    choices = [rule.rank(compared.until(fold))[0] for fold in range(1, compared.folds)]
    regrets = [compared.regrets(name)[fold] for fold, name in enumerate(choices, start=1)]
    return RuleRegret(rule.label, declared, tuple(choices), tuple(regrets), rule.rank(compared)[0])


def _best_of_each_fold(compared: ComparedCandidates) -> Sequence[str]:
    losses = {candidate.name: compared.losses(candidate.name) for candidate in compared.candidates}
    return [min(losses, key=lambda name: losses[name][fold]) for fold in range(compared.folds)]
