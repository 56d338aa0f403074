"""Selection rules: which candidate each chooses, and how rules compare by what came later."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given, strategies as st
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

import caudal as cd
from caudal.errors import DeclarationProblem
from caudal.kinds import RULES
from caudal.stages.select.rule import CandidateScores, ComparedCandidates, SelectionRule
from caudal.stages.train.evaluate import EvaluatedCandidate
from caudal.stages.train.fitted_size import fitted_size
from caudal.stages.train.regret import compare_rules, model_groups


def comparison(lower: bool = True, sizes: dict[str, int] | None = None, **scores: list[float]) -> ComparedCandidates:
    sign = 1 if lower else -1
    return ComparedCandidates(
        "mae" if lower else "r2",
        lower,
        tuple(CandidateScores(name, tuple(sign * score for score in of), (sizes or {}).get(name)) for name, of in scores.items()),
    )


THREE: dict[str, Any] = {
    "sharp": [1.0, 1.0, 3.4],  # mean 1.8: the best mean, and the worst fold of all
    "steady": [1.85, 1.85, 1.86],  # mean 1.853, the least spread, the best worst fold
    "middle": [1.4, 1.7, 2.6],  # mean 1.9; regrets 0.4, 0.7, 0.74
}


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize(
    ("rule", "chosen"),
    [
        (cd.best_mean(), "sharp"),
        (cd.best_worst(), "steady"),
        (cd.most_stable(), "steady"),
        (cd.most_stable(within=0.01), "sharp"),
        (cd.smallest_regret(), "middle"),
        (cd.simplest_within(), "middle"),
        (cd.simplest_within(0), "sharp"),
        (cd.simplest_within(order=["steady", "sharp"]), "steady"),
    ],
    ids=lambda value: value.label if isinstance(value, SelectionRule) else str(value),
)
def test_each_rule_chooses_by_its_figure(rule: SelectionRule, chosen: str, lower: bool) -> None:
    compared = comparison(lower, {"sharp": 1000, "steady": 50, "middle": 10}, **THREE)
    ranked = rule.rank(compared)
    assert ranked[0] == chosen
    assert chosen in rule.reason(compared, ranked)


def test_the_reasons_hold_the_figures() -> None:
    compared = comparison(sizes={"sharp": 1000, "steady": 50, "middle": 10}, **THREE)
    reasons = {kind: (rule := getattr(cd, kind)()).reason(compared, rule.rank(compared)) for kind in RULES}
    assert reasons == {
        "best_mean": "Best mean mae over 3 folds (lower is better): sharp 1.8 ± 1.4, before steady 1.853 ± 0.0058",
        "best_worst": "Best mae in the worst fold over 3 folds (lower is better): steady 1.86, before middle 2.6",
        "most_stable": "Least spread of mae over 3 folds (lower is better) among 2 of 3 candidates within 0.05 of the best mean: "
        "steady 1.853 ± 0.0058, before sharp 1.8 ± 1.4",
        "smallest_regret": "Least of the greatest distances in mae to the best of a fold over 3 folds (lower is better): middle 0.74, before steady 0.85",
        "simplest_within": "Simplest within 1 standard error (0.8) of the best mean mae over 3 folds (lower is better): middle 1.9 ± 0.62 with 10 numbers "
        "when fitted; best sharp 1.8 ± 1.4, 1,000 numbers",
    }


SCORES = st.lists(st.lists(st.floats(-1e6, 1e6).map(lambda value: round(value, 3)), min_size=4, max_size=4), min_size=2, max_size=6)


@given(SCORES, st.booleans(), st.floats(0, 3))
def test_rules_keep_their_promise(scores: list[list[float]], lower: bool, errors: float) -> None:
    compared = comparison(lower, {f"c{at}": 7 * at for at in range(6)}, **{f"c{at}": of for at, of in enumerate(scores)})
    losses = {candidate.name: compared.losses(candidate.name) for candidate in compared.candidates}
    means = {name: statistics.fmean(of) for name, of in losses.items()}
    assert means[cd.best_mean().rank(compared)[0]] == min(means.values())
    assert max(losses[cd.best_worst().rank(compared)[0]]) == min(max(of) for of in losses.values())
    greatest = {name: max(compared.regrets(name)) for name in losses}
    assert (
        min(min(compared.regrets(name)) for name in losses)
        == 0
        <= greatest[cd.smallest_regret().rank(compared)[0]]
        == min(greatest.values())
    )
    best = compared.best_by_mean()
    simple = compared[cd.simplest_within(errors).rank(compared)[0]]
    assert compared.loss(simple.mean) <= compared.loss(best.mean) + errors * best.spread / math.sqrt(4)
    assert simple.size <= best.size  # type: ignore[operator]
    stable = compared[cd.most_stable().rank(compared)[0]]
    assert stable.spread <= best.spread
    # What is added to all candidates in a fold, a hard week for instance, changes no regret.
    moved = comparison(
        lower, None, **{f"c{at}": [score + 64 * fold for fold, score in enumerate(of)] for at, of in enumerate(scores)}
    )
    assert [max(moved.regrets(name)) for name in losses] == pytest.approx([greatest[name] for name in losses], abs=1e-6)


def test_rules_are_compared_by_the_fold_that_came_next() -> None:
    # Ahead until the third fold, then "late" is better by far; only a rule that looks at the worst fold sees it coming.
    compared = comparison(early=[1.0, 3.0, 4.0, 5.0], late=[2.5, 2.5, 2.5, 2.5])
    by_rule = {rule.rule: rule for rule in compare_rules(cd.best_worst(), compared)}
    assert list(by_rule) == ["best_mean", "best_worst", "most_stable", "smallest_regret", "simplest_within"]
    assert [rule.rule for rule in by_rule.values() if rule.declared] == ["best_worst"]
    assert by_rule["best_mean"].choices == ("early", "early", "late")
    assert by_rule["best_mean"].regrets == (0.5, 1.5, 0.0)
    assert by_rule["best_mean"].mean == pytest.approx(2 / 3)
    assert by_rule["best_worst"].choices == ("early", "late", "late")
    assert by_rule["best_worst"].regrets == (0.5, 0.0, 0.0)
    assert {rule.now for rule in by_rule.values()} == {"late"}


@given(SCORES)
def test_a_rule_sees_the_past_alone(scores: list[list[float]]) -> None:
    compared = comparison(**{f"c{at}": of for at, of in enumerate(scores)})
    changed = comparison(**{f"c{at}": [*of[:3], 1e9 * at] for at, of in enumerate(scores)})
    for rule, later in zip(compare_rules(cd.best_mean(), compared), compare_rules(cd.best_mean(), changed), strict=True):
        assert rule.choices == later.choices
        assert rule.regrets[:2] == later.regrets[:2]
        assert min(rule.regrets) >= 0


def test_nothing_is_compared_where_there_is_nothing_to_choose() -> None:
    assert compare_rules(cd.best_mean(), comparison(a=[1.0], b=[2.0])) == ()
    assert compare_rules(cd.best_mean(), comparison(a=[1.0, 2.0])) == ()


def test_groups_are_candidates_of_one_class() -> None:
    compared = comparison(ridge=[2.0, 2.0], strong=[1.0, 3.0], tree=[3.0, 1.0])
    classes = {"ridge": "Ridge", "strong": "Ridge", "tree": "Tree"}
    results = {name: EvaluatedCandidate(name, False, 0.0, 0.0, (), 0.0, {"class": class_}) for name, class_ in classes.items()}
    groups = [(group.group, group.candidates, group.best, group.worst, group.best_in) for group in model_groups(compared, results)]
    assert groups == [("Ridge", ("ridge", "strong"), 2.0, 2.0, 1), ("Tree", ("tree",), 2.0, 2.0, 1)]
    assert model_groups(comparison(ridge=[2.0], tree=[1.0]), results) == ()


@pytest.mark.parametrize("rule", [lambda: cd.most_stable(-0.1), lambda: cd.simplest_within(-1)])
def test_a_negative_share_is_refused(rule: Any) -> None:
    with pytest.raises(DeclarationProblem, match=r"is given \w+=-"):
        rule()


def test_the_size_is_the_count_of_fitted_numbers() -> None:
    x, y = [[0.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 1.0]], [1.0, 2.0, 4.0, 4.0]
    assert fitted_size(Ridge().fit(x, y)) == 3
    assert fitted_size(make_pipeline(StandardScaler(), LogisticRegression()).fit(x, ["a", "b", "c", "c"])) == 9
    stump, tree = (DecisionTreeRegressor(max_depth=depth).fit(x, y) for depth in (1, 5))
    forest = RandomForestRegressor(20, random_state=0).fit(x, y)
    sizes = [fitted_size(model) or 0 for model in (stump, tree, forest)]
    assert 0 < sizes[0] < sizes[1] < sizes[2]
    assert (fitted_size(KNeighborsRegressor(2).fit(x, y)) or 0) >= 8
    assert fitted_size(object()) is None
