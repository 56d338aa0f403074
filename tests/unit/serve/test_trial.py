"""A version on trial: in shadow it changes no answer, as a canary it answers its share of the keys, and at its worst it harms no request."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from werkzeug.test import Client

from caudal import registry
from caudal.declarations.trial import TrialLimits
from caudal.errors import CaudalError, DeclarationProblem
from caudal.ledger.access import add_key
from caudal.ledger.records import model_versions
from caudal.ledger.trials import CHAMPION, TrialTally, open_trial, tallies_of
from caudal.registry.fits import TableFits, write_fits
from caudal.registry.seen import NotPassed, judge_trial, require_passed, seen_document, seen_in
from caudal.serve import shadow
from caudal.serve.champion_cache import ChampionCache
from caudal.serve.fast_lane import FastLane
from caudal.serve.minute_log import ServingMinuteLog
from caudal.serve.processes import FigureWriter
from caudal.tables.home import Home

PREDICT = "/api/v1/taxi/duration/predict"
BATCH = f"{PREDICT}/batch"
NAME = ("taxi", "duration")


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def start(place: Any, share: float = 0.0, version: int = 1, **more: Any) -> Any:
    return registry.start_trial(Home(place.home), place.ledger, *NAME, version, share=share, who="ada", **more)


def tallies(app: Any) -> dict[str, TrialTally]:
    """Return what was counted since the server began, by role."""
    return {key.role: tally for key, tally in app.extensions["caudal"].trials.log.since_start().items()}


def chooser(app: Any) -> Callable[[dict[str, Any]], bool]:
    """Return what says whether the challenger answers a row."""
    served = app.extensions["caudal"].get(*NAME)
    return lambda row: bool(served.trial.is_challengers(served, row, {}))


def rows(example: dict[str, Any], count: int) -> list[dict[str, Any]]:
    return [{**example, "trip_distance_mi": 0.5 + index / 200} for index in range(count)]


class Raising:
    """A version that fails at some rows."""

    def __init__(self, model: Any, fails: Callable[[Any], bool]) -> None:
        self.model, self.fails = model, fails
        self.version, self.candidate, self.signature = model.version, "raising", model.signature

    def predict_rows(self, rows: Any) -> Any:
        if any(self.fails(row) for row in rows):
            raise ValueError("cannot")
        return self.model.predict_rows(rows)


def test_a_version_in_shadow_predicts_and_is_not_answered(served: Any, example: dict[str, Any]) -> None:
    app = served.app()
    client = app.test_client()
    before = client.post(PREDICT, json=example).json
    start(served)
    sent = rows(example, 40)
    assert client.post(PREDICT, json=example).json == before
    answered = [client.post(PREDICT, json=row).json for row in sent[:20]]
    answered += client.post(BATCH, json=sent[20:]).json["predictions"]
    assert {answer["version"] for answer in answered} == {2}
    until(lambda: tallies(app).get("shadow", TrialTally()).rows == 41)
    until(lambda: all(sum(tally.seconds.values()) for tally in tallies(app).values()))  # both are timed after the rows are counted
    seen = tallies(app)
    expected = [served.fitted[(*NAME, 1)].predict_rows([row]).values[0] for row in [example, *sent]]
    theirs = [before["prediction"], *(answer["prediction"] for answer in answered)]
    assert seen["shadow"].total == pytest.approx(sum(expected))
    assert seen["champion"].total == pytest.approx(sum(theirs))
    assert seen["shadow"].compared == 41
    assert seen["shadow"].difference == pytest.approx(sum(abs(a - b) for a, b in zip(expected, theirs, strict=True)))


def test_classes_are_compared_by_agreement(served: Any, example: dict[str, Any]) -> None:
    served.fitted["taxi", "payment", 2] = SimpleNamespace(**vars(served.fitted["taxi", "payment", 1]) | {"version": 2})
    model = served.fitted["taxi", "payment", 1]
    served.fitted["taxi", "payment", 2] = SimpleNamespace(
        version=2, candidate="other", signature=model.signature, predict_rows=model.predict_rows, predict=model.predict
    )
    served.train("taxi", "payment", 2)
    registry.start_trial(Home(served.home), served.ledger, "taxi", "payment", 2, who="ada")
    app = served.app()
    for row in rows(example, 5):
        assert app.test_client().post("/api/v1/taxi/payment/predict", json=row).json["version"] == 1
    until(lambda: tallies(app).get("shadow", TrialTally()).rows == 5)
    document = seen_document(2, "shadow", tallies(app)["shadow"])
    assert (document["equal_share"], document["difference"], document["mean"]) == (1.0, None, None)
    assert sum((document["classes"] or {}).values()) == pytest.approx(1.0)


def test_rows_that_would_wait_too_long_are_left_out_and_counted(
    served: Any, example: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "MOST_WAITING", 10)
    start(served)
    app = served.app()
    client = app.test_client()
    assert client.post(BATCH, json=rows(example, 500)).status_code == 200
    until(lambda: tallies(app)["shadow"].rows + tallies(app)["shadow"].dropped == 500)
    assert tallies(app)["shadow"].dropped > 0
    assert (
        'caudal_trial_dropped_rows_total{model="duration",product="taxi",role="shadow",version="1"}' in client.get("/metrics").text
    )


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_canary_answers_its_share_of_ten_thousand_keys(served: Any, example: dict[str, Any], share: float) -> None:
    start(served, share, by="zone")
    first, second = (chooser(served.app()) for _ in range(2))  # as two processes have it
    chosen = [first({**example, "zone": f"Zone {number}"}) for number in range(10_000)]
    assert chosen == [second({"zone": f"Zone {number}"}) for number in range(10_000)]
    deviation = math.sqrt(10_000 * share * (1 - share))
    assert abs(sum(chosen) - 10_000 * share) < 4 * deviation


def test_who_has_the_challenger_keeps_it_while_the_share_grows(served: Any, example: dict[str, Any]) -> None:
    app, chosen, loads = served.app(), [], []
    for share in (0.1, 0.3):
        start(served, share)
        chosen.append({index for index, row in enumerate(rows(example, 500)) if chooser(app)(row)})
        loads.append(served.loads)
    assert chosen[0] < chosen[1]
    assert loads[0] == loads[1]  # the version is in memory


def test_equal_rows_are_one_key_however_they_are_written(served: Any, example: dict[str, Any]) -> None:
    start(served, 0.5)
    choose = chooser(served.app())
    for row in rows(example, 50):
        other = {name: row[name] for name in reversed(row) if name != "passengers"}
        assert choose({**other, "hour": 3.0}) == choose({**row, "passengers": None, "hour": 3})


@pytest.mark.parametrize("explain", [False, True])
def test_the_form_is_answered_by_the_version_that_answers_the_same_row_by_the_api(
    served: Any, example: dict[str, Any], explain: bool
) -> None:
    start(served, 0.5)
    app = served.app()
    client = app.test_client()
    seen = set()
    for row in rows(example, 12):
        answer = client.post(PREDICT, json=row).json
        texts = {
            name: "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in row.items()
        }
        page = client.post("/taxi/duration/", data={**texts, **({"explain": "true"} if explain else {})}).text
        assert f"by version {answer['version']} ({answer['candidate']})" in page
        seen.add(answer["version"])
    assert seen == {1, 2}
    assert sum(tally.rows for tally in tallies(app).values()) == 24


def test_versions_that_have_fitted_other_features_are_not_tried(served: Any) -> None:
    (row,) = served.ledger.find(model_versions, product="taxi", model="duration", version=1)
    for version, content in ((7, b"components"), (8, b"components"), (9, b"others")):
        served.ledger.add(model_versions, {**row, "version": version, "artifact": f"version-{version}"})
        (served.home / f"version-{version}").mkdir()
        write_fits(served.home / f"version-{version}", {"principal": TableFits(f"code {version}", {"pca:embedding": content})})
    with pytest.raises(DeclarationProblem, match="what its features had fitted is not the same"):
        start(served, 0.5, 7)  # the champion has nothing fitted
    served.promote("taxi", "duration", 7)
    with pytest.raises(DeclarationProblem, match="what its features had fitted is not the same"):
        start(served, 0.5, 9)
    assert start(served, 0.5, 8)["decision"] == "canary"


def test_keys_of_callers_and_headers(served: Any, example: dict[str, Any]) -> None:
    app = served.app()
    start(served, 0.5, by="header:X-Session")
    client = app.test_client()
    versions = {}
    for session in map(str, range(30)):
        answers = [client.post(PREDICT, json=row, headers={"X-Session": session}).json["version"] for row in rows(example, 3)]
        assert len(set(answers)) == 1
        batch = client.post(BATCH, json=rows(example, 3), headers={"X-Session": session}).json["predictions"]
        assert {answer["version"] for answer in batch} == set(answers)
        versions[session] = answers[0]
    assert set(versions.values()) == {1, 2}
    assert {client.post(PREDICT, json=row).json["version"] for row in rows(example, 20)} == {2}  # without a key
    start(served, 0.5, by="caller")
    keys = [add_key(served.ledger, name, "predict", who="test")[1] for name in map(str, range(30))]
    by_caller = []
    for key in keys:
        # The lane in front of the app, and the app alone.
        asked = [ask.post(PREDICT, json=example, headers={"X-API-Key": key}) for ask in (client, Client(app.wsgi_app.app))]
        assert len({answer.json["version"] for answer in asked}) == 1
        by_caller.append(asked[0].json["version"])
    assert set(by_caller) == {1, 2}


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_both_lanes_ask_the_same_version(lanes: dict[str, FastLane], example: dict[str, Any], data: st.DataObject) -> None:
    lane = lanes[data.draw(st.sampled_from(sorted(lanes)))]
    row = {
        **example, "trip_distance_mi": data.draw(st.floats(0, 100) | st.integers(0, 100)), "zone": f"Zone {data.draw(st.integers(1, 60)):03d}",
        "passengers": data.draw(st.none() | st.integers(0, 9)),
    }  # fmt: skip
    row = dict(data.draw(st.permutations(list(row.items()))))
    session = data.draw(st.none() | st.sampled_from(["a", "b", "c", "d", "é"]))
    headers = {} if session is None else {"X-Session": session}
    request: dict[str, Any] = {"data": json.dumps(row), "content_type": "application/json", "headers": headers}
    fast = Client(lane).post(PREDICT, **request)
    slow = Client(lane.app).post(PREDICT, **request)
    batch = Client(lane.app).post(BATCH, **{**request, "data": json.dumps([row, row])})
    assert fast.status_code == 200
    assert fast.get_data() == slow.get_data()
    assert batch.json["predictions"] == [slow.json, slow.json]


@pytest.fixture
def lanes(served: Any) -> Any:
    """Lanes with a canary by row, by an input, and by a header."""
    made = {}
    for by in ("row", "zone", "header:x-session"):
        start(served, 0.5, by=by)
        app = served.app(refresh_s=3600.0)
        app.extensions["caudal"].refresh()
        made[by] = app.wsgi_app
    return made


def test_a_version_that_cannot_be_loaded_harms_nothing(served: Any, example: dict[str, Any]) -> None:
    app = served.app()
    client = app.test_client()
    served.broken.add((*NAME, 1))
    start(served, 0.9)
    assert {client.post(PREDICT, json=row).json["version"] for row in rows(example, 10)} == {2}
    ready = client.get("/ready")
    assert ready.status_code == 200
    state = next(model["trial"] for model in ready.json["models"] if model["model"] == "duration")
    assert (state["version"], state["ready"]) == (1, False)
    assert "the stored model is cut off" in state["reason"]
    assert open_trial(served.ledger, *NAME) is not None
    served.broken.clear()
    app.extensions["caudal"].trials.retry_s = 0.0
    assert 1 in {client.post(PREDICT, json=row).json["version"] for row in rows(example, 10)}
    assert client.get("/ready").json["models"][0]["trial"]["ready"]


@pytest.mark.parametrize("share", [0.0, 0.9])
def test_where_the_challenger_raises_the_champion_answers(served: Any, example: dict[str, Any], share: float) -> None:
    served.fitted[*NAME, 1] = Raising(served.fitted[*NAME, 1], lambda row: row["hour"] == 3)
    start(served, share)
    app = served.app()
    client = app.test_client()
    sent = [{**row, "hour": 3 + index % 2} for index, row in enumerate(rows(example, 20))]
    single = [client.post(PREDICT, json=row) for row in sent]
    assert {answer.status_code for answer in single} == {200}
    assert {answer.json["version"] for answer in single[::2]} == {2}
    batch = client.post(BATCH, json=sent)
    assert batch.status_code == 200
    assert batch.json["predictions"] == [answer.json for answer in single]
    role = "canary" if share else "shadow"
    until(lambda: sum(tally.rows for tally in tallies(app).values()) >= (40 if share else 80))
    assert 0 < tallies(app)[role].errors <= 20
    if not share:
        assert (tallies(app)[role].errors, tallies(app)[role].compared) == (20, 20)


@pytest.mark.parametrize("end", ["withdrawn", "promoted", "rolled back"])
def test_a_trial_ends(served: Any, example: dict[str, Any], end: str) -> None:
    client = served.app().test_client()
    start(served, 0.9)
    assert 1 in {client.post(PREDICT, json=row).json["version"] for row in rows(example, 10)}
    if end == "withdrawn":
        registry.withdraw(served.ledger, *NAME, who="ada")
    else:
        served.promote(*NAME, 1, replaced=2, decision=end)
    expected = 2 if end == "withdrawn" else 1
    assert {client.post(PREDICT, json=row).json["version"] for row in rows(example, 10)} == {expected}
    assert client.get("/ready").json["models"][0]["trial"] is None
    assert open_trial(served.ledger, *NAME) is None


def test_a_version_that_asks_for_more_is_not_tried(served: Any) -> None:
    model = served.fitted[*NAME, 1]
    more = {**model.signature, "inputs": [*model.signature["inputs"], {"name": "rain", "type": "double", "nullable": False}]}
    served.fitted[*NAME, 3] = SimpleNamespace(version=3, candidate="more", signature=more)
    served.train(*NAME, 3)
    with pytest.raises(CaudalError, match="needs the input 'rain', which callers of that version do not send"):
        start(served, version=3)
    with pytest.raises(CaudalError, match="in production already"):
        start(served, version=2)
    with pytest.raises(CaudalError, match="No version of model 'duration' is on trial"):
        registry.withdraw(served.ledger, *NAME, who="ada")


def test_a_version_that_asks_for_less_is_tried(served: Any, example: dict[str, Any]) -> None:
    model = served.fitted[*NAME, 1]
    names = [input_ for input_ in model.signature["inputs"] if input_["name"] != "weekend"]
    seen: list[set[str]] = []

    def predict_rows(rows: Any) -> Any:
        seen.extend(set(row) for row in rows)
        return model.predict_rows([{**row, "weekend": False} for row in rows])

    served.fitted[*NAME, 1] = SimpleNamespace(
        version=1, candidate="less", signature={**model.signature, "inputs": names}, predict_rows=predict_rows
    )
    served.ledger.engine.dispose()
    start(served, 0.9)
    answers = [served.app().test_client().post(PREDICT, json=row).json for row in rows(example, 5)]
    assert 1 in {answer["version"] for answer in answers}
    assert all("weekend" not in row for row in seen)


def test_figures_of_minutes_and_metrics(served: Any, example: dict[str, Any]) -> None:
    decision = start(served, 0.5)
    app = served.app()
    client = app.test_client()
    client.post(BATCH, json=rows(example, 100))
    log: ServingMinuteLog = app.extensions["minute log"]
    log.finish()
    client.post(BATCH, json=rows(example, 100))
    log.finish()
    seen = {each["role"]: each for each in seen_in(served.ledger, decision)}
    assert seen["champion"]["rows"] + seen["canary"]["rows"] == 200
    assert (seen["champion"]["version"], seen["canary"]["version"]) == (2, 1)
    assert seen["canary"]["mean"] == pytest.approx(seen["champion"]["mean"], rel=0.5)
    assert seen["canary"]["p95_s"] >= seen["canary"]["p50_s"] > 0
    metrics = client.get("/metrics").text
    assert (
        f'caudal_trial_rows_total{{model="duration",product="taxi",role="canary",version="1"}} {float(seen["canary"]["rows"])}'
        in metrics
    )
    start(served, 0.6)  # another decision: its figures begin anew
    trial = open_trial(served.ledger, *NAME)
    assert trial is not None
    assert seen_in(served.ledger, trial) == []


def test_processes_hand_over_what_they_have_seen(served: Any, example: dict[str, Any]) -> None:
    decision = start(served, 0.5)
    champions = [ChampionCache(served.ledger, served.load) for _ in range(2)]
    writer = FigureWriter(served.url, lambda: None)
    for process, cache in enumerate(champions):
        cache.refresh()
        trial = cache.cached[NAME].trial
        assert trial is not None
        trial.log.count(trial.champion_key, [1.0, 2.0], 0.002)
        trial.log.count(trial.challenger_key, [3.0, None], 0.002)
        handed, _ = ServingMinuteLog(cache, trials=trial.log).hand_over()
        writer.receive(handed)
        assert handed.process != process
    writer.finish()
    counted = {key.role: tally for key, tally in tallies_of(served.ledger, decision).items()}
    assert (counted[CHAMPION].rows, counted[CHAMPION].total) == (4, 6.0)
    assert (counted["canary"].rows, counted["canary"].errors, counted["canary"].total) == (4, 2, 6.0)


def test_the_card_shows_both(served: Any, example: dict[str, Any]) -> None:
    start(served, 0.5, reason="half the rows")
    app = served.app()
    client = app.test_client()
    assert "Nothing is seen yet" in client.get("/taxi/duration/card").text
    client.post(BATCH, json=rows(example, 50))
    app.extensions["minute log"].finish()
    text = client.get("/taxi/duration/card").text
    assert "Version 1 on trial" in text
    assert "version 2 in production" in text
    assert "half the rows" in text
    card = client.get("/api/v1/taxi/duration/card").json
    assert [each["role"] for each in card["trial"]["seen"]] == ["champion", "canary"]
    assert card["history"][0]["decision"] == "canary"


def tally(rows: int, total: float, seconds: float, **more: Any) -> TrialTally:
    counted = TrialTally(rows=rows, total=total, **more)
    counted.timed(seconds, rows)
    return counted


@pytest.mark.parametrize(
    ("limits", "passed", "told"),
    [
        (TrialLimits(min_rows=200), None, None),
        (TrialLimits(min_rows=100), False, "error rate 0.02, at most 0 allowed"),
        (TrialLimits(min_rows=100, max_error_rate=0.05), True, "error rate 0.02"),
        (TrialLimits(min_rows=100, max_error_rate=None, max_difference=0.2), False, "mean difference 0.5, at most 0.2 allowed"),
        (TrialLimits(min_rows=100, max_error_rate=None, max_difference=0.5), True, "mean difference 0.5"),
        (TrialLimits(min_rows=100, max_error_rate=None, min_agreement=0.9), False, "agreement 0.5, at least 0.9 required"),
        (TrialLimits(min_rows=100, max_error_rate=None, max_slowdown=1.5), False, "at most 1.5 allowed"),
        (TrialLimits(min_rows=100, max_error_rate=None, max_slowdown=2.5), True, "slowdown"),
    ],
)
def test_what_was_seen_is_judged(limits: TrialLimits, passed: bool | None, told: str | None) -> None:
    seen = [
        seen_document(2, "champion", tally(100, 100.0, 0.001)),
        seen_document(3, "shadow", tally(100, 140.0, 0.002, errors=2, compared=98, equal=49, difference=49.0)),
    ]
    verdict = judge_trial(limits, seen)
    assert (None if verdict is None else verdict["passed"]) == passed
    if told is not None and verdict is not None:
        assert told in (verdict["message"] or "")


def test_too_little_seen_is_no_promotion(served: Any) -> None:
    decision = start(served)
    with pytest.raises(NotPassed, match="0 of 1,000 rows"):
        require_passed(TrialLimits(), decision, seen_in(served.ledger, decision))
