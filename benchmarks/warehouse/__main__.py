"""Rows into PostgreSQL: ``python -m benchmarks.warehouse --rows 1000000 --rounds 3``.

Each way loads the same rows into a new table of the same server, in turn, and each checks that all of them are there. ``raw COPY`` sends CSV that is
made beforehand, so it is what the server alone can take. Index, key and comments are made by no way but caudal's second one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.csv as pc
import pyarrow.parquet as pq
from tests.lakes import write
from tests.postgres import server

from benchmarks.etl.data import write as trips
from caudal.storage import delta
from caudal.warehouses.connect import connected
from caudal.warehouses.swap import publish_table
from caudal.warehouses.target import Target, warehouse_columns


def by_copy(url: str, csv: bytes, version: delta.Version) -> None:
    """Send CSV that is there already."""
    columns = ", ".join(f'"{one.name}" {one.type}' for one in warehouse_columns(version, None, {}, "") if one.name != delta.DAY)
    with psycopg.connect(url) as connection:
        connection.execute(f"CREATE TABLE by_copy ({columns})")
        with connection.cursor() as cursor, cursor.copy("COPY by_copy FROM STDIN (FORMAT csv)") as copy:
            for start in range(0, len(csv), 1 << 20):
                copy.write(csv[start : start + (1 << 20)])


def by_caudal(url: str, version: delta.Version, table: str, key: tuple[str, ...] = ()) -> None:
    """Publish as a run does, from the lake's files."""
    target = Target(
        "public", table, warehouse_columns(version, None, {}, table), key, day=delta.DAY if version.partitioned else None
    )
    with connected(url, "UTC") as connection:
        publish_table(connection, target, version, "bench", table, "run")


def by_pandas(url: str, table: pa.Table) -> None:
    """Insert by pandas with SQLAlchemy, many rows a statement."""
    from sqlalchemy import create_engine

    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    table.to_pandas().to_sql("by_pandas", engine, index=False, chunksize=10_000)
    engine.dispose()


def by_spark(file: Path, url: str) -> float:
    """Write by Spark's JDBC writer; its start is not counted. Returns its seconds."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("jdbc.py")), str(file), url], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return float(done.stdout.split()[-1])


def data(place: Path, rows: int) -> pa.Table:
    """Return trips with a number each, without columns of no type."""
    trips(place / "trips", rows, months=12)
    table = pa.concat_tables(
        [pq.read_table(one) for one in sorted((place / "trips").glob("*.parquet"))], promote_options="permissive"
    )
    table = table.select([field.name for field in table.schema if not pa.types.is_null(field.type)])
    return table.append_column("id", pa.array(range(table.num_rows)))


def timed(work: object, *args: object) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    work(*args)  # type: ignore[operator]
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="caudal-warehouse-"))
    table = data(place, told.rows)
    version = write(place / "lake", table, "lpep_pickup_datetime")
    day = version.files[len(version.files) // 2].day
    again = compute.equal(compute.strftime(table.column("lpep_pickup_datetime"), format="%Y-%m-%d"), day)
    second = write(place / "lake", table.filter(again), "lpep_pickup_datetime", replace={day})
    third = write(place / "lake", table, "lpep_pickup_datetime")
    out = pa.BufferOutputStream()
    pc.write_csv(table, out, pc.WriteOptions(include_header=False))
    csv = out.getvalue().to_pybytes()
    pq.write_table(table, place / "whole.parquet", row_group_size=100_000)
    rounds = []
    with server(listens=True) as running:
        for number in range(told.rounds):
            with running.database() as one:
                url = one.replace("+psycopg", "")
                took = {
                    "raw COPY": timed(by_copy, url, csv, version),
                    "caudal": timed(by_caudal, url, version, "by_caudal"),
                    "caudal, key and index": timed(by_caudal, url, version, "by_caudal_keyed", ("id",)),
                    "caudal, one day changed": timed(by_caudal, url, second, "by_caudal_keyed", ("id",)),
                    "caudal, every row again": timed(by_caudal, url, third, "by_caudal_keyed", ("id",)),
                    "pandas.to_sql": timed(by_pandas, url, table),
                    "Spark JDBC": by_spark(
                        place / "whole.parquet",
                        f"jdbc:postgresql://127.0.0.1:{running.port}/{url.partition('@/')[2].partition('?')[0]}?user=postgres",
                    ),
                }
                with psycopg.connect(url) as connection:
                    for name in ("by_copy", "by_caudal", "by_caudal_keyed", "by_pandas", "by_jdbc"):
                        found = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
                        assert found == (table.num_rows,), (name, found)
                print(number, {name: round(seconds, 2) for name, seconds in took.items()}, flush=True)
                rounds.append(took)
    shutil.rmtree(place)
    base = {name: statistics.median(one[name] / one["raw COPY"] for one in rounds) for name in rounds[0]}
    print(
        json.dumps(
            {
                "rows": table.num_rows,
                "load": os.getloadavg()[0],
                "times raw COPY": {name: round(one, 2) for name, one in base.items()},
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
