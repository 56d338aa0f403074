"""When a model is trained again: on drift, after a time, or as its features change; steps are done on tables of the lake, without Spark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.unit.batch.test_monitor import DAY_S, FIRST, Shop, days

import caudal as cd
from caudal.batch.retraining import TrainingNeed, cause_of, next_training, training_need, waits_for_training
from caudal.daemon.daemon import watchers_of
from caudal.daemon.events import record_events
from caudal.daemon.watchers.alarms import AlarmWatcher
from caudal.declarations.retraining import Retraining
from caudal.errors import DeclarationProblem
from caudal.graph.check import check
from caudal.graph.load import load
from caudal.ledger.measurements import add_measurements
from caudal.ledger.monitored import KeptFigure, measurement_of
from caudal.ledger.records import decisions, model_versions, steps
from caudal.ledger.rows import CauseDocument, StepRow
from caudal.registry import artifact
from caudal.runtime.product_tables import ProductTables

DRIFT = Retraining(drift=True)
PRODUCT = """
from sklearn.linear_model import LinearRegression

import caudal as cd

product = cd.Product("shop")
product.source("raw", cd.files("*.csv"))


@product.features(entity="visit", as_of="at", labels=["minutes"], keep=["shop"], partition="day")
def visits(raw):
    return raw


stay = product.model(
    "stay", features=visits, label="minutes", candidates={"linear": LinearRegression()}, split=cd.temporal(test="5 days", folds=2)
)
product.predict(stay)
product.monitor(stay)
"""


class Patient(Shop):
    """The shop, whose model waits for a reason to be trained again."""

    def __init__(self, folder: Path, retrain: Retraining) -> None:
        super().__init__(folder)
        (folder / "product.py").write_text(PRODUCT)
        self.product = load(folder)
        self.declare(retrain=retrain)
        self.tables = ProductTables(self.product, self.home)

    def declare(self, **options: object) -> None:
        """Declare the model otherwise."""
        self.product.models["stay"] = replace(self.product.models["stay"], **options)  # type: ignore[arg-type]

    def train(self) -> StepRow:
        """Do the steps as a run does, and return the row of the training."""
        self.run()
        rows = self.ledger.rows(select(steps).where(steps.c.run_id == f"r{self.runs}", steps.c.kind == "train"), steps)
        row: StepRow = rows[-1]
        return row

    @property
    def need(self) -> TrainingNeed:
        """Whether the model is to be trained now."""
        return training_need(self.home, self.ledger, self.product, self.product.models["stay"], self.now)

    @property
    def asked_for(self) -> str | None:
        """Why the next run would train on the features that are there."""
        need = waits_for_training(self.tables, self.ledger, self.product.models["stay"], self.now)
        return None if need is None else need.why

    def add_version(self, number: int, decision: str, cause: CauseDocument | None) -> None:
        """Enter a version that has learned from January, and the decision on it."""
        folder = self.home.path / "models" / str(number)
        folder.mkdir(parents=True)
        (folder / artifact.SKOPS).write_bytes(b"model")
        row = {
            "product": "shop", "model": "stay", "version": number, "candidate": "linear", "created_at": self.now, "run_id": "r", "fingerprint": str(number),
            "code": "c", "training_table": "visits", "training_version": 0, "training_rows": 1, "training_from": "2024-01-01T00:00:00",
            "training_until": "2024-01-31T23:00:00", "parameters": {}, "metrics": {}, "signature": {}, "environment": {},
            "artifact": f"models/{number}", "artifact_sha256": artifact.model_digest(folder), "format": "skops", "cause": cause,
        }  # fmt: skip
        self.ledger.add(model_versions, row)
        of = {
            "product": "shop",
            "model": "stay",
            "version": number,
            "decision": decision,
            "gates": [],
            "who": "test",
            "at": self.now,
        }
        self.ledger.add(decisions, of)

    def add_figure(self, day: int, state: str, metric: str = "psi", column: str | None = "amount") -> None:
        """Enter a figure of a day of the monitor, counted from the first of January."""
        start = FIRST.timestamp() + day * DAY_S
        figure = KeptFigure(metric, column, {}, start, start + DAY_S, 0.9, 200, state, None, 0.2, 1.0, 20.0, 1)
        of = {"product": "shop", "run_id": "r", "at": self.now, "monitor": "stay", "code": "c"}
        add_measurements(self.ledger, measurement_of(figure, **of))  # type: ignore[arg-type]


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Patient]:
    made = Patient(tmp_path, DRIFT)
    yield made
    made.ledger.close()


@pytest.mark.slow
def test_from_training_to_alarm_to_training(patient: Patient, tmp_path: Path) -> None:
    def watcher() -> AlarmWatcher:
        return next(each for each in watchers_of(patient.product, patient.home, tmp_path, 0.0) if isinstance(each, AlarmWatcher))

    def events(watcher: AlarmWatcher) -> list[str]:
        look = watcher.look(patient.ledger)
        new = record_events(patient.ledger, look.events)
        watcher.recorded(look.events)
        return [event.subject for event in new]

    daemon = watcher()
    patient.arrive(days(0, 30))
    assert patient.train()["state"] == "succeeded"
    patient.arrive(days(30, 10))
    row = patient.train()
    assert (row["state"], row["output_version"]) == ("skipped", 1)
    assert (row["detail"] or {})["why"] == "no alarm of monitor 'stay' since version 1 was trained"
    assert (patient.asked_for, events(daemon)) == (None, [])

    patient.arrive(days(40, 4, shift=8))
    assert patient.train()["state"] == "skipped"  # the monitor counts these days after the training's turn
    assert patient.asked_for is not None
    (subject,) = events(daemon)  # the daemon begins the next run at once
    assert subject.startswith("alarm of monitor 'stay': ")
    assert events(daemon) == events(watcher()) == []

    assert patient.train()["state"] == "succeeded"
    (first, second) = patient.ledger.find(decisions)
    assert (first["reason"], second["decision"]) == ("every gate passed", "promoted")
    assert "every gate passed; trained because " in str(second["reason"])
    assert " on 2024-02-13, above " in str(second["reason"])
    assert "(alarm of monitor 'stay', with " in str(second["reason"])
    cause = patient.ledger.find(model_versions, version=2)[0]["cause"]
    assert cause is not None
    assert {"psi of amount", "superiority of amount"} <= {alarm["figure"] for alarm in cause["alarms"]}
    assert (patient.asked_for, events(daemon)) == (None, [])  # nothing is left to do
    assert patient.train()["state"] == "skipped"


def test_the_same_alarm_is_answered_once_and_again_as_it_stands_for_twice_as_long(patient: Patient) -> None:
    patient.add_version(1, "promoted", cause_of(patient.product, patient.product.models["stay"], TrainingNeed(True)))
    patient.add_figure(30, "alarm")  # within what the version has learned from
    assert not patient.need.due
    trained = []
    for day in range(31, 51):
        patient.add_figure(day, "alarm" if day >= 33 else "outside")
        patient.add_figure(day, "inside", "psi", "hour")
        if (need := patient.need).due:
            patient.add_version(len(trained) + 2, "refused", cause_of(patient.product, patient.product.models["stay"], need))
            assert not patient.need.due
            trained.append(day - 32)
    assert trained == [1, 2, 4, 8, 16]  # windows that had been in alarm
    assert patient.need.why == "the alarm of psi of amount has led to version 6, and asks again after 14 more windows"
    patient.add_figure(50, "alarm", "mae", None)  # labels came: another figure, another alarm
    assert patient.need.due
    assert patient.need.why == "mae was 0.9 on 2024-02-20, above 0.2 (alarm of monitor 'stay')"
    patient.add_figure(51, "inside")
    patient.add_figure(52, "alarm")  # the first has ended, and another begins
    assert str(patient.need.why).startswith("mae was 0.9 on 2024-02-20, above 0.2 (alarm of monitor 'stay', with psi of amount)")


def test_a_model_is_trained_again_when_it_is_old_and_has_new_rows(patient: Patient) -> None:
    patient.declare(retrain=Retraining(every_s=30 * DAY_S))
    patient.add_version(1, "promoted", cause_of(patient.product, patient.product.models["stay"], TrainingNeed(True)))
    patient.arrive(days(0, 1))
    assert next_training(patient.tables, patient.ledger) == patient.now + 30 * DAY_S
    patient.now += 29 * DAY_S
    assert patient.need == TrainingNeed(False, "version 1 is due in 1 day")
    patient.now += 2 * DAY_S
    assert patient.need == TrainingNeed(True, "version 1 is 31 days old")
    assert patient.asked_for == "version 1 is 31 days old"
    patient.declare(retrain=Retraining(drift=True, every_s=60 * DAY_S))
    assert patient.need.why == "no alarm of monitor 'stay' since version 1 was trained; version 1 is due in 29 days"


def test_what_nobody_else_would_mend_is_trained_at_once(patient: Patient) -> None:
    assert patient.need == TrainingNeed(True)
    cause = cause_of(patient.product, patient.product.models["stay"], TrainingNeed(True))
    patient.add_version(1, "refused", cause)
    assert patient.need == TrainingNeed(True)  # none is in production
    patient.add_version(2, "promoted", None)
    assert patient.need == TrainingNeed(True, "it is not known what code made version 2")  # trained by an older caudal
    patient.add_version(3, "promoted", cause)
    assert not patient.need.due
    patient.declare(seed=1)
    assert patient.need == TrainingNeed(True, "its code, or that of its features, has changed since version 3")
    patient.declare(seed=0)
    (patient.home.path / "models" / "3" / artifact.SKOPS).write_bytes(b"other")
    assert patient.need == TrainingNeed(True, "the files of version 3 are gone or damaged")


def test_what_retrain_takes() -> None:
    product = cd.Product("shop")
    product.source("raw", cd.files("*.csv"))

    @product.features(entity="visit", as_of="at", labels=["minutes"])
    def visits(raw: object) -> object:
        return raw

    def declare(name: str, retrain: object) -> object:
        split = cd.temporal(test="5 days")
        return product.model(name, features=visits, label="minutes", candidates={}, split=split, retrain=retrain).retrain  # type: ignore[arg-type]

    assert declare("a", "always") is None
    assert declare("b", ["drift", cd.every("30 days")]) == Retraining(drift=True, every_s=30 * DAY_S)
    wrong = (("drfit", "Did you mean 'drift'"), (cd.every("midnight"), "counts from the last training"), (["always"], "in a list"))
    for value, said in wrong:
        with pytest.raises(DeclarationProblem) as problem:
            declare("c", value)
        assert said in problem.value.sentence()
    sentences = [problem.sentence() for problem in check(product) if problem.facts.get("model") == "b"]
    assert any("is to be trained again on drift, and no monitor watches it" in sentence for sentence in sentences)
