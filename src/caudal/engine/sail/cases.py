"""What is compared: expressions over the rows of `caudal.engine.sail.values`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caudal.engine.sail.expressions import ColumnName, Expression, Over, Renamed
from caudal.engine.sail.queries import queries
from caudal.engine.sail.signature import Construct, constructs_of
from caudal.engine.sail.sql import parse_expression
from caudal.engine.sail.values import TYPES


@dataclass(frozen=True)
class Case:
    """One expression to be computed by both engines.

    Attributes
    ----------
    sql : str, over the columns of the rows
    form : str, ``scalar`` (a value for each row), ``aggregate`` (a value for each group), ``window`` (a value for each row from others) or
        ``query`` (``sql`` names one of `caudal.engine.sail.queries.QUERIES`)
    of : Construct, what the case compares if it is not the outermost construct of its expression
    instead : str, what Sail computes in its place
    template : str, ``instead`` with ``{0}``, ``{1}`` … for the arguments
    """

    sql: str
    form: str = "scalar"
    of: Construct | None = None
    instead: str = ""
    template: str = ""

    def query(self, expressions: Sequence[str], where: str = "") -> str:
        """Return the query that computes expressions of this form; its first column is the row's or the group's number."""
        named = ", ".join(f"{sql} AS r{place}" for place, sql in enumerate(expressions))
        condition = f" WHERE {where}" if where else ""
        key, end = ("g", " GROUP BY g") if self.form == "aggregate" else ("id", "")
        return f"SELECT {key}, {named} FROM t{condition}{end}"  # noqa: S608

    @property
    def constructs(self) -> tuple[Construct, ...]:
        """Everything that the case compares."""
        return queries()[self.sql].constructs if self.form == "query" else (self.construct,)

    @property
    def head(self) -> str:
        """The name of the case's construct."""
        return self.construct.name

    @property
    def construct(self) -> Construct:
        """What the case compares: by default the outermost construct of its expression."""
        return self.of or constructs_of(self.expression, column_class)[-1]

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others."""
        return self.form, self.sql, self.instead

    @property
    def for_sail(self) -> str:
        """What Sail computes."""
        return self.instead or self.sql

    @property
    def expression(self) -> Expression:
        """The case as a tree."""
        return parse_expression(self.sql)


def column_class(expression: Expression) -> str:
    """Return the class of a column of the rows by its name."""
    match expression:
        case ColumnName(parts=(name,)):
            return {"id": "int", "g": "int", "o": "int"}.get(name) or TYPES[name.split("_", 1)[1]][0]
        case Renamed(argument=argument):
            return column_class(argument)
        case Over():
            return "unknown"
    return "unknown"
