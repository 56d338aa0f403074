"""What the table calls equal is equal for fresh values, too: Sail beside JVM Spark."""

from __future__ import annotations

import os
import random

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from caudal.engine.sail.compare import all_cases
from caudal.engine.sail.fresh import fresh_rows
from caudal.engine.sail.probe import Probe
from caudal.engine.sail.sail_rows import SailRows
from caudal.engine.sail.sail_side import compared, sail_session
from caudal.engine.sail.spark_side import results
from caudal.engine.sail.table import FILE, read_table

SAMPLED = int(os.environ.get("DIFFERENTIAL_ENGINES", "160"))
"""Number of constructs of a test run; `DIFFERENTIAL_ENGINES=9000` compares them all."""


def equal_cases():
    """Return the cases, but for whole queries, whose constructs the table calls equal."""
    table = read_table(FILE)
    equal = {key for key, verdict in table.verdicts.items() if verdict.status == "equal"}
    stand_in = {(key, text) for key, text in table.rewritings.items() if key not in table.fallible | table.unordered}
    return [
        case
        for case in all_cases()
        if case.form != "query"
        and all(
            ((construct.name, construct.key), case.template) in stand_in
            if case.instead
            else (construct.name, construct.key) in equal
            for construct in case.constructs
        )
    ]


@pytest.mark.slow
def test_what_is_equal_is_equal_for_fresh_values(spark, tmp_path):
    cases = equal_cases()

    @settings(max_examples=1, phases=[Phase.generate], deadline=None, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 2**32 - 1))
    def compare(seed):
        chosen = random.Random(seed).sample(cases, min(SAMPLED, len(cases)))
        file = tmp_path / f"{seed}.parquet"
        table = fresh_rows(seed)
        pq.write_table(table, file)
        spark.read.parquet(str(file)).coalesce(1).createOrReplaceTempView("t")
        spark.catalog.cacheTable("t")
        try:
            references = results(spark, Probe(spark), chosen)
        finally:
            spark.catalog.uncacheTable("t")
        differences = []
        with sail_session() as session:
            for verdicts in compared(SailRows(session, table), chosen, references):
                differences += [(chosen[place].sql, verdict) for place, verdict in verdicts.items() if verdict.status != "equal"]
        assert not differences, f"seed {seed}: {differences[:5]}"

    compare()
