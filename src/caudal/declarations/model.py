"""Declarations of models: candidates, splits, metric, gates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from caudal.declarations.duration import seconds
from caudal.declarations.holdout import Holdout
from caudal.declarations.location import Location, outside
from caudal.declarations.retraining import Retraining
from caudal.errors import DeclarationProblem

Task = Literal["regression", "classification"]
BASELINE = "baseline"
"""The name of the naive candidate that every model has."""


@dataclass(frozen=True)
class Temporal:
    """Folds over time: train on a period, test on the period after it, then move on by a step.

    ``train_s`` None trains on everything before the test period. ``gap_s`` lies between the two, in addition to the horizon. The last ``folds`` folds are used.
    """

    test_s: float
    train_s: float | None = None
    step_s: float | None = None
    folds: int = 3
    gap_s: float = 0.0


@dataclass(frozen=True)
class TemporalRows:
    """Folds over the rows in order of time: scikit-learn's ``TimeSeriesSplit(folds, max_train_size=train, test_size=test, gap=gap)``.

    ``test`` None is the number of rows divided by one more than the number of folds. Where the label has a horizon, training also leaves out rows whose
    label is not known when the first test row is predicted.
    """

    test: int | None = None
    train: int | None = None
    folds: int = 3
    gap: int = 0


def temporal(
    test: str | int | None = None,
    *,
    train: str | int | None = None,
    step: str | None = None,
    folds: int = 3,
    gap: str | int | None = None,
) -> Temporal | TemporalRows:
    """Return folds over time, each length a duration, or over rows in order of time, each length a number of rows.

    Parameters
    ----------
    test : length of a test period; None, only in rows, is the number of rows divided by one more than ``folds``
    train : the greatest length of a training period; everything before the test period when left out
    step : distance between the starts of two test periods, only as a duration; ``test`` when left out
    folds : number of test periods, the newest ones
    gap : length that is left out between training and test, in addition to the rows whose label is not known yet

    Raises
    ------
    DeclarationProblem : durations and numbers of rows are mixed, or a length is invalid

    Examples
    --------
    >>> temporal(train="21 days", test="3 days", folds=2).test_s
    259200.0
    >>> temporal(500, gap=24, folds=5)
    TemporalRows(test=500, train=None, folds=5, gap=24)
    """
    lengths = {"test": test, "train": train, "gap": gap, "step": step}
    by_time = [name for name, length in lengths.items() if isinstance(length, str)]
    by_rows = [name for name, length in lengths.items() if isinstance(length, int) and not isinstance(length, bool)]
    where = str(outside())
    if by_time and by_rows:
        raise DeclarationProblem(
            f"cd.temporal is given {' and '.join(by_time)} as a duration and {' and '.join(by_rows)} as a number of rows.",
            fix="Write all lengths as durations ('3 days') or all as numbers of rows (300).",
            where=where,
        )
    if folds < 1:
        raise DeclarationProblem(f"cd.temporal is given {folds} folds.", fix="Take one at least.", where=where)
    if by_time:
        if not isinstance(test, str):
            raise DeclarationProblem(
                "cd.temporal by time needs the length of a test stretch.", fix="Give test='3 days'.", where=where
            )
        lengths_s = {name: seconds(length) for name, length in lengths.items() if isinstance(length, str)}
        return Temporal(lengths_s["test"], lengths_s.get("train"), lengths_s.get("step"), folds, lengths_s.get("gap", 0.0))
    for name, least in (("test", 1), ("train", 1), ("gap", 0)):
        length = lengths[name]
        if isinstance(length, int) and length < least:
            raise DeclarationProblem(f"cd.temporal is given {name}={length} rows.", fix=f"Take {least} at least.", where=where)
    return TemporalRows(test, train, folds, gap or 0)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Hashed:
    """Folds by the hash of a key, for rows that have no order in time: a row's fold never changes, whatever data is added.

    ``by`` is a column whose rows stay together, such as the object that several pictures show; the entity when left out.
    """

    test: float
    folds: int = 3
    by: str | None = None


def hashed(test: float = 0.25, *, folds: int = 3, by: str | None = None) -> Hashed:
    """Return folds by hash; each tests on a different share ``test`` of the keys.

    Examples
    --------
    >>> hashed(0.2, folds=5).test
    0.2
    """
    if not 0 < test < 1 or folds < 1 or folds * test > 1 + 1e-9:
        raise DeclarationProblem(
            f"{folds} folds that test on {test:.0%} each cannot all differ.",
            fix="Let folds times test be 1 at most.",
            where=str(outside()),
        )
    return Hashed(test, folds, by)


@dataclass(frozen=True)
class Gate:
    """A condition for promotion. Each kind is a file of ``stages/gates``; this base class lists what a gate may need."""

    kind: ClassVar[str]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that it uses besides the model's metric."""
        return ()

    @property
    def candidates(self) -> tuple[str, ...]:
        """Candidates that it compares with."""
        return ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the features that it groups rows by."""
        return ()

    @property
    def asks_champion(self) -> bool:
        """Whether it compares with the version in production, which must then be loaded."""
        return False

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks whose models it can judge."""
        return get_args(Task)

    @property
    def aim(self) -> str:
        """What the gate requires, as the rest of a sentence about the model."""
        return f"has the gate {self.kind}, and that asks for {', '.join([*self.candidates, *self.columns])}"


@dataclass(frozen=True)
class Selection:
    """A rule by which a candidate is chosen. Each kind is a file of ``stages/select``."""

    kind: ClassVar[str]

    @property
    def candidates(self) -> tuple[str, ...]:
        """Candidates that it names."""
        return ()


@dataclass(frozen=True)
class Model:
    """A model: which features, which label, which candidates, how they are compared and what promotes one.

    Parameters
    ----------
    features : str, name of the features
    label : str, a label column of the features
    horizon_s : float, time from ``as_of`` until the label is known; a training uses only labels that are known at its time
    candidates : mapping of name to estimator (scikit-learn or Spark ML)
    holdout : rows that are never trained on; a version is scored on them once, when it is promoted
    select : the rule that chooses a candidate; the best mean score where it is None
    retrain : what a version in production waits for until the model is trained again; None: new versions of its features
    """

    name: str
    features: str
    label: str
    horizon_s: float
    candidates: Mapping[str, object]
    split: Temporal | TemporalRows | Hashed
    metric: str
    gates: tuple[Gate, ...] = ()
    task: Task = "regression"
    group_by: tuple[str, ...] = ()
    max_rows: int | None = None
    seed: int = 0
    unit: str | None = None
    description: str | None = None
    where: Location | None = field(default=None, compare=False)
    retry: int = 0
    time_limit_s: float | None = None
    holdout: Holdout | None = None
    select: Selection | None = None
    retrain: Retraining | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """The tables that training reads: the features, and the table of held-out rows."""
        return (self.features, self.holdout.table) if self.holdout and self.holdout.table else (self.features,)


@dataclass(frozen=True)
class Prediction:
    """Predictions by the published champion, written to the table ``name``.

    ``learn_after`` is for streams: the model is trained when this number of samples has been captured and there is no champion yet.
    """

    name: str
    model: str
    rows: Literal["unlabelled", "all", "latest"] = "all"
    trigger: object = None
    learn_after: int | None = None
    where: Location | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Serving:
    """A model behind a form and an API. ``defaults`` fills fields of the form; ``labels`` and ``units`` name them."""

    model: str
    fields: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    where: Location | None = field(default=None, compare=False)
