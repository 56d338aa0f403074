"""Where the lake lies: a local folder, S3 or HDFS. A remote path is used as a `pathlib.Path` is; a local one is a `pathlib.Path`.

Remote files are reached by `pyarrow.fs`, which comes with Arrow: S3 by its own client, HDFS by ``hdfs-native``. A file that is
being written is seen when it is whole. Folders need not be made.
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
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from uuid import uuid4

from caudal.storage.remote import address, connectors, filesystem, spark_settings, storage
from caudal.storage.storage_errors import translate_storage_errors

if TYPE_CHECKING:
    from pyspark.sql import DataFrameReader, SparkSession

_AT_ONCE = 16
_SMALL_BYTES = 1 << 18
_MANY = 256  # small files that are kept: 64 MiB at most
_kept: dict[Remote, tuple[Stat, bytes]] = {}


class Stat(NamedTuple):
    """What a listing says of a file."""

    st_size: int
    st_mtime: float


@functools.total_ordering
class Remote:
    """A path on S3 or HDFS.

    Parameters
    ----------
    root : ``s3://bucket`` or ``hdfs://host:port``
    path : what comes below
    stat : of a file that a listing has named
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

    def __reduce__(self) -> tuple[Any, ...]:
        return Remote, (self.root, self.path)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.name

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return self.path.stem

    @property
    def suffix(self) -> str:
        """The name's ending."""
        return self.path.suffix

    @property
    def parent(self) -> Remote:
        """The folder that it lies in."""
        return Remote(self.root, self.path.parent)

    @property
    def key(self) -> str:
        """What the file system calls it: ``bucket/path`` on S3, ``/path`` on HDFS."""
        return f"{self.root.removeprefix('s3://')}/{self.path}" if self.root.startswith("s3:") else f"/{self.path}"

    def with_name(self, name: str) -> Remote:
        """Return the path of a neighbour."""
        return Remote(self.root, self.path.with_name(name))

    def exists(self) -> bool:
        """Tell whether there is such a file or folder."""
        return self._stat is not None or self._info().type.name != "NotFound"

    def is_file(self) -> bool:
        """Tell whether there is such a file."""
        return self._stat is not None or self._info().type.name == "File"

    def is_dir(self) -> bool:
        """Tell whether there is such a folder."""
        return next(self._listed(), None) is not None

    def stat(self) -> Stat:
        """Return size and time of change."""
        if self._stat is not None:
            return self._stat
        info = self._info()
        if info.type.name != "File":
            raise FileNotFoundError(str(self))
        return _stat(info)

    def iterdir(self) -> Iterator[Remote]:
        """Yield what lies in the folder."""
        for info in self._listed():
            yield self._below(info)

    def glob(self, pattern: str) -> Iterator[Remote]:
        """Yield what lies in the folder and is called so."""
        return (path for path in self.iterdir() if fnmatchcase(path.name, pattern))

    def rglob(self, pattern: str) -> Iterator[Remote]:
        """Yield the files in the folder and below that are called so; unlike `pathlib`, no folders."""
        for info in self._listed(recursive=True):
            if info.type.name == "File" and fnmatchcase(info.base_name, pattern):
                yield self._below(info)

    def open(self, mode: str = "r") -> Any:
        """Return the file opened: ``r`` for text, ``rb`` to look here and there, ``wb`` to write it whole."""
        with translate_storage_errors(self):
            if mode == "wb":
                return filesystem(self.root).open_output_stream(self.key)
            opened = filesystem(self.root).open_input_file(self.key)
        return opened if mode == "rb" else io.TextIOWrapper(opened, encoding="utf-8")

    def read_bytes(self) -> bytes:
        """Return what the file holds."""
        with translate_storage_errors(self), filesystem(self.root).open_input_file(self.key) as opened:
            return cast(bytes, opened.read())

    def read_text(self) -> str:
        """Return the text that the file holds."""
        return self.read_bytes().decode()

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: folders are there when something lies in them."""

    def unlink(self, missing_ok: bool = False) -> None:
        """Take the file away."""
        try:
            with translate_storage_errors(self):
                filesystem(self.root).delete_file(self.key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def replace(self, target: Remote) -> Remote:
        """Move the file to where another may be."""
        with translate_storage_errors(self):
            if not self.root.startswith("s3:"):
                target.unlink(missing_ok=True)
            filesystem(self.root).move(self.key, target.key)
        _kept.pop(target, None)
        return target

    def _info(self) -> Any:
        with translate_storage_errors(self):
            return filesystem(self.root).get_file_info(self.key)

    def _listed(self, recursive: bool = False) -> Iterator[Any]:
        from pyarrow.fs import FileSelector

        with suppress(FileNotFoundError), translate_storage_errors(self):
            yield from filesystem(self.root).get_file_info(FileSelector(self.key, allow_not_found=False, recursive=recursive))

    def _below(self, info: Any) -> Remote:
        below = PurePosixPath(info.path).relative_to(self.key)
        return Remote(self.root, self.path / below, _stat(info) if info.type.name == "File" else None)


Place = Path | Remote


def place(said: str | Path) -> Place:
    """Return the place that a setting or a table's version names.

    Raises
    ------
    DeclarationProblem : it is of a kind that is not known, or has a password in it
    """
    found = address(str(said))
    return Path(said).absolute() if found is None else Remote(found.root, PurePosixPath(found.path))


def below(path: Place, folder: Place) -> PurePath:
    """Return a path as seen from a folder above."""
    if isinstance(path, Remote) and isinstance(folder, Remote):
        return path.path.relative_to(folder.path)
    assert isinstance(path, Path)
    assert isinstance(folder, Path)
    return path.relative_to(folder)


def overwrite(target: Place, made: Place) -> None:
    """Put a file that was made beside it into the place of another."""
    if isinstance(made, Remote):
        assert isinstance(target, Remote)
        made.replace(target)
    else:
        assert isinstance(target, Path)
        made.replace(target)


def source(path: Place) -> Any:
    """Return what Arrow and gzip read a file from: its name where it is local, else the file opened.

    A small remote file is read whole and kept for a while: what is written is looked at several times before it is published.
    """
    import pyarrow as pa

    if isinstance(path, Path):
        return path
    stat = path.stat()
    if stat.st_size > _SMALL_BYTES:
        return path.open("rb")
    if (known := _kept.get(path)) is None or known[0] != stat:
        _kept[path] = known = (stat, path.read_bytes())
        while len(_kept) > _MANY:
            _kept.pop(next(iter(_kept)), None)
    return pa.BufferReader(known[1])


def local(path: Place, folder: Path) -> Path:
    """Return a file as one of this machine: itself, or a copy in ``folder``, for what reads nothing else."""
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
def target(path: Place) -> Iterator[Any]:
    """Give what Arrow writes a file to."""
    if isinstance(path, Path):
        yield path
        return
    _kept.pop(path, None)
    with translate_storage_errors(path), path.open("wb") as opened:
        yield opened


def spark_path(path: Place | str) -> str:
    """Return a path as Spark's Hadoop client spells it.

    Examples
    --------
    >>> spark_path("s3://lake/taxi"), spark_path("/home/lake")
    ('s3a://lake/taxi', '/home/lake')
    """
    said = str(path)
    return f"s3a://{said.removeprefix('s3://')}" if said.startswith("s3://") else said


def reader(spark: SparkSession) -> DataFrameReader:
    """Return Spark's reader for files that are named one by one: it takes ``[ ] { } * ?`` and a backslash in a name for a pattern otherwise."""
    return spark.read.option("__globPaths__", "false")


def put(file: Path, at: Place) -> None:
    """Copy a local file to where none is, whole or not at all; whoever comes second leaves the first's.

    On S3 an upload is seen when it ends; on HDFS the file is written beside and then renamed.
    """
    import pyarrow.fs as pf

    if isinstance(at, Path):
        at.parent.mkdir(parents=True, exist_ok=True)
        file.replace(at)
        return
    _kept.pop(at, None)
    made = at if at.root.startswith("s3:") else at.with_name(f".{at.name}.{uuid4().hex}")
    with translate_storage_errors(at):
        pf.copy_files(
            str(file),
            made.key,
            source_filesystem=pf.LocalFileSystem(),
            destination_filesystem=filesystem(at.root),
            use_threads=False,
        )
        if made is not at:
            made.replace(at)


def remove(folder: Place) -> None:
    """Take a folder away with all that is in it; nothing happens where there is none."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
        return
    with suppress(FileNotFoundError), translate_storage_errors(folder):
        filesystem(folder.root).delete_dir(folder.key)


def move(origin: Place, to: Place) -> None:
    """Move a folder to where none is. On S3 every file is copied and then taken away, so a kill can leave files at both places."""
    remove(to)
    if isinstance(origin, Path) and isinstance(to, Path):
        to.parent.mkdir(parents=True, exist_ok=True)
        origin.rename(to)
    elif isinstance(to, Remote) and isinstance(origin, Remote) and origin.root.startswith("s3:"):
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda file: file.replace(to / below(file, origin)), list(origin.rglob("*"))))
    elif isinstance(to, Remote) and isinstance(origin, Remote):
        with translate_storage_errors(to):
            filesystem(to.root).create_dir(to.parent.key, recursive=True)
            filesystem(to.root).move(origin.key, to.key)


def arrow_paths(paths: list[str]) -> tuple[list[str], Any]:
    """Return files as Arrow names them, and the file system that they lie on; None where it is the machine's own."""
    found = address(paths[0]) if paths else None
    if found is None:
        return paths, None
    return [cast(Remote, place(path)).key for path in paths], filesystem(found.root)


def _stat(info: Any) -> Stat:
    return Stat(int(info.size or 0), info.mtime.timestamp() if info.mtime is not None else 0.0)


def delta_options(folder: Place) -> dict[str, str] | None:
    """Return what ``deltalake`` is told about where a table lies."""
    return None if isinstance(folder, Path) else storage(folder.root)


def spark_needs(at: Place) -> tuple[frozenset[str], dict[str, str]]:
    """Return the connectors and the settings of a Spark that writes to a place."""
    return (frozenset(), {}) if isinstance(at, Path) else (connectors(at.root), spark_settings(at.root))
