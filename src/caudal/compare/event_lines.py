"""The lines of a Spark event log: a file or a folder of rolled files, plain or compressed, whole or cut off."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import zstandard

from caudal.errors import NotThere

_CHUNK = 1 << 20
_LZ4_MAGIC, _LZ4_HEADER = b"LZ4Block", 21
_LZ4_RAW = 0x10  # of the token's upper half: the block is not compressed
_ROLLED = re.compile(r"events_(\d+)_.+")
_CODECS = ("zstd", "lz4")
_UNREAD = ("snappy", "lzf")


@dataclass
class EventLines:
    """The lines of a log. After they were read, ``cut_off`` says where and why they end too early, and is None where they do not.

    Parameters
    ----------
    files : in their order
    """

    files: tuple[Path, ...]
    cut_off: str | None = None
    bytes_read: int = 0

    def __iter__(self) -> Iterator[bytes]:
        for file in self.files:
            rest = b""
            for chunk in self._chunks(file):
                self.bytes_read += len(chunk)
                lines = (rest + chunk).split(b"\n")
                rest = lines.pop()
                yield from lines
            if rest:  # Spark ends each event with a line's end
                yield rest

    def _chunks(self, file: Path) -> Iterator[bytes]:
        codec = _codec(file)
        with file.open("rb") as stream:
            if codec == "zstd":
                yield from self._zstd(stream, file)
            elif codec == "lz4":
                yield from self._lz4(stream, file)
            else:
                while chunk := stream.read(_CHUNK):
                    yield chunk

    def _zstd(self, stream: BinaryIO, file: Path) -> Iterator[bytes]:
        """Yield what the frames hold; of one that does not end, what there is of it."""
        decompressing = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
        fresh = True
        while data := stream.read(_CHUNK):
            while data:
                fresh = False
                try:
                    yield decompressing.decompress(data)
                except zstandard.ZstdError as error:
                    self.cut_off = f"'{file.name}' cannot be decompressed further: {error}"
                    return
                data = decompressing.unused_data if decompressing.eof else b""
                if decompressing.eof:
                    decompressing, fresh = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj(), True
        if not fresh:
            self.cut_off = f"'{file.name}' ends within a compressed frame"

    def _lz4(self, stream: BinaryIO, file: Path) -> Iterator[bytes]:
        """Yield the blocks of lz4-java's own stream, which is what Spark writes; it is not LZ4's frame format."""
        while header := stream.read(_LZ4_HEADER):
            size = int.from_bytes(header[9:13], "little")
            original = int.from_bytes(header[13:17], "little")
            block = stream.read(size)
            if len(header) < _LZ4_HEADER or header[:8] != _LZ4_MAGIC or len(block) < size:
                self.cut_off = f"'{file.name}' ends within a compressed block"
                return
            if original == 0:  # the end of a stream; another may follow
                continue
            try:
                yield block if header[8] & 0xF0 == _LZ4_RAW else pa.decompress(block, original, codec="lz4_raw", asbytes=True)
            except (OSError, pa.ArrowException) as error:
                self.cut_off = f"'{file.name}' cannot be decompressed further: {error}"
                return


def event_lines(path: Path) -> EventLines:
    """Return the lines of an event log.

    Parameters
    ----------
    path : a file, or a folder ``eventlog_v2_…`` of rolled files

    Raises
    ------
    NotThere : there is no such log, or its compression is not one that is read
    """
    if path.is_file():
        _codec(path)
        return EventLines((path,))
    if not path.is_dir():
        raise NotThere(f"There is no event log '{path}'.", fix="Give a file, or a folder of rolled files (eventlog_v2_…).")
    numbered = {file: int(match[1]) for file in path.iterdir() if (match := _ROLLED.fullmatch(file.name))}
    if not numbered:
        logs = [
            each.name for each in sorted(path.iterdir()) if each.name.startswith(("eventlog_v2_", "app-", "local-", "application_"))
        ]
        raise NotThere(
            f"The folder '{path}' holds no rolled files of an event log.",
            fix=f"Give one of the logs in it: {', '.join(logs[:6])}."
            if logs
            else "Give the folder of one application, eventlog_v2_….",
        )
    # What was compacted stands for all files up to its number.
    compact = max((number for file, number in numbered.items() if file.name.endswith(".compact")), default=0)
    kept = (
        [file for file, number in numbered.items() if number > compact or (number == compact and file.name.endswith(".compact"))]
        if compact
        else list(numbered)
    )
    files = tuple(sorted(kept, key=lambda file: numbered[file]))
    for file in files:
        _codec(file)
    lines = EventLines(files)
    missing = sorted({*range(numbered[files[0]], numbered[files[-1]] + 1)} - {numbered[file] for file in files})
    if missing:
        lines.cut_off = f"the rolled file {missing[0]} is missing"
    elif numbered[files[0]] > 1 and not compact:
        lines.cut_off = f"the rolled files before number {numbered[files[0]]} are missing"
    return lines


def _codec(file: Path) -> str | None:
    """Return the compression that a log's name says, as Spark writes and reads it."""
    endings = file.name.split(".")[1:]
    for ending in endings:
        if ending in _CODECS:
            return ending
        if ending in _UNREAD:
            raise NotThere(
                f"'{file.name}' is compressed by {ending}, which is not read.",
                fix="Set spark.eventLog.compression.codec to zstd or lz4.",
            )
    return None
