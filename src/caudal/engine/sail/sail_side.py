"""What Sail makes of the cases, held against what JVM Spark made of them. Runs in a process of its own."""

from __future__ import annotations

import json
import logging
import os
import pickle
import re
import sys
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyspark.sql.connect.proto as pb

from caudal.engine.cache import put_file
from caudal.engine.sail.cases import Case
from caudal.engine.sail.engine import IDLE_S
from caudal.engine.sail.expressions import Call, ColumnName, Expression, Literal
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
    without_nullability,
    worse,
)
from caudal.engine.sail.sail_rows import SailRows, relation_of
from caudal.engine.sail.sql import parse_expression

if TYPE_CHECKING:
    import pyarrow as pa
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
CONSTANTS = 3
"""Number of values of each argument that are tried as constants."""
_INTEGRAL = {"tinyint", "smallint", "int", "bigint"}


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
            return EngineAgreement("different", (case.sql, _text(value), _text(result.values.get(row))))
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
        for place, verdict in _with_constants(sail, cases, references, going_on):
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
        table, types = _computed(query([expressions[place] for place in places], None))
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
        table, (kind,) = _computed(frame)
    except Exception as error:
        try:
            kind = _type(frame.schema.fields[1].dataType)
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
    inputs = {_input(sail, case, row): row for row in reference.raised}
    rows = list(inputs.values())
    several = case.form != "scalar" or len(_columns(sail, case)) > 1
    step = max(1, len(rows) // RAISING) if several else 1
    for row in rows[::step]:
        try:
            value = _table(query([expression], [row])).column(1).to_pylist()
        except Exception:  # noqa: S112
            continue
        example = _input(sail, case, row), f"error: {reference.raised[row]}", _text(value[0] if value else None)
        if case.instead and case.head == "sum":
            # Whether a sum overflows on its way to one that does not depends on the order of the rows.
            return worse(verdict, EngineAgreement("order", example))
        return EngineAgreement("different", example)
    return verdict


def _columns(sail: SailRows, case: Case) -> list[str]:
    return [name for name in sail.table.column_names if re.search(rf"\b{name}\b", case.sql)]


def _where_sail_raises(
    sail: SailRows, query: Query, case: Case, reference: Result, expression: Any, kind: str, error: Exception
) -> EngineAgreement:
    message = error_line(error)
    if kind != reference.type:
        return _compare(sail, case, reference, kind, {})
    if case.form == "window" or not reference.values:
        return EngineAgreement("unsupported", reason=message)
    inputs = {row: _input(sail, case, row) for row in reference.values}
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
            table = _table(query([expression], some))
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
    example = _input(sail, case, row), _text(reference.values[row]), f"error: {raising[row]}"
    return _raising(sail, query, case, reference, expression, EngineAgreement("raises", example))


def _compare(sail: SailRows, case: Case, reference: Result, kind: str, values: dict[int, Hashable]) -> EngineAgreement:
    if kind != reference.type:
        return EngineAgreement("different", reason=f"Spark's result is {reference.type}, Sail's {kind}")
    digits = order = None
    for row, value in reference.values.items():
        if row not in values or values[row] != value:
            example = _input(sail, case, row), _text(value), _text(values.get(row))
            if kind not in ('"double"', '"float"') or not are_close(value, values.get(row)):
                return EngineAgreement("different", example)
            if {value, values.get(row)} == ZEROS and case.head in ("min", "max"):
                order = EngineAgreement("order", example)
            else:
                digits = EngineAgreement("digits", example)
    if len(values) != len(reference.values):
        return EngineAgreement("different", reason=f"Spark gives {len(reference.values)} rows, Sail {len(values)}")
    return digits or order or EQUAL


@dataclass(frozen=True)
class _Variant:
    """A case with a constant in the place of a column, and the rows in which the column has that value."""

    place: int
    message: pb.Expression
    rows: tuple[int, ...]
    shown: str


def _with_constants(
    sail: SailRows, cases: Sequence[Case], references: Sequence[Result], places: Sequence[int]
) -> Iterator[tuple[int, EngineAgreement]]:
    """Compare again with constants in the place of each column: Sail computes them by other code."""
    calm, rest = [], []
    for place in places:
        variants = list(_variants(sail, cases[place], references[place], place))
        if references[place].raised:
            rest += variants[::CONSTANTS]
        else:
            calm += variants
    for start in range(0, len(calm), BATCH):
        yield from _constants_together(sail, cases, references, calm[start : start + BATCH])
    for variant in rest:
        yield from _constants_together(sail, cases, references, [variant])


def _variants(sail: SailRows, case: Case, reference: Result, place: int) -> Iterator[_Variant]:
    expression = case.expression
    if not isinstance(expression, Call):
        return
    for column in dict.fromkeys(argument for argument in expression.arguments if isinstance(argument, ColumnName)):
        name = column.parts[0]
        by_value: dict[str, tuple[Literal, list[int]]] = {}
        for row, values in sail.rows.items():
            constant = _constant(name, values[name])
            if constant is not None and row in reference.values:
                by_value.setdefault(str(constant), (constant, []))[1].append(row)
        for constant, rows in sorted(by_value.values(), key=lambda pair: -len(pair[1]))[:CONSTANTS]:
            try:
                message = to_message(_replaced(expression, column, constant))
            except NotExpressible:
                continue
            yield _Variant(place, message, tuple(rows), f"{name} = {constant.text!r} as a constant")


def _constants_together(
    sail: SailRows, cases: Sequence[Case], references: Sequence[Result], variants: Sequence[_Variant]
) -> Iterator[tuple[int, EngineAgreement]]:
    rows = variants[0].rows if len(variants) == 1 else None
    try:
        table = _table(sail.by_message("scalar", [variant.message for variant in variants], rows))
    except Exception as error:
        if len(variants) > 1:
            half = len(variants) // 2
            yield from _constants_together(sail, cases, references, variants[:half])
            yield from _constants_together(sail, cases, references, variants[half:])
        else:
            (variant,) = variants
            spark = _text(references[variant.place].values[variant.rows[0]])
            yield (
                variant.place,
                EngineAgreement("raises", (f"{cases[variant.place].sql}: {variant.shown}", spark, f"error: {error_line(error)}")),
            )
        return
    keys = table.column(0).to_pylist()
    for column, variant in enumerate(variants, start=1):
        values = dict(zip(keys, comparable(table.column(column)), strict=True))
        reference = references[variant.place]
        for row in variant.rows:
            if values.get(row) != reference.values[row]:
                example = (
                    f"{_input(sail, cases[variant.place], row)}, {variant.shown}",
                    _text(reference.values[row]),
                    _text(values.get(row)),
                )
                yield (
                    variant.place,
                    EngineAgreement("digits" if are_close(reference.values[row], values.get(row)) else "different", example),
                )
                break


def _replaced(call: Call, column: ColumnName, constant: Literal) -> Expression:
    return Call(call.name, tuple(constant if argument == column else argument for argument in call.arguments))


def _constant(name: str, value: Any) -> Literal | None:
    kind = name.split("_", 1)[1]
    if value is None:
        return None
    if kind in _INTEGRAL or kind == "small":
        return Literal("int" if kind == "small" else kind, str(value))
    if kind in ("double", "string"):
        return Literal(kind, value if kind == "string" else repr(value))
    return None


def _computed(frame: Any) -> tuple[pa.Table, list[str]]:
    """Return a frame's rows and the types of its columns but the first."""
    table, schema = frame._to_table()
    return table, [_type(column.dataType) for column in (schema or frame.schema).fields[1:]]


def _table(frame: Any) -> pa.Table:
    """Return a frame's rows; `toArrow` would ask for the types first."""
    return frame._to_table()[0]


def _type(kind: Any) -> str:
    return json.dumps(without_nullability(json.loads(kind.json())), sort_keys=True)


def _input(sail: SailRows, case: Case, row: int) -> str:
    if case.form == "aggregate":
        return f"{case.sql} of group {row}"
    values = sail.rows.get(row, {})
    return f"{case.sql}: " + ", ".join(f"{name} = {_text(values.get(name))}" for name in _columns(sail, case))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            value = value.decode()
    return repr(value)[:160]


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
