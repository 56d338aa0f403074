"""Judge a frame's rows in the pass that writes them.

Rows that break a rule which quarantines or stops get the verdict ``quarantined``, their reasons and their raw values. The writer
partitions by the verdict, and the figures are read from the written files (`judged_outcome`), so that a task that ran twice counts once.
Rules that only warn leave no trace in the rows: an observation counts them, which is exact because nothing is shuffled
between it and the write. On an engine without observations they are flags, which the writer counts and leaves out of the files.

Only failing rows get reasons and raw values; a good row costs its conditions and one string.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import Observation, functions as F
from pyspark.sql.types import ArrayType, BooleanType, DataType, StringType, StructField, StructType

from caudal.declarations.expectation import Expectation
from caudal.engine.capability import Capability
from caudal.engine.choice import can
from caudal.engine.known_schema import with_known_schema
from caudal.engine.marks import quoted
from caudal.stages.enforce.declared import ComparedExpectation, ComparisonScope, DeclaredExpectation, RowExpectation
from caudal.stages.enforce.judging.bind import bind_expectations
from caudal.stages.enforce.judging.content import (
    COUNTED,
    FORMAT_ERRORS,
    RAW,
    REASONS,
    SEGMENT,
    TEMPORARY,
    VERDICT,
    is_readable,
    published_columns,
    row_as_json,
)
from caudal.stages.enforce.judging.first import is_unique_by_plan
from caudal.stages.enforce.judging.outcome import JudgingOutcome, judged_outcome
from caudal.stages.enforce.unique import Unique
from caudal.storage.place import Place, place

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_BAD = f"{TEMPORARY}bad"


@dataclass(frozen=True)
class JudgedFrame:
    """A frame with its verdicts; Spark computes nothing until it is written.

    Parameters
    ----------
    frame : DataFrame, the columns of the input, ``_reasons`` (array of strings) and ``_raw`` (JSON of the row as it came), both null
        for good rows, and ``_verdict``: ``good`` or ``quarantined``
    compared_later : the rules whose keys are compared after the rows are written (`write_judged`)
    repeat_counts : rows that repeat a key, by the name of the rule that only warns of them; known after `write_judged`
    """

    frame: DataFrame
    table: str
    expectations: tuple[DeclaredExpectation, ...]
    tz: str = "UTC"
    scope: ComparisonScope = field(default_factory=ComparisonScope, repr=False)
    compared_later: tuple[Unique, ...] = ()
    observation: Observation | None = field(default=None, repr=False)
    flagged: DataFrame | None = field(default=None, repr=False)
    repeat_counts: dict[str, int] = field(default_factory=dict, repr=False)
    flag_counts: dict[str, int] = field(default_factory=dict, repr=False)

    def write(
        self,
        folder: Place | str,
        by: Sequence[str] = (),
        *,
        segments: Sequence[str] = (),
        prepare: Callable[[DataFrame], DataFrame] = lambda frame: frame,
    ) -> None:
        """Write the rows as Parquet: ``_verdict=good/…`` and ``_verdict=quarantined/…``, then partitioned by columns.

        Parameters
        ----------
        folder : a folder of this run alone; its contents are replaced
        by : columns that the verdicts' folders are partitioned by, in order
        segments : the values of ``_segment``, where they are known
        prepare : gives the frame to compute in the place of a frame; raises where the engine is not known to compute Spark's rows
        """
        from caudal.stages.enforce.judging.write import set_aside_repeats, write_judged

        target = place(folder) if isinstance(folder, str) else folder
        to_write = prepare(self.frame if self.flagged is None else self.flagged)
        self.flag_counts.update(write_judged(to_write, target, by, segments))
        warning = [rule for rule in self.compared_later if not sets_aside(rule, self.expectations)]
        rules = {expectation.name for expectation in self.expectations}
        self.repeat_counts.update(
            set_aside_repeats(
                self.frame, target, by, self.compared_later, self.scope, rules, {rule.name for rule in warning}, prepare
            )
        )

    def outcome(self, written: Place | str, history: Sequence[Mapping[str, object]] = (), now: float = 0.0) -> JudgingOutcome:
        """Return the counts, the figures and the results of all expectations for the written rows.

        Parameters
        ----------
        written : the folder that `write_judged` wrote to
        history : profiles of earlier versions, newest last
        now : float, seconds since 1970, UTC
        """
        return judged_outcome(
            place(written) if isinstance(written, str) else written,
            self.table,
            self.expectations,
            self._count_warnings,
            history,
            now,
            self.tz,
        )

    def _count_warnings(self) -> dict[str, int]:
        """Return how many rows break each rule that warns; called only after rows were written."""
        counts: Mapping[str, object] = self.observation.get if self.observation is not None else self.flag_counts
        observed = {rule.name: int(str(counts.get(f"w{i}") or 0)) for i, rule in enumerate(_distinct(self.expectations, ("warn",)))}
        return {**observed, **self.repeat_counts}


def judge(
    frame: DataFrame,
    expectations: Sequence[Expectation],
    *,
    others: Mapping[str, DataFrame] | None = None,
    day: str | None = None,
    table: str = "table",
    tz: str = "UTC",
) -> JudgedFrame:
    """Return the frame with a verdict for each row.

    Parameters
    ----------
    frame : DataFrame; optional columns ``_format_errors`` and ``_raw`` come from reading a source. Rows with
        format errors are quarantined for these and not judged by any rule: values that could not be read are null in them
    expectations : the declared ones, in any order
    others : the tables that they refer to, by name
    day : str, optional, the partition column; `unique` and `monotone` compare rows only within a partition
    table : str, its name in messages
    tz : str, the product's time zone, in which local wall times are read

    Raises
    ------
    DeclarationProblem : an expectation names a table or column that does not exist
    """
    declared = bind_expectations(frame, expectations, others or {}, table)
    scope = ComparisonScope(
        table, others or {}, tuple(name for name in (SEGMENT, day) if name is not None and name in frame.columns)
    )
    conditions: dict[str, Column] = {}
    marked = frame
    for i, expectation in enumerate(_distinct(declared)):
        if isinstance(expectation, ComparedExpectation):
            marked = expectation.mark_violations(marked, f"{TEMPORARY}{i}", scope)
        conditions.update(_condition(expectation, frame, f"{TEMPORARY}{i}"))
    marked = marked.withColumn(
        _BAD,
        _any(
            [
                conditions[expectation.name]
                for expectation in _distinct(declared, ("quarantine", "stop"))
                if expectation.name in conditions
            ]
        ),
    )
    compared_later = tuple(
        expectation
        for expectation in _distinct(declared)
        if isinstance(expectation, Unique) and not is_unique_by_plan(frame, expectation.keys)
    )
    warning = _warnings(frame.columns, conditions, _distinct(declared, ("warn",)))
    observed, observation, flags = _observe(marked, warning)
    reasons = {
        expectation.name: conditions[expectation.name]
        for expectation in _distinct(declared, ("quarantine", "stop"))
        if expectation.name in conditions
    }
    judged = _add_verdicts(observed, frame.schema, reasons)
    flagged = _add_verdicts(observed, frame.schema, reasons, flags) if flags else None
    return JudgedFrame(judged, table, tuple(declared), tz, scope, compared_later, observation, flagged)


def sets_aside(rule: DeclaredExpectation, expectations: Sequence[DeclaredExpectation]) -> bool:
    """Return whether breaking a rule sets a row aside; the same rule can be declared more than once with different actions."""
    return any(other.name == rule.name and other.action != "warn" for other in expectations)


def _distinct(
    expectations: Sequence[DeclaredExpectation], actions: tuple[str, ...] = ("warn", "quarantine", "stop")
) -> list[DeclaredExpectation]:
    """Return the expectations with one of the actions; of those with the same name, which judge alike, only the first."""
    distinct: dict[str, DeclaredExpectation] = {}
    for expectation in expectations:
        if expectation.action in actions:
            distinct.setdefault(expectation.name, expectation)
    return list(distinct.values())


def _condition(expectation: DeclaredExpectation, frame: DataFrame, flag: str) -> dict[str, Column]:
    """Return the condition under which a row breaks an expectation, by the expectation's name; nothing for one of the whole table."""
    if isinstance(expectation, RowExpectation):
        return {expectation.name: expectation.violation(frame.schema)}
    return {expectation.name: F.col(flag)} if isinstance(expectation, ComparedExpectation) else {}


def _any(conditions: Sequence[Column]) -> Column:
    """Return the condition that any of these is true; null counts as false."""
    return reduce(lambda left, right: left | right, (F.coalesce(condition, F.lit(False)) for condition in conditions), F.lit(False))


def _warnings(
    columns: Sequence[str], conditions: Mapping[str, Column], warning: Sequence[DeclaredExpectation]
) -> dict[str, Column]:
    """Return for each rule that only warns the condition under which a row counts as breaking it."""
    return {
        f"w{i}": is_readable(columns) & F.coalesce(conditions[expectation.name], F.lit(False))
        for i, expectation in enumerate(warning)
        if expectation.name in conditions
    }


def _observe(frame: DataFrame, warning: Mapping[str, Column]) -> tuple[DataFrame, Observation | None, list[str]]:
    """Return the frame with an observation that counts the rows breaking rules that warn, or with a flag for each; without such rules
    neither, to save its cost per row."""
    if not warning:
        return frame, None, []
    if not can(frame.sparkSession, Capability.OBSERVE):
        flags = {f"{COUNTED}{name}": condition for name, condition in warning.items()}
        return frame.withColumns(flags), None, [*flags]
    observation = Observation()
    counts = (F.count_if(condition).alias(name) for name, condition in warning.items())
    return frame.observe(observation, *counts), observation, []


def _add_verdicts(frame: DataFrame, schema: StructType, reasons: Mapping[str, Column], flags: Sequence[str] = ()) -> DataFrame:
    """Return the published ones of the columns that were judged, with ``_reasons``, ``_raw``, ``_verdict`` and the flags.

    Parameters
    ----------
    schema : that of the frame that was judged
    """
    columns = schema.names
    published = published_columns(columns)
    readable = is_readable(columns)
    reasons_of_row: Column = F.lit(None).cast("array<string>")
    if reasons:
        broken_rules = F.array(*(F.when(condition, F.lit(name)) for name, condition in reasons.items()))
        # array_except drops nulls and is compiled; array_compact and filter are not, and would slow down every row.
        reasons_of_row = F.when(F.col(_BAD), F.array_except(broken_rules, F.array(F.lit(None).cast("string"))))
    if FORMAT_ERRORS in columns:
        reasons_of_row = F.when(readable, reasons_of_row).otherwise(F.col(FORMAT_ERRORS))
    if FORMAT_ERRORS in columns and RAW in columns and not reasons:
        raw = F.col(RAW)  # rows with format errors have it; no other row is set aside
    else:
        raw = F.coalesce(F.col(RAW), row_as_json(frame)) if RAW in columns else row_as_json(frame)
    bad = ~readable | F.col(_BAD)
    verdict = F.when(bad, F.lit("quarantined")).otherwise(F.lit("good"))
    judged = frame.withColumns({REASONS: reasons_of_row.cast("array<string>"), RAW: F.when(bad, raw), VERDICT: verdict})
    # Names in place of columns: PySpark calls Java some thirty times for each column that it is given.
    verdicts = judged.selectExpr(*map(quoted, published), REASONS, RAW, VERDICT, *flags)
    added: list[tuple[str, DataType]] = [
        (REASONS, ArrayType(StringType())),
        (RAW, StringType()),
        (VERDICT, StringType()),
        *((flag, BooleanType()) for flag in flags),
    ]
    return with_known_schema(
        verdicts, StructType([*(schema[name] for name in published), *(StructField(name, type) for name, type in added)])
    )
