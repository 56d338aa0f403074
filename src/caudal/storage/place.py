"""The lake's location: a local folder, S3 or HDFS. A remote path has the interface of `pathlib.Path`; a local one is a
`pathlib.Path`.

Remote files are accessed through `pyarrow.fs`: S3 by Arrow's own client, HDFS by ``hdfs-native``. A file that is
being written appears when it is complete. Folders need not be created.
"""

from __future__ import annotations

import functools
import io
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Literal, NamedTuple, cast, overload
from uuid import uuid4

from caudal.storage.remote import filesystem, parse_remote_address, storage, storage_connectors, storage_settings
from caudal.storage.storage_errors import translate_storage_errors

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.fs import FileInfo, FileSystem
    from pyspark.sql import DataFrameReader, SparkSession

_AT_ONCE = 16
_SMALL_BYTES = 1 << 18
_MANY = 256  # cached small files: 64 MiB at most
_kept: dict[Remote, tuple[Stat, bytes]] = {}


class Stat(NamedTuple):
    """A file's entry in a listing."""

    st_size: int
    st_mtime: float


@functools.total_ordering
class Remote:
    """A path on S3 or HDFS.

    Parameters
    ----------
    root : ``s3://bucket`` or ``hdfs://host:port``
    path : the path below the root
    stat : size and time, if a listing has already returned them
    """

    __slots__ = ("_stat", "path", "root")

    def __init__(self, root: str, path: PurePosixPath, stat: Stat | None = None) -> None:
        self.root, self.path, self._stat = root, path, stat

    def __str__(self) -> str:
        return f"{self.root}/{self.path}".removesuffix("/.")

    def __repr__(self) -> str:
        return f"Remote({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and str(self) == str(other)

    def __lt__(self, other: Remote) -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __truediv__(self, below: str | PurePath) -> Remote:
        return Remote(self.root, self.path / PurePosixPath(below))

    def __reduce__(self) -> tuple[object, ...]:
        return Remote, (self.root, self.path)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.name

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return self.path.stem

    @property
    def suffix(self) -> str:
        """The name's extension."""
        return self.path.suffix

    @property
    def parent(self) -> Remote:
        """The parent folder."""
        return Remote(self.root, self.path.parent)

    @property
    def key(self) -> str:
        """The file system's name for the path: ``bucket/path`` on S3, ``/path`` on HDFS."""
        return f"{self.root.removeprefix('s3://')}/{self.path}" if self.root.startswith("s3:") else f"/{self.path}"

    def with_name(self, name: str) -> Remote:
        """Return the path with another last part."""
        return Remote(self.root, self.path.with_name(name))

    def exists(self) -> bool:
        """Return whether the file or folder exists."""
        return self._stat is not None or self._info().type.name != "NotFound"

    def is_file(self) -> bool:
        """Return whether the path is an existing file."""
        return self._stat is not None or self._info().type.name == "File"

    def is_dir(self) -> bool:
        """Return whether the path is an existing folder."""
        return next(self._list(), None) is not None

    def stat(self) -> Stat:
        """Return size and time of change."""
        if self._stat is not None:
            return self._stat
        info = self._info()
        if info.type.name != "File":
            raise FileNotFoundError(str(self))
        return _stat(info)

    def iterdir(self) -> Iterator[Remote]:
        """Yield the folder's entries."""
        for info in self._list():
            yield self._below(info)

    def glob(self, pattern: str) -> Iterator[Remote]:
        """Yield the folder's entries whose name matches."""
        return (path for path in self.iterdir() if fnmatchcase(path.name, pattern))

    def rglob(self, pattern: str) -> Iterator[Remote]:
        """Yield the files in the folder and below whose name matches; unlike `pathlib`, no folders."""
        for info in self._list(recursive=True):
            if info.type.name == "File" and fnmatchcase(info.base_name, pattern):
                yield self._below(info)

    @overload
    def open(self, mode: Literal["r"] = "r") -> io.TextIOWrapper: ...

    @overload
    def open(self, mode: Literal["rb", "wb"]) -> pa.NativeFile: ...

    def open(self, mode: Literal["r", "rb", "wb"] = "r") -> io.TextIOWrapper | pa.NativeFile:
        """Open the file: ``r`` for text, ``rb`` for random access, ``wb`` to write it as a whole."""
        with translate_storage_errors(self):
            if mode == "wb":
                return filesystem(self.root).open_output_stream(self.key)
            opened = filesystem(self.root).open_input_file(self.key)
        return opened if mode == "rb" else io.TextIOWrapper(opened, encoding="utf-8")

    def read_bytes(self) -> bytes:
        """Return the file's content."""
        with translate_storage_errors(self), filesystem(self.root).open_input_file(self.key) as opened:
            return cast(bytes, opened.read())

    def read_text(self) -> str:
        """Return the file's text."""
        return self.read_bytes().decode()

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: a folder exists when it contains something."""

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the file."""
        try:
            with translate_storage_errors(self):
                filesystem(self.root).delete_file(self.key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def replace(self, target: Remote) -> Remote:
        """Move the file, replacing another."""
        with translate_storage_errors(self):
            if not self.root.startswith("s3:"):
                target.unlink(missing_ok=True)
            filesystem(self.root).move(self.key, target.key)
        _kept.pop(target, None)
        return target

    def _info(self) -> FileInfo:
        with translate_storage_errors(self):
            return filesystem(self.root).get_file_info(self.key)

    def _list(self, recursive: bool = False) -> Iterator[FileInfo]:
        from pyarrow.fs import FileSelector

        with suppress(FileNotFoundError), translate_storage_errors(self):
            yield from filesystem(self.root).get_file_info(FileSelector(self.key, allow_not_found=False, recursive=recursive))

    def _below(self, info: FileInfo) -> Remote:
        below = PurePosixPath(info.path).relative_to(self.key)
        return Remote(self.root, self.path / below, _stat(info) if info.type.name == "File" else None)


Place = Path | Remote


def place(text: str | Path) -> Place:
    """Return the place that a setting or a table's version names.

    Raises
    ------
    DeclarationProblem : the address is of an unknown kind, or contains a password
    """
    remote_address = parse_remote_address(str(text))
    return Path(text).absolute() if remote_address is None else Remote(remote_address.root, PurePosixPath(remote_address.path))


def relative_path(path: Place, folder: Place) -> PurePath:
    """Return a path relative to a parent folder."""
    if isinstance(path, Remote) and isinstance(folder, Remote):
        return path.path.relative_to(folder.path)
    assert isinstance(path, Path)
    assert isinstance(folder, Path)
    return path.relative_to(folder)


def overwrite(target: Place, new_file: Place) -> None:
    """Replace a file with one that was written to the same folder."""
    if isinstance(new_file, Remote):
        assert isinstance(target, Remote)
        new_file.replace(target)
    else:
        assert isinstance(target, Path)
        new_file.replace(target)


def readable(path: Place) -> Path | pa.NativeFile:
    """Return what Arrow and gzip can read a file from: its name if it is local, else the opened file.

    A small remote file is read as a whole and cached: a written file is read several times before it is published.
    """
    import pyarrow as pa

    if isinstance(path, Path):
        return path
    stat = path.stat()
    if stat.st_size > _SMALL_BYTES:
        return path.open("rb")
    if (cached := _kept.get(path)) is None or cached[0] != stat:
        _kept[path] = cached = (stat, path.read_bytes())
        while len(_kept) > _MANY:
            _kept.pop(next(iter(_kept)), None)
    return pa.BufferReader(cached[1])


def local(path: Place, folder: Path) -> Path:
    """Return a local path to a file: itself, or a copy in ``folder``, for libraries that read only local files."""
    import pyarrow.fs as pf

    if isinstance(path, Path):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / path.name
    with translate_storage_errors(path):
        pf.copy_files(
            path.key,
            str(copy),
            source_filesystem=filesystem(path.root),
            destination_filesystem=pf.LocalFileSystem(),
            use_threads=False,
        )
    return copy


@contextmanager
def writable(path: Place) -> Iterator[Path | pa.NativeFile]:
    """Yield what Arrow can write a file to."""
    if isinstance(path, Path):
        yield path
        return
    _kept.pop(path, None)
    with translate_storage_errors(path), path.open("wb") as opened:
        yield opened


def spark_path(path: Place | str) -> str:
    """Return a path in the notation of Spark's Hadoop client.

    Examples
    --------
    >>> spark_path("s3://lake/taxi"), spark_path("/home/lake")
    ('s3a://lake/taxi', '/home/lake')
    """
    text = str(path)
    return f"s3a://{text.removeprefix('s3://')}" if text.startswith("s3://") else text


def reader(spark: SparkSession) -> DataFrameReader:
    """Return a Spark reader that takes file names literally; by default Spark takes ``[ ] { } * ?`` and a backslash for
    patterns."""
    return spark.read.option("__globPaths__", "false")


def put(file: Path, destination: Place) -> None:
    """Copy a local file to a new path, completely or not at all; an existing file is left.

    On S3 an upload appears when it ends; on HDFS the file is written under another name and then renamed.
    """
    import pyarrow.fs as pf

    if isinstance(destination, Path):
        destination.parent.mkdir(parents=True, exist_ok=True)
        file.replace(destination)
        return
    _kept.pop(destination, None)
    uploaded = destination if destination.root.startswith("s3:") else destination.with_name(f".{destination.name}.{uuid4().hex}")
    with translate_storage_errors(destination):
        pf.copy_files(
            str(file),
            uploaded.key,
            source_filesystem=pf.LocalFileSystem(),
            destination_filesystem=filesystem(destination.root),
            use_threads=False,
        )
        if uploaded is not destination:
            uploaded.replace(destination)


def remove(folder: Place) -> None:
    """Delete a folder with its content; do nothing if it does not exist."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
        return
    with suppress(FileNotFoundError), translate_storage_errors(folder):
        filesystem(folder.root).delete_dir(folder.key)


def move(origin: Place, destination: Place) -> None:
    """Move a folder to a new path. On S3 every file is copied and then deleted, so a kill can leave files at both places."""
    remove(destination)
    if isinstance(origin, Path) and isinstance(destination, Path):
        destination.parent.mkdir(parents=True, exist_ok=True)
        origin.rename(destination)
    elif isinstance(destination, Remote) and isinstance(origin, Remote) and origin.root.startswith("s3:"):
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda file: file.replace(destination / relative_path(file, origin)), list(origin.rglob("*"))))
    elif isinstance(destination, Remote) and isinstance(origin, Remote):
        with translate_storage_errors(destination):
            filesystem(destination.root).create_dir(destination.parent.key, recursive=True)
            filesystem(destination.root).move(origin.key, destination.key)


def arrow_paths(paths: list[str]) -> tuple[list[str], FileSystem | None]:
    """Return Arrow's names of files, and their file system; None for local files."""
    remote_address = parse_remote_address(paths[0]) if paths else None
    if remote_address is None:
        return paths, None
    return [cast(Remote, place(path)).key for path in paths], filesystem(remote_address.root)


def _stat(info: FileInfo) -> Stat:
    return Stat(int(info.size or 0), info.mtime.timestamp() if info.mtime is not None else 0.0)


def delta_options(folder: Place) -> dict[str, str] | None:
    """Return ``deltalake``'s storage options for a table's folder."""
    return None if isinstance(folder, Path) else storage(folder.root)


def spark_needs(destination: Place) -> tuple[frozenset[str], dict[str, str]]:
    """Return the connectors and the settings of a Spark session that writes to a place."""
    return (
        (frozenset(), {})
        if isinstance(destination, Path)
        else (storage_connectors(destination.root), storage_settings(destination.root))
    )
