"""Ray Data: its reader of binary files, and a pool of actors, one a core, that keep the network."""

from __future__ import annotations

from typing import Any

import ray
import ray.data

from benchmarks.images.peers.task import asked
from benchmarks.images.peers.work import Embedder


class Embed:
    """Keeps the network of an actor."""

    def __init__(self, model: str, decode: str) -> None:
        self.run = Embedder(model, decode)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return some files with their features."""
        return {"path": batch["path"], "embedding": self.run(batch["bytes"])}


def main() -> None:
    """Do the task."""
    task = asked()
    ray.init(num_cpus=task.cores, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def work(folder: str, out: str) -> None:
        # Half a core for an actor, so that there is room for the tasks that read and write.
        ray.data.read_binary_files(folder, include_paths=True).map_batches(
            Embed,
            fn_constructor_args=(task.model, task.decode),
            batch_size=32,
            compute=ray.data.ActorPoolStrategy(size=task.cores),
            num_cpus=0.5,
        ).write_parquet(out)

    task.measured(work)
    ray.shutdown()


if __name__ == "__main__":
    main()
