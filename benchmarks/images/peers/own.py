"""caudal itself, asked like the others: `benchmarks/images/product.py`, which lands the images, reads them as a table and embeds them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.images.peers.task import asked
from caudal.batch.batch import run
from caudal.declarations.settings import Settings
from caudal.engine.session import stop
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

PRODUCT = Path(__file__).parent.parent / "product.py"


def main() -> None:
    """Do the task."""
    task = asked()

    def work(folder: str, out: str) -> dict[str, Any]:
        done = run(PRODUCT, Settings(home=Path(f"{out}-home"), data=Path(folder), cores=task.cores, memory="2g"))
        if done.error is not None:
            raise done.error
        return {"steps": {one["step"]: one["seconds"] for one in done.document["steps"]}}

    task.measured(work)
    rows = arrow(delta.read_version(Home(Path(f"{task.out}-home")).table("measured", "embedding")), ["path", "embedding"])
    Path(task.out).mkdir()
    pq.write_table(rows, Path(task.out) / "rows.parquet")
    stop()
    for out in (task.out, f"{task.out}-warm"):
        shutil.rmtree(f"{out}-home")


if __name__ == "__main__":
    main()
