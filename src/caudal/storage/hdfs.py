"""HDFS for Arrow and fsspec: the client of ``hdfs-native``, with modification times and literal names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hdfs_native.fsspec import HdfsFileSystem

if TYPE_CHECKING:
    from hdfs_native import FileStatus


class Hdfs(HdfsFileSystem):
    """A file system that reports modification times as others do, and takes ``?`` or ``#`` as part of a name or pattern."""

    # A forked process first empties fsspec's cache, and releasing a client there would wait forever for its threads.
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        _, mark, rest = path.partition("://")
        return (f"/{rest.partition('/')[2]}" if mark else path) or "/"

    def _convert_file_status(self, file_status: FileStatus) -> dict[str, object]:
        return {**super()._convert_file_status(file_status), "mtime": file_status.modification_time / 1000}

    def isdir(self, path: str) -> bool:
        """Return whether the path is a folder; raise if the cluster does not answer, which fsspec would take for no."""
        return self._is(path, "directory")

    def isfile(self, path: str) -> bool:
        """Return whether the path is a file."""
        return self._is(path, "file")

    def _is(self, path: str, kind: str) -> bool:
        try:
            return bool(self.info(path)["type"] == kind)
        except FileNotFoundError:
            return False
