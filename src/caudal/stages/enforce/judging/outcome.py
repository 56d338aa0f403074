"""Return the outcome of a judged frame from its written files: counts, reasons, profile, and whether the step has to stop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from caudal.errors import ExpectationStopped
from caudal.stages.enforce.declared import DeclaredExpectation, Figures, TableExpectation
from caudal.stages.enforce.judging import profile
from caudal.storage.parquet import open_written
from caudal.storage.place import Place

if TYPE_CHECKING:
    import pyarrow as pa

GOOD, QUARANTINED = "_verdict=good", "_verdict=quarantined"


@dataclass(frozen=True)
class CheckResult:
    """The result of one expectation.

    Parameters
    ----------
    rows : int, rows that it judged: all without format errors; for a table as a whole, the good ones
    broken : int, rows that break it; for a table as a whole 1 or 0
    passed : bool, False where it warned, set rows aside or stopped
    message : str, a sentence for users
    """

    expectation: str
    kind: str
    action: str
    rows: int
    broken: int
    passed: bool
    message: str


@dataclass(frozen=True)
class JudgingOutcome:
    """The outcome of a judged frame.

    Parameters
    ----------
    rows, good, quarantined : int, ``rows = good + quarantined``
    checks : one result per expectation, in the order of declaration
    profile : mapping of column to figures of the good rows
    reasons : mapping of reason to number of rows, most frequent first; a row counts under each of its reasons
    stop : the error to raise, or None
    """

    rows: int
    good: int
    quarantined: int
    checks: tuple[CheckResult, ...]
    profile: Mapping[str, Mapping[str, object]]
    reasons: Mapping[str, int]
    stop: ExpectationStopped | None = None


def judged_outcome(
    written: Place,
    table: str,
    expectations: Sequence[DeclaredExpectation],
    count_warnings: Callable[[], Mapping[str, int]],
    history: Sequence[Mapping[str, object]],
    now: float,
    tz: str,
) -> JudgingOutcome:
    """Return the outcome of the frame written to a folder; ``count_warnings`` returns how many rows break each rule that only warns."""
    good_files, bad_files = profile.parquet(written / GOOD), profile.parquet(written / QUARANTINED)
    written_rows = profile.profile(good_files)
    good = written_rows.rows
    reasons, quarantined, unreadable = _reasons(bad_files, {expectation.name for expectation in expectations})
    figures = Figures(good, written_rows.columns, history, now, tz)
    judged = good + quarantined - unreadable
    warnings = count_warnings() if good + quarantined else {}
    checks, stopping = [], []
    for expectation in expectations:
        if isinstance(expectation, TableExpectation):
            result = _judge_table(expectation, figures)
            stops = not result.passed and expectation.action == "stop"
        else:
            result = _judge_rows(
                expectation,
                judged,
                warnings.get(expectation.name, 0) if expectation.action == "warn" else reasons.get(expectation.name, 0),
            )
            share = result.broken / judged if judged else 0.0
            stops = result.broken > 0 and (
                expectation.action == "stop" or (expectation.max_share is not None and share > expectation.max_share)
            )
        checks.append(result)
        if stops:
            stopping.append((expectation, result))
    return JudgingOutcome(
        rows=good + quarantined,
        good=good,
        quarantined=quarantined,
        checks=tuple(checks),
        profile=figures.profile,
        reasons=dict(reasons.most_common()),
        stop=_stop_error(table, stopping) if stopping else None,
    )


def _reasons(files: Sequence[Place], rules: set[str]) -> tuple[Counter[str], int, int]:
    """Return the number of rows by reason, of all quarantined rows, and of those quarantined for their format."""
    by_reason: Counter[str] = Counter()
    rows = unreadable = 0
    for path in files:
        with open_written(path) as file:
            row_reasons: pa.ChunkedArray = file.read(["_reasons"], use_threads=False).column("_reasons")
        rows += len(row_reasons)
        for pair in pc.value_counts(pc.list_flatten(row_reasons)).to_pylist():
            by_reason[pair["values"]] += pair["counts"]
        # A row is quarantined by rules or for its format, never for both.
        first_reasons = pc.list_element(row_reasons.filter(pc.greater(pc.list_value_length(row_reasons), 0)), 0)
        unreadable += sum(pair["counts"] for pair in pc.value_counts(first_reasons).to_pylist() if pair["values"] not in rules)
    return by_reason, rows, unreadable


def _judge_table(expectation: TableExpectation, figures: Figures) -> CheckResult:
    fault = expectation.fault(figures)
    return CheckResult(
        expectation.name,
        expectation.kind,
        expectation.action,
        figures.rows,
        int(fault is not None),
        fault is None,
        fault or "holds",
    )


def _judge_rows(expectation: DeclaredExpectation, judged: int, broken: int) -> CheckResult:
    message = "holds" if not broken else f"{broken} of {judged} rows ({broken / judged:.2%}) break it"
    return CheckResult(expectation.name, expectation.kind, expectation.action, judged, broken, broken == 0, message)


def _stop_error(table: str, stopping: Sequence[tuple[DeclaredExpectation, CheckResult]]) -> ExpectationStopped:
    """Return the error of the first expectation that stops the step, with the number of the others."""
    expectation, result = stopping[0]
    if isinstance(expectation, TableExpectation):
        sentence = f"Table '{table}' breaks {expectation.name}: {result.message}."
    elif expectation.action == "quarantine":
        sentence = f"Table '{table}' breaks {expectation.name} in {result.broken} of {result.rows} rows ({result.broken / result.rows:.2%}), more than {expectation.max_share:.2%}."
    else:
        sentence = f"Table '{table}' breaks {expectation.name} in {result.broken} of {result.rows} rows ({result.broken / result.rows:.2%})."
    more = len(stopping) - 1
    if more:
        sentence += f" {more} other expectation{'s' * (more > 1)} stop{'s' * (more == 1)} it too."
    other_actions = ".quarantine() or .warn()" if expectation.per_row else ".warn()"
    return ExpectationStopped(
        sentence + " Nothing was published.",
        fix=f"Look at the rows, or declare it with {other_actions}."
        if expectation.action == "stop"
        else "Look at the rows, or allow a greater max_share.",
        where=str(expectation.where) if expectation.where else None,
        table=table,
        expectation=expectation.name,
        rows=result.rows,
        broken=result.broken,
        share=result.broken / result.rows if result.rows and expectation.per_row else None,
    )
