"""What it costs that stored bytes are compared with what was stored: ``python -m benchmarks.storage.checks``.

Each pair is done ``ROUNDS`` times in turn, warm; the least time of each counts, since other work on the machine only adds: processor
time where the work is this process's, else time on the clock.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from caudal.storage.parquet import checked_format
from caudal.tables.intact import sha256_of
from caudal.tables.rows import write_rows

ROWS = 2_000_000
ROUNDS = 7


def least(*works: Callable[[], object], clock: Callable[[], float] = time.process_time) -> list[float]:
    """Return the least time of each of some works, done in turn, seconds."""
    times = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for place, work in enumerate(works):
            began = clock()
            work()
            times[place] = min(times[place], clock() - began)
    return times


def main() -> None:
    """Measure and print."""
    chance = np.random.default_rng(1)
    rows = pa.table(
        {
            "id": np.arange(ROWS),
            "zone": [f"zone {n}" for n in chance.integers(0, 260, ROWS)],
            "fare": np.round(chance.gamma(2, 8, ROWS), 2),
            "distance": chance.gamma(2, 2, ROWS),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.parquet"
        write_rows(rows, file)
        size_mb = file.stat().st_size / 1e6
        read, checked = least(
            lambda: ds.dataset([str(file)], format="parquet").to_table(),
            lambda: ds.dataset([str(file)], format=checked_format()).to_table(),
        )
        print(f"Arrow reads {size_mb:.0f} MB: {read:.3f} s, with checksums {checked:.3f} s: {checked / read - 1:+.1%}")
        (hashed,) = least(lambda: sha256_of(file))
        print(f"sha256 of {size_mb:.0f} MB: {hashed:.3f} s, {size_mb / hashed:,.0f} MB/s ({hashlib.sha256().name})")
        _spark(file, size_mb)


def _spark(file: Path, size_mb: float) -> None:
    from pyspark.sql import functions as F

    from caudal.engine import session, stop

    spark = session(cores=2, memory="2g", app="checks")
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()

    def work(verify: str) -> Callable[[], object]:
        def once() -> object:
            hadoop.set("parquet.page.verify-checksum.enabled", verify)
            return spark.read.parquet(str(file)).agg(F.sum("id"), F.max("zone"), F.sum("fare"), F.sum("distance")).collect()

        return once

    read, checked = least(work("false"), work("true"), clock=time.perf_counter)
    print(f"Spark reads {size_mb:.0f} MB: {read:.3f} s, with checksums {checked:.3f} s: {checked / read - 1:+.1%}")
    stop()


if __name__ == "__main__":
    main()
