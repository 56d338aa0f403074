"""A monitored stream as a user has it: what is sent changes while it runs, the alarm is there at once, and a kill changes no figure."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import zygote
from tests.flow.commands import caudal, streaming

from caudal.ledger.ledger import open_ledger
from caudal.ledger.monitored import figures_of
from caudal.ledger.records import alerts

pytestmark = [pytest.mark.slow]
PRODUCT = """
import caudal as cd

product = cd.Product("headset")
samples = product.source("samples", cd.stream(channels=(
    "AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4", "CZ", "PZ",
)), late="2 seconds", partition="day")
seconds = product.statistics("seconds", of=samples, window="1 second", quantiles=(0.5,), centre=4200.0, partition="day")
product.monitor(seconds, window="1 minute", reference="15 minutes", columns=["q50", "std"])
product.alert(cd.mail("ops@example.org"), on=["drift"])
"""
USUAL = ("--rate", "0", "--seconds", "1500", "--at", "2026-01-05T08:00:00Z")
OTHER = ("--rate", "0", "--seconds", "300", "--at", "2026-01-05T08:25:00Z", "--seed", "7")  # another head


def monitored(home: Path) -> dict[str, Any] | None:
    """Return what `caudal monitor` tells of the stream's windows; None while it has counted none."""
    done = zygote.run(
        [sys.executable, "-m", "caudal", "monitor", "headset", "--home", str(home), "--json"], capture_output=True, text=True
    )
    return json.loads(done.stdout)["monitors"][0] if done.returncode == 0 else None


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.3)


def figures(home: Path) -> list[tuple[Any, ...]]:
    """Return all figures, in order of time."""
    ledger = open_ledger(f"sqlite:///{home / 'ledger.db'}")
    kept = figures_of(ledger, "headset", "seconds")
    ledger.close()
    return sorted(((figure.key, figure.start, figure.value, figure.state, figure.evidence) for figure in kept), key=repr)


def test_a_change_is_told_while_the_stream_runs_and_a_kill_changes_no_figure(tmp_path: Path) -> None:
    product, home, calm = tmp_path / "headset", tmp_path / "home", tmp_path / "calm"
    product.mkdir()
    (product / "product.py").write_text(PRODUCT)
    caudal("replay", product, "--home", home, *USUAL)
    with streaming(product, "--home", home, "--monitor", "0.3", "--publish", "0.2") as stream:
        wait_for(lambda: (monitored(home) or {}).get("windows", 0) >= 24)
        assert monitored(home)["state"] in ("inside", "outside")
        caudal("replay", product, "--home", home, *OTHER)
        wait_for(lambda: monitored(home)["state"] == "alarm")
        alarmed = monitored(home)
        assert stream.poll() is None  # it is still running
        stream.send_signal(signal.SIGKILL)
        stream.wait(timeout=60)
    assert {figure["figure"] for figure in alarmed["figures"] if figure["state"] == "alarm"} >= {"psi of q50"}
    told = caudal("stream", product, "--home", home, "--once", "--end")
    assert told["monitors"]["seconds"]["trouble"] is None
    ledger = open_ledger(f"sqlite:///{home / 'ledger.db'}")
    assert "seconds: psi of q50" in {row["subject"] for row in ledger.find(alerts) if row["happening"] == "drift"}
    ledger.close()

    for what in (USUAL, OTHER):
        caudal("replay", product, "--home", calm, *what)
    told = caudal("stream", product, "--home", calm, "--once", "--end")
    assert told["monitors"]["seconds"]["windows"] == 29  # the last one has not ended
    assert "psi of q50" in told["monitors"]["seconds"]["alarms"]
    assert figures(home) == figures(calm)
