"""A real Hive metastore, of Spark's own jars, is told of tables."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from dataclasses import replace

import pytest

from caudal.batch.batch import run
from caudal.declarations.settings import Settings
from caudal.engine.java import java_home
from caudal.engine.jvm import spark_home
from caudal.errors import EnvironmentProblem, StepFailed
from caudal.warehouses.metastore import MetastoreTable, _client, register_in_metastore

SITE = """<configuration>
<property><name>javax.jdo.option.ConnectionURL</name><value>jdbc:derby:;databaseName={place}/db;create=true</value></property>
<property><name>datanucleus.schema.autoCreateAll</name><value>true</value></property>
<property><name>hive.metastore.schema.verification</name><value>false</value></property>
<property><name>hive.metastore.warehouse.dir</name><value>{place}/warehouse</value></property>
<property><name>hive.async.log.enabled</name><value>false</value></property>
</configuration>"""
OPENED = ("java.lang", "java.net", "java.util", "java.util.concurrent", "java.security")


@pytest.fixture(scope="module")
def metastore(tmp_path_factory):
    """The address of a metastore that answers."""
    place = tmp_path_factory.mktemp("metastore")
    (place / "hive-site.xml").write_text(SITE.format(place=place))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    opened = [f"--add-opens=java.base/{one}=ALL-UNNAMED" for one in OPENED]
    command = [
        java_home().path / "bin" / "java",
        *opened,
        "-Xmx384m",
        "-XX:TieredStopAtLevel=1",
        f"-Dderby.stream.error.file={place}/derby.log",
    ]
    command += ["-cp", f"{place}:{spark_home()}/jars/*", "org.apache.hadoop.hive.metastore.HiveMetaStore", "-p", str(port)]
    with open(place / "log", "wb") as log:
        process = subprocess.Popen([str(one) for one in command], stdout=log, stderr=log, cwd=place, env=dict(os.environ))
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, (place / "log").read_text()[-2000:]
                time.sleep(0.2)
        yield f"thrift://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def seen(jvm, uri, database, table):
    client = _client(jvm, uri)
    try:
        found = client.getTable(database, table)
        columns = [(one.getName(), one.getType(), one.getComment()) for one in found.getSd().getCols()]
        return found.getTableType(), found.getSd().getLocation(), columns, dict(found.getParameters())
    finally:
        client.close()


@pytest.mark.slow
def test_tables_are_known_by_name(metastore, spark, tmp_path):
    jvm = spark.sparkContext._jvm
    columns = (("id", "bigint"), ("Größe", "decimal(9,2)"), ("tags", "array<struct<a:int>>"), ("at", "timestamp"))
    trips = MetastoreTable("Taxi", "Trips", (tmp_path / "lake" / "Trips").as_uri(), columns, "One a trip.", {"id": "Names it."})
    assert register_in_metastore(jvm, metastore, trips) is True
    assert register_in_metastore(jvm, metastore, trips) is False
    kind, location, found, parameters = seen(jvm, metastore, "taxi", "trips")
    assert (kind, parameters["spark.sql.sources.provider"]) == ("EXTERNAL_TABLE", "delta")
    assert location == trips.location.replace("file:///", "file:/")
    assert found[0] == ("id", "bigint", "Names it.")
    assert [one[:2] for one in found] == [(name.lower(), of) for name, of in columns]
    wider = replace(trips, columns=(*columns, ("tip", "double")))
    assert register_in_metastore(jvm, metastore, wider) is True
    assert [one[0] for one in seen(jvm, metastore, "taxi", "trips")[2]][-1] == "tip"
    with pytest.raises(StepFailed, match="has not made"):
        register_in_metastore(jvm, metastore, replace(trips, product="taxi"))


@pytest.mark.slow
def test_a_run_tells_it_once(metastore, spark, tmp_path):
    folder = tmp_path / "lookup"
    folder.mkdir()
    text = 'import caudal as cd\n\nproduct = cd.Product("lookup")\nproduct.source("zones", cd.files("zones.csv"))\n'
    (folder / "product.py").write_text(text)
    (folder / "zones.csv").write_text("zone_id,zone\n1,Harlem\n")
    settings = Settings(home=tmp_path / "home", metastore=metastore)

    def state():
        result = run(folder, settings)
        assert result.error is None, result.error
        return [one["state"] for one in result.document["steps"] if one["step"] == "register:zones"]

    assert state() == ["succeeded"]
    assert seen(spark.sparkContext._jvm, metastore, "lookup", "zones")[1] == f"file:{tmp_path}/home/lake/lookup/zones"
    (folder / "zones.csv").write_text("zone_id,zone\n1,Astoria\n")
    assert state() == ["skipped"]  # its readers find the new version by its log


def test_a_metastore_that_is_away(spark, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(EnvironmentProblem, match="does not answer"):
        register_in_metastore(
            spark.sparkContext._jvm, f"thrift://127.0.0.1:{port}", MetastoreTable("taxi", "trips", tmp_path.as_uri(), ())
        )
