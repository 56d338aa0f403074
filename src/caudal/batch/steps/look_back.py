"""How far back a table looks: declared, or found in the plan of its function once, and kept with its versions while its code stays the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

from pyspark.sql.types import StructType, TimestampType

import caudal
from caudal.declarations.node import Table
from caudal.declarations.zone import in_zone
from caudal.engine.capability import Capability
from caudal.engine.protocol import require_capability
from caudal.engine.reach import FrameInput, LookBack, reach
from caudal.extras import has_spark
from caudal.graph.fingerprint import digest
from caudal.runtime.product_tables import ProductTables, mark_event_time
from caudal.runtime.run_spark import RunSpark
from caudal.runtime.table_frame import frame_of
from caudal.storage import delta
from caudal.tables.frames import empty_frame


@dataclass
class KnownLookBack:
    """How far back a table's function looks, as far as it is known for its present code and the columns of its inputs.

    Parameters
    ----------
    inputs : digest of the inputs' columns
    look_back : LookBack, None until it is found
    """

    inputs: str
    look_back: LookBack | None = None

    @classmethod
    def of(cls, tables: ProductTables, table: Table, code: str) -> Self:
        """Return what the newest version keeps, if it was made by this code of inputs with these columns."""
        inputs = digest(*(delta.read_version(tables.folder(name)).schema for name in table.inputs))
        number = tables.version(table.name)
        kept = delta.identity(tables.folder(table.name), number).get("look_back") if number is not None else None
        if kept is None or (kept["code"], kept["inputs"], kept["by"]) != (code, inputs, caudal.__version__):
            return cls(inputs)
        return cls(inputs, LookBack(math.inf if kept["seconds"] is None else kept["seconds"], tuple(kept["unbounded"])))

    def document(self, code: str) -> dict[str, Any] | None:
        """Return what a version is to keep; None where nothing is known."""
        if self.look_back is None:
            return None
        seconds = None if math.isinf(self.look_back.seconds) else self.look_back.seconds
        return {
            "code": code, "inputs": self.inputs, "by": caudal.__version__, "seconds": seconds, "unbounded": list(self.look_back.unbounded),
        }  # fmt: skip


def lookback_of(tables: ProductTables, run_spark: RunSpark, table: Table, known: KnownLookBack | None = None) -> LookBack:
    """Return how far a table looks back: the declared lookback or that of its function, whichever is longer.

    Parameters
    ----------
    known : what is known of the function; it receives what is found
    """
    own_reach = known.look_back if known is not None else None
    if own_reach is None:
        own_reach = _lookback_of_function(tables, run_spark, table)
        if known is not None:
            known.look_back = own_reach
    return own_reach if own_reach.seconds >= table.lookback_s else LookBack(table.lookback_s)


def _lookback_of_function(tables: ProductTables, run_spark: RunSpark, table: Table) -> LookBack:
    """Return how far a function or query looks back, by Spark's plan of it for empty frames."""
    if table.function is None and table.sql is None:
        return LookBack()
    last = run_spark.engines[-1]
    if table.sql is not None and run_spark.engine is not last:  # Spark can tell; another engine, which cannot, makes all days
        if not has_spark():
            require_capability(run_spark.engine, Capability.ANALYSED_PLAN, f"How far back the query of table '{table.name}' looks")
        with run_spark.on(last):
            return _lookback_of_plan(tables, run_spark, table)
    return _lookback_of_plan(tables, run_spark, table)


def _lookback_of_plan(tables: ProductTables, run_spark: RunSpark, table: Table) -> LookBack:
    frames, inputs = {}, {}
    for name in table.inputs:
        fields = [
            field
            for field in StructType.fromJson(dict(delta.read_version(tables.folder(name)).schema)).fields
            if field.name != delta.DAY
        ]
        node = tables.product.nodes[name]
        frames[name] = mark_event_time(empty_frame(run_spark.session, StructType(fields)), node).alias(name)
        kinds = {field.name: field.dataType for field in fields}
        time = node.event_time if node.partition else None
        inputs[name] = FrameInput(tuple(kinds), time, time is not None and isinstance(kinds.get(time), TimestampType))
    frame = frame_of(tables.product, run_spark.session, table, frames)
    with in_zone(tables.product.tz):
        return reach(frame, inputs, declared=table.lookback_s > 0)
