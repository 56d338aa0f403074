"""What Sail makes of the cases, held against what JVM Spark made of them. Runs in a process of its own."""

from __future__ import annotations

import logging
import os
import pickle
import sys
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyspark.sql.connect.proto as pb

from caudal.engine.cache import put_file
from caudal.engine.sail.cases import Case
from caudal.engine.sail.engine import IDLE_S
from caudal.engine.sail.frames import frame_of_relation
from caudal.engine.sail.protocol import NotExpressible, to_message
from caudal.engine.sail.queries import queries
from caudal.engine.sail.results import (
    EQUAL,
    JUDGED,
    KNOWN,
    NO_MESSAGE,
    EngineAgreement,
    Result,
    are_close,
    comparable,
    error_line,
    result_of_frame,
    worse,
)
from caudal.engine.sail.sail_constants import compared_with_constants
from caudal.engine.sail.sail_rows import (
    SailRows,
    columns_of_case,
    computed,
    described_input,
    relation_of,
    rows_of_frame,
    shown_value,
    type_text,
)
from caudal.engine.sail.sql import parse_expression

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

BATCH = 40
RAISING = 12
"""Number of raising rows of a case of several columns that are tried one by one; of one column, each value is."""
FEW = 150
"""Number of different inputs up to which five times as many queries are made."""
ZEROS = {(0.0).hex(), (-0.0).hex()}
GOING_ON = ("equal", "raises", "order", "digits")
"""Verdicts that a further way of computing may make worse."""
SPLITS = 40
"""Number of queries that look for the rows for which Sail raises."""


@contextmanager
def sail_session() -> Iterator[SparkSession]:
    """Run Sail's server in this process, with a session that is set as caudal's sessions are."""
    from pysail.spark import SparkConnectServer
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession as Session

    logging.getLogger("pyspark.sql.connect.logging").setLevel(logging.CRITICAL)
    os.environ["SAIL_SPARK__SESSION_TIMEOUT_SECS"] = str(IDLE_S)
    server = SparkConnectServer(port=0)
    server.start(background=True)
    session: Any = Session.builder.remote(f"sc://127.0.0.1:{server.listening_address[1]}").getOrCreate()
    # A function that ends a thread of Sail would be tried again for ten minutes.
    session.client.set_retry_policies([DefaultPolicy(max_retries=0)])
    session.conf.set("spark.sql.session.timeZone", "UTC")
    session.conf.set("spark.sql.ansi.enabled", "true")
    try:
        yield session
    finally:
        session.stop()
        server.stop()


Query = Callable[[Sequence[Any], Collection[int] | None], Any]


def compared(sail: SailRows, cases: Sequence[Case], references: Sequence[Result]) -> Iterator[dict[int, EngineAgreement]]:
    """Yield what the comparison says of the cases, some at a time, by their place; those that Spark refuses are left out."""
    by_form: dict[str, list[int]] = {}
    for place, reference in enumerate(references):
        if not reference.refused:
            by_form.setdefault(cases[place].form, []).append(place)
    for form, places in by_form.items():
        for start in range(0, len(places), BATCH):
            some = places[start : start + BATCH]
            if form == "query":
                yield {place: _whole(sail, cases[place], references[place]) for place in some}
            else:
                yield _batch(sail, form, cases, references, some)


def _whole(sail: SailRows, case: Case, reference: Result) -> EngineAgreement:
    try:
        result = result_of_frame(case.sql, queries()[case.sql].run(sail.session.table("t")))
    except Exception as error:
        return EngineAgreement("unsupported", reason=error_line(error))
    if result.type != reference.type:
        return EngineAgreement("different", reason=f"Spark's columns are {reference.type}, Sail's {result.type}"[:600])
    for row, value in reference.values.items():
        if result.values.get(row) != value:
            return EngineAgreement("different", (case.sql, shown_value(value), shown_value(result.values.get(row))))
    if len(result.values) != len(reference.values):
        return EngineAgreement("different", reason=f"Spark gives {len(reference.values)} rows, Sail {len(result.values)}")
    return EQUAL


def _batch(
    sail: SailRows, form: str, cases: Sequence[Case], references: Sequence[Result], places: Sequence[int]
) -> dict[int, EngineAgreement]:
    found: dict[int, EngineAgreement] = {}
    messages: dict[int, pb.Expression] = {}
    for place in places:
        try:
            messages[place] = to_message(parse_expression(cases[place].for_sail))
        except NotExpressible as error:
            found[place] = EngineAgreement("unsupported", reason=f"{NO_MESSAGE}: {error_line(error)}")
    ways: list[tuple[dict[int, Any], Query, bool]] = [
        ({place: cases[place].for_sail for place in messages}, partial(sail.by_sql, form), True),
        (messages, partial(sail.by_message, form), False),
    ]
    for expressions, query, tries_raising in ways:
        open_places = [place for place in messages if found.get(place, EQUAL).status in GOING_ON]
        calm = [place for place in open_places if not references[place].raised]
        verdicts = _together(sail, query, cases, references, expressions, calm)
        for place in open_places:
            if references[place].raised:
                reference = references[place] if tries_raising else replace(references[place], tried=False)
                verdicts[place] = _single(sail, query, cases[place], reference, expressions[place])
        found |= {place: worse(found.get(place, EQUAL), verdict) for place, verdict in verdicts.items()}
    if form == "scalar":
        going_on = [place for place in messages if found[place].status in GOING_ON and not cases[place].instead]
        for place, verdict in compared_with_constants(sail, cases, references, going_on):
            found[place] = worse(found[place], verdict)
    return found


def _together(
    sail: SailRows,
    query: Query,
    cases: Sequence[Case],
    references: Sequence[Result],
    expressions: dict[int, Any],
    places: Sequence[int],
) -> dict[int, EngineAgreement]:
    if not places:
        return {}
    try:
        table, types = computed(query([expressions[place] for place in places], None))
    except Exception:
        if len(places) == 1:
            return {places[0]: _single(sail, query, cases[places[0]], references[places[0]], expressions[places[0]])}
        half = len(places) // 2
        first = _together(sail, query, cases, references, expressions, places[:half])
        return first | _together(sail, query, cases, references, expressions, places[half:])
    keys = table.column(0).to_pylist()
    found = {}
    for column, place in enumerate(places):
        values = dict(zip(keys, comparable(table.column(column + 1)), strict=True))
        found[place] = _compare(sail, cases[place], references[place], types[column], values)
    return found


def _single(sail: SailRows, query: Query, case: Case, reference: Result, expression: Any) -> EngineAgreement:
    raised, known = reference.raised, sail.raising.get(case.sql, {})
    frame = query([expression], [row for row in reference.values if row not in known] if raised or known else None)
    try:
        table, (kind,) = computed(frame)
    except Exception as error:
        try:
            kind = type_text(frame.schema.fields[1].dataType)
        except Exception as refusal:
            return EngineAgreement("unsupported", reason=error_line(refusal))
        return _where_sail_raises(sail, query, case, reference, expression, kind, error)
    values = dict(zip(table.column(0).to_pylist(), comparable(table.column(1)), strict=True))
    rest = Result(reference.type, {row: value for row, value in reference.values.items() if row not in known})
    return _raising(sail, query, case, reference, expression, _compare(sail, case, rest, kind, values))


def _raising(
    sail: SailRows, query: Query, case: Case, reference: Result, expression: Any, verdict: EngineAgreement
) -> EngineAgreement:
    """Return the verdict when the rows for which Spark raises are tried, too."""
    if verdict.status not in GOING_ON or not reference.tried:
        return verdict
    inputs = {described_input(sail, case, row): row for row in reference.raised}
    rows = list(inputs.values())
    several = case.form != "scalar" or len(columns_of_case(sail, case)) > 1
    step = max(1, len(rows) // RAISING) if several else 1
    for row in rows[::step]:
        try:
            value = rows_of_frame(query([expression], [row])).column(1).to_pylist()
        except Exception:  # noqa: S112
            continue
        example = described_input(sail, case, row), f"error: {reference.raised[row]}", shown_value(value[0] if value else None)
        if case.instead and case.head == "sum":
            # Whether a sum overflows on its way to one that does not depends on the order of the rows.
            return worse(verdict, EngineAgreement("order", example))
        return EngineAgreement("different", example)
    return verdict


def _where_sail_raises(
    sail: SailRows, query: Query, case: Case, reference: Result, expression: Any, kind: str, error: Exception
) -> EngineAgreement:
    message = error_line(error)
    if kind != reference.type:
        return _compare(sail, case, reference, kind, {})
    if case.form == "window" or not reference.values:
        return EngineAgreement("unsupported", reason=message)
    inputs = {row: described_input(sail, case, row) for row in reference.values}
    rows = list({given: row for row, given in reversed(inputs.items())}.values())  # one for each input
    most = SPLITS if len(rows) > FEW else 5 * SPLITS
    values: dict[int, Hashable] = {}
    raising: dict[int, str] = {}
    tried = 0
    # Inputs that raise in one case of a construct mostly do so in the next.
    likely = [row for row in sail.raising.get(case.head, {}) if row in rows]
    pending = [[row for row in rows if row not in likely], *([row] for row in likely)]
    while pending:
        some = pending.pop()
        if not some:
            continue
        tried += 1
        if tried > most:
            return EngineAgreement("unsupported", reason=message)
        try:
            table = rows_of_frame(query([expression], some))
            values |= dict(zip(table.column(0).to_pylist(), comparable(table.column(1)), strict=True))
        except Exception as inner:
            if len(some) == 1:
                raising[some[0]] = error_line(inner)
            else:
                pending += [some[len(some) // 2 :], some[: len(some) // 2]]
    if len(values) < len(rows) // 4:
        return EngineAgreement("unsupported", reason=message)
    refused = {inputs[row] for row in raising}
    sail.raising[case.head] = raising
    sail.raising[case.sql] = {row: "" for row, given in inputs.items() if given in refused}
    rest = Result(reference.type, {row: value for row, value in reference.values.items() if row in values})
    verdict = _compare(sail, case, rest, kind, values)
    if verdict.status not in GOING_ON:
        return verdict
    if verdict != EQUAL or not raising:
        return _raising(sail, query, case, reference, expression, verdict)
    row = next(iter(raising))
    example = described_input(sail, case, row), shown_value(reference.values[row]), f"error: {raising[row]}"
    return _raising(sail, query, case, reference, expression, EngineAgreement("raises", example))


def _compare(sail: SailRows, case: Case, reference: Result, kind: str, values: dict[int, Hashable]) -> EngineAgreement:
    if kind != reference.type:
        return EngineAgreement("different", reason=f"Spark's result is {reference.type}, Sail's {kind}")
    digits = order = None
    for row, value in reference.values.items():
        if row not in values or values[row] != value:
            example = described_input(sail, case, row), shown_value(value), shown_value(values.get(row))
            if kind not in ('"double"', '"float"') or not are_close(value, values.get(row)):
                return EngineAgreement("different", example)
            if {value, values.get(row)} == ZEROS and case.head in ("min", "max"):
                order = EngineAgreement("order", example)
            else:
                digits = EngineAgreement("digits", example)
    if len(values) != len(reference.values):
        return EngineAgreement("different", reason=f"Spark gives {len(reference.values)} rows, Sail {len(values)}")
    return digits or order or EQUAL


def run_on_sail(folder: Path) -> None:
    """Read the cases and Spark's results in a folder, and write the verdicts there."""
    import pyarrow.parquet as pq

    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"  # pyspark.sql.functions make messages in this process
    cases = pickle.loads((folder / "cases.pickle").read_bytes())  # noqa: S301
    known = pickle.loads((folder / KNOWN).read_bytes())  # noqa: S301
    file = folder / JUDGED
    judged: dict[tuple[str, str, str], EngineAgreement] = pickle.loads(file.read_bytes()) if file.is_file() else {}  # noqa: S301
    lacking = [case for case in cases if case.key not in judged]
    references = [known.get((case.form, case.sql), Result(refused="not computed")) for case in lacking]
    started = time.monotonic()
    with sail_session() as session:
        table = pq.read_table(folder / "rows.parquet")
        sail = SailRows(session, table)
        frame_of_relation(session, relation_of(table)).createOrReplaceTempView("t")
        for number, verdicts in enumerate(compared(sail, lacking, references)):
            judged |= {lacking[place].key: verdict for place, verdict in verdicts.items()}
            if number % 4 == 3:
                put_file(file, pickle.dumps(judged))
                print(f"Sail: {len(judged)} of {len(cases)} after {time.monotonic() - started:.0f} s", flush=True)
    put_file(file, pickle.dumps(judged))


if __name__ == "__main__":
    run_on_sail(Path(sys.argv[1]))
