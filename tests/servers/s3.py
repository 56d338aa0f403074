"""An S3 server of its own process on loopback (moto); it can be stopped in the middle of a fetch and started again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

_NUMBERS = count(1)
USER, SECRET = "caudal", "caudal-secret"


@dataclass
class S3Server:
    """Where the server is, and what a process needs to know of it.

    Parameters
    ----------
    port : int, kept over a restart; what was stored is not
    """

    port: int
    process: subprocess.Popen[bytes] | None = None
    buckets: list[str] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables by which AWS libraries find the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
        }  # fmt: skip

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(300):
            if self.process.poll() is not None:
                raise RuntimeError("the S3 server ended as it was started")
            try:
                with urllib.request.urlopen(f"{self.endpoint}/moto-api/data.json", timeout=1):
                    return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("the S3 server does not answer")

    def pause(self) -> None:
        """Stop the server where it is: connections stay open and nothing is answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill the server; what it stored is lost."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def client(self) -> Any:
        """Return a boto3 client of the server."""
        import boto3

        return boto3.client(
            "s3", endpoint_url=self.endpoint, aws_access_key_id=USER, aws_secret_access_key=SECRET, region_name="us-east-1"
        )

    def bucket(self, name: str | None = None) -> str:
        """Make an empty bucket and return its name."""
        name = name or f"caudal-{os.getpid()}-{next(_NUMBERS)}"
        self.client().create_bucket(Bucket=name)
        self.buckets.append(name)
        return name

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Store an object."""
        self.client().put_object(Bucket=bucket, Key=key, Body=content)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def s3_server() -> S3Server:
    """Return a server that runs; stop it afterwards."""
    server = S3Server(free_port())
    server.start()
    return server
