"""Several server processes are one server: its figures add up, its sessions hold everywhere, and one that dies is replaced."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
from tests.sign_in import sign_in_by_url

from caudal.inspection.cgroup import GroupLimits
from caudal.web.processes import can_fork, default_processes
from caudal.web.shared_state import SharedState
from caudal.web.visitors import SharedSessions

PATIENCE_S = 60.0
KEY = "the-key-of-it"
PREDICT = "/api/v1/taxi/duration/predict"

PROGRAM = """
import os, sys, time
from pathlib import Path
import pandas as pd
from caudal.registry.row_frames import PredictsFrames
from caudal.serve import serve

class Constant(PredictsFrames):
    version, candidate = 1, "mean"
    signature = {"inputs": [{"name": "x", "type": "double"}], "output": {"name": "y", "type": "double"}, "example": {"x": 0.0}}
    def predict(self, frame):
        seconds = float(frame.x.iloc[0])
        if seconds:
            Path(sys.argv[1], "asked").touch()
        time.sleep(seconds)
        return pd.DataFrame({"prediction": [float(os.getpid())] * len(frame)}, index=frame.index)

serve(Path(sys.argv[1]), f"sqlite:///{sys.argv[1]}/ledger.db", port=0, key=sys.argv[2] or None, loader=lambda *_: Constant(), processes=2)
print("stopped")
"""

pytestmark = pytest.mark.skipif(not can_fork(), reason="processes cannot be forked here")


@contextmanager
def serving(home: Path, key: str = "", program: str = PROGRAM) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the two processes, and give their parent and their address."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(home), key],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout
        yield process, process.stdout.readline().split()[2]
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)


def ask(url: str, body: Any = None, **headers: str) -> tuple[int, str]:
    """Ask on a connection of its own, which any of the processes may take."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", "Connection": "close", **headers})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def members(parent: int) -> set[int]:
    return {int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()}


def counter(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def predicted_by(url: str, **headers: str) -> int:
    """Return the process that has predicted."""
    status, text = ask(f"{url}{PREDICT}", {"x": 0.0}, **headers)
    assert status == 200, text
    return int(json.loads(text)["prediction"])


def test_what_all_processes_count_adds_up(place: Any) -> None:
    place.promote("taxi", "duration", 1)
    with serving(place.home) as (process, url):
        until(lambda: ask(f"{url}/ready")[0] == 200)
        asked, seen = 0, set[int]()
        while len(seen) < 2 or asked < 30:
            seen.add(predicted_by(url))
            asked += 1
            assert asked < 2000
        assert seen == members(process.pid)
        name = 'caudal_requests_total{route="/api/v1/<product>/<model>/predict",status="200"}'
        assert {counter(ask(f"{url}/metrics")[1], name) for _ in range(10)} == {float(asked)}
        until(lambda: counter(ask(f"{url}/metrics")[1], 'caudal_input_rows_total{model="duration",product="taxi"}') == asked)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out.strip()) == (0, "stopped")
    assert "Traceback" not in err
    with sqlite3.connect(place.home / "ledger.db") as ledger:
        (counted,) = ledger.execute(
            "select sum(count) from measurements where metric = 'requests' and subject = 'duration'"
        ).fetchone()
    assert counted == asked


def test_a_process_that_is_killed_is_replaced(place: Any) -> None:
    place.promote("taxi", "duration", 1)
    with serving(place.home) as (process, url):
        until(lambda: len(members(process.pid)) == 2)
        until(lambda: ask(f"{url}/ready")[0] == 200)
        (killed, other) = sorted(members(process.pid))
        os.kill(killed, signal.SIGKILL)
        for _ in range(20):  # the other answers, whoever accepts
            assert predicted_by(url) != killed
        until(lambda: len(members(process.pid) - {killed}) == 2)
        assert other in members(process.pid)
        (new,) = members(process.pid) - {other}
        until(lambda: predicted_by(url) == new)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert "is replaced" in err


@pytest.mark.slow
@pytest.mark.parametrize("to_all", [False, True], ids=["SIGTERM", "Ctrl-C"])
def test_current_requests_are_finished(place: Any, to_all: bool) -> None:
    place.promote("taxi", "duration", 1)
    with serving(place.home) as (process, url):
        until(lambda: ask(f"{url}/ready")[0] == 200)
        asking = subprocess.Popen(
            [sys.executable, "-c", f"import urllib.request as u; print(u.urlopen(u.Request('{url}{PREDICT}', b'{{\"x\": 2.0}}', {{'Content-Type': 'application/json'}})).status)"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        until((place.home / "asked").exists)
        if to_all:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert asking.communicate(timeout=PATIENCE_S)[0].strip() == "200"
    assert (process.returncode, out.strip()) == (0, "stopped")
    assert "Traceback" not in err


SLOW_SECOND = """
from caudal.serve import server

create = server.create_app

def create_slowly(*positional, **named):
    app = create(*positional, **named)
    time.sleep(3.0 * named["shared"].process)
    return app

server.create_app = create_slowly
serve("""


@pytest.mark.parametrize("program", [PROGRAM, PROGRAM.replace("\nserve(", SLOW_SECOND)], ids=["at work", "one not ready"])
def test_processes_end_with_their_parent(place: Any, program: str) -> None:
    with serving(place.home, program=program) as (process, _):
        until(lambda: len(members(process.pid)) == 2)
        left = members(process.pid)
        process.kill()
        until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left))


def test_who_signs_in_is_known_to_every_process(place: Any) -> None:
    place.promote("taxi", "duration", 1)
    with serving(place.home, KEY) as (process, url):
        until(lambda: ask(f"{url}/ready", None, **{"X-API-Key": KEY})[0] == 200)
        visitor = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        sign_in_by_url(visitor, url, KEY)
        seen: set[int] = set()
        for _ in range(2000):
            request = urllib.request.Request(
                f"{url}{PREDICT}", b'{"x": 0.0}', {"Content-Type": "application/json", "Connection": "close"}
            )
            seen.add(int(json.load(visitor.open(request))["prediction"]))
            if len(seen) == 2:
                break
        assert seen == members(process.pid)
        assert ask(f"{url}{PREDICT}", {"x": 0.0})[0] == 401


def test_sessions_in_files(tmp_path: Path) -> None:
    now = [1000.0]
    sessions = SharedSessions(100.0, tmp_path, clock=lambda: now[0])
    session, other = sessions.begin(5), SharedSessions(100.0, tmp_path, clock=lambda: now[0])
    assert other.key_of(session) == 5
    assert other.key_of("../guessed") is None
    assert other.key_of(None) is None
    assert session not in {file.name for file in tmp_path.iterdir()}
    now[0] = 1100.0
    assert other.key_of(session) is None
    now[0] = 1000.0
    other.end(session)
    assert sessions.key_of(session) is None


def test_the_secret_is_not_shown(tmp_path: Path) -> None:
    assert "not to be seen" not in repr(SharedState(tmp_path, b"not to be seen"))


@pytest.mark.parametrize(
    ("cores", "quota", "processes"), [(1, None, 1), (2, None, 2), (64, None, 4), (8, 2.5, 2), (8, 0.5, 1), (3, 16.0, 3)]
)
def test_there_are_as_many_as_there_are_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, quota: float | None, processes: int
) -> None:
    limits = GroupLimits(2, None if quota is None else (quota, "cpu.max"), None, None, None, "/")
    monkeypatch.setattr("caudal.web.processes.usable_cores", lambda: cores)
    monkeypatch.setattr("caudal.web.processes.group_limits", lambda _: limits)
    assert default_processes() == processes
    monkeypatch.setattr("caudal.web.processes.can_fork", lambda: False)
    assert default_processes() == 1
