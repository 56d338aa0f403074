"""A MariaDB server for tests, where the system has one: loopback only, gone with the test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from caudal.engine.loopback import free_port

DATABASE, USER, PASSWORD = "metastore", "hive", "Zq7-mariadb"


@pytest.fixture
def mariadb() -> Iterator[str]:
    """``host:port`` of a server with an empty database for a metastore."""
    server, install = shutil.which("mariadbd"), shutil.which("mariadb-install-db")
    client = shutil.which("mariadb")
    if server is None or install is None or client is None:
        pytest.skip("no MariaDB: install the system's package mariadb-server")
    folder = Path(tempfile.mkdtemp(prefix="caudal-maria-", dir="/tmp"))
    socket, port = folder / "socket", free_port()
    user = ["--user=root"] if os.getuid() == 0 else []
    data = [f"--datadir={folder / 'data'}", *user]
    subprocess.run(
        [install, "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", *data],
        check=True,
        capture_output=True,
    )
    settings = [
        "--no-defaults",
        *data,
        f"--socket={socket}",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        "--character-set-server=latin1",
    ]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([server, *settings], stdout=log, stderr=log)
        try:
            statements = f"CREATE DATABASE {DATABASE}; CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON {DATABASE}.* TO {USER}@'%';"
            _say([client, "--no-defaults", f"--socket={socket}", "-uroot", "-e", statements], process, folder / "log")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)
            shutil.rmtree(folder, ignore_errors=True)


def _say(command: list[str], process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        assert "connect" in done.stderr, done.stderr
        time.sleep(0.1)
    raise AssertionError(log.read_text(errors="replace")[-2000:])
