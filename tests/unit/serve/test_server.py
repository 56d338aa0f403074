"""The server as a real process: from a free port to a clean stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.serve import serve
from caudal.web.server import serve_in_thread

PROGRAM = """
import sys, time
from pathlib import Path
import pandas as pd
from caudal.registry.row_frames import PredictsFrames
from caudal.serve import serve

class Constant(PredictsFrames):
    version, candidate = 1, "mean"
    signature = {"inputs": [{"name": "x", "type": "double"}], "output": {"name": "y", "type": "double"}, "example": {"x": 1.0}}
    def predict(self, frame):
        time.sleep(float(frame.x.iloc[0]))
        return pd.DataFrame({"prediction": [7.0] * len(frame)}, index=frame.index)

def load(product, model, version):
    Path(sys.argv[1], "loads").write_text(str(version))
    return Constant()

host, key = (sys.argv[2:] + [None])[:2]
serve(Path(sys.argv[1]), f"sqlite:///{sys.argv[1]}/ledger.db", host=host, port=0, key=key, loader=load)
print("stopped")
"""


def start(home: Path, host: str = "127.0.0.1", *key: str) -> tuple[subprocess.Popen[str], str]:
    import caudal

    source = str(Path(caudal.__file__).parent.parent)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(home), host, *key],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert process.stdout
    line = process.stdout.readline()
    return process, line.split()[2] if line else ""


def ask(url: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.slow
def test_it_starts_follows_promotions_and_finishes_what_is_under_way_before_it_stops(place: Any) -> None:
    process, url = start(place.home)
    try:
        assert ask(f"{url}/ready")[0] == 503
        place.promote("taxi", "duration", 1)
        time.sleep(2)  # no request comes in: the server looks by itself
        log = place.home / "loads"
        assert log.read_text() == "1"
        status, answer = ask(f"{url}/api/v1/taxi/duration/predict", {"x": 0.0})
        assert (status, answer["prediction"]) == (200, 7.0)
        answers: list[tuple[int, Any]] = []
        asking = threading.Thread(target=lambda: answers.append(ask(f"{url}/api/v1/taxi/duration/predict", {"x": 1.5})))
        asking.start()
        time.sleep(0.7)
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    asking.join()
    assert [(status, answer["prediction"]) for status, answer in answers] == [(200, 7.0)]
    assert process.returncode == 0
    assert out.strip().endswith("stopped")
    assert "Traceback" not in err


@pytest.mark.slow
def test_all_addresses_are_served_with_a_key(served: Any) -> None:
    process, url = start(served.home, "0.0.0.0", "the-key-of-it")
    try:
        assert ask(f"{url}/api/v1/models")[0] == 401
        assert ask(f"{url}/api/v1/models", **{"X-API-Key": "the-key-of-it"})[0] == 200
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert out.strip().endswith("stopped")
    assert "Traceback" not in err


def test_all_addresses_are_refused_without_a_key(served: Any) -> None:
    with pytest.raises(DeclarationProblem, match="no key is set"):
        serve(served.home, served.url, host="0.0.0.0", port=0, loader=served.load)


def test_a_name_that_others_made_point_here_is_not_trusted(served: Any) -> None:
    with serve_in_thread(served.app()) as url:
        status, answer = ask(f"{url}/api/v1/models", Host="evil.example")
        assert status == 400
        assert answer["what"]
        for name in ("localhost:1", "127.0.0.1", "[::1]:80"):
            assert ask(f"{url}/api/v1/models", Host=name)[0] == 200


def test_a_port_that_is_taken_is_told(served: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(EnvironmentProblem, match="--port"):
            serve(served.home, served.url, port=taken.getsockname()[1], loader=served.load)


def test_a_body_far_too_large_is_refused_by_a_running_server(served: Any) -> None:
    with serve_in_thread(served.app()) as url:
        status, answer = ask(f"{url}/api/v1/taxi/duration/predict", "x" * (5 * 2**20))
        assert status == 413
        assert answer["error"] == "RequestEntityTooLarge"


def test_a_thread_serves_for_as_long_as_its_block(served: Any, example: dict[str, Any]) -> None:
    before = threading.active_count()
    with serve_in_thread(served.app()) as url:
        assert ask(f"{url}/api/v1/taxi/duration/predict", example)[0] == 200
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=2)
    assert threading.active_count() == before


@pytest.mark.slow
def test_a_model_that_takes_long_keeps_no_probe_waiting(place: Any) -> None:
    process, url = start(place.home)
    try:
        place.promote("taxi", "duration", 1)
        until = time.monotonic() + 60
        while ask(f"{url}/ready")[0] != 200 and time.monotonic() < until:
            time.sleep(0.1)
        done = threading.Event()

        def predict() -> None:
            ask(f"{url}/api/v1/taxi/duration/predict", {"x": 4.0})
            done.set()

        asking = threading.Thread(target=predict)
        asking.start()
        time.sleep(0.5)
        assert ask(f"{url}/health")[0] == 200
        assert not done.is_set()
        asking.join()
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
