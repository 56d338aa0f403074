"""Figures of groups and between groups are those of Fairlearn and scikit-learn, and change as they should with rows and names."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fairlearn import metrics as fl
from hypothesis import example, given, settings, strategies as st
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from caudal.stages.audit.counts import GroupCounts, count_groups, group_rows
from caudal.stages.audit.figures import Grouping, figures_by
from caudal.stages.audit.metrics_of import chosen_metrics, metric_of

CLASSES = ("no", "yes")
OF_GROUPS = {
    "base_rate": lambda y, _: float(np.mean(y)), "selection_rate": fl.selection_rate, "tpr": fl.true_positive_rate, "fpr": fl.false_positive_rate,
    "fnr": fl.false_negative_rate, "tnr": fl.true_negative_rate, "accuracy": sk.accuracy_score,
    "error_rate": lambda y, p: 1 - sk.accuracy_score(y, p),
    "precision": lambda y, p: sk.precision_score(y, p, zero_division=np.nan),
    "false_discovery_rate": lambda y, p: 1 - sk.precision_score(y, p, zero_division=np.nan),
    "npv": lambda y, p: sk.precision_score(1 - y, 1 - p, zero_division=np.nan),
    "false_omission_rate": lambda y, p: 1 - sk.precision_score(1 - y, 1 - p, zero_division=np.nan),
}  # fmt: skip


def smallest_ratio_of_odds(label: np.ndarray, guess: np.ndarray, sensitive_features: pd.DataFrame) -> float:
    """Return the smaller of the ratios that have a value; Fairlearn's own smallest is NaN where only the first has none, since 0 / 0 is no number."""
    rates = {"tpr": fl.true_positive_rate, "fpr": fl.false_positive_rate}
    ratio = fl.MetricFrame(metrics=rates, y_true=label, y_pred=guess, sensitive_features=sensitive_features).ratio().min()
    own = fl.equalized_odds_ratio(label, guess, sensitive_features=sensitive_features)
    assert own == ratio or np.isnan(own)
    return float(ratio)


BETWEEN = {
    "demographic_parity_difference": fl.demographic_parity_difference, "demographic_parity_ratio": fl.demographic_parity_ratio,
    "equalized_odds_difference": fl.equalized_odds_difference, "equalized_odds_ratio": smallest_ratio_of_odds,
    "equal_opportunity_difference": fl.equal_opportunity_difference,
}  # fmt: skip


def counted(groups: pd.DataFrame, label: np.ndarray, guess: np.ndarray, score: np.ndarray | None = None) -> GroupCounts:
    predicted = pd.DataFrame({"prediction": np.where(guess, "yes", "no")})
    if score is not None:
        predicted = predicted.assign(probability_no=1 - score, probability_yes=score)
    return count_groups(group_rows(groups), pd.Series(np.where(label, "yes", "no")), predicted, classes=CLASSES)


def figures(counts: GroupCounts, *names: str, by: tuple[str, ...] | None = None, min_rows: int = 1, **more) -> Grouping:
    metrics = [metric_of(name) for name in names]
    assert None not in metrics
    return figures_by(counts, counts.by if by is None else by, metrics, min_rows=min_rows, resamples=20, **more)


def values(grouping: Grouping, name: str) -> dict[str, float | None]:
    return {" ".join(group.group): group.figures[name].value for group in grouping.groups}


def same_as_fairlearn(groups: pd.DataFrame, label: np.ndarray, guess: np.ndarray) -> None:
    found = figures(counted(groups, label, guess), *OF_GROUPS, *BETWEEN)
    frame = fl.MetricFrame(metrics=OF_GROUPS, y_true=label, y_pred=guess, sensitive_features=groups)
    for group in found.groups:
        row = frame.by_group.loc[group.group if len(group.group) > 1 else group.group[0]]
        for name in OF_GROUPS:
            defined = group.figures[name].value is not None
            wanted = float(row[name])
            # Fairlearn says 0 of what has no value: a share of no rows.
            assert group.figures[name].value == pytest.approx(wanted) if defined else wanted == 0 or np.isnan(wanted), name
    whole = all(value is not None for name in ("tpr", "fpr") for value in values(found, name).values())
    for name, theirs in BETWEEN.items():
        if len(found.groups) > 1 and (whole or name.startswith("demographic")):
            ours = found.between[name].figure.value
            wanted = theirs(label, guess, sensitive_features=groups)
            assert ours == pytest.approx(wanted) if ours is not None else np.isnan(wanted) or wanted == 0, name


@st.composite
def predictions(draw) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    rows = draw(st.integers(4, 60))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    groups = pd.DataFrame({"sex": rng.choice(["f", "m"], rows), "race": rng.choice(["a", "b", "c"], rows)})
    return (
        groups,
        (rng.random(rows) < draw(st.floats(0.1, 0.9))).astype(int),
        (rng.random(rows) < draw(st.floats(0.1, 0.9))).astype(int),
    )


# Nobody who is to be found is found, in any group: the ratio of true positive rates is 0 / 0.
FOUND_NOWHERE = (
    pd.DataFrame({"sex": list("ffmmffmm"), "race": list("abababab")}),
    np.array([1, 0, 1, 0, 0, 0, 0, 0]),
    np.array([0, 1, 0, 1, 1, 0, 0, 0]),
)


@settings(max_examples=8, deadline=None)
@example(FOUND_NOWHERE, ("sex",))
@given(predictions(), st.sampled_from([("sex",), ("race",), ("sex", "race")]))
def test_drawn_predictions_have_the_figures_of_fairlearn(drawn, by) -> None:
    groups, label, guess = drawn
    same_as_fairlearn(groups[list(by)], label, guess)


@settings(max_examples=15, deadline=None)
@given(predictions(), st.integers(0, 1000), st.integers(2, 5))
def test_figures_do_not_depend_on_order_names_or_scale(drawn, seed, times) -> None:
    groups, label, guess = drawn
    names = ("selection_rate", "tpr", "fpr", "accuracy", "equalized_odds_difference", "demographic_parity_ratio")
    first = figures(counted(groups, label, guess), *names)
    order = np.random.default_rng(seed).permutation(len(label))
    shuffled = figures(counted(groups.iloc[order].reset_index(drop=True), label[order], guess[order]), *names)
    repeated = figures(
        counted(pd.concat([groups] * times, ignore_index=True), np.tile(label, times), np.tile(guess, times)), *names
    )
    swapped = figures(counted(groups.replace({"sex": {"f": "m", "m": "f"}}), label, guess), *names)
    assert shuffled == first
    for name in names[:4]:
        assert values(repeated, name) == pytest.approx(values(first, name))
        renamed = {group.translate(str.maketrans("fm", "mf")): value for group, value in values(first, name).items()}
        assert values(swapped, name) == pytest.approx(renamed)
    for name in names[4:]:
        for other in (repeated, swapped):
            assert other.between[name].figure.value == pytest.approx(first.between[name].figure.value)


@settings(max_examples=20, deadline=None)
@given(predictions())
def test_groups_joined_are_counted_as_if_they_had_never_been_apart(drawn) -> None:
    groups, label, guess = drawn
    score = np.where(guess == 1, 0.73, 0.21)
    together = counted(groups, label, guess, score)
    for by in (["sex"], ["race"], ["race", "sex"], []):
        apart = together.joined(by)
        directly = counted(groups[by], label, guess, score) if by else None
        assert apart.rows.sum() == len(label)
        if directly is not None:
            assert apart.groups == directly.groups
            np.testing.assert_array_equal(apart.strata, directly.strata)
            np.testing.assert_allclose(apart.sums, directly.sums)


@pytest.mark.slow
def test_adult_has_the_figures_of_fairlearn_by_sex_and_by_sex_and_race() -> None:
    file = Path(os.environ.get("CAUDAL_DATA", Path(__file__).parents[4].parent / "shared" / "data")) / "adult" / "adult.csv"
    if not file.exists():
        pytest.skip(f"{file} is not there")
    adult = pd.read_csv(file)
    numbers = adult[["age", "education-num", "hours-per-week", "capital-gain"]] / [100, 16, 100, 100_000]
    label = (adult["income-per-year"].str.strip() == ">50K").to_numpy(int)
    fitted = LogisticRegression(max_iter=200).fit(numbers[::2], label[::2])
    test = adult.iloc[1::2].reset_index(drop=True)
    score = fitted.predict_proba(numbers[1::2])[:, 1]
    guess = (score >= 0.5).astype(int)
    for by in (["sex"], ["sex", "race"]):
        same_as_fairlearn(test[by], label[1::2], guess)
    counts = counted(test[["sex", "race"]], label[1::2], guess, score)
    found = figures(counts, "calibration_bias", "calibration_error", by=("sex",))
    for group in found.groups:
        of_group = (test["sex"] == group.group[0]).to_numpy()
        scores, labels = score[of_group], label[1::2][of_group]
        bins = np.minimum((scores * 10).astype(int), 9)
        error = sum(abs(scores[bins == place].sum() - labels[bins == place].sum()) for place in range(10)) / len(scores)
        assert group.figures["calibration_bias"].value == pytest.approx(scores.mean() - labels.mean())
        assert group.figures["calibration_error"].value == pytest.approx(error)


def test_the_figures_of_propublica() -> None:
    """The counts that ProPublica published of COMPAS' two-year scores ("How we analyzed the COMPAS recidivism algorithm", 2016)."""
    tables = {"African-American": (990, 805, 532, 1369), "Caucasian": (1139, 349, 461, 505)}  # tn, fp, fn, tp
    groups, label, guess = [], [], []
    for race, cells in tables.items():
        for rows, (truth, said) in zip(cells, ((0, 0), (0, 1), (1, 0), (1, 1)), strict=True):
            groups += [race] * rows
            label += [truth] * rows
            guess += [said] * rows
    found = figures(counted(pd.DataFrame({"race": groups}), np.array(label), np.array(guess)), "fpr", "fnr", "fpr_difference")
    per_cent = {name: {race: round(100 * value, 2) for race, value in values(found, name).items()} for name in ("fpr", "fnr")}
    assert per_cent == {
        "fpr": {"African-American": 44.85, "Caucasian": 23.45},
        "fnr": {"African-American": 27.99, "Caucasian": 47.72},
    }
    assert found.between["fpr_difference"].figure.value == pytest.approx(0.2140, abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 200))
def test_errors_of_groups_are_those_of_scikit_learn(seed, rows) -> None:
    rng = np.random.default_rng(seed)
    groups = pd.DataFrame({"zone": rng.choice(["a", "b"], rows)})
    label, guess = rng.normal(10, 3, rows), rng.normal(10, 3, rows)
    counts = count_groups(group_rows(groups), pd.Series(label), pd.DataFrame({"prediction": guess}), classes=None)
    found = figures_by(counts, ("zone",), chosen_metrics(None, counts.form, False), min_rows=1, resamples=20)
    for group in found.groups:
        of_group = (groups["zone"] == group.group[0]).to_numpy()
        assert group.figures["mae"].value == pytest.approx(sk.mean_absolute_error(label[of_group], guess[of_group]))
        assert group.figures["rmse"].value == pytest.approx(sk.root_mean_squared_error(label[of_group], guess[of_group]))
        assert group.figures["bias"].value == pytest.approx((guess - label)[of_group].mean())
