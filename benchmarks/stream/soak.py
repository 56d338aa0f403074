"""Hours of event time in minutes: does a stream take more and more of the machine?

A replay plays faster than the clock while a stream runs beside it, with as many table versions as there would be at the clock's own
pace. What grows without end, by what it takes in three hours, would end a stream that runs for weeks.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.stream.streaming import NAME, PRODUCT, SOURCE, Streaming
from caudal.tables.home import Home

EVENT_S, SPEED, READINGS_S = 3 * 3600.0, 36.0, 4096
MOST_GROWTH = 0.10
_PUBLISH_S, _EVERY_S = 5.0, 0.1  # by the clock of the events


@dataclass(frozen=True)
class Look:
    """What the stream takes at a moment; ``event_s`` is how far it has come."""

    event_s: float
    wall_s: float
    rss_bytes: int
    state_bytes: int
    memory_file_bytes: int
    feed_bytes: int
    lake_files: int
    lake_bytes: int
    versions: int
    log_bytes: int
    descriptors: int


def soak(place: Path, event_s: float = EVENT_S, speed: float = SPEED) -> list[Look]:
    """Play and stream, and return what was seen every second or so."""
    home = place / "soak"
    command = [
        sys.executable, "-m", "caudal", "replay", str(PRODUCT), "--home", str(home), "--json", "--seconds", str(event_s),
        "--speed", str(speed), "--rate", str(READINGS_S * speed),
    ]  # fmt: skip
    looks: list[Look] = []
    with Streaming(home, "--publish", str(_PUBLISH_S / speed), "--every", str(_EVERY_S / speed)) as stream:
        sending = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            first = stream.wait_for()
            while sending.poll() is None:
                time.sleep(min(1.0, event_s / speed / 100))
                looks.append(_look(home, stream, first["watermark"] or 0.0))
            time.sleep(1)
            looks.append(_look(home, stream, first["watermark"] or 0.0))
        finally:
            sending.terminate()
            sending.wait()
        counted = stream.stop()["sources"][SOURCE]["samples"]
    if sending.returncode or counted < event_s * READINGS_S / 16 * 0.99:
        raise RuntimeError(f"{counted:,} samples were counted; the replay ended with {sending.returncode}")
    return looks


def growth(looks: Sequence[Look], since: float = 1 / 3) -> float:
    """Return by which share the resident memory has grown since a share of the event time: the median about then beside that of the last tenth."""
    end = looks[-1].event_s
    then = [one.rss_bytes for one in looks if abs(one.event_s / end - since) <= 0.05]
    last = [one.rss_bytes for one in looks if one.event_s >= 0.9 * end]
    return float(np.median(last) / np.median(then) - 1)


def table(looks: Sequence[Look]) -> str:
    """Return what was taken at 10 %, 50 % and 100 %."""
    end = looks[-1].event_s
    columns = [min(looks, key=lambda one: abs(one.event_s - share * end)) for share in (0.1, 0.5, 1.0)]
    lines = [f"{'':18}" + "".join(f"{share:>16}" for share in ("10 %", "50 %", "100 %"))]
    lines += [f"{name:18}" + "".join(f"{getattr(one, name):>16,.0f}" for one in columns) for name in asdict(looks[0])]
    return "\n".join(lines)


def main() -> int:
    """Print the table; return 1 where the memory grows."""
    with tempfile.TemporaryDirectory(prefix="caudal-soak-") as place:
        looks = soak(Path(place))
    grown = growth(looks)
    print(table(looks))
    print(f"resident memory since the first third: {grown:+.1%} (at most {MOST_GROWTH:.0%})")
    return int(grown > MOST_GROWTH)


def _look(home: Path, stream: Streaming, began: float) -> Look:
    where, process = Home(home), Path("/proc", str(stream.process.pid))
    update = stream.newest()
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    lake = [file for file in (where.path / "lake").rglob("*") if file.is_file()]
    log = where.stream(NAME, SOURCE)
    return Look(
        event_s=(update["watermark"] or began) - began, wall_s=time.time() - stream.began, rss_bytes=int(status["VmRSS"].split()[0]) << 10,
        state_bytes=update["state"]["bytes"], memory_file_bytes=max(_sizes(log / "memory"), default=0), feed_bytes=sum(_sizes(where.live(NAME))),
        lake_files=len(lake), lake_bytes=sum(_sizes(where.path / "lake")),
        versions=sum(file.parent.name == "_delta_log" and file.suffix == ".json" for file in lake),
        log_bytes=sum(size for part in log.glob("p*") for size in _sizes(part)), descriptors=len(list((process / "fd").iterdir())),
    )  # fmt: skip


def _sizes(folder: Path) -> list[int]:
    """Return the bytes of each file below a folder that is written meanwhile."""
    found = []
    for file in folder.rglob("*"):
        try:
            found.append(file.stat().st_size if file.is_file() else 0)
        except FileNotFoundError:
            continue
    return found
