"""A Redis server for tests, where the system has one: loopback only, nothing on the disk, gone with the test."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from caudal.engine.loopback import free_port

PASSWORD = "Zq7-redis-pass"


class RedisServer:
    """A running server; `stop` and `start` lose what it holds, as a server without persistence does."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._binary, self.folder, self.port = binary, folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Its address, with the password."""
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "save": "",
            "appendonly": "no",
            "requirepass": PASSWORD,
            "dir": self.folder,
        }
        said = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([self._binary, *said], stdout=log, stderr=log)
        client = self.client()
        for _ in range(300):
            try:
                client.ping()
                client.close()
                return
            except Exception:  # noqa: BLE001  it is not up yet
                assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
                time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def stop(self) -> None:
        """Stop it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def client(self) -> object:
        """Return a client of its own."""
        import redis

        return redis.Redis.from_url(self.url, decode_responses=True)


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Yield a server that is up."""
    pytest.importorskip("redis")
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no Redis: install the system's package redis-server")
    folder = Path(tempfile.mkdtemp(prefix="caudal-redis-", dir="/tmp"))
    server = RedisServer(binary, folder)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """A server that is up; one for all tests of a run. Which tests stop it take one of their own."""
    with redis_server() as server:
        yield server


@pytest.fixture
def redis_url(redis: RedisServer) -> str:
    """The address of an empty database."""
    redis.client().flushall()  # type: ignore[attr-defined]
    return redis.url
