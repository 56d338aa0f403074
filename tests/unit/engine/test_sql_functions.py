"""The list of Spark's functions by kind, against Spark's own registry."""

from __future__ import annotations

from typing import Any

from caudal.engine.sql_functions import AGGREGATES, BY_ROWS, GENERATORS, SCALARS, WINDOWS


def test_every_function_of_spark_is_in_the_list_of_its_kind(spark: Any) -> None:
    registry = spark.sparkContext._jvm.org.apache.spark.sql.catalyst.analysis.FunctionRegistry.builtin()
    names = registry.listFunction()
    kinds = {}
    for place in range(names.size()):
        name = names.apply(place)
        kinds[name.funcName()] = registry.lookupFunction(name).get().getGroup()
    of = {"agg_funcs": AGGREGATES, "generator_funcs": GENERATORS, "window_funcs": WINDOWS}
    odd = {"json_tuple": GENERATORS, "schema_of_variant_agg": AGGREGATES, **dict.fromkeys(BY_ROWS, BY_ROWS)}
    misplaced = {name: kind for name, kind in kinds.items() if name not in odd.get(name, of.get(kind, SCALARS))}
    assert misplaced == {}
    assert not AGGREGATES & SCALARS
    assert not GENERATORS & SCALARS
    assert not WINDOWS & SCALARS
