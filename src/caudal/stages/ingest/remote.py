"""Files at an address (``s3://``, ``sftp://``, ``webhdfs://`` …, by fsspec): what is new or has changed is fetched, and taken up where it broke off."""

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
from typing import Any, TypeVar
from urllib.parse import unquote

from caudal.declarations.connection import Files
from caudal.errors import CaudalError, EnvironmentProblem, SourceProblem
from caudal.extras import require
from caudal.stages.ingest.arrival import Arrival, Clock, Seen
from caudal.stages.ingest.raw import fault, format_of, is_temporary
from caudal.stages.ingest.remote_errors import is_final, nothing_there, summary, translate_file_system_error
from caudal.stages.ingest.secret import looked_up, without_user

ATTEMPTS = 5
BACKOFF_S = 0.5  # before the second attempt; doubled before each one after it
AT_ONCE = 4
FRESH_S = 10.0  # a file without a checksum that changed this recently may still be growing; remote clocks are not ours
LOOK_AGAIN_S = 1.0
_BLOCK = 1 << 20
# What an address's protocol needs beyond fsspec: the library, and the extra that brings it.
_LIBRARIES = {
    "s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3"), "sftp": ("sshfs", "sftp"), "ssh": ("sshfs", "sftp"), "hdfs": ("hdfs_native", "hdfs"),
}  # fmt: skip
_READ_AHEAD = 8 << 20
_T = TypeVar("_T")


class Place:
    """A remote file system and the pattern that is looked for on it.

    Parameters
    ----------
    shown : str, the pattern's address, without user and password
    connect : returns the file system, connected anew, and the pattern as it names it
    """

    def __init__(self, shown: str, connect: Callable[[], tuple[Any, str]]) -> None:
        self.shown, self._connect, self._lock = shown, connect, threading.Lock()
        self.fs, self.pattern = connect()

    def renew(self, broken: Any) -> None:
        """Connect anew, once for all threads that found the connection broken."""
        with self._lock:
            if self.fs is broken:
                self.fs, self.pattern = self._connect()

    def origin(self, path: str) -> str:
        """Return a file's address."""
        protocol, _, rest = self.shown.partition("://")
        host = rest.partition("/")[0]
        inside = path.lstrip("/")
        # Object stores have the bucket in the path; the others have a host before it.
        return f"{protocol}://{inside}" if self.pattern.lstrip("/").startswith(f"{host}/") else f"{protocol}://{host}/{inside}"


@dataclass(frozen=True)
class Remote:
    """A file as its file system lists it."""

    path: str
    bytes: int
    modified_ns: int
    etag: str | None

    @property
    def mark(self) -> str:
        """What tells one content from another."""
        return f"{self.bytes} {self.etag or self.modified_ns}"


def fetch_remote(connection: Files, *, scratch: Path, seen: Mapping[str, Seen], clock: Clock) -> list[Arrival]:
    """Return the files that are new or have changed, downloaded into ``scratch``, and those that are still being written."""
    place = _place(connection)
    listed = _tried(place.shown, lambda: _listed(place), place=place)
    if not listed and connection.required:
        raise _tried(place.shown, lambda: nothing_there(place.fs, place.pattern, place.shown))
    new = [one for one in listed if not _known(one, seen.get(place.origin(one.path)))]
    moving = _moving(place, new, connection.settle_s, clock)

    def fetched(one: Remote) -> Arrival:
        origin = place.origin(one.path)
        folder = scratch / hashlib.sha256(origin.encode()).hexdigest()[:16]
        local = folder / origin.rpartition("/")[2]
        if one.path in moving:
            return Arrival(origin, local, one.bytes, one.modified_ns, one.etag, False)
        return _downloaded(place, one, origin, local, connection, clock)

    with ThreadPoolExecutor(max_workers=AT_ONCE) as threads:
        return list(threads.map(fetched, new))


def look_remote(connection: Files, *, seen: Mapping[str, Seen], clock: Clock) -> list[Arrival]:
    """Return the files that are new or have changed, as they are listed; nothing is fetched, and who does not answer is not asked twice."""
    place = _place(connection, attempts=1)
    listed = _tried(place.shown, lambda: _listed(place), place=place, attempts=1)
    new = [one for one in listed if not _known(one, seen.get(place.origin(one.path)))]
    moving = _moving(place, new, connection.settle_s, clock)
    return [Arrival(place.origin(one.path), Path(), one.bytes, one.modified_ns, one.etag, one.path not in moving) for one in new]


@dataclass(frozen=True)
class Listing:
    """What an address lists.

    Parameters
    ----------
    files : by address
    read : gives the bytes of a file by its address
    moving : gives those of some addresses that are still being written, or younger than so many seconds
    """

    files: list[Remote]
    read: Callable[[str], bytes]
    moving: Callable[[set[str], float, Clock], set[str]]


def listing(connection: Files, attempts: int | None = None) -> Listing:
    """Return what an address lists; nothing is fetched."""
    place = _place(connection, attempts)
    listed = _tried(place.shown, lambda: _listed(place), place=place, attempts=attempts)
    if not listed and connection.required:
        raise _tried(place.shown, lambda: nothing_there(place.fs, place.pattern, place.shown), attempts=attempts)
    inside = {place.origin(one.path): one.path for one in listed}

    def read(origin: str) -> bytes:
        return bytes(_tried(origin, lambda: place.fs.cat_file(inside[origin]), place=place))

    def moving(origins: set[str], settle_s: float, clock: Clock) -> set[str]:
        young = _moving(place, [one for one in listed if place.origin(one.path) in origins], settle_s, clock)
        return {place.origin(path) for path in young}

    return Listing([replace(one, path=place.origin(one.path)) for one in listed], read, moving)


def _place(connection: Files, attempts: int | None = None) -> Place:
    import fsspec

    shown, user = without_user(connection.pattern), connection.address.user if connection.address else None
    protocol = shown.partition("://")[0]
    options = _defaults(protocol) | looked_up(connection.storage)
    if protocol in ("http", "https"):
        raise SourceProblem(f"'{shown}' is an address of the web.", fix="Declare it with cd.http(…).", pattern=shown)

    if protocol == "hdfs" and user:
        raise SourceProblem(
            f"'{shown}' names a user, '{user}', who is not asked for.", fix=f"Set HADOOP_USER_NAME={user}.", pattern=shown
        )

    def connect() -> tuple[Any, str]:
        if protocol in _LIBRARIES:
            library, extra = _LIBRARIES[protocol]
            require(library, extra=extra, for_=f"'{shown}'")
        if protocol == "hdfs":
            return _hdfs(shown, options)
        try:
            fs, path = fsspec.url_to_fs(shown, skip_instance_cache=True, **_login(protocol, connection) | options)
        except ImportError as error:
            raise EnvironmentProblem(
                f"'{shown}' needs a library that is not installed: {error}.", fix="Install what fsspec needs for it."
            ) from None
        if protocol in ("s3", "s3a"):
            fs.retries = 1  # waiting and trying again is done here, for every file system alike
        return fs, path

    return _tried(shown, lambda: Place(shown, connect), user=user, attempts=attempts)


def _login(protocol: str, connection: Files) -> dict[str, Any]:
    """Return user and password of the address under the names that its file system gives them; fsspec does not decode ``%2F``."""
    import fsspec

    if connection.address is None or connection.address.user is None:
        return {}
    named = fsspec.get_filesystem_class(protocol)._get_kwargs_from_urls(connection.address.escaped)
    return {name: unquote(str(named[name])) for name in ("user", "username", "password") if named.get(name)}


def _hdfs(shown: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """Return HDFS by the client that the lake has; fsspec's own needs a Hadoop installation."""
    from caudal.storage.hdfs import Hdfs
    from caudal.storage.remote import storage

    host, _, path = shown.removeprefix("hdfs://").partition("/")
    name, _, port = host.partition(":")
    fs = Hdfs(name, int(port) if port else None, skip_instance_cache=True, **storage(shown), **options)
    return fs, f"/{path}"


def _defaults(protocol: str) -> dict[str, Any]:
    if protocol in ("s3", "s3a"):
        return {"config_kwargs": {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 2}}}
    if protocol in ("sftp", "ssh"):
        return {"known_hosts": (), "connect_timeout": 20}  # the host's key is checked against ~/.ssh/known_hosts
    return {}


def _listed(place: Place) -> list[Remote]:
    place.fs.invalidate_cache()
    try:
        found = place.fs.glob(place.pattern, detail=True)
    except FileNotFoundError:
        return []
    files = [_remote(path, info) for path, info in found.items() if info.get("type") == "file"]
    return sorted((file for file in files if not _left_out(file.path)), key=lambda one: one.path)


def _left_out(path: str) -> bool:
    name = path.rpartition("/")[2]
    return not name or name.startswith((".", "_SUCCESS")) or is_temporary(name)


def _remote(path: str, info: Mapping[str, Any]) -> Remote:
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
    if etag is not None:  # dates are too coarse to tell two contents apart: the digits below a second hold the checksum
        at_ns = at_ns // 1_000_000_000 * 1_000_000_000 + zlib.crc32(etag.encode()) % 1_000_000_000
    return Remote(path, int(info.get("size") or 0), at_ns, etag)


def _nanoseconds(said: Any) -> int:
    """Return a time as nanoseconds since 1970; file systems give dates, seconds and (WebHDFS) milliseconds."""
    if isinstance(said, str):
        said = datetime.fromisoformat(re.sub(r"Z$", "+00:00", said))
    if isinstance(said, datetime):
        said = (said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp()
    if isinstance(said, int) and said > 10**11:
        return said * 1_000_000
    return int(float(said) * 1e9)


def _known(one: Remote, seen: Seen | None) -> bool:
    if seen is None:
        return False
    if one.etag and seen.etag:
        return one.etag == seen.etag
    return (one.bytes, one.modified_ns) == (seen.bytes, seen.modified_ns)


def _moving(place: Place, new: list[Remote], settle_s: float, clock: Clock) -> set[str]:
    """Return the files that are still being written. An object with a checksum is whole once it is listed."""
    young = {one.path for one in new if abs(clock() - one.modified_ns / 1e9) < settle_s}
    fresh = [one for one in new if one.etag is None and one.path not in young and abs(clock() - one.modified_ns / 1e9) < FRESH_S]
    if fresh:
        time.sleep(LOOK_AGAIN_S)
        again = {one.path: one.mark for one in _tried(place.shown, lambda: _listed(place), place=place)}
        young |= {one.path for one in fresh if again.get(one.path) != one.mark}
    return young


def _downloaded(place: Place, one: Remote, origin: str, local: Path, connection: Files, clock: Clock) -> Arrival:
    local.parent.mkdir(parents=True, exist_ok=True)
    part, tag = local.with_name("download.part"), local.with_name("download.tag")
    if not tag.exists() or tag.read_text() != one.mark:  # what is kept is of another content
        part.unlink(missing_ok=True)
        local.unlink(missing_ok=True)
        tag.write_text(one.mark)
    waiting = Arrival(origin, local, one.bytes, one.modified_ns, one.etag, False)
    if not local.exists():
        _tried(origin, lambda: _append(place, one, part), lambda: part.stat().st_size if part.exists() else 0, place)
        after = _tried(origin, lambda: _info(place, one.path), place=place)
        if after.mark != one.mark:
            part.unlink(missing_ok=True)
            return waiting
        part.replace(local)
    reason = fault(local, format_of(local.name, connection.format))
    if reason is not None:
        if one.etag is None and abs(clock() - one.modified_ns / 1e9) < FRESH_S:
            local.unlink()
            return waiting
        raise SourceProblem(
            f"'{origin}' {reason}.", fix="Deliver the file again, or move it away; nothing of it was taken.", file=origin
        )
    return Arrival(origin, local, one.bytes, one.modified_ns, one.etag)


def _info(place: Place, path: str) -> Remote:
    place.fs.invalidate_cache()
    return _remote(path, place.fs.info(path))


def _append(place: Place, one: Remote, part: Path) -> None:
    """Fetch what the part lacks."""
    have = part.stat().st_size if part.exists() else 0
    if have > one.bytes:
        part.unlink()
        have = 0
    with place.fs.open(one.path, "rb", **_buffered(place.fs)) as remote, part.open("ab") as file:
        if have:
            remote.seek(have)
        while have < one.bytes and (block := remote.read(min(_BLOCK, one.bytes - have))):
            file.write(block)
            have += len(block)
    if have < one.bytes:
        raise ConnectionError(f"{have} of {one.bytes} bytes came")


def _buffered(fs: Any) -> dict[str, Any]:
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return {} if {"sftp", "ssh", "hdfs"} & set(protocols) else {"block_size": _READ_AHEAD, "cache_type": "readahead"}


def _tried(
    what: str,
    act: Callable[[], _T],
    progress: Callable[[], int] = lambda: 0,
    place: Place | None = None,
    user: str | None = None,
    attempts: int | None = None,
) -> _T:
    """Return what ``act`` returns, tried again while the network fails; attempts that got further do not count."""
    attempts = attempts or ATTEMPTS
    attempt, wait_s, got, renew = 1, BACKOFF_S, progress(), False
    while True:
        fs = place.fs if place else None
        try:
            if place and renew:
                place.renew(fs)
            return act()
        except Exception as error:
            if isinstance(error, CaudalError) or is_final(error):
                raise translate_file_system_error(error, what, user) from None
            further = progress() > got
            attempt, wait_s, got = (1, BACKOFF_S, progress()) if further else (attempt + 1, wait_s * 2, got)
            if attempt > attempts:
                raise SourceProblem(
                    f"'{what}' could not be read in {attempts} attempt{'s' * (attempts > 1)}; the last one ended with: {summary(error)}.",
                    fix="Check the host, and run again when it answers; what was fetched is kept and taken up.",
                    url=what,
                    attempts=attempts,
                    transient=True,
                ) from None
            renew = True
            time.sleep(wait_s)
