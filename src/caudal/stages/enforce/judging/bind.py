"""Whether every expectation finds what it names; before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from caudal.declarations.expectation import Expectation
from caudal.errors import DeclarationProblem, nearest
from caudal.stages.enforce.declared import Declared
from caudal.stages.enforce.judging.content import columns

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def bind(frame: DataFrame, expectations: Sequence[Expectation], others: Mapping[str, DataFrame], table: str) -> list[Declared]:
    """Return the expectations, each of which binds to the frame.

    Raises
    ------
    DeclarationProblem : a column or table is not there, or a column's type makes an expectation meaningless
    """
    found = []
    for expectation in expectations:
        where = str(expectation.where) if expectation.where else None
        if not isinstance(expectation, Declared):
            raise DeclarationProblem(
                f"{expectation.name} is of a kind that is not in caudal.expect.",
                where=where,
                table=table,
                expectation=expectation.name,
            )
        for column in expectation.columns:
            if column not in frame.columns:
                among = columns(frame)
                raise DeclarationProblem(
                    f"{expectation.name} binds to nothing: table '{table}' has no column '{column}'.",
                    nearest=nearest(column, among),
                    fix=f"It has {', '.join(among)}.",
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
        found.append(expectation)
    return found
