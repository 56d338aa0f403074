"""Masters, resource managers and running applications, played by a server with their documents."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.inspection.test_cloud import NOBODY, found
from tests.unit.inspection.test_machine import machine

from caudal.inspection.scope import InspectionScope

NODES = {
    "nodes": {"node": [
        {"id": "n1:8041", "nodeHostName": "n1", "state": "RUNNING", "usedMemoryMB": 2048, "availMemoryMB": 6144, "usedVirtualCores": 1, "availableVirtualCores": 3},
        {"id": "n2:8041", "nodeHostName": "n2", "state": "LOST", "usedMemoryMB": 0, "availMemoryMB": 0, "usedVirtualCores": 0, "availableVirtualCores": 0},
    ]}
}  # fmt: skip
APPLICATIONS = [
    {
        "id": "app-1",
        "name": "nightly",
        "attempts": [{"sparkUser": "anna", "startTime": "2026-12-01T00:00:00.000GMT", "appSparkVersion": "3.5.1"}],
    }
]
EXECUTORS = [{"id": "driver", "hostPort": "n1:1", "totalCores": 0, "maxMemory": 400, "totalTasks": 0, "failedTasks": 0},
             {"id": "1", "hostPort": "n2:2", "totalCores": 4, "maxMemory": 900, "totalTasks": 7, "failedTasks": 1}]  # fmt: skip
ANSWERS: dict[str, Any] = {
    "/ws/v1/cluster/nodes": NODES, "/api/v1/applications": APPLICATIONS, "/api/v1/applications/app-1/executors": EXECUTORS,
    "/standby/json/": {"status": "STANDBY", "workers": []},
}  # fmt: skip


@pytest.fixture
def page() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(ANSWERS.get(self.path)).encode()
            self.send_response(200 if self.path in ANSWERS else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_yarn(tmp_path: Path, page: str) -> None:
    site = "<configuration><property><name>yarn.resourcemanager.webapp.address</name><value>{}</value></property></configuration>"
    facts = found(machine(tmp_path, {"etc/hadoop/conf/yarn-site.xml": site.format(page)}), "cluster")
    assert facts["manager"] == f"http://{page}"
    assert [(row["worker"], row["state"], row["cores"], row["memory"]) for row in facts["workers"]] == [
        ("n1", "RUNNING", 4, 8 << 30),
        ("n2", "LOST", 0, 0),
    ]
    assert facts["manager?"] == "/etc/hadoop/conf/yarn-site.xml"


def test_running_applications(tmp_path: Path, page: str) -> None:
    facts = found(InspectionScope(root=tmp_path, environment={}, ui=[f"http://{page}/"]), "applications")
    assert facts["application"] == "nightly (app-1), user anna, since 2026-12-01T00:00:00.000GMT, Spark 3.5.1"
    assert [(row["executor"], row["cores"], row["storage_memory"]) for row in facts["executors"]] == [
        ("driver", 0, 400),
        ("1", 4, 900),
    ]


def test_a_master_that_stands_by_and_one_that_is_none(tmp_path: Path, page: str) -> None:
    scope = InspectionScope(root=tmp_path, environment={}, master=f"http://{page}/standby")
    assert found(scope, "cluster")["workers?"] == f"http://{page}/standby stands by"
    scope.master = f"http://{page}/api/v1/applications/app-1"
    assert "answers 404" in found(scope, "cluster")["workers?"]
    scope.master = NOBODY
    assert f"no answer from {NOBODY}/json/" in found(scope, "cluster")["workers?"]


@pytest.mark.parametrize(
    ("master", "why"),
    [
        ("k8s://https://10.0.0.1", "Kubernetes' nodes are not asked for"),
        ("yarn", "no yarn-site.xml names the resource manager"),
        ("spark://127.0.0.1:9", "give --master http://host:port of the page"),
        ("mesos://x", "mesos names no kind of cluster"),
    ],
)
def test_other_masters(tmp_path: Path, master: str, why: str) -> None:
    scope = InspectionScope(root=tmp_path, environment={}, master=master, timeout_s=0.5)
    assert why in found(scope, "cluster")["workers?"]


def test_a_metastore_by_hives_file(tmp_path: Path) -> None:
    values = {
        "javax.jdo.option.ConnectionURL": "jdbc:postgresql://db:5432/hive?password=Zq7-address", "javax.jdo.option.ConnectionDriverName": "org.postgresql.Driver",
        "javax.jdo.option.ConnectionPassword": "Zq7-password", "hive.metastore.warehouse.dir": "s3a://lake/warehouse",
    }  # fmt: skip
    properties = "".join(f"<property><name>{name}</name><value>{value}</value></property>" for name, value in values.items())
    facts = found(machine(tmp_path, {"etc/hive/conf/hive-site.xml": f"<configuration>{properties}</configuration>"}), "metastore")
    assert (facts["database"], facts["database_url"], facts["warehouse"]) == (
        "PostgreSQL",
        "jdbc:postgresql://db:5432/hive",
        "s3a://lake/warehouse",
    )
    assert facts["database_version"] is None
    assert "Zq7" not in str(facts)


def test_a_metastores_service(tmp_path: Path) -> None:
    site = "<configuration><property><name>hive.metastore.uris</name><value>thrift://meta:9083</value></property></configuration>"
    facts = found(machine(tmp_path, {"conf/hive-site.xml": site}, HIVE_CONF_DIR="/conf"), "metastore")
    assert facts["metastore"] == "a service at thrift://meta:9083"
    assert facts["database?"].startswith("the service does not tell its clients")
