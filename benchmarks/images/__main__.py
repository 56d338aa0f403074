"""Images: ``python -m benchmarks.images --only throughput|memory|accuracy|faults|planner|peers``; the product runs as a user would run it."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.images import planner, raw
from benchmarks.images.data import photographs, repeated
from benchmarks.images.measure import Checkpoint, processor_s

PRODUCT = Path(__file__).parent / "product.py"
SMALL = Path(__file__).parent / "small.py"
CORES = 2
STEPS = ("land:images", "read:images", "table:embedding")


def ran(home: Path, data: Path, product: Path = PRODUCT) -> dict[str, Any]:
    """Run the product and return its document."""
    from caudal.batch.batch import run
    from caudal.declarations.settings import Settings

    done = run(product, Settings(home=home, data=data, engine="spark", cores=CORES, memory="1g"))
    if done.error is not None:
        raise done.error
    return done.document


def throughput(folder: Path, images: int, rounds: int) -> dict[str, Any]:
    """Return images a second beside ONNX Runtime alone on the same files, before and after: the machine's own speed drifts by a tenth."""
    repeated(folder / "data", 100)
    ran(folder / "home", folder / "data")  # Spark is up, Java has compiled what it will
    told = []
    for number in range(rounds):
        files = repeated(folder / "data", images, start=1000 + number * images)
        alone = [raw.rate(files, CORES)]
        before, began = processor_s(), time.perf_counter()
        document = ran(folder / "home", folder / "data")
        whole_s, cpu_s = time.perf_counter() - began, processor_s() - before
        seconds = {one["step"]: one["seconds"] for one in document["steps"] if one["step"] in STEPS}
        alone.append(raw.rate(files, CORES))
        limit = statistics.harmonic_mean([rate for rate, _ in alone])
        embed = images / seconds["table:embedding"]
        told.append(
            {
                "raw": limit, "raw_before": alone[0][0], "raw_after": alone[1][0], "embedding": embed, "whole": images / whole_s,
                "embedding_of_raw": embed / limit, "whole_of_raw": images / whole_s / limit,
                "raw_cpu_ms": statistics.mean(cpu for _, cpu in alone) * 1000, "whole_cpu_ms": cpu_s / images * 1000, "seconds": seconds,
            }
        )  # fmt: skip
        print(json.dumps(told[-1]), flush=True)
    middle = {name: statistics.median(one[name] for one in told) for name in told[0] if name != "seconds"}
    return {"images": images, "rounds": rounds, **middle}


def memory(folder: Path, images: int) -> dict[str, Any]:
    """Return the peak memory of 1,000 images, and of many."""
    told = {}
    for number in (1000, images):
        here = folder / str(number)
        repeated(here / "data", number)
        with Checkpoint() as seen:
            began = time.perf_counter()
            ran(here / "home", here / "data", SMALL)
        told[number] = {"seconds": time.perf_counter() - began, **{name: most >> 20 for name, most in seen.most.items()}}
        print(number, json.dumps(told[number]), flush=True)
        shutil.rmtree(here)
    return told


def accuracy(folder: Path) -> dict[str, Any]:
    """Return leave-one-out accuracy of the nearest neighbours by the features and by their components, real shop photographs."""
    import numpy as np

    from caudal.storage import delta
    from caudal.tables.frames import arrow
    from caudal.tables.home import Home

    fruits = Path(__file__).parents[2] / "products" / "fruits"
    ran(folder / "home", photographs()[0].parents[2], fruits)
    home = Home(folder / "home")
    whole = arrow(delta.read_version(home.table("fruits", "embedding"))).to_pandas().sort_values("path")
    small = arrow(delta.read_version(home.table("fruits", "principal"))).to_pandas().sort_values("path")
    names = [name for name in small.columns if name.startswith("pc_")]
    labels = whole["label"].to_numpy()
    told = {}
    for count in (1, 5):
        told[f"{count}-NN, 1280"] = _neighbours(np.stack(whole["embedding"].to_numpy()), labels, count)
        for k in (len(names), len(names) // 2):
            told[f"{count}-NN, {k}"] = _neighbours(small[names[:k]].to_numpy(), labels, count)
    return told


def _neighbours(values: Any, labels: Any, count: int) -> float:
    import numpy as np
    from sklearn.model_selection import LeaveOneOut, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier

    said = cross_val_predict(KNeighborsClassifier(count), values, labels, cv=LeaveOneOut())
    return round(float(np.mean(said == labels)), 4)


def faults(folder: Path, images: int) -> dict[str, Any]:
    """Return what became of images of which one in twenty is corrupt, huge or none, and whose worker was killed on the way."""
    import numpy as np

    from benchmarks.images.kill import kill_a_worker
    from caudal.storage import delta
    from caudal.tables.frames import arrow
    from caudal.tables.home import Home

    files = repeated(folder / "data", images)
    bad = files[::20]
    for number, path in enumerate(bad):
        content = path.read_bytes()
        path.write_bytes((content[: len(content) // 2], b"%PDF-1.7", b"", _bomb())[number % 4])
    found = {}
    for name, kill in (("undisturbed", False), ("killed", True)):
        killed: list[int] = []
        with kill_a_worker(killed, kill):
            document = ran(folder / name, folder / "data")
        rows = arrow(delta.read_version(Home(folder / name).table("measured", "embedding"))).to_pandas().sort_values("path")
        aside = sum(document["tables"][table]["rows_quarantined"] for table in ("images", "embedding"))
        found[name] = {"rows": len(rows), "quarantined": aside, "workers killed": len(killed)}
        found[f"{name} rows"] = rows
    one, other = found.pop("undisturbed rows"), found.pop("killed rows")
    same = list(one["path"]) == list(other["path"]) and np.array_equal(np.stack(one["embedding"]), np.stack(other["embedding"]))
    return {"images": images, "bad": len(bad), **found, "same": bool(same)}


def _bomb() -> bytes:
    import io

    from PIL import Image

    held = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(held, "PNG")
    return held.getvalue()


def peers(folder: Path, images: int, rounds: int) -> list[dict[str, Any]]:
    """Return images a second of other engines on the same files, beside ONNX Runtime alone."""
    from benchmarks.images.peers import compare

    rows = compare.compared(folder / "peers", images, rounds, CORES)
    print(compare.table(rows, images), flush=True)
    return rows


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__)
    parser.add_argument("--only", choices=("throughput", "memory", "accuracy", "faults", "planner", "peers"))
    parser.add_argument("--images", type=int, help="2,000 for throughput and peers, 100,000 for memory, 400 for faults")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    work = {
        "throughput": lambda folder: throughput(folder, asked.images or 2000, asked.rounds),
        "memory": lambda folder: memory(folder, asked.images or 100_000),
        "accuracy": accuracy,
        "faults": lambda folder: faults(folder, asked.images or 400),
        "planner": planner.measured,
        "peers": lambda folder: peers(folder, asked.images or 2000, asked.rounds),
    }
    for name in [asked.only] if asked.only else work:
        with tempfile.TemporaryDirectory(prefix="caudal-images-") as folder:
            print(name, json.dumps(work[name](Path(folder)), indent=1), flush=True)


if __name__ == "__main__":
    main()
