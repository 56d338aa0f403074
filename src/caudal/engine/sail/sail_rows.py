"""The rows of the comparison on Sail."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyspark.sql.connect.proto as pb
from pyspark.sql.pandas.types import from_arrow_schema

from caudal.engine.sail.cases import Case
from caudal.engine.sail.frames import frame_of_relation
from caudal.engine.sail.results import without_nullability

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession


class SailRows:
    """Evaluates expressions over the rows, as texts of SQL and as messages.

    Each query gets just the rows and columns that it needs, in memory: of a file, Sail may compute a projection before the filter
    that stands below it, and then raises for rows that are not asked for.
    """

    def __init__(self, session: SparkSession, table: pa.Table) -> None:
        """Hold the rows."""
        self.session = session
        self.table = without_hidden_values(table)
        self.rows = {row["id"]: row for row in table.to_pylist()}
        self.raising: dict[str, dict[int, str]] = {}
        """By the text of a case and by the name of its construct, the rows for which Sail raises and Spark does not."""
        self._whole: dict[frozenset[str], pb.Relation] = {}

    def by_sql(self, form: str, expressions: Sequence[str], keys: Collection[int] | None = None) -> Any:
        """Return the values of texts of SQL by the number of the row or the group; of ``keys`` only, if they are given."""
        relation = pb.Relation()
        relation.with_relations.root.sql.query = Case("", form).query(expressions)
        reference = relation.with_relations.references.add()
        reference.common.plan_id = 1
        reference.subquery_alias.alias = "t"
        reference.subquery_alias.input.CopyFrom(self._input(form, expressions, keys))
        return frame_of_relation(self.session, relation)

    def by_message(self, form: str, messages: Sequence[pb.Expression], keys: Collection[int] | None = None) -> Any:
        """Return the values of messages in the same way."""
        relation = pb.Relation()
        target = relation.aggregate if form == "aggregate" else relation.project
        target.input.CopyFrom(self._input(form, messages, keys))
        key = pb.Expression()
        key.unresolved_attribute.unparsed_identifier = "g" if form == "aggregate" else "id"
        named = []
        for place, message in enumerate(messages):
            renamed = pb.Expression()
            renamed.alias.expr.CopyFrom(message)
            renamed.alias.name.append(f"r{place}")
            named.append(renamed)
        if form == "aggregate":
            relation.aggregate.group_type = relation.aggregate.GROUP_TYPE_GROUPBY
            relation.aggregate.grouping_expressions.append(key)
            relation.aggregate.aggregate_expressions.extend(named)
        else:
            relation.project.expressions.extend([key, *named])
        return frame_of_relation(self.session, relation)

    def _input(self, form: str, expressions: Sequence[Any], keys: Collection[int] | None) -> pb.Relation:
        named = {name for expression in expressions for name in re.findall(r"\b[abc]_\w+\b", str(expression))}
        columns = frozenset(named & {*self.table.column_names})
        if keys is None:
            if columns not in self._whole:
                self._whole[columns] = relation_of(self.table.select(["id", "g", "o", *sorted(columns)]))
            return self._whole[columns]
        key = self.table.column("g" if form == "aggregate" else "id").to_pylist()
        wanted = set(keys)
        kept = [place for place, value in enumerate(key) if value in wanted]
        return relation_of(
            without_hidden_values(self.table.select(["id", "g", "o", *sorted(columns)]).take(pa.array(kept, pa.int64())))
        )


def without_hidden_values(table: pa.Table) -> pa.Table:
    """Return a table whose null structs hold no values, as in files: Arrow's builders put some there, and Sail shows them."""
    for place, field in enumerate(table.schema):
        if pa.types.is_struct(field.type):
            array = table.column(place).combine_chunks()
            valid = array.is_valid()
            parts = [pc.if_else(valid, array.field(i), pa.scalar(None, array.field(i).type)) for i in range(field.type.num_fields)]
            table = table.set_column(
                place, field, pa.StructArray.from_arrays(parts, fields=list(field.type), mask=pc.invert(valid))
            )
    return table


def relation_of(table: pa.Table) -> pb.Relation:
    """Return rows as a relation in memory; without a zone a timestamp stays one without."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    relation = pb.Relation()
    relation.local_relation.data = sink.getvalue().to_pybytes()
    relation.local_relation.schema = from_arrow_schema(table.schema, prefer_timestamp_ntz=True).json()
    return relation


def columns_of_case(sail: SailRows, case: Case) -> list[str]:
    """Return the columns of the rows that a case names."""
    return [name for name in sail.table.column_names if re.search(rf"\b{name}\b", case.sql)]


def computed(frame: Any) -> tuple[pa.Table, list[str]]:
    """Return a frame's rows and the types of its columns but the first."""
    table, schema = frame._to_table()
    return table, [type_text(column.dataType) for column in (schema or frame.schema).fields[1:]]


def rows_of_frame(frame: Any) -> pa.Table:
    """Return a frame's rows; `toArrow` would ask for the types first."""
    return frame._to_table()[0]


def type_text(kind: Any) -> str:
    """Return a type as JSON, without what may be null in it."""
    text: str = json.dumps(without_nullability(json.loads(kind.json())), sort_keys=True)
    return text


def described_input(sail: SailRows, case: Case, row: int) -> str:
    """Return a case with the values that it has in a row, for an example."""
    if case.form == "aggregate":
        return f"{case.sql} of group {row}"
    values = sail.rows.get(row, {})
    return f"{case.sql}: " + ", ".join(f"{name} = {shown_value(values.get(name))}" for name in columns_of_case(sail, case))


def shown_value(value: Any) -> str:
    """Return a value as a text of an example."""
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            value = value.decode()
    return repr(value)[:160]
