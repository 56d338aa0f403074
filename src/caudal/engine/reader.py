"""Record which files a table's function reads through Spark besides its inputs: Java opens them, so Python does not see it."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pyspark.sql.readwriter import DataFrameReader

from caudal.engine.mode import speaks_connect

_OF_FILES = ("load", "csv", "json", "parquet", "orc", "text", "xml")
_CAUDAL = str(Path(__file__).parent.parent) + os.sep
_SPARK = f"{os.sep}pyspark{os.sep}"


@contextmanager
def record_reads(path: Callable[[str, str], None], unseen: Callable[[str], None]) -> Iterator[None]:
    """Record what ``spark.read`` reads in the block, except by caudal itself.

    Parameters
    ----------
    path : called with ``file`` or ``folder``, and the path
    unseen : called with a description of remote data, whose changes cannot be detected
    """

    def recording(name: str, method: Callable[..., object]) -> Callable[..., object]:
        @wraps(method)
        def recorded_read(self: object, *args: object, **kwargs: object) -> object:
            if not sys._getframe(1).f_code.co_filename.startswith(_CAUDAL) and _SPARK not in sys._getframe(1).f_code.co_filename:
                if name == "jdbc":
                    unseen("a database")
                for place in _texts(args[0] if args else kwargs.get("path", kwargs.get("paths"))):
                    _note(place, path, unseen)
            return method(self, *args, **kwargs)

        return recorded_read

    originals = [
        (reader, name, getattr(reader, name)) for reader in _readers() for name in (*_OF_FILES, "jdbc") if hasattr(reader, name)
    ]
    for reader, name, method in originals:
        setattr(reader, name, recording(name, method))
    try:
        yield
    finally:
        for reader, name, method in originals:
            setattr(reader, name, method)


def _readers() -> list[type]:
    """Return the classes whose methods read: that of Spark, and that of Connect while it is spoken."""
    if not speaks_connect():
        return [DataFrameReader]
    from pyspark.sql.connect.readwriter import DataFrameReader as ConnectReader

    return [DataFrameReader, ConnectReader]


def _texts(argument: object) -> list[str]:
    several = argument if isinstance(argument, list | tuple) else [argument]
    return [str(place) for place in several if isinstance(place, str | os.PathLike)]


def _note(place: str, path: Callable[[str, str], None], unseen: Callable[[str], None]) -> None:
    parts = urlsplit(place)
    if parts.scheme == "jdbc":
        return
    if parts.scheme not in ("", "file"):
        unseen(f"files at {parts.scheme}://")
        return
    local = unquote(parts.path) if parts.scheme else place
    for path_ in sorted(glob.glob(local)) or [local]:  # noqa: PTH207 (Spark's patterns are such)
        if not Path(path_).is_dir():
            path("file", path_)
            continue
        for folder, _, names in os.walk(path_):
            path("folder", folder)
            for name in names:
                path("file", str(Path(folder) / name))
