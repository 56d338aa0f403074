"""What a worker's memory really is, beside what `caudal.stages.images.memory` has estimated: one process, one Spark and one worker for each case.

Counted is the worker's high-water mark of resident memory, as the kernel tells it. ``python -m benchmarks.images --only planner`` measures all
cases; the module's constants come from its table.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.images.data import photographs
from benchmarks.images.measure import family, is_worker

ROOM = 8 * 2**30
MIB = 2**20

Made = Callable[[Path], int]


def _photographs(folder: Path) -> int:
    """Write photographs, and return the most pixels that one of them may have."""
    _written(folder, [path.read_bytes() for path in photographs()[:192]])
    return 1_000_000


def _large(folder: Path, mode: str, megapixels: int = 60, noise: int = 1, **how: Any) -> int:
    """Write one large image, and return its pixels; what is noisy cannot be packed."""
    import numpy as np
    from PIL import Image

    height, width = megapixels * 100, 10_000
    kind, bands = {"RGBA": (np.uint8, 4), "LA": (np.uint8, 2), "I;16": (np.uint16, 1), "P": (np.uint8, 1)}.get(mode, (np.uint8, 3))
    shape = (height, width) if bands == 1 else (height, width, bands)
    values = np.random.default_rng(0).integers(0, noise, shape, kind)
    image = Image.fromarray(values)
    if mode in ("P", "CMYK"):
        image = image.convert(mode)
    held = io.BytesIO()
    image.save(held, **how)
    _written(folder, [held.getvalue()])
    return width * height


def _written(folder: Path, every: list[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"content": every}), folder / "images.parquet", row_group_size=64, compression="none")


_PNG = {"format": "PNG", "compress_level": 1}
CASES: dict[str, tuple[Made, dict[str, int]]] = {
    **{
        f"photographs, {side} px, batches of {batch}": (_photographs, {"size": side, "batch": batch})
        for side, batch in ((224, 1), (224, 4), (224, 16), (224, 64), (160, 4), (320, 4), (320, 16))
    },
    "JPEG": (partial(_large, mode="RGB", format="JPEG"), {}),
    "JPEG, progressive": (partial(_large, mode="RGB", format="JPEG", progressive=True), {}),
    "JPEG, progressive, all colours, noisy": (
        partial(_large, mode="RGB", noise=64, format="JPEG", progressive=True, subsampling=0),
        {},
    ),
    "JPEG of four inks, progressive": (partial(_large, mode="CMYK", format="JPEG", progressive=True), {}),
    "PNG": (partial(_large, mode="RGB", **_PNG), {}),
    "PNG, noisy, 20 megapixels": (partial(_large, mode="RGB", noise=200, megapixels=20, **_PNG), {}),
    "PNG, see-through": (partial(_large, mode="RGBA", **_PNG), {}),
    "PNG, grey, see-through": (partial(_large, mode="LA", **_PNG), {}),
    "PNG, 16 bits": (partial(_large, mode="I;16", **_PNG), {}),
    "PNG, palette, see-through": (partial(_large, mode="P", transparency=3, **_PNG), {}),
    "TIFF, 20 megapixels": (partial(_large, mode="RGB", megapixels=20, format="TIFF"), {}),
    "WebP, lossless": (partial(_large, mode="RGB", format="WEBP", lossless=True, method=0, quality=0), {}),
    "WebP, lossless, see-through": (
        partial(_large, mode="RGBA", format="WEBP", lossless=True, method=0, quality=0, exact=True),
        {},
    ),
    "PNG, see-through, noisy, 20 megapixels": (partial(_large, mode="RGBA", noise=64, megapixels=20, **_PNG), {}),
    "GIF": (partial(_large, mode="P", format="GIF"), {}),
}


def measured(folder: Path) -> dict[str, Any]:
    """Return, for each case, the worker's peak in MiB, the estimate, and the estimate divided by the peak."""
    found = {}
    for name in CASES:
        asked = [sys.executable, "-m", "benchmarks.images.planner", name, str(folder)]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            found[name] = {"problem": done.stderr.strip()[-500:]}
        else:
            found[name] = json.loads(done.stdout.splitlines()[-1])
        print(name, json.dumps(found[name]), flush=True)
    return found


def one(name: str, folder: Path) -> dict[str, Any]:
    """Embed the images of a case, and return what was estimated and what it took."""
    import caudal as cd
    from caudal.declarations.build_context import build_context
    from caudal.engine.session import session
    from caudal.stages.images import memory
    from caudal.stages.images.network import load_model

    make, told = CASES[name]
    largest = make(folder)
    network, side = cd.network("efficientnet-lite0"), told.get("size", 224)
    plan = memory.plan_memory(
        memory=ROOM,
        workers=1,
        model=len(load_model(network).content),
        side=side,
        floor=side,
        batch=told.get("batch"),
        largest=largest,
    )
    spark = session(cores=1, memory="2g", conf={"spark.driver.maxResultSize": "1g"})
    images = spark.read.parquet(str(folder / "images.parquet"))
    with build_context({}) as left:
        rows = cd.embed(images, network=network, size=side, floor=side, batch=told.get("batch", "auto"), max_pixels=largest)
        for setting, value in left.settings.items():
            spark.conf.set(setting, value)
        good = rows.where("embedding IS NOT NULL").count()
    peak = max(_peak(pid) for pid in family()[1:] if is_worker(pid))
    file = (folder / "images.parquet").stat().st_size
    return {
        "peak_mib": peak // MIB, "estimate_mib": plan.bytes // MIB, "ratio": round(plan.bytes / peak, 2), "embedded": good,
        "megapixels": largest // 10**6, "file_mib": file // MIB,
    }  # fmt: skip


def _peak(pid: int) -> int:
    """Return the most memory that a process has had, pages that it shares included."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


if __name__ == "__main__":
    print(json.dumps(one(sys.argv[1], Path(sys.argv[2]))))
