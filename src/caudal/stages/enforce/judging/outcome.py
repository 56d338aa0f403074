"""What became of a judged frame, told by what was written: counts, reasons, profile, and whether the step has to stop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caudal.errors import ExpectationStopped
from caudal.stages.enforce.declared import Declared, Figures, TableExpectation
from caudal.stages.enforce.judging import profile as written_files
from caudal.storage.place import Place, readable

if TYPE_CHECKING:
    import pyarrow as pa

GOOD, QUARANTINED = "_verdict=good", "_verdict=quarantined"


@dataclass(frozen=True)
class CheckResult:
    """What an expectation found.

    Parameters
    ----------
    rows : int, rows that it judged: all without format errors; for a table as a whole, the good ones
    broken : int, rows that break it; for a table as a whole 1 or 0
    passed : bool, False where it warned, set rows aside or stopped
    message : str, for people
    """

    expectation: str
    kind: str
    action: str
    rows: int
    broken: int
    passed: bool
    message: str


@dataclass(frozen=True)
class Outcome:
    """What became of a frame.

    Parameters
    ----------
    rows, good, quarantined : int, ``rows = good + quarantined``
    checks : one result per expectation, in the order of declaration
    profile : mapping of column to figures of the good rows
    reasons : mapping of reason to rows, most frequent first; a row counts under each of its reasons
    stop : the error to raise, or None
    """

    rows: int
    good: int
    quarantined: int
    checks: tuple[CheckResult, ...]
    profile: Mapping[str, Mapping[str, Any]]
    reasons: Mapping[str, int]
    stop: ExpectationStopped | None = None


def outcome(
    written: Place,
    table: str,
    expectations: Sequence[Declared],
    warned: Callable[[], Mapping[str, int]],
    history: Sequence[Mapping[str, Any]],
    now: float,
    tz: str,
) -> Outcome:
    """Return the outcome of the frame written to a folder; ``warned`` gives the rows that break rules that only warn."""
    good_files, bad_files = written_files.parquet(written / GOOD), written_files.parquet(written / QUARANTINED)
    good = written_files.rows(good_files)
    reasons, quarantined, unreadable = _reasons(bad_files, {expectation.name for expectation in expectations})
    figures = Figures(good, written_files.profile(good_files), history, now, tz)
    judged = good + quarantined - unreadable
    warnings = warned() if good + quarantined else {}
    checks, stopping = [], []
    for expectation in expectations:
        if isinstance(expectation, TableExpectation):
            result = _of_table(expectation, figures)
            stops = not result.passed and expectation.action == "stop"
        else:
            result = _of_rows(
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
    return Outcome(
        rows=good + quarantined,
        good=good,
        quarantined=quarantined,
        checks=tuple(checks),
        profile=figures.profile,
        reasons=dict(reasons.most_common()),
        stop=_stopped(table, stopping) if stopping else None,
    )


def _reasons(files: Sequence[Place], rules: set[str]) -> tuple[Counter[str], int, int]:
    """Return rows by reason, all quarantined rows, and those that were quarantined for their format alone."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    found: Counter[str] = Counter()
    rows = unreadable = 0
    for path in files:
        told: pa.ChunkedArray = pq.read_table(readable(path), columns=["_reasons"], partitioning=None).column("_reasons")
        rows += len(told)
        for pair in pc.value_counts(pc.list_flatten(told)).to_pylist():
            found[pair["values"]] += pair["counts"]
        # Rows are judged by rules or for their format, never by both.
        first = pc.list_element(told.filter(pc.greater(pc.list_value_length(told), 0)), 0)
        unreadable += sum(pair["counts"] for pair in pc.value_counts(first).to_pylist() if pair["values"] not in rules)
    return found, rows, unreadable


def _of_table(one: TableExpectation, figures: Figures) -> CheckResult:
    fault = one.fault(figures)
    return CheckResult(one.name, one.kind, one.action, figures.rows, int(fault is not None), fault is None, fault or "holds")


def _of_rows(one: Declared, judged: int, broken: int) -> CheckResult:
    message = "holds" if not broken else f"{broken} of {judged} rows ({broken / judged:.2%}) break it"
    return CheckResult(one.name, one.kind, one.action, judged, broken, broken == 0, message)


def _stopped(table: str, stopping: Sequence[tuple[Declared, CheckResult]]) -> ExpectationStopped:
    """Return the error of the first expectation that stops; it counts the others."""
    one, result = stopping[0]
    if isinstance(one, TableExpectation):
        what = f"Table '{table}' breaks {one.name}: {result.message}."
    elif one.action == "quarantine":
        what = f"Table '{table}' breaks {one.name} in {result.broken} of {result.rows} rows ({result.broken / result.rows:.2%}), more than {one.max_share:.2%}."
    else:
        what = f"Table '{table}' breaks {one.name} in {result.broken} of {result.rows} rows ({result.broken / result.rows:.2%})."
    more = len(stopping) - 1
    if more:
        what += f" {more} other expectation{'s' * (more > 1)} stop{'s' * (more == 1)} it too."
    others = ".quarantine() or .warn()" if one.per_row else ".warn()"
    return ExpectationStopped(
        what + " Nothing was published.",
        fix=f"Look at the rows, or declare it with {others}."
        if one.action == "stop"
        else "Look at the rows, or allow a greater max_share.",
        where=str(one.where) if one.where else None,
        table=table,
        expectation=one.name,
        rows=result.rows,
        broken=result.broken,
        share=result.broken / result.rows if result.rows and one.per_row else None,
    )
