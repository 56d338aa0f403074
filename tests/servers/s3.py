"""A server of the S3 protocol (moto) for tests, in processes of its own; the fixture is `s3`."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from caudal.engine.loopback import free_port, kill_program, start_program

_START_S = 60.0
_SERVE = "import sys; from moto.server import main; main(sys.argv[1:])"


class S3Server:
    """The server, behind a door that can be shut: a shut door is what clients see of a server that was killed.

    Moto keeps all in memory, so it goes on while the door is shut; an S3 that comes back has lost nothing either.
    """

    def __init__(self, folder: Path) -> None:
        self.port, self._inner = free_port(), free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.log = folder / "moto.log"
        self._names = itertools.count(1)
        command = [sys.executable, "-W", "ignore", "-c", _SERVE, "-H", "127.0.0.1", "-p", str(self._inner)]
        self._moto = start_program(command, self.log, cwd=folder)
        self._door: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def environ(self) -> dict[str, str]:
        """The variables by which every client finds the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "AWS_DEFAULT_REGION": "us-east-1",
        }  # fmt: skip

    @property
    def pid(self) -> int:
        """The process that clients speak to."""
        assert self._door is not None
        return self._door.pid

    def bucket(self, name: str | None = None) -> str:
        """Return the name of a bucket that was made just now."""
        name = name or f"bucket-{next(self._names)}"
        request = urllib.request.Request(f"http://127.0.0.1:{self._inner}/{name}", method="PUT")
        urllib.request.urlopen(request, timeout=10).close()
        return name

    def client(self) -> Any:
        """Return a boto3 client of the server."""
        import boto3

        keys = {
            "aws_access_key_id": self.environ["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": self.environ["AWS_SECRET_ACCESS_KEY"],
        }
        return boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1", **keys)

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Store an object."""
        self.client().put_object(Bucket=bucket, Key=key, Body=content)

    def pause(self) -> None:
        """Stop the server where it is: connections stay open and nothing is answered."""
        self._moto.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._moto.send_signal(signal.SIGCONT)

    def start(self) -> None:
        """Let clients in."""
        command = [sys.executable, str(Path(__file__).with_name("forward.py")), str(self.port), str(self._inner)]
        self._door = start_program(command, self.log, cwd=self.log.parent)
        until = time.monotonic() + _START_S
        while True:
            try:
                urllib.request.urlopen(self.endpoint, timeout=5).close()
                return
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        """Kill the process that clients speak to."""
        if self._door is not None:
            kill_program(self._door)
            self._door = None

    def close(self) -> None:
        """End all."""
        self.stop()
        kill_program(self._moto)

    def requests(self) -> list[str]:
        """Return the requests so far: ``GET /bucket/key 200``."""
        lines = (line.split('"') for line in self.log.read_text().splitlines() if " HTTP/1.1" in line)
        return [f"{parts[1].rpartition(' ')[0]} {parts[2].split()[0]}" for parts in lines]


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The server of this test run."""
    pytest.importorskip("moto")
    server = S3Server(tmp_path_factory.mktemp("s3"))
    yield server
    server.close()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, found by all clients in this process."""
    for name in [one for one in os.environ if one.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_server.environ.items():
        monkeypatch.setenv(name, value)
    return s3_server
