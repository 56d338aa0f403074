"""``python -m benchmarks.serving.lane``: microseconds of a single prediction in the fast lane, without HTTP and network, and what the request log adds.

One thread asks `FastLane.connection_answer` as a connection does, with the key and the figures that a server process has. Each round asks first without the
request log, then with it; what its thread takes to write a row is apart, since no request waits for it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.serving.__main__ import KEY
from benchmarks.serving.model import COMPILED, make_home
from caudal.serve.app import create_app
from caudal.serve.meter import share_counters
from caudal.serve.request_log import LoggedModel
from caudal.tables.home import Home
from caudal.web.shared_state import shared_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask


@contextmanager
def app_of_a_process(home: Path) -> Iterator[Flask]:
    """Yield the app as one of two server processes has it, with the champion in memory."""
    with shared_state(2) as shared:
        own = replace(shared, process=0)
        share_counters(own.metrics)
        app = create_app(home, Home(home).url, key=KEY, shared=own)
        app.extensions["minute log"].begin()
        app.extensions["caudal"].refresh()
        yield app


def main() -> None:
    """Print a line of JSON for each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=5000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        body = json.dumps(make_home(folder)).encode()
        url = f"/api/v1/bench/{COMPILED}/predict".encode()
        headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"x-api-key", KEY.encode())]
        with app_of_a_process(folder / COMPILED) as app:
            lane, requests = app.extensions["fast lane"], app.extensions["request log"]

            def request_us() -> float:
                began = time.perf_counter()
                for _ in range(given.requests):
                    assert lane.connection_answer(url, headers, body, "127.0.0.1") is not None
                return (time.perf_counter() - began) / given.requests * 1e6

            for number in range(given.rounds):
                requests.logged = {}
                without_us = request_us()
                requests.logged = {("bench", COMPILED): LoggedModel(folder / "requests", 1.0)}
                with_us = request_us()
                began = time.perf_counter()
                requests.flush()
                write_us = (time.perf_counter() - began) / given.requests * 1e6
                figures = {"request_us": without_us, "logged_request_us": with_us, "write_us": write_us}
                rounded = {name: round(value, 1) for name, value in figures.items()}
                print(json.dumps({"round": number, **rounded, "machine_load": os.getloadavg()[0]}), flush=True)


if __name__ == "__main__":
    main()
