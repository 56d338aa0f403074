"""Find the first of the rows with the same key, and frames whose plan proves that a key is unique."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window, functions as F

from caudal.engine.marks import quoted
from caudal.stages.enforce.declared import ComparisonScope
from caudal.stages.enforce.judging.content import TEMPORARY, is_readable, orderable_columns
from caudal.stages.enforce.unique import Unique

if TYPE_CHECKING:
    from py4j.java_gateway import JavaObject
    from pyspark.sql import Column, DataFrame


def mark_repeats(marked: DataFrame, rule: Unique, scope: ComparisonScope, flag: str, bad: str, *, acting: bool) -> DataFrame:
    """Return the frame with ``flag`` true for every row of a key except its first.

    Parameters
    ----------
    bad : str, boolean column: the row is quarantined for another reason, and must not take the place of a good one
    acting : bool, True: repeats become ``bad`` too, because the rule sets rows aside
    """
    readable = is_readable(marked.columns)
    rank = F.when(~readable, 2).when(F.col(bad), 1).otherwise(0)
    window = Window.partitionBy(*_columns((*scope.within, *rule.keys))).orderBy(rank, *rule.order(), *orderable_columns(marked))
    position = f"{TEMPORARY}place"
    numbered = marked.withColumn(position, F.row_number().over(window))
    numbered = numbered.withColumn(flag, (F.col(position) > 1) & readable & _has_complete_key(rule)).drop(position)
    return numbered.withColumn(bad, F.col(bad) | F.col(flag)) if acting else numbered


def is_unique_by_plan(frame: DataFrame, keys: tuple[str, ...]) -> bool:
    """Return whether the frame's plan alone proves that no two rows have the same key."""
    plan = getattr(frame, "_jdf", None)
    if plan is None:  # Spark Connect shows no plan
        return False
    plan = plan.queryExecution().optimizedPlan()
    names = {attribute.exprId().id(): attribute.name() for attribute in _scala_list(plan.output())}
    for key in _scala_list(plan.distinctKeys().toSeq()):
        if all(names.get(column.exprId().id()) in keys for column in _scala_list(key.toSeq())):
            return True
    return False


def _has_complete_key(rule: Unique) -> Column:
    is_complete = F.lit(True)
    for column in _columns(rule.keys) if rule.nulls == "distinct" else ():
        is_complete = is_complete & column.isNotNull()
    return is_complete


def _columns(names: tuple[str, ...]) -> list[Column]:
    return [F.col(quoted(name)) for name in names]


def _scala_list(seq: JavaObject) -> list[JavaObject]:
    """Return a Scala sequence as a list."""
    return [seq.apply(place) for place in range(seq.size())]
