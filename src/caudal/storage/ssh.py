"""Connections by SSH, with checked host keys: a local port that is forwarded through one, event logs that are fetched by one."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from caudal.errors import CaudalError, DeclarationProblem, EnvironmentProblem, NotThere
from caudal.extras import require

LOOPBACK = "127.0.0.1"
WAITS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # before each attempt to connect again
CONNECT_S = 20
_ALIVE_S = 15
_BLOCK = 1 << 16


@dataclass(frozen=True)
class SshHost:
    """A host that is logged in to; ``user`` None is what ``~/.ssh/config`` or the system says, ``port`` None likewise, else 22."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"{user}{self.host}" + (f":{self.port}" if self.port else "")


@dataclass(frozen=True)
class Forwarding:
    """A port on loopback and what it leads to.

    Parameters
    ----------
    bastion : the host that reaches the target
    host, port : the target, as the bastion names it
    local_port : int, on loopback; 0 takes a free one
    jump : the host through which the bastion is reached; None reaches it directly
    """

    bastion: SshHost
    host: str
    port: int
    local_port: int = 0
    jump: SshHost | None = None


def ssh_host(text: str) -> SshHost:
    """Return the host of ``[USER@]HOST[:PORT]``.

    Raises
    ------
    DeclarationProblem : it is none, or holds a password

    Examples
    --------
    >>> ssh_host("ann@bastion:2222")
    SshHost(host='bastion', user='ann', port=2222)
    """
    try:
        parts = urlsplit(f"ssh://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or parts.path or parts.query or parts.fragment or host.startswith("-"):
        raise DeclarationProblem("The host of SSH is not written as [USER@]HOST[:PORT].", fix="Write it so: ann@bastion:22.")
    if parts.password is not None:
        raise DeclarationProblem(
            f"The address of '{host}' holds a password, which others see in the list of processes.",
            fix="Log in with a key: one of ~/.ssh, of ssh-agent, or the IdentityFile of ~/.ssh/config.",
        )
    return SshHost(host, parts.username, port)


def host_and_port(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``.

    Raises
    ------
    DeclarationProblem : it is none
    """
    with suppress(ValueError):
        parts = urlsplit(f"//{text}")
        if parts.hostname and parts.port and parts.netloc == text and "@" not in text:
            return parts.hostname, parts.port
    raise DeclarationProblem("The target is not written as HOST:PORT.", fix="Write it so: --to history:18080.")


def forward(forwarding: Forwarding, say: Callable[[str], None]) -> None:
    """Forward the port until SIGINT or SIGTERM; a lost connection is made again, after the waits of `WAITS_S`.

    Parameters
    ----------
    say : is given each line that a user reads

    Raises
    ------
    EnvironmentProblem : the library is missing, the bastion or the target cannot be reached, the login or the host's key is refused, the port is in use
    """
    require("sshfs", extra="sftp", for_="caudal tunnel")
    asyncio.run(_Tunnel(forwarding, say).serve())


def fetch_log(address: str, jump: str | None, folder: Path) -> Path:
    """Return the copy of a Spark event log, a file or a folder of rolled files, in ``folder``; a lost connection is made again, three times at most.

    Parameters
    ----------
    address : ``ssh://[USER@]HOST[:PORT]/PATH``
    jump : ``[USER@]HOST[:PORT]``, through which the host is reached

    Raises
    ------
    DeclarationProblem : an address is not written as it must be
    EnvironmentProblem : the library is missing, a host is not reached or not known, the login is refused
    NotThere : there is no such file or folder, or it may not be read
    """
    authority, _, path = address.removeprefix("ssh://").partition("/")
    host, through = ssh_host(authority), ssh_host(jump) if jump is not None else None
    path = "/" + unquote(path).strip("/")
    if path == "/":
        raise DeclarationProblem(f"The address of '{host}' names no file.", fix="Write it so: ssh://ann@host/logs/eventlog_v2_app.")
    require("sshfs", extra="sftp", for_="caudal measures ssh://…")
    return asyncio.run(_fetch(host, through, path, folder))


async def _fetch(host: SshHost, jump: SshHost | None, path: str, folder: Path) -> Path:
    for wait_s in (*WAITS_S[:3], None):
        try:
            return await _fetch_once(host, jump, path, folder)
        except EnvironmentProblem as error:
            if wait_s is None or not error.facts.get("transient"):
                raise
        await asyncio.sleep(wait_s)
    raise AssertionError


async def _fetch_once(host: SshHost, jump: SshHost | None, path: str, folder: Path) -> Path:
    import asyncssh

    copy = folder / path.rpartition("/")[2]
    async with AsyncExitStack() as open_:
        through = await open_.enter_async_context(await _connected(jump, None)) if jump is not None else None
        connection = await open_.enter_async_context(await _connected(host, through))
        try:
            sftp = await open_.enter_async_context(connection.start_sftp_client())
            if not await sftp.isdir(path):
                await sftp.get(path, copy)
                return copy
            copy.mkdir(exist_ok=True)
            # A rolled log is flat; its names come from the other host, so none that leads elsewhere is taken.
            names = [name for name in await sftp.listdir(path) if re.fullmatch(r"(events|appstatus)_[^/]+", name)]
            if not any(name.startswith("events_") for name in names):
                raise NotThere(
                    f"The folder '{path}' of '{host}' holds no rolled files of an event log.",
                    fix="Give the folder of one application, eventlog_v2_….",
                )
            for name in sorted(names):
                await sftp.get(f"{path}/{name}", copy / name)
            return copy
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPPermissionDenied, asyncssh.SFTPFailure) as error:
            raise NotThere(
                f"'{path}' of '{host}' cannot be read: {_reason(error)}.", fix="Check the path and its permissions."
            ) from None
        except (asyncssh.Error, ConnectionError) as error:
            raise EnvironmentProblem(
                f"The connection to '{host}' was lost while '{path}' was fetched: {_reason(error)}.",
                fix="Run again.",
                transient=True,
            ) from None
        except OSError as error:
            raise EnvironmentProblem(
                f"'{path}' of '{host}' cannot be kept on this machine: {_reason(error)}.",
                fix="Free space where TMPDIR lies.",
                transient=False,
            ) from None


class _Tunnel:
    def __init__(self, forwarding: Forwarding, say: Callable[[str], None]) -> None:
        self._to, self._say = forwarding, say
        self._connections: list[Any] = []  # the jump's first

    async def serve(self) -> None:
        stop = asyncio.Event()
        for each in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)
        work = asyncio.create_task(self._forward())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            else:
                self._say("The tunnel is closed.")
        finally:
            for task in (work, stopped):
                task.cancel()
            await asyncio.gather(work, stopped, return_exceptions=True)
            await self._close()

    async def _forward(self) -> None:
        await self._connect()
        await self._try_target()
        to = self._to
        try:
            server = await asyncio.start_server(self._serve_one, LOOPBACK, to.local_port)
        except OSError:
            raise EnvironmentProblem(
                f"Port {to.local_port} of {LOOPBACK} cannot be listened on: another program may have it.",
                fix="Give another --port, or none for a free one.",
            ) from None
        port = server.sockets[0].getsockname()[1]
        self._say(f"{LOOPBACK}:{port} leads to {to.host}:{to.port} through {to.bastion}. Ctrl-C ends it.")
        try:
            while True:
                await self._connections[-1].wait_closed()
                await self._connect_again()
        finally:
            server.close()

    async def _connect(self) -> None:
        await self._close()
        try:
            for host in (self._to.jump, self._to.bastion):
                if host is not None:
                    self._connections.append(await _connected(host, self._connections[-1] if self._connections else None))
        except BaseException:
            await self._close()
            raise

    async def _connect_again(self) -> None:
        for number, wait_s in enumerate(WAITS_S, 1):
            self._say(f"The connection to {self._to.bastion} was lost; attempt {number} of {len(WAITS_S)} in {wait_s:g} s.")
            await asyncio.sleep(wait_s)
            try:
                await self._connect()
            except EnvironmentProblem as error:
                if not error.facts.get("transient") or number == len(WAITS_S):
                    raise
            else:
                self._say(f"Connected to {self._to.bastion} again.")
                return

    async def _try_target(self) -> None:
        import asyncssh

        to = self._to
        try:
            _, writer = await asyncio.wait_for(self._connections[-1].open_connection(to.host, to.port), CONNECT_S)
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise EnvironmentProblem(
                f"{to.bastion} does not reach {to.host}:{to.port}: {_reason(error)}.",
                fix="Check the target's name and port as that host knows them, and that its sshd allows forwarding.",
            ) from None
        writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        import asyncssh

        to = self._to
        try:
            if not self._connections:
                return  # being connected again
            there, back = await self._connections[-1].open_connection(to.host, to.port)
            try:
                await asyncio.gather(_copy(reader, back), _copy(there, writer))
            finally:
                back.close()
        except (asyncssh.ChannelOpenError, TimeoutError) as error:
            self._say(f"{to.host}:{to.port} was not reached: {_reason(error)}.")
        except (asyncssh.Error, OSError):
            pass  # the connection to the bastion is lost, which is told once
        finally:
            writer.close()

    async def _close(self) -> None:
        connections, self._connections = self._connections, []
        for each in reversed(connections):
            each.close()
            with suppress(Exception):
                await asyncio.wait_for(each.wait_closed(), 2)


async def _copy(source: Any, target: Any) -> None:
    while block := await source.read(_BLOCK):
        target.write(block)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()


async def _connected(host: SshHost, through: Any) -> Any:
    """Return a connection; keys, ssh-agent, ``~/.ssh/config`` and ``~/.ssh/known_hosts`` are those of ssh."""
    import asyncssh

    options = {name: value for name, value in (("username", host.user), ("port", host.port)) if value is not None}
    try:
        return await asyncssh.connect(
            host.host, known_hosts=(), tunnel=through or (), connect_timeout=CONNECT_S, keepalive_interval=_ALIVE_S, **options
        )
    except (asyncssh.Error, OSError, ValueError) as error:
        raise _problem(error, host) from None


def _problem(error: BaseException, host: SshHost) -> CaudalError:
    import asyncssh

    login = f"{f'-p {host.port} ' if host.port else ''}{f'{host.user}@' if host.user else ''}{host.host}"
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        name = f"[{host.host}]:{host.port}" if host.port not in (None, 22) else host.host
        if _has_known_key(host):
            return EnvironmentProblem(
                f"The key of '{host}' is not the one that is known of it: another host may answer in its place.",
                fix=f"Ask who keeps it; if its key was changed: ssh-keygen -R '{name}' && ssh {login}",
                transient=False,
            )
        return EnvironmentProblem(
            f"The host '{host}' is not known: its key is not among the known hosts.",
            fix=f"Compare its key and accept it: ssh {login}",
            transient=False,
        )
    if isinstance(error, asyncssh.PermissionDenied | asyncssh.KeyImportError | ValueError):
        return EnvironmentProblem(
            f"'{host}' refuses the login: {_reason(error)}.",
            fix=f"Try the key: ssh {login}. Keys come from ~/.ssh, ssh-agent and ~/.ssh/config.",
            transient=False,
        )
    return EnvironmentProblem(
        f"'{host}' cannot be reached: {_reason(error)}.", fix="Check its name, its port and the network.", transient=True
    )


def _has_known_key(host: SshHost) -> bool:
    import asyncssh

    with suppress(OSError, ValueError):
        known = asyncssh.read_known_hosts(str(Path.home() / ".ssh/known_hosts"))
        return any(known.match(host.host, "", host.port if host.port != 22 else None)[:3])
    return False


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
