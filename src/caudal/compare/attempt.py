"""A process that does the work once, seen by its parent: begun, watched, broken, ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.compare.repetition import EVENT_LOGS, MOMENTS, UI_MEASURES
from caudal.extras import require

if TYPE_CHECKING:
    from caudal.compare.platform import RunningPlatform, Workload

_LOOK_S = 0.05
_GRACE_S = 20.0  # that work which ran past its limit has for an end in order


@dataclass(frozen=True)
class WorkOrder:
    """What is done on each platform.

    Parameters
    ----------
    product : the product's folder
    flags : settings as flags give them; ``home`` is the home of this work alone
    """

    product: Path
    workload: Workload
    flags: Mapping[str, str | None]


@dataclass
class Attempt:
    """A process at work; its files are in ``place``.

    Parameters
    ----------
    place : a folder for it alone
    home : where its tables lie
    """

    order: WorkOrder
    platform: RunningPlatform
    place: Path
    home: Path
    spark: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    total_s: float = 0.0

    def start(self) -> Attempt:
        """Start the process."""
        self.place.mkdir(parents=True)
        self.home.mkdir(parents=True, exist_ok=True)
        kind = self.platform.platform
        self.started_at = time.time()
        task = {
            "product": str(self.order.product), "workload": self.order.workload, "flags": dict(self.order.flags), "home": str(self.home),
            "changes": dict(self.platform.changes), "executor": kind.executor, "spark": dict(self.spark), "writes_log": kind.writes_event_log,
            "started_at": self.started_at,
        }  # fmt: skip
        file = self.place / "task.json"
        file.write_text(json.dumps(task, indent=1))
        with (self.place / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "caudal.compare.repetition", str(file)], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, env={**os.environ, **self.environment},
            )  # fmt: skip
        return self

    def wait(self, until: float) -> bool:
        """Wait for the process to end; return False where it has not by ``until`` (`time.monotonic`)."""
        assert self.process is not None
        try:
            self.process.wait(max(until - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            return False
        self.total_s = time.time() - self.started_at
        return True

    def wait_for(self, *events: str, until: float) -> float | None:
        """Wait for one of the events and return its moment; None where the process ends, or time runs out, before."""
        assert self.process is not None
        while True:
            ended = self.process.poll() is not None
            for event in events:
                if (moment := self.moment(event)) is not None:
                    return moment
            if ended or time.monotonic() > until:
                return None
            time.sleep(_LOOK_S)

    def moment(self, event: str) -> float | None:
        """Return when the process noted an event first, seconds since 1970; None where it has not."""
        file = self.place / MOMENTS
        lines = file.read_text().splitlines() if file.is_file() else []
        noted = (json.loads(line) for line in lines if line.endswith("}"))
        return next((float(each["at"]) for each in noted if each["event"] == event), None)

    def stop(self) -> None:
        """End the process in order, or else at once."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        if not self.wait(time.monotonic() + _GRACE_S):
            self.kill()

    def kill(self) -> None:
        """Kill the process and its Java, as a power cut would."""
        assert self.process is not None
        java = descendants(self.process.pid)
        for number in (self.process.pid, *java):
            try:
                os.kill(number, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.wait(time.monotonic() + _GRACE_S)

    def result(self) -> dict[str, Any]:
        """Return what the process has written of its work; empty where it died before."""
        file = self.place / "result.json"
        return json.loads(file.read_text()) if file.is_file() else {}

    def last_line(self) -> str:
        """Return the last line that the process printed."""
        file = self.place / "output.txt"
        lines = file.read_text(errors="replace").strip().splitlines() if file.is_file() else []
        return lines[-1][:300] if lines else "it printed nothing"

    def event_log(self) -> Path | None:
        """Return the event log of the work, if Spark wrote one."""
        folder = self.place / EVENT_LOGS
        logs = sorted(file for file in folder.iterdir() if not file.name.startswith(".")) if folder.is_dir() else []
        return logs[-1] if logs else None

    @property
    def ui_file(self) -> Path:
        """The file of what Spark's UI said."""
        return self.place / UI_MEASURES


def descendants(number: int) -> list[int]:
    """Return the numbers of a process's descendants."""
    psutil = require("psutil", extra="compare", for_="caudal compare")
    try:
        return [each.pid for each in psutil.Process(number).children(recursive=True)]
    except psutil.Error:
        return []
