"""``caudal inspect`` where there is a metastore, a cluster, a session: real databases and real Spark."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests import zygote
from tests.mariadb import DATABASE, PASSWORD, USER
from tests.postgres import server

from caudal.engine.cluster import Cluster

HERE = Path(__file__).parent
OPTION = "spark.hadoop.javax.jdo.option.Connection"


def facts(document: dict[str, Any], section: str) -> dict[str, Any]:
    (found,) = [each for each in document["sections"] if each["name"] == section]
    return {fact["name"]: fact["value"] for fact in found["facts"]}


def inspected(conf: dict[str, str], connectors: list[str], folder: Path) -> tuple[dict[str, Any], str]:
    """Return the inspections of a session with a metastore, before its first use and afterwards, and all that was printed."""
    conf = {**conf, "spark.sql.warehouse.dir": str(folder / "warehouse")}
    command = [sys.executable, str(HERE / "metastore_session.py"), json.dumps(conf), json.dumps(connectors)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stdout + done.stderr


def check_tables(document: dict[str, Any], folder: Path) -> None:
    catalog = facts(document, "catalog")
    assert {row["database"]: row["tables"] for row in catalog["databases"]} == {"default": 0, "sales": 2}
    assert [row["place"] for row in catalog["databases"]][1] == f"file:{folder}/warehouse/sales.db"
    assert catalog["tables"] == [{"database": "sales", "table": "customers"}, {"database": "sales", "table": "orders"}]
    assert facts(document, "metastore")["warehouse"] == f"file:{folder}/warehouse"


def test_derby(tmp_path: Path) -> None:
    url = f"jdbc:derby:;databaseName={tmp_path / 'db'};create=true"
    documents, _ = inspected({f"{OPTION}URL": url}, [], tmp_path)
    before, metastore = facts(documents["before"], "metastore"), facts(documents["after"], "metastore")
    assert before["database_version"] is None, "a look does not make it"
    assert facts(documents["before"], "catalog") == {"databases": None}
    assert metastore["database"] == "Derby"
    assert metastore["database_version"].startswith("Apache Derby 10.16.1.1")
    assert metastore["schema_version"] is None, "not recorded"
    assert metastore["hive"] == "2.3.10"
    check_tables(documents["after"], tmp_path)
    session, applications = facts(documents["after"], "session"), facts(documents["after"], "applications")
    assert session["spark_version"] == "4.1.1"
    assert session["driver_folder"] == str(tmp_path)
    assert session["driver_program"].endswith("metastore_session.py")
    assert [row["cores"] for row in session["executors"]] == [1]
    assert [{**row, "tasks": 0} for row in applications["executors"]] == [{**row, "tasks": 0} for row in session["executors"]]

    # And by the command, in another process, with Hive's own file.
    (conf := tmp_path / "conf").mkdir()
    properties = {"javax.jdo.option.ConnectionURL": url, "hive.metastore.warehouse.dir": str(tmp_path / "warehouse")}
    lines = (f"<property><name>{name}</name><value>{value}</value></property>" for name, value in properties.items())
    (conf / "hive-site.xml").write_text(f"<configuration>{''.join(lines)}</configuration>")
    command = [sys.executable, "-m", "caudal", "inspect", "--session", "--only", "metastore", "--only", "catalog", "--json"]
    environment = {**os.environ, "SPARK_CONF_DIR": str(conf), "CAUDAL_MEMORY": "1g"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert facts(document, "metastore")["database_version"] == metastore["database_version"]
    check_tables(document, tmp_path)


def test_postgresql(tmp_path: Path) -> None:
    with server(listens=True) as postgres:
        postgres.say("postgres", "CREATE ROLE guarded LOGIN PASSWORD 'Zq7-postgres'")
        postgres.say("postgres", "CREATE DATABASE metastore OWNER guarded")
        conf = {
            f"{OPTION}URL": f"jdbc:postgresql://127.0.0.1:{postgres.port}/metastore", f"{OPTION}DriverName": "org.postgresql.Driver",
            f"{OPTION}UserName": "guarded", f"{OPTION}Password": "Zq7-postgres",
            "spark.hadoop.hive.metastore.schema.verification.record.version": "true",
        }  # fmt: skip
        documents, printed = inspected(conf, ["postgresql"], tmp_path)
    before, metastore = facts(documents["before"], "metastore"), facts(documents["after"], "metastore")
    assert before["database_version"].startswith("PostgreSQL 18")
    assert before["schema_version"] is None
    assert facts(documents["before"], "catalog") == {"databases": None}, "a look does not make Hive's tables"
    assert metastore["database"] == "PostgreSQL"
    assert metastore["database_url"] == conf[f"{OPTION}URL"]
    assert metastore["database_user"] == "guarded"
    assert metastore["schema_version"] == "2.3.0"
    check_tables(documents["after"], tmp_path)
    assert "Zq7" not in printed


def test_mysql(tmp_path: Path, mariadb: str) -> None:
    """With MariaDB in the place of MySQL, as both are addressed; of newer drivers DataNucleus makes wrong statements for Hive's tables."""
    conf = {
        f"{OPTION}URL": f"jdbc:mysql://{mariadb}/{DATABASE}?useSSL=false&user={USER}&password={PASSWORD}", f"{OPTION}DriverName": "com.mysql.jdbc.Driver",
        f"{OPTION}UserName": USER, f"{OPTION}Password": PASSWORD,
    }  # fmt: skip
    documents, printed = inspected(conf, ["mysql:mysql-connector-java:5.1.49"], tmp_path)
    before, metastore = facts(documents["before"], "metastore"), facts(documents["after"], "metastore")
    assert before["schema_version"] is None
    assert metastore["database"] == "MySQL"
    assert "MariaDB" in metastore["database_version"], "what the address calls MySQL may be the other one"
    assert metastore["database_url"] == f"jdbc:mysql://{mariadb}/{DATABASE}?useSSL=false&user={USER}"
    check_tables(documents["after"], tmp_path)
    assert "Zq7" not in printed


def test_a_cluster_of_two_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUDAL_JAVA", "bundled")  # the one with an archive of classes
    with Cluster(tmp_path / "cluster", workers=2, memory="512m") as cluster:
        page = f"http://127.0.0.1:{cluster._ports[1]}"
        command = [sys.executable, "-m", "caudal", "inspect", "--only", "cluster", "--json", "--master"]
        by_page = json.loads(zygote.run([*command, page], capture_output=True, text=True, check=True).stdout)
        by_address = json.loads(zygote.run([*command, cluster.address], capture_output=True, text=True, check=True).stdout)
        script = tmp_path / "caudal_inspect.py"
        script.write_bytes(
            zygote.run([sys.executable, "-m", "caudal", "inspect", "--script"], capture_output=True, text=False, check=True).stdout
        )
        environment = {**os.environ, "MASTER": page}
        submitted = [sys.executable, "-I", str(script), "--only", "cluster", "--json"]
        by_script = json.loads(subprocess.run(submitted, capture_output=True, text=True, check=True, env=environment).stdout)
    for document in (by_page, by_script):
        cluster_facts = facts(document, "cluster")
        assert [(row["state"], row["cores"], row["memory"]) for row in cluster_facts["workers"]] == [("ALIVE", 1, 1024 << 20)] * 2
        assert cluster_facts["cluster_cores"] == 2
        assert cluster_facts["cluster_memory"] == 2 << 30
    assert facts(by_address, "cluster")["workers"] is None, "the page's port cannot be known from the master's"
    (why,) = [fact["why_not"] for fact in by_address["sections"][0]["facts"] if fact["name"] == "workers"]
    assert "give --master http://host:port" in why
