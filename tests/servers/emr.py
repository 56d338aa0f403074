"""EMR Serverless for tests: it plays the API of job runs as it is published, and really does what is submitted, by spark-submit, on the S3 of the tests."""

from __future__ import annotations

import json
import os
import re
import shlex
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
from urllib.parse import urlsplit

from tests.servers.s3 import S3Server

from caudal.engine.connectors import jars
from caudal.engine.java import java_home
from caudal.engine.jvm import common_options, join_options, spark_home

APPLICATION = "00fplayed01"
ROLE = "arn:aws:iam::123456789012:role/played"
_ARN = "arn:aws:emr-serverless:us-east-1:123456789012:/applications"
_RUNS = re.compile(r"/applications/(\w+)/jobruns(?:/(\w+))?")
_STORED_S = 0.5  # after the end of a run its event log is stored as a whole
# What EMR itself reads, and Spark does not: where the archive with Python and caudal lies.
_OWN = ("spark.archives", "spark.emr-serverless.", "spark.executorEnv.")


@dataclass
class JobRun:
    """A job run, and the process that does it."""

    number: str
    order: dict[str, Any]
    created_at: float
    ended_at: float | None = None
    state: str = "RUNNING"
    details: str = ""
    process: subprocess.Popen[bytes] | None = None

    def document(self) -> dict[str, Any]:
        """Return what GetJobRun says."""
        document = {
            "applicationId": APPLICATION, "jobRunId": self.number, "name": self.order["name"], "arn": f"{_ARN}/{APPLICATION}/jobruns/{self.number}",
            "createdBy": "arn:aws:iam::123456789012:user/tests", "createdAt": self.created_at, "updatedAt": time.time(),
            "executionRole": self.order["executionRoleArn"], "state": self.state, "stateDetails": self.details, "releaseLabel": "emr-spark-8.0.0",
            "jobDriver": self.order["jobDriver"],
        }  # fmt: skip
        return document if self.ended_at is None else {**document, "endedAt": self.ended_at}


@dataclass
class EmrServerless:
    """An application.

    Parameters
    ----------
    hangs : whether work is begun and never ends
    fails : what its driver prints before it dies; None: it does the work
    """

    folder: Path
    s3: S3Server
    hangs: bool = False
    fails: str | None = None
    runs: dict[str, JobRun] = field(default_factory=dict)
    endpoint: str = ""

    @property
    def environ(self) -> dict[str, str]:
        """The variables by which clients find S3 and the service."""
        return {**self.s3.environ, "AWS_ENDPOINT_URL_EMR_SERVERLESS": self.endpoint}

    def start(self, order: dict[str, Any]) -> JobRun:
        """Begin a job run; one whose token is known is the same."""
        for run in self.runs.values():
            if run.order["clientToken"] == order["clientToken"]:
                return run
        run = JobRun(f"00frun{len(self.runs) + 1}", order, time.time())
        self.runs[run.number] = run
        threading.Thread(target=self._do, args=(run,), daemon=True).start()
        return run

    def _do(self, run: JobRun) -> None:
        place = self.folder / "drivers" / run.number
        logs, script = place / "eventlogs", place / "entry.py"
        logs.mkdir(parents=True)
        driver = run.order["jobDriver"]["sparkSubmit"]
        try:
            bucket, key = self._split(driver["entryPoint"])
            script.write_bytes(self.s3.client().get_object(Bucket=bucket, Key=key)["Body"].read())
        except Exception:  # noqa: BLE001 — the run may have been cancelled, and its files be gone
            run.state = "FAILED" if run.state == "RUNNING" else run.state
            return
        if self.hangs:
            script.write_text("import time\ntime.sleep(600)\n")
        if self.fails:
            script.write_text(f"raise SystemExit({self.fails!r})\n")
        java, connectors = java_home(), os.pathsep.join(map(str, jars(["s3"])))
        settings = {
            "spark.master": "local[2]", "spark.driver.memory": "1g", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.extraJavaOptions": join_options([*common_options(java), "-Duser.timezone=UTC"]), "spark.driver.extraClassPath": connectors,
            "spark.eventLog.enabled": "true", "spark.eventLog.dir": logs.as_uri(), "spark.eventLog.rolling.enabled": "true",
            "spark.eventLog.compress": "false", "spark.ui.port": "0", "spark.ui.showConsoleProgress": "false",
            "spark.hadoop.fs.defaultFS": "hdfs://none", "spark.sql.warehouse.dir": "file:/tmp/none", "spark.sql.session.timeZone": "Asia/Tokyo",
        }  # fmt: skip
        given = shlex.split(driver["sparkSubmitParameters"])
        settings |= dict(each.split("=", 1) for each in given if each != "--conf" and not each.startswith(_OWN))
        options = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
        environment = {
            **os.environ, **self.s3.environ, "JAVA_HOME": str(java.path), "PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable,
            "SPARK_HOME": str(spark_home()), "SPARK_LOCAL_IP": "127.0.0.1",
        }  # fmt: skip
        command = [str(spark_home() / "bin" / "spark-submit"), *options, str(script), *driver["entryPointArguments"]]
        with (place / "output.txt").open("wb") as output:
            run.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=place, start_new_session=True, env=environment
            )
            if run.state != "RUNNING":
                self.end(run)
            code = run.process.wait()
        lines = (place / "output.txt").read_text(errors="replace").strip().splitlines()
        last = next((line for line in lines if "Error" in line or "WorkFailed" in line), "")
        run.ended_at = time.time()
        if run.state == "RUNNING":
            run.details = (
                f"Job failed, please check complete logs in configured logging destination. ExitCode: {code}. Last few exceptions: {last}"
                if code
                else ""
            )
            run.state = "FAILED" if code else "SUCCESS"
            self._store(run, logs)

    def _store(self, run: JobRun, logs: Path) -> None:
        """Store the event log as the service does: its first half at once, and the whole a little later."""
        monitoring = run.order["configurationOverrides"]["monitoringConfiguration"]["s3MonitoringConfiguration"]
        bucket, above = self._split(monitoring["logUri"])
        client, files = self.s3.client(), sorted(logs.rglob("events_*"))
        for share in (2, 1):
            for file in files:
                content = file.read_bytes()
                key = f"{above}applications/{APPLICATION}/jobs/{run.number}/sparklogs/eventlog_v2_{run.number}/{self._name(file, run)}"
                client.put_object(Bucket=bucket, Key=key, Body=content[: len(content) // share])
            time.sleep(_STORED_S)

    @staticmethod
    def _name(file: Path, run: JobRun) -> str:
        number = re.findall(r"events_(\d+)_", file.name)[0]
        return f"events_{number}_{run.number}"

    @staticmethod
    def _split(address: str) -> tuple[str, str]:
        parts = urlsplit(address)
        assert parts.scheme == "s3"
        return parts.netloc, parts.path.lstrip("/")

    def cancel(self, run: JobRun) -> None:
        """Cancel a job run."""
        run.state = "CANCELLED"
        if run.process is not None:
            self.end(run)

    @staticmethod
    def end(run: JobRun) -> None:
        """End the process of a job run."""
        assert run.process is not None
        with suppress(ProcessLookupError):
            os.killpg(run.process.pid, signal.SIGKILL)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: EmrServerless

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        path = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        signed = self.headers.get("Authorization") or ""
        if "/emr-serverless/aws4_request" not in signed or "Credential=testing/" not in signed:
            return self._refuse(403, "UnrecognizedClientException", "The security token included in the request is invalid.")
        application = path.split("/")[2]
        if application != APPLICATION:
            return self._refuse(404, "ResourceNotFoundException", f"Application {application} is not found.")
        match = _RUNS.fullmatch(path)
        if match is None:
            facts = {
                "applicationId": APPLICATION, "arn": f"{_ARN}/{APPLICATION}", "releaseLabel": "emr-spark-8.0.0", "type": "SPARK", "state": "STARTED",
                "createdAt": 0, "updatedAt": 0,
            }  # fmt: skip
            return self._say(200, {"application": facts})
        if method == "POST":
            order = json.loads(body)
            if order["executionRoleArn"] != ROLE:
                return self._refuse(
                    400, "ValidationException", f"Role {order['executionRoleArn']} cannot be assumed by the service."
                )
            run = self.service.start(order)
            return self._say(200, {"applicationId": APPLICATION, "jobRunId": run.number, "arn": run.document()["arn"]})
        run = self.service.runs[match[2]]
        if method == "DELETE":
            self.service.cancel(run)
            return self._say(200, {"applicationId": APPLICATION, "jobRunId": run.number})
        return self._say(200, {"jobRun": run.document()})

    def _refuse(self, status: int, kind: str, message: str) -> None:
        self._say(status, {"message": message}, kind)

    def _say(self, status: int, document: dict[str, Any], kind: str | None = None) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if kind is not None:
            self.send_header("x-amzn-ErrorType", kind)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at the runs."""


@contextmanager
def emr_serverless(folder: Path, s3: S3Server) -> Iterator[EmrServerless]:
    """Yield an application that takes job runs; what it still does at the end is ended."""
    service = EmrServerless(folder, s3)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": service}))
    server.daemon_threads = True
    service.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        for run in service.runs.values():
            if run.process is not None and run.process.poll() is None:
                service.end(run)
        server.shutdown()
        server.server_close()
        thread.join()
