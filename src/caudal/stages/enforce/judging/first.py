"""Of rows with one key, which is the first; and where the plan itself shows that there is but one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from caudal.stages.enforce.declared import Among
from caudal.stages.enforce.judging.content import OWN, content, readable
from caudal.stages.enforce.unique import Unique

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def placed(marked: DataFrame, one: Unique, among: Among, flag: str, bad: str, *, acting: bool) -> DataFrame:
    """Return the frame with ``flag`` true for every row of a key but its first.

    Parameters
    ----------
    bad : str, boolean column: the row is quarantined for another reason, and must not take the place of a good one
    acting : bool, True: repeats become ``bad`` themselves
    """
    from pyspark.sql import Window, functions as F

    rank = F.when(~readable(marked), 2).when(F.col(bad), 1).otherwise(0)
    line = Window.partitionBy(*_columns((*among.within, *one.keys))).orderBy(rank, *one.order(), *content(marked))
    place = f"{OWN}place"
    told = marked.withColumn(place, F.row_number().over(line))
    told = told.withColumn(flag, (F.col(place) > 1) & readable(marked) & _complete(one)).drop(place)
    return told.withColumn(bad, F.col(bad) | F.col(flag)) if acting else told


def proven(frame: DataFrame, keys: tuple[str, ...]) -> bool:
    """Tell whether the frame's plan shows by itself that no two rows have the same key."""
    plan = getattr(frame, "_jdf", None)
    if plan is None:  # Spark Connect shows no plan
        return False
    plan = plan.queryExecution().optimizedPlan()
    names = {attribute.exprId().id(): attribute.name() for attribute in _listed(plan.output())}
    for distinct in _listed(plan.distinctKeys().toSeq()):
        if all(names.get(column.exprId().id()) in keys for column in _listed(distinct.toSeq())):
            return True
    return False


def _complete(one: Unique) -> Column:
    from pyspark.sql import functions as F

    complete = F.lit(True)
    for column in _columns(one.keys) if one.nulls == "distinct" else ():
        complete = complete & column.isNotNull()
    return complete


def _columns(names: tuple[str, ...]) -> list[Column]:
    from pyspark.sql import functions as F

    from caudal.engine.marks import quoted

    return [F.col(quoted(name)) for name in names]


def _listed(seq: Any) -> list[Any]:
    """Return a Scala sequence as a list."""
    return [seq.apply(place) for place in range(seq.size())]
