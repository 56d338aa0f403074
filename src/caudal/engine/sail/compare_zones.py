"""Compare how Sail and JVM Spark convert times by each zone: ``python -m caudal.engine.sail.compare_zones``, in some minutes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any
from zoneinfo import available_timezones

import numpy as np
import pyarrow as pa
from pyspark.sql import functions as F

from caudal.declarations.zone import clock_changes
from caudal.engine.choice import sail
from caudal.engine.classic import CLASSIC
from caudal.engine.java import java_home
from caudal.engine.protocol import SessionRequest
from caudal.engine.sail.zones import BOUND_S, CONVERSIONS, FILE, clock_rules


def moments(zone: str) -> pa.Table:
    """Return what a zone is compared at, as microseconds since 1970: every change of its clocks from 1840 on, and each fifth day."""
    days = np.arange(-BOUND_S, BOUND_S, 5 * 86_400, dtype="int64")
    changes = [
        at + second
        for change in clock_changes(zone)
        for at in (change.at_s, change.at_s + change.before_s, change.at_s + change.after_s)
        for second in (-1, 0, 1)
        if abs(at + second) < BOUND_S
    ]
    return pa.table({"at": pa.array(np.union1d(days, np.array(changes, dtype="int64")) * 1_000_000)})


def converted(spark: Any, zone: str, at: pa.Table) -> pa.Table:
    """Return the wall times that a zone shows at moments, and the moments at which it shows wall times, by a session of either engine."""
    moment = F.timestamp_micros("at")
    columns = [F.unix_micros(getattr(F, name)(moment, zone)).alias(name) for name in CONVERSIONS]
    table: pa.Table = spark.createDataFrame(at).select("at", *columns).toArrow()
    return table.sort_by("at")


def compare_zones(zones: Iterable[str]) -> list[str]:
    """Return those of the zones that Spark on the bundled Java and Sail convert alike, in two sessions of this process."""
    server = sail()
    request = SessionRequest(cores=1)
    spark = CLASSIC.session(request)
    with server.speaking():
        session = server.session(request)
    alike = []
    for zone in zones:
        at = moments(zone)
        try:
            by_spark = converted(spark, zone, at)
            with server.speaking():
                by_sail = converted(session, zone, at)
        except Exception as error:  # a name that one of them does not have
            print(f"{zone}: {type(error).__name__}")
            continue
        if by_spark.equals(by_sail):
            alike.append(zone)
        else:
            print(f"{zone}: differs")
    server.stop()
    return alike


def write_zones() -> None:
    """Compare all zones, and write the file."""
    os.environ["CAUDAL_JAVA"] = "bundled"
    rules = clock_rules(java_home().runtime / "lib" / "tzdb.dat")
    alike = compare_zones(sorted(available_timezones() & rules.keys()))
    lines = ",\n".join(f" {json.dumps(zone)}: {json.dumps(rules[zone])}" for zone in alike)
    FILE.write_text(f'{{\n"pysail": {json.dumps(version("pysail"))},\n"rules": {{\n{lines}\n}}\n}}\n', encoding="utf-8")
    print(f"{len(alike)} zones are alike. Written to {FILE}.")


if __name__ == "__main__":
    write_zones()
