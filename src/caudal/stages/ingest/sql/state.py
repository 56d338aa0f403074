"""Query how far a database table has grown, cheaply: its greatest watermark, and the number of rows since the overlap before it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import bindparam, text
from sqlalchemy.exc import SQLAlchemyError

from caudal.declarations.database import Database
from caudal.stages.ingest.sql.columns import quote_name, relation
from caudal.stages.ingest.sql.earlier import overlap_start
from caudal.stages.ingest.sql.engine import open_engine, translate_sqlalchemy_error


def state(source: Database, data: Path | None) -> tuple[object, int] | None:
    """Return the greatest watermark and the number of rows since the overlap before it; None while there is none.

    Raises
    ------
    CaudalError : the database does not answer, or refuses this query
    """
    assert source.watermark is not None
    engine = open_engine(source, data)
    try:
        with engine.connect() as connection:
            column, rows = quote_name(connection, source.watermark), relation(connection, source)
            greatest = connection.execute(text(f"SELECT max({column}) FROM {rows}")).scalar_one()  # noqa: S608
            if greatest is None:
                return None
            late = text(f"SELECT count(*) FROM {rows} WHERE {column} >= :low")  # noqa: S608
            late = late.bindparams(bindparam("low", overlap_start(source, greatest)))
            return greatest, int(connection.execute(late).scalar_one())
    except SQLAlchemyError as error:
        if (problem := translate_sqlalchemy_error(error, source)) is None:
            raise
        raise problem from None
    finally:
        engine.dispose()
