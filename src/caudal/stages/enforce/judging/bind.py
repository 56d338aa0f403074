"""Check that every table and column that an expectation names exists, before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from caudal.declarations.expectation import Expectation
from caudal.errors import DeclarationProblem, nearest
from caudal.stages.enforce.declared import DeclaredExpectation
from caudal.stages.enforce.judging.content import published_columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def bind_expectations(
    frame: DataFrame, expectations: Sequence[Expectation], others: Mapping[str, DataFrame], table: str
) -> list[DeclaredExpectation]:
    """Return the expectations after checking that each of them binds to the frame.

    Raises
    ------
    DeclarationProblem : a column or table does not exist, or a column's type makes an expectation meaningless
    """
    bound = []
    for expectation in expectations:
        where = str(expectation.where) if expectation.where else None
        if not isinstance(expectation, DeclaredExpectation):
            raise DeclarationProblem(
                f"{expectation.name} is of a kind that is not in caudal.expect.",
                where=where,
                table=table,
                expectation=expectation.name,
            )
        for column in expectation.columns:
            if column not in frame.columns:
                table_columns = published_columns(frame.columns)
                raise DeclarationProblem(
                    f"{expectation.name} binds to nothing: table '{table}' has no column '{column}'.",
                    nearest=nearest(column, table_columns),
                    fix=f"It has {', '.join(table_columns)}.",
                    where=where,
                    table=table,
                    column=column,
                    expectation=expectation.name,
                )
        for other in expectation.tables:
            if other not in others:
                raise DeclarationProblem(
                    f"{expectation.name} binds to nothing: there is no table '{other}'.",
                    nearest=nearest(other, others),
                    where=where,
                    table=table,
                    expectation=expectation.name,
                )
        expectation.fits(frame.schema)
        bound.append(expectation)
    return bound
