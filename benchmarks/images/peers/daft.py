"""Daft: files by address, fetched by its own reader, and a class that keeps the network, one process a core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import daft
from daft import DataType

from benchmarks.images.peers.task import asked
from benchmarks.images.peers.work import Embedder


class Embed:
    """Keeps the network of a process."""

    def __init__(self, model: str, decode: str) -> None:
        self.run = Embedder(model, decode)

    @daft.method.batch(return_dtype=DataType.list(DataType.float32()), batch_size=32)
    def embed(self, content: Any) -> Any:
        """Return the features of some images."""
        return list(self.run(content.to_pylist()))


def main() -> None:
    """Do the task."""
    task = asked()
    embed = daft.cls(Embed, cpus=1, use_process=True, max_concurrency=task.cores)(task.model, task.decode)

    def work(folder: str, out: str) -> None:
        found = daft.from_glob_path(f"{folder}/*/*.jpg").select("path")
        rows = found.with_column("embedding", embed.embed(daft.col("path").download()))
        Path(out).mkdir(parents=True)
        rows.write_parquet(out)

    task.measured(work)


if __name__ == "__main__":
    main()
