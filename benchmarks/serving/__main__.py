"""``python -m benchmarks.serving``: single predictions a second, one process each, in turns."""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environment import python_with
from benchmarks.serving.load import measure
from benchmarks.serving.model import COMPILED, LOOKED_UP, PIPELINE, asked as asked_of, make_home

HERE = Path(__file__).parent
FASTAPI, MLFLOW, BENTOML = "fastapi", "mlflow", "bentoml"
PEERS = (FASTAPI, MLFLOW, BENTOML)
KEY = "a-key-of-the-benchmark"


@dataclass(frozen=True)
class Contender:
    """A server, and where it predicts. ``?explain=false`` leads past the fast lane to the app, as every request went before there was one."""

    name: str
    server: str  # for caudal's own the home
    path: str
    processes: int = 1


CONTENDERS = (
    Contender("arrays, fast lane", COMPILED, f"/api/v1/bench/{COMPILED}/predict"),
    Contender("arrays, fast lane, four of ten features looked up", LOOKED_UP, f"/api/v1/bench/{LOOKED_UP}/predict"),
    Contender("arrays, fast lane, two processes", COMPILED, f"/api/v1/bench/{COMPILED}/predict", processes=2),
    Contender("looked up, two processes", LOOKED_UP, f"/api/v1/bench/{LOOKED_UP}/predict", processes=2),
    Contender("arrays, app", COMPILED, f"/api/v1/bench/{COMPILED}/predict?explain=false"),
    Contender("pipeline, fast lane", PIPELINE, f"/api/v1/bench/{PIPELINE}/predict"),
    Contender("pipeline, app: as it was before", PIPELINE, f"/api/v1/bench/{PIPELINE}/predict?explain=false"),
    Contender("FastAPI, pandas", FASTAPI, "/predict"),
    Contender("MLflow's server", MLFLOW, "/invocations"),
    Contender("BentoML, adaptive batching", BENTOML, "/predict"),
)


def command_of(server: str, folder: Path, port: int, processes: int) -> list[str]:
    """Return the command of a server."""
    if server == FASTAPI:
        return [str(python_with(HERE / "fastapi.txt")), "-m", "uvicorn", "fastapi_app:app", "--port", str(port), "--log-level", "error", "--no-access-log"]  # fmt: skip
    if server == MLFLOW:
        python = python_with(HERE / "mlflow.txt")
        if not (folder / MLFLOW).exists():
            subprocess.run(
                [python, str(HERE / "mlflow_model.py"), str(folder / "pipeline.joblib"), str(folder / MLFLOW)],
                check=True,
                stderr=subprocess.DEVNULL,
            )
        return [str(python), "-m", "mlflow", "models", "serve", "-m", str(folder / MLFLOW), "--env-manager", "local", "-p", str(port), "-w", "1"]  # fmt: skip
    if server == BENTOML:
        return [str(python_with(HERE / "bentoml.txt")), "-m", "bentoml", "serve", "bentoml_service:Predictor", "--port", str(port)]
    return [
        sys.executable,
        "-m",
        "caudal",
        "serve",
        "--home",
        str(folder / server),
        "--port",
        str(port),
        "--processes",
        str(processes),
    ]


@contextmanager
def running(server: str, folder: Path, body: bytes, path: str, processes: int) -> Iterator[tuple[int, int, float]]:
    """Yield port, process and seconds until the first prediction of a server, which is stopped afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = command_of(server, folder, port, processes)  # makes the environment of a peer
    began = time.perf_counter()
    environment = {**os.environ, "CAUDAL_KEY": KEY, "PIPELINE": str(folder / "pipeline.joblib"), "OMP_NUM_THREADS": "1", "PATH": f"{Path(command[0]).parent}:{os.environ['PATH']}"}  # fmt: skip
    stderr = subprocess.DEVNULL if server in PEERS else None  # they log each start and stop
    process = subprocess.Popen(command, cwd=HERE, env=environment, stdout=subprocess.DEVNULL, stderr=stderr)
    try:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json", "X-API-Key": KEY}
        )
        while True:
            try:
                urllib.request.urlopen(request).read()
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() - began > 120:
                    raise
                time.sleep(0.02)
        yield port, process.pid, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def megabytes(pid: int) -> float:
    """Return the memory of a process that it shares with no other, and its part of what is shared (PSS)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    pss_kb = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
    return int(pss_kb[1]) / 1024 if pss_kb else float("nan")


def with_children(pid: int) -> list[int]:
    """Return a process and those that it has started, and they in turn."""
    children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return [pid, *(each for child in children for each in with_children(child))]


def processor_s(pid: int) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(contender: Contender, folder: Path, body: bytes, connections: int, seconds: float) -> dict[str, float]:
    """Return the figures of one server, started for them."""
    with running(contender.server, folder, body, contender.path, contender.processes) as (port, pid, start_s):
        pids = with_children(pid)
        before = sum(map(processor_s, pids))
        headers = {} if contender.server in PEERS else {"X-API-Key": KEY}
        load = measure(port, contender.path, body, headers, connections=connections, seconds=seconds)
        used_us = (sum(map(processor_s, pids)) - before) / (load.per_second * seconds) * 1e6
        figures = {
            **vars(load),
            "processor_us": used_us,
            "start_s": start_s,
            "MB": sum(map(megabytes, pids)),
            "machine_load": os.getloadavg()[0],
        }
    return {name: round(value, 2) for name, value in figures.items()}


def main() -> None:
    """Print a line of JSON for each server of each round, then the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--only", nargs="*", default=[], help="servers that are measured, all unless given")
    parser.add_argument("--without", nargs="*", default=[], help="servers that are left out")
    asked = parser.parse_args()
    rounds: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        row = make_home(Path(folder))
        bodies = {
            LOOKED_UP: json.dumps(asked_of(row)).encode(),
            MLFLOW: json.dumps({"dataframe_records": [row]}).encode(),
            BENTOML: json.dumps({"rows": [row]}).encode(),
        }
        body = json.dumps(row).encode()
        for number in range(asked.rounds):
            for contender in CONTENDERS:
                if contender.server not in asked.without and (not asked.only or contender.server in asked.only):
                    figures = measured(
                        contender, Path(folder), bodies.get(contender.server, body), asked.connections, asked.seconds
                    )
                    rounds.setdefault(contender.name, []).append(figures)
                    print(json.dumps({"round": number, "name": contender.name, **figures}), flush=True)
    for name, of_name in rounds.items():
        medians = {key: round(statistics.median(figures[key] for figures in of_name), 2) for key in of_name[0]}
        print(json.dumps({"median of": name, **medians}), flush=True)


if __name__ == "__main__":
    main()
