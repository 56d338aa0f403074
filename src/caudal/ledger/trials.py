"""Trials in the ledger: which version is tried beside the one in production, and what servers have counted of both."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import func, select

from caudal.ledger.ledger import Ledger
from caudal.ledger.measurements import Measurement, measurements
from caudal.ledger.records import decisions
from caudal.ledger.rows import DecisionRow

Role = Literal["champion", "shadow", "canary"]
CHAMPION: Role = "champion"
SHADOW: Literal["shadow"] = "shadow"
CANARY: Literal["canary"] = "canary"
WITHDRAWN = "withdrawn"
KIND = "trial"
PREDICTED = "predicted_rows"
"""Number of rows that a version has predicted from within a minute of a trial, by role and decision; ``detail`` has the other counts of `TrialTally`."""

DONE = {SHADOW: "put in shadow", CANARY: "made a canary"}
"""What was done with a version on trial, as the end of a sentence."""

_TURNS = ("promoted", "rolled back", SHADOW, CANARY, WITHDRAWN)  # the newest of them says whether a version is on trial
_STEP = math.log(1.1)  # between two bounds of seconds
_MOST_CLASSES = 50


@dataclass
class TrialTally:
    """What a version has done in a trial.

    Parameters
    ----------
    rows : that it was asked to predict from
    errors : of these, those from which it could not
    total : sum of its predictions, if they are numbers
    classes : number of its predictions by class, if they are classes
    seconds : number of timed predictions of a row by their time, in steps of a tenth: ``latency_step``
    compared : in shadow, rows that both versions have predicted from
    equal : of these, those with the same prediction; of numbers to nine digits
    difference : sum of the absolute differences of numbers
    dropped : rows that were not predicted from, because too many waited
    """

    rows: int = 0
    errors: int = 0
    total: float = 0.0
    classes: Counter[str] = field(default_factory=Counter)
    seconds: Counter[int] = field(default_factory=Counter)
    compared: int = 0
    equal: int = 0
    difference: float = 0.0
    dropped: int = 0

    def predicted(self, prediction: object) -> None:
        """Count a row and its prediction; None where there is none."""
        self.rows += 1
        if prediction is None:
            self.errors += 1
        elif isinstance(prediction, int | float) and not isinstance(prediction, bool):
            self.total += prediction
        else:
            label = str(prediction)
            self.classes[label if label in self.classes or len(self.classes) < _MOST_CLASSES else "other"] += 1

    def timed(self, seconds: float, rows: int = 1) -> None:
        """Count the seconds that the prediction of each of some rows took."""
        self.seconds[latency_step(seconds)] += rows

    def compare(self, prediction: object, other: object) -> None:
        """Count a row that both versions have predicted from."""
        self.compared += 1
        if isinstance(prediction, float) and isinstance(other, float):
            self.equal += math.isclose(prediction, other, rel_tol=1e-9)
            self.difference += abs(prediction - other)
        else:
            self.equal += prediction == other

    def add(self, other: TrialTally) -> None:
        """Add what was counted elsewhere, or in another minute."""
        for name in ("rows", "errors", "total", "compared", "equal", "difference", "dropped"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.classes.update(other.classes)
        self.seconds.update(other.seconds)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as the ledger stores them."""
        return {**vars(self), "classes": dict(self.classes), "seconds": {str(step): rows for step, rows in self.seconds.items()}}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> TrialTally:
        """Return stored counts."""
        seconds = Counter({int(step): rows for step, rows in document["seconds"].items()})
        known = {name: document[name] for name in ("rows", "errors", "total", "compared", "equal", "difference", "dropped")}
        return cls(**known, classes=Counter(document["classes"]), seconds=seconds)


@dataclass(frozen=True)
class TrialKey:
    """Of what a tally is: a version of a model in a role of a trial, which a decision has begun."""

    product: str
    model: str
    decision: int
    role: Role
    version: int


def latency_step(seconds: float) -> int:
    """Return the step of a time; steps are a tenth apart, so that counts of several minutes and processes add up to a quantile.

    Examples
    --------
    >>> latency_step(1.0), latency_step(0.0001), latency_step(0.00011)
    (0, -97, -96)
    """
    return round(math.log(max(seconds, 1e-9)) / _STEP)


def seconds_within(steps: Mapping[int, int], share: float) -> float | None:
    """Return the seconds that a share of the timed predictions did not exceed, to a tenth; None without any.

    Examples
    --------
    >>> seconds_within({latency_step(0.001): 98, latency_step(1.0): 2}, 0.5), seconds_within({}, 0.5)
    (0.00105, None)
    """
    left = math.ceil(share * sum(steps.values()))
    for step in sorted(steps):
        left -= steps[step]
        if left <= 0:
            return float(f"{math.exp(step * _STEP):.3g}")
    return None


def tally_measurement(key: TrialKey, tally: TrialTally, start: float, end: float) -> Measurement:
    """Return the figure of a minute of a trial."""
    return Measurement(
        key.product, "", end, KIND, key.model, PREDICTED, float(tally.rows), count=tally.rows, window_start=start, window_end=end,
        group_by=("role", "decision"), group_value=(key.role, key.decision), version=key.version, detail=tally.as_dict(),
    )  # fmt: skip


def tallies_of(ledger: Ledger, decision: DecisionRow) -> dict[TrialKey, TrialTally]:
    """Return what servers have counted in the trial that a decision has begun, by role and version."""
    added: dict[TrialKey, TrialTally] = {}
    minutes = measurements(
        ledger, product=decision["product"], subject=decision["model"], subject_kind=KIND, metric=PREDICTED, since=decision["at"]
    )
    for minute in minutes:
        role: Any = minute.group["role"]
        if minute.group["decision"] == decision["id"] and minute.version is not None:
            key = TrialKey(decision["product"], decision["model"], decision["id"], role, minute.version)
            added.setdefault(key, TrialTally()).add(TrialTally.of(minute.detail))
    return added


def open_trials(ledger: Ledger, **equal: str) -> list[DecisionRow]:
    """Return the decisions by which versions are on trial now, one a model at most.

    Parameters
    ----------
    equal : ``product`` and ``model``, where only theirs are wanted
    """
    ids = select(func.max(decisions.c.id)).where(decisions.c.decision.in_(_TURNS))
    for column, value in equal.items():
        ids = ids.where(decisions.c[column] == value)
    ids = ids.group_by(decisions.c.product, decisions.c.model)
    rows: Sequence[DecisionRow] = ledger.rows(select(decisions).where(decisions.c.id.in_(ids)).order_by(decisions.c.id), decisions)
    return [row for row in rows if is_trial(row)]


def open_trial(ledger: Ledger, product: str, model: str) -> DecisionRow | None:
    """Return the decision by which a version of a model is on trial now; None where there is none."""
    return next(iter(open_trials(ledger, product=product, model=model)), None)


def is_trial(decision: DecisionRow) -> bool:
    """Return whether a decision begins a trial."""
    return decision["decision"] in (SHADOW, CANARY)


def newest_trial(rows: Iterable[DecisionRow], version: int) -> DecisionRow | None:
    """Return the newest decision, of some in order, that a version is tried."""
    return next((row for row in reversed(list(rows)) if row["version"] == version and is_trial(row)), None)
