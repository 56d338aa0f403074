"""The limit: ONNX Runtime in as many processes of one thread as there are cores; each writes its own Parquet file."""

from __future__ import annotations

import multiprocessing as mp
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.images.peers.task import asked, pieces
from benchmarks.images.peers.work import embedded_files

SCHEMA = pa.schema([("path", pa.string()), ("embedding", pa.list_(pa.float32()))])


def _work(number: int, model: str, decode: str, orders: Any, done: Any) -> None:
    """Take pieces until there are no more of a folder, then say so."""
    writer = None
    while (order := orders.get()) is not None:
        out, paths = order
        if paths is None:
            if writer is not None:
                writer.close()
            writer = None
            done.put(number)
            continue
        writer = writer or pq.ParquetWriter(Path(out) / f"{number}.parquet", SCHEMA)
        features = embedded_files(paths, model, decode)
        writer.write_batch(pa.record_batch([pa.array(paths), pa.array(list(features), SCHEMA.field(1).type)], schema=SCHEMA))


def main() -> None:
    """Do the task."""
    task, context = asked(), mp.get_context("spawn")
    orders, done = [context.Queue() for _ in range(task.cores)], context.Queue()
    workers = [
        context.Process(target=_work, args=(i, task.model, task.decode, order, done), daemon=True) for i, order in enumerate(orders)
    ]
    for worker in workers:
        worker.start()

    def work(folder: str, out: str) -> None:
        Path(out).mkdir(parents=True)
        for number, paths in enumerate(pieces(folder)):
            orders[number % task.cores].put((out, paths))
        for order in orders:
            order.put((out, None))
        for _ in orders:
            done.get()

    task.measured(work)
    for order in orders:
        order.put(None)
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main()
