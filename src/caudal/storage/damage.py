"""Detect damaged files from the errors of the libraries that read them, and say so in a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from caudal.errors import CaudalError, StorageDamaged

if TYPE_CHECKING:
    from caudal.storage.place import Remote

VERIFY = "`caudal verify` tells what is damaged and how to mend it."

_NOT_AS_WRITTEN = (
    "CRC checksum verification failed", "Parquet magic bytes not found", "Couldn't deserialize thrift", "is not a Parquet file",
    "could not verify page integrity", "Parquet file size is", "Unexpected end of stream", "Invalid Parquet file", "Invalid or corrupted",
    "Corrupt snappy", "Corrupted snappy", "Corrupt ", "ZSTD decompression failed", "can not read class org.apache.parquet.format",
    "Invalid: Unknown encoding type", "Tried reading", "couldn't deserialize", "Snappy decompression failed",
    "Invalid number of indices", "is too small to be a Parquet file", "Page was smaller", "Unexpected dictionary", "ParquetDecodingException",
    "Data size too small", "not a valid Parquet", "MalformedInputException: ", "too large (corrupt file?)", "TProtocolException", "Could not read bytes",
)  # fmt: skip
_GONE = (
    "No such file or directory",
    "FileNotFoundException",
    "FILE_NOT_EXIST",
    "File not found",
    "does not exist",
    "PATH_NOT_FOUND",
    "Path does not exist",
)


def damage_error(sentence: str, fix: str = VERIFY, **facts: Any) -> StorageDamaged:
    """Return the error that stored data is not as it was written; a retry does not help."""
    return StorageDamaged(sentence, fix=fix, transient=False, **facts)


@contextmanager
def translate_damage(file: PurePath | Remote, label: str = "") -> Iterator[None]:
    """Raise an error that names the stored file if the block's reading of it shows that it is damaged or missing.

    Raises
    ------
    StorageDamaged : the file is damaged or missing
    """
    try:
        yield
    except CaudalError:
        raise
    except Exception as error:
        if (problem := of_file(error, file, label)) is None:
            raise
        raise problem from error


def of_file(error: BaseException, file: PurePath | Remote, label: str = "") -> StorageDamaged | None:
    """Return the damage that an error shows of a stored file; None if the file is not the cause."""
    prefix = f"{label}: " if label else ""
    if isinstance(error, FileNotFoundError):
        return damage_error(f"{prefix}'{file}' is gone.", file=str(file))
    # An error of the operating system has a number; without one, Parquet's reader cannot interpret the bytes.
    nonsense = isinstance(file, PurePath) and isinstance(error, OSError) and error.errno is None
    of_arrow = type(error).__module__.startswith("pyarrow") and not isinstance(error, OSError | MemoryError)
    if nonsense or of_arrow or is_damage(str(error)):
        return damage_error(f"{prefix}'{file}' is not as it was written: {first_line(error)}.", file=str(file))
    return None


def is_damage(text: str) -> bool:
    """Return whether an error's text is that of a reader that found other bytes than were written."""
    return any(sign in text for sign in _NOT_AS_WRITTEN)


def of_text(text: str) -> StorageDamaged | None:
    """Return the damage that a Spark error shows of a stored file; None if it is about something else."""
    is_missing = any(sign in text for sign in _GONE)
    if not is_missing and not is_damage(text):
        return None
    file_match = re.search(r"(?:file:/*|s3a?://|hdfs://)?(/[^\n\"']*?/lake/[^\n\"']*?\.(?:snappy\.|zstd\.)?parquet)", text)
    if file_match is None:
        return None
    state = "is gone" if is_missing and not is_damage(text) else "is not as it was written"
    return damage_error(f"'{file_match.group(1)}' {state}.", file=file_match.group(1))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, without a full stop."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line[:300].rstrip(".")
