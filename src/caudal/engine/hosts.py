"""Hosts on one machine: network namespaces that are joined by a switch, each with an address of its own and a link that can be cut.

Nothing of them outlives the process that made them: the switch is a namespace too, and ends with the program that holds it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from caudal.engine.loopback import kill_program, start_program
from caudal.errors import EnvironmentProblem

_PATIENCE_S = 10.0
_PROGRAMS = ("ip", "nsenter", "unshare")
_SUBNETS = 250
_MOST = 250  # addresses of a subnet for hosts
_NET = "198.18"  # set aside for measurements between hosts (RFC 2544)


class Hosts:
    """A number of hosts, and this machine's own address among them.

    Parameters
    ----------
    folder : for the output of the programs that hold the namespaces
    count : how many, numbered from 0

    Raises
    ------
    EnvironmentProblem : when they are made: the system is not Linux, lacks a program, or does not let this user make namespaces, or there are too many
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._folder, self._count = folder, count
        self._subnet = ""
        self._holders: list[subprocess.Popen[bytes]] = []
        self._held = ExitStack()

    @property
    def own(self) -> str:
        """The address of this machine among the hosts."""
        return f"{self._subnet}.1"

    def address(self, number: int) -> str:
        """Return the address of a host."""
        return f"{self._subnet}.{number + 2}"

    def within(self, number: int, command: Sequence[str]) -> list[str]:
        """Return a command that is executed on a host."""
        return ["nsenter", f"--net=/proc/{self._holders[number + 1].pid}/ns/net", "--", *command]

    def cut(self, number: int) -> None:
        """Cut the link of a host: nothing reaches it, and it reaches nothing."""
        self._ip("link", "set", "eth0", "down", on=number)

    def join(self, number: int) -> None:
        """Mend the link of a host."""
        self._ip("link", "set", "eth0", "up", on=number)

    def __enter__(self) -> Hosts:
        missing = [program for program in _PROGRAMS if shutil.which(program) is None]
        if sys.platform != "linux" or missing:
            what = f"the program '{missing[0]}' is missing" if missing else "this system has none"
            raise EnvironmentProblem(
                f"Hosts on one machine are network namespaces of Linux, and {what}.", fix="Take 'cluster:N': its workers share the machine's network."
            )  # fmt: skip
        if self._count > _MOST:
            raise EnvironmentProblem(f"{self._count} hosts are more than the {_MOST} that have an address here.", fix="Take fewer.")
        self._folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as held:
            self._holders = [self._hold(held) for _ in range(self._count + 1)]
            self._link(held)
            self._held = held.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._held.close()
        self._holders = []

    def _hold(self, held: ExitStack) -> subprocess.Popen[bytes]:
        """Start a program that does nothing in a network namespace of its own, which lasts as long as the program."""
        log = self._folder / "hosts.log"
        process = start_program(["unshare", "--net", "sleep", "infinity"], log, cwd=self._folder)
        held.callback(kill_program, process)
        until = time.monotonic() + _PATIENCE_S
        while _namespace(process.pid) in (None, _namespace(os.getpid())):
            if process.poll() is not None or time.monotonic() > until:
                said = log.read_text(errors="replace").strip().splitlines()
                raise EnvironmentProblem(
                    f"No network namespace can be made: {said[-1] if said else 'the system does not answer'}.",
                    fix="Take 'cluster:N', or run as a user who may (root, or a container with CAP_SYS_ADMIN and CAP_NET_ADMIN).",
                )
            time.sleep(0.01)
        return process

    def _link(self, held: ExitStack) -> None:
        switch = str(self._holders[0].pid)
        mine = f"caudal{switch}"  # at most 15 letters
        self._subnet = _free_subnet()
        self._ip("link", "add", "switch", "type", "bridge", on=-1)
        self._ip("link", "set", "switch", "up", on=-1)
        _run("ip", "link", "add", mine, "type", "veth", "peer", "name", "here", "netns", switch)
        held.callback(subprocess.run, ["ip", "link", "delete", mine], capture_output=True, check=False)
        self._ip("link", "set", "here", "master", "switch", "up", on=-1)
        _run("ip", "address", "add", f"{self.own}/24", "dev", mine)
        _run("ip", "link", "set", mine, "up")
        for number in range(self._count):
            host = str(self._holders[number + 1].pid)
            self._ip("link", "add", f"to{number}", "type", "veth", "peer", "name", "eth0", "netns", host, on=-1)
            self._ip("link", "set", f"to{number}", "master", "switch", "up", on=-1)
            self._ip("link", "set", "lo", "up", on=number)
            self._ip("address", "add", f"{self.address(number)}/24", "dev", "eth0", on=number)
            self._ip("link", "set", "eth0", "up", on=number)

    def _ip(self, *words: str, on: int) -> None:
        """Do what ``ip`` does on a host, or on the switch where ``on`` is -1."""
        _run(*self.within(on, ["ip", *words]))


def _free_subnet() -> str:
    """Return the beginning of addresses that this machine does not use yet."""
    used = subprocess.run(["ip", "-o", "address"], capture_output=True, text=True, check=False).stdout
    for turn in range(_SUBNETS):
        subnet = f"{_NET}.{(os.getpid() + turn) % _SUBNETS}"
        if f" {subnet}." not in used:
            return subnet
    raise EnvironmentProblem(f"All addresses from {_NET}.0.0 on are in use on this machine.", fix="Take 'cluster:N'.")


def _namespace(pid: int) -> Path | None:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/ns/net").readlink()
    return None  # it has ended


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise EnvironmentProblem(
            f"Hosts on this machine cannot be joined: {said[-1] if said else f'{command[0]} ended with {done.returncode}'}.",
            fix="Take 'cluster:N': its workers share the machine's network.",
        )
