"""Watermarks that a database compares as text: correct only if all are written in the same form, which is checked before rows are read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
from sqlalchemy import text

from caudal.declarations.database import Database
from caudal.errors import SourceProblem
from caudal.stages.ingest.sql.columns import SourceColumn, relation

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:([ T])\d\d:\d\d(:\d\d)?(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?)?")
FIX = 'Name a column of times, dates or numbers; or convert it in a query: query="SELECT …, CAST(… AS …) AS … FROM …".'


@dataclass(frozen=True)
class WatermarkForm:
    """The form in which the watermarks of a column are written.

    Parameters
    ----------
    shape : str, a pattern of LIKE with digits as underscores; without the fraction where one may follow
    fraction : bool, whether a fraction may follow the shape
    """

    shape: str
    fraction: bool

    def condition(self, column: str) -> str:
        """Return the SQL condition that text has this form, with any digits."""
        shape = self.shape.replace(":", "\\:")  # a colon begins a parameter of SQLAlchemy's
        has_shape = f"{column} LIKE '{shape}'"
        if not self.fraction:
            return has_shape
        return f"({has_shape} OR ({column} LIKE '{shape}.%' AND {column} NOT LIKE '%Z' AND {column} NOT LIKE '{shape}%+%'))"

    def format_moment(self, moment: date) -> str:
        """Return a time or a date in this form, truncated so that no row is left out."""
        text = moment.strftime("%Y%m%d%H%M%S%f") if isinstance(moment, datetime) else moment.strftime("%Y%m%d")
        digits = iter(text.rjust(20 if isinstance(moment, datetime) else 8, "0").ljust(24, "0"))
        return "".join(next(digits) if mark == "_" else mark for mark in self.shape)


def form_of(text: str) -> WatermarkForm | None:
    """Return the form of a watermark: an ISO time or date, or digits; None for other texts.

    Examples
    --------
    >>> form_of("2024-01-01 10:00:00"), form_of("2024-01-01T10:00:00.5Z").shape, form_of("007").shape, form_of("v9")
    (WatermarkForm(shape='____-__-__ __:__:__', fraction=True), '____-__-__T__:__:__._Z', '___', None)
    """
    if text.isascii() and text.isdigit():
        return WatermarkForm("_" * len(text), False)
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    _, seconds, fraction, zone = match.groups()
    varies = seconds is not None and zone is None
    plain = text[: match.start(3)] if fraction and varies else text
    # All must have the same zone, or the order of texts would not be that of times.
    clock, offset = (plain[: match.start(4)], zone) if zone else (plain, "")
    return WatermarkForm(re.sub(r"\d", "_", clock) + offset, varies)


def step_back(text: str, overlap: float) -> str:
    """Return the watermark that lies an overlap before another, in the same form.

    Examples
    --------
    >>> step_back("2024-01-01 10:00:00", 600), step_back("2024-01-01", 3600), step_back("0100", 3), step_back("0001", 3)
    ('2024-01-01 09:50:00', '2023-12-31', '0097', '0000')
    """
    form = form_of(text)
    if form is None or not overlap:
        return text
    if text.isdigit():
        return str(max(0, int(text) - int(-(-overlap // 1)))).zfill(len(text))
    if len(text) == 10:
        return (date.fromisoformat(text) - timedelta(days=-(-overlap // 86400))).isoformat()
    moment = datetime.fromisoformat(text)
    return form.format_moment(moment - timedelta(seconds=overlap))


def check_watermarks(connection: Connection, source: Database, columns: Sequence[SourceColumn]) -> WatermarkForm | None:
    """Return the form of a watermark that is compared as text, None where it is not text.

    Raises
    ------
    SourceProblem : two watermarks differ in form, or one is not a time, date or number: as text, '10' comes before '9'
    """
    column = next((candidate for candidate in columns if candidate.name == source.watermark), None)
    if column is None or not _as_text(connection, column):
        return None
    rows = relation(connection, source)
    greatest = connection.execute(text(f"SELECT max({column.sql}) FROM {rows}")).scalar_one()  # noqa: S608
    if not isinstance(greatest, str):
        return None
    form = form_of(greatest)
    if form is None:
        raise unordered_text_problem(source, f"and {greatest!r} is no time and no number of fixed width")
    has_form = form.condition(column.sql)
    different = connection.execute(text(f"SELECT max({column.sql}) FROM {rows} WHERE NOT {has_form}")).scalar_one()  # noqa: S608
    if different is not None:
        raise unordered_text_problem(source, f"and {different!r} is not written as {greatest!r} is")
    return form


def _as_text(connection: Connection, column: SourceColumn) -> bool:
    if connection.dialect.name == "sqlite":  # SQLite keeps times as text
        return column.type is None or pa.types.is_string(column.type) or pa.types.is_temporal(column.type)
    return column.type is not None and pa.types.is_string(column.type)


def unordered_text_problem(source: Database, reason: str) -> SourceProblem:
    """Return the problem of a watermark whose texts have another order than their values."""
    return SourceProblem(
        f"'{source.what}' at {source.address!r} has the watermark '{source.watermark}', which is compared as text, {reason}:"
        " rows that come later would be left out.",
        fix=FIX,
        column=source.watermark,
    )
