"""Hosts on this machine: they reach one another over a network that can be cut, and nothing of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from caudal.engine.hosts import Hosts
from caudal.errors import EnvironmentProblem

ANSWER = "import socket,sys; s=socket.create_server((sys.argv[1],7000)); print('up',flush=True); [s.accept()[0].close() for _ in range(9)]"
ASK = "import socket,sys; socket.create_connection((sys.argv[1],7000),2).close()"


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    try:
        with Hosts(tmp_path, 2) as made:
            yield made
    except EnvironmentProblem as problem:
        pytest.skip(f"no network namespaces here: {problem}")


def links() -> str:
    return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout


def names() -> list[str]:
    return [word.split("@")[0] for word in links().replace(":", "").split() if word.startswith("caudal")]


def gone(name: str) -> bool:
    until = time.monotonic() + 20
    while name in links():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_they_reach_one_another_until_a_link_is_cut(hosts: Hosts) -> None:
    def reaches(number: int | None) -> bool:
        command = [sys.executable, "-c", ASK, hosts.address(1)]
        return subprocess.run(command if number is None else hosts.within(number, command), capture_output=True).returncode == 0

    with subprocess.Popen(
        hosts.within(1, [sys.executable, "-c", ANSWER, hosts.address(1)]), stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "up\n"
            assert reaches(0)
            assert reaches(None), "this machine is among them"
            hosts.cut(1)
            assert not reaches(0)
            assert not reaches(None)
            hosts.join(1)
            assert reaches(0)
        finally:
            server.kill()


def test_nothing_is_left_of_them_when_their_process_is_killed(hosts: Hosts, tmp_path: Path) -> None:
    before = set(names())
    program = f"import sys, time; from pathlib import Path; from caudal.engine.hosts import Hosts\nwith Hosts(Path({str(tmp_path)!r}), 1) as h: print(h.own, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("198.18.")
            link = (set(names()) - before).pop()
        finally:
            os.kill(process.pid, signal.SIGKILL)
    assert gone(link)


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EnvironmentProblem, match="the program 'ip' is missing"), Hosts(tmp_path, 1):
        pass


def test_more_hosts_than_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="300 hosts are more than the 250"), Hosts(tmp_path, 300):
        pass
