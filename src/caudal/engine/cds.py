"""Class-data sharing: the classes that Spark loads at start, kept ready to be mapped into memory.

Loading and verifying some 15,000 classes is most of a session's start. Java can dump them once and map them afterwards; the archive
(about 170 MB) is kept in the user's cache. One is made for each Java and Spark, whatever the connectors, by a process of its own
(`caudal.engine.warmup`) after the first session has ended, so the first run pays nothing. A run without an archive, or with one that
Java refuses, is only slower: nothing here can fail a run. ``CAUDAL_CDS=off`` does without.
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
"""How many archives stay in the cache; the one that was used least recently goes first."""
AGAIN_AFTER_S = 86_400.0
"""How long after a dump that gave nothing no other is tried."""
STALE_S = 600.0
"""After this time a dump that has not ended is taken for dead."""


def enabled() -> bool:
    """Whether archives are used and made: not on Windows, not when switched off, not beside a user's own Spark settings.

    Java takes no archive of a class path with a folder in it that holds files, as a configuration folder does.
    """
    if sys.platform == "win32" or os.environ.get("CAUDAL_CDS") == "off":
        return False
    conf = os.environ.get("SPARK_CONF_DIR")
    return not (conf and Path(conf).is_dir() and any(Path(conf).iterdir()))


def wanted(archive: Path) -> bool:
    """Whether ``archive`` should be made: it is not there, the last attempt was not a failure of today, and it pushes out none used today."""
    try:
        failed_s = time.time() - _failure(archive).stat().st_mtime
    except OSError:
        failed_s = AGAIN_AFTER_S
    today = [archive for archive in _archives(archive.parent) if time.time() - _used_at(archive) < AGAIN_AFTER_S]
    return enabled() and not archive.is_file() and failed_s >= AGAIN_AFTER_S and len(today) < KEPT


def archive_file(java: JavaHome) -> Path:
    """Return where the archive for this Java and this Spark lies, whether it is there or not."""
    home = spark_home()
    # Java compares the times of the jars, so a reinstalled Spark of the same version needs an archive of its own.
    facts = [java.runtime, java.version, java.path, home, _changed(home / "jars"), _changed(java.runtime / "lib" / "modules")]
    return cache_dir("cds") / f"spark-{hashlib.sha256(repr([str(fact) for fact in facts]).encode()).hexdigest()[:16]}.jsa"


def use(java: JavaHome, archive: Path) -> list[str]:
    """Return the Java options that map ``archive``; none when it is not there."""
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
        made = base.with_name(f"{base.name}.{os.getpid()}")
        command = [str(java.java), "-Xshare:dump", f"-XX:SharedArchiveFile={made}"]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=STALE_S, check=True)
        made.replace(base)
    return [*([f"-XX:SharedArchiveFile={base}"] if base else []), f"-XX:ArchiveClassesAtExit={unfinished}", *_SILENT]


def base_archive(java: JavaHome) -> Path | None:
    """Return where the archive of Java's own classes must lie, or None when the runtime brings one, as most do."""
    if (java.runtime / "lib" / "server" / "classes.jsa").is_file():
        return None
    key = hashlib.sha256(f"{java.runtime} {java.version} {_changed(java.runtime / 'lib' / 'modules')}".encode()).hexdigest()
    return cache_dir("cds") / f"base-{key[:16]}.jsa"


@contextlib.contextmanager
def dumping(archive: Path) -> Iterator[Path | None]:
    """Give the one process that may dump ``archive`` a path to write to, and put the result in place; give others None."""
    lock = archive.with_suffix(".lock")
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
    """Remove all but the `KEPT` archives used last, and what dumps that died have left."""
    left = [file for file in folder.glob("*.jsa.*") if time.time() - file.stat().st_mtime > STALE_S]
    for file in [*_archives(folder)[KEPT:], *left]:
        file.unlink(missing_ok=True)


def _archives(folder: Path) -> list[Path]:
    """Return the archives of the cache, those used last first."""
    return sorted(folder.glob("spark-*.jsa"), key=_used_at, reverse=True)


def _used_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:  # another process has removed it
        return 0.0


def dump_later() -> None:
    """Start a process of the lowest priority that makes the archive, and leave it to itself."""
    command = [sys.executable, "-m", "caudal.engine.warmup", "--idly"]
    with contextlib.suppress(OSError):
        subprocess.Popen(
            command, cwd=cache_dir("cds"), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


# Java would print a line to the terminal when an archive does not fit.
_SILENT = ("-Xlog:disable", "-Xlog:all=error:stderr")


def _failure(archive: Path) -> Path:
    return archive.with_suffix(".failed")


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
