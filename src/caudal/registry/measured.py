"""A training's scores as measurements: each candidate's mean over the folds, and each fold's figure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.engine import Connection

from caudal.json_value import JsonValue, Scalar
from caudal.ledger.measurements import Measurement, write_measurements
from caudal.ledger.records import measurements, model_versions
from caudal.ledger.rows import ModelVersionRow
from caudal.ledger.selection import BEST_IN, IMPORTANCE, LATER, REGRET

if TYPE_CHECKING:
    from caudal.registry.register import CandidateResult, TrainedModel

Fold = Mapping[str, Scalar]
INTERVAL = "mean ± standard deviation over the folds"


def write_scores(connection: Connection, version: ModelVersionRow, trained: TrainedModel) -> None:
    """Write a training's scores in the transaction of its version; those of an earlier attempt in the same run are replaced."""
    of = measurements.c
    same = (of.run_id == version["run_id"]) & (of.product == version["product"]) & (of.subject == version["model"])
    written = [*trained.metrics, REGRET, BEST_IN, IMPORTANCE, LATER]
    connection.execute(delete(measurements).where(same & (of.subject_kind == "model") & of.metric.in_(written)))
    write_measurements(
        connection, [figure for result in trained.results for figure in score_measurements(version, trained, result)]
    )
    write_measurements(connection, list(selection(version, trained)))
    write_measurements(connection, list(_later(connection, version, trained)))


def score_measurements(version: ModelVersionRow, trained: TrainedModel, result: CandidateResult) -> Iterator[Measurement]:
    """Yield a candidate's figures: each metric's mean, by candidate, then each fold's, by candidate and fold (counted from 1)."""
    for metric in result.metrics:
        if (mean := _number(result.metrics, metric)) is not None:
            spread = result.spread if metric == trained.metric else None
            ends = (None, None) if spread is None else (mean - spread, mean + spread)
            yield _figure(version, trained, result, metric, mean, result.folds, ends)
    for number, fold in enumerate(result.folds, start=1):
        for metric in trained.metrics:
            if (value := _number(fold, metric)) is not None:
                yield _figure(version, trained, result, metric, value, [fold], fold=number)


def selection(version: ModelVersionRow, trained: TrainedModel) -> Iterator[Measurement]:
    """Yield the regret of each selection rule, for each class of candidates in how many folds one of them was the best, and the importance of each input."""
    of = (version["product"], version["run_id"], version["created_at"], "model", version["model"])
    for rule in trained.rules:
        yield Measurement(
            *of, REGRET, rule.mean, max(0.0, min(rule.regrets)), max(rule.regrets), count=len(rule.regrets),
            group_by=("rule",), group_value=(rule.rule,), version=version["version"],
            detail={"interval": "least and greatest", "metric": trained.metric, "declared": rule.declared, "choices": list(rule.choices), "now": rule.now},
        )  # fmt: skip
    for group in trained.groups:
        yield Measurement(
            *of, BEST_IN, group.best_in, count=group.folds, group_by=("class",), group_value=(group.group,), version=version["version"],
            detail={"metric": trained.metric, "candidates": list(group.candidates), "best": group.best, "worst": group.worst},
        )  # fmt: skip
    for effect in trained.effects:
        dependence = effect.dependence
        curve: dict[str, JsonValue] = (
            {}
            if dependence is None
            else {"values": list(dependence.values), "predictions": {name: list(of) for name, of in dependence.predictions.items()}}
        )
        yield Measurement(
            *of, IMPORTANCE, effect.importance, effect.importance - effect.spread, effect.importance + effect.spread, count=effect.rows,
            group_by=("input",), group_value=(effect.name,), version=version["version"],
            detail={"interval": "mean ± standard deviation over repeats", "metric": trained.metric, **curve},
        )  # fmt: skip


def _later(connection: Connection, version: ModelVersionRow, trained: TrainedModel) -> Iterator[Measurement]:
    """Yield how the version in production did on rows that came after its training, beside its estimate then."""
    later = trained.later
    if later is None or (score := later.metrics.get(trained.metric)) is None:
        return
    of = model_versions.c
    same = (of.product == version["product"]) & (of.model == version["model"]) & (of.version == later.version)
    estimated = connection.execute(select(of.metrics).where(same)).scalar()
    yield Measurement(
        version["product"], version["run_id"], version["created_at"], "model", version["model"], LATER, score, count=later.rows, version=later.version,
        detail={"metric": trained.metric, "estimate": (estimated or {}).get(trained.metric), "since": later.since, "until": later.until},
    )  # fmt: skip


def _figure(
    version: ModelVersionRow, trained: TrainedModel, result: CandidateResult, metric: str, value: float, folds: Sequence[Fold],
    ends: tuple[float | None, float | None] = (None, None), fold: int | None = None,
) -> Measurement:  # fmt: skip
    rows = [count for fold in folds if (count := _number(fold, "test_rows")) is not None]
    begins, untils = _times(folds, "from"), _times(folds, "until")
    return Measurement(
        version["product"], version["run_id"], version["created_at"], "model", version["model"], metric, value, *ends,
        count=int(sum(rows)) if rows else None,
        window_start=min(begins, default=None),
        window_end=max(untils, default=None),
        group_by=("candidate",) if fold is None else ("candidate", "fold"),
        group_value=(result.name,) if fold is None else (result.name, fold),
        version=version["version"] if result.name == trained.chosen else None,
        detail={"chosen": result.name == trained.chosen, "baseline": result.baseline} | ({} if ends[0] is None else {"interval": INTERVAL}),
    )  # fmt: skip


def _number(figures: Fold, name: str) -> float | None:
    """Return a finite figure; None for one that is missing or no number."""
    value = figures.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def _times(folds: Sequence[Fold], name: str) -> list[float]:
    """Return times in seconds since 1970; those without a zone are UTC, as training has them."""
    moments = [datetime.fromisoformat(text) for fold in folds if isinstance(text := fold.get(name), str)]
    return [(at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() for at in moments]
