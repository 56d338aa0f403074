"""A frame's rows judged in the pass that writes them.

Rows that break a rule which quarantines or stops get the verdict ``quarantined``, their reasons and their raw values; the writer
partitions by the verdict, and the figures are read from what was written (`outcome`), so that a task that ran twice counts once.
Only rules that warn leave no trace in the rows: they are counted by an observation, which is exact because nothing is shuffled
between it and the write.

Reasons and raw values are made for failing rows alone; a good row costs its conditions and one string.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any

from caudal.declarations.expectation import Expectation
from caudal.stages.enforce.declared import Among, ComparedExpectation, Declared, RowExpectation
from caudal.stages.enforce.judging.bind import bind
from caudal.stages.enforce.judging.content import FORMAT_ERRORS, OWN, RAW, REASONS, SEGMENT, VERDICT, as_json, columns, readable
from caudal.stages.enforce.judging.first import proven
from caudal.stages.enforce.judging.outcome import Outcome, outcome
from caudal.stages.enforce.unique import Unique
from caudal.storage.place import Place, place

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Observation

_BAD = f"{OWN}bad"


@dataclass(frozen=True)
class Judged:
    """A frame with its verdicts; nothing has been computed before it is written.

    Parameters
    ----------
    frame : DataFrame, the columns that came, ``_reasons`` (array of strings) and ``_raw`` (JSON of the row as it came), both null
        for good rows, and ``_verdict``: ``good`` or ``quarantined``
    apart : the keys that `write` compares when the rows are written
    """

    frame: DataFrame
    table: str
    expectations: tuple[Declared, ...]
    tz: str = "UTC"
    among: Among = field(default_factory=Among, repr=False)
    apart: tuple[Unique, ...] = ()
    observation: Observation | None = field(default=None, repr=False)
    settled: dict[str, int] = field(default_factory=dict, repr=False)

    def write(self, folder: Place | str, by: Sequence[str] = (), *, segments: Sequence[str] = ()) -> None:
        """Write the rows as Parquet: ``_verdict=good/…`` and ``_verdict=quarantined/…``, then partitioned by columns.

        Parameters
        ----------
        folder : one that is this run's alone; what is in it is replaced
        by : columns that the verdicts' folders are partitioned by, in order
        segments : the values of ``_segment``, where they are known
        """
        from caudal.stages.enforce.judging.write import settle, write

        at = place(folder) if isinstance(folder, str) else folder
        write(self.frame, at, by, segments)
        warning = [one for one in self.apart if not acts(one, self.expectations)]
        rules = {expectation.name for expectation in self.expectations}
        self.settled.update(settle(self.frame, at, by, self.apart, self.among, rules, {one.name for one in warning}))

    def outcome(self, written: Place | str, history: Sequence[Mapping[str, Any]] = (), now: float = 0.0) -> Outcome:
        """Return the figures and the judgement of what was written.

        Parameters
        ----------
        written : the folder that `write` wrote to
        history : profiles of earlier versions, newest last
        now : float, seconds since 1970, UTC
        """
        return outcome(
            place(written) if isinstance(written, str) else written,
            self.table,
            self.expectations,
            self._warned,
            history,
            now,
            self.tz,
        )

    def _warned(self) -> dict[str, int]:
        """Return how many rows break each rule that warns; asked only when rows were written."""
        counts = self.observation.get if self.observation is not None else {}
        seen = {one.name: int(counts.get(f"w{i}") or 0) for i, one in enumerate(_distinct(self.expectations, ("warn",)))}
        return {**seen, **self.settled}


def judge(
    frame: DataFrame,
    expectations: Sequence[Expectation],
    *,
    others: Mapping[str, DataFrame] | None = None,
    day: str | None = None,
    table: str = "table",
    tz: str = "UTC",
) -> Judged:
    """Return the frame with a verdict for each row.

    Parameters
    ----------
    frame : DataFrame; columns ``_format_errors`` and ``_raw``, where there, are what the reading of a source said. Rows with
        format errors are quarantined for these, and judged by no rule: what could not be read is null in them
    expectations : declared ones, in any order
    others : the tables that they refer to, by name
    day : str, optional, the partition column. Rows are compared (`unique`, `monotone`) within a partition only
    table : str, its name in messages
    tz : str, the product's time zone, in which local wall times are taken

    Raises
    ------
    DeclarationProblem : an expectation names what is not there
    """

    declared = bind(frame, expectations, others or {}, table)
    among = Among(table, others or {}, tuple(name for name in (SEGMENT, day) if name is not None and name in frame.columns))
    conditions: dict[str, Column] = {}
    marked = frame
    for i, one in enumerate(_distinct(declared)):
        if isinstance(one, ComparedExpectation):
            marked = one.marked(marked, f"{OWN}{i}", among)
        conditions.update(_condition(one, frame, f"{OWN}{i}"))
    marked = marked.withColumn(
        _BAD, _any([conditions[one.name] for one in _distinct(declared, ("quarantine", "stop")) if one.name in conditions])
    )
    apart = tuple(one for one in _distinct(declared) if isinstance(one, Unique) and not proven(frame, one.keys))
    observed, observation = _observed(marked, conditions, _distinct(declared, ("warn",)))
    acting_reasons = {
        one.name: conditions[one.name] for one in _distinct(declared, ("quarantine", "stop")) if one.name in conditions
    }
    return Judged(_verdicts(observed, acting_reasons), table, tuple(declared), tz, among, apart, observation)


def acts(one: Declared, expectations: Sequence[Declared]) -> bool:
    """Tell whether breaking a rule sets a row aside; the same rule can be declared more than once."""
    return any(other.name == one.name and other.action != "warn" for other in expectations)


def _distinct(expectations: Sequence[Declared], actions: tuple[str, ...] = ("warn", "quarantine", "stop")) -> list[Declared]:
    """Return the expectations with one of the actions, those of the same name once: they judge alike."""
    found: dict[str, Declared] = {}
    for expectation in expectations:
        if expectation.action in actions:
            found.setdefault(expectation.name, expectation)
    return list(found.values())


def _condition(one: Declared, frame: DataFrame, flag: str) -> dict[str, Column]:
    """Return what tells that a row breaks an expectation, where it is told row by row."""
    from pyspark.sql import functions as F

    if isinstance(one, RowExpectation):
        return {one.name: one.broken(frame.schema)}
    return {one.name: F.col(flag)} if isinstance(one, ComparedExpectation) else {}


def _any(conditions: Sequence[Column]) -> Column:
    """Return whether any condition is true; null is not."""
    from pyspark.sql import functions as F

    return reduce(lambda one, other: one | other, (F.coalesce(condition, F.lit(False)) for condition in conditions), F.lit(False))


def _observed(
    frame: DataFrame, conditions: Mapping[str, Column], warning: Sequence[Declared]
) -> tuple[DataFrame, Observation | None]:
    """Return the frame with an observation of the rules that warn; without such rules none, for it costs a pass over each row."""
    from pyspark.sql import Observation, functions as F

    counted = [
        F.count_if(readable(frame) & F.coalesce(conditions[one.name], F.lit(False))).alias(f"w{i}")
        for i, one in enumerate(warning)
        if one.name in conditions
    ]
    if not counted:
        return frame, None
    observation = Observation()
    return frame.observe(observation, *counted), observation


def _verdicts(frame: DataFrame, reasons: Mapping[str, Column]) -> DataFrame:
    """Return the published columns with ``_reasons``, ``_raw`` and ``_verdict``."""
    from pyspark.sql import functions as F

    from caudal.engine.marks import quoted

    own = columns(frame)
    told: Column = F.lit(None).cast("array<string>")
    if reasons:
        found = F.array(*(F.when(condition, F.lit(name)) for name, condition in reasons.items()))
        # array_except drops nulls and is compiled; array_compact and filter are not, and would slow down every row.
        told = F.when(F.col(_BAD), F.array_except(found, F.array(F.lit(None).cast("string"))))
    if FORMAT_ERRORS in frame.columns:
        told = F.when(readable(frame), told).otherwise(F.col(FORMAT_ERRORS))
    if FORMAT_ERRORS in frame.columns and RAW in frame.columns and not reasons:
        raw = F.col(RAW)  # rows that have lost their format have it; no other row is set aside
    else:
        raw = F.coalesce(F.col(RAW), as_json(frame)) if RAW in frame.columns else as_json(frame)
    bad = ~readable(frame) | F.col(_BAD)
    verdict = F.when(bad, F.lit("quarantined")).otherwise(F.lit("good"))
    judged = frame.withColumns({REASONS: told.cast("array<string>"), RAW: F.when(bad, raw), VERDICT: verdict})
    # Names in place of columns: PySpark asks Java some thirty times for each column that it is given.
    return judged.selectExpr(*map(quoted, own), REASONS, RAW, VERDICT)
