"""Of rows with one key, which is the first, and which repeat it.

Shuffling whole rows to bring equal keys together would cost more than writing them. So the keys are looked at beforehand: 64-bit
hashes of the key columns alone are collected and sorted, which takes a tenth of the time of the write (5 million rows: 1.4 s of
processor time; a Spark aggregation takes 5.8 s). Rows whose hash comes twice, usually few, are written apart, and compared exactly
when all others lie where they belong. Where the plan itself proves the key (it groups by it), nothing is done. A frame that is dear
or not sure to give the same rows twice (it shuffles, samples, runs Python, reads a database) is not looked at beforehand: its rows
are compared in one pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from caudal.stages.expect.audit.content import OWN, content, readable
from caudal.stages.expect.declared import Among
from caudal.stages.expect.unique import Unique

if TYPE_CHECKING:
    import numpy as np
    from pyspark.sql import Column, DataFrame

    Hashes = np.ndarray[Any, Any]  # int64, none twice

COLLECTED_BYTES = 16 << 30  # an input up to this size has its hashes sorted in this process; a larger one, by Spark
FEW = 2_000_000  # so many repeated hashes are sent to every task; with more, all rows are compared
_SCAN = re.compile(r"(FileScan|LocalTableScan|Range|Scan OneRowRelation)\b")
_DEAR = re.compile(r"(?<!Broadcast)Exchange\b|EvalPython|MapIn|Window|Sample|Limit|ExistingRDD|\bScan\b")


def repeats(frame: DataFrame, uniques: Sequence[Unique], among: Among) -> dict[str, Hashes] | None:
    """Return the hashes of repeated keys of each expectation that has some; None where rows have to be compared in one pass."""
    unknown = [one for one in uniques if not proven(frame, one.keys)]
    if not unknown:
        return {}
    if not repeatable(frame):
        return None
    found = {one.name: repeated_hashes(frame, one, among) for one in unknown}
    return None if any(len(hashes) > FEW for hashes in found.values()) else {name: one for name, one in found.items() if len(one)}


def waiting(marked: DataFrame, uniques: Sequence[Unique], found: Mapping[str, Hashes], among: Among, flag: str) -> DataFrame:
    """Return the frame with ``flag`` true for rows whose key is repeated, as far as its hash tells."""
    import pyarrow as pa
    from pyspark.sql import functions as F

    waits = F.lit(False)
    for i, one in enumerate(one for one in uniques if one.name in found):
        key, hit = f"{flag}_key{i}", f"{flag}_hit{i}"
        table = pa.table({key: pa.array(found[one.name], pa.int64())})
        hashes = marked.sparkSession.createDataFrame(table).withColumn(hit, F.lit(True))
        marked = marked.join(F.broadcast(hashes), _hash(one, among) == F.col(key), "left").drop(key)
        waits = waits | F.col(hit).isNotNull()
    kept = [name for name in marked.columns if not name.startswith(f"{flag}_hit")]
    return marked.select(*_columns(tuple(kept)), (waits & readable(marked)).alias(flag))


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


def repeatable(frame: DataFrame) -> bool:
    """Tell whether the frame can be computed twice: cheaply, and with the same rows both times."""
    plan = getattr(frame, "_jdf", None)
    if plan is None:
        return False
    execution = plan.queryExecution()
    if not execution.optimizedPlan().deterministic():
        return False
    text = _SCAN.sub("", execution.executedPlan().toString())
    return _DEAR.search(text) is None


def repeated_hashes(frame: DataFrame, one: Unique, among: Among) -> Hashes:
    """Return the hashes that more than one row's key has, int64; none twice."""
    import numpy as np

    hashes = frame.where(readable(frame)).select(_hash(one, among).alias("hash")).where("hash IS NOT NULL")
    size = int(str(frame._jdf.queryExecution().optimizedPlan().stats().sizeInBytes()))
    if size > COLLECTED_BYTES:
        return np.asarray(hashes.groupBy("hash").count().where("count > 1").select("hash").toArrow().column("hash").to_numpy())
    ordered = np.sort(np.asarray(hashes.toArrow().column("hash").to_numpy()))
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _hash(one: Unique, among: Among) -> Column:
    """Return a row's hash of partition and key, null where the key has a null."""
    from pyspark.sql import functions as F

    return F.when(_complete(one), F.xxhash64(*_columns((*among.within, *one.keys))))


def _complete(one: Unique) -> Column:
    from pyspark.sql import functions as F

    complete = F.lit(True)
    for column in _columns(one.keys):
        complete = complete & column.isNotNull()
    return complete


def _columns(names: tuple[str, ...]) -> list[Column]:
    from pyspark.sql import functions as F

    from caudal.spark.marks import quoted

    return [F.col(quoted(name)) for name in names]


def _listed(seq: Any) -> list[Any]:
    """Return a Scala sequence as a list."""
    return [seq.apply(place) for place in range(seq.size())]
