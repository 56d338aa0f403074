"""A workspace of Databricks for tests: it plays the Jobs, Files, Clusters and SCIM APIs as they are published, and really does what is submitted."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

TOKEN = "dapi-Zq7-played-token"
VOLUME = "/Volumes/main/tests/compare"
CLUSTER = "0105-080000-played01"
_DRIVER = Path(__file__).with_name("driver.py")
_DELIVERED_S = 0.5  # after the end of a run its cluster delivers its logs
_FILES, _DIRECTORIES = "/api/2.0/fs/files", "/api/2.0/fs/directories"


@dataclass
class Run:
    """A run that was submitted, and the process that does it."""

    number: int
    task: dict[str, Any]
    cluster: str
    token: str | None
    began_ms: int
    ended_ms: int = 0
    result: str = ""
    message: str = ""
    error: str = ""
    process: subprocess.Popen[bytes] | None = None
    cancelled: bool = False

    def document(self) -> dict[str, Any]:
        """Return what runs/get says."""
        state = {"life_cycle_state": "TERMINATED" if self.result else "RUNNING", "state_message": self.message}
        task = {"run_id": self.number + 1000, "task_key": self.task["task_key"], "cluster_instance": {"cluster_id": self.cluster}}
        return {
            "job_id": 1, "run_id": self.number, "start_time": self.began_ms, "end_time": self.ended_ms, "tasks": [task],
            "state": state | ({"result_state": self.result} if self.result else {}),
        }  # fmt: skip


@dataclass
class Workspace:
    """A workspace; its volumes are a folder.

    Parameters
    ----------
    hangs : whether work is begun and never ends
    fails : what the driver prints before it dies; None: it does the work
    """

    folder: Path
    hangs: bool = False
    fails: str | None = None
    runs: dict[int, Run] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    submitted: list[dict[str, Any]] = field(default_factory=list)
    host: str = ""

    def path(self, name: str) -> Path:
        """Return where a path of a volume lies."""
        return self.folder / name.strip("/")

    def submit(self, order: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Begin a run, or say what is wrong with it."""
        for run in self.runs.values():
            if order.get("idempotency_token") == run.token:
                return 200, {"run_id": run.number}
        self.submitted.append(order)
        (task,) = order["tasks"]
        if (cluster := task.get("existing_cluster_id")) is not None and cluster != CLUSTER:
            return 400, {"error_code": "INVALID_PARAMETER_VALUE", "message": f"Cluster {cluster} does not exist"}
        new = task.get("new_cluster")
        if new is not None and not {"spark_version", "node_type_id"} <= {*new}:
            return 400, {
                "error_code": "INVALID_PARAMETER_VALUE",
                "message": "Missing required field 'spark_version' or 'node_type_id'",
            }
        number = len(self.runs) + 1
        run = Run(
            number, task, cluster or f"0105-08000{number}-job{number}", order.get("idempotency_token"), int(time.time() * 1000)
        )
        self.runs[number] = run
        threading.Thread(target=self._do, args=(run,), daemon=True).start()
        return 200, {"run_id": number}

    def _do(self, run: Run) -> None:
        place = self.folder / "drivers" / str(run.number)
        libraries, logs = place / "libraries", place / "eventlogs"
        logs.mkdir(parents=True)
        for library in run.task["libraries"]:
            wheel = str(self.path(library["whl"]))
            uv = Path(sys.executable).with_name("uv")
            install = [uv, "pip", "install", "-q", "--offline", "--no-deps", "--target", libraries, wheel]
            if subprocess.run(install, capture_output=True, check=False).returncode:
                run.message, run.result = f"Library installation failed for {library['whl']}", "FAILED"
                return
        task = run.task["python_wheel_task"]
        # A volume lies at its own path on a cluster, and within the folder of this workspace here.
        parameters = [str(self.path(each)) if each.startswith("/Volumes/") else each for each in task["parameters"]]
        job = {
            "package": task["package_name"], "entry_point": task["entry_point"], "parameters": parameters, "event_logs": logs.as_uri(),
            "spark_conf": run.task.get("new_cluster", {}).get("spark_conf", {}), "hangs": self.hangs, "fails": self.fails,
        }  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(libraries), "DATABRICKS_RUNTIME_VERSION": "18.0"}
        with (place / "output.txt").open("wb") as output:
            run.process = subprocess.Popen(
                [sys.executable, str(_DRIVER), json.dumps(job)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=place,
                start_new_session=True, env=environment,
            )  # fmt: skip
            if run.cancelled:
                self.end(run)
            code = run.process.wait()
        lines = (place / "output.txt").read_text(errors="replace").strip().splitlines()
        run.ended_ms = int(time.time() * 1000)
        run.error = lines[-1] if code and lines else ""
        run.message = "Run cancelled." if run.cancelled else "Workload failed, see run output for details" if code else ""
        run.result = "CANCELED" if run.cancelled else "FAILED" if code else "SUCCESS"
        self._deliver(run, logs)

    def _deliver(self, run: Run, logs: Path) -> None:
        """Deliver the event log as a cluster does: late, its first part rolled and packed, two folders deep."""
        conf = run.task.get("new_cluster", {}).get("cluster_log_conf")
        written = [file for file in logs.iterdir() if not file.name.startswith(".")]
        if conf is None or not written:
            return
        time.sleep(_DELIVERED_S)
        place = self.path(conf["volumes"]["destination"]) / run.cluster / "eventlog" / f"{run.cluster}_10_0_0_1" / "4711"
        whole = written[0].read_bytes()
        half = whole.index(b"\n", len(whole) // 2) + 1
        part = place.with_name("part")
        part.mkdir(parents=True)
        (part / "eventlog-2026-01-05--08-00.gz").write_bytes(gzip.compress(whole[:half]))
        (part / "eventlog").write_bytes(whole[half:])
        part.rename(place)

    def cancel(self, number: int) -> None:
        """Cancel a run."""
        run = self.runs[number]
        run.cancelled = True
        if run.process is not None:
            self.end(run)

    @staticmethod
    def end(run: Run) -> None:
        """End the process of a run."""
        assert run.process is not None
        with suppress(ProcessLookupError):
            os.killpg(run.process.pid, signal.SIGKILL)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    workspace: Workspace

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path, body = unquote(parts.path), self._body()
        self.workspace.asked.append(f"{method} {path}")
        if path.startswith("/signed/"):  # such an address needs no token: its signature is in it
            return self._file("GET", path.removeprefix("/signed"), b"")
        if path == "/.well-known/databricks-config":
            return self._say(200, {"workspace_id": "1", "oidc_endpoint": f"{self.workspace.host}/oidc"})
        if not path.startswith("/api/"):
            return self._say(404, {"error_code": "ENDPOINT_NOT_FOUND", "message": f"No API found for '{method} {path}'"})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._say(
                401, {"error_code": "UNAUTHENTICATED", "message": f"Invalid access token {self.headers.get('Authorization')}"}
            )
        if path.startswith(_FILES):
            return self._file(method, path.removeprefix(_FILES), body)
        if path.startswith(_DIRECTORIES):
            return self._directory(method, path.removeprefix(_DIRECTORIES))
        return self._api(method, path, query, body)

    def _api(self, method: str, path: str, query: dict[str, str], body: bytes) -> None:
        workspace, name = self.workspace, path.removeprefix("/api/").partition("/")[2]
        order = json.loads(body) if body else {}
        if name == "preview/scim/v2/Me":
            return self._say(200, {"id": "1", "userName": "team@example.org"})
        if name == "fs/create-download-url":
            return self._say(200, {"url": f"{workspace.host}/signed{quote(query['path'])}", "headers": []})
        if name == "clusters/get":
            if query["cluster_id"] == CLUSTER:
                return self._say(200, {"cluster_id": CLUSTER, "state": "RUNNING"})
            ended = {run.cluster: bool(run.result) for run in workspace.runs.values()}
            if query["cluster_id"] in ended:
                state = "TERMINATED" if ended[query["cluster_id"]] else "RUNNING"
                return self._say(200, {"cluster_id": query["cluster_id"], "state": state})
            message = f"Cluster {query['cluster_id']} does not exist"
            return self._say(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": message})
        if name == "jobs/runs/submit":
            return self._say(*workspace.submit(order))
        number = int(query.get("run_id") or order.get("run_id") or 0)
        run = workspace.runs.get(number % 1000)
        if run is None or not name.startswith("jobs/runs/"):
            return self._say(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"{method} {path}"})
        if name == "jobs/runs/cancel":
            workspace.cancel(number)
            return self._say(200, {})
        if name == "jobs/runs/get-output":
            return self._say(200, {"metadata": run.document(), "error": run.error})
        return self._say(200, run.document())

    def _file(self, method: str, name: str, body: bytes) -> None:
        file = self.workspace.path(name)
        if method == "PUT":
            if not file.parent.is_dir():
                return self._missing(name)
            file.write_bytes(body)
            return self._say(204, None)
        if not file.is_file():
            return self._missing(name)
        if method == "DELETE":
            file.unlink()
            return self._say(204, None)
        return self._content(file, whole=method == "GET")

    def _directory(self, method: str, name: str) -> None:
        folder = self.workspace.path(name)
        if method == "PUT":
            folder.mkdir(parents=True, exist_ok=True)
            return self._say(204, None)
        if not folder.is_dir():
            return self._missing(name)
        if method == "DELETE":
            if any(folder.iterdir()):
                return self._say(400, {"error_code": "DIRECTORY_NOT_EMPTY", "message": f"{name} is not empty"})
            folder.rmdir()
            return self._say(204, None)
        if method == "HEAD":
            return self._say(200, None)
        contents = [
            {"path": f"/{each.relative_to(self.workspace.folder).as_posix()}", "name": each.name, "is_directory": each.is_dir()}
            | ({} if each.is_dir() else {"file_size": each.stat().st_size})
            for each in sorted(folder.iterdir())
        ]
        return self._say(200, {"contents": contents})

    def _missing(self, name: str) -> None:
        self._say(404, {"error_code": "NOT_FOUND", "message": f"No file or directory exists on path {name}."})

    def _content(self, file: Path, *, whole: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(file.stat().st_size))
        self.send_header("Last-Modified", self.date_time_string(file.stat().st_mtime))
        self.end_headers()
        if whole:
            with file.open("rb") as opened:
                shutil.copyfileobj(opened, self.wfile)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _say(self, status: int, document: dict[str, Any] | None) -> None:
        content = b"" if document is None or self.command == "HEAD" else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at what was asked."""


@contextmanager
def databricks(folder: Path) -> Iterator[Workspace]:
    """Yield a workspace that answers; what it still does at the end is ended."""
    workspace = Workspace(folder)
    workspace.path(VOLUME).mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"workspace": workspace}))
    server.daemon_threads = True
    workspace.host = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield workspace
    finally:
        for run in workspace.runs.values():
            if run.process is not None and run.process.poll() is None:
                workspace.end(run)
        server.shutdown()
        server.server_close()
        thread.join()
