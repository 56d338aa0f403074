"""Fetch new and changed files from an address (``s3://``, ``sftp://``, ``webhdfs://`` …, by fsspec), continuing interrupted downloads."""

from __future__ import annotations

import hashlib
import re
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from caudal.declarations.connection import Files
from caudal.errors import CaudalError, EnvironmentProblem, SourceProblem
from caudal.extras import require
from caudal.stages.ingest.arrival import Arrival, Clock, KnownFile
from caudal.stages.ingest.raw import format_of, is_temporary, why_incomplete
from caudal.stages.ingest.remote_errors import is_final, no_match_problem, short_error, translate_file_system_error
from caudal.stages.ingest.secret import reveal_settings, without_user
from caudal.storage.remote import storage

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

ATTEMPTS = 5
BACKOFF_S = 0.5  # before the second attempt; doubled before each one after it
AT_ONCE = 4
FRESH_S = 10.0  # a file without a checksum that changed this recently may still be growing; remote clocks differ from ours
LOOK_AGAIN_S = 1.0
_BLOCK = 1 << 20
# The library that a protocol needs beyond fsspec, and the extra that installs it.
_LIBRARIES = {
    "s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "sftp": ("sshfs", "sftp"), "ssh": ("sshfs", "sftp"), "hdfs": ("hdfs_native", "hdfs"),
}  # fmt: skip
_READ_AHEAD = 8 << 20
_T = TypeVar("_T")


class RemotePattern:
    """A remote file system and the pattern that is searched on it.

    Parameters
    ----------
    address : str, the pattern's address, without user and password
    connect : returns the file system, newly connected, and the pattern in its notation
    """

    def __init__(self, address: str, connect: Callable[[], tuple[AbstractFileSystem, str]]) -> None:
        self.address, self._connect, self._lock = address, connect, threading.Lock()
        self.fs, self.pattern = connect()

    def renew(self, broken: AbstractFileSystem) -> None:
        """Reconnect, once for all threads that found the connection broken."""
        with self._lock:
            if self.fs is broken:
                self.fs, self.pattern = self._connect()

    def origin(self, path: str) -> str:
        """Return a file's address."""
        protocol, _, host_and_path = self.address.partition("://")
        host = host_and_path.partition("/")[0]
        inside = path.lstrip("/")
        # Object stores have the bucket in the path; the others have a host before it.
        return f"{protocol}://{inside}" if self.pattern.lstrip("/").startswith(f"{host}/") else f"{protocol}://{host}/{inside}"


@dataclass(frozen=True)
class RemoteFile:
    """A file as its file system lists it."""

    path: str
    bytes: int
    modified_ns: int
    etag: str | None

    @property
    def mark(self) -> str:
        """Return the identity of the file's content."""
        return f"{self.bytes} {self.etag or self.modified_ns}"


def fetch_remote(connection: Files, *, scratch: Path, landed: Mapping[str, KnownFile], clock: Clock) -> list[Arrival]:
    """Return the files that are new or have changed, downloaded into ``scratch``, and those that are still being written."""
    place = _remote_pattern(connection)
    files = _with_retries(place.address, lambda: _list_files(place), place=place)
    if not files and connection.required:
        raise _with_retries(place.address, lambda: no_match_problem(place.fs, place.pattern, place.address))
    new = [file for file in files if not _is_landed(file, landed.get(place.origin(file.path)))]
    growing = _growing(place, new, connection.settle_s, clock)

    def fetch_file(file: RemoteFile) -> Arrival:
        origin = place.origin(file.path)
        folder = scratch / hashlib.sha256(origin.encode()).hexdigest()[:16]
        local = folder / origin.rpartition("/")[2]
        if file.path in growing:
            return Arrival(origin, local, file.bytes, file.modified_ns, file.etag, False)
        return _download(place, file, origin, local, connection, clock)

    with ThreadPoolExecutor(max_workers=AT_ONCE) as threads:
        return list(threads.map(fetch_file, new))


def list_changed_remote(connection: Files, *, landed: Mapping[str, KnownFile], clock: Clock) -> list[Arrival]:
    """Return the files that are new or have changed, as listed; nothing is downloaded, and a server that does not answer is not tried again."""
    place = _remote_pattern(connection, attempts=1)
    files = _with_retries(place.address, lambda: _list_files(place), place=place, attempts=1)
    new = [file for file in files if not _is_landed(file, landed.get(place.origin(file.path)))]
    growing = _growing(place, new, connection.settle_s, clock)
    return [
        Arrival(place.origin(file.path), Path(), file.bytes, file.modified_ns, file.etag, file.path not in growing) for file in new
    ]


@dataclass(frozen=True)
class Listing:
    """The files that an address lists.

    Parameters
    ----------
    files : by address
    read_bytes : returns the bytes of a file by its address
    growing : returns the addresses whose files are still being written, or are younger than a number of seconds
    """

    files: list[RemoteFile]
    read_bytes: Callable[[str], bytes]
    growing: Callable[[set[str], float, Clock], set[str]]


def listing(connection: Files, attempts: int | None = None) -> Listing:
    """Return the files that an address lists; nothing is downloaded."""
    place = _remote_pattern(connection, attempts)
    files = _with_retries(place.address, lambda: _list_files(place), place=place, attempts=attempts)
    if not files and connection.required:
        raise _with_retries(place.address, lambda: no_match_problem(place.fs, place.pattern, place.address), attempts=attempts)
    paths = {place.origin(file.path): file.path for file in files}

    def read_bytes(origin: str) -> bytes:
        return bytes(_with_retries(origin, lambda: place.fs.cat_file(paths[origin]), place=place))

    def growing(origins: set[str], settle_s: float, clock: Clock) -> set[str]:
        growing = _growing(place, [file for file in files if place.origin(file.path) in origins], settle_s, clock)
        return {place.origin(path) for path in growing}

    return Listing([replace(file, path=place.origin(file.path)) for file in files], read_bytes, growing)


def _remote_pattern(connection: Files, attempts: int | None = None) -> RemotePattern:
    import fsspec

    address, user = without_user(connection.pattern), connection.address.user if connection.address else None
    protocol = address.partition("://")[0]
    options = _defaults(protocol) | reveal_settings(connection.storage)
    if protocol in ("http", "https"):
        raise SourceProblem(f"'{address}' is an address of the web.", fix="Declare it with cd.http(…).", pattern=address)

    if protocol == "hdfs" and user:
        raise SourceProblem(
            f"'{address}' names the user '{user}', which HDFS does not read from an address.",
            fix=f"Set HADOOP_USER_NAME={user}.",
            pattern=address,
        )

    def connect() -> tuple[AbstractFileSystem, str]:
        if protocol in _LIBRARIES:
            library, extra = _LIBRARIES[protocol]
            require(library, extra=extra, for_=f"'{address}'")
        if protocol == "hdfs":
            return _hdfs(address, options)
        try:
            fs, path = fsspec.url_to_fs(address, skip_instance_cache=True, **_login(protocol, connection) | options)
        except ImportError as error:
            raise EnvironmentProblem(
                f"'{address}' needs a library that is not installed: {error}.", fix="Install what fsspec needs for it."
            ) from None
        if protocol in ("s3", "s3a"):
            fs.retries = 1  # retries are done here, for every file system alike
        return fs, path

    return _with_retries(address, lambda: RemotePattern(address, connect), user=user, attempts=attempts)


def _login(protocol: str, connection: Files) -> dict[str, object]:
    """Return user and password of the address under the argument names of its file system; fsspec does not decode ``%2F``."""
    import fsspec

    if connection.address is None or connection.address.user is None:
        return {}
    arguments = fsspec.get_filesystem_class(protocol)._get_kwargs_from_urls(connection.address.escaped)
    return {name: unquote(str(arguments[name])) for name in ("user", "username", "password") if arguments.get(name)}


def _hdfs(address: str, options: Mapping[str, object]) -> tuple[AbstractFileSystem, str]:
    """Return HDFS by the lake's client; that of fsspec needs a Hadoop installation."""
    from caudal.storage.hdfs import Hdfs

    host, _, path = address.removeprefix("hdfs://").partition("/")
    name, _, port = host.partition(":")
    fs = Hdfs(name, int(port) if port else None, skip_instance_cache=True, **storage(address), **options)
    return fs, f"/{path}"


def _defaults(protocol: str) -> dict[str, object]:
    if protocol in ("s3", "s3a"):
        return {"config_kwargs": {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 2}}}
    if protocol in ("sftp", "ssh"):
        return {"known_hosts": (), "connect_timeout": 20}  # the host's key is checked against ~/.ssh/known_hosts
    return {}


def _list_files(place: RemotePattern) -> list[RemoteFile]:
    place.fs.invalidate_cache()
    try:
        entries = place.fs.glob(place.pattern, detail=True)
    except FileNotFoundError:
        return []
    files = [_remote(path, info) for path, info in entries.items() if info.get("type") == "file"]
    return sorted((file for file in files if not _is_ignored(file.path)), key=lambda file: file.path)


def _is_ignored(path: str) -> bool:
    name = path.rpartition("/")[2]
    return not name or name.startswith((".", "_SUCCESS")) or is_temporary(name)


def _remote(path: str, info: Mapping[str, Any]) -> RemoteFile:
    etag = next((str(info[key]) for key in ("ETag", "etag", "e_tag", "md5Hash", "content_md5") if info.get(key)), None)
    changed = next(
        (
            info[key]
            for key in ("LastModified", "mtime", "last_modified", "modificationTime", "updated", "modified")
            if info.get(key)
        ),
        0,
    )
    at_ns = _nanoseconds(changed)
    if etag is not None:  # dates are too coarse to distinguish two contents: the digits below a second hold the checksum
        at_ns = at_ns // 1_000_000_000 * 1_000_000_000 + zlib.crc32(etag.encode()) % 1_000_000_000
    return RemoteFile(path, int(info.get("size") or 0), at_ns, etag)


def _nanoseconds(time_: str | datetime | float) -> int:
    """Return a time as nanoseconds since 1970; file systems give dates, seconds and (WebHDFS) milliseconds."""
    if isinstance(time_, str):
        time_ = datetime.fromisoformat(re.sub(r"Z$", "+00:00", time_))
    if isinstance(time_, datetime):
        time_ = (time_ if time_.tzinfo else time_.replace(tzinfo=UTC)).timestamp()
    if isinstance(time_, int) and time_ > 10**11:
        return time_ * 1_000_000
    return int(float(time_) * 1e9)


def _is_landed(file: RemoteFile, landed_file: KnownFile | None) -> bool:
    if landed_file is None:
        return False
    if file.etag and landed_file.etag:
        return file.etag == landed_file.etag
    return (file.bytes, file.modified_ns) == (landed_file.bytes, landed_file.modified_ns)


def _growing(place: RemotePattern, files: list[RemoteFile], settle_s: float, clock: Clock) -> set[str]:
    """Return the files that are still being written. An object with a checksum is whole once it is listed."""
    growing = {file.path for file in files if abs(clock() - file.modified_ns / 1e9) < settle_s}
    recent = [
        file for file in files if file.etag is None and file.path not in growing and abs(clock() - file.modified_ns / 1e9) < FRESH_S
    ]
    if recent:
        time.sleep(LOOK_AGAIN_S)
        marks_again = {file.path: file.mark for file in _with_retries(place.address, lambda: _list_files(place), place=place)}
        growing |= {file.path for file in recent if marks_again.get(file.path) != file.mark}
    return growing


def _download(place: RemotePattern, file: RemoteFile, origin: str, local: Path, connection: Files, clock: Clock) -> Arrival:
    local.parent.mkdir(parents=True, exist_ok=True)
    part_file, tag_file = local.with_name("download.part"), local.with_name("download.tag")
    if not tag_file.exists() or tag_file.read_text() != file.mark:  # the part is of another content
        part_file.unlink(missing_ok=True)
        local.unlink(missing_ok=True)
        tag_file.write_text(file.mark)
    unfinished = Arrival(origin, local, file.bytes, file.modified_ns, file.etag, False)
    if not local.exists():
        _with_retries(
            origin, lambda: _append(place, file, part_file), lambda: part_file.stat().st_size if part_file.exists() else 0, place
        )
        after = _with_retries(origin, lambda: _info(place, file.path), place=place)
        if after.mark != file.mark:
            part_file.unlink(missing_ok=True)
            return unfinished
        part_file.replace(local)
    reason = why_incomplete(local, format_of(local.name, connection.format))
    if reason is not None:
        if file.etag is None and abs(clock() - file.modified_ns / 1e9) < FRESH_S:
            local.unlink()
            return unfinished
        raise SourceProblem(
            f"'{origin}' {reason}.", fix="Deliver the file again, or move it away; nothing of it was landed.", file=origin
        )
    return Arrival(origin, local, file.bytes, file.modified_ns, file.etag)


def _info(place: RemotePattern, path: str) -> RemoteFile:
    place.fs.invalidate_cache()
    return _remote(path, place.fs.info(path))


def _append(place: RemotePattern, file_info: RemoteFile, part_file: Path) -> None:
    """Fetch the rest of a partly downloaded file."""
    part_bytes = part_file.stat().st_size if part_file.exists() else 0
    if part_bytes > file_info.bytes:
        part_file.unlink()
        part_bytes = 0
    with place.fs.open(file_info.path, "rb", **_buffer_options(place.fs)) as remote, part_file.open("ab") as file:
        if part_bytes:
            remote.seek(part_bytes)
        while part_bytes < file_info.bytes and (block := remote.read(min(_BLOCK, file_info.bytes - part_bytes))):
            file.write(block)
            part_bytes += len(block)
    if part_bytes < file_info.bytes:
        raise ConnectionError(f"{part_bytes} of {file_info.bytes} bytes arrived")


def _buffer_options(fs: AbstractFileSystem) -> dict[str, object]:
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return {} if {"sftp", "ssh", "hdfs"} & set(protocols) else {"block_size": _READ_AHEAD, "cache_type": "readahead"}


def _with_retries(
    address: str,
    attempt_once: Callable[[], _T],
    progress: Callable[[], int] = lambda: 0,
    place: RemotePattern | None = None,
    user: str | None = None,
    attempts: int | None = None,
) -> _T:
    """Return the result of ``attempt_once``, retried while the network fails; attempts that made progress do not count."""
    attempts = attempts or ATTEMPTS
    attempt, wait_s, progress_before, renew = 1, BACKOFF_S, progress(), False
    while True:
        fs = place.fs if place else None
        try:
            if place and renew:
                place.renew(fs)
            return attempt_once()
        except Exception as error:
            if isinstance(error, CaudalError) or is_final(error):
                raise translate_file_system_error(error, address, user) from None
            got_further = progress() > progress_before
            attempt, wait_s, progress_before = (
                (1, BACKOFF_S, progress()) if got_further else (attempt + 1, wait_s * 2, progress_before)
            )
            if attempt > attempts:
                raise SourceProblem(
                    f"'{address}' could not be read in {attempts} attempt{'s' * (attempts > 1)}; the last one ended with: {short_error(error)}.",
                    fix="Check the host, and run again when it answers; the run continues with the downloaded part.",
                    url=address,
                    attempts=attempts,
                    transient=True,
                ) from None
            renew = True
            time.sleep(wait_s)
