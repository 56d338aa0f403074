"""Intervals, references, groups that are too small, nulls, and what has no value."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from caudal.stages.audit.audited import audited
from caudal.stages.audit.counts import count_groups, from_documents, group_rows
from caudal.stages.audit.figures import figures_by
from caudal.stages.audit.metrics_of import chosen_metrics, metric_of


def people(rows: int = 2000, seed: int = 1) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return groups, labels and scores: men are scored higher, and ``d`` has 20 rows."""
    rng = np.random.default_rng(seed)
    groups = pd.DataFrame({"sex": rng.choice(["f", "m"], rows, p=[0.4, 0.6]), "race": rng.choice(["a", "b"], rows)})
    groups.loc[:19, "race"] = "d"
    label = rng.random(rows) < 0.4
    score = np.clip(0.25 + 0.3 * label + 0.1 * (groups["sex"] == "m") + rng.normal(0, 0.15, rows), 0.001, 0.999)
    return groups, label, np.asarray(score)


def counted(groups: pd.DataFrame, label: np.ndarray, score: np.ndarray):
    predicted = pd.DataFrame({
        "prediction": np.where(score >= 0.5, "yes", "no"), "probability_no": 1 - score, "probability_yes": score,
    })  # fmt: skip
    return count_groups(group_rows(groups), pd.Series(np.where(label, "yes", "no")), predicted, classes=("no", "yes"))


def test_intervals_are_those_of_a_bootstrap_of_rows() -> None:
    groups, label, score = people()
    metrics = [metric_of(name) for name in ("selection_rate", "tpr", "calibration_bias", "demographic_parity_difference")]
    found = figures_by(counted(groups, label, score), ("sex",), metrics, seed=3)
    rng = np.random.default_rng(0)
    drawn: dict[str, list[float]] = {"selection_rate": [], "tpr": [], "calibration_bias": [], "difference": []}
    men = (groups["sex"] == "m").to_numpy()
    for _ in range(600):
        rows = rng.integers(0, len(label), len(label))
        guess, truth, of_men = score[rows] >= 0.5, label[rows], men[rows]
        drawn["selection_rate"].append(guess[of_men].mean())
        drawn["tpr"].append(guess[of_men & truth].mean())
        drawn["calibration_bias"].append((score[rows] - truth)[of_men].mean())
        drawn["difference"].append(abs(guess[of_men].mean() - guess[~of_men].mean()))
    (group,) = (group for group in found.groups if group.group == ("m",))
    found_by_name = {**group.figures, "difference": found.between["demographic_parity_difference"].figure}
    for name, sample in drawn.items():
        low, high = np.percentile(sample, [2.5, 97.5])
        width = high - low
        assert found_by_name[name].low == pytest.approx(low, abs=0.15 * width), name
        assert found_by_name[name].high == pytest.approx(high, abs=0.15 * width), name
    assert figures_by(counted(groups, label, score), ("sex",), metrics, seed=3) == found


def test_intervals_of_errors_are_those_of_a_bootstrap_of_rows() -> None:
    rng = np.random.default_rng(2)
    label = rng.gamma(2, 5, 1500)
    guess = label * 0.9 + rng.normal(1, 2, 1500)
    groups = pd.DataFrame({"zone": rng.choice(["a", "b"], 1500, p=[0.3, 0.7])})
    counts = count_groups(group_rows(groups), pd.Series(label), pd.DataFrame({"prediction": guess}), classes=None)
    found = figures_by(counts, ("zone",), chosen_metrics(None, "numbers", False), seed=1)
    of_a = (groups["zone"] == "a").to_numpy()
    error = (guess - label)[of_a]
    sample = error[rng.integers(0, len(error), (2000, len(error)))]
    drawn = {"mae": np.abs(sample).mean(1), "rmse": np.sqrt((sample**2).mean(1)), "bias": sample.mean(1)}
    for name, values in drawn.items():
        low, high = np.percentile(values, [2.5, 97.5])
        assert found.groups[0].figures[name].low == pytest.approx(low, abs=0.15 * (high - low)), name
        assert found.groups[0].figures[name].high == pytest.approx(high, abs=0.15 * (high - low)), name
    exact = count_groups(group_rows(groups), pd.Series(label), pd.DataFrame({"prediction": label + 1.0}), classes=None)
    (first, _) = figures_by(exact, ("zone",), chosen_metrics(None, "numbers", False)).groups
    assert first.figures["mae"].low == pytest.approx(1.0, abs=1e-6)
    assert first.figures["mae"].high == pytest.approx(1.0, abs=1e-6)


def test_a_small_group_is_shown_and_never_compared() -> None:
    groups, label, score = people()
    score = np.where(groups["race"] == "d", 0.99, score)
    metrics = [metric_of("selection_rate"), metric_of("selection_rate_difference")]
    found = figures_by(counted(groups, label, score), ("race",), metrics, min_rows=100)
    by_name = {group.group[0]: group for group in found.groups}
    assert by_name["d"].small
    assert by_name["d"].rows == 20
    assert by_name["d"].figures["selection_rate"].value == 1.0
    assert not by_name["d"].differences
    assert not by_name["d"].differs("selection_rate")
    assert found.between["selection_rate_difference"].figure.value < 0.1
    compared = figures_by(counted(groups, label, score), ("race",), metrics, min_rows=20)
    assert compared.between["selection_rate_difference"].figure.value > 0.5
    assert compared.between["selection_rate_difference"].highest == ("d",)


@pytest.mark.parametrize(("reference", "beside"), [("largest", "m"), ("best", "m"), ({"sex": "f"}, "f"), ({"sex": "m"}, "m")])
def test_the_reference_is_the_largest_the_best_or_the_named_group(reference, beside) -> None:
    groups, label, score = people()
    found = figures_by(counted(groups, label, score), ("sex",), [metric_of("tpr")], reference=reference)
    by_name = {group.group[0]: group for group in found.groups}
    other = "f" if beside == "m" else "m"
    assert by_name[beside].references == ("tpr",)
    difference = by_name[other].differences["tpr"]
    assert difference.value == pytest.approx(by_name[other].figures["tpr"].value - by_name[beside].figures["tpr"].value)
    assert by_name[other].ratios["tpr"].value == pytest.approx(
        by_name[other].figures["tpr"].value / by_name[beside].figures["tpr"].value
    )
    assert by_name[other].differs("tpr")


def test_with_a_named_reference_groups_are_compared_with_it_alone() -> None:
    groups = pd.DataFrame({"race": ["a"] * 100 + ["b"] * 100 + ["c"] * 100})
    guess = np.array([True] * 50 + [False] * 50 + [True] * 90 + [False] * 10 + [True] * 20 + [False] * 80)
    counts = counted(groups, guess, np.where(guess, 0.9, 0.1))
    metrics = [metric_of("demographic_parity_difference"), metric_of("demographic_parity_ratio")]
    any_two = figures_by(counts, ("race",), metrics)
    beside_a = figures_by(counts, ("race",), metrics, reference={"race": "a"})
    assert any_two.between["demographic_parity_difference"].figure.value == pytest.approx(0.7)
    assert beside_a.between["demographic_parity_difference"].figure.value == pytest.approx(0.4)
    assert any_two.between["demographic_parity_ratio"].figure.value == pytest.approx(20 / 90)
    assert beside_a.between["demographic_parity_ratio"].figure.value == pytest.approx(20 / 50)


def test_nulls_numbers_and_booleans_are_groups_with_names() -> None:
    groups = pd.DataFrame({"old": [True, False, None, True], "level": [1.0, 2.0, np.nan, 1.0]})
    counts = count_groups(
        group_rows(groups), pd.Series(["a", "b", "a", "b"]), pd.DataFrame({"prediction": ["a", "b", "b", "b"]}), classes=("a", "b")
    )
    assert counts.joined(["old"]).groups == (("(missing)",), ("false",), ("true",))
    assert counts.joined(["level"]).groups == (("(missing)",), ("1",), ("2",))
    assert counts.positive == "b"


def test_counts_come_back_from_their_documents() -> None:
    groups, label, score = people(300)
    numbers = count_groups(group_rows(groups), pd.Series(score), pd.DataFrame({"prediction": score + 0.1}), classes=None)
    three = count_groups(
        group_rows(groups),
        pd.Series(["x", "y", "z"] * 100),
        pd.DataFrame({"prediction": ["x", "y", "x"] * 100}),
        classes=("x", "y", "z"),
    )
    for counts in (counted(groups, label, score), numbers, three):
        again = from_documents(counts.by, counts.groups, json.loads(json.dumps(counts.documents())))
        assert audited(again, (["sex"], ["sex", "race"]), min_rows=10) == audited(counts, (["sex"], ["sex", "race"]), min_rows=10)


def test_several_classes_have_accuracy_and_with_a_positive_one_all_rates() -> None:
    groups = pd.DataFrame({"sex": ["f", "m"] * 150})
    label, guess = pd.Series(["x", "y", "z"] * 100), pd.DataFrame({"prediction": ["x", "y", "y"] * 100})
    plain = audited(count_groups(group_rows(groups), label, guess, classes=("x", "y", "z")), (["sex"],))
    assert set(plain.overall.figures) == {"accuracy", "error_rate"}
    assert plain.overall.figures["accuracy"].value == pytest.approx(2 / 3)
    chosen = audited(count_groups(group_rows(groups), label, guess, classes=("x", "y", "z"), positive="y"), (["sex"],))
    assert chosen.overall.figures["tpr"].value == 1.0
    assert chosen.overall.figures["fpr"].value == pytest.approx(0.5)


def test_what_has_no_value_is_told() -> None:
    groups = pd.DataFrame({"sex": ["f", "m"] * 100})
    counts = count_groups(
        group_rows(groups), pd.Series(["no"] * 200), pd.DataFrame({"prediction": ["no"] * 200}), classes=("no", "yes")
    )
    found = audited(counts, (["sex"],), min_rows=50)
    assert found.groupings[0].groups[0].figures["tpr"].value is None
    assert found.groupings[0].between["equal_opportunity_difference"].figure.value is None
    assert found.notes == (
        "No test row has a positive label ('yes' is the positive class): tpr and fnr have no value.",
        "It gives no probabilities: calibration has no value.",
    )
    few = audited(counts, (["sex"],), min_rows=500)
    assert "By sex, 0 of 2 groups have 500 test rows: nothing is compared." in few.notes
    unbalanced = pd.DataFrame({"sex": ["f"] * 10 + ["m"] * 190})
    rest = count_groups(
        group_rows(unbalanced), pd.Series(["no", "yes"] * 100), pd.DataFrame({"prediction": ["no"] * 200}), classes=("no", "yes")
    )
    assert "By sex, 1 of 2 groups has 100 test rows: nothing is compared." in audited(rest, (["sex"],)).notes
