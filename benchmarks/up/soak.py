"""Files dropped by two writers while the daemon is killed again and again: every file landed once, tables as of one clean run."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from caudal.ledger.records import events, landed, runs
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

PRODUCT = Path(__file__).with_name("product.py")
TABLES = ("counts", "rows", "days")
WRITERS = 2
ROWS = 20


@dataclass(frozen=True)
class Soaked:
    """What came of it."""

    files: int
    kills: int
    kills_with_run: int
    runs: dict[str, int]
    seconds: float
    caught_up_s: float
    landed_once: bool
    events_once: bool
    tables_equal: bool
    daemon_rss_mb: float

    @property
    def sound(self) -> bool:
        """Whether nothing was lost and nothing doubled."""
        return self.landed_once and self.events_once and self.tables_equal


def soak(place: Path, *, files: int, kills: int, seconds: float, seed: int = 1, say: Callable[[str], None] = print) -> Soaked:
    """Drop ``files`` over ``seconds`` from two writers, kill the daemon ``kills`` times meanwhile, and look at what is there then."""
    folder, home = place / "dropped", place / "home"
    (folder / "in").mkdir(parents=True)
    shutil.copy(PRODUCT, folder / "product.py")
    chance, began = random.Random(seed), time.monotonic()
    writers = [
        threading.Thread(target=_write, args=(folder / "in", writer, files // WRITERS, seconds, seed)) for writer in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    with_run, rss = 0, 0.0
    for number in range(kills):
        daemon = _daemon(folder, home, place / f"up-{number}.log")
        until = began + seconds * (number + 1) / kills + chance.uniform(-0.2, 0.2) * seconds / kills
        while time.monotonic() < until:
            rss = max(rss, _rss_mb(daemon.pid))
            time.sleep(0.2)
        also = chance.random() < 0.5
        with_run += _kill(daemon, also_its_run=also)
        say(f"{time.monotonic() - began:6.1f} s  kill {number + 1} of {kills}{', its run too' if also else ''}")
    for writer in writers:
        writer.join()
    last = time.monotonic()
    daemon = _daemon(folder, home, place / "up-last.log", "--idle", "10")
    while daemon.poll() is None and time.monotonic() - last < 600:
        rss = max(rss, _rss_mb(daemon.pid))
        time.sleep(0.2)
    if daemon.poll() is None:
        _kill(daemon, also_its_run=True)
        raise TimeoutError(f"The daemon is still at work; see {place / 'up-last.log'}.")
    caught_up_s = time.monotonic() - last - 10
    clean = place / "clean"
    _run(folder, clean, place / "clean.log")
    return Soaked(
        files=files // WRITERS * WRITERS,
        kills=kills,
        kills_with_run=with_run,
        runs=_runs(home),
        seconds=round(time.monotonic() - began, 1),
        caught_up_s=round(caught_up_s, 1),
        landed_once=_landed_once(home, files // WRITERS * WRITERS),
        events_once=_events_once(home, files // WRITERS * WRITERS),
        tables_equal=all(_rows(home, table) == _rows(clean, table) for table in TABLES)
        and len(_rows(home, "rows")) == files // WRITERS * WRITERS * ROWS,
        daemon_rss_mb=round(rss, 1),
    )


def told(soaked: Soaked) -> str:
    """Return the outcome as JSON."""
    return json.dumps({**asdict(soaked), "sound": soaked.sound}, indent=2)


def _write(folder: Path, writer: int, count: int, seconds: float, seed: int) -> None:
    """Drop files: renamed into place, written at once, or written in pieces with pauses."""
    chance = random.Random(f"{seed} {writer}")
    began = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, began + seconds * number / count * chance.uniform(0.9, 1.0) - time.monotonic()))
        start = dt.datetime(2024, 1, 1) + dt.timedelta(hours=6 * chance.randrange(40))
        lines = [f"{start + dt.timedelta(minutes=row):%Y-%m-%d %H:%M:%S},{writer},{number},{row}\n" for row in range(ROWS)]
        path, way = folder / f"{writer}-{number:04}.csv", chance.randrange(3)
        if way == 0:
            part = path.with_suffix(".csv.part")
            part.write_text("at,writer,file,row\n" + "".join(lines))
            part.rename(path)
        elif way == 1:
            path.write_text("at,writer,file,row\n" + "".join(lines))
        else:
            with path.open("w") as out:
                out.write("at,writer,file,row\n")
                for piece in (lines[:7], lines[7:]):
                    out.writelines(piece)
                    out.flush()
                    time.sleep(chance.uniform(0.1, 0.5))


def _daemon(folder: Path, home: Path, log: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "caudal", "up", str(folder), "--home", str(home), "--scan", "5", "--json", *more]
    with log.open("w") as out:
        return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=_environment())


def _run(folder: Path, home: Path, log: Path) -> None:
    with log.open("w") as out:
        command = [sys.executable, "-m", "caudal", "run", str(folder), "--home", str(home), "--json"]
        subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, env=_environment(), check=True, timeout=600)


def _environment() -> dict[str, str]:
    return {**os.environ, "CAUDAL_MEMORY": "1g"}


def _kill(daemon: subprocess.Popen[bytes], *, also_its_run: bool) -> bool:
    """Kill the daemon with -9, and its run in the same moment; returns whether there was one."""
    children = _children(daemon.pid) if also_its_run else []
    daemon.send_signal(signal.SIGKILL)
    for child in children:
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            continue
    daemon.wait()
    return bool(children)


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _rss_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        return 0.0


def _found(home: Path, table: Any) -> list[dict[str, Any]]:
    ledger = Home(home).ledger()
    rows = ledger.find(table)
    ledger.close()
    return rows


def _landed_once(home: Path, files: int) -> bool:
    paths = Counter(Path(row["path"]).name for row in _found(home, landed))
    return len(paths) == files and set(paths.values()) == {1}


def _events_once(home: Path, files: int) -> bool:
    found = _found(home, events)
    return len({row["subject"] for row in found}) == len(found) == files and {row["state"] for row in found} == {"done"}


def _runs(home: Path) -> dict[str, int]:
    return dict(Counter(row["state"] for row in _found(home, runs)))


def _rows(home: Path, table: str) -> list[str]:
    rows = arrow(delta.read_version(Home(home).table("dropped", table)))
    return sorted(map(repr, rows.to_pylist()))
