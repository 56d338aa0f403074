"""Dask: a data frame of pieces of files, one worker process of one thread a core."""

from __future__ import annotations

from functools import partial

import dask
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
from dask.distributed import Client, LocalCluster

from benchmarks.images.peers.task import asked, pieces
from benchmarks.images.peers.work import embedded_files

SCHEMA = pa.schema([("path", pa.string()), ("embedding", pa.list_(pa.float32()))])


def part(paths: list[str], *, model: str, decode: str) -> pd.DataFrame:
    """Return a partition: some files with their features."""
    return pd.DataFrame({"path": paths, "embedding": list(embedded_files(paths, model, decode))})


def main() -> None:
    """Do the task."""
    task = asked()
    dask.config.set({"dataframe.convert-string": False})  # features are no strings
    with (
        LocalCluster(n_workers=task.cores, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        one = partial(part, model=task.model, decode=task.decode)
        meta = pd.DataFrame({"path": pd.Series(dtype=object), "embedding": pd.Series(dtype=object)})

        def work(folder: str, out: str) -> None:
            frame = dd.from_map(one, pieces(folder), meta=meta)
            frame.to_parquet(out, write_index=False, schema=SCHEMA)

        task.measured(work)


if __name__ == "__main__":
    main()
