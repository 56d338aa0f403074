"""Times are converted by zones on Sail as on Spark, or the table is left to Spark."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from pyspark.sql.connect import functions as F

from caudal.engine.choice import sail as sail_engine
from caudal.engine.java import java_home, spark_java
from caudal.engine.protocol import SessionRequest
from caudal.engine.sail import zones
from caudal.engine.sail.check import prepared
from caudal.engine.sail.compare_zones import CONVERSIONS, converted, moments
from caudal.engine.sail.table import installed_table
from caudal.engine.sail.zones import clock_rules, equal_zones

pytestmark = pytest.mark.usefixtures("bundled_java")


def frame_at(sail, *moments_):
    at = pa.array(
        [dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC) for moment in moments_] + [None], pa.timestamp("us", "UTC")
    )
    return sail.createDataFrame(pa.table({"at": at}))


def test_a_zone_s_clocks_may_be_asked_on_sail(sail):
    frame = frame_at(sail, "2024-03-10T06:59:59", "2024-03-10T07:00:00", "1845-01-01T00:00:00", "2099-07-01T12:00:00")
    other, refused = prepared(frame.select(F.from_utc_timestamp("at", "America/New_York").alias("shown")), falls_back=True)
    assert refused == ()
    assert [row[0] and row[0].isoformat() for row in other.collect()] == [
        "2024-03-10T01:59:59", "2024-03-10T03:00:00", "1844-12-31T19:03:58", "2099-07-01T08:00:00", None,
    ]  # fmt: skip


@pytest.mark.parametrize("moment", ["2100-01-01T00:00:00", "1839-01-01T00:00:00", "0001-01-01T00:00:00"])
def test_years_that_were_not_compared_are_left_to_spark(sail, moment):
    frame = frame_at(sail, moment).select(F.to_utc_timestamp("at", "Europe/Berlin").alias("first"))
    other, refused = prepared(frame, falls_back=True)
    assert refused == ()
    with pytest.raises(Exception, match="is left to Spark"):
        other.collect()


def test_a_zone_that_the_machine_s_java_knows_otherwise_goes_to_spark(sail, monkeypatch):
    rules = dict(clock_rules(java_home().runtime / "lib" / "tzdb.dat"))
    assert {"Europe/Berlin", "America/New_York", "Asia/Tehran"} <= equal_zones("0.7.2") <= rules.keys()
    monkeypatch.setattr(zones, "clock_rules", lambda _: {**rules, "Europe/Berlin": "other"})
    installed_table.cache_clear()
    _, refused = prepared(frame_at(sail).select(F.from_utc_timestamp("at", "Europe/Berlin").alias("shown")), falls_back=True)
    assert [each.name for each in refused] == ["from_utc_timestamp"]
    _, refused = prepared(frame_at(sail).select(F.from_utc_timestamp("at", "America/New_York").alias("shown")), falls_back=True)
    assert refused == ()
    installed_table.cache_clear()


def test_no_other_version_of_sail_is_taken_for_the_one_that_was_compared():
    assert equal_zones("0.7.1") == frozenset()


@pytest.mark.parametrize("content", [b"", b"\x01\x00\x04TZDB\x00", b"\x01\x00\x04ZIPS", b"\x02"])
def test_a_file_of_another_form_has_no_rules(tmp_path, content):
    (tmp_path / "tzdb.dat").write_bytes(content)
    assert clock_rules(tmp_path / "tzdb.dat") == {}
    assert clock_rules(tmp_path / "absent.dat") == {}


@pytest.mark.slow
@pytest.mark.parametrize("zone", ["America/New_York", "Africa/Casablanca", "Australia/Lord_Howe", "Asia/Manila"])
def test_what_was_compared_is_equal(spark, sail_server, zone):
    at = moments(zone)
    by_spark = converted(spark, zone, at)
    with sail_engine().speaking():
        by_sail = converted(sail_engine().session(SessionRequest(cores=2)), zone, at)
    assert by_spark.equals(by_sail)
    assert CONVERSIONS[0] in by_spark.column_names


def test_a_java_beside_no_spark_decides_nothing(monkeypatch):
    monkeypatch.setenv("CAUDAL_JAVA", "")
    monkeypatch.setattr("caudal.engine.java.has_spark", lambda: False)
    monkeypatch.setattr(zones, "clock_rules", lambda _: {})
    installed_table.cache_clear()
    assert spark_java() is None
    assert "Asia/Tehran" in equal_zones("0.7.2")
    table = installed_table()
    assert table is not None
    assert ("cast", "double, string") in table.rewritings
    installed_table.cache_clear()
