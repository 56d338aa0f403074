"""An SFTP server on loopback, in a thread, that serves a folder and can be slow or cut its connections."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import asyncssh


class SftpServer:
    """Serves ``root`` to the user ``ann`` with the password ``secret``.

    Parameters
    ----------
    cut_after : int, how many bytes of files are given before every connection is cut, once; 0 never cuts
    """

    def __init__(self, root: Path) -> None:
        self.root, self.port, self.cut_after, self.given, self.cuts = root, 0, 0, 0, 0
        self.offsets: list[int] = []
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._connections: set[Any] = set()
        self._listening: Any = None

    def start(self) -> None:
        """Start to listen; the port stays the same over a restart."""
        if not self._thread.is_alive():
            self._thread.start()
        self._wait(self._listen())

    def stop(self) -> None:
        """Listen no more, and cut every connection."""
        self._wait(self._close())

    def close(self) -> None:
        """End the thread too."""
        if self._listening is not None:
            self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def known_hosts(self, path: Path) -> Path:
        """Write the server's key to a file of known hosts and return it."""
        path.write_text(f"[127.0.0.1]:{self.port} {self.key.export_public_key().decode()}")
        return path

    def _wait(self, task: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(task, self._loop).result(20)

    async def _listen(self) -> None:
        def connected() -> _Login:
            return _Login(self)

        def files(channel: Any) -> _Files:
            return _Files(channel, self)

        self._listening = await asyncssh.listen(
            "127.0.0.1", self.port, server_host_keys=[self.key], server_factory=connected, sftp_factory=files
        )
        self.port = self._listening.get_port()

    async def _close(self) -> None:
        self._listening.close()
        await self._listening.wait_closed()
        self._listening = None
        self.cut()

    def cut(self) -> None:
        """Cut every connection."""
        for one in list(self._connections):
            one.abort()


class _Login(asyncssh.SSHServer):
    def __init__(self, server: SftpServer) -> None:
        self._server, self._connection = server, None

    def connection_made(self, conn: Any) -> None:
        self._connection = conn
        self._server._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._connections.discard(self._connection)

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("ann", "secret")


class _Files(asyncssh.SFTPServer):
    def __init__(self, channel: Any, server: SftpServer) -> None:
        self._server = server
        super().__init__(channel, chroot=str(server.root).encode())

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        server = self._server
        server.offsets.append(offset)
        content = super().read(file_obj, offset, size)
        server.given += len(content)
        if server.cut_after and server.given > server.cut_after:
            server.cut_after, server.cuts = 0, server.cuts + 1
            server.cut()
        return content
