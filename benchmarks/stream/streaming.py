"""A stream in a process of its own, and what can be seen of it from outside: its live feed, its tables, what it takes of the machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from caudal.messaging.feed import Feed
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

PRODUCT = Path(__file__).parent
NAME, SOURCE = "readings", "samples"
TABLES = {"samples": ["device", "seq", "at"], "seconds": ["device", "window_start", "sensor"]}
# A micro-batch that takes only so many bytes: a small backlog is then many of them.
_SMALL = """
import sys
from caudal.kinds import EXECUTORS
most_bytes = int(sys.argv.pop(1))
for executor in EXECUTORS.values():
    executor.MOST_BYTES = most_bytes
from caudal.cli import main
main()
"""


class Streaming:
    """``caudal stream`` at work; leaving the block ends it.

    Parameters
    ----------
    batch_bytes : int, optional, most bytes of a micro-batch
    options : of ``caudal stream``
    cwd : Path, optional, where a ``caudal.toml`` may lie
    limit : int, optional, the largest file that the process may write, bytes
    """

    def __init__(
        self,
        home: Path,
        *options: str,
        batch_bytes: int | None = None,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        limit: int | None = None,
    ) -> None:
        self.home, self._feed = home, Feed(Home(home).live(NAME))
        program = ["-m", "caudal"] if batch_bytes is None else ["-c", _SMALL, str(batch_bytes)]
        command = [sys.executable, *program, "stream", str(PRODUCT), "--home", str(home), *options, "--json"]
        self.before = self._feed.end()
        self._updates: list[dict[str, Any]] = []
        self.began = time.time()
        self.log = home.with_name(f"{home.name}-{time.monotonic_ns()}.log")
        self._said = self.log.open("w")
        options: dict[str, Any] = {} if limit is None else {"preexec_fn": lambda: _limit(limit)}
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            **options,
        )

    def updates(self) -> list[dict[str, Any]]:
        """Return what the live feed holds of this process's micro-batches."""
        self._updates += [dict(update) for _, update in self._feed.tail(self.before + len(self._updates))]
        return self._updates

    def newest(self) -> dict[str, Any]:
        """Return the last of them."""
        return self._feed.tail(self._feed.end() - 1)[-1][1]

    def wait_for(self, batches: int = 1, since: float = 0.0, patience_s: float = 120.0) -> dict[str, Any]:
        """Return the micro-batch that was the last of so many done after a moment; it may have to be waited for.

        Raises
        ------
        TimeoutError : they were not done in time, or the process ended before
        """
        until = time.monotonic() + patience_s
        while True:
            running = self.process.poll() is None
            done = [update for update in self.updates() if update["at"] > since]
            if len(done) >= batches:
                return done[batches - 1]
            if not running or time.monotonic() > until:
                raise TimeoutError(f"{len(done)} of {batches} micro-batches: {self.said()[-2000:] or 'no word'}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> dict[str, Any]:
        """Ask it to end, and return its document."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self, patience_s: float = 300.0) -> dict[str, Any]:
        """Wait until it has ended well, and return its document."""
        said, _ = self.process.communicate(timeout=patience_s)
        if self.process.returncode:
            raise RuntimeError(f"the stream ended with {self.process.returncode}: {self.said()[-2000:]}")
        return dict(json.loads(said))

    def said(self) -> str:
        """Return what it has said on standard error."""
        return self.log.read_text()

    def __enter__(self) -> Streaming:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._said.close()


def caudal(*arguments: str | Path, environment: Mapping[str, str] | None = None, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """Run a command to its end and return its document."""
    command = [sys.executable, "-m", "caudal", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env={**os.environ, **(environment or {})})
    if done.returncode not in codes:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-1000:]} {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def send(home: Path, *options: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Play into the product's source and return the replay's document."""
    return caudal("replay", PRODUCT, "--home", home, *options, environment=environment)


def same_messages(home: Path, other: Path) -> None:
    """Let ``other`` be a home that holds the messages of ``home`` and nothing else."""
    log = Home(home).stream(NAME, SOURCE)
    shutil.copytree(log, Home(other).stream(NAME, SOURCE), ignore=shutil.ignore_patterns("memory", "lock"))


def tables(home: Path) -> dict[str, pa.Table]:
    """Return what a reader sees, in an order of its own."""
    found = {}
    for name, keys in TABLES.items():
        rows = arrow(delta.read_version(Home(home).table(NAME, name)))
        found[name] = rows.sort_by([(key, "ascending") for key in keys]).combine_chunks()
    return found


def differences(have: dict[str, pa.Table], want: dict[str, pa.Table]) -> list[str]:
    """Return in what tables differ, row for row; nothing where they are equal."""
    found = []
    for name, table in want.items():
        if have[name].num_rows != table.num_rows:
            found.append(f"{name}: {have[name].num_rows:,} rows, {table.num_rows:,} in the truth")
        elif not have[name].select(table.column_names).equals(table):
            found.append(f"{name}: as many rows, not the same")
    return found


def parity(home: Path, environment: Mapping[str, str] | None = None) -> list[str]:
    """Return in what the streamed rows differ from a run over the captured samples."""
    told = caudal("parity", PRODUCT, "--home", home, environment=environment, codes=(0, 1))
    return [] if told["equal"] else [f"parity, {name}: {one}" for name, one in told["tables"].items() if not one["equal"]]


def _limit(file_bytes: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
