"""S3 or HDFS is killed at moments of a run, and comes back: ``python lake_stops.py FOLDER KIND`` prints, for each moment, what came of it.

All in one process, so that Spark is started once: the server is killed by its process just before the thing that is named is done.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.flow.lake_rounds import made, rows
from tests.servers.hdfs import HdfsServer
from tests.servers.s3 import S3Server

from caudal.errors import CaudalError

MOMENTS = {
    "landing": ("caudal.tables.landing", "put", 1),
    "while Spark writes": ("caudal.batch.publish", "judge", 1),
    "before the quarantine's commit": ("caudal.storage.delta", "_commit", 2),
    "before the table's commit": ("caudal.storage.delta", "_commit", 3),
    "after the table's commit": ("caudal.batch.publish", "_with_version", 2),
}


@contextlib.contextmanager
def killed_at(server: S3Server | HdfsServer, module: str, name: str, count: int, back_s: float | None = None) -> Iterator[None]:
    """Kill the server when a function is called for the n-th time; after ``back_s`` it comes back."""
    home = importlib.import_module("caudal.stages.enforce.judging.judge" if name == "judge" else module)
    owner, attribute = (home.JudgedFrame, "write") if name == "judge" else (home, name)
    plain, calls = getattr(owner, attribute), 0
    comeback = threading.Timer(back_s or 0.0, server.start)

    @functools.wraps(plain)
    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            if name == "judge":  # Spark is at work when the server goes
                threading.Timer(0.3, server.stop).start()
            else:
                server.stop()
            if back_s is not None:
                comeback.start()
        return plain(*arguments, **named)

    setattr(owner, attribute, call)
    try:
        yield
    finally:
        setattr(owner, attribute, plain)
        if comeback.is_alive():
            comeback.join()


def main() -> None:
    """Try every moment, then a server that comes back while the run tries again."""
    from caudal.batch.batch import run
    from caudal.declarations.settings import settings
    from caudal.storage import delta
    from caudal.storage.place import place
    from caudal.storage.sweep import sweep

    folder = Path(sys.argv[1])
    (folder / "server").mkdir()
    server: S3Server | HdfsServer = S3Server(folder / "server") if sys.argv[2] == "s3" else HdfsServer(folder / "server")
    os.environ.update(server.environ if isinstance(server, S3Server) else {})
    wanted = sys.argv[3:] or [*MOMENTS, "retry"]
    for number, moment in enumerate(wanted):
        product = made(folder / str(number), retry=8 if moment == "retry" else 0)
        lake = f"s3://{server.bucket()}/lake" if isinstance(server, S3Server) else f"{server.root}/lakes/{number}"
        home = folder / f"home{number}"
        set_to = settings(environment={}, home=home, lake=lake, cores=2, memory="1g")
        began = time.monotonic()
        back_s = 5.0 if moment == "retry" else None
        with killed_at(server, *MOMENTS["before the table's commit" if moment == "retry" else moment], back_s):
            try:
                ended = run(product, set_to)
                said = {"state": ended.document["state"], "error": ended.error and ended.error.as_dict()}
            except CaudalError as error:
                said = {"state": "raised", "error": error.as_dict()}
        said["seconds"] = round(time.monotonic() - began, 1)
        if moment != "retry":
            server.start()
            said["then"] = run(product, set_to).document["state"]
        said["rows"] = rows(home, lake)
        said["again"] = run(product, set_to).document["state"]
        tables = [one for one in (place(lake) / "lake" / "meters").iterdir() if one.name != "_quarantine"]
        tables += list((place(lake) / "lake" / "meters" / "_quarantine").iterdir())
        said["quarantined"] = sum(delta.read_version(one).rows for one in tables if "_quarantine" in str(one))
        said["swept later"] = sum(sweep(one) for one in tables)
        print(json.dumps({"moment": moment, **said}), flush=True)
    if isinstance(server, S3Server):
        server.close()
    else:
        server.stop()


if __name__ == "__main__":
    main()
