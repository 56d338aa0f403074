"""Find the tables that a SQL query reads."""

from __future__ import annotations

from caudal.declarations.location import Location
from caudal.errors import DeclarationProblem


def inputs_of_sql(query: str, name: str, where: Location | None = None) -> tuple[str, ...]:
    """Return the tables that a Spark SQL query reads, in order of appearance, without its CTEs.

    Examples
    --------
    >>> inputs_of_sql("WITH a AS (SELECT * FROM trips) SELECT * FROM a JOIN zones USING (id)", "t")
    ('trips', 'zones')
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.scope import traverse_scope

    try:
        tree = sqlglot.parse_one(query, dialect="spark")
        tables = [
            source.name for scope in traverse_scope(tree) for source in scope.sources.values() if isinstance(source, exp.Table)
        ]
    except SqlglotError as error:
        raise DeclarationProblem(
            f"The SQL of table '{name}' cannot be read: {str(error).splitlines()[0]}",
            where=str(where) if where else None,
            table=name,
        ) from None
    return tuple(dict.fromkeys(tables))
