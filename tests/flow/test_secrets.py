"""A distinct secret in every place that takes one, servers that are away or repeat what they were sent, and a search of all that is left."""

from __future__ import annotations

import http.server
import inspect
import json
import sqlite3
import threading
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import caudal as cd
import caudal.cli
from caudal.cli.app import app
from caudal.declarations.settings import Settings
from caudal.ledger.records import metadata
from caudal.stages.ingest import remote, web
from caudal.tables.home import Home

MARK = "Zq7"  # every planted secret begins with it
PASSWORD = f"{MARK}-pass%2Fword"

# What each function of ``cd`` that declares a place takes: where a secret is planted below, and what can hold none.
PLANTED = {
    "files": {"pattern", "storage", "options"},
    "images": {"pattern", "storage"},
    "http": {"urls", "params", "headers", "auth", "options"},
    "database": {"url", "env"},
    "warehouse": {"url", "env"},
    "kafka": {"options"},
    "topic": {"options"},
    "events": {"registry", "client"},
    "webhook": {"url", "secret"},
    "env": {"name"},
}
HARMLESS = {
    "files": {"format", "settle", "required", "changed", "follow_links"},
    "images": {"max_pixels", "max_bytes", "settle", "required", "gone"},
    "http": {"format", "timeout_s", "rate", "pages", "since"},
    "database": {"table", "query", "watermark", "overlap", "key", "parallel", "history", "driver"},
    "kafka": {"topic", "channels", "wire", "servers", "starting"},
    "events": {"topic", "encoding", "schema", "servers", "since", "epoch"},
    "mail": {"to", "sender"},
    "topic": {"name", "servers"},
    "drop": {"folder"},
    "folder": {"pattern", "channels", "wire"},
    "socket": {"host", "port", "channels", "wire", "acknowledge"},
    "stream": {"channels", "wire", "partitions"},
    "simulated": {"write", "seed", "format", "parameters"},
    "pages": {"next", "page", "offset", "cursor", "first", "most"},
    "since": {"parameter", "at", "start"},
    "fixed_width": {"columns", "options", "layout", "widths", "names", "encoding", "skip", "null", "header"},
    "network": {"name", "mean", "std", "last_layer"},
}
PLACES = ("alert", "connection", "database", "events", "format", "images", "outlet", "warehouse", "web")
SETTINGS = {"engine", "ledger", "warehouse", "smtp", "luigi", "metastore", "online", "key", "spark", "openlineage", "platforms"}
NO_SETTINGS = {
    "jobs",
    "home",
    "data",
    "lake",
    "master",
    "memory",
    "cores",
    "workers",
    "kafka",
    "settle",
    "trust",
}  # a lake's address with a login is refused

PRODUCT = """
import caudal as cd

product = cd.Product("p")
product.source("rows", cd.database("sqlite:///shop.db?password={mark}-sqlite", table="sale"))
product.source("sftp", cd.files("sftp://anna:{password}@127.0.0.1:9/in/*.csv"))
product.source("s3", cd.files("s3://bucket/*.csv", storage={{"key": "{mark}-s3key", "secret": "{mark}-s3secret",
               "endpoint_url": "http://127.0.0.1:9"}}))
product.source("zip", cd.files("none-*.zip", password="{mark}-zip", required=False))
product.source("images", cd.images("sftp://anna:{password}@127.0.0.1:9/in/*.jpg", storage={{"passphrase": "{mark}-phrase"}}))
product.source("echo", cd.http("http://anna:{password}@127.0.0.1:{port}/a.csv?x=1&sig={mark}-sig"))
product.source("echo2", cd.http("http://127.0.0.1:{port}/b.csv", params={{"token": "{mark}-param"}}, headers={{"X-Api-Key": "{mark}-header"}},
               auth=("anna", "{mark}-auth")))
product.source("echo3", cd.http("http://127.0.0.1:{port}/c.json", auth=cd.env("BEARER"), pages=cd.pages(page="page")))
product.source("away", cd.http("http://anna:{password}@127.0.0.1:9/a.csv?api_key={mark}-query", auth="{mark}-bearer"))
product.source("pg", cd.database("postgresql://anna:{password}@127.0.0.1:9/shop?sslpassword={mark}-ssl", table="sale"))
product.source("pgenv", cd.database(env="SHOP_DB", table="sale"))
product.source("events", cd.events("rows", encoding="avro", servers="127.0.0.1:9", **{{"kafka.sasl.jaas.config": "{mark}-evjaas"}},
               registry=cd.http("http://anna:{password}@127.0.0.1:{port}", headers={{"X-Api-Key": "{mark}-regheader"}})))
messages = product.source("kafka", cd.kafka("topic", channels=["x"], servers="127.0.0.1:9", **{{"kafka.sasl.jaas.config": "{mark}-jaas",
               "kafka.ssl.key.password": "{mark}-sslkey"}}))
product.send("out", product.statistics("seconds", of=messages), cd.topic("out", servers="127.0.0.1:9",
             **{{"kafka.sasl.jaas.config": "{mark}-outjaas"}}))
product.alert(cd.webhook("http://127.0.0.1:9/services/T0/{mark}-hook?sign={mark}-sign", secret="HOOK_KEY"))
product.alert(cd.webhook("http://anna:{password}@127.0.0.1:{port}/services/{mark}-echoed", secret="HOOK_KEY"))
product.alert(cd.mail("team@example.org"))
product.publish("rows", to=cd.warehouse("postgresql://anna:{password}@127.0.0.1:9/house"), key="id")
"""


def test_every_place_that_takes_a_secret_is_known() -> None:
    for name in cd.__all__:
        function = getattr(cd, name)
        if not inspect.isfunction(function) or function.__module__ not in {f"caudal.declarations.{place}" for place in PLACES}:
            continue
        known = PLANTED.get(name, set()) | HARMLESS.get(name, set())
        unknown = set(inspect.signature(function).parameters) - known
        assert not unknown, f"cd.{name} takes {sorted(unknown)}: plant a secret in it below, or say that it can hold none"
    unknown = {setting.name for setting in fields(Settings)} - SETTINGS - NO_SETTINGS
    assert not unknown, f"the settings {sorted(unknown)}: plant a secret below, or say that they can hold none"


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that refuses everybody, and repeats what it was asked with in every way that it can."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            login = self.headers.get("Authorization") or ""
            told = b64decode(login.removeprefix("Basic ")).decode() if login.startswith("Basic ") else ""
            self.send_response(403, f"not for {self.path} {login} {told} {self.headers.get('X-Api-Key')}")
            self.end_headers()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_what_is_left_of_runs_holds_no_secret(
    tmp_path: Path, echo: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("sshfs")
    pytest.importorskip("s3fs")
    monkeypatch.setattr(remote, "BACKOFF_S", 0.01)
    monkeypatch.setattr(web, "BACKOFF_S", 0.01)
    monkeypatch.setattr("caudal.batch.retry.FIRST_WAIT_S", 0.01, raising=False)
    caplog.set_level("DEBUG", logger="caudal")
    folder, home = tmp_path / "p", tmp_path / "home"
    folder.mkdir()
    (folder / "product.py").write_text(PRODUCT.format(mark=MARK, password=PASSWORD, port=echo))
    with sqlite3.connect(folder / "shop.db") as database:
        database.execute("CREATE TABLE sale (id INTEGER PRIMARY KEY, amount REAL)")
        database.execute("INSERT INTO sale VALUES (1, 2.5)")
    database.close()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    for name, value in {
        "BEARER": f"{MARK}-env", "SHOP_DB": f"postgresql://anna:{PASSWORD}@127.0.0.1:9/shop", "HOOK_KEY": f"{MARK}-hookkey",
        "CAUDAL_SMTP": f"smtp://anna:{PASSWORD}@127.0.0.1:9", "CAUDAL_KEY": f"{MARK}-key-of-the-web-app", "TMPDIR": str(temporary),
        "CAUDAL_ONLINE": f"redis://anna:{PASSWORD}@127.0.0.1:9/0", "CAUDAL_WAREHOUSE": f"postgresql://anna:{PASSWORD}@127.0.0.1:9/house", "CAUDAL_LUIGI": f"http://anna:{PASSWORD}@127.0.0.1:9",
        "AWS_SECRET_ACCESS_KEY": f"{MARK}-aws", "AWS_ACCESS_KEY_ID": f"{MARK}-awsid",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    (tmp_path / "caudal.toml").write_text(
        f'[spark]\n"spark.hadoop.fs.s3a.secret.key" = "{MARK}-toml"\n'
        f'[platforms.prod]\nhost = "http://127.0.0.1:{echo}"\ntoken = "{MARK}-dapi"\nvolume = "/Volumes/a/b/c"\ncluster_id = "c1"\n'
    )
    monkeypatch.chdir(tmp_path)
    printed: list[str] = []

    def caudal(*command: str, code: int | None = 0) -> None:
        result = CliRunner().invoke(app, [*command])
        printed.append(result.output + result.stderr + repr(result.exception))
        assert code is None or result.exit_code == code, printed[-1]

    monkeypatch.setenv("CAUDAL_OPENLINEAGE", str(tmp_path / "events.json"))
    caudal("run", "p", "--home", str(home), code=None)
    monkeypatch.setenv("CAUDAL_OPENLINEAGE", f"http://anna:{PASSWORD}@127.0.0.1:9")
    caudal("run", "p", "--home", str(home), "--json", "--engine", f"sc://127.0.0.1:9/;token={MARK}-engine", code=None)
    caudal("compare", "p", "--home", str(home), "--on", "databricks:prod", "--repeat", "1", "--send", "--no-report", code=1)
    caudal("status", "--home", str(home))
    caudal("status", "--home", str(home), "--json")
    caudal("check", "p", code=None)
    caudal("catalog", "build", "--out", str(tmp_path / "catalog"), "--home", str(home))
    caudal("inspect", "--metadata", "http://127.0.0.1:9", "--html", str(tmp_path / "inspection.html"), "--json")
    monkeypatch.setenv("CAUDAL_LEDGER", f"postgresql://anna:{PASSWORD}@127.0.0.1:9/ledger")
    caudal("status", "--home", str(home), code=6)
    (folder / "product.py").unlink()

    ledger = Home(home).ledger()
    rows = {table.name: ledger.find(table) for table in metadata.sorted_tables}
    ledger.close()
    assert {step["name"] for step in rows["steps"] if step["state"] == "failed"} >= {
        "sftp", "s3", "images", "echo", "echo2", "echo3", "away", "pg", "pgenv",
    }  # fmt: skip
    assert {row["state"] for row in rows["alerts"]} == {"failed"}
    assert rows["lineage_events"]
    assert any("403" in str(row["error"]) for row in rows["steps"])
    texts = {f"ledger: {name}": str(found) for name, found in rows.items()} | {"printed": "\n".join(printed), "log": caplog.text}
    for path in (path for path in tmp_path.rglob("*") if path.is_file() and path.name != "caudal.toml"):
        texts[str(path)] = path.read_bytes().decode("latin-1")
        if path.suffix == ".parquet":
            texts[f"{path}, decoded"] = str(pq.read_table(path).to_pylist())
    assert any(name.endswith(".parquet, decoded") for name in texts)
    assert any(name.endswith(".html") for name in texts)
    left = {name: text[max(0, at - 80) : at + 40] for name, text in texts.items() if (at := text.find(MARK)) >= 0}
    assert left == {}, json.dumps(left, indent=1)
