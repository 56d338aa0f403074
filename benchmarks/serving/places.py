"""``python -m benchmarks.serving.places``: microseconds of a look-up in an online view, by the place where it lies.

The view has 250 keys of 400 rows. *First* is the first question for a key, which brings its rows into the server's memory; *again* any later one; *not kept* is
a question for a key that the memory has no room for, which the place is asked each time. PostgreSQL and Redis run on this machine: to another one comes its network.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.postgres import server
from tests.redis_server import redis_server

from benchmarks.serving.model import KEYS, LOOKED_UP, START_US, write_view
from caudal.tables.home import Home
from caudal.tables.online import ViewPlace
from caudal.tables.views import opened_view, view_place

DAY_US = 86_400_000_000
FIT = 100  # keys whose rows have room in the memory together


@contextmanager
def places(folder: Path) -> Iterator[dict[str, ViewPlace]]:
    """Yield each place, empty."""
    with ExitStack() as stack:
        urls = {
            "SQLite file": None,
            "PostgreSQL": stack.enter_context(stack.enter_context(server()).database()),
            "Redis": stack.enter_context(redis_server()).url,
        }
        opened = {name: view_place(Home(folder / name.partition(" ")[0], views_url=url)) for name, url in urls.items()}
        for place in opened.values():
            stack.callback(place.close)
        yield opened


def took_us(ask: Callable[[str], object], keys: int) -> list[float]:
    """Return how long a question for each of so many keys takes, in microseconds."""
    took = []
    for number in range(keys):
        began = time.perf_counter()
        ask(f"zone {number}")
        took.append((time.perf_counter() - began) * 1e6)
    return took


def main() -> None:
    """Print a line of JSON for each place."""
    with tempfile.TemporaryDirectory() as folder, places(Path(folder)) as by_name:
        for name, place in by_name.items():
            began = time.perf_counter()
            write_view(place)
            written_s = time.perf_counter() - began
            view = opened_view(place, ("bench", LOOKED_UP))
            took = {
                "first": took_us(lambda key, view=view: view.values(0, [key], START_US + 17 * DAY_US), FIT),
                "again": took_us(lambda key, view=view: view.values(0, [key], START_US + 18 * DAY_US), FIT),
                "not kept": took_us(lambda key, view=view: view.rows.row_at(0, [key], START_US + 19 * DAY_US), KEYS),
            }
            for kind, each in took.items():
                figures = {"median_us": round(statistics.median(each), 1), "p99_us": round(sorted(each)[int(len(each) * 0.99)], 1)}
                line = {
                    "place": name,
                    "look-up": kind,
                    **figures,
                    "written_s": round(written_s, 2),
                    "machine_load": os.getloadavg()[0],
                }
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
