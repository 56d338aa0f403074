"""S3 is killed at moments of a run, and comes back: ``python lake_stops.py FOLDER`` prints, for each moment, what came of it.

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
from tests.servers.s3 import S3Server

from caudal.errors import CaudalError

MOMENTS = {
    "landing": ("caudal.lake.landing", "put", 1),
    "while Spark writes": ("caudal.run.publish", "judge", 1),
    "before the quarantine's commit": ("caudal.lake.delta", "_commit", 2),
    "before the table's commit": ("caudal.lake.delta", "_commit", 3),
    "after the table's commit": ("caudal.run.publish", "_with_version", 2),
}


@contextlib.contextmanager
def killed_at(server: S3Server, module: str, name: str, count: int) -> Iterator[None]:
    """Kill the server when a function is called for the n-th time."""
    home = importlib.import_module("caudal.stages.expect.audit.judge" if name == "judge" else module)
    owner, attribute = (home.Judged, "write") if name == "judge" else (home, name)
    plain, calls = getattr(owner, attribute), 0

    @functools.wraps(plain)
    def call(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            if name == "judge":  # Spark is at work when the server goes
                threading.Timer(0.3, server.stop).start()
            else:
                server.stop()
        return plain(*arguments, **named)

    setattr(owner, attribute, call)
    try:
        yield
    finally:
        setattr(owner, attribute, plain)


def main() -> None:
    """Try every moment, then a server that comes back while the run tries again."""
    from caudal.lake import delta
    from caudal.lake.place import place
    from caudal.run.run import run
    from caudal.spec.settings import settings

    folder = Path(sys.argv[1])
    (folder / "server").mkdir()
    server = S3Server(folder / "server")
    os.environ.update(server.environ)
    wanted = sys.argv[2:] or [*MOMENTS, "retry"]
    for number, moment in enumerate(wanted):
        product = made(folder / str(number), retry=5 if moment == "retry" else 0)
        lake, home = f"s3://{server.bucket()}/lake", folder / f"home{number}"
        set_to = settings(environment={}, home=home, lake=lake, cores=2, memory="1g")
        began = time.monotonic()
        with killed_at(server, *MOMENTS["before the table's commit" if moment == "retry" else moment]):
            if moment == "retry":
                comeback = threading.Timer(8.0, server.start)
                comeback.start()
            try:
                ended = run(product, set_to)
                said = {"state": ended.document["state"], "error": ended.error and ended.error.as_dict()}
            except CaudalError as error:
                said = {"state": "raised", "error": error.as_dict()}
        said["seconds"] = round(time.monotonic() - began, 1)
        if moment == "retry":
            comeback.join()
        else:
            server.start()
            said["then"] = run(product, set_to).document["state"]
        said["rows"] = rows(home, lake)
        said["again"] = run(product, set_to).document["state"]
        tables = [one for one in (place(lake) / "lake" / "meters").iterdir() if one.name != "_quarantine"]
        tables += list((place(lake) / "lake" / "meters" / "_quarantine").iterdir())
        said["quarantined"] = sum(delta.read(one).rows for one in tables if "_quarantine" in str(one))
        said["swept later"] = sum(delta.sweep(one) for one in tables)
        print(json.dumps({"moment": moment, **said}), flush=True)
    server.close()


if __name__ == "__main__":
    main()
