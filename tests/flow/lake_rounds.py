"""One small product, run again and again at a place: ``python lake_rounds.py FOLDER LAKE`` prints what came of it, as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

PRODUCT = """
import caudal as cd
from caudal import expect as ex

READINGS = cd.schema(id=cd.column("long", nullable=False), at=cd.column("timestamp", nullable=False), value=cd.column("double"))
product = cd.Product("meters")
product.source("readings_raw", cd.files("in/*.csv"), schema=READINGS, event_time="at", partition="day", retry=RETRY)


@product.table(event_time="at", partition="day", retry=RETRY,
               expect=[ex.unique("id").quarantine(), ex.between("value", 0, 100).quarantine(max_share=0.5)])
def readings(readings_raw):
    return readings_raw


@product.table(retry=RETRY)
def totals(readings):
    from pyspark.sql import functions as F

    return readings.groupBy(F.to_date("at").alias("day")).agg(F.sum("value").alias("value"), F.count("*").alias("n"))
"""
FIRST = "id,at,value\n1,2024-01-01 08:00:00,1.5\n2,2024-01-01 09:00:00,2.5\n2,2024-01-01 10:00:00,9.0\n3,2024-01-02 08:00:00,999\n4,2024-01-02 09:00:00,4.0\n"
SECOND = "id,at,value\n5,2024-01-02 10:00:00,5.0\n6,2024-01-03 08:00:00,6.0\n"
AFTER_FIRST = [[1, 1.5], [2, 2.5], [4, 4.0]]
AFTER_SECOND = [*AFTER_FIRST, [5, 5.0], [6, 6.0]]


def made(folder: Path, retry: int = 0) -> Path:
    """Return the folder of the product, with its first file."""
    (folder / "in").mkdir(parents=True)
    (folder / "product.py").write_text(PRODUCT.replace("RETRY", str(retry)))
    (folder / "in" / "first.csv").write_text(FIRST)
    return folder


def rows(home: Path, lake: str) -> list[list[Any]]:
    """Return what is published."""
    from caudal.declarations.settings import settings
    from caudal.runtime.opening import open_home
    from caudal.storage import delta
    from caudal.tables.frames import arrow

    there = open_home(settings(environment={}, home=home, lake=lake))
    found = arrow(delta.read_version(there.table("meters", "readings")), ["id", "value"])
    return sorted([row["id"], row["value"]] for row in found.to_pylist())


def rounds(folder: Path, lake: str) -> dict[str, Any]:
    """Run, run again, run with a new file, and look at what there is by every command that looks at a lake."""
    from caudal.batch.batch import run
    from caudal.commands.export import export
    from caudal.commands.quarantine import count_quarantined, show
    from caudal.commands.status import home_status
    from caudal.declarations.settings import settings

    product, home = made(folder / "product"), folder / "home"
    set_to = settings(environment={}, home=home, lake=lake, cores=2, memory="1g")
    first = run(product, set_to)
    said: dict[str, Any] = {"first": first.document["state"], "after_first": rows(home, lake)}
    said["again"] = run(product, set_to).document["state"]
    (product / "in" / "second.csv").write_text(SECOND)
    second = run(product, set_to)
    said["days"] = {name: one["partitions_written"] for name, one in second.document["tables"].items()}
    said["after_second"] = rows(home, lake)
    export(set_to, "totals", folder / "totals.csv")
    said["totals"] = sorted((folder / "totals.csv").read_text().splitlines()[1:])
    export(set_to, "readings", folder / "old.parquet", run_id=first.document["run_id"])
    said["quarantine"] = {one["reason"]: one["rows"] for one in count_quarantined(set_to)}
    said["shown"] = len(show(set_to, "readings"))
    said["status"] = {one["table"]: [one["rows"], one["quarantined"]] for one in home_status(set_to)["products"][0]["tables"]}
    return said


def main() -> None:
    """Do it and say what came of it."""
    print(json.dumps(rounds(Path(sys.argv[1]), sys.argv[2])))


if __name__ == "__main__":
    main()
