"""HDFS as Arrow and fsspec see it: the client of ``hdfs-native``, with the time at which a file was changed, and names as they are."""

from __future__ import annotations

from typing import Any

from hdfs_native.fsspec import HdfsFileSystem


class Hdfs(HdfsFileSystem):
    """A file system that tells times as others do, and takes a ``?`` or ``#`` for a part of a name or a pattern."""

    # A forked process empties fsspec's cache before it does anything else, and to let go of a client there is to wait for ever for its threads.
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        _, mark, rest = path.partition("://")
        return (f"/{rest.partition('/')[2]}" if mark else path) or "/"

    def _convert_file_status(self, file_status: Any) -> dict[str, Any]:
        return {**super()._convert_file_status(file_status), "mtime": file_status.modification_time / 1000}

    def isdir(self, path: str) -> bool:
        """Tell whether it is a folder; a cluster that does not answer does not say so, which fsspec takes for no."""
        return self._is(path, "directory")

    def isfile(self, path: str) -> bool:
        """Tell whether it is a file."""
        return self._is(path, "file")

    def _is(self, path: str, kind: str) -> bool:
        try:
            return bool(self.info(path)["type"] == kind)
        except FileNotFoundError:
            return False
