"""Gates promote or refuse, each with its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

from caudal import beats, beats_baseline, beats_champion, limit, parity
from caudal.batch.steps.own_fit import ByOwnFit
from caudal.errors import DeclarationProblem
from caudal.stages.train import train


@dataclass
class InProduction:
    """A version as the registry loads it, without a registry."""

    signature: dict[str, Any]
    estimator: Any
    trained_until: str | None
    fitted: Any
    version: int = 3
    candidate: str = "old"
    format: str = "sklearn"

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        return self.fitted.predict(frame)


def _gate(model, features, frame, **more):
    (found,) = train(model, features, frame, **more).gates
    return found


def _champion(model, features, frame) -> InProduction:
    made = train(model, features, frame)
    return InProduction(made.signature, made.fitted.estimator, made.training_until, made.fitted)


def test_baseline_with_margin(rides, features, declared):
    won = _gate(declared(gates=(beats_baseline(0.5),)), features, rides)
    assert won.passed
    assert won.figures["gain"] >= 0.5
    lost = _gate(declared({"dummy": DummyRegressor(strategy="median")}, gates=(beats_baseline(),)), features, rides)
    assert not lost.passed
    assert lost.figures["gain"] == 0


def test_beats_a_named_candidate(rides, features, declared):
    two = {"ridge": Ridge(), "dummy": DummyRegressor()}
    assert _gate(declared(two, gates=(beats("dummy", 0.3),)), features, rides).passed
    assert not _gate(declared(two, gates=(beats("dummy", 0.99),)), features, rides).passed
    broken = _gate(declared({"ridge": Ridge(), "broken": Ridge(alpha=-1)}, gates=(beats("broken"),)), features, rides)
    assert not broken.passed
    assert "alpha" in broken.message


def test_limits_hold_in_the_metrics_own_direction(rides, features, declared):
    assert _gate(declared(gates=(limit("mae", 5),)), features, rides).passed
    assert not _gate(declared(gates=(limit("mae", 0.01),)), features, rides).passed
    assert _gate(declared(gates=(limit("r2", 0.5),)), features, rides).passed
    assert not _gate(declared(gates=(limit("r2", 0.9999),)), features, rides).passed


def test_without_a_champion_there_is_nothing_to_beat(rides, features, declared):
    assert _gate(declared(gates=(beats_champion(),)), features, rides).message == "There is no champion yet."


def test_an_old_champion_is_scored_on_rows_that_neither_has_seen(rides, features, declared):
    naive = _champion(declared({"dummy": DummyRegressor()}), features, rides[:400])
    won = _gate(declared(gates=(beats_champion(),)), features, rides, champion=naive)
    assert won.passed
    assert won.figures["how"] == "unseen by both"
    # The figure is what anyone would compute: the champion's error on the last five days.
    newest = rides[rides["at"] > rides["at"].max() - pd.Timedelta("5 days")]
    assert won.figures["reference"] == pytest.approx((naive.predict(newest).prediction - newest.minutes).abs().mean())
    good = _champion(declared(), features, rides[:400])
    lost = _gate(declared({"dummy": DummyRegressor()}, gates=(beats_champion(),)), features, rides, champion=good)
    assert not lost.passed
    assert lost.figures["gain"] < 0


def test_a_champion_does_not_win_by_memory(rides, features, declared):
    """A full-grown tree knows its training rows by heart; trained on the same rows again, the challenger would always lose."""
    memory = declared({"tree": DecisionTreeRegressor()}, gates=(beats_champion(),))
    champion = _champion(memory, features, rides)
    by_heart = (champion.predict(rides).prediction - rides.minutes).abs().mean()
    found = _gate(memory, features, rides, champion=champion)
    assert by_heart < 0.1 < found.figures["reference"]
    assert found.passed
    assert found.figures["gain"] == 0


def test_tolerance_lets_a_slightly_worse_one_through(rides, features, declared):
    good = _champion(declared({"ridge": Ridge()}), features, rides[:400])
    worse = {"ridge": Ridge(alpha=60.0)}
    strict = _gate(declared(worse, gates=(beats_champion(),)), features, rides, champion=good)
    assert not strict.passed
    assert _gate(declared(worse, gates=(beats_champion(-strict.figures["gain"] + 0.01),)), features, rides, champion=good).passed


def test_a_champion_whose_inputs_are_gone_cannot_stay(rides, features, declared):
    champion = _champion(declared(), features, rides.assign(extra=1.0))
    found = _gate(declared(gates=(beats_champion(),)), features, rides, champion=champion)
    assert found.passed
    assert found.figures["lacking"] == ["extra"]


def test_a_champion_that_raises_is_for_a_person_to_judge(rides, features, declared):
    champion = _champion(declared(), features, rides[:400])
    champion.fitted = None
    found = _gate(declared(gates=(beats_champion(),)), features, rides, champion=champion)
    assert not found.passed
    assert "could not be compared" in found.message


def test_parity_compares_the_errors_of_groups(rides, features, declared):
    even = _gate(declared(gates=(parity("borough", 1.5, min_rows=20),)), features, rides)
    assert even.passed
    assert set(even.figures["groups"]) == {"Queens", "Bronx"}
    rng = np.random.default_rng(0)
    noisy = rides.assign(minutes=rides.minutes + np.where(rides.borough == "Bronx", rng.normal(0, 20, len(rides)), 0))
    odd = _gate(declared(gates=(parity("borough", 1.5, min_rows=20),)), features, noisy)
    assert not odd.passed
    assert odd.figures["worst"] == "Bronx"
    assert odd.figures["ratio"] > 1.5
    assert sum(odd.figures["rows"].values()) == (rides["at"] > rides["at"].max() - pd.Timedelta("10 days")).sum()


def test_a_figure_just_beyond_its_limit_is_not_written_as_the_limit(rides, features, declared):
    score = _gate(declared(gates=(limit("rmse", 1),)), features, rides).figures["score"]
    at = float(f"{score:.6g}")
    for bound in (at, at - 1e-9, score, np.nextafter(score, 0)):
        found = _gate(declared(gates=(limit("rmse", float(bound)),)), features, rides)
        said = float(found.message.split("rmse ")[1].split(";")[0])
        assert found.passed == (score <= bound) == (said <= bound)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["Queens", None], {"Queens", "(missing)"}),
        ([1.0, None], {"1", "(missing)"}),
        ([True, False], {"true", "false"}),
        ([True, None], {"true", "(missing)"}),
    ],
)
def test_parity_takes_nulls_for_a_group_and_names_groups_as_an_audit_does(rides, features, declared, values, names):
    first = (rides.borough == "Queens").to_numpy()
    column = pd.Series(np.where(first, values[0], values[1]), index=rides.index, dtype=object).infer_objects()
    found = _gate(declared(gates=(parity("borough", 5, min_rows=20),)), features, rides.assign(borough=column))
    assert found.passed
    assert set(found.figures["groups"]) == names
    counted = pd.Series(first)[(rides["at"] > rides["at"].max() - pd.Timedelta("10 days")).to_numpy()].value_counts()
    assert sorted(found.figures["rows"].values()) == sorted(counted)


def test_parity_says_how_many_groups_are_left_out(rides, features, declared):
    some = rides.borough.where(rides.index > rides.index[-3], None).where(rides.index % 2 == 0, "Queens")
    found = _gate(declared(gates=(parity("borough", 5, min_rows=20),)), features, rides.assign(borough=some))
    assert found.message.endswith("; 1 group under 20 rows left out.")


def test_parity_without_two_groups_is_refused(rides, features, declared):
    found = _gate(declared(gates=(parity("borough", min_rows=10_000),)), features, rides)
    assert not found.passed
    assert "nothing to compare" in found.message
    assert found.figures["groups_left_out"] == 2


@pytest.mark.parametrize(
    ("gate", "said"),
    [(beats("rigde"), "mean 'ridge'"), (limit("mea", 1), "mean 'mae'"), (parity("boroughs"), "mean 'borough'")],
)
def test_a_gate_that_binds_to_nothing_is_an_error(gate, said, rides, features, declared):
    with pytest.raises(DeclarationProblem, match=said):
        train(declared(gates=(gate,)), features, rides)


@pytest.mark.slow
def test_a_champion_whose_features_are_fitted_otherwise_now_answers_by_its_own_fit(rides, features, declared):
    good = _champion(declared({"ridge": Ridge()}), features, rides[:400])
    plain = _gate(declared(gates=(beats_champion(),)), features, rides, champion=good)
    inputs = [one["name"] for one in good.signature["inputs"] if pd.api.types.is_float_dtype(rides[one["name"]])]
    turned = rides.assign(**{name: 100 - 3 * rides[name] for name in inputs})  # what the features are by another fit
    assert inputs

    own = ByOwnFit(good, lambda: rides, list(features.key))
    asked = _gate(declared(gates=(beats_champion(),)), features, turned, champion=own)
    assert asked.figures["reference"] == pytest.approx(plain.figures["reference"])
    wrong = _gate(declared(gates=(beats_champion(),)), features, turned, champion=good)
    assert wrong.figures["reference"] != pytest.approx(plain.figures["reference"], rel=0.05)

    silent = ByOwnFit(good, lambda: rides[:0], [], answers=False)  # its fit is none of these functions: its recipe is compared
    assert (
        "because its features are computed differently now"
        in _gate(declared(gates=(beats_champion(),)), features, turned, champion=silent).message
    )
