"""``caudal tunnel`` against OpenSSH's server on loopback."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import asyncssh
import pytest

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(SSHD is None, reason="sshd (openssh-server) is not installed")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Sshd:
    """OpenSSH's server with keys and a configuration of its own; ``home`` is that of a user who may log in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.port = folder, folder / "home", free_port()
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        user = asyncssh.generate_private_key("ssh-ed25519")
        for name, key in ((folder / "host", self.key), (self.home / ".ssh/id_ed25519", user)):
            key.write_private_key(str(name))
            name.chmod(0o600)
        user.write_public_key(str(folder / "authorized"))
        self.know(self.key)
        (folder / "config").write_text(
            f"Subsystem sftp internal-sftp\n"
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\nPidFile none\n"
            "StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        )
        self.address = f"{getpass.getuser()}@127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def know(self, key: asyncssh.SSHKey) -> None:
        (self.home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{self.port} {key.export_public_key().decode()}")

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        assert SSHD is not None
        # A session of its own: its children, one for each connection, end with it.
        self.process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", self.folder / "config"], start_new_session=True, stderr=subprocess.DEVNULL
        )
        for _ in range(600):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("sshd does not listen")

    def stop(self) -> None:
        if self.process is not None:
            children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True).stdout
            self.process.kill()
            self.process.wait()
            for pid in children.split():
                os.kill(int(pid), signal.SIGKILL)
            self.process = None

    def tunnel(self, *arguments: str) -> subprocess.Popen[str]:
        return self.caudal("tunnel", self.address, *arguments)

    def caudal(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"} | {"HOME": str(self.home)}
        command = [sys.executable, "-m", "caudal", *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def refused(self, *arguments: str) -> str:
        process = self.tunnel(*arguments)
        output = process.communicate(timeout=120)[0]
        assert process.returncode == 6, output
        assert "Traceback" not in output
        return " ".join(output.split())


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    server = Sshd(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def history() -> Iterator[int]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 300_000 + b"history")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def get(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
        return bytes(answer.read())


def line_with(process: subprocess.Popen[str], words: str) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return line
    raise AssertionError(lines)


@pytest.mark.slow(minutes=1)
def test_a_server_is_reached_and_again_after_sshd_was_killed(sshd: Sshd, history: int) -> None:
    port = free_port()
    process = sshd.tunnel("--to", f"127.0.0.1:{history}", "--port", str(port), "--jump", sshd.address)
    try:
        assert f"127.0.0.1:{port} leads to 127.0.0.1:{history}" in line_with(process, "leads to")
        assert get(port).endswith(b"xhistory")
        sshd.stop()
        assert "attempt 1 of 6" in line_with(process, "was lost")
        sshd.start()
        line_with(process, "again.")
        assert len(get(port)) == 300_007
        process.send_signal(signal.SIGTERM)
        assert "The tunnel is closed." in process.communicate(timeout=60)[0]
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow(minutes=1)
def test_what_is_refused_says_what_mends_it(sshd: Sshd, history: int) -> None:
    target = ("--to", f"127.0.0.1:{history}")
    assert "does not reach 127.0.0.1" in sshd.refused("--to", f"127.0.0.1:{free_port()}")
    assert f"Port {history} of 127.0.0.1" in sshd.refused(*target, "--port", str(history))
    other = asyncssh.generate_private_key("ssh-ed25519")
    sshd.know(other)
    assert f"ssh-keygen -R '[127.0.0.1]:{sshd.port}'" in sshd.refused(*target)
    (sshd.home / ".ssh/known_hosts").unlink()
    assert f"accept it: ssh -p {sshd.port}" in sshd.refused(*target)
    sshd.know(sshd.key)
    other.write_private_key(str(sshd.home / ".ssh/id_ed25519"))
    assert "refuses the login" in sshd.refused(*target)
    sshd.stop()
    assert "cannot be reached" in sshd.refused(*target)


@pytest.mark.slow(minutes=1)
def test_logs_by_ssh_measure_what_the_files_do(sshd: Sshd, tmp_path: Path) -> None:
    events = [
        {"Event": "SparkListenerApplicationStart", "App Name": "a", "App ID": "app-1", "Timestamp": 1000, "User": "ann"},
        {"Event": "SparkListenerApplicationEnd", "Timestamp": 5000},
    ]
    lines = [json.dumps(each, separators=(",", ":")) + "\n" for each in events]
    (tmp_path / "app-1").write_text("".join(lines))
    rolled = tmp_path / "eventlog_v2_app-1"
    rolled.mkdir()
    (rolled / "appstatus_app-1").touch()
    for number, line in enumerate(lines, 1):
        (rolled / f"events_{number}_app-1").write_text(line)
    for log in (tmp_path / "app-1", rolled):
        documents = []
        for address in (str(log), f"ssh://{sshd.address}{log}"):
            jump = ("--jump", sshd.address) if address.startswith("ssh") and log == rolled else ()
            process = sshd.caudal("measures", address, "--json", *jump)
            output = process.communicate(timeout=120)[0]
            assert process.returncode == 0, output
            documents.append(json.loads(output))
            assert documents[-1].pop("log") == address
        assert documents[0] == documents[1]
        assert documents[0]["application"]["duration_ms"] == 4000
    process = sshd.caudal("measures", f"ssh://{sshd.address}{tmp_path}/none")
    output = " ".join(process.communicate(timeout=120)[0].split())
    assert process.returncode == 8, output
    assert "none' of" in output
