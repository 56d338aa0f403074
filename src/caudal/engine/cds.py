"""Class-data sharing: an archive of the classes that Spark loads at start, ready to be mapped into memory.

Loading and verifying some 15,000 classes is most of a session's start. Java can dump them once and map them afterwards; the archive
(about 170 MB) is kept in the user's cache. One is made for each Java and Spark, regardless of connectors, by a separate process
(`caudal.engine.warmup`) after the first session has ended, so the first run pays nothing. A run without an archive, or with one that
Java refuses, is only slower: nothing here can fail a run. ``CAUDAL_CDS=off`` switches it off.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from caudal.engine.cache import cache_dir
from caudal.engine.java import JavaHome
from caudal.engine.jvm import spark_home

KEPT = 4
"""How many archives stay in the cache; the least recently used one is removed first."""
AGAIN_AFTER_S = 86_400.0
"""How long after a failed dump no other is tried."""
STALE_S = 600.0
"""A dump that has not ended after this time counts as dead."""


def enabled() -> bool:
    """Return whether archives are used: not on Windows, not when switched off, not with a user's own Spark settings.

    Java accepts no archive for a class path with a non-empty folder in it, such as a configuration folder.
    """
    if sys.platform == "win32" or os.environ.get("CAUDAL_CDS") == "off":
        return False
    conf = os.environ.get("SPARK_CONF_DIR")
    return not (conf and Path(conf).is_dir() and any(Path(conf).iterdir()))


def wanted(archive: Path) -> bool:
    """Return whether ``archive`` should be made: it is missing, no attempt failed today, and it would replace no archive used
    today."""
    try:
        failed_s = time.time() - _failure(archive).stat().st_mtime
    except OSError:
        failed_s = AGAIN_AFTER_S
    today = [archive for archive in _archives(archive.parent) if time.time() - _used_at(archive) < AGAIN_AFTER_S]
    return enabled() and not archive.is_file() and failed_s >= AGAIN_AFTER_S and len(today) < KEPT


def archive_file(java: JavaHome) -> Path:
    """Return the path of the archive for this Java and this Spark, whether it exists or not."""
    home = spark_home()
    # Java compares the times of the jars, so a reinstalled Spark of the same version needs a new archive.
    facts = [java.runtime, java.version, java.path, home, _changed(home / "jars"), _changed(java.runtime / "lib" / "modules")]
    return cache_dir("cds") / f"spark-{hashlib.sha256(repr([str(fact) for fact in facts]).encode()).hexdigest()[:16]}.jsa"


def use(java: JavaHome, archive: Path) -> list[str]:
    """Return the Java options that map ``archive``; none if it does not exist."""
    if not enabled() or not archive.is_file():
        return []
    base = base_archive(java)
    if base and not base.is_file():
        return []
    with contextlib.suppress(OSError):
        os.utime(archive)
    return [f"-XX:SharedArchiveFile={base}:{archive}" if base else f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", *_SILENT]


def dump(java: JavaHome, unfinished: Path) -> list[str]:
    """Return the Java options that write an archive of all loaded classes to ``unfinished`` when Java ends."""
    base = base_archive(java)
    if base and not base.is_file():
        unfinished_base = base.with_name(f"{base.name}.{os.getpid()}")
        command = [str(java.java), "-Xshare:dump", f"-XX:SharedArchiveFile={unfinished_base}"]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=STALE_S, check=True)
        unfinished_base.replace(base)
    return [*([f"-XX:SharedArchiveFile={base}"] if base else []), f"-XX:ArchiveClassesAtExit={unfinished}", *_SILENT]


def base_archive(java: JavaHome) -> Path | None:
    """Return the required path of an archive of Java's own classes, or None if the runtime contains one, as most do."""
    if (java.runtime / "lib" / "server" / "classes.jsa").is_file():
        return None
    key = hashlib.sha256(f"{java.runtime} {java.version} {_changed(java.runtime / 'lib' / 'modules')}".encode()).hexdigest()
    return cache_dir("cds") / f"base-{key[:16]}.jsa"


@contextlib.contextmanager
def dumping(archive: Path) -> Iterator[Path | None]:
    """Yield a path to write to for the one process that may dump ``archive``, then move the result into place; yield None to
    others."""
    lock = _lock(archive)
    with contextlib.suppress(OSError):
        if time.time() - lock.stat().st_mtime > STALE_S:
            lock.unlink()
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except OSError:
        yield None
        return
    unfinished = archive.with_name(f"{archive.name}.{os.getpid()}")
    try:
        yield unfinished
        if unfinished.is_file():
            unfinished.replace(archive)
            prune(archive.parent)
    finally:
        unfinished.unlink(missing_ok=True)
        _failure(archive).unlink(missing_ok=True)
        if not archive.is_file():
            _failure(archive).touch()
        lock.unlink(missing_ok=True)


def prune(folder: Path) -> None:
    """Remove all but the `KEPT` most recently used archives, and leftovers of dead dumps."""
    leftovers = [file for file in folder.glob("*.jsa.*") if time.time() - file.stat().st_mtime > STALE_S]
    for file in [*_archives(folder)[KEPT:], *leftovers]:
        file.unlink(missing_ok=True)


def _archives(folder: Path) -> list[Path]:
    """Return the archives in the cache, most recently used first."""
    return sorted(folder.glob("spark-*.jsa"), key=_used_at, reverse=True)


def _used_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:  # another process has removed it
        return 0.0


def dump_later() -> None:
    """Start a process of the lowest priority that makes the archive, and do not wait for it."""
    with contextlib.suppress(OSError):
        _start_warmup("--idly")


def dump_now(archive: Path, *arguments: str) -> None:
    """Make the archive, with arguments for ``caudal.engine.warmup``, where it is wanted, and return once neither this nor another process is making it, or none has for `STALE_S`."""
    until = time.monotonic() + STALE_S
    if wanted(archive):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            _start_warmup(*arguments).wait(STALE_S)
    while _lock(archive).exists() and time.monotonic() < until:
        time.sleep(0.2)


def _start_warmup(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "caudal.engine.warmup", *arguments], cwd=cache_dir("cds"), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


# Java would print a line to the terminal when an archive does not fit.
_SILENT = ("-Xlog:disable", "-Xlog:all=error:stderr")


def _lock(archive: Path) -> Path:
    return archive.with_suffix(".lock")


def _failure(archive: Path) -> Path:
    return archive.with_suffix(".failed")


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
