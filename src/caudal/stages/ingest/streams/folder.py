"""Stream files dropped in a folder: each is copied into an embedded log once, and streamed from there.

Next to the log of contents is a log of names (``names/``). A name is written before its content, so after a kill the names without
content show which files to read again; no file is copied twice and none is left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from caudal.declarations.connection import Connection, Folder
from caudal.errors import LeaseHeld
from caudal.messaging.log import Reader, Writer
from caudal.stages.ingest.streams import log
from caudal.stages.ingest.streams.log import LogSource, LogStream, Offsets
from caudal.stages.ingest.streams.tap import LogTap

KIND = "folder"
# The most that one intake copies, so that a full folder does not delay a trigger.
_BYTES_A_LOOK, _FILES_A_LOOK = 64 << 20, 10_000


def frame(
    spark: SparkSession, connection: Connection, place: Path, *, data: Path | None = None, max_bytes: int | None = None
) -> DataFrame:
    """Return the stream of the files' contents; ``arrived`` is when a file was copied."""
    assert isinstance(connection, Folder)
    pattern = str((data or Path.cwd()).absolute() / connection.pattern)
    return log.log_stream(spark, FolderSource, place, max_bytes=max_bytes, pattern=pattern)


def tap(connection: Connection, place: Path, data: Path | None = None) -> FolderTap:
    """Return the tap of a folder."""
    assert isinstance(connection, Folder)
    return FolderTap(place, str((data or Path.cwd()).absolute() / connection.pattern))


class FolderSource(LogSource):
    """The Spark data source of a folder; it has the log's options, and ``pattern``."""

    @classmethod
    def name(cls) -> str:
        """Return the data source's name in Spark."""
        return "caudal_folder"

    def streamReader(self, schema: StructType) -> LogStream:  # noqa: N802, ARG002 (Spark's)
        """Return the reader of a stream."""
        place = Path(self.options["folder"])
        intake = FolderIntake(place, self.options["pattern"])
        return FolderStream(place, int(self.options["cores"]), int(self.options.get("max_bytes", 0)), intake)


class FolderStream(LogStream):
    """The stream of a log into which new files are copied whenever Spark asks for its end."""

    def __init__(self, folder: Path, cores: int, max_bytes: int, intake: FolderIntake) -> None:
        super().__init__(folder, cores, max_bytes)
        self._intake = intake

    def latestOffset(self) -> Offsets:  # noqa: N802
        """Copy new files, then return the end."""
        # Another stream of the same source is copying them now: they are available the next time.
        with contextlib.suppress(LeaseHeld):
            self._intake.take()
        return super().latestOffset()


class FolderIntake:
    """Copies files that match ``pattern`` into the log at ``place``, each once, the oldest first."""

    def __init__(self, place: Path, pattern: str) -> None:
        self._place, self._pattern = place, pattern
        self._names = Reader(place / "names")
        self._seen: set[str] = set()
        self._read_count = 0

    def take(self) -> int:
        """Copy new files and return their number.

        Raises
        ------
        LeaseHeld : another process is copying files
        """
        self._read_names()
        if not (files := self._new_files()) and Reader(self._place).end() == self._names.end():
            return 0
        with Writer(self._place / "names", 1) as names, Writer(self._place, 1) as contents:
            name_count = names.append(0, []).start
            self._read_names()
            self._finish(contents, name_count)
            files = [file for file in files if file not in self._seen]
            names.append(0, [_bytes(file) for file in files])
            contents.append(0, [_content(file) for file in files])
        return len(files)

    def _finish(self, contents: Writer, name_count: int) -> None:
        """Add the contents of files of which a killed process wrote only the names."""
        first_missing = contents.append(0, []).start
        pending = self._names.read(0, first_missing, name_count)["payload"].to_pylist()
        contents.append(0, [_content(_name(payload)) for payload in pending])

    def _read_names(self) -> None:
        ends = self._names.end()
        if ends and ends[0] > self._read_count:
            self._seen.update(map(_name, self._names.read(0, self._read_count, ends[0])["payload"].to_pylist()))
            self._read_count = ends[0]

    def _new_files(self) -> list[str]:
        files: list[tuple[int, str, int]] = []
        anchor = Path(self._pattern).anchor
        for file in Path(anchor).glob(self._pattern.removeprefix(anchor)):
            if (name := str(file)) not in self._seen and not file.name.startswith((".", "_")):
                with contextlib.suppress(FileNotFoundError):
                    if file.is_file():
                        files.append(((state := file.stat()).st_mtime_ns, name, state.st_size))
        chosen: list[str] = []
        total = 0
        for _, name, size in sorted(files):
            if chosen and (total + size > _BYTES_A_LOOK or len(chosen) >= _FILES_A_LOOK):
                break
            chosen.append(name)
            total += size
        return chosen


def _content(name: str) -> bytes:
    # A file that vanished in between is an empty message: it is counted among those that cannot be read.
    with contextlib.suppress(FileNotFoundError):
        return Path(name).read_bytes()
    return b""


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _name(payload: bytes | None) -> str:
    return (payload or b"").decode("utf-8", "surrogateescape")


def taken_files(place: Path) -> Sequence[str]:
    """Return the files that were copied, in the order of their offsets."""
    names = Reader(place / "names")
    ends = names.end()
    return [_name(value) for value in names.read(0, 0, ends[0])["payload"].to_pylist()] if ends else []


class FolderTap(LogTap):
    """A folder, whose new files are copied into a log first."""

    def __init__(self, place: Path, pattern: str) -> None:
        super().__init__(place)
        self._intake = FolderIntake(place, pattern)

    def ends(self, start: tuple[int, ...] | None, most_bytes: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """Copy new files, then return the log's end."""
        with contextlib.suppress(LeaseHeld):
            self._intake.take()
        return super().ends(start, most_bytes)
