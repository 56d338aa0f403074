"""What JVM Spark makes of the cases: the reference. Runs in a process of its own."""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.engine.cache import put_file
from caudal.engine.sail.cases import Case
from caudal.engine.sail.probe import Probe
from caudal.engine.sail.queries import queries
from caudal.engine.sail.results import KNOWN, Result, comparable, error_line, result_of_frame, without_nullability

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BATCH = 40
CHUNK = 200
"""Number of cases after which what was computed is kept."""


def results(spark: SparkSession, probe: Probe, cases: Sequence[Case]) -> list[Result]:
    """Return what Spark makes of each case over the view ``t``."""
    answers = [Result() for _ in cases]
    forms: dict[str, list[int]] = {}
    for place, case in enumerate(cases):
        if case.form == "query":
            answers[place] = _whole(spark, case)
        else:
            forms.setdefault(case.form, []).append(place)
    valid = []
    for places in forms.values():
        for start in range(0, len(places), BATCH):
            valid += _analyzed(spark, cases, places[start : start + BATCH], answers)
    with _interpreted(spark):
        for batch in _groups(cases, valid):
            _run(spark, probe, cases, batch, answers)
    return answers


def _whole(spark: SparkSession, case: Case) -> Result:
    try:
        return result_of_frame(case.sql, queries()[case.sql].run(spark.table("t")))
    except Exception as error:
        _raise_if_lost(error)
        return Result(refused=error_line(error))


def _analyzed(spark: SparkSession, cases: Sequence[Case], places: Sequence[int], answers: list[Result]) -> list[int]:
    """Note the types of cases, or why they are refused; return those that are not."""
    try:
        fields = json.loads(spark.sql(cases[places[0]].query([cases[place].sql for place in places]))._jdf.schema().json())[
            "fields"
        ]
    except Exception as error:
        _raise_if_lost(error)
        if len(places) == 1:
            answers[places[0]].refused = error_line(error)
            return []
        half = len(places) // 2
        return [*_analyzed(spark, cases, places[:half], answers), *_analyzed(spark, cases, places[half:], answers)]
    for place, column in zip(places, fields[1:], strict=True):
        answers[place].type = json.dumps(without_nullability(column["type"]), sort_keys=True)
    return list(places)


def _raise_if_lost(error: Exception) -> None:
    """Raise an error that says nothing of a case: Java has gone, or was asked for what it has not."""
    from py4j.protocol import Py4JError, Py4JJavaError

    if isinstance(error, ConnectionError) or (isinstance(error, Py4JError) and not isinstance(error, Py4JJavaError)):
        raise error


def _groups(cases: Sequence[Case], valid: list[int]) -> Iterator[tuple[int, ...]]:
    by_form: dict[str, list[int]] = {}
    for place in valid:
        by_form.setdefault(cases[place].form, []).append(place)
    for places in by_form.values():
        yield from (tuple(places[start : start + BATCH]) for start in range(0, len(places), BATCH))


def _run(spark: SparkSession, probe: Probe, cases: Sequence[Case], places: Sequence[int], answers: list[Result]) -> None:
    if cases[places[0]].form == "scalar":
        _evaluate(probe, cases, places, answers)
        return
    try:
        _values(spark, cases, places, answers)
    except Exception as error:
        _raise_if_lost(error)
        if len(places) > 1:
            half = len(places) // 2
            _run(spark, probe, cases, places[:half], answers)
            _run(spark, probe, cases, places[half:], answers)
        elif cases[places[0]].form == "aggregate":
            _by_group(spark, cases[places[0]], answers[places[0]])
        else:
            answers[places[0]] = Result(refused=error_line(error))


def _evaluate(probe: Probe, cases: Sequence[Case], places: Sequence[int], answers: list[Result]) -> None:
    try:
        for place, (values, raised) in zip(places, probe.evaluate([cases[place].sql for place in places]), strict=True):
            if any("Cannot evaluate expression" in message for message in raised.values()):
                _by_query(probe.spark, cases, place, answers)
            else:
                answers[place].values, answers[place].raised = values, raised
    except Exception as error:
        _raise_if_lost(error)
        if len(places) == 1:
            answers[places[0]] = Result(refused=error_line(error))
        else:
            half = len(places) // 2
            _evaluate(probe, cases, places[:half], answers)
            _evaluate(probe, cases, places[half:], answers)


def _by_query(spark: SparkSession, cases: Sequence[Case], place: int, answers: list[Result]) -> None:
    """Compute what only the whole optimizer makes computable."""
    try:
        _values(spark, cases, [place], answers)
    except Exception as error:
        _raise_if_lost(error)
        answers[place] = Result(refused=error_line(error))


def _by_group(spark: SparkSession, case: Case, answer: Result) -> None:
    pending = [[row[0] for row in spark.sql("SELECT DISTINCT g FROM t").collect()]]
    while pending:
        groups = pending.pop()
        try:
            table = spark.sql(case.query([case.sql], f"g IN ({', '.join(map(str, groups))})")).toArrow()
            answer.values |= dict(zip(table.column(0).to_pylist(), comparable(table.column(1)), strict=True))
        except Exception as error:
            _raise_if_lost(error)
            if len(groups) == 1:
                answer.raised[groups[0]] = error_line(error)
            else:
                pending += [groups[: len(groups) // 2], groups[len(groups) // 2 :]]


@contextmanager
def _interpreted(spark: SparkSession) -> Iterator[None]:
    """Let Spark interpret expressions: for a few hundred rows that takes a tenth of the time of compiling them."""
    spark.conf.set("spark.sql.codegen.wholeStage", "false")
    spark.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    try:
        yield
    finally:
        spark.conf.set("spark.sql.codegen.wholeStage", "true")
        spark.conf.set("spark.sql.codegen.factoryMode", "FALLBACK")


def _values(spark: SparkSession, cases: Sequence[Case], places: Sequence[int], answers: list[Result]) -> None:
    if not places:
        return
    table = spark.sql(cases[places[0]].query([cases[place].sql for place in places])).toArrow()
    keys = table.column(0).to_pylist()
    for column, place in enumerate(places, start=1):
        answers[place].values = dict(zip(keys, comparable(table.column(column)), strict=True))


def run_on_spark(folder: Path) -> None:
    """Compute the cases in a folder that were not computed before; what is done is kept there, should the process be ended."""
    from caudal.engine.session import session

    spark = session(cores=2, memory="2g", app="compare", brief=True)
    spark.read.parquet(str(folder / "rows.parquet")).coalesce(1).createOrReplaceTempView("t")
    spark.catalog.cacheTable("t")
    cases: list[Case] = pickle.loads((folder / "cases.pickle").read_bytes())  # noqa: S301
    file = folder / KNOWN
    known = pickle.loads(file.read_bytes()) if file.is_file() else {}  # noqa: S301
    lacking = [case for case in cases if (case.form, case.sql) not in known]
    probe = Probe(spark)  # once: py4j remembers the methods of a class by its name
    started = time.monotonic()
    for start in range(0, len(lacking), CHUNK):
        some = lacking[start : start + CHUNK]
        for case, result in zip(some, results(spark, probe, some), strict=True):
            known[case.form, case.sql] = result
        put_file(file, pickle.dumps(known))
        print(f"Spark: {start + len(some)} of {len(lacking)} after {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    run_on_spark(Path(sys.argv[1]))
