"""Kill -9 of joins: at each act that leaves a trace, again and again; what they give is what nobody disturbed gives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from tests import zygote

from caudal.storage import delta
from caudal.storage.sweep import sweep
from caudal.streaming.append import append
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]
KILLER = Path(__file__).parent / "killed.py"
EEG = Path(__file__).parents[2] / "products" / "eeg"
PRODUCT = """
import caudal as cd
from caudal.graph.load import load
from pathlib import Path

eeg = load(Path({eeg!r}))
CHANNELS = eeg.sources["samples"].connection.channels
del eeg
product = cd.Product("eeg")
samples = product.source("samples", cd.stream(channels=CHANNELS), late="2 seconds")
labels = product.source("labels", cd.stream(channels=("eyes_closed",), partitions=1), late="10 seconds", partition="day")
headsets = product.source("headsets", cd.files("*.csv"), schema=cd.schema(device="long", owner="string"))
"""
JOINS = """
product.join("noted", samples, labels, on=("device", "seq"), within="2 seconds", how="left", columns=["O1", "eyes_closed"])
product.join("known", samples, headsets, on="device", how="left", columns=["O1", "owner"])
"""
DEATHS = (
    "after added_files labels",
    "before append noted",
    "after append noted",
    "after append known",
    "after compact noted",
    "before append known",
)


def caudal(*arguments: str, log: Path, when: str = "count", fresh: bool = False) -> int:
    """Run a command, to die at ``when``; returns the exit code."""
    command = [sys.executable, str(KILLER), when, str(log), "--", *arguments]
    small = {"KILLED_BATCH_BYTES": "20000", "KILLED_JOIN_BYTES": "20000"}
    with log.with_suffix(".out").open("a") as told:
        environment = {**os.environ, **small}
        return zygote.run(command, stdout=told, stderr=subprocess.STDOUT, env=environment, timeout=120, fresh=fresh).returncode


def streamed(product: Path, home: Path, log: Path, when: str = "count", fresh: bool = False) -> int:
    """Run the stream until it has read all and given all."""
    arguments = ("stream", str(product), "--home", str(home), "--once", "--end", "--publish", "0.05")
    return caudal(*arguments, when=when, log=log, fresh=fresh)


def tables(home: Path) -> dict[str, pa.Table]:
    """Return what a reader sees, in an order of its own."""
    order = [("seq", "ascending"), ("at", "ascending")]
    return {
        name: arrow(delta.read_version(Home(home).table("eeg", name))).sort_by(order).combine_chunks()
        for name in ("noted", "known")
    }


def test_killed_at_each_boundary_in_one_chain(tmp_path: Path) -> None:
    """What is joined has been published before, bit by bit, so that each start has as much to do as the one before it has left."""
    product, captured, log = tmp_path / "eeg", tmp_path / "captured", tmp_path / "log"
    product.mkdir()
    (product / "product.py").write_text(PRODUCT.format(eeg=str(EEG)))
    assert caudal("replay", str(product), "--home", str(captured), "--rate", "0", "--seconds", "18", "--labels", log=log) == 0
    assert streamed(product, captured, log) == 0
    owners = pa.table({"device": pa.array([0], pa.int64()), "owner": ["ann"]})
    made = {"moment": "", "tz": "UTC", "partitioned": False, "identity": {"run_id": "r", "upto": 0}}
    append(Home(captured).table("eeg", "headsets"), [owners], [], **made)
    (product / "product.py").write_text(PRODUCT.format(eeg=str(EEG)) + JOINS)
    homes = [tmp_path / name for name in ("undisturbed", "killed")]
    for home in homes:
        shutil.copytree(captured, home)
    assert streamed(product, homes[0], tmp_path / "undisturbed-log", fresh=True) == 0
    want = tables(homes[0])
    died = [streamed(product, homes[1], tmp_path / f"log-{number}", when=f"at:{event}") != 0 for number, event in enumerate(DEATHS)]
    assert all(died), died
    assert streamed(product, homes[1], tmp_path / "last") == 0
    have = tables(homes[1])
    for name, table in want.items():
        assert len(table) > 4500
        assert have[name].equals(table), name
    for name in ("noted", "known"):
        assert sweep(Home(homes[1]).table("eeg", name)) == 0, f"{name} holds files that no version names"
