"""``caudal up`` killed with -9 again and again while files arrive, and two daemons on one ledger with nothing else between them."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from benchmarks.up.soak import soak
from tests import zygote

from caudal.ledger.records import events, runs, steps
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]

PRODUCT = """
import os, time
from pathlib import Path
import caudal as cd
product = cd.Product("both", tz="UTC")
product.source("s", cd.files("in/*.csv"), schema=cd.schema(at=cd.column("timestamp"), n=cd.column("long")), event_time="at",
               partition="day", trigger=cd.on_arrival())

@product.table(event_time="at", partition="day")
def t(s):
    log = Path(__file__).with_name("log")
    with log.open("a") as out:
        out.write(f"{time.monotonic_ns()} {os.getpid()} begin\\n")
    time.sleep(0.5)
    with log.open("a") as out:
        out.write(f"{time.monotonic_ns()} {os.getpid()} end\\n")
    return s
"""
# A daemon, and runs, that know nothing of the home's lock: as on two machines, which share the ledger and the lake alone.
ELSEWHERE = """
import contextlib, sys
from caudal.ledger import claim
from caudal.runtime import opening
@contextlib.contextmanager
def no_lock(*_):
    yield
opening.lease = no_lock
claim.process_is_dead = lambda holder: False
from caudal.daemon import child, worker
if sys.argv[1] == "child":
    sys.argv = sys.argv[1:]
    sys.exit(child.run_order())
worker.COMMAND = (sys.executable, __file__, "child")
from caudal.cli import main
main()
"""


@pytest.mark.usefixtures("forked_benchmarks")
def test_files_are_landed_once_whoever_is_killed(tmp_path):
    """Thirty files, two writers, three kills."""
    soaked = soak(tmp_path, files=30, kills=3, seconds=24, seed=2)
    assert soaked.landed_once
    assert soaked.events_once
    assert soaked.tables_equal
    assert soaked.runs.get("failed", 0) == 0


def test_two_daemons_of_two_machines_never_do_a_step_at_once(tmp_path, postgres, postgres_url):
    """They share a ledger on PostgreSQL, which is stopped and started again in the middle."""
    folder, home = tmp_path / "both", tmp_path / "home"
    (folder / "in").mkdir(parents=True)
    (folder / "product.py").write_text(PRODUCT)
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)

    def drop(number: int) -> None:
        (folder / "in" / f"{number}.csv").write_text(f"at,n\n2024-01-{number + 1:02} 00:00:00,{number}\n")

    drop(0)
    command = [sys.executable, str(tmp_path / "elsewhere.py"), "up", str(folder), "--home", str(home), "--scan", "1", "--idle", "15", "--json"]  # fmt: skip
    outs = [tmp_path / f"{place}.out" for place in range(2)]
    daemons = []
    for out in outs:
        with out.open("w") as told:
            daemons.append(
                zygote.start(
                    command,
                    stdout=told,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "CAUDAL_MEMORY": "1g", "CAUDAL_LEDGER": postgres_url},
                )
            )
    try:
        for number in range(1, 9):
            drop(number)
            if number == 4:
                postgres.stop()
                postgres.start()
            with pytest.raises(subprocess.TimeoutExpired):
                daemons[0].wait(2.5)
        for daemon in daemons:
            daemon.wait(300)
    finally:
        for daemon in daemons:
            daemon.kill()
    ledger = Home(home, postgres_url).ledger()
    assert {row["state"] for row in ledger.find(events)} == {"done"}
    assert len(ledger.find(events)) == 9
    assert {row["state"] for row in ledger.find(runs)} <= {"succeeded", "failed", "abandoned"}  # those that PostgreSQL left alone
    spans = sorted((row["started_at"], row["finished_at"], row["step"]) for row in ledger.find(steps) if row["started_at"])
    ledger.close()
    overlaps = [(one, other) for one, other in pairwise(spans) if other[0] < one[1]]
    assert not overlaps, "two steps at once"
    lines = [line.split() for line in (folder / "log").read_text().splitlines()]
    marks = [word for _, _, word in sorted(lines, key=lambda line: int(line[0]))]
    assert marks == ["begin", "end"] * (len(marks) // 2)
    assert sorted(row["n"] for row in arrow(delta.read_version(Home(home).table("both", "t"))).to_pylist()) == list(range(9))
    assert all('"what": "up"' in Path(out).read_text() for out in outs)
    assert sum(Path(out).read_text().count('"what": "ended"') for out in outs) >= 2
