"""Kill -9 of a stream, everywhere and again and again: its tables are those of a stream that nobody disturbed, and of a run."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from tests import zygote

from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(1200)]
KILLER = Path(__file__).parent / "killed.py"
PRODUCT = Path(__file__).parents[2] / "products" / "eeg"
SECONDS = 40  # some thirty micro-batches
TABLES = {"samples": ["device", "seq", "at"], "sensor_seconds": ["device", "window_start", "sensor"], "artefacts": ["device", "at"]}


def caudal(*arguments: str, when: str = "count", log: Path, fresh: bool = False, **environment: str) -> int:
    """Run a command, to die at ``when``; returns the exit code."""
    command = [sys.executable, str(KILLER), when, str(log), "--", *arguments]
    with log.with_suffix(".out").open("a") as told:
        changed = {**os.environ, "KILLED_BATCH_BYTES": "20000", **environment}
        return zygote.run(command, stdout=told, stderr=subprocess.STDOUT, env=changed, timeout=300, fresh=fresh).returncode


def streamed(home: Path, log: Path, when: str = "count", fresh: bool = False) -> int:
    """Run the stream until it has read all and closed its windows."""
    arguments = ("stream", str(PRODUCT), "--home", str(home), "--once", "--end", "--publish", "0.05")
    return caudal(*arguments, when=when, log=log, fresh=fresh)


def tables(home: Path) -> dict[str, pa.Table]:
    """Return what a reader sees, in an order of its own."""
    found = {}
    for name, keys in TABLES.items():
        rows = arrow(delta.read_version(Home(home).table("eeg", name)))
        found[name] = rows.sort_by([(key, "ascending") for key in keys]).combine_chunks()
    return found


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that holds a stream's messages and nothing else."""
    home = tmp_path_factory.mktemp("sent")
    arguments = ("replay", str(PRODUCT), "--home", str(home), "--rate", "0", "--seconds", str(SECONDS))
    assert caudal(*arguments, log=home / "log") == 0
    return home / "streams"


@pytest.fixture(scope="module")
def undisturbed(log: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, pa.Table], list[str]]:
    """The tables of a stream that nobody disturbs, and the events where it could have been killed."""
    home = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(log, home / "streams")
    events = home / "events"
    assert streamed(home, events, fresh=True) == 0
    found = tables(home)
    assert found["sensor_seconds"].num_rows >= (SECONDS - 1) * 16
    return found, events.read_text().splitlines()


def test_killed_at_sixteen_boundaries_in_one_chain(log: Path, undisturbed, tmp_path: Path) -> None:
    """Each start goes on where the one before died, and dies at an event of its own: the second, the third, and so on."""
    want, events = undisturbed
    assert len(events) > 300  # far more than the chain needs: every kill meets an event of its own
    shutil.copytree(log, tmp_path / "streams")
    for number in range(2, 18):
        assert streamed(tmp_path, tmp_path / f"events-{number}", when=str(number)) != 0
    assert streamed(tmp_path, tmp_path / "events-last") == 0
    assert_same(tables(tmp_path), want)


def test_killed_at_random_moments(log: Path, undisturbed, tmp_path: Path) -> None:
    want, _ = undisturbed
    chance = random.Random(7)
    shutil.copytree(log, tmp_path / "streams")
    died = sum(streamed(tmp_path, tmp_path / "events", when=f"after:{chance.uniform(0.1, 1.2):.3f}") != 0 for _ in range(12))
    assert died >= 3
    assert streamed(tmp_path, tmp_path / "events") == 0
    assert_same(tables(tmp_path), want)
    assert caudal("parity", str(PRODUCT), "--home", str(tmp_path), log=tmp_path / "events") == 0


def assert_same(have: dict[str, pa.Table], want: dict[str, pa.Table]) -> None:
    """Assert that tables are equal, row for row."""
    for name, table in want.items():
        assert have[name].num_rows == table.num_rows, name
        assert have[name].select(table.column_names).equals(table), name
