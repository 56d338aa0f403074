"""What every kind of connection keeps. Kinds are found by registration: a new one needs a line under ``EXAMPLES`` and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from caudal.declarations.connection import Connection, files, http, simulated
from caudal.declarations.database import database
from caudal.declarations.events import events
from caudal.declarations.images import images
from caudal.declarations.requests import requests
from caudal.errors import SourceProblem
from caudal.messaging.broker import Broker
from caudal.messaging.request_files import RequestFile
from caudal.stages.ingest import Arrival, KnownFile, arrivals, fetched_kinds

ROWS = "a,b\n" + "".join(f"{i},{i * i}\n" for i in range(1000))


def write(folder: Path, seed: int) -> None:
    (folder / "rows.csv").write_text(ROWS)


def fail(folder: Path, seed: int) -> None:
    raise OSError("nothing there")


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def over_files(folder: Path) -> Iterator[tuple[Connection, Connection]]:
    write(folder, 0)
    yield files("*.csv"), files("none.csv")


@contextmanager
def over_http(folder: Path) -> Iterator[tuple[Connection, Connection]]:
    write(folder, 0)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        yield http(f"{url}/rows.csv"), http(f"{url}/none.csv")
        server.shutdown()
        thread.join()


@contextmanager
def over_simulation(folder: Path) -> Iterator[tuple[Connection, Connection]]:
    yield simulated(write), simulated(fail)


@contextmanager
def over_sqlite(folder: Path) -> Iterator[tuple[Connection, Connection]]:
    with sqlite3.connect(folder / "shop.db") as connection:
        connection.execute('CREATE TABLE "rows" (a INTEGER, b INTEGER)')
        connection.executemany('INSERT INTO "rows" VALUES (?, ?)', [(i, i * i) for i in range(1000)])
    yield database("sqlite:///shop.db", table="rows"), database("sqlite:///shop.db", table="none.csv")


@contextmanager
def over_images(folder: Path) -> Iterator[tuple[Connection, Connection]]:
    # What is no image is landed too, to be told of when it is read.
    pytest.importorskip("PIL")
    (folder / "rows").mkdir()
    (folder / "rows" / "1.jpg").write_text(ROWS)
    yield images("rows/*.jpg"), images("rows/none.csv")


@contextmanager
def over_kafka(folder: Path) -> Iterator[tuple[Connection, Connection]]:
    kafka = pytest.importorskip("confluent_kafka")
    with Broker(folder.parent / "broker", heap="256m") as broker:
        producer = kafka.Producer({"bootstrap.servers": broker.address})
        for i in range(1000):
            producer.produce("rows", json.dumps({"a": i, "b": i * i}), partition=0)
        assert producer.flush(60) == 0
        yield events("rows", servers=broker.address), events("none.csv", servers=broker.address)


@contextmanager
def over_requests(folder: Path) -> Iterator[tuple[Connection, Connection]]:
    (folder / "requests").mkdir()
    (folder / "none.csv").write_text("")
    RequestFile(folder / "requests", [("a", "long"), ("b", "long")]).append(
        b"".join(b"[%d,%d]\n" % (i, i * i) for i in range(1000))
    )
    yield (
        replace(requests("rows"), folder=str(folder / "requests")),
        replace(requests("rows"), folder=str(folder / "none.csv")),
    )


def text(one: Arrival) -> str:
    """Return the rows of an arrival as CSV."""
    if one.path.startswith("kafka:"):
        rows = map(json.loads, one.local.read_text().splitlines())
        return "a,b\n" + "".join(f"{row['a']},{row['b']}\n" for row in rows)
    if not one.name.endswith(".parquet"):
        return one.local.read_text()
    if one.path.startswith("images:"):
        return pq.read_table(one.local)["content"][0].as_py().decode()
    return "a,b\n" + "".join(f"{row['a']},{row['b']}\n" for row in pq.read_table(one.local).to_pylist())


def origin(one: Arrival) -> str:
    """Return where an arrival came from, without the moment that an extraction's path tells."""
    return re.sub(r"\d{8}T\d{6}\.\d{6}Z", "", one.path)


# For each kind: a connection to ``rows.csv`` (of a database, to a table of that name) with ROWS in it, and one of the same kind that leads nowhere.
EXAMPLES: dict[str, Callable[[Path], object]] = {
    "files": over_files,
    "http": over_http,
    "simulated": over_simulation,
    "database": over_sqlite,
    "images": over_images,
    "events": over_kafka,
    "requests": over_requests,
}


@pytest.fixture(params=fetched_kinds())
def connected(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Connection, Connection, Path]]:
    assert request.param in EXAMPLES, f"the kind '{request.param}' is registered and has no example here"
    data = tmp_path / "data"
    data.mkdir()
    with EXAMPLES[request.param](data) as (there, nowhere):  # type: ignore[attr-defined]
        yield there, nowhere, data


def look(connection: Connection, data: Path, seen: dict[str, KnownFile] | None = None) -> list[Arrival]:
    scratch = data.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    return arrivals(connection, data=data, scratch=scratch, landed=seen or {})


@pytest.mark.slow
def test_an_arrival_can_be_read_and_says_what_it_is(connected: tuple[Connection, Connection, Path]) -> None:
    there, _, data = connected
    (one,) = look(there, data)
    assert text(one) == ROWS
    assert one.bytes == one.local.stat().st_size
    assert one.settled
    assert "rows" in one.path
    assert one.path.endswith(one.name)
    assert one.modified_ns > 0


@pytest.mark.slow
def test_what_was_landed_is_not_brought_again(connected: tuple[Connection, Connection, Path]) -> None:
    there, _, data = connected
    (one,) = look(there, data)
    seen = {
        one.path: KnownFile(one.etag, one.modified_ns, one.bytes, hashlib.sha256(one.local.read_bytes()).hexdigest(), one.local)
    }
    assert look(there, data, seen) == []


@pytest.mark.slow
def test_forgetting_brings_the_same_bytes_from_the_same_origin(connected: tuple[Connection, Connection, Path]) -> None:
    there, _, data = connected
    (first,) = look(there, data)
    content = first.local.read_bytes()
    (again,) = look(there, data)
    assert (origin(again), again.local.read_bytes()) == (origin(first), content)


@pytest.mark.slow
def test_an_origin_that_is_not_there_is_a_source_problem(connected: tuple[Connection, Connection, Path]) -> None:
    _, nowhere, data = connected
    with pytest.raises(SourceProblem) as raised:
        look(nowhere, data)
    assert "none.csv" in str(raised.value) or "'fail'" in str(raised.value)
